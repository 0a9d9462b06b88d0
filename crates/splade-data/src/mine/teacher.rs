//! Teacher scores by query and document, 16 bytes a pair.

use std::path::Path;

use rustc_hash::FxHashMap;

use crate::error::DataError;
use crate::{Findings, Schema, ScoresLine, Table, find_files, read_record};

/// The teacher scores of pairs of queries and documents, in the format of light-splade.
///
/// ```
/// use splade_data::mine::{TeacherScores};
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let teacher = TeacherScores::open(&toy.join("train/hard_negative_scores.ndjson"))?;
/// assert_eq!((teacher.score(1, 1), teacher.score(1, 999)), (Some(9.0), None));
/// # Ok::<(), splade_data::DataError>(())
/// ```
#[derive(Debug, Default)]
pub struct TeacherScores {
    /// For each query, the documents in ascending order with their scores.
    queries: FxHashMap<i64, Vec<(i64, f32)>>,
}

impl TeacherScores {
    /// Reads hard-negative scores from a `.ndjson` or `.ndjson.gz` file or a folder of such files.
    ///
    /// # Errors
    /// Returns an error if a line cannot be parsed or a query occurs twice.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let table = Table::of(find_files(path)?, path)?;
        let mut findings = Findings::default();
        let rows = table.map(&mut findings, |found, line, bytes| {
            match read_record::<ScoresLine>(Schema::Scores, bytes) {
                Ok(ScoresLine { qid, scores }) => (qid, scores.0),
                Err(message) => {
                    found.line(|| format!("{message} {}", table.place(line)));
                    Default::default()
                }
            }
        });
        findings.into_warnings(&path.display().to_string())?;
        let mut queries = FxHashMap::default();
        for (line, (qid, scores)) in rows.into_iter().enumerate() {
            if queries.insert(qid, scores).is_some() {
                let place = table.place(line);
                let message = format!("qid {qid} occurs twice");
                return Err(DataError::Record { message, place });
            }
        }
        Ok(Self { queries })
    }

    /// Returns the score of a pair; `None` if the teacher has not scored it.
    pub fn score(&self, query: i64, doc: i64) -> Option<f32> {
        let scores = self.queries.get(&query)?;
        let place = scores.binary_search_by_key(&doc, |(doc, _)| *doc).ok()?;
        Some(scores[place].1)
    }

    #[cfg(test)]
    pub(super) fn of(pairs: &[(i64, i64, f32)]) -> Self {
        let mut this = Self::default();
        for (query, doc, score) in pairs {
            this.queries.entry(*query).or_default().push((*doc, *score));
        }
        this.queries.values_mut().for_each(|docs| docs.sort_by_key(|(doc, _)| *doc));
        this
    }
}
