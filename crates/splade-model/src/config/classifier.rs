//! What `config.json` says about a classifier on top of an architecture.

use std::path::Path;

use serde_json::Value;
use splade_nn::Activation;

use super::{ArchitectureConfig, BertFamily, Keys, read};
use crate::error::ModelError;

/// A classifier's head.
#[derive(Debug, Clone)]
pub(crate) struct ClassifierConfig {
    /// Logits of a text.
    pub(crate) labels: usize,
    /// Whether the mean of all tokens is pooled, not the first token.
    pub(crate) mean: bool,
    /// After the first layer.
    pub(crate) activation: Activation,
    /// Shares that training drops: of what is pooled, and before the last layer.
    pub(crate) dropout: (f64, f64),
    pub(crate) biases: HeadBiases,
    /// Of the norm, where there is one.
    pub(crate) epsilon: f32,
    pub(crate) score: ScoreActivation,
}

/// Which parts of a head have a bias; the last layer always has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadBiases {
    pub(crate) dense: bool,
    pub(crate) norm: bool,
}

/// What sentence-transformers makes of logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScoreActivation {
    Sigmoid,
    Identity,
}

impl ClassifierConfig {
    /// Reads `config.json` of a model folder, whose architecture is `architecture`.
    pub(crate) fn open(dir: &Path, architecture: &ArchitectureConfig) -> Result<Self, ModelError> {
        let path = dir.join("config.json");
        let value = read(&path)?;
        let keys = Keys { value: &value, path: &path };
        let labels = labels(&keys)?;
        let dropped = |key: &str, other: f64| keys.rate(key, other);
        let (mut mean, mut biases, mut epsilon) =
            (false, HeadBiases { dense: true, norm: true }, 0.0);
        let (activation, dropout) = match architecture {
            ArchitectureConfig::Bert(c) => match c.family {
                BertFamily::Bert => {
                    (Activation::Tanh, (0.0, dropped("classifier_dropout", c.dropout.out)?))
                }
                BertFamily::DistilBert => {
                    (Activation::Relu, (0.0, dropped("seq_classif_dropout", 0.2)?))
                }
                BertFamily::Roberta => {
                    let rate = dropped("classifier_dropout", c.dropout.out)?;
                    (Activation::Tanh, (rate, rate))
                }
                BertFamily::Electra => {
                    let rate = dropped("classifier_dropout", c.dropout.out)?;
                    (Activation::Gelu, (rate, rate))
                }
            },
            ArchitectureConfig::ModernBert(c) => {
                mean = match keys.text("classifier_pooling", "cls")?.as_str() {
                    "cls" => false,
                    "mean" => true,
                    _ => return Err(keys.unsupported("classifier_pooling", "cls, mean")),
                };
                biases = HeadBiases { dense: c.biases.head, norm: c.biases.norm };
                epsilon = c.epsilon;
                (c.head_activation, (0.0, dropped("classifier_dropout", 0.0)?))
            }
            ArchitectureConfig::DebertaV2(c) => {
                keys.only("pooler_hidden_size", &Value::from(c.hidden))?;
                (keys.activation("pooler_hidden_act", "gelu")?, (0.0, 0.0))
            }
        };
        let score = score_activation(&keys, labels);
        Ok(Self { labels, mean, activation, dropout, biases, epsilon, score })
    }
}

/// transformers counts `id2label`, and takes 2 labels where nothing is said.
fn labels(keys: &Keys<'_>) -> Result<usize, ModelError> {
    match keys.get("id2label") {
        Some(Value::Object(names)) if !names.is_empty() => Ok(names.len()),
        Some(_) => Err(keys.wrong_type("id2label", "names by label")),
        None => keys.size("num_labels", 2),
    }
}

/// The name of a class of PyTorch, under the key of sentence-transformers or that of its versions
/// before 4; without it a sigmoid where there is one label.
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
