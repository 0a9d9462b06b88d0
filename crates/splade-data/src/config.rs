//! Which files a run is trained and evaluated on.

use std::path::PathBuf;

/// `data.*`; every path is a file `*.ndjson[.gz]` or a folder of such.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataConfig {
    /// Documents to train on.
    pub train_doc_master: PathBuf,
    /// Queries to train on.
    pub train_query_master: PathBuf,
    /// Their positives.
    pub train_positives: PathBuf,
    /// Triplets: makes it a triplet run.
    pub train_triplets: Option<PathBuf>,
    /// Teacher scores: makes it a distillation run.
    pub hard_negative_scores: Option<PathBuf>,
    /// Samples held out of the training set for `eval_loss`; 0 for none.
    pub eval_loss_size: usize,
    /// Documents to search in evaluations.
    pub validation_doc_master: Option<PathBuf>,
    /// Queries to search with.
    pub validation_query_master: Option<PathBuf>,
    /// Their positives.
    pub validation_positives: Option<PathBuf>,
    /// Ours: negatives sampled a query and step; distillation only.
    pub negatives_per_query: usize,
    /// Ours: whether each epoch has an order of its own; else samples come as they stand.
    pub shuffle: bool,
}
