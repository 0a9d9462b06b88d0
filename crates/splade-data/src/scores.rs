//! A file of teacher scores: each line contains a query and the scores of its documents.
//!
//! ```
//! use splade_data::ScoreFile;
//! use splade_data::scores::score_line;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("scores.ndjson");
//! std::fs::write(&path, score_line(1, [(7, 9.0), (3, 0.5)]) + "\n")?;
//! let file = ScoreFile::open_known(&path, |_| true, |_| true)?;
//! assert_eq!(file.scores(0)?, [(3, 0.5), (7, 9.0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::path::Path;

use super::problems::Findings;
use super::record::{self, Schema, ScoresLine};
use super::table::Table;
use crate::error::DataError;

/// Returns a line of a score file, without its line end.
///
/// ```
/// use splade_data::scores::score_line;
///
/// let line = score_line(1, [(7, 9.0), (3, 0.5)]);
/// let line: serde_json::Value = serde_json::from_str(&line)?;
/// assert_eq!(line["scores"]["7"], 9.0);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn score_line(query: i64, scores: impl IntoIterator<Item = (i64, f32)>) -> String {
    // The `Debug` form is the shortest text that is parsed as the same number, and it has a decimal
    // point: 1.0, not 1.
    let pairs = scores.into_iter().map(|(doc, score)| format!("\"{doc}\": {score:?}"));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    format!("{{\"qid\": {query}, \"scores\": {{{pairs}}}}}")
}

/// A memory-mapped score file, or folder of such files, whose lines have all been checked.
///
/// ```
/// use splade_data::ScoreFile;
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let path = toy.join("train/hard_negative_scores.ndjson");
/// let file = ScoreFile::open_known(&path, |_| true, |_| true)?;
/// assert_eq!((file.query(0), file.documents(0)), (1, 8));
/// // A document without a text is an error.
/// assert!(ScoreFile::open_known(&path, |_| true, |doc| doc < 100).is_err());
/// # Ok::<(), splade_data::DataError>(())
/// ```
#[derive(Debug)]
pub struct ScoreFile {
    table: Table,
    /// For each line, the id of its query and the number of its documents.
    lines: Vec<(i64, u32)>,
}

impl ScoreFile {
    /// Opens the file and reads every line. `check` returns what is wrong with a line, or `None`.
    pub fn open(
        path: &Path,
        check: impl Fn(i64, &[(i64, f32)]) -> Option<String> + Sync,
    ) -> Result<Self, DataError> {
        let table = Table::open(path)?;
        let mut findings = Findings::default();
        let lines = table.map(&mut findings, |found, line, bytes| {
            match record::read::<ScoresLine>(Schema::Scores, bytes) {
                Ok(ScoresLine { qid, scores }) => {
                    if let Some(message) = check(qid, &scores.0) {
                        found.reference(|| format!("{message} {}", table.place(line)));
                    }
                    (qid, scores.0.len() as u32)
                }
                Err(message) => {
                    found.line(|| format!("{message} {}", table.place(line)));
                    (0, 0)
                }
            }
        });
        let mut seen = HashMap::with_capacity(lines.len());
        for (line, (qid, _)) in lines.iter().enumerate() {
            if let Some(earlier) = seen.insert(*qid, line) {
                let earlier = table.place(earlier);
                findings.reference(|| {
                    format!("qid {qid} already has scores {earlier} {}", table.place(line))
                });
            }
        }
        findings.into_warnings(&path.display().to_string())?;
        if lines.is_empty() {
            return Err(DataError::Empty { name: "file of scores", path: path.to_path_buf() });
        }
        Ok(Self { table, lines })
    }

    /// Opens the file and refuses pairs whose query or document has no text.
    ///
    /// # Errors
    /// Returns an error if a line cannot be parsed, if a query occurs twice, or if a query or a
    /// document has no text.
    pub fn open_known(
        path: &Path,
        has_query: impl Fn(i64) -> bool + Sync,
        has_doc: impl Fn(i64) -> bool + Sync,
    ) -> Result<Self, DataError> {
        Self::open(path, |qid, scores| {
            if !has_query(qid) {
                return Some(format!("qid {qid} does not exist in the query master"));
            }
            let (doc, _) = scores.iter().find(|(doc, _)| !has_doc(*doc))?;
            Some(format!("doc_id {doc} of qid {qid} does not exist in document master"))
        })
    }

    /// Returns the number of lines, which is the number of queries.
    #[allow(clippy::len_without_is_empty, reason = "there is always a line")]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Returns the id of the query of a line.
    pub fn query(&self, line: usize) -> i64 {
        self.lines[line].0
    }

    /// Returns the number of documents in a line.
    pub fn documents(&self, line: usize) -> usize {
        self.lines[line].1 as usize
    }

    /// Returns the documents of a line and their scores, in ascending order of the document ids.
    ///
    /// # Errors
    /// Returns an error if the file was changed after it was opened.
    pub fn scores(&self, line: usize) -> Result<Vec<(i64, f32)>, DataError> {
        match record::read::<ScoresLine>(Schema::Scores, self.table.line(line)) {
            Ok(read) if read.qid == self.query(line) => Ok(read.scores.0),
            _ => {
                let what = format!("the scores are no longer there {}", self.table.place(line));
                Err(DataError::Changed { what })
            }
        }
    }
}
