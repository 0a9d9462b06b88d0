//! A file of scores, line by line: documents of queries with what a teacher thinks of them.

use std::collections::HashMap;
use std::path::Path;

use super::problems::Findings;
use super::record::{self, Schema, ScoresLine};
use super::table::Table;
use crate::error::DataError;

/// A line of such a file, without its end.
pub fn score_line(query: i64, scores: impl IntoIterator<Item = (i64, f32)>) -> String {
    // Debug's form is the shortest that is read as the same number, with a point: 1.0, not 1.
    let pairs = scores.into_iter().map(|(doc, score)| format!("\"{doc}\": {score:?}"));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    format!("{{\"qid\": {query}, \"scores\": {{{pairs}}}}}")
}

/// A mapped file, or folder of files, in which every line was read once.
#[derive(Debug)]
pub struct ScoreFile {
    table: Table,
    /// By line: its query, and how many documents it has.
    lines: Vec<(i64, u32)>,
}

impl ScoreFile {
    /// Opens the file and reads every line. `check` says what is wrong with one, if anything is.
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
                    format!("qid {qid} has scores already {earlier} {}", table.place(line))
                });
            }
        }
        findings.into_warnings(&path.display().to_string())?;
        if lines.is_empty() {
            return Err(DataError::Empty { name: "file of scores", path: path.to_path_buf() });
        }
        Ok(Self { table, lines })
    }

    /// The same, refusing pairs without a text.
    ///
    /// # Errors
    /// If a line is not sound, or a query is there twice or has no text, or a document of it.
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

    /// Lines, which are queries.
    #[allow(clippy::len_without_is_empty, reason = "there is always a line")]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The query of a line.
    pub fn query(&self, line: usize) -> i64 {
        self.lines[line].0
    }

    /// Documents of a line.
    pub fn documents(&self, line: usize) -> usize {
        self.lines[line].1 as usize
    }

    /// Documents and scores of a line, ascending by document.
    ///
    /// # Errors
    /// If the file was changed meanwhile.
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
