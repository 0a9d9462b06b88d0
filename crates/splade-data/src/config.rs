//! The `data` section of a config: the files that a training run is trained and evaluated on.

use std::path::PathBuf;

/// The settings `data.*`. Every path is a `.ndjson` or `.ndjson.gz` file or a folder of such files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataConfig {
    /// The document master of the training set.
    pub train_doc_master: PathBuf,
    /// The query master of the training set.
    pub train_query_master: PathBuf,
    /// The positive lists of the training queries.
    pub train_positives: PathBuf,
    /// The triplets. Setting them selects training with triplets.
    pub train_triplets: Option<PathBuf>,
    /// The teacher scores. Setting them selects distillation.
    pub hard_negative_scores: Option<PathBuf>,
    /// The number of samples that are held out of the training set for `eval_loss`; 0 holds out
    /// none.
    pub eval_loss_size: usize,
    /// The document master of the validation set, whose documents evaluations search.
    pub validation_doc_master: Option<PathBuf>,
    /// The query master of the validation set.
    pub validation_query_master: Option<PathBuf>,
    /// The positive lists of the validation queries.
    pub validation_positives: Option<PathBuf>,
    /// The number of negatives that are sampled for each query in a step. Only distillation may set
    /// it to more than 1. The Python library does not have this setting.
    pub negatives_per_query: usize,
    /// Whether each epoch has its own random order; if false, samples come in the order of the
    /// file. The Python library does not have this setting.
    pub shuffle: bool,
}
