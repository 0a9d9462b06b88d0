//! The `config.json` of DeBERTa-v2. Defaults are those of transformers 4.56.

use serde_json::Value;
use splade_nn::{Activation, LogBuckets};

use crate::config::Keys;
use crate::error::ModelError;

/// The sizes and settings of DeBERTa-v2.
#[derive(Debug, Clone)]
pub(crate) struct DebertaV2Config {
    /// The number of terms in the model's vocabulary. It may be larger than the tokenizer's.
    pub(crate) vocab: usize,
    /// The width of the embeddings.
    pub(crate) embedding: usize,
    /// The width of the layers.
    pub(crate) hidden: usize,
    /// The number of layers.
    pub(crate) layers: usize,
    /// The number of attention heads. `hidden` is a multiple of it.
    pub(crate) heads: usize,
    /// The inner width of the feed-forward part.
    pub(crate) intermediate: usize,
    /// The activation of the feed-forward part.
    pub(crate) activation: Activation,
    /// The number of rows of the position table, which is also the longest text in tokens.
    pub(crate) positions: usize,
    /// The number of rows of the token-type table, 0 for none.
    pub(crate) token_types: usize,
    /// The epsilon of every layer norm.
    pub(crate) epsilon: f32,
    /// Whether positions are added to the embeddings.
    pub(crate) absolute_positions: bool,
    /// The settings of relative positions, if the model uses them.
    pub(crate) relative: Option<RelativeConfig>,
    /// The number of kinds of scores in the scale of attention: one for the content, and one for
    /// each entry of `pos_att_type`. transformers counts these entries even if positions are not
    /// relative.
    pub(crate) score_kinds: usize,
    /// The kernel width and the activation of the convolution beside the first layer, if there is
    /// one.
    pub(crate) convolution: Option<ConvolutionConfig>,
    /// Whether the tensors of the head are named `cls.*` (true) or `lm_predictions.*` (false).
    pub(crate) legacy: bool,
    /// Whether the decoder is tied to the word embeddings.
    pub(crate) tied: bool,
}

/// The settings of relative positions in DeBERTa-v2.
#[derive(Debug, Clone)]
pub(crate) struct RelativeConfig {
    /// The number of buckets on each side of a token.
    pub(crate) span: usize,
    /// The logarithmic buckets, if the model uses them.
    pub(crate) log_buckets: Option<LogBuckets>,
    /// Whether scores have the part "content to position".
    pub(crate) c2p: bool,
    /// Whether scores have the part "position to content".
    pub(crate) p2c: bool,
    /// Whether positions are projected with the weights of the content.
    pub(crate) share_key: bool,
    /// Whether a layer norm is applied to the position table.
    pub(crate) normalized: bool,
}

/// The settings of the convolution beside the first layer of DeBERTa-v2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvolutionConfig {
    /// The number of tokens under the kernel, an odd number.
    pub(crate) kernel: usize,
    /// The activation after the convolution.
    pub(crate) activation: Activation,
}

impl DebertaV2Config {
    /// Reads the config and rejects values that are not implemented.
    pub(crate) fn read(keys: &Keys<'_>) -> Result<Self, ModelError> {
        let hidden = keys.size("hidden_size", 1536)?;
        let heads = keys.size("num_attention_heads", 24)?;
        let positions = keys.size("max_position_embeddings", 512)?;
        keys.only("attention_head_size", &Value::from(hidden / heads.max(1)))?;
        let kinds = match keys.get("pos_att_type") {
            None => Vec::new(),
            Some(Value::String(kinds)) => kinds.split('|').map(|kind| kind.trim().into()).collect(),
            Some(Value::Array(kinds)) => {
                kinds.iter().map(|kind| kind.as_str().unwrap_or("?").to_owned()).collect()
            }
            Some(_) => vec!["?".to_owned()],
        };
        if kinds.iter().any(|kind| !["", "c2p", "p2c"].contains(&kind.as_str())) {
            return Err(keys.unsupported("pos_att_type", "c2p and p2c"));
        }
        let has = |wanted: &str| kinds.iter().any(|kind| kind == wanted);
        let score_kinds = 1 + usize::from(has("c2p")) + usize::from(has("p2c"));
        let relative = if keys.flag("relative_attention", false)? {
            let max_position = keys.size_if_any("max_relative_positions")?.unwrap_or(positions);
            let buckets = keys.size_if_any("position_buckets")?;
            // The logarithmic scale runs from half the number of buckets to the last position.
            if buckets.is_some_and(|buckets| buckets < 2 || max_position <= buckets / 2 + 1) {
                let known = format!("2 and more, with half of them below {max_position} positions");
                return Err(keys.unsupported("position_buckets", &known));
            }
            let norm = keys.text("norm_rel_ebd", "none")?;
            if !["none", "layer_norm"].contains(&norm.as_str()) {
                return Err(keys.unsupported("norm_rel_ebd", "none and layer_norm"));
            }
            Some(RelativeConfig {
                span: buckets.unwrap_or(max_position),
                log_buckets: buckets.map(|buckets| LogBuckets { buckets, max_position }),
                c2p: has("c2p"),
                p2c: has("p2c"),
                share_key: keys.flag("share_att_key", false)?,
                normalized: norm == "layer_norm",
            })
        } else {
            None
        };
        let convolution = match keys.size_or_zero("conv_kernel_size", 0)? {
            0 => None,
            kernel if kernel % 2 == 1 => {
                keys.only("conv_groups", &Value::from(1))?;
                Some(ConvolutionConfig { kernel, activation: keys.activation("conv_act", "tanh")? })
            }
            _ => return Err(keys.unsupported("conv_kernel_size", "odd sizes")),
        };
        let legacy = keys.flag("legacy", true)?;
        Ok(Self {
            vocab: keys.size("vocab_size", 128_100)?,
            embedding: keys.size("embedding_size", hidden)?,
            hidden,
            layers: keys.layers("num_hidden_layers", 24)?,
            heads,
            intermediate: keys.size("intermediate_size", 6144)?,
            activation: keys.activation("hidden_act", "gelu")?,
            positions,
            token_types: keys.size_or_zero("type_vocab_size", 0)?,
            epsilon: keys.epsilon("layer_norm_eps", 1e-7)?,
            absolute_positions: keys.flag("position_biased_input", true)?,
            relative,
            score_kinds,
            convolution,
            legacy,
            // The new head has no separate decoder: it always uses the word embeddings.
            tied: !legacy || keys.flag("tie_word_embeddings", true)?,
        })
    }
}
