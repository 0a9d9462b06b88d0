//! Checks the files in a folder of training data, without a config.

use std::path::{Path, PathBuf};

use super::problems::Findings;
use super::set::{Set, SetPaths};
use crate::error::DataError;

/// The contents of one folder of training data and the problems that were found in it.
///
/// ```
/// use splade_data::FolderCheck;
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let check = FolderCheck::run(&toy.join("train"))?;
/// assert_eq!(check.problems, 0, "{:?}", check.shown);
/// println!("{} queries, {} documents", check.queries, check.documents);
/// # Ok::<(), splade_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderCheck {
    /// The path of the folder that was checked.
    pub folder: PathBuf,
    /// The number of documents in `doc_master`.
    pub documents: usize,
    /// The number of queries in `query_master`.
    pub queries: usize,
    /// The number of pairs of a query and a positive document.
    pub positives: usize,
    /// The number of triplets; `None` if the folder has no `triplets`.
    pub triplets: Option<usize>,
    /// The number of pairs of a query and a document with a teacher score; `None` if the folder has
    /// no `hard_negative_scores`.
    pub scores: Option<usize>,
    /// The ids that a query and a document share, in ascending order. The evaluation of the Python
    /// library drops such a document from the results of the query with the same id.
    pub shared_ids: Vec<i64>,
    /// The number of all problems.
    pub problems: u64,
    /// The messages of the first ten problems, each with file and line.
    pub shown: Vec<String>,
    /// Warnings about data that is unusual but usable.
    pub warnings: Vec<String>,
}

impl FolderCheck {
    /// Returns whether the folder has triplets or teacher scores. A folder without either cannot be
    /// trained on.
    pub fn is_for_training(folder: &Path) -> bool {
        part(folder, "triplets").is_some() || part(folder, "hard_negative_scores").is_some()
    }

    /// Returns whether the folder has a document master or a query master.
    pub fn has_masters(folder: &Path) -> bool {
        part(folder, "doc_master").is_some() || part(folder, "query_master").is_some()
    }

    /// Reads and checks the files of a folder: `doc_master`, `query_master` and `positive_lists`,
    /// and also `triplets` and `hard_negative_scores` if they exist. Each of them is a `.ndjson` or
    /// `.ndjson.gz` file, or a folder of such files.
    ///
    /// # Errors
    /// Returns an error if one of the first three is missing or a file cannot be read. Problems in
    /// the contents of the files are not errors; they are listed in the returned value.
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

/// Reads a data set that was just written and returns the warnings about data that is unusual but
/// usable.
///
/// # Errors
/// Returns an error if the data set cannot be trained on.
pub(crate) fn verify(paths: SetPaths<'_>, what: &str) -> Result<Vec<String>, DataError> {
    let mut findings = Findings::default();
    Set::read(paths, &mut findings)?;
    findings.into_warnings(what)
}

/// Returns the path of a required part of a data set, or an error if the part is missing.
pub(crate) fn needed_part(folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    part(folder, name).ok_or_else(|| {
        let message = format!("there is no {name}.ndjson, {name}.ndjson.gz or folder {name}");
        DataError::form(folder, message)
    })
}

/// Returns the path of a part of a data set; `None` if the folder does not contain the part.
fn part(folder: &Path, name: &str) -> Option<PathBuf> {
    let files = [".ndjson", ".ndjson.gz"].map(|suffix| folder.join(format!("{name}{suffix}")));
    let file = files.into_iter().find(|path| path.is_file());
    file.or_else(|| Some(folder.join(name)).filter(|path| path.is_dir()))
}
