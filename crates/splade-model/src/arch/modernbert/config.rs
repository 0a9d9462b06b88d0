//! The `config.json` of ModernBERT. Defaults are those of transformers 4.56.

use serde_json::Value;
use splade_nn::Activation;

use crate::arch::training::DropoutRates;
use crate::config::Keys;
use crate::error::ModelError;

/// The name of the word embeddings.
pub(crate) const EMBEDDING: &str = "model.embeddings.tok_embeddings.weight";

/// The sizes and settings of ModernBERT.
#[derive(Debug, Clone)]
pub(crate) struct ModernBertConfig {
    /// The number of terms in the model's vocabulary. It may be larger than the tokenizer's.
    pub(crate) vocab: usize,
    /// The width of the layers.
    pub(crate) hidden: usize,
    /// The number of attention heads. `hidden` is an even multiple of it.
    pub(crate) heads: usize,
    /// The inner width of the feed-forward part, for each of the two halves.
    pub(crate) intermediate: usize,
    /// The activation of the feed-forward part.
    pub(crate) activation: Activation,
    /// The activation of the head.
    pub(crate) head_activation: Activation,
    /// The longest text in tokens.
    pub(crate) positions: usize,
    /// The epsilon of every layer norm.
    pub(crate) epsilon: f32,
    /// Whether each layer attends to the whole text, one entry for each layer.
    pub(crate) global: Vec<bool>,
    /// The number of tokens on each side that a local layer attends to.
    pub(crate) window: usize,
    /// The base of the rotary positions in global layers.
    pub(crate) global_theta: f64,
    /// The base of the rotary positions in local layers.
    pub(crate) local_theta: f64,
    /// The linear layers and norms that have a bias.
    pub(crate) biases: ModernBertBiases,
    /// Whether the decoder is tied to the word embeddings.
    pub(crate) tied: bool,
    /// The padding id, whose embedding gets no gradient.
    pub(crate) pad: u32,
    /// The dropout rates of training.
    pub(crate) dropout: DropoutRates,
}

/// Flags for the parts of ModernBERT that may have a bias.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModernBertBiases {
    /// The flag for `attn.Wqkv` and `attn.Wo`.
    pub(crate) attention: bool,
    /// The flag for `mlp.Wi` and `mlp.Wo`.
    pub(crate) mlp: bool,
    /// The flag for all layer norms.
    pub(crate) norm: bool,
    /// The flag for `head.dense`.
    pub(crate) head: bool,
    /// The flag for `decoder`.
    pub(crate) decoder: bool,
}

impl ModernBertConfig {
    /// Reads the config and rejects values that are not implemented.
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
        // Other sizes than these would be other models.
        let heads = keys.size("num_attention_heads", 12)?;
        keys.only("head_dim", &Value::from(keys.size("hidden_size", 768)? / heads))?;
        let window = keys.size("local_attention", 128)? / 2;
        keys.only("sliding_window", &Value::from(window))?;
        if let Some(scaling) = keys.object("rope_scaling")? {
            scaling.only("rope_type", &Value::from("default"))?;
            scaling.only("type", &Value::from("default"))?;
            scaling.refuse_unknown(&[])?;
        }
        let mut global_theta = keys.number("global_rope_theta", 160_000.0)?;
        let mut local_theta = match keys.get("local_rope_theta") {
            None if keys.value.get("local_rope_theta").is_some() => global_theta,
            _ => keys.number("local_rope_theta", 10_000.0)?,
        };
        if let Some(parameters) = keys.object("rope_parameters")? {
            for (kind, theta) in
                [("full_attention", &mut global_theta), ("sliding_attention", &mut local_theta)]
            {
                let Some(rope) = parameters.object(kind)? else { continue };
                rope.only("rope_type", &Value::from("default"))?;
                rope.only("type", &Value::from("default"))?;
                *theta = rope.number("rope_theta", *theta)?;
                rope.refuse_unknown(&[])?;
            }
            parameters.refuse_unknown(&[])?;
        }
        let attention_dropped = keys.rate("attention_dropout", 0.0)?;
        Ok(Self {
            vocab: keys.size("vocab_size", 50368)?,
            hidden: keys.size("hidden_size", 768)?,
            heads,
            intermediate: keys.size("intermediate_size", 1152)?,
            activation: keys.activation("hidden_activation", "gelu")?,
            head_activation: keys.activation("classifier_activation", "gelu")?,
            positions: keys.size("max_position_embeddings", 8192)?,
            epsilon: keys.epsilon("norm_eps", 1e-5)?,
            global,
            window,
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
