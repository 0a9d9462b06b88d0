//! A look at the folders of a training set, without a config.

use std::path::{Path, PathBuf};

use super::problems::Findings;
use super::set::{Set, SetPaths};
use crate::error::DataError;

/// What is in one folder of a training set, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderCheck {
    /// The folder.
    pub folder: PathBuf,
    /// Documents.
    pub documents: usize,
    /// Queries.
    pub queries: usize,
    /// Pairs of a query and a positive document.
    pub positives: usize,
    /// Triplets, where there are such.
    pub triplets: Option<usize>,
    /// Pairs of a query and a document with a teacher's score, where there are such.
    pub scores: Option<usize>,
    /// Queries that have the id of a document, ascending. The Python library's evaluation drops
    /// that document from the query's results.
    pub shared_ids: Vec<i64>,
    /// All problems.
    pub problems: u64,
    /// The first ten of them, with file and line.
    pub shown: Vec<String>,
    /// What is odd but can be used.
    pub warnings: Vec<String>,
}

impl FolderCheck {
    /// Whether a folder has triplets or teacher scores: others are no folders to train on.
    pub fn is_for_training(folder: &Path) -> bool {
        part(folder, "triplets").is_some() || part(folder, "hard_negative_scores").is_some()
    }

    /// Whether a folder has masters at all.
    pub fn has_masters(folder: &Path) -> bool {
        part(folder, "doc_master").is_some() || part(folder, "query_master").is_some()
    }

    /// Reads `doc_master`, `query_master` and `positive_lists` of a folder, and `triplets` and
    /// `hard_negative_scores` where they are there: each a file `.ndjson` or `.ndjson.gz`, or a
    /// folder of such.
    ///
    /// # Errors
    /// If one of the first three is missing or a file cannot be read. Problems of what they hold
    /// are the result.
    pub fn run(folder: &Path) -> Result<Self, DataError> {
        let docs = needed_part(folder, "doc_master")?;
        let queries = needed_part(folder, "query_master")?;
        let positives = needed_part(folder, "positive_lists")?;
        let [triplets, scores] =
            ["triplets", "hard_negative_scores"].map(|name| part(folder, name));
        let paths = SetPaths {
            docs: &docs,
            queries: &queries,
            positives: &positives,
            triplets: triplets.as_deref(),
            scores: scores.as_deref(),
        };
        let mut findings = Findings::default();
        let set = Set::read(paths, &mut findings)?;
        let mut shared_ids: Vec<i64> =
            set.queries.ids().filter(|qid| set.docs.row(*qid).is_some()).collect();
        shared_ids.sort_unstable();
        let (problems, shown) = findings.problems();
        Ok(Self {
            folder: folder.to_path_buf(),
            documents: set.docs.len(),
            queries: set.queries.len(),
            positives: set.positives.items(),
            triplets: set.triplets.as_ref().map(Vec::len),
            scores: set.scores.as_ref().map(|scores| scores.items()),
            shared_ids,
            problems,
            shown: shown.to_vec(),
            warnings: findings.warnings(),
        })
    }
}

/// Reads a set that was just written; what is odd in it but usable comes as warnings.
///
/// # Errors
/// If it cannot be trained on.
pub(crate) fn verify(paths: SetPaths<'_>, what: &str) -> Result<Vec<String>, DataError> {
    let mut findings = Findings::default();
    Set::read(paths, &mut findings)?;
    findings.into_warnings(what)
}

/// A part that a set must have.
pub(crate) fn needed_part(folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    part(folder, name).ok_or_else(|| {
        let message = format!("there is no {name}.ndjson, {name}.ndjson.gz or folder {name}");
        DataError::form(folder, message)
    })
}

/// A part of a set by its name.
fn part(folder: &Path, name: &str) -> Option<PathBuf> {
    let files = [".ndjson", ".ndjson.gz"].map(|suffix| folder.join(format!("{name}{suffix}")));
    let file = files.into_iter().find(|path| path.is_file());
    file.or_else(|| Some(folder.join(name)).filter(|path| path.is_dir()))
}
