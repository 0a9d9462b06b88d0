//! `config.json` of a masked language model: which architecture, and its sizes.
//!
//! Every value that changes the numbers is read; one that is not implemented is an error that
//! names the key and the value. Defaults are those of transformers 4.56.

mod classifier;

pub(crate) use classifier::{ClassifierConfig, ScoreActivation};

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_nn::{Activation, LogBuckets};

use crate::error::ModelError;

/// Larger sizes than any model has would overflow the products of sizes.
const MAX_SIZE: u64 = 1 << 28;
/// More layers than any model has: each is looked up in the weights by its names.
const MAX_LAYERS: usize = 1024;

/// An architecture with its sizes.
#[derive(Debug, Clone)]
pub enum ArchitectureConfig {
    /// BERT and what shares its layers: RoBERTa, XLM-R, CamemBERT, ELECTRA, DistilBERT.
    Bert(BertConfig),
    /// ModernBERT.
    ModernBert(ModernBertConfig),
    /// DeBERTa-v2 and v3.
    DebertaV2(DebertaV2Config),
}

/// The families whose layers are BERT's; they differ in tensor names, positions and heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BertFamily {
    /// `bert.*`, `cls.predictions.*`
    Bert,
    /// `roberta.*`, `lm_head.*`; positions start after the padding id.
    Roberta,
    /// `electra.*`, `generator_predictions.*`; embeddings may be narrower than the layers.
    Electra,
    /// `distilbert.*`, `vocab_transform.*`; no token types.
    DistilBert,
}

/// Sizes of BERT and its relatives.
#[derive(Debug, Clone)]
pub struct BertConfig {
    /// Which of them.
    pub family: BertFamily,
    /// Terms of the model's vocabulary; may be more than the tokenizer's.
    pub vocab: usize,
    /// Width of the embeddings; `hidden` except in ELECTRA.
    pub embedding: usize,
    /// Width of the layers.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Width inside the feed-forward part.
    pub intermediate: usize,
    /// Of the feed-forward part.
    pub activation: Activation,
    /// Rows of the position table.
    pub positions: usize,
    /// Rows of the token-type table.
    pub token_types: usize,
    /// Of every layer norm.
    pub epsilon: f32,
    /// The padding id; RoBERTa counts positions from one past it.
    pub pad: u32,
    /// Whether the decoder is the word embedding.
    pub tied: bool,
    /// What training drops.
    pub dropout: DropoutRates,
}

/// Shares of numbers that training drops.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DropoutRates {
    /// Of the embeddings.
    pub embedding: f64,
    /// Of attention's probabilities.
    pub attention: f64,
    /// Of what attention gives, before it is added.
    pub attention_out: f64,
    /// Inside the feed-forward part, before its second layer.
    pub inner: f64,
    /// Of what the feed-forward part gives, before it is added.
    pub out: f64,
}

/// Sizes of ModernBERT.
#[derive(Debug, Clone)]
pub struct ModernBertConfig {
    /// Terms of the model's vocabulary.
    pub vocab: usize,
    /// Width of the layers.
    pub hidden: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Width inside the feed-forward part, of each half.
    pub intermediate: usize,
    /// Of the feed-forward part.
    pub activation: Activation,
    /// Of the head.
    pub head_activation: Activation,
    /// The longest text.
    pub positions: usize,
    /// Of every layer norm.
    pub epsilon: f32,
    /// One a layer: whether it sees the whole text.
    pub global: Vec<bool>,
    /// Tokens that a local layer sees on each side.
    pub window: usize,
    /// Rotary base of the global layers.
    pub global_theta: f64,
    /// Rotary base of the local layers.
    pub local_theta: f64,
    /// Which linear layers and norms have a bias.
    pub biases: ModernBertBiases,
    /// Whether the decoder is the word embedding.
    pub tied: bool,
    /// The padding id.
    pub pad: u32,
    /// What training drops.
    pub dropout: DropoutRates,
}

/// Which parts of ModernBERT have a bias.
#[derive(Debug, Clone, Copy)]
pub struct ModernBertBiases {
    /// `attn.Wqkv`, `attn.Wo`
    pub attention: bool,
    /// `mlp.Wi`, `mlp.Wo`
    pub mlp: bool,
    /// All layer norms.
    pub norm: bool,
    /// `head.dense`
    pub head: bool,
    /// `decoder`
    pub decoder: bool,
}

/// Sizes of DeBERTa-v2.
#[derive(Debug, Clone)]
pub struct DebertaV2Config {
    /// Terms of the model's vocabulary.
    pub vocab: usize,
    /// Width of the embeddings.
    pub embedding: usize,
    /// Width of the layers.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Width inside the feed-forward part.
    pub intermediate: usize,
    /// Of the feed-forward part.
    pub activation: Activation,
    /// Rows of the position table, and the longest text.
    pub positions: usize,
    /// Rows of the token-type table; 0 for none.
    pub token_types: usize,
    /// Of every layer norm.
    pub epsilon: f32,
    /// Whether positions are added to the embeddings.
    pub absolute_positions: bool,
    /// Relative positions, if used.
    pub relative: Option<RelativeConfig>,
    /// Kinds of scores that the scale of attention counts: the content's, and those of
    /// `pos_att_type`, which transformers counts even where positions are not relative.
    pub score_kinds: usize,
    /// Kernel width and activation of the convolution beside the first layer, if there is one.
    pub convolution: Option<ConvolutionConfig>,
    /// Whether the head is named `cls.*` (true) or `lm_predictions.*`.
    pub legacy: bool,
    /// Whether the decoder is the word embedding.
    pub tied: bool,
}

/// Relative positions of DeBERTa-v2.
#[derive(Debug, Clone)]
pub struct RelativeConfig {
    /// Buckets on each side.
    pub span: usize,
    /// Logarithmic buckets, if used.
    pub log_buckets: Option<LogBuckets>,
    /// Content to position.
    pub c2p: bool,
    /// Position to content.
    pub p2c: bool,
    /// Whether positions are projected with the content's weights.
    pub share_key: bool,
    /// Whether the position table is normalised.
    pub normalized: bool,
}

/// The convolution beside the first layer of DeBERTa-v2.
#[derive(Debug, Clone, Copy)]
pub struct ConvolutionConfig {
    /// Tokens that it spans; odd.
    pub kernel: usize,
    /// After it.
    pub activation: Activation,
}

impl ArchitectureConfig {
    /// Reads `config.json` of a model folder.
    ///
    /// # Errors
    /// If it cannot be read, names another architecture, or has a value that is not implemented.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("config.json");
        Self::parse(&read(&path)?, &path)
    }

    /// Reads the value of a `config.json`; `path` is for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn parse(value: &Value, path: &Path) -> Result<Self, ModelError> {
        let keys = Keys { value, path };
        keys.only("quantization_config", &Value::Null)?;
        keys.only("is_decoder", &Value::Bool(false))?;
        keys.only("add_cross_attention", &Value::Bool(false))?;
        keys.only("pruned_heads", &serde_json::json!({}))?;
        let model_type = keys.text("model_type", "")?;
        let config = match model_type.as_str() {
            "bert" => bert(&keys, BertFamily::Bert).map(Self::Bert),
            "roberta" | "xlm-roberta" | "camembert" => {
                bert(&keys, BertFamily::Roberta).map(Self::Bert)
            }
            "electra" => bert(&keys, BertFamily::Electra).map(Self::Bert),
            "distilbert" => distilbert(&keys).map(Self::Bert),
            "modernbert" => modernbert(&keys).map(Self::ModernBert),
            "deberta-v2" => deberta_v2(&keys).map(Self::DebertaV2),
            _ => Err(keys.unsupported(
                "model_type",
                "bert, distilbert, roberta, xlm-roberta, camembert, electra, modernbert, deberta-v2",
            )),
        }?;
        let (hidden, heads) = match &config {
            Self::Bert(c) => (c.hidden, c.heads),
            Self::ModernBert(c) => (c.hidden, c.heads),
            Self::DebertaV2(c) => (c.hidden, c.heads),
        };
        let rotary = matches!(config, Self::ModernBert(_));
        if !hidden.is_multiple_of(heads) || (rotary && !(hidden / heads).is_multiple_of(2)) {
            let even = if rotary { " of an even width" } else { "" };
            let message =
                format!("a hidden size of {hidden} does not divide into {heads} heads{even}");
            return Err(ModelError::Config { path: path.to_path_buf(), message });
        }
        Ok(config)
    }

    /// The architecture's usual name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bert(BertConfig { family, .. }) => match family {
                BertFamily::Bert => "BERT",
                BertFamily::Roberta => "RoBERTa",
                BertFamily::Electra => "ELECTRA",
                BertFamily::DistilBert => "DistilBERT",
            },
            Self::ModernBert(_) => "ModernBERT",
            Self::DebertaV2(_) => "DeBERTa-v2",
        }
    }

    /// Terms of the model's vocabulary.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Bert(c) => c.vocab,
            Self::ModernBert(c) => c.vocab,
            Self::DebertaV2(c) => c.vocab,
        }
    }

    /// Width of the words' embeddings.
    pub(crate) fn embedding(&self) -> usize {
        match self {
            Self::Bert(c) => c.embedding,
            Self::ModernBert(c) => c.hidden,
            Self::DebertaV2(c) => c.embedding,
        }
    }

    /// Rows of the table of token types; none where tokens have no types.
    pub(crate) fn token_types(&self) -> Option<usize> {
        let rows = match self {
            Self::Bert(c) => c.token_types,
            Self::ModernBert(_) => 0,
            Self::DebertaV2(c) => c.token_types,
        };
        (rows > 0).then_some(rows)
    }

    /// The longest text in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        match self {
            // RoBERTa's positions start at pad + 1: that many rows are never used.
            Self::Bert(c) if c.family == BertFamily::Roberta => {
                c.positions.saturating_sub(c.pad as usize + 1)
            }
            Self::Bert(c) => c.positions,
            Self::ModernBert(c) => c.positions,
            Self::DebertaV2(c) => c.positions,
        }
    }

    /// Width of the layers, layers and heads.
    pub fn shape(&self) -> (usize, usize, usize) {
        match self {
            Self::Bert(c) => (c.hidden, c.layers, c.heads),
            Self::ModernBert(c) => (c.hidden, c.global.len(), c.heads),
            Self::DebertaV2(c) => (c.hidden, c.layers, c.heads),
        }
    }
}

fn read(path: &Path) -> Result<Value, ModelError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ModelError::Io { path: path.to_path_buf(), source })?;
    serde_json::from_str(&text)
        .map_err(|source| ModelError::Json { path: path.to_path_buf(), source })
}

fn bert(keys: &Keys<'_>, family: BertFamily) -> Result<BertConfig, ModelError> {
    keys.only("position_embedding_type", &Value::from("absolute"))?;
    let roberta = family == BertFamily::Roberta;
    let electra = family == BertFamily::Electra;
    let hidden = keys.size("hidden_size", if electra { 256 } else { 768 })?;
    let dropped = keys.rate("hidden_dropout_prob", 0.1)?;
    Ok(BertConfig {
        family,
        vocab: keys.size("vocab_size", if roberta { 50265 } else { 30522 })?,
        embedding: if electra { keys.size("embedding_size", 128)? } else { hidden },
        hidden,
        layers: keys.layers("num_hidden_layers", 12)?,
        heads: keys.size("num_attention_heads", if electra { 4 } else { 12 })?,
        intermediate: keys.size("intermediate_size", if electra { 1024 } else { 3072 })?,
        activation: keys.activation("hidden_act", "gelu")?,
        positions: keys.size("max_position_embeddings", 512)?,
        token_types: keys.size("type_vocab_size", 2)?,
        epsilon: keys.number("layer_norm_eps", 1e-12)? as f32,
        pad: keys.size_or_zero("pad_token_id", if roberta { 1 } else { 0 })? as u32,
        tied: keys.flag("tie_word_embeddings", true)?,
        dropout: DropoutRates {
            embedding: dropped,
            attention: keys.rate("attention_probs_dropout_prob", 0.1)?,
            attention_out: dropped,
            inner: 0.0,
            out: dropped,
        },
    })
}

fn distilbert(keys: &Keys<'_>) -> Result<BertConfig, ModelError> {
    let hidden = keys.size("dim", 768)?;
    let dropped = keys.rate("dropout", 0.1)?;
    Ok(BertConfig {
        family: BertFamily::DistilBert,
        vocab: keys.size("vocab_size", 30522)?,
        embedding: hidden,
        hidden,
        layers: keys.layers("n_layers", 6)?,
        heads: keys.size("n_heads", 12)?,
        intermediate: keys.size("hidden_dim", 4 * 768)?,
        activation: keys.activation("activation", "gelu")?,
        positions: keys.size("max_position_embeddings", 512)?,
        token_types: 0,
        epsilon: 1e-12,
        pad: keys.size_or_zero("pad_token_id", 0)? as u32,
        tied: keys.flag("tie_word_embeddings", true)?,
        dropout: DropoutRates {
            embedding: dropped,
            attention: keys.rate("attention_dropout", 0.1)?,
            attention_out: 0.0,
            inner: 0.0,
            out: dropped,
        },
    })
}

fn modernbert(keys: &Keys<'_>) -> Result<ModernBertConfig, ModelError> {
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
    Ok(ModernBertConfig {
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

fn deberta_v2(keys: &Keys<'_>) -> Result<DebertaV2Config, ModelError> {
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
        // The logarithmic scale runs from half the buckets to the last position.
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
    Ok(DebertaV2Config {
        vocab: keys.size("vocab_size", 128_100)?,
        embedding: keys.size("embedding_size", hidden)?,
        hidden,
        layers: keys.layers("num_hidden_layers", 24)?,
        heads,
        intermediate: keys.size("intermediate_size", 6144)?,
        activation: keys.activation("hidden_act", "gelu")?,
        positions,
        token_types: keys.size_or_zero("type_vocab_size", 0)?,
        epsilon: keys.number("layer_norm_eps", 1e-7)? as f32,
        absolute_positions: keys.flag("position_biased_input", true)?,
        relative,
        score_kinds,
        convolution,
        legacy,
        // The new head has no decoder of its own: it multiplies with the word embeddings always.
        tied: !legacy || keys.flag("tie_word_embeddings", true)?,
    })
}

/// Typed access to the keys of one JSON object; `null` counts as absent.
struct Keys<'a> {
    value: &'a Value,
    path: &'a Path,
}

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    fn unsupported(&self, key: &str, known: &str) -> ModelError {
        let value = self.value.get(key).map_or_else(|| "absent".to_owned(), Value::to_string);
        ModelError::UnsupportedConfig {
            path: self.path(),
            key: key.to_owned(),
            value,
            known: known.to_owned(),
        }
    }

    fn wrong_type(&self, key: &str, expected: &str) -> ModelError {
        let got = self.value.get(key).unwrap_or(&Value::Null);
        let message = format!("\"{key}\" is {got} where {expected} is expected");
        ModelError::Config { path: self.path(), message }
    }

    /// Fails if the key is there with any other value.
    fn only(&self, key: &str, implemented: &Value) -> Result<(), ModelError> {
        match self.get(key) {
            Some(value) if value != implemented => {
                Err(self.unsupported(key, &implemented.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn size_or_zero(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => match value.as_u64() {
                Some(n) if n < MAX_SIZE => Ok(n as usize),
                _ => Err(self.wrong_type(key, "a whole number below 2^28")),
            },
        }
    }

    /// A number of layers.
    fn layers(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.size(key, default)? {
            n if n <= MAX_LAYERS => Ok(n),
            _ => Err(self.wrong_type(key, "at most 1024 layers")),
        }
    }

    /// A size where the config may say "none" with a number below one.
    fn size_if_any(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.number(key, -1.0)? {
            n if n < 1.0 => Ok(None),
            n if n < MAX_SIZE as f64 && n.fract() == 0.0 => Ok(Some(n as usize)),
            _ => Err(self.wrong_type(key, "a whole number below 2^28")),
        }
    }

    fn size(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.size_or_zero(key, default)? {
            0 => Err(self.wrong_type(key, "a number above zero")),
            n => Ok(n),
        }
    }

    fn number(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong_type(key, "a number")),
        }
    }

    /// A share below 1.
    fn rate(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        match self.number(key, default)? {
            rate if (0.0..1.0).contains(&rate) => Ok(rate),
            _ => Err(self.wrong_type(key, "a share from 0 to below 1")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong_type(key, "true or false")),
        }
    }

    fn text(&self, key: &str, default: &str) -> Result<String, ModelError> {
        match self.get(key) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.wrong_type(key, "a text")),
        }
    }

    /// Names of transformers' `ACT2FN`.
    fn activation(&self, key: &str, default: &str) -> Result<Activation, ModelError> {
        match self.text(key, default)?.as_str() {
            "gelu" | "gelu_python" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_python_tanh" => {
                Ok(Activation::GeluTanh)
            }
            "relu" => Ok(Activation::Relu),
            "silu" | "swish" => Ok(Activation::Silu),
            "tanh" => Ok(Activation::Tanh),
            _ => Err(self.unsupported(key, "gelu, gelu_new, gelu_pytorch_tanh, relu, silu, tanh")),
        }
    }
}
