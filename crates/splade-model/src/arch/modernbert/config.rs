//! `config.json` of ModernBERT. Defaults are those of transformers 4.56.

use serde_json::Value;
use splade_nn::Activation;

use crate::arch::training::DropoutRates;
use crate::config::Keys;
use crate::error::ModelError;

/// The tensor of the word embedding.
pub(crate) const EMBEDDING: &str = "model.embeddings.tok_embeddings.weight";

/// Sizes of ModernBERT.
#[derive(Debug, Clone)]
pub(crate) struct ModernBertConfig {
    /// Terms of the model's vocabulary.
    pub(crate) vocab: usize,
    /// Width of the layers.
    pub(crate) hidden: usize,
    /// Heads of attention.
    pub(crate) heads: usize,
    /// Width inside the feed-forward part, of each half.
    pub(crate) intermediate: usize,
    /// Of the feed-forward part.
    pub(crate) activation: Activation,
    /// Of the head.
    pub(crate) head_activation: Activation,
    /// The longest text.
    pub(crate) positions: usize,
    /// Of every layer norm.
    pub(crate) epsilon: f32,
    /// One a layer: whether it sees the whole text.
    pub(crate) global: Vec<bool>,
    /// Tokens that a local layer sees on each side.
    pub(crate) window: usize,
    /// Rotary base of the global layers.
    pub(crate) global_theta: f64,
    /// Rotary base of the local layers.
    pub(crate) local_theta: f64,
    /// Which linear layers and norms have a bias.
    pub(crate) biases: ModernBertBiases,
    /// Whether the decoder is the word embedding.
    pub(crate) tied: bool,
    /// The padding id.
    pub(crate) pad: u32,
    /// What training drops.
    pub(crate) dropout: DropoutRates,
}

/// Which parts of ModernBERT have a bias.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModernBertBiases {
    /// `attn.Wqkv`, `attn.Wo`
    pub(crate) attention: bool,
    /// `mlp.Wi`, `mlp.Wo`
    pub(crate) mlp: bool,
    /// All layer norms.
    pub(crate) norm: bool,
    /// `head.dense`
    pub(crate) head: bool,
    /// `decoder`
    pub(crate) decoder: bool,
}

impl ModernBertConfig {
    /// Reads the config.
    pub(crate) fn read(keys: &Keys<'_>) -> Result<Self, ModelError> {
        let layers = keys.layers("num_hidden_layers", 22)?;
        let every = keys.size("global_attn_every_n_layers", 3)?;
        let global = match keys.get("layer_types") {
            None => (0..layers).map(|layer| layer % every == 0).collect(),
            Some(types) => {
                let global: Option<Vec<bool>> = types.as_array().and_then(|types| {
                    let kind = |kind: &Value| match kind.as_str() {
                        Some("full_attention") => Some(true),
                        Some("sliding_attention") => Some(false),
                        _ => None,
                    };
                    types.iter().map(kind).collect()
                });
                match global {
                    Some(global) if global.len() == layers => global,
                    _ => {
                        let known = "one of full_attention and sliding_attention for each layer";
                        return Err(keys.unsupported("layer_types", known));
                    }
                }
            }
        };
        let mut global_theta = keys.number("global_rope_theta", 160_000.0)?;
        let mut local_theta = match keys.get("local_rope_theta") {
            None if keys.value.get("local_rope_theta").is_some() => global_theta,
            _ => keys.number("local_rope_theta", 10_000.0)?,
        };
        if let Some(rope) = keys.get("rope_parameters") {
            for (kind, theta) in
                [("full_attention", &mut global_theta), ("sliding_attention", &mut local_theta)]
            {
                let Some(rope) = rope.get(kind) else { continue };
                let rope = Keys { value: rope, path: keys.path };
                rope.only("rope_type", &Value::from("default"))?;
                *theta = rope.number("rope_theta", *theta)?;
            }
        }
        let attention_dropped = keys.rate("attention_dropout", 0.0)?;
        Ok(Self {
            vocab: keys.size("vocab_size", 50368)?,
            hidden: keys.size("hidden_size", 768)?,
            heads: keys.size("num_attention_heads", 12)?,
            intermediate: keys.size("intermediate_size", 1152)?,
            activation: keys.activation("hidden_activation", "gelu")?,
            head_activation: keys.activation("classifier_activation", "gelu")?,
            positions: keys.size("max_position_embeddings", 8192)?,
            epsilon: keys.number("norm_eps", 1e-5)? as f32,
            global,
            window: keys.size("local_attention", 128)? / 2,
            global_theta,
            local_theta,
            biases: ModernBertBiases {
                attention: keys.flag("attention_bias", false)?,
                mlp: keys.flag("mlp_bias", false)?,
                norm: keys.flag("norm_bias", false)?,
                head: keys.flag("classifier_bias", false)?,
                decoder: keys.flag("decoder_bias", true)?,
            },
            tied: keys.flag("tie_word_embeddings", true)?,
            pad: keys.size_or_zero("pad_token_id", 50283)? as u32,
            dropout: DropoutRates {
                embedding: keys.rate("embedding_dropout", 0.0)?,
                attention: attention_dropped,
                attention_out: attention_dropped,
                inner: keys.rate("mlp_dropout", 0.0)?,
                out: 0.0,
            },
        })
    }
}
