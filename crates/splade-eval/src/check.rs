//! Checks a data set for problems that would make its metrics wrong or meaningless.
//!
//! ```
//! use splade_eval::check::{Check, check};
//! use splade_eval::{Dataset, Qrels};
//!
//! # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy-beir");
//! let dataset = Dataset::open(&folder)?;
//! let qrels = Qrels::read("q1 0 d1 1\nq1 0 d999 1\n".as_bytes(), "qrels")?;
//! let findings = check(dataset.documents(), dataset.queries(), &qrels)?;
//! assert_eq!(findings[0].check, Check::UnknownDocument);
//! assert_eq!(findings[0].examples, ["d999"]);
//! # Ok::<(), splade_eval::EvalError>(())
//! ```

use std::collections::HashSet;
use std::fmt;

use super::dataset::{Repairs, Text};
use super::qrels::Qrels;
use crate::EvalError;

/// The maximum number of ids that a finding lists.
const EXAMPLES: usize = 5;

/// A kind of problem in a data set.
///
/// ```
/// use splade_eval::check::{Check, check};
/// use splade_eval::{Qrels, Text};
///
/// let text = |id: &str, text: &str| Ok(Text { id: id.to_owned(), text: text.to_owned() });
/// let qrels = Qrels::read("q1 0 d1 1\n".as_bytes(), "qrels")?;
/// let documents = [text("d1", "night train"), text("d1", "")];
/// let findings = check(documents, [text("q1", "train")], &qrels)?;
/// let kinds: Vec<_> = findings.iter().map(|finding| finding.check).collect();
/// assert_eq!(kinds, [Check::DuplicateDocument, Check::EmptyDocument]);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Two documents have the same id.
    DuplicateDocument,
    /// Two queries have the same id.
    DuplicateQuery,
    /// A query and a document have the same id. BEIR and light-splade's Python program drop that
    /// document from the query's results, even if it is relevant.
    SharedId,
    /// A document has no text.
    EmptyDocument,
    /// A query has no text.
    EmptyQuery,
    /// A document or a query has half of a surrogate pair, which was read as U+FFFD.
    HalfCharacter,
    /// The qrels name a query that the data set does not contain.
    UnknownQuery,
    /// The qrels name a document that the data set does not contain.
    UnknownDocument,
    /// The qrels have no relevant document for a query, so that every ranking of it scores 0.
    NothingRelevant,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::DuplicateDocument => "documents with the id of an earlier one",
            Self::DuplicateQuery => "queries with the id of an earlier one",
            Self::SharedId => "queries with the id of a document",
            Self::EmptyDocument => "documents without text",
            Self::EmptyQuery => "queries without text",
            Self::HalfCharacter => "texts with half of a surrogate pair, which is read as U+FFFD",
            Self::UnknownQuery => "queries in the qrels that the data set lacks",
            Self::UnknownDocument => "documents in the qrels that the data set lacks",
            Self::NothingRelevant => "queries in the qrels without a relevant document",
        })
    }
}

/// A kind of problem with its number of occurrences.
///
/// ```
/// use splade_eval::check::{Check, Finding};
///
/// let finding = Finding { check: Check::EmptyQuery, count: 1, examples: vec!["q7".to_owned()] };
/// assert_eq!(finding.check.to_string(), "queries without text");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind of problem.
    pub check: Check,
    /// The number of occurrences. For `UnknownDocument`, this is the number of pairs in the qrels.
    pub count: u64,
    /// The ids of the first five occurrences.
    pub examples: Vec<String>,
}

/// Returns the finding about texts that had half of a surrogate pair, of documents and queries that
/// have been read; none if there was none.
///
/// ```
/// use splade_eval::check::{Check, half_characters};
/// use splade_eval::dataset::Texts;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("corpus.jsonl");
/// std::fs::write(&path, r#"{"_id": "d1", "text": "half of a face: \ud83d"}"#)?;
/// let (documents, queries) = (Texts::new(vec![path]), Texts::new(Vec::new()));
/// let repairs = (documents.repairs(), queries.repairs());
/// assert_eq!(documents.count(), 1);
/// let finding = half_characters(&repairs.0, &repairs.1).expect("a repaired document");
/// assert_eq!((finding.check, finding.count), (Check::HalfCharacter, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn half_characters(documents: &Repairs, queries: &Repairs) -> Option<Finding> {
    let ((in_documents, mut examples), (in_queries, more)) =
        (documents.counted(), queries.counted());
    examples.extend(more);
    examples.truncate(EXAMPLES);
    let count = in_documents + in_queries;
    (count > 0).then_some(Finding { check: Check::HalfCharacter, count, examples })
}

/// Checks a data set and returns the findings in the order of [`Check`]. All ids are held in
/// memory.
///
/// ```
/// use splade_eval::check::check;
/// use splade_eval::Dataset;
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy-beir");
/// let dataset = Dataset::open(&folder)?;
/// for split in ["train", "test"] {
///     let findings = check(dataset.documents(), dataset.queries(), &dataset.qrels(Some(split))?)?;
///     assert!(findings.is_empty(), "{findings:?}");
/// }
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
///
/// # Errors
/// Returns an error if a document or a query cannot be read.
pub fn check(
    documents: impl IntoIterator<Item = Result<Text, EvalError>>,
    queries: impl IntoIterator<Item = Result<Text, EvalError>>,
    qrels: &Qrels,
) -> Result<Vec<Finding>, EvalError> {
    let mut findings = Findings::default();
    let [mut document_ids, mut query_ids] = [HashSet::new(), HashSet::new()];
    for document in documents {
        let Text { id, text } = document?;
        findings.add_if(text.trim().is_empty(), Check::EmptyDocument, &id);
        findings.add_if(document_ids.contains(&id), Check::DuplicateDocument, &id);
        document_ids.insert(id);
    }
    for query in queries {
        let Text { id, text } = query?;
        findings.add_if(text.trim().is_empty(), Check::EmptyQuery, &id);
        findings.add_if(query_ids.contains(&id), Check::DuplicateQuery, &id);
        if query_ids.insert(id.clone()) {
            findings.add_if(document_ids.contains(&id), Check::SharedId, &id);
        }
    }
    for (query, grades) in qrels.iter() {
        findings.add_if(!query_ids.contains(query), Check::UnknownQuery, query);
        findings.add_if(grades.values().all(|grade| *grade <= 0), Check::NothingRelevant, query);
        for document in grades.keys() {
            findings.add_if(!document_ids.contains(document), Check::UnknownDocument, document);
        }
    }
    findings.0.sort_by_key(|finding| finding.check);
    Ok(findings.0)
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add_if(&mut self, wrong: bool, check: Check, id: &str) {
        if !wrong {
            return;
        }
        let index = self.0.iter().position(|finding| finding.check == check);
        let index = index.unwrap_or_else(|| {
            self.0.push(Finding { check, count: 0, examples: Vec::new() });
            self.0.len() - 1
        });
        let finding = &mut self.0[index];
        finding.count += 1;
        if finding.examples.len() < EXAMPLES {
            finding.examples.push(id.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: &[(&str, &str)]) -> Vec<Result<Text, EvalError>> {
        let text = |(id, text): &(&str, &str)| Ok(Text { id: (*id).into(), text: (*text).into() });
        rows.iter().map(text).collect()
    }

    fn run(documents: &[(&str, &str)], queries: &[(&str, &str)], qrels: &str) -> Vec<String> {
        let qrels = Qrels::read(qrels.as_bytes(), "qrels").expect("qrels");
        let findings = check(texts(documents), texts(queries), &qrels).expect("readable");
        let line = |f: &Finding| format!("{} {}: {}", f.count, f.check, f.examples.join(" "));
        findings.iter().map(line).collect()
    }

    #[test]
    fn sound_data_has_no_findings() {
        assert_eq!(run(&[("d", "x")], &[("q", "y"), ("r", "z")], "q 0 d 1"), [""; 0]);
    }

    #[test]
    fn finds_everything() {
        let found = run(
            &[("1", "x"), ("1", "y"), ("2", " \n"), ("3", "x")],
            &[("q", "x"), ("q", "x"), ("q", "x"), ("3", "x"), ("3", "")],
            "q 0 1 0\nq 0 8 0\n7 0 1 1\n3 0 9 1\n3 0 2 -1\n",
        );
        assert_eq!(
            found,
            [
                "1 documents with the id of an earlier one: 1",
                "3 queries with the id of an earlier one: q q 3",
                "1 queries with the id of a document: 3",
                "1 documents without text: 2",
                "1 queries without text: 3",
                "1 queries in the qrels that the data set lacks: 7",
                "2 documents in the qrels that the data set lacks: 9 8",
                "1 queries in the qrels without a relevant document: q",
            ]
        );
        let documents: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|id| (id, "")).into();
        assert_eq!(run(&documents, &[], ""), ["6 documents without text: a b c d e"]);
    }
}
