//! Reports as one page of HTML: tables, and plots in SVG. No scripts and no other files.

use std::fmt::Write as _;

use super::compare::{ComparedMetric, Comparison};
use super::report::Report;
use super::statistics::StatisticsSummary;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0}\
td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8886}\
td:first-child,th:first-child{text-align:left}\
svg{width:100%;height:auto;margin:.5rem 0}\
svg text{font-size:12px;fill:currentColor}\
.axis{stroke:currentColor;stroke-width:1;opacity:.5;fill:none}\
.bar{fill:#3b7dd8}.worse{fill:#d8663b}";
const COLOURS: [&str; 6] = ["#3b7dd8", "#d8663b", "#2f9e6e", "#a05bc0", "#c7a21b", "#7d8590"];

/// Bars of a histogram of values from 0 to 1.
const VALUE_BINS: usize = 20;
/// Most bars of a histogram of counts.
const COUNT_BINS: usize = 40;
/// Queries listed as changed most, a metric.
const CHANGES: usize = 20;

// Sizes of a plot, in pixels of its own.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;

/// The page of an evaluation.
pub(super) fn report(report: &Report, title: &str) -> String {
    let mut body = String::new();
    let means = report.metrics.iter().zip(&report.means);
    let mut rows: Vec<Vec<String>> =
        means.map(|(metric, mean)| vec![metric.to_string(), format!("{mean:.4}")]).collect();
    rows.push(vec!["queries".to_owned(), report.queries.len().to_string()]);
    rows.push(vec!["judged, not in the run".to_owned(), report.missing.len().to_string()]);
    rows.push(vec!["in the run, not judged".to_owned(), report.unjudged.len().to_string()]);
    rows.extend(report.flops.map(|flops| vec!["FLOPS".to_owned(), format!("{flops:.3}")]));
    body += &table(&["metric", "mean"], &rows);
    let lines: Vec<(&str, &[(usize, f64)])> = report
        .curves
        .iter()
        .map(|curve| (curve.kind.name(), curve.points.as_slice()))
        .filter(|(_, points)| points.len() > 1)
        .collect();
    if !lines.is_empty() {
        body += "<h2>Means by cut-off</h2>\n";
        body += &line_plot(&lines);
    }
    body += "<h2>Queries by value</h2>\n";
    for (index, metric) in report.metrics.iter().enumerate() {
        let values = report.queries.iter().map(|query| query.values[index]);
        let _ = writeln!(body, "<h3>{metric}</h3>");
        body += &bar_plot(&value_bins(values), &metric.to_string(), "queries");
    }
    for (name, summary) in &report.statistics {
        body += &statistics(name, summary);
    }
    page(title, &body)
}

/// The page of two runs.
pub(super) fn comparison(comparison: &Comparison, title: &str) -> String {
    let p = |p: f64| if p < 0.0001 { "&lt; 0.0001".to_owned() } else { format!("{p:.4}") };
    let row = |m: &ComparedMetric| {
        vec![
            m.metric.to_string(),
            format!("{:.4}", m.baseline),
            format!("{:.4}", m.other),
            format!("{:+.4}", m.other - m.baseline),
            m.wins.to_string(),
            m.losses.to_string(),
            m.ties.to_string(),
            p(m.randomisation.p),
            m.t_test.map_or("–".to_owned(), |test| p(test.p)),
        ]
    };
    let head = [
        "metric",
        "baseline",
        "run",
        "change",
        "wins",
        "losses",
        "ties",
        "p (randomisation)",
        "p (t-test)",
    ];
    let rows: Vec<_> = comparison.metrics.iter().map(row).collect();
    let mut body = table(&head, &rows);
    let _ = writeln!(body, "<p>{} queries in both runs.</p>", comparison.queries);
    for metric in &comparison.metrics {
        let _ = writeln!(body, "<h2>{}: change of each query</h2>", metric.metric);
        body += &change_plot(metric);
        let changed = metric.changes.iter().take(CHANGES).filter(|c| c.difference() != 0.0);
        let rows: Vec<_> = changed
            .map(|change| {
                vec![
                    escape(&change.query),
                    format!("{:.4}", change.baseline),
                    format!("{:.4}", change.other),
                    format!("{:+.4}", change.difference()),
                ]
            })
            .collect();
        if !rows.is_empty() {
            body += &table(&["changed most", "baseline", "run", "change"], &rows);
        }
    }
    page(title, &body)
}

fn statistics(name: &str, summary: &StatisticsSummary) -> String {
    let mut body = format!("<h2>Terms of the {}</h2>\n", escape(name));
    let rows = [
        ("texts", summary.texts.to_string()),
        ("terms a text", format!("{:.1}", summary.avg_nnz)),
        ("sparsity", format!("{:.4}", summary.avg_sparsity)),
        ("unique tokens", summary.num_unique_tokens.to_string()),
        ("unique tokens with ##", summary.num_unique_subtokens.to_string()),
    ];
    body += &table(&["", ""], &rows.map(|(name, value)| vec![name.to_owned(), value]));
    let most = summary.terms_per_text.keys().next_back().copied().unwrap_or(0);
    let width = most / COUNT_BINS + 1;
    let mut bins = vec![0; most / width + 1];
    for (terms, texts) in &summary.terms_per_text {
        bins[terms / width] += texts;
    }
    let label = |i: usize| match width {
        1 => i.to_string(),
        _ => format!("{}–{}", i * width, (i + 1) * width - 1),
    };
    let bins: Vec<_> = bins.into_iter().enumerate().map(|(i, texts)| (label(i), texts)).collect();
    body += &bar_plot(&bins, "terms a text", "texts");
    let popular = summary.top_popular_tokens.iter();
    let rows: Vec<_> =
        popular.map(|(token, share)| vec![escape(token), format!("{share:.2}")]).collect();
    body + &table(&["most popular tokens", "share of the texts"], &rows)
}

/// Counts of values from 0 to 1 in bins of equal width; 1 is in the last.
fn value_bins(values: impl Iterator<Item = f64>) -> Vec<(String, u64)> {
    let edge = |i: usize| i as f64 / VALUE_BINS as f64;
    let mut bins: Vec<_> =
        (0..VALUE_BINS).map(|i| (format!("{:.2}–{:.2}", edge(i), edge(i + 1)), 0)).collect();
    for value in values {
        bins[((value * VALUE_BINS as f64) as usize).min(VALUE_BINS - 1)].1 += 1;
    }
    bins
}

fn bar_plot(bins: &[(String, u64)], x_label: &str, y_label: &str) -> String {
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

/// Lines over cut-offs, which are as far apart as their logarithms.
fn line_plot(lines: &[(&str, &[(usize, f64)])]) -> String {
    let mut svg = axes("k", "mean", 0.0, 1.0);
    let last = lines.iter().filter_map(|(_, points)| points.last()).map(|(k, _)| *k).max();
    let span = (last.unwrap_or(2) as f64).log2();
    let x_of = |k: usize| LEFT + (WIDTH - LEFT - RIGHT - 80.0) * (k as f64).log2() / span;
    for (k, _) in lines.first().map_or(&[][..], |(_, points)| points) {
        svg += &text(x_of(*k), HEIGHT - BOTTOM + 14.0, "middle", &k.to_string());
    }
    // Names at the right end of the lines, from the top down and far enough apart to be read.
    let mut ends: Vec<(f64, &str, &str)> = Vec::new();
    for ((name, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<_> = points
            .iter()
            .map(|(k, mean)| format!("{:.1},{:.1}", x_of(*k), y_of(*mean, 0.0, 1.0)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        );
        for (k, mean) in *points {
            let _ = writeln!(
                svg,
                "<circle fill=\"{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{name}@{k}: \
                 {mean:.4}</title></circle>",
                x_of(*k),
                y_of(*mean, 0.0, 1.0)
            );
        }
        let end = points.last().map_or(0.0, |(_, mean)| y_of(*mean, 0.0, 1.0));
        ends.push((end, name, colour));
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    for (y, name, colour) in ends {
        lowest = y.max(lowest + 14.0);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" style=\"fill:{colour}\">{name}</text>",
            WIDTH - RIGHT - 70.0,
            lowest + 4.0
        );
    }
    svg + "</svg>\n"
}

/// A bar a query, the best first.
fn change_plot(metric: &ComparedMetric) -> String {
    let mut changes: Vec<_> = metric.changes.iter().collect();
    changes.sort_by(|a, b| b.difference().total_cmp(&a.difference()));
    let most = changes.iter().map(|change| change.difference().abs()).fold(1e-3, f64::max);
    let mut svg = axes("queries, the best change first", "change", -most, most);
    let width = (WIDTH - LEFT - RIGHT) / changes.len() as f64;
    let zero = y_of(0.0, -most, most);
    for (i, change) in changes.iter().enumerate().filter(|(_, c)| c.difference() != 0.0) {
        let end = y_of(change.difference(), -most, most);
        let class = if change.difference() > 0.0 { "bar" } else { "worse" };
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{:.1}\">\
             <title>{}: {:+.4}</title></rect>",
            LEFT + i as f64 * width,
            end.min(zero),
            (width * 0.9).max(0.3),
            (end - zero).abs(),
            escape(&change.query),
            change.difference()
        );
    }
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {zero:.1}H{:.1}\"/>", WIDTH - RIGHT);
    svg + "</svg>\n"
}

/// The height of a value in a plot.
fn y_of(value: f64, low: f64, high: f64) -> f64 {
    TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)
}

/// The start of a plot: its axes, with three values at the left one.
fn axes(x_label: &str, y_label: &str, low: f64, high: f64) -> String {
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

/// Cells are HTML.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
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

fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// A text for HTML, in an element or an attribute.
fn escape(text: &str) -> String {
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
