//! The page of training runs: that of a run that goes on, which asks its server for the log, and the
//! report of one or two logs, which has them in it.

use std::path::Path;

use maud::{Markup, html};
use serde_json::json;
use splade_page::{Date, Page, json_block};

use crate::error::LogError;
use crate::json_lines::{self, Contents};
use crate::record::{EndKind, RunInfo};

/// The script that draws [`curves`]; it needs the charts of `splade-page`.
///
/// ```
/// use splade_logs::{CURVES_SCRIPT, LogOptions, LoggedRun, Logs, curves};
/// use splade_page::Page;
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// Logs::open(&LogOptions { json: json.clone(), ..LogOptions::default() })?
///     .train(1, 0.5, &[("loss", 2.0)])?;
///
/// let run = LoggedRun { log: &json, name: "first", running: false };
/// let page = Page { title: "A run", has_charts: true, scripts: &[CURVES_SCRIPT], ..Page::default() };
/// assert!(page.to_html(&curves("run", &[run])?).contains("first"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const CURVES_SCRIPT: &str = include_str!("page/curves.js");

/// The id of the JSON block of a page about runs alone.
const RECORDS: &str = "records";

/// The log of a run.
///
/// ```
/// use splade_logs::{LogOptions, LoggedRun, Logs, report_html};
///
/// let folder = tempfile::tempdir()?;
/// let log = folder.path().join("log.jsonl");
/// Logs::open(&LogOptions { json: log.clone(), ..LogOptions::default() })?
///     .train(1, 0.5, &[("loss", 2.0)])?;
/// // Nobody writes the log any more, and it has no end: the run was killed.
/// let killed = LoggedRun { log: &log, name: "first", running: false };
/// assert!(report_html(killed, None, 1_767_225_600)?.starts_with("<!DOCTYPE html>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LoggedRun<'a> {
    /// The path of the log of JSON lines.
    pub log: &'a Path,
    /// The name of the run where it stands beside another one, and where the log has none.
    pub name: &'a str,
    /// Whether a process still writes the log. A log without an end of which nobody writes more is
    /// that of a run that was killed.
    pub running: bool,
}

/// A log that was read.
struct Read<'a> {
    run: LoggedRun<'a>,
    contents: Contents,
}

impl<'a> Read<'a> {
    fn open(run: LoggedRun<'a>) -> Result<Self, LogError> {
        Ok(Self { contents: json_lines::read(run.log)?, run })
    }

    /// Returns what became of the run.
    fn state(&self) -> &'static str {
        match &self.contents.end {
            _ if self.run.running => "running",
            Some(end) => match end.outcome {
                EndKind::Finished => "finished",
                EndKind::Stopped => "stopped",
                EndKind::Failed => "failed",
            },
            // Early versions logged no end; they logged a summary when a run was finished.
            None if has_summary(&self.contents.lines) => "finished",
            None => "ended without a result",
        }
    }

    /// Returns the run as JSON.
    fn to_json(&self) -> String {
        let name = serde_json::Value::from(self.run.name);
        let state = self.state();
        let records = String::from_utf8(array(&self.contents.lines))
            .expect("records are UTF-8 because they are JSON: this is a bug");
        format!("{{\"name\":{name},\"state\":\"{state}\",\"records\":{records}}}")
    }
}

fn has_summary(lines: &[u8]) -> bool {
    lines.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"{\"kind\":\"summary\""))
}

/// Returns the curves of one run, or of two over each other, as a part of a page that has charts and
/// [`CURVES_SCRIPT`]. `id` is unique on the page.
///
/// ```
/// use splade_logs::{LogOptions, LoggedRun, Logs, curves};
///
/// let folder = tempfile::tempdir()?;
/// let logs = ["first", "second"].map(|name| folder.path().join(name));
/// for log in &logs {
///     Logs::open(&LogOptions { json: log.clone(), ..LogOptions::default() })?
///         .train(1, 0.5, &[("loss", 2.0)])?;
/// }
/// let run = |at: usize, name| LoggedRun { log: &logs[at], name, running: false };
/// let part = curves("both", &[run(0, "first"), run(1, "second")])?.into_string();
/// assert!(part.contains("second"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if a log cannot be read or has a line that is not a record.
pub fn curves(id: &str, runs: &[LoggedRun<'_>]) -> Result<Markup, LogError> {
    let runs: Vec<Read<'_>> = runs.iter().copied().map(Read::open).collect::<Result<_, _>>()?;
    Ok(place(id, &runs, "compact"))
}

/// Returns the place where the script draws runs, with their records.
fn place(id: &str, runs: &[Read<'_>], how: &str) -> Markup {
    let runs: Vec<String> = runs.iter().map(Read::to_json).collect();
    let json = format!("{{\"how\":{},\"runs\":[{}]}}", json!(how), runs.join(","));
    html! {
        div data-runs=(id) {}
        (json_block(id, &json))
    }
}

/// Returns the report of one run, or of a run and a second one that is laid over it, as one HTML file
/// that needs no server. `made` is the time in seconds since 1970.
///
/// ```
/// use splade_logs::{LogOptions, LoggedRun, Logs, report_html};
///
/// let folder = tempfile::tempdir()?;
/// let log = folder.path().join("log.jsonl");
/// Logs::open(&LogOptions { json: log.clone(), ..LogOptions::default() })?
///     .train(1, 0.5, &[("loss", 2.0)])?;
/// let run = LoggedRun { log: &log, name: "first", running: false };
/// let html = report_html(run, None, 1_767_225_600)?;
/// std::fs::write(folder.path().join("report.html"), html)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if a log cannot be read or has a line that is not a record.
pub fn report_html(
    run: LoggedRun<'_>,
    second: Option<LoggedRun<'_>>,
    made: u64,
) -> Result<String, LogError> {
    let first = Read::open(run)?;
    let title = format!("{}: {}", title(first.contents.run.as_ref(), run.name), first.state());
    let facts = facts(&first.contents, run.log);
    let mut runs = vec![first];
    runs.extend(second.map(Read::open).transpose()?);
    Ok(page(&title, &facts, Some(made), &place(RECORDS, &runs, "report")))
}

/// Returns the page of the run that writes a log, which asks the server for the records.
pub(crate) fn live_html(log: &Path) -> String {
    // At the beginning, the log may not be there yet.
    let contents = json_lines::read(log).unwrap_or_default();
    let title = title(contents.run.as_ref(), &folder_name(log));
    page(&title, &facts(&contents, log), None, &place(RECORDS, &[], "live"))
}

fn page(title: &str, facts: &[(String, String)], made: Option<u64>, content: &Markup) -> String {
    let page = Page {
        title,
        facts,
        wide: true,
        has_charts: true,
        scripts: &[CURVES_SCRIPT],
        made,
        ..Page::default()
    };
    page.to_html(content)
}

/// Returns what was run: the kind of training and the name of its config.
fn title(run: Option<&RunInfo>, name: &str) -> String {
    let kind = match run.map(|run| run.command.as_str()) {
        Some("pretrain") => "Pre-training",
        Some("cross-encoder train") => "Training of a cross-encoder",
        _ => "Training",
    };
    let name = run.and_then(|run| run.config.as_deref()).unwrap_or(name);
    format!("{kind}, {name}")
}

fn facts(contents: &Contents, log: &Path) -> Vec<(String, String)> {
    let mut facts: Vec<(&str, String)> = Vec::new();
    if let Some(run) = &contents.run {
        facts.push(("Model at the start", run.model.clone()));
        facts.push(("Data", run.data.clone()));
        facts.push(("Steps", run.steps.to_string()));
    }
    if let Some(begin) = contents.begin {
        facts.push(("Started", Date::of(begin as u64).to_string()));
    }
    if let Some(run) = &contents.run {
        facts.push(("Trained with", format!("light-splade {}", run.version)));
    }
    facts.push(("Log", log.display().to_string()));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns the name of the folder of a log.
fn folder_name(log: &Path) -> String {
    let folder = log.parent().and_then(Path::file_name).unwrap_or(log.as_os_str());
    folder.to_string_lossy().into_owned()
}

/// Joins JSON lines into one array.
pub(crate) fn array(lines: &[u8]) -> Vec<u8> {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    let mut array = Vec::with_capacity(lines.len() + 2);
    array.push(b'[');
    array.extend(lines.iter().map(|byte| if *byte == b'\n' { b',' } else { *byte }));
    array.push(b']');
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined() {
        assert_eq!(array(b"{}\n[]\n"), b"[{},[]]");
        assert_eq!(array(b""), b"[]");
    }
}
