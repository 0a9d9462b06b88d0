//! The `config.json` and the tensor names of BERT and its relatives. Defaults are those of
//! transformers 4.56.

use serde_json::Value;
use splade_nn::Activation;

use crate::arch::post_norm::LayerNames;
use crate::arch::training::DropoutRates;
use crate::config::Keys;
use crate::error::ModelError;

/// A family whose layers are BERT's. The families differ in tensor names, positions and heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BertFamily {
    /// The family with the tensors `bert.*` and `cls.predictions.*`.
    Bert,
    /// The family with the tensors `roberta.*` and `lm_head.*`. Positions start after the padding
    /// id.
    Roberta,
    /// The family with the tensors `electra.*` and `generator_predictions.*`. The embeddings may be
    /// narrower than the layers.
    Electra,
    /// The family with the tensors `distilbert.*` and `vocab_transform.*`. It has no token types.
    DistilBert,
}

/// The sizes and settings of BERT and its relatives.
#[derive(Debug, Clone)]
pub(crate) struct BertConfig {
    /// The family, which determines tensor names, positions and heads.
    pub(crate) family: BertFamily,
    /// The number of terms in the model's vocabulary. It may be larger than the tokenizer's.
    pub(crate) vocab: usize,
    /// The width of the embeddings. It equals `hidden` except in ELECTRA.
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
    /// The number of rows of the position table.
    pub(crate) positions: usize,
    /// The number of rows of the token-type table, 0 for none.
    pub(crate) token_types: usize,
    /// The epsilon of every layer norm.
    pub(crate) epsilon: f32,
    /// The padding id. RoBERTa's positions start at this id plus one.
    pub(crate) pad: u32,
    /// Whether the decoder is tied to the word embeddings.
    pub(crate) tied: bool,
    /// The dropout rates of training.
    pub(crate) dropout: DropoutRates,
}

/// The names of a family's tensors.
pub(crate) struct Names {
    pub(crate) embeddings: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) layer: LayerNames,
    pub(crate) dense: &'static str,
    pub(crate) dense_norm: &'static str,
    /// The name of the word embeddings.
    pub(crate) embedding: &'static str,
    /// The name of the decoder's weight if the decoder is not tied.
    pub(crate) decoder: &'static str,
    /// The names under which files have the decoder's bias.
    pub(crate) bias: &'static [&'static str],
    /// The tensors that the family has but that are not used.
    pub(crate) ignored: &'static [&'static str],
}

const BERT_LAYER: LayerNames = LayerNames {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_out: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    norm: "output.LayerNorm",
};

impl BertFamily {
    pub(crate) fn names(self) -> Names {
        match self {
            BertFamily::Bert => Names {
                embeddings: "bert.embeddings",
                layers: "bert.encoder.layer",
                layer: BERT_LAYER,
                dense: "cls.predictions.transform.dense",
                dense_norm: "cls.predictions.transform.LayerNorm",
                embedding: "bert.embeddings.word_embeddings.weight",
                decoder: "cls.predictions.decoder.weight",
                bias: &["cls.predictions.bias", "cls.predictions.decoder.bias"],
                ignored: &[
                    "bert.pooler.dense.weight",
                    "bert.pooler.dense.bias",
                    "cls.seq_relationship.weight",
                    "cls.seq_relationship.bias",
                ],
            },
            BertFamily::Roberta => Names {
                embeddings: "roberta.embeddings",
                layers: "roberta.encoder.layer",
                layer: BERT_LAYER,
                dense: "lm_head.dense",
                dense_norm: "lm_head.layer_norm",
                embedding: "roberta.embeddings.word_embeddings.weight",
                decoder: "lm_head.decoder.weight",
                bias: &["lm_head.bias", "lm_head.decoder.bias"],
                ignored: &["roberta.pooler.dense.weight", "roberta.pooler.dense.bias"],
            },
            BertFamily::Electra => Names {
                embeddings: "electra.embeddings",
                layers: "electra.encoder.layer",
                layer: BERT_LAYER,
                dense: "generator_predictions.dense",
                dense_norm: "generator_predictions.LayerNorm",
                embedding: "electra.embeddings.word_embeddings.weight",
                decoder: "generator_lm_head.weight",
                bias: &["generator_lm_head.bias"],
                ignored: &[],
            },
            BertFamily::DistilBert => Names {
                embeddings: "distilbert.embeddings",
                layers: "distilbert.transformer.layer",
                layer: LayerNames {
                    query: "attention.q_lin",
                    key: "attention.k_lin",
                    value: "attention.v_lin",
                    attention_out: "attention.out_lin",
                    attention_norm: "sa_layer_norm",
                    up: "ffn.lin1",
                    down: "ffn.lin2",
                    norm: "output_layer_norm",
                },
                dense: "vocab_transform",
                dense_norm: "vocab_layer_norm",
                embedding: "distilbert.embeddings.word_embeddings.weight",
                decoder: "vocab_projector.weight",
                bias: &["vocab_projector.bias"],
                ignored: &[],
            },
        }
    }

    /// Returns the activation of the head. It is fixed in RoBERTa and ELECTRA, regardless of the
    /// config.
    pub(crate) fn head_activation(self, config: &BertConfig) -> Activation {
        match self {
            BertFamily::Bert | BertFamily::DistilBert => config.activation,
            BertFamily::Roberta | BertFamily::Electra => Activation::Gelu,
        }
    }
}

impl BertConfig {
    /// Reads the config of any family except DistilBERT, whose keys have other names.
    pub(crate) fn read(keys: &Keys<'_>, family: BertFamily) -> Result<Self, ModelError> {
        keys.only("position_embedding_type", &Value::from("absolute"))?;
        let roberta = family == BertFamily::Roberta;
        let electra = family == BertFamily::Electra;
        let hidden = keys.size("hidden_size", if electra { 256 } else { 768 })?;
        let dropped = keys.rate("hidden_dropout_prob", 0.1)?;
        Ok(Self {
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
            epsilon: keys.epsilon("layer_norm_eps", 1e-12)?,
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

    /// Reads the config of a DistilBERT.
    pub(crate) fn read_distilbert(keys: &Keys<'_>) -> Result<Self, ModelError> {
        // transformers has two names for these sizes.
        for (name, other) in [
            ("dim", "hidden_size"),
            ("n_layers", "num_hidden_layers"),
            ("n_heads", "num_attention_heads"),
        ] {
            if let (Some(one), Some(_)) = (keys.get(name), keys.get(other)) {
                keys.only(other, one)?;
            }
        }
        keys.only("position_embedding_type", &Value::from("absolute"))?;
        let hidden = keys.size("dim", keys.size("hidden_size", 768)?)?;
        let dropped = keys.rate("dropout", 0.1)?;
        Ok(Self {
            family: BertFamily::DistilBert,
            vocab: keys.size("vocab_size", 30522)?,
            embedding: hidden,
            hidden,
            layers: keys.layers("n_layers", keys.layers("num_hidden_layers", 6)?)?,
            heads: keys.size("n_heads", keys.size("num_attention_heads", 12)?)?,
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
}
