//! Reports and comparisons in the form that was asked for.

use std::fmt::Write as _;

use std::path::Path;

use anyhow::Result;
use light_splade::EvaluateOptions;
use light_splade::evaluation::evaluation_page;
use light_splade::pages::now;
use serde_json::{Map, Value, json};
use splade_eval::compare::{CompareOptions, ComparedMetric, Comparison, QueryChange, compare};
use splade_eval::{Board, Report, Run, System};
use splade_io::{printable, printable_lines};

use crate::args::ReportFormat;

/// Queries that are shown for the first metric, those that changed most.
const CHANGES: usize = 10;

/// A run with its values.
pub(super) struct Measured {
    /// The full name: a path, the name of a model, or BM25 with its constants.
    pub(super) name: String,
    /// The name for tables and charts of a page.
    pub(super) label: String,
    pub(super) report: Report,
    pub(super) run: Run,
}

impl Measured {
    fn system<'a>(&'a self, name: &'a str) -> System<'a> {
        System { name, report: &self.report, run: &self.run }
    }
}

/// What is measured on, for pages.
pub(super) struct Setting<'a> {
    /// The folder of the data set.
    pub(super) data: &'a Path,
    /// The name of the data set, as it was given.
    pub(super) name: &'a str,
    pub(super) options: &'a EvaluateOptions,
}

impl Setting<'_> {
    /// A page about a run, and about what it is compared with.
    fn page(
        &self,
        measured: &Measured,
        baseline: Option<&Measured>,
        about: &Map<String, Value>,
    ) -> Result<String> {
        let is_clear = baseline.is_none_or(|other| other.label != measured.label);
        let label = |of: &'_ Measured| if is_clear { of.label.clone() } else { of.name.clone() };
        let (own, other) = (label(measured), baseline.map(label).unwrap_or_default());
        let mut about = about.clone();
        about
            .extend(baseline.map(|other| ("compared_with".to_owned(), other.name.as_str().into())));
        let system = measured.system(&own);
        let baseline = baseline.map(|baseline| baseline.system(&other));
        Ok(evaluation_page(self.data, self.options, system, baseline, &about, now())?)
    }
}

/// A report on a data set, with what it is of, and next to a baseline if there is one.
pub(super) fn report(
    measured: &Measured,
    about: Map<String, Value>,
    baseline: Option<&Measured>,
    format: ReportFormat,
    setting: &Setting<'_>,
) -> Result<String> {
    let report = &measured.report;
    let against =
        |baseline: &Measured| compare(&baseline.report, report, &CompareOptions::default());
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
        ReportFormat::Html => setting.page(measured, baseline, &about)?,
        ReportFormat::Markdown | ReportFormat::Latex => {
            let model = about.get("settings").and_then(|settings| settings["model"].as_str());
            let name = model.or(about.get("run").and_then(Value::as_str)).unwrap_or_default();
            let baseline = baseline.map(|baseline| (baseline.name.as_str(), &baseline.report));
            document(&board(setting.name, [Some((name, report)), baseline]), format)
        }
    })
}

/// A run compared with a baseline.
pub(super) fn comparison(
    measured: &Measured,
    baseline: &Measured,
    format: ReportFormat,
    setting: &Setting<'_>,
) -> Result<String> {
    let (name, report) = (&measured.name, &measured.report);
    let comparison = compare(&baseline.report, report, &CompareOptions::default())?;
    Ok(match format {
        ReportFormat::Table => {
            let text = format!("baseline: {}\nrun: {name}\n{}", baseline.name, table(&comparison));
            printable_lines(&text).into_owned()
        }
        ReportFormat::Json => {
            let mut json = comparison_json(&comparison);
            json["baseline"] = baseline.name.as_str().into();
            json["run"] = name.as_str().into();
            format!("{json:#}\n")
        }
        ReportFormat::Csv => comparison.to_csv(),
        ReportFormat::Html => setting.page(measured, Some(baseline), &Map::new())?,
        ReportFormat::Markdown | ReportFormat::Latex => {
            let rankings = [(baseline.name.as_str(), &baseline.report), (name.as_str(), report)];
            document(&board(setting.name, rankings.map(Some)), format)
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
