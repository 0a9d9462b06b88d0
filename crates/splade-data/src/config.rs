//! The `data` section of a config: the files that a training run is trained and evaluated on.

use std::path::PathBuf;

use hydra_compose::settings;
use hydra_compose::settings::{Problem, SettingError, count, flag, optional, required_text, text};

settings! {
    /// The settings `data.*`. Every path is a `.ndjson` or `.ndjson.gz` file or a folder of such
    /// files.
    ///
    /// ```
    /// use hydra_compose::settings::Settings;
    /// use splade_data::DataConfig;
    ///
    /// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
    /// let config = DataConfig::from_value(&serde_json::json!({
    ///     "train_doc_master": toy.join("train/doc_master.ndjson"),
    ///     "train_query_master": toy.join("train/query_master.ndjson"),
    ///     "train_positives": toy.join("train/positive_lists.ndjson"),
    ///     "train_triplets": toy.join("train/triplets.ndjson"),
    /// }))?;
    /// config.check_training()?;
    /// assert_eq!((config.negatives_per_query, config.shuffle), (1, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub struct DataConfig {
        /// The document master of the training set.
        pub train_doc_master: PathBuf = required_text();
        /// The query master of the training set.
        pub train_query_master: PathBuf = required_text();
        /// The positive lists of the training queries.
        pub train_positives: PathBuf = required_text();
        /// The triplets. Setting them selects training with triplets.
        pub train_triplets: Option<PathBuf> = optional(text());
        /// The teacher scores. Setting them selects distillation.
        pub hard_negative_scores: Option<PathBuf> = optional(text());
        /// The number of samples that are held out of the training set for `eval_loss`; 0 holds
        /// out none.
        pub eval_loss_size: usize = count(0).or(0);
        /// The document master of the validation set, whose documents evaluations search.
        pub validation_doc_master: Option<PathBuf> = optional(text());
        /// The query master of the validation set.
        pub validation_query_master: Option<PathBuf> = optional(text());
        /// The positive lists of the validation queries.
        pub validation_positives: Option<PathBuf> = optional(text());
        /// The number of negatives that are sampled for each query in a step. Only distillation may
        /// set it to more than 1. The Python library does not have this setting.
        pub negatives_per_query: usize = count(1).or(1);
        /// Whether each epoch has its own random order; if false, samples come in the order of the
        /// file. The Python library does not have this setting.
        pub shuffle: bool = flag().or(true);
    }
}

impl DataConfig {
    /// Checks the settings of the training set.
    ///
    /// # Errors
    /// Returns an error if a file is missing, or if the settings contradict each other.
    pub fn check_training(&self) -> Result<(), SettingError> {
        for (name, path) in [
            ("train_doc_master", &self.train_doc_master),
            ("train_query_master", &self.train_query_master),
            ("train_positives", &self.train_positives),
        ] {
            if path.as_os_str().is_empty() {
                return Err(SettingError::of(path_of(name), Problem::Missing));
            }
        }
        match (&self.train_triplets, &self.hard_negative_scores) {
            (Some(_), Some(_)) => Err(wrong(
                "hard_negative_scores",
                "data.train_triplets is set as well, and a run trains on one of them",
                "remove one with ~data.train_triplets or ~data.hard_negative_scores",
            )),
            (None, None) => Err(SettingError::of(path_of("train_triplets"), Problem::Missing)
                .with_remedy(
                    "set data.train_triplets, or data.hard_negative_scores for distillation",
                )),
            (Some(_), None) if self.negatives_per_query > 1 => Err(wrong(
                "negatives_per_query",
                "a triplet has only one negative",
                "several negatives need data.hard_negative_scores",
            )),
            _ if self.negatives_per_query == 0 => {
                Err(SettingError::new(path_of("negatives_per_query"), "must be 1 or more"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the validation set is given as a whole or not at all.
    ///
    /// # Errors
    /// Returns an error if only a part of its files is given.
    pub fn check_validation(&self) -> Result<(), SettingError> {
        let parts = [
            ("validation_doc_master", &self.validation_doc_master),
            ("validation_query_master", &self.validation_query_master),
            ("validation_positives", &self.validation_positives),
        ];
        if parts.iter().all(|(_, path)| path.is_none()) {
            return Ok(());
        }
        match parts.iter().find(|(_, path)| path.is_none()) {
            None => Ok(()),
            Some((missing, _)) => Err(wrong(
                missing,
                "a validation set needs all of validation_doc_master, validation_query_master and \
                 validation_positives",
                "set all of them, or none",
            )),
        }
    }
}

fn path_of(name: &str) -> String {
    format!("data.{name}")
}

fn wrong(name: &str, rule: &str, remedy: &str) -> SettingError {
    SettingError::new(path_of(name), rule).with_remedy(remedy)
}
