//! Writes the parts of HTML pages: tables and SVG plots. A page needs no scripts and no other
//! files.

use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0}\
td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8886}\
td:first-child,th:first-child{text-align:left}\
svg{width:100%;height:auto;margin:.5rem 0;overflow:visible}\
td code{display:block;text-align:left}\
svg text{font-size:12px;fill:currentColor}\
.axis{stroke:currentColor;stroke-width:1;opacity:.5;fill:none}\
.bar{fill:#3b7dd8}.worse{fill:#d8663b}";
const COLOURS: [&str; 6] = ["#3b7dd8", "#d8663b", "#2f9e6e", "#a05bc0", "#c7a21b", "#7d8590"];
/// The maximum number of points for which a line gets marks.
const MARKS: usize = 60;

// The sizes of a plot in SVG user units.
pub(super) const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
pub(super) const LEFT: f64 = 72.0;
pub(super) const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;

/// Returns a complete page. `body` is HTML; the title is plain text, which is escaped.
pub fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// Returns a table whose cells are HTML.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = "<table>\n<tr>".to_owned();
    for cell in head {
        let _ = write!(html, "<th>{cell}</th>");
    }
    html += "</tr>\n";
    for row in rows {
        html += "<tr>";
        for cell in row {
            let _ = write!(html, "<td>{cell}</td>");
        }
        html += "</tr>\n";
    }
    html + "</table>\n"
}

/// Escapes a text for use in an HTML element or attribute.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            _ => html.push(c),
        }
    }
    html
}

pub(super) fn bar_plot(bins: &[(String, u64)], x_label: &str, y_label: &str) -> String {
    let most = bins.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let mut svg = axes(x_label, y_label, 0.0, most as f64);
    let width = (WIDTH - LEFT - RIGHT) / bins.len() as f64;
    let labelled = bins.len().div_ceil(10);
    for (i, (label, count)) in bins.iter().enumerate() {
        let x = LEFT + i as f64 * width;
        let top = y_of(*count as f64, 0.0, most as f64);
        let _ = writeln!(
            svg,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
             <title>{label}: {count}</title></rect>",
            x + 0.5,
            (width - 1.0).max(0.5),
            HEIGHT - BOTTOM - top
        );
        if i % labelled == 0 {
            let start = label.split('–').next().unwrap_or_default();
            svg += &text(x, HEIGHT - BOTTOM + 14.0, "start", start);
        }
    }
    svg + "</svg>\n"
}

/// A line of a plot with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The name, which is written at the right end of the line.
    pub name: String,
    /// The points `(x, y)` from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Returns a plot of lines with labels at `ticks` of the x axis; `y` is the range of the y axis.
pub fn line_plot(
    lines: &[Line],
    ticks: &[(f64, String)],
    (x_label, y_label): (&str, &str),
    y: (f64, f64),
) -> String {
    let mut svg = axes(x_label, y_label, y.0, y.1);
    let xs = || lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x);
    let (first, last) =
        (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    let span = if last > first { last - first } else { 1.0 };
    let x_of = |x: f64| LEFT + (WIDTH - LEFT - RIGHT - 80.0) * (x - first) / span;
    for (x, label) in ticks {
        svg += &text(x_of(*x), HEIGHT - BOTTOM + 14.0, "middle", label);
    }
    // Names are written at the right end of the lines, from top to bottom with enough distance to
    // be legible.
    let mut ends: Vec<(f64, &str, &str)> = Vec::new();
    for (Line { name, points }, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let places: Vec<_> =
            points.iter().map(|(x, v)| (x_of(*x), y_of(*v, y.0, y.1), x, v)).collect();
        let path: Vec<_> = places.iter().map(|(x, y, ..)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        );
        // Many marks would hide the line.
        for (x, y, at, value) in places.iter().filter(|_| points.len() <= MARKS) {
            let label = ticks.iter().find(|(tick, _)| tick == *at);
            let at = label.map_or_else(|| at.to_string(), |(_, label)| label.clone());
            let _ = writeln!(
                svg,
                "<circle fill=\"{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{}@{at}: \
                 {value:.4}</title></circle>",
                escape(name)
            );
        }
        ends.push((places.last().map_or(0.0, |(_, y, ..)| *y), name, colour));
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    for (y, name, colour) in ends {
        lowest = y.max(lowest + 14.0);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" style=\"fill:{colour}\">{}</text>",
            WIDTH - RIGHT - 70.0,
            lowest + 4.0,
            escape(name)
        );
    }
    svg + "</svg>\n"
}

/// Returns the y coordinate of a value in a plot whose y axis goes from `low` to `high`.
pub(super) fn y_of(value: f64, low: f64, high: f64) -> f64 {
    TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)
}

/// Returns the start of a plot: its axes, with three values on the y axis.
pub(super) fn axes(x_label: &str, y_label: &str, low: f64, high: f64) -> String {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{y_label} by {x_label}\">\n\
         <path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\n"
    );
    for value in [low, (low + high) / 2.0, high] {
        let shown = format!("{value:.*}", if high > 10.0 { 0 } else { 2 });
        let shown = shown.strip_suffix(".00").unwrap_or(&shown);
        svg += &text(LEFT - 6.0, y_of(value, low, high) + 4.0, "end", shown);
    }
    svg += &text((LEFT + right) / 2.0, HEIGHT - 6.0, "middle", x_label);
    let middle = (TOP + bottom) / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"12\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 12 {middle:.1})\">\
         {y_label}</text>"
    );
    svg
}

fn text(x: f64, y: f64, anchor: &str, content: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>\n")
}
