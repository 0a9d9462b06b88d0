//! One page about all steps: times, memory, metrics, curves and sample expansions.

use std::path::Path;

use serde_json::Value;
use splade_eval::page::{Line, escape, line_plot, page, table};
use splade_io::write_file;

use super::plan::{Pipeline, Step};
use super::record::Record;
use super::time::clock;
use crate::error::Error;

/// Terms of an expansion that are shown.
const TERMS: usize = 12;

/// Writes the page of the steps so far.
pub(super) fn write(pipeline: &Pipeline, records: &[(&Step, Record)]) -> Result<(), Error> {
    let mut body = String::new();
    let rows: Vec<Vec<String>> = records.iter().map(|(step, record)| row(step, record)).collect();
    body += &table(&["step", "time", "peak MiB", "command"], &rows);
    for (step, _) in records {
        for path in &step.metrics {
            body += &metrics(&step.name, path);
        }
    }
    for (step, _) in records {
        for path in &step.logs {
            body += &log(&step.name, path);
        }
    }
    Ok(write_file(&pipeline.report(), page(&pipeline.title, &body).as_bytes())?)
}

fn row(step: &Step, record: &Record) -> Vec<String> {
    vec![
        escape(&step.name),
        clock(record.seconds),
        record.peak_mib.map(|peak| format!("{peak:.0}")).unwrap_or_default(),
        format!("<code>light-splade {}</code>", escape(&step.command.join(" "))),
    ]
}

/// Every number of a JSON file that is in an object `metrics`, or at the top, beside that of the
/// `baseline` if there is one.
fn metrics(name: &str, path: &Path) -> String {
    let value =
        std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok());
    let Some(value): Option<Value> = value else {
        return missing(name, path, "no JSON");
    };
    let fields = value["metrics"].as_object().or_else(|| value.as_object());
    let baseline = value["baseline"]["metrics"].as_object();
    let baseline_name = escape(value["baseline"]["name"].as_str().unwrap_or("baseline"));
    let number = |value: &Value| value.as_f64().map(|number| format!("{number:.4}"));
    let row = |(key, value): (&String, &Value)| {
        let of_baseline =
            baseline.map(|metrics| metrics.get(key).and_then(number).unwrap_or_default());
        Some([escape(key), number(value)?].into_iter().chain(of_baseline).collect())
    };
    let rows: Vec<Vec<String>> = fields.into_iter().flatten().filter_map(row).collect();
    let heads: Vec<&str> =
        ["metric", "value"].into_iter().chain(baseline.map(|_| baseline_name.as_str())).collect();
    match rows.is_empty() {
        true => missing(name, path, "no metrics"),
        false => format!("<h2>{}</h2>\n{}", escape(name), table(&heads, &rows)),
    }
}

/// The curves of a training log, and its last expansions beside the first.
fn log(name: &str, path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let records: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |kind: &'static str| records.iter().filter(move |record| record["kind"] == kind);
    let mut html = String::new();
    for (kind, keys) in [
        ("train", &["loss"][..]),
        ("train", &["query_terms", "doc_terms"]),
        ("eval", &["eval_loss"]),
    ] {
        html += &curves(&of(kind).collect::<Vec<_>>(), keys);
    }
    let evaluations: Vec<&Value> = of("eval").collect();
    let retrieval: Vec<&str> = evaluations
        .first()
        .and_then(|record| record.as_object())
        .into_iter()
        .flat_map(|record| record.keys())
        .map(String::as_str)
        .filter(|key| key.contains('@'))
        .collect();
    html += &curves(&evaluations, &retrieval);
    let expansions: Vec<&Value> = of("expansions").collect();
    if let (Some(first), Some(last)) = (expansions.first(), expansions.last()) {
        html += &samples(first, last);
    }
    match html.is_empty() {
        true => missing(name, path, "no records of training"),
        false => format!("<h2>{}</h2>\n{html}", escape(name)),
    }
}

fn curves(records: &[&Value], keys: &[&str]) -> String {
    let line = |key: &&str| Line {
        name: (*key).to_owned(),
        points: records
            .iter()
            .filter_map(|record| Some((record["step"].as_f64()?, record[*key].as_f64()?)))
            .collect(),
    };
    let lines: Vec<Line> =
        keys.iter().map(line).filter(|line: &Line| line.points.len() > 1).collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points().map(|(_, y)| *y).fold(0.0, f64::max);
    if lines.is_empty() || most <= 0.0 {
        return String::new();
    }
    let last = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let ticks = [last / 2.0, last].map(|x| (x, format!("{x:.0}")));
    line_plot(&lines, &ticks, ("step", &keys.join(", ")), (0.0, most))
}

fn samples(first: &Value, last: &Value) -> String {
    let list = |value: &Value| value["samples"].as_array().cloned().unwrap_or_default();
    let before = list(first);
    let rows: Vec<Vec<String>> = list(last)
        .iter()
        .map(|sample| {
            let same =
                |other: &&Value| other["side"] == sample["side"] && other["text"] == sample["text"];
            let cell = |value: &Value| escape(value.as_str().unwrap_or_default());
            vec![
                cell(&sample["side"]),
                cell(&sample["text"]),
                before.iter().find(same).map(terms).unwrap_or_default(),
                terms(sample),
            ]
        })
        .collect();
    let heads = ["side", "text", "at the first evaluation", "at the last"];
    if rows.is_empty() { String::new() } else { table(&heads, &rows) }
}

fn terms(sample: &Value) -> String {
    let terms = sample["terms"].as_array().into_iter().flatten().take(TERMS);
    let term = |pair: &Value| {
        let weight = pair[1].as_f64().unwrap_or_default();
        format!("{} {weight:.2}", escape(pair[0].as_str().unwrap_or_default()))
    };
    terms.map(term).collect::<Vec<_>>().join(", ")
}

fn missing(name: &str, path: &Path, what: &str) -> String {
    format!("<h2>{}</h2>\n<p>{what} in {}</p>\n", escape(name), escape(&path.display().to_string()))
}
