//! What evaluations search: documents, queries and which answers which.

use splade_eval::Qrels;

use super::problems::Findings;
use super::set::{Set, SetPaths};
use super::texts::Texts;
use crate::config::DataConfig;
use crate::error::DataError;

/// Opened validation data.
///
/// The files of the masters are mapped and must not be changed while this is there.
#[derive(Debug)]
pub struct ValidationData {
    /// The queries.
    pub queries: Texts,
    /// The documents.
    pub docs: Texts,
    /// The positives, as relevant with grade 1; ids are written as text.
    pub positives: Qrels,
    /// What is odd but can be evaluated on.
    pub warnings: Vec<String>,
}

impl ValidationData {
    /// Reads and checks the validation set; none if the config has none.
    ///
    /// # Errors
    /// As of the training data; and if the config has a part of a set only.
    pub fn open(config: &DataConfig) -> Result<Option<Self>, DataError> {
        let parts = [
            ("validation_doc_master", &config.validation_doc_master),
            ("validation_query_master", &config.validation_query_master),
            ("validation_positives", &config.validation_positives),
        ];
        let (docs, queries, positives) = match parts.map(|(_, path)| path.as_deref()) {
            [None, None, None] => return Ok(None),
            [Some(docs), Some(queries), Some(positives)] => (docs, queries, positives),
            paths => {
                let missing = paths.iter().position(Option::is_none).unwrap_or_default();
                return Err(DataError::Config {
                    at: format!("data.{}", parts[missing].0),
                    message: "is missing; a validation set is doc_master, query_master and \
                              positives"
                        .to_owned(),
                });
            }
        };
        let mut findings = Findings::default();
        let paths = SetPaths { docs, queries, positives, triplets: None, scores: None };
        let set = Set::read(paths, &mut findings)?;
        let warnings = findings.into_warnings("the validation data")?;
        let mut qrels = Qrels::default();
        for (row, qid) in set.queries.ids().enumerate() {
            for doc in set.positives.get(row as u32).unwrap_or_default() {
                let doc = set.docs.id_at(*doc as usize);
                qrels.insert(&qid.to_string(), &doc.to_string(), 1);
            }
        }
        Ok(Some(Self { queries: set.queries, docs: set.docs, positives: qrels, warnings }))
    }
}
