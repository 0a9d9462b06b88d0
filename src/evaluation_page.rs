//! The page about an evaluation: what was measured, in words, around the results of `splade-eval`.

use std::path::Path;

use serde_json::{Map, Value};
use splade_eval::compare::{CompareOptions, compare};
use splade_eval::{Dataset, EvaluationPage, System};

use crate::error::Error;
use crate::evaluate::EvaluateOptions;

/// The settings of [`Evaluation::about`](crate::Evaluation::about) that the page shows, with their
/// names for people.
const SETTINGS: [(&str, &str); 7] = [
    ("model", "Model"),
    ("revision", "Revision"),
    ("precision", "Precision"),
    ("max_length", "Longest text"),
    ("weights", "Weights in the index"),
    ("depth", "Documents per query"),
    ("index", "Index"),
];

/// Returns a page about an evaluation: means, tests against a baseline, curves by cut-off, and for each
/// metric the queries that differ most with the first documents and those that were judged relevant.
/// `about` is [`Evaluation::about`](crate::Evaluation::about), or empty for a ranking from a file; its
/// value `compared_with` says more about the baseline than the name.
/// `made` is the time of the page in seconds since 1970.
///
/// The page is one HTML file that loads nothing from elsewhere. Queries and documents of `data` are
/// read once for their texts.
///
/// ```
/// use light_splade::evaluation::{System, evaluation_page};
/// use light_splade::{EvaluateOptions, SparseEncoder, SparseEncoderOptions, evaluate};
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
/// let options = EvaluateOptions::default();
/// let found = evaluate(&encoder, data.as_ref(), &options, &mut ())?;
/// let system = System { name: "mini-ja-en", report: &found.report, run: &found.run };
/// let page = evaluation_page(data.as_ref(), &options, system, None, &found.about, 1_700_000_000)?;
/// assert!(page.contains("<title>mini-ja-en on toy-beir</title>"));
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the data set cannot be read, or the systems have no query in common.
pub fn evaluation_page(
    data: &Path,
    options: &EvaluateOptions,
    system: System<'_>,
    baseline: Option<System<'_>>,
    about: &Map<String, Value>,
    made: u64,
) -> Result<String, Error> {
    let dataset = Dataset::open(data)?;
    let qrels = dataset.qrels(options.split.as_deref())?;
    let against =
        |baseline: System<'_>| compare(baseline.report, system.report, &CompareOptions::default());
    let comparison = baseline.map(against).transpose()?;
    let facts = facts(data, options, (system.name, baseline.map(|baseline| baseline.name)), about);
    let page = EvaluationPage {
        data: &name_of(data),
        facts: &facts,
        system,
        baseline: baseline.zip(comparison.as_ref()),
        qrels: &qrels,
        made,
    };
    Ok(page.to_html(&dataset)?)
}

fn facts(
    data: &Path,
    options: &EvaluateOptions,
    (system, baseline): (&str, Option<&str>),
    about: &Map<String, Value>,
) -> Vec<(String, String)> {
    let mut facts = vec![("Data", data.display().to_string())];
    facts.extend(options.split.clone().map(|split| ("Split", split)));
    facts.extend(about.get("documents").map(|count| ("Documents", shown(count))));
    let settings = about.get("settings");
    for (key, name) in SETTINGS {
        let value = settings.and_then(|settings| settings.get(key));
        facts.extend(value.filter(|value| !value.is_null()).map(|value| (name, shown(value))));
    }
    if settings.is_none() {
        facts.push(("Ranking", system.to_owned()));
    }
    let compared = about.get("compared_with").map(shown);
    facts.extend(compared.or(baseline.map(str::to_owned)).map(|name| ("Compared with", name)));
    if options.drop_same_id {
        facts.push(("Left out", "the document with the id of the query".to_owned()));
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A value as a person reads it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null() && !value.is_object());
            fields
                .map(|(name, value)| format!("{name} {}", shown(value)))
                .collect::<Vec<_>>()
                .join(", ")
        }
        other => other.to_string(),
    }
}

/// The name of a data set: that of its folder, behind that of the set where the folder is a part of it.
fn name_of(data: &Path) -> String {
    let full = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let own = name(&full).unwrap_or_else(|| data.display().to_string());
    match full.parent().and_then(name) {
        Some(set) if ["train", "validation", "test"].contains(&own.as_str()) => {
            format!("{set}/{own}")
        }
        _ => own,
    }
}
