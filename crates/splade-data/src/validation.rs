//! Validation data: the documents, queries and positives that evaluations use.

use splade_eval::Qrels;

use super::problems::Findings;
use super::set::{Set, SetPaths};
use super::texts::Texts;
use crate::config::DataConfig;
use crate::error::DataError;

/// A validation set that was opened and checked.
///
/// The files of the masters are memory-mapped and must not be changed while this value exists.
///
/// ```
/// use hydra_compose::settings::Settings;
/// use splade_data::{DataConfig, ValidationData};
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let config = DataConfig::from_value(&serde_json::json!({
///     "train_doc_master": toy.join("train/doc_master.ndjson"),
///     "train_query_master": toy.join("train/query_master.ndjson"),
///     "train_positives": toy.join("train/positive_lists.ndjson"),
///     "validation_doc_master": toy.join("validation/doc_master.ndjson"),
///     "validation_query_master": toy.join("validation/query_master.ndjson"),
///     "validation_positives": toy.join("validation/positive_lists.ndjson"),
/// }))?;
/// let data = ValidationData::open(&config)?.expect("the config names a validation set");
/// assert!(data.positives.len() <= data.queries.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ValidationData {
    /// The texts of the queries that evaluations search with.
    pub queries: Texts,
    /// The texts of the documents that evaluations search.
    pub docs: Texts,
    /// The positives as qrels with grade 1; ids are written as strings.
    pub positives: Qrels,
    /// The warnings about data that is unusual but usable.
    pub warnings: Vec<String>,
}

impl ValidationData {
    /// Reads and checks the validation set; returns `None` if the config names none.
    ///
    /// # Errors
    /// Returns an error for the same reasons as [`TrainingData::open`](crate::TrainingData::open),
    /// or if the config names only a part of a validation set.
    pub fn open(config: &DataConfig) -> Result<Option<Self>, DataError> {
        config.check_validation()?;
        let (Some(docs), Some(queries), Some(positives)) = (
            config.validation_doc_master.as_deref(),
            config.validation_query_master.as_deref(),
            config.validation_positives.as_deref(),
        ) else {
            return Ok(None);
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
