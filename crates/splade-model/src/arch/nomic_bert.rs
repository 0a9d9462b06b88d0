//! NomicBERT (arXiv 2402.01613): BERT with rotary positions, a gated feed-forward part and few biases.
//!
//! Its config has the names of GPT-2 in the custom code at the hub, and those of BERT in transformers
//! since version 5.

use std::sync::Arc;

use serde_json::Value;
use splade_nn::Activation;

use super::family::{Architecture, Body, ClassifierHead, ClassifierNames, Family, Sizes, WordHead};
use super::rotary_bert::{RotaryBert, RotaryBertSettings, RotaryLayer, default_frequencies};
use crate::config::Keys;
use crate::error::ModelError;
use crate::loader::Loader;

pub(crate) static NOMIC_BERT: Family = Family {
    model_type: "nomic_bert",
    class: "NomicBert",
    tokenizer_class: "BertTokenizer",
    trained_as: None,
    without_influence: &[
        // Ways to compute the same.
        "dense_seq_output",
        "fused_bias_fc",
        "fused_dropout_add_ln",
        "last_layer_subset",
        "reorder_and_upcast_attn",
        "use_flash_attn",
        "use_xentropy",
        // Notes of training.
        "attn_pdrop",
        "embd_pdrop",
        "resid_pdrop",
        "max_trained_positions",
    ],
    read: |keys| Ok(Arc::new(NomicBertConfig::read(keys)?)),
};

/// The sizes and settings of a NomicBERT model.
#[derive(Debug, Clone)]
struct NomicBertConfig {
    sizes: Sizes,
    intermediate: usize,
    activation: Activation,
    epsilon: f32,
    /// The base of the rotary positions.
    theta: f64,
    /// Whether attention, the first and the second layer of the feed-forward part have biases.
    biases: [bool; 3],
    tied: bool,
    dropout: f64,
}

impl NomicBertConfig {
    fn read(keys: &Keys<'_>) -> Result<Self, ModelError> {
        match keys.get("n_embd") {
            Some(_) => Self::read_gpt2(keys),
            None => Self::read_bert(keys),
        }
    }

    /// Reads the config of the custom code at the hub.
    fn read_gpt2(keys: &Keys<'_>) -> Result<Self, ModelError> {
        for (key, only) in [
            ("causal", Value::Bool(false)),
            ("prenorm", Value::Bool(false)),
            ("parallel_block", Value::Bool(false)),
            ("parallel_block_tied_norm", Value::Bool(false)),
            ("use_rms_norm", Value::Bool(false)),
            ("scale_attn_weights", Value::Bool(true)),
            ("scale_attn_by_inverse_layer_idx", Value::Bool(false)),
            ("rotary_emb_interleaved", Value::Bool(false)),
            ("rotary_emb_scale_base", Value::Null),
            ("rotary_scaling_factor", Value::Null),
        ] {
            keys.only(key, &only)?;
        }
        if keys.number("rotary_emb_fraction", 1.0)? != 1.0 {
            return Err(keys.unsupported("rotary_emb_fraction", "1"));
        }
        let hidden = keys.size("n_embd", 768)?;
        let multiple = keys.size("pad_vocab_size_multiple", 1)?;
        Ok(Self {
            sizes: Sizes {
                vocab: keys.size("vocab_size", 30522)?.next_multiple_of(multiple),
                embedding: hidden,
                hidden,
                layers: keys.layers("n_layer", 12)?,
                heads: keys.size("n_head", 12)?,
                token_types: keys.size_or_zero("type_vocab_size", 2)?,
                max_tokens: keys.size("n_positions", 2048)?,
            },
            intermediate: keys.size("n_inner", 4 * hidden)?,
            activation: match keys.text("activation_function", "swiglu")?.as_str() {
                "swiglu" => Activation::Silu,
                "geglu" => Activation::Gelu,
                _ => return Err(keys.unsupported("activation_function", "swiglu, geglu")),
            },
            epsilon: keys.number("layer_norm_epsilon", 1e-12)? as f32,
            theta: keys.number("rotary_emb_base", 10_000.0)?,
            biases: [
                keys.flag("qkv_proj_bias", true)?,
                keys.flag("mlp_fc1_bias", true)?,
                keys.flag("mlp_fc2_bias", true)?,
            ],
            tied: keys.flag("tie_word_embeddings", true)?,
            dropout: 0.0,
        })
    }

    /// Reads the config of transformers.
    fn read_bert(keys: &Keys<'_>) -> Result<Self, ModelError> {
        let hidden = keys.size("hidden_size", 768)?;
        let heads = keys.size("num_attention_heads", 12)?;
        keys.only("head_dim", &Value::from(hidden / heads))?;
        Ok(Self {
            sizes: Sizes {
                vocab: keys.size("vocab_size", 30528)?,
                embedding: hidden,
                hidden,
                layers: keys.layers("num_hidden_layers", 12)?,
                heads,
                token_types: keys.size_or_zero("type_vocab_size", 2)?,
                max_tokens: keys.size("max_position_embeddings", 2048)?,
            },
            intermediate: keys.size("intermediate_size", 3072)?,
            activation: keys.activation("hidden_act", "silu")?,
            epsilon: keys.number("layer_norm_eps", 1e-12)? as f32,
            theta: keys.rope_theta(1000.0)?,
            biases: [false; 3],
            tied: keys.flag("tie_word_embeddings", true)?,
            dropout: keys.rate("hidden_dropout_prob", 0.0)?,
        })
    }
}

impl Architecture for NomicBertConfig {
    fn name(&self) -> &'static str {
        "NomicBERT"
    }

    fn sizes(&self) -> Sizes {
        self.sizes
    }

    fn prefix(&self) -> &'static str {
        "bert."
    }

    fn other_prefix(&self) -> Option<&'static str> {
        Some("nomic_bert.")
    }

    fn word_head(&self) -> WordHead {
        WordHead {
            embedding: "bert.embeddings.word_embeddings.weight",
            dense: "cls.predictions.transform.dense",
            dense_bias: true,
            activation: self.activation,
            norm: "cls.predictions.transform.layer_norm",
            norm_bias: true,
            epsilon: self.epsilon,
            decoder: "cls.predictions.decoder.weight",
            tied: self.tied,
            bias: &["cls.predictions.decoder.bias", "cls.predictions.bias"],
            has_bias: true,
        }
    }

    fn load_body(&self, loader: &Loader<'_>) -> Box<dyn Body> {
        loader.ignore("bert.pooler.dense.weight");
        loader.ignore("bert.pooler.dense.bias");
        let Sizes { hidden, heads, .. } = self.sizes;
        let settings = RotaryBertSettings {
            sizes: self.sizes,
            activation: self.activation,
            epsilon: self.epsilon,
            frequencies: default_frequencies(hidden / heads, self.theta),
            norm: "bert.emb_ln",
            token_types: "bert.embeddings.token_type_embeddings.weight",
        };
        let (intermediate, [attention, up, down]) = (self.intermediate, self.biases);
        let layer = |layer: usize| {
            let name = |part: &str| format!("bert.encoder.layers.{layer}.{part}");
            let norm = |part: &str| loader.norm(&name(part), hidden, self.epsilon, true);
            let gate_and_up = ["mlp.fc12", "mlp.fc11"].map(name);
            RotaryLayer {
                qkv: loader.linear(&name("attn.Wqkv"), 3 * hidden, hidden, attention),
                attention_out: loader.linear(&name("attn.out_proj"), hidden, hidden, attention),
                attention_norm: norm("norm1"),
                gate_and_up: loader.stacked(&gate_and_up, intermediate, hidden, up),
                down: loader.linear(&name("mlp.fc2"), hidden, intermediate, down),
                norm: norm("norm2"),
            }
        };
        Box::new(RotaryBert::load(loader, settings, layer))
    }

    fn classifier_names(&self) -> ClassifierNames {
        ClassifierNames { dense: "bert.pooler.dense", norm: None, output: "classifier" }
    }

    fn classifier_head(&self, keys: &Keys<'_>) -> Result<ClassifierHead, ModelError> {
        let rate = keys.rate("classifier_dropout", self.dropout)?;
        Ok(ClassifierHead::first_token(Activation::Tanh, (0.0, rate)))
    }

    /// Returns false, because training passes for these layers are not implemented.
    fn is_trained(&self) -> bool {
        false
    }

    fn has_even_heads(&self) -> bool {
        true
    }
}
