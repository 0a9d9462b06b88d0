//! The settings of scoring pairs: the fields of the Python library's `cross_encoder_predict.yaml`,
//! and those that only light-splade has.

use std::path::PathBuf;

use hydra_compose::settings;
use hydra_compose::settings::{
    Fields, Settings, count, flag, flat, group, optional, required_text, text,
};
use serde_json::{Value, json};
use splade_data::contents::file_content;
use splade_io::settings::content;

use super::config::OLD_NAMES;
use super::pairs::PairSettings;
use crate::error::TrainError;

settings! {
    /// The settings for scoring pairs with a cross-encoder.
    pub struct PredictConfig {
        /// The folder or hub name of the cross-encoder.
        pub model_path: String = required_text();
        /// The document master of the training set.
        pub train_doc_master: PathBuf = required_text();
        /// The query master of the training set.
        pub train_query_master: PathBuf = required_text();
        /// The document master of the validation set.
        pub validation_doc_master: Option<PathBuf> = optional(text());
        /// The query master of the validation set.
        pub validation_query_master: Option<PathBuf> = optional(text());
        /// The file of the pairs to score; its own scores are ignored.
        pub hard_negative_init_scores: PathBuf = required_text();
        /// The output file of the scores.
        pub hard_negative_cross_encoder_scores: PathBuf = required_text();
        /// The number of pairs that are scored and written at a time.
        pub predict_batch_size: usize = count(1).or(32);
        /// The limits at which the texts of a pair are truncated.
        pub pairs: PairSettings = flat();
        /// The defects of the Python library that are repeated (light-splade only).
        pub compat: PredictCompat = group();
        /// The path of a compiled MeCab dictionary for Japanese models (light-splade only).
        pub mecab_dicdir: Option<PathBuf> = optional(text());
    }
}

settings! {
    /// The defects of the Python library that a prediction repeats (`compat.*`).
    pub struct PredictCompat {
        /// Whether scores go through a sigmoid in 32 bits and back, as in Python. Scores that are
        /// lost to rounding become ±10⁶.
        pub inverse_sigmoid: bool = flag().or(false);
    }
}

impl PredictConfig {
    /// Reads a composed config.
    ///
    /// # Errors
    /// Returns an error if a setting is missing, has a wrong value or is unknown.
    pub fn from_value(value: &Value) -> Result<Self, TrainError> {
        Self::names("").check(value, &[("", &OLD_NAMES)])?;
        let mut fields = Fields::new("", Some(value))?;
        fields.pass_over(&OLD_NAMES);
        let config = Self::read(&mut fields)?;
        fields.finish()?;
        Ok(config)
    }

    /// Returns the document masters: that of the training set and, if it is given, that of the
    /// validation set.
    pub fn doc_masters(&self) -> Vec<PathBuf> {
        [&self.train_doc_master].into_iter().chain(&self.validation_doc_master).cloned().collect()
    }

    /// Returns the query masters, in the order of the document masters.
    pub fn query_masters(&self) -> Vec<PathBuf> {
        let masters = [&self.train_query_master].into_iter().chain(&self.validation_query_master);
        masters.cloned().collect()
    }

    /// Returns the fingerprint: the settings and files that determine the scores. A resumed run
    /// must have the same fingerprint.
    pub(super) fn fingerprint(&self) -> Result<Value, TrainError> {
        let files = |paths: &[PathBuf]| -> Result<Value, TrainError> {
            let hashes = paths.iter().map(|path| file_content(path));
            Ok(hashes.collect::<Result<Vec<_>, _>>()?.into())
        };
        let contents = content([
            ("hard_negative_init_scores", file_content(&self.hard_negative_init_scores)?),
            ("doc_masters", files(&self.doc_masters())?),
            ("query_masters", files(&self.query_masters())?),
        ]);
        let limits = self.pairs.limits();
        Ok(json!({
            "content": contents,
            "hard_negative_init_scores": self.hard_negative_init_scores,
            "doc_masters": self.doc_masters(),
            "query_masters": self.query_masters(),
            "max_token_len": limits.max_token_len,
            "max_len": limits.max_len,
            "max_query_len": limits.max_query_len,
            "inverse_sigmoid": self.compat.inverse_sigmoid,
            "mecab_dicdir": self.mecab_dicdir,
        }))
    }
}
