//! The texts behind ids: those of the queries and documents that a page shows.

use std::collections::{BTreeMap, BTreeSet};

use crate::EvalError;
use crate::dataset::{Dataset, Text, Texts};

/// The characters of a document that are kept.
const LONGEST: usize = 240;

/// Texts by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// The texts of queries.
    pub(super) queries: BTreeMap<String, String>,
    /// The beginnings of documents.
    pub(super) documents: BTreeMap<String, String>,
}

impl Evidence {
    /// Reads the texts of the queries and documents with these ids; both files are read once. An id
    /// that the data set does not have gets no text.
    pub(super) fn read(
        dataset: &Dataset,
        queries: &BTreeSet<&str>,
        documents: &BTreeSet<&str>,
    ) -> Result<Self, EvalError> {
        Ok(Self {
            queries: texts(dataset.queries(), queries, usize::MAX)?,
            documents: texts(dataset.documents(), documents, LONGEST)?,
        })
    }
}

fn texts(
    texts: Texts,
    wanted: &BTreeSet<&str>,
    longest: usize,
) -> Result<BTreeMap<String, String>, EvalError> {
    let mut found = BTreeMap::new();
    for text in texts {
        let Text { id, text } = text?;
        if wanted.contains(id.as_str()) {
            let beginning = match text.char_indices().nth(longest) {
                None => text,
                Some((end, _)) => format!("{}…", text[..end].trim_end()),
            };
            found.insert(id, beginning);
            if found.len() == wanted.len() {
                break;
            }
        }
    }
    Ok(found)
}
