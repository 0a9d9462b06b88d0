//! What would make the numbers of a data set wrong or meaningless: ids without texts, judgements of
//! documents that do not exist, empty texts, and what a training run stumbles over.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_data::FolderCheck;
use splade_eval::check::{Finding, check, half_characters};
use splade_eval::{Dataset, Qrels};
use splade_io::counted;

use crate::error::{Error, invalid};
use crate::evaluate::finding_line;

/// The number of ids that a warning lists.
const EXAMPLES: usize = 5;

/// What [`check_data`] found.
///
/// ```
/// use light_splade::evaluation::{DataReport, check_data};
///
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy");
/// let report = check_data(data.as_ref(), None)?;
/// let DataReport::Training(folders) = &report else { panic!("it has training data") };
/// assert!(folders.len() == 2 && report.is_sound());
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DataReport {
    /// A data set of documents, queries and judgements, as evaluations read it.
    Retrieval {
        /// The number of documents.
        documents: u64,
        /// The number of queries.
        queries: u64,
        /// The number of queries that are judged.
        judged_queries: usize,
        /// What is wrong, one kind of problem each.
        findings: Vec<Finding>,
        /// What was noticed while the judgements were read, such as repeated ones.
        notes: Vec<String>,
    },
    /// Folders of training data: those of training and of validation.
    Training(Vec<FolderCheck>),
}

impl DataReport {
    /// Whether nothing is wrong. Warnings of training data do not count.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Retrieval { findings, .. } => findings.is_empty(),
            Self::Training(checks) => checks.iter().all(|check| check.problems == 0),
        }
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        match self {
            Self::Retrieval { documents, queries, judged_queries, findings, notes } => {
                let sizes = format!(
                    "{}, {}, {judged_queries} judged",
                    counted(*documents, "documents"),
                    counted(*queries, "queries")
                );
                let notes = notes.iter().map(|note| format!("note: {note}"));
                let lines = [sizes].into_iter().chain(findings.iter().map(finding_line));
                lines.chain(notes).map(|line| line + "\n").collect()
            }
            Self::Training(checks) => checks.iter().map(training_text).collect(),
        }
    }

    /// The report as a JSON object.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Retrieval { documents, queries, judged_queries, findings, notes } => {
                let problems: Vec<Value> = findings.iter().map(problem).collect();
                json!({
                    "documents": documents,
                    "queries": queries,
                    "judged_queries": judged_queries,
                    "problems": problems,
                    "notes": notes,
                })
            }
            Self::Training(checks) => {
                json!({"folders": checks.iter().map(training_json).collect::<Vec<_>>()})
            }
        }
    }
}

/// Looks for what is wrong in a folder of BEIR or of light-splade, or in the folder above
/// light-splade's `train` and `validation`. Of BEIR's splits one is looked at, or all of them where
/// none is named.
///
/// ```
/// use light_splade::evaluation::check_data;
///
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
/// let report = check_data(data.as_ref(), None)?;
/// assert!(report.is_sound(), "{}", report.to_text());
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the folder cannot be read, or has no such split. What is wrong with the data is no error but
/// in the report.
pub fn check_data(data: &Path, split: Option<&str>) -> Result<DataReport, Error> {
    let folders = training_folders(data);
    if !folders.is_empty() {
        if let Some(split) = split {
            return Err(invalid(format!(
                "there is no split \"{split}\": light-splade's data has one folder each"
            )));
        }
        let checks = folders.iter().map(|folder| FolderCheck::run(folder));
        return Ok(DataReport::Training(checks.collect::<Result<_, _>>()?));
    }
    let dataset = Dataset::open(data)?;
    let (mut documents, mut queries) = (0u64, 0u64);
    let (qrels, notes) = qrels(&dataset, split)?;
    let (all_documents, all_queries) = (dataset.documents(), dataset.queries());
    let repairs = (all_documents.repairs(), all_queries.repairs());
    let mut findings = check(
        all_documents.inspect(|_| documents += 1),
        all_queries.inspect(|_| queries += 1),
        &qrels,
    )?;
    findings.extend(half_characters(&repairs.0, &repairs.1));
    let judged_queries = qrels.len();
    Ok(DataReport::Retrieval { documents, queries, judged_queries, findings, notes })
}

/// The judgements of a split, or of all splits together, and what was noticed in their files.
fn qrels(dataset: &Dataset, split: Option<&str>) -> Result<(Qrels, Vec<String>), Error> {
    let splits: Vec<Option<&str>> = match split {
        None if dataset.splits().next().is_some() => dataset.splits().map(Some).collect(),
        split => vec![split],
    };
    let (mut all, mut notes) = (Qrels::default(), Vec::new());
    for split in splits {
        let qrels = dataset.qrels(split)?;
        notes.extend_from_slice(qrels.notes());
        for (query, grades) in qrels.iter() {
            for (document, grade) in grades {
                // A pair that two splits judge is checked once.
                all.insert(query, document, *grade);
            }
        }
    }
    Ok((all, notes))
}

/// The folders of a training set: `train` and `validation` below the one that was named, or that
/// one if it has triplets or scores. None if it is something else.
fn training_folders(folder: &Path) -> Vec<PathBuf> {
    if FolderCheck::has_masters(folder) {
        let own = Some(folder).filter(|folder| FolderCheck::is_for_training(folder));
        return own.map(Path::to_path_buf).into_iter().collect();
    }
    let parts = ["train", "validation"].map(|part| folder.join(part));
    parts.into_iter().filter(|part| FolderCheck::has_masters(part)).collect()
}

fn problem(finding: &Finding) -> Value {
    json!({
        "problem": finding.check.to_string(),
        "count": finding.count,
        "examples": finding.examples,
    })
}

/// What is there, what is wrong with it and what is odd.
fn training_text(check: &FolderCheck) -> String {
    let mut text = check.folder.display().to_string();
    let counts = [
        (Some(check.documents), "documents"),
        (Some(check.queries), "queries"),
        (Some(check.positives), "positives"),
        (check.triplets, "triplets"),
        (check.scores, "scores"),
    ];
    let counts = counts.into_iter().filter_map(|(count, noun)| Some(counted(count?, noun)));
    _ = write!(text, ": {}", counts.collect::<Vec<_>>().join(", "));
    text.push('\n');
    if check.problems > 0 {
        let shown = check.shown.len();
        let more = match check.problems > shown as u64 {
            true => format!("; the first {shown}"),
            false => String::new(),
        };
        _ = writeln!(text, "{}{more}:", counted(check.problems, "problems"));
        check.shown.iter().for_each(|problem| _ = writeln!(text, "  {problem}"));
    }
    warnings(check).iter().for_each(|warning| _ = writeln!(text, "warning: {warning}"));
    text
}

fn training_json(check: &FolderCheck) -> Value {
    json!({
        "folder": check.folder,
        "documents": check.documents,
        "queries": check.queries,
        "positives": check.positives,
        "triplets": check.triplets,
        "scores": check.scores,
        "problems": check.problems,
        "examples": check.shown,
        "warnings": warnings(check),
    })
}

/// Warnings, with the ids that matter where the set is searched.
fn warnings(check: &FolderCheck) -> Vec<String> {
    let mut warnings = check.warnings.clone();
    let trained = check.triplets.is_some() || check.scores.is_some();
    let searched = check.folder.ends_with("validation") || !trained;
    if searched && !check.shared_ids.is_empty() {
        let ids: Vec<_> = check.shared_ids.iter().take(EXAMPLES).map(i64::to_string).collect();
        let count = check.shared_ids.len();
        let more = if count > EXAMPLES { ", …" } else { "" };
        warnings.push(format!(
            "{}: {}{more}",
            counted(count, "queries with the id of a document"),
            ids.join(", ")
        ));
    }
    warnings
}
