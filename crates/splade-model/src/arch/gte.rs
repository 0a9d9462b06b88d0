//! GTE (arXiv 2407.19669). Its classes are named `NewModel` and `NewForMaskedLM` in the custom code at
//! the hub, and `GteModel` and `GteForMaskedLM` in transformers since version 5.

use std::sync::Arc;

use serde_json::Value;
use splade_nn::Activation;

use super::family::{Architecture, Body, ClassifierHead, ClassifierNames, Family, Sizes, WordHead};
use super::rotary_bert::{RotaryBert, RotaryBertSettings, RotaryLayer};
use crate::config::Keys;
use crate::error::ModelError;
use crate::loader::Loader;

/// The keys on which no vector depends: ways to compute the same, and the limit of a scale of
/// attention that is not implemented.
const WITHOUT_INFLUENCE: &[&str] =
    &["unpad_inputs", "use_memory_efficient_attention", "logn_attention_clip1"];

/// The models with the custom code of the hub.
pub(crate) static NEW: Family = Family {
    model_type: "new",
    class: "New",
    tokenizer_class: "PreTrainedTokenizerFast",
    trained_as: None,
    without_influence: WITHOUT_INFLUENCE,
    read: |keys| Ok(Arc::new(GteConfig::read(keys, 10_000.0)?)),
};

/// The models of transformers since version 5.
pub(crate) static GTE: Family = Family {
    model_type: "gte",
    class: "Gte",
    tokenizer_class: "PreTrainedTokenizerFast",
    trained_as: None,
    without_influence: WITHOUT_INFLUENCE,
    read: |keys| Ok(Arc::new(GteConfig::read(keys, 160_000.0)?)),
};

/// The sizes and settings of a GTE model.
#[derive(Debug, Clone)]
struct GteConfig {
    sizes: Sizes,
    intermediate: usize,
    activation: Activation,
    epsilon: f32,
    /// The angle between neighbouring positions for each pair of dimensions of a head.
    frequencies: Vec<f32>,
    /// Whether queries, keys and values are one tensor.
    packed: bool,
    tied: bool,
    dropout: f64,
}

impl GteConfig {
    fn read(keys: &Keys<'_>, theta: f64) -> Result<Self, ModelError> {
        keys.only("position_embedding_type", &Value::from("rope"))?;
        keys.only("layer_norm_type", &Value::from("layer_norm"))?;
        keys.only("logn_attention_scale", &Value::Bool(false))?;
        let hidden = keys.size("hidden_size", 768)?;
        let heads = keys.size("num_attention_heads", 12)?;
        Ok(Self {
            sizes: Sizes {
                vocab: keys.size("vocab_size", 30528)?,
                embedding: hidden,
                hidden,
                layers: keys.layers("num_hidden_layers", 12)?,
                heads,
                token_types: keys.size_or_zero("type_vocab_size", 1)?,
                max_tokens: keys.size("max_position_embeddings", 2048)?,
            },
            intermediate: keys.size("intermediate_size", 3072)?,
            activation: keys.activation("hidden_act", "gelu")?,
            epsilon: keys.number("layer_norm_eps", 1e-12)? as f32,
            frequencies: frequencies(keys, hidden / heads, theta)?,
            packed: keys.flag("pack_qkv", true)?,
            tied: keys.flag("tie_word_embeddings", true)?,
            dropout: keys.rate("hidden_dropout_prob", 0.1)?,
        })
    }
}

/// Returns the angles of the rotary positions in heads of `dim` dimensions. Models for long texts
/// scale them by NTK, fixed or mixed (Su 2023).
fn frequencies(keys: &Keys<'_>, dim: usize, theta: f64) -> Result<Vec<f32>, ModelError> {
    let mut base = keys.rope_theta(theta)?;
    let mut scale: Box<dyn Fn(usize) -> f64> = Box::new(|_| 1.0);
    if let Some(scaling) = keys.object("rope_scaling")? {
        scaling.only("type", &Value::from("ntk"))?;
        scaling.only("rope_type", &Value::from("ntk"))?;
        let factor = scaling.number("factor", 1.0)?;
        if factor < 1.0 {
            return Err(scaling.unsupported("factor", "numbers from 1"));
        }
        match scaling.get("mixed_b") {
            None => {
                base *= factor;
                let all = libm::pow(factor, 2.0 / dim as f64);
                scale = Box::new(move |_| all);
            }
            Some(_) => {
                let b = scaling.number("mixed_b", 0.0)?;
                let a = libm::log(factor) / libm::pow(dim as f64 / 2.0, b);
                scale = Box::new(move |i| libm::exp(a * libm::pow((i + 1) as f64, b)));
            }
        }
        scaling.refuse_unknown(&[])?;
    }
    let frequency = |i| (1.0 / libm::pow(base, 2.0 * i as f64 / dim as f64) / scale(i)) as f32;
    Ok((0..dim / 2).map(frequency).collect())
}

impl Architecture for GteConfig {
    fn name(&self) -> &'static str {
        "GTE"
    }

    fn sizes(&self) -> Sizes {
        self.sizes
    }

    fn prefix(&self) -> &'static str {
        "new."
    }

    fn other_prefix(&self) -> Option<&'static str> {
        Some("gte.")
    }

    fn word_head(&self) -> WordHead {
        WordHead {
            embedding: "new.embeddings.word_embeddings.weight",
            dense: "lm_head.dense",
            dense_bias: true,
            activation: self.activation,
            norm: "lm_head.norm",
            norm_bias: true,
            epsilon: self.epsilon,
            decoder: "lm_head.decoder.weight",
            tied: self.tied,
            bias: &["lm_head.decoder.bias", "lm_head.bias"],
            has_bias: true,
        }
    }

    fn load_body(&self, loader: &Loader<'_>) -> Box<dyn Body> {
        loader.ignore("new.pooler.dense.weight");
        loader.ignore("new.pooler.dense.bias");
        let settings = RotaryBertSettings {
            sizes: self.sizes,
            activation: self.activation,
            epsilon: self.epsilon,
            frequencies: self.frequencies.clone(),
            norm: "new.embeddings.LayerNorm",
            token_types: "new.embeddings.token_type_embeddings.weight",
        };
        let (hidden, intermediate) = (self.sizes.hidden, self.intermediate);
        let layer = |layer: usize| {
            let name = |part: &str| format!("new.encoder.layer.{layer}.{part}");
            let norm = |part: &str| loader.norm(&name(part), hidden, self.epsilon, true);
            RotaryLayer {
                qkv: match self.packed {
                    true => loader.linear(&name("attention.qkv_proj"), 3 * hidden, hidden, true),
                    false => {
                        let parts = ["q_proj", "k_proj", "v_proj"];
                        let names = parts.map(|part| name(&format!("attention.{part}")));
                        loader.stacked(&names, hidden, hidden, true)
                    }
                },
                attention_out: loader.linear(&name("attention.o_proj"), hidden, hidden, true),
                attention_norm: norm("attn_ln"),
                // The file has the gate behind the values that it multiplies.
                gate_and_up: loader.halves_swapped(&name("mlp.up_gate_proj"), intermediate, hidden),
                down: loader.linear(&name("mlp.down_proj"), hidden, intermediate, true),
                norm: norm("mlp_ln"),
            }
        };
        Box::new(RotaryBert::load(loader, settings, layer))
    }

    fn classifier_names(&self) -> ClassifierNames {
        ClassifierNames { dense: "new.pooler.dense", norm: None, output: "classifier" }
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
