//! The page about all steps: their states, times and outputs, metrics, curves and sample expansions.

use std::path::Path;

use maud::{Markup, html};
use serde_json::Value;
use splade_io::{counted, write_file};
use splade_logs::{CURVES_SCRIPT, LoggedRun, curves};
use splade_page::{Page, Tone, banner, duration, now, quoted, scrolling};

use super::machine::machine;
use super::plan::{Pipeline, Step};
use super::record::Record;
use crate::error::Error;

/// What became of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// It has not been looked at yet.
    Waiting,
    /// The step is running.
    Running,
    /// The step has run to its end.
    Done,
    /// Nothing changed since it ran.
    Unchanged,
    /// It was stopped, and the same pipeline goes on with it.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
}

impl State {
    /// Returns the name for people, and the class of the stylesheet.
    fn shown(&self) -> (&'static str, &'static str) {
        match self {
            Self::Waiting => ("not yet run", "badge"),
            Self::Running => ("running", "badge running"),
            Self::Done => ("done", "badge done"),
            Self::Unchanged => ("done earlier", "badge done"),
            Self::Stopped => ("stopped", "badge failed"),
            Self::Failed(_) => ("failed", "badge failed"),
        }
    }
}

/// A step on the page.
pub(super) struct Row<'a> {
    pub(super) step: &'a Step,
    pub(super) state: State,
    /// What is recorded of the step.
    pub(super) record: Option<Record>,
}

/// Writes the page of a pipeline with the state of its steps.
pub(super) fn write(pipeline: &Pipeline, rows: &[Row<'_>]) -> Result<(), Error> {
    let content = html! {
        (outcome(rows))
        h2 { "Steps" }
        (steps(rows, &pipeline.work))
        @for row in rows {
            @for path in &row.step.metrics {
                @if is_made(row) { (metrics(&row.step.name, path)) }
            }
        }
        @for (number, row) in rows.iter().enumerate() {
            @for (log, path) in row.step.logs.iter().enumerate() {
                @if row.state != State::Waiting { (training(row, path, &format!("log-{number}-{log}"))) }
            }
        }
    };
    let page = Page {
        title: &pipeline.title,
        facts: &facts(pipeline, rows),
        wide: true,
        has_charts: true,
        scripts: &[CURVES_SCRIPT],
        made: Some(now()),
        ..Page::default()
    };
    Ok(write_file(&pipeline.report(), page.to_html(&content).as_bytes())?)
}

fn is_made(row: &Row<'_>) -> bool {
    matches!(row.state, State::Done | State::Unchanged)
}

fn facts(pipeline: &Pipeline, rows: &[Row<'_>]) -> Vec<(String, String)> {
    let seconds: f64 = rows.iter().filter_map(|row| Some(row.record.as_ref()?.seconds)).sum();
    let outputs = |step: &Step| {
        step.outputs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let result = pipeline.steps.last().map(outputs).unwrap_or_default();
    let facts = [
        ("Total time", duration(seconds)),
        ("Result", result),
        ("Work folder", pipeline.work.display().to_string()),
        ("Machine", machine()),
        ("Version", format!("light-splade {}", env!("CARGO_PKG_VERSION"))),
    ];
    facts.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// Returns what became of the whole pipeline.
fn outcome(rows: &[Row<'_>]) -> Markup {
    let done = rows.iter().filter(|row| is_made(row)).count();
    let so_far = format!("{done} of {} are done", counted(rows.len(), "steps"));
    let current = rows.iter().find(|row| !is_made(row) && row.state != State::Waiting);
    let (tone, text) = match current.map(|row| (&row.state, &row.step.name)) {
        None if done == rows.len() => (Tone::Good, "All steps are done.".to_owned()),
        None => (Tone::Plain, format!("{so_far}.")),
        Some((State::Failed(why), name)) => (
            Tone::Bad,
            format!(
                "Step {name} failed: {why}. Its messages are in steps/{name}.log of the work folder. {so_far}."
            ),
        ),
        Some((State::Stopped, name)) => (
            Tone::Warning,
            format!("Step {name} was stopped; the same command goes on with it. {so_far}."),
        ),
        Some((_, name)) => {
            (Tone::Plain, format!("Step {name} was running when this page was made. {so_far}."))
        }
    };
    banner(tone, &html! { p { (text) } })
}

/// The steps in a table. What they make is named from the work folder on, where it is in there.
fn steps(rows: &[Row<'_>], work: &Path) -> Markup {
    let in_work = |path: &Path| path.strip_prefix(work).unwrap_or(path).display().to_string();
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "Step" }
                th scope="col" { "State" }
                th scope="col" class="number" { "Time" }
                th scope="col" class="number" { "Peak memory" }
                th scope="col" { "Makes" }
                th scope="col" { "Command" }
            } }
            tbody {
                @for row in rows {
                    @let (name, class) = row.state.shown();
                    @let record = row.record.as_ref();
                    tr {
                        th scope="row" { (row.step.name) }
                        td { span class=(class) { (name) } }
                        td class="number" { (record.map(|record| duration(record.seconds)).unwrap_or_default()) }
                        td class="number" {
                            @if let Some(peak) = record.and_then(|record| record.peak_mib) { (format!("{peak:.0} MiB")) }
                        }
                        td class="wrap" { @for path in &row.step.outputs { div { code { (in_work(path)) } } } }
                        td class="wrap long" { code { "light-splade " (row.step.command.join(" ")) } }
                    }
                }
            }
        }
    };
    scrolling("Steps", &table)
}

/// Every number of a JSON file that is in an object `metrics`, or at the top, beside that of the
/// `baseline` if there is one.
fn metrics(name: &str, path: &Path) -> Markup {
    let value =
        std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok());
    let Some(value): Option<Value> = value else {
        return missing(name, path, "There is no JSON");
    };
    let fields = value["metrics"].as_object().or_else(|| value.as_object());
    let baseline = value["baseline"]["metrics"].as_object();
    let baseline_name = value["baseline"]["name"].as_str().unwrap_or("baseline");
    let numbers = |(key, value): (&String, &Value)| {
        let other = baseline.map(|metrics| metrics.get(key).and_then(Value::as_f64));
        Some((key.clone(), value.as_f64()?, other))
    };
    let rows: Vec<_> = fields.into_iter().flatten().filter_map(numbers).collect();
    if rows.is_empty() {
        return missing(name, path, "There are no metrics");
    }
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "Metric" }
                th scope="col" class="number" { "Value" }
                @if baseline.is_some() {
                    th scope="col" class="number" { (quoted(baseline_name)) }
                    th scope="col" class="number" { "Difference" }
                }
            } }
            tbody {
                @for (key, value, other) in &rows {
                    tr {
                        th scope="row" { (key) }
                        td class="number" { (format!("{value:.4}")) }
                        @if let Some(other) = other {
                            td class="number" { @if let Some(other) = other { (format!("{other:.4}")) } }
                            @let difference = other.map(|other| value - other);
                            td class=(class_of(difference)) { @if let Some(difference) = difference { (format!("{difference:+.4}")) } }
                        }
                    }
                }
            }
        }
    };
    html! {
        h2 { "Metrics of step " (name) }
        (scrolling(&format!("Metrics of step {name}"), &table))
    }
}

/// The class of a difference of metrics as it is shown, with four decimals.
fn class_of(difference: Option<f64>) -> &'static str {
    match difference {
        Some(difference) if difference >= 0.00005 => "number better",
        Some(difference) if difference <= -0.00005 => "number worse",
        _ => "number",
    }
}

/// The curves of a training log, and its last expansions beside the first.
fn training(row: &Row<'_>, path: &Path, id: &str) -> Markup {
    let name = &row.step.name;
    let run = LoggedRun { log: path, name, running: row.state == State::Running };
    match curves(id, &[run]) {
        Ok(curves) => html! {
            section { h2 { "Training of step " (name) } (curves) }
        },
        Err(_) => missing(name, path, "There are no records of training"),
    }
}

fn missing(name: &str, path: &Path, what: &str) -> Markup {
    html! {
        h2 { "Step " (name) }
        p { (what) " in " code { (path.display()) } "." }
    }
}
