//! Renders reports as a single HTML page with tables and SVG plots, without scripts or other files.

use std::fmt::Write as _;

use super::compare::{ComparedMetric, Comparison};
use super::page::{LEFT, Line, RIGHT, WIDTH, axes, bar_plot, escape, line_plot, page, table, y_of};
use super::report::Report;
use super::statistics::StatisticsSummary;

/// The number of bars in a histogram of values from 0 to 1.
const VALUE_BINS: usize = 20;
/// The maximum number of bars in a histogram of counts.
const COUNT_BINS: usize = 40;
/// The number of queries with the greatest changes that are listed for each metric.
const CHANGES: usize = 20;

impl Report {
    /// Returns a self-contained HTML page with the values of the queries, the metrics by cut-off,
    /// and the statistics of the vectors if they are known.
    pub fn to_html(&self, title: &str) -> String {
        report(self, title)
    }
}

impl Comparison {
    /// Returns a self-contained HTML page with the table, a bar for the change of every query, and
    /// the queries with the greatest changes.
    pub fn to_html(&self, title: &str) -> String {
        comparison(self, title)
    }
}

/// Renders the page of an evaluation.
fn report(report: &Report, title: &str) -> String {
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
        body += &cut_off_plot(&lines);
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

/// Renders the page of a comparison of two runs.
fn comparison(comparison: &Comparison, title: &str) -> String {
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

/// Counts values from 0 to 1 in bins of equal width. The last bin includes 1.
fn value_bins(values: impl Iterator<Item = f64>) -> Vec<(String, u64)> {
    let edge = |i: usize| i as f64 / VALUE_BINS as f64;
    let mut bins: Vec<_> =
        (0..VALUE_BINS).map(|i| (format!("{:.2}–{:.2}", edge(i), edge(i + 1)), 0)).collect();
    for value in values {
        bins[((value * VALUE_BINS as f64) as usize).min(VALUE_BINS - 1)].1 += 1;
    }
    bins
}

/// Plots means by cut-off on a logarithmic axis.
fn cut_off_plot(lines: &[(&str, &[(usize, f64)])]) -> String {
    let line = |(name, points): &(&str, &[(usize, f64)])| Line {
        name: (*name).to_owned(),
        points: points.iter().map(|(k, mean)| ((*k as f64).log2(), *mean)).collect(),
    };
    let drawn: Vec<Line> = lines.iter().map(line).collect();
    let ticks = lines.first().map_or(&[][..], |(_, points)| points);
    let ticks: Vec<(f64, String)> =
        ticks.iter().map(|(k, _)| ((*k as f64).log2(), k.to_string())).collect();
    line_plot(&drawn, &ticks, ("k", "mean"), (0.0, 1.0))
}

/// Plots the change of each query as a bar, the best change first.
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
