//! The settings in `config.json` of a classifier on top of an architecture.

use std::path::Path;

use serde_json::Value;
use splade_text::ModelFiles;

use crate::arch::family::ClassifierHead;
use crate::arch::list::ArchitectureConfig;
use crate::config::{Keys, read};
use crate::error::ModelError;

/// The number of labels, the head and the activation of a classifier.
#[derive(Debug, Clone)]
pub(crate) struct ClassifierConfig {
    /// The number of logits of a text.
    pub(crate) labels: usize,
    /// The name of each label.
    pub(crate) names: Vec<String>,
    pub(crate) head: ClassifierHead,
    pub(crate) score: ScoreActivation,
}

/// The activation that sentence-transformers applies to the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScoreActivation {
    Sigmoid,
    Identity,
}

impl ClassifierConfig {
    /// Reads the `config.json` of a model folder, whose architecture is `architecture`.
    pub(crate) fn open(dir: &Path, architecture: &ArchitectureConfig) -> Result<Self, ModelError> {
        let (files, path) = (ModelFiles::folder(dir), dir.join("config.json"));
        let value = read(&files, &path)?;
        let keys = Keys::new(&value, &path);
        let labels = labels(&keys)?;
        let head = architecture.0.classifier_head(&keys)?;
        let score = score_activation(&keys, labels);
        Ok(Self { labels, names: names(&keys, labels), head, score })
    }
}

/// Returns the number of labels. As in transformers, it is the number of entries of `id2label`, and
/// 2 by default.
fn labels(keys: &Keys<'_>) -> Result<usize, ModelError> {
    match keys.get("id2label") {
        Some(Value::Object(names)) if !names.is_empty() => Ok(names.len()),
        Some(_) => Err(keys.wrong_type("id2label", "names by label")),
        None => keys.size("num_labels", 2),
    }
}

/// Returns the names of the labels: those of `id2label`, and as in transformers `LABEL_0`, `LABEL_1` and so
/// on where it has none.
fn names(keys: &Keys<'_>, labels: usize) -> Vec<String> {
    let named = |label: usize| keys.get("id2label")?.get(label.to_string())?.as_str();
    let name = |label| named(label).map_or_else(|| format!("LABEL_{label}"), str::to_owned);
    (0..labels).map(name).collect()
}

/// Reads the activation of the scores. The config names a PyTorch class under the key of
/// sentence-transformers or under the key of its versions before 4. Without either key, it is a
/// sigmoid for one label and the identity for more.
fn score_activation(keys: &Keys<'_>, labels: usize) -> ScoreActivation {
    let own = keys.get("sentence_transformers").and_then(|own| own.get("activation_fn"));
    let named = own.or_else(|| keys.get("sbert_ce_default_activation_function"));
    match named.and_then(Value::as_str).and_then(|name| name.rsplit('.').next()) {
        Some("Identity") => ScoreActivation::Identity,
        Some("Sigmoid") => ScoreActivation::Sigmoid,
        _ if labels == 1 => ScoreActivation::Sigmoid,
        _ => ScoreActivation::Identity,
    }
}
