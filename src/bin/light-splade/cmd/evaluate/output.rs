//! Reports and comparisons in the form that was asked for.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Map, Value, json};
use splade_eval::compare::{CompareOptions, ComparedMetric, Comparison, QueryChange, compare};
use splade_eval::{Board, Report};
use splade_io::{printable, printable_lines};

use crate::args::ReportFormat;

/// Queries that are shown for the first metric, those that changed most.
const CHANGES: usize = 10;

/// What a run is compared with.
pub(super) struct Baseline {
    pub(super) name: String,
    pub(super) report: Report,
}

/// A report on a data set, with what it is of, and next to a baseline if there is one.
pub(super) fn report(
    report: &Report,
    about: Map<String, Value>,
    baseline: Option<&Baseline>,
    format: ReportFormat,
    data: &str,
) -> Result<String> {
    let title = &format!("Evaluation on {data}");
    let against =
        |baseline: &Baseline| compare(&baseline.report, report, &CompareOptions::default());
    let comparison = baseline.map(against).transpose()?;
    let both = baseline.zip(comparison.as_ref());
    Ok(match format {
        ReportFormat::Table => {
            let mut text = report.to_table();
            if let Some((baseline, comparison)) = both {
                let _ = write!(text, "\nbaseline: {}\n{}", baseline.name, table(comparison));
            }
            printable_lines(&text).into_owned()
        }
        ReportFormat::Json => {
            let mut json = report.to_json();
            for (key, value) in about {
                json[key] = value;
            }
            if let Some((baseline, comparison)) = both {
                json["baseline"] = baseline.report.to_json();
                json["baseline"]["name"] = baseline.name.as_str().into();
                json["comparison"] = comparison_json(comparison);
            }
            format!("{json:#}\n")
        }
        ReportFormat::Csv => comparison.map_or_else(|| report.to_csv(), |both| both.to_csv()),
        ReportFormat::Html => {
            comparison.map_or_else(|| report.to_html(title), |both| both.to_html(title))
        }
        ReportFormat::Markdown | ReportFormat::Latex => {
            let model = about.get("settings").and_then(|settings| settings["model"].as_str());
            let name = model.or(about.get("run").and_then(Value::as_str)).unwrap_or_default();
            let baseline = baseline.map(|baseline| (baseline.name.as_str(), &baseline.report));
            document(&board(data, [Some((name, report)), baseline]), format)
        }
    })
}

/// A run compared with a baseline.
pub(super) fn comparison(
    report: &Report,
    name: &str,
    baseline: &Baseline,
    format: ReportFormat,
    data: &str,
) -> Result<String> {
    let comparison = compare(&baseline.report, report, &CompareOptions::default())?;
    let title = format!("{name} compared with {}", baseline.name);
    Ok(match format {
        ReportFormat::Table => {
            let text = format!("baseline: {}\nrun: {name}\n{}", baseline.name, table(&comparison));
            printable_lines(&text).into_owned()
        }
        ReportFormat::Json => {
            let mut json = comparison_json(&comparison);
            json["baseline"] = baseline.name.as_str().into();
            json["run"] = name.into();
            format!("{json:#}\n")
        }
        ReportFormat::Csv => comparison.to_csv(),
        ReportFormat::Html => comparison.to_html(&title),
        ReportFormat::Markdown | ReportFormat::Latex => {
            let rankings = [(baseline.name.as_str(), &baseline.report), (name, report)];
            document(&board(data, rankings.map(Some)), format)
        }
    })
}

/// A table of rankings on one data set.
fn board<const N: usize>(data: &str, rankings: [Option<(&str, &Report)>; N]) -> Board {
    let rankings: Vec<_> = rankings.into_iter().flatten().collect();
    let metrics = rankings.first().map(|(_, report)| report.metrics.clone());
    let mut board = Board::new(metrics.unwrap_or_default());
    for (name, report) in rankings {
        board.add(data, name, report.queries.len(), report.means.clone());
    }
    board
}

/// A table in a form for documents; in any other than LaTeX in Markdown.
pub(super) fn document(board: &Board, format: ReportFormat) -> String {
    match format {
        ReportFormat::Latex => board.to_latex(),
        _ => board.to_markdown(),
    }
}

/// The comparison, and the queries that changed most.
fn table(comparison: &Comparison) -> String {
    let mut text = comparison.to_table();
    let Some(metric) = comparison.metrics.first() else { return text };
    let mut changed = changed(metric).peekable();
    if changed.peek().is_some() {
        let _ = writeln!(text, "\n{}, queries that changed most", metric.metric);
    }
    for change in changed {
        let (before, after) = (change.baseline, change.other);
        let query = printable(&change.query);
        let _ = writeln!(text, "{:>+8.4}  {before:.4} -> {after:.4}  {query}", change.difference());
    }
    text
}

fn comparison_json(comparison: &Comparison) -> Value {
    let mut json = comparison.to_json();
    let metric = comparison.metrics.first();
    let changed: Vec<Value> = metric
        .into_iter()
        .flat_map(changed)
        .map(|c| json!({"query": c.query, "baseline": c.baseline, "run": c.other}))
        .collect();
    json["most_changed"] = changed.into();
    json
}

fn changed(metric: &ComparedMetric) -> impl Iterator<Item = &QueryChange> {
    metric.changes.iter().take(CHANGES).filter(|change| change.difference() != 0.0)
}
