//! The list of implemented architectures, and the architecture that a `config.json` names.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use splade_text::ModelFiles;

use super::family::{Architecture, Family};
use super::{bert, deberta_v2, gte, modernbert, mpnet, nomic_bert};
use crate::config::{Keys, read};
use crate::error::ModelError;

/// The family of every implemented `model_type`, in the order in which messages list them.
pub(crate) const ARCHITECTURES: [&Family; 12] = [
    &bert::BERT,
    &bert::DISTILBERT,
    &bert::ROBERTA,
    &bert::XLM_ROBERTA,
    &bert::CAMEMBERT,
    &bert::ELECTRA,
    &modernbert::MODERNBERT,
    &deberta_v2::DEBERTA_V2,
    &mpnet::MPNET,
    &gte::NEW,
    &gte::GTE,
    &nomic_bert::NOMIC_BERT,
];

/// The keys of every `config.json` on which no vector depends, in transformers 4.57 and 5.24. The
/// keys that vectors depend on are those that the code of an architecture asks for.
#[rustfmt::skip]
const WITHOUT_INFLUENCE: &[&str] = &[
    // Notes.
    "_*", "name_or_path", "architectures", "transformers_version", "tokenizer_class", "auto_map",
    "finetuning_task", "task_specific_params", "language", "license", "base_model", "model_name",
    "output_past", "xla_device", "tie_weights_",
    // The type of the numbers in memory, and ways to compute the same.
    "torch_dtype", "dtype", "torchscript", "use_bfloat16", "use_cache", "use_return_dict",
    "return_dict*", "output_attentions", "output_hidden_states", "output_scores",
    "attn_implementation", "experts_implementation", "chunk_size_feed_forward",
    "gradient_checkpointing", "tf_legacy_loss", "tie_last_hidden_states",
    // Training.
    "initializer_*", "*dropout*",
    // Classifiers. The code of cross-encoders reads those of its heads.
    "id2label", "label2id", "num_labels", "problem_type", "classifier_*", "pooler_*", "summary_*",
    "sentence_transformers", "sbert_ce_default_activation_function",
    // Decoders and generation.
    "*_token_id", "is_encoder_decoder", "tie_encoder_decoder", "cross_attention_hidden_size",
    "prefix", "max_length", "min_length", "max_new_tokens", "min_new_tokens", "do_sample",
    "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k",
    "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "penalty_alpha",
    "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences",
    "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens",
    "begin_suppress_tokens", "renormalize_logits", "guidance_scale", "low_memory", "max_time",
    "cache_implementation", "use_mtp", "forced_decoder_ids",
];

/// Returns the family of a `model_type`.
pub(crate) fn family(model_type: &str) -> Option<&'static Family> {
    ARCHITECTURES.into_iter().find(|family| family.model_type == model_type)
}

/// The architecture that a `config.json` names, with its sizes.
///
/// ```
/// use splade_model::architecture::ArchitectureConfig;
/// use std::path::Path;
///
/// let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini-ja-en");
/// let config = ArchitectureConfig::open(&folder)?;
/// assert_eq!(config.name(), "BERT");
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ArchitectureConfig(pub(crate) Arc<dyn Architecture>);

impl ArchitectureConfig {
    /// Reads the `config.json` of a model folder.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, names an architecture that is not implemented
    /// or has a value that is not implemented.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        Self::from_files(&dir.into())
    }

    /// Reads the `config.json` at the root of a model's files.
    ///
    /// # Errors
    /// Returns the same errors as [`open`](Self::open).
    pub fn from_files(files: &ModelFiles) -> Result<Self, ModelError> {
        let path = files.root().join("config.json");
        Self::parse(&read(files, &path)?, &path)
    }

    /// Reads the value of a `config.json`. `path` appears only in messages.
    ///
    /// # Errors
    /// Returns the same errors as [`open`](Self::open).
    pub fn parse(value: &Value, path: &Path) -> Result<Self, ModelError> {
        let keys = Keys::new(value, path);
        keys.only("quantization_config", &Value::Null)?;
        keys.only("is_decoder", &Value::Bool(false))?;
        keys.only("add_cross_attention", &Value::Bool(false))?;
        keys.only("pruned_heads", &serde_json::json!({}))?;
        let family = family(&keys.text("model_type", "")?).ok_or_else(|| {
            let known = ARCHITECTURES.map(|family| family.model_type);
            keys.unsupported("model_type", &known.join(", "))
        })?;
        let architecture = (family.read)(&keys)?;
        keys.refuse_unknown(&[WITHOUT_INFLUENCE, family.without_influence])?;
        let (sizes, even) = (architecture.sizes(), architecture.has_even_heads());
        let (hidden, heads) = (sizes.hidden, sizes.heads);
        if !hidden.is_multiple_of(heads) || (even && !(hidden / heads).is_multiple_of(2)) {
            let even = if even { " of an even width" } else { "" };
            let message =
                format!("a hidden size of {hidden} does not divide into {heads} heads{even}");
            return Err(ModelError::Config { path: path.to_path_buf(), problem: message.into() });
        }
        Ok(Self(architecture))
    }

    /// Returns the usual name of the architecture, such as "ModernBERT".
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Returns the number of terms in the model's vocabulary.
    pub fn vocab(&self) -> usize {
        self.0.sizes().vocab
    }

    /// Returns the longest text in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.0.sizes().max_tokens
    }

    /// Returns the width of the layers, the number of layers and the number of attention heads.
    pub fn shape(&self) -> (usize, usize, usize) {
        let sizes = self.0.sizes();
        (sizes.hidden, sizes.layers, sizes.heads)
    }

    /// Returns the number of rows of the token-type table, or `None` if the model has no token
    /// types.
    pub(crate) fn token_types(&self) -> Option<usize> {
        Some(self.0.sizes().token_types).filter(|rows| *rows > 0)
    }

    /// Fails if the architecture has no training passes. `folder` appears only in the message.
    pub(crate) fn refuse_untrained(&self, folder: &Path) -> Result<(), ModelError> {
        if self.0.is_trained() {
            return Ok(());
        }
        let trained: Vec<&str> =
            ARCHITECTURES.iter().filter_map(|family| family.trained_as).collect();
        let (last, first) = trained.split_last().expect("some are trained: this is a bug");
        Err(ModelError::Untrained {
            path: folder.to_path_buf(),
            name: self.name(),
            trained: format!("{} and {last}", first.join(", ")),
        })
    }
}
