//! MPNet (arXiv 2004.09297): BERT's layers with a number for each distance and head that is added to
//! the scores of attention, as in T5 (1910.10683). All layers share these numbers.

use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;
use splade_nn::{Activation, Attention, LayerNorm, RelativePositions};

use super::batch::{PackedTexts, Workspace, add};
use super::family::{Architecture, Body, ClassifierHead, ClassifierNames, Family, Sizes, WordHead};
use super::post_norm::{LayerNames, LayerShape, PostNormLayer};
use super::words::Words;
use crate::config::Keys;
use crate::error::ModelError;
use crate::loader::Loader;

const LAYER: LayerNames = LayerNames {
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    attention_out: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    norm: "output.LayerNorm",
};

/// The padding id. It is fixed in transformers, and positions start after it.
const PAD: u32 = 1;
/// The distance from which on all tokens have the same bucket.
const MAX_DISTANCE: usize = 128;
/// The number of buckets of distances, of both sides together.
const BUCKETS: usize = 32;

pub(crate) static MPNET: Family = Family {
    model_type: "mpnet",
    class: "MPNet",
    tokenizer_class: "MPNetTokenizer",
    trained_as: None,
    without_influence: &["type_vocab_size", "pad_token_id"],
    read: |keys| Ok(Arc::new(MpNetConfig::read(keys)?)),
};

/// The sizes and settings of an MPNet model.
#[derive(Debug, Clone)]
struct MpNetConfig {
    sizes: Sizes,
    intermediate: usize,
    activation: Activation,
    /// The number of rows of the position table.
    positions: usize,
    epsilon: f32,
    tied: bool,
    dropout: f64,
}

impl MpNetConfig {
    fn read(keys: &Keys<'_>) -> Result<Self, ModelError> {
        let hidden = keys.size("hidden_size", 768)?;
        let positions = keys.size("max_position_embeddings", 512)?;
        // transformers computes 32 buckets, regardless of the config.
        keys.only("relative_attention_num_buckets", &Value::from(BUCKETS))?;
        Ok(Self {
            sizes: Sizes {
                vocab: keys.size("vocab_size", 30527)?,
                embedding: hidden,
                hidden,
                layers: keys.layers("num_hidden_layers", 12)?,
                heads: keys.size("num_attention_heads", 12)?,
                token_types: 0,
                max_tokens: positions.saturating_sub(PAD as usize + 1),
            },
            intermediate: keys.size("intermediate_size", 3072)?,
            activation: keys.activation("hidden_act", "gelu")?,
            positions,
            epsilon: keys.number("layer_norm_eps", 1e-12)? as f32,
            tied: keys.flag("tie_word_embeddings", true)?,
            dropout: keys.rate("hidden_dropout_prob", 0.1)?,
        })
    }
}

impl Architecture for MpNetConfig {
    fn name(&self) -> &'static str {
        "MPNet"
    }

    fn sizes(&self) -> Sizes {
        self.sizes
    }

    fn prefix(&self) -> &'static str {
        "mpnet."
    }

    fn word_head(&self) -> WordHead {
        WordHead {
            embedding: "mpnet.embeddings.word_embeddings.weight",
            dense: "lm_head.dense",
            dense_bias: true,
            // It is fixed, regardless of the config.
            activation: Activation::Gelu,
            norm: "lm_head.layer_norm",
            norm_bias: true,
            epsilon: self.epsilon,
            decoder: "lm_head.decoder.weight",
            tied: self.tied,
            bias: &["lm_head.bias", "lm_head.decoder.bias"],
            has_bias: true,
        }
    }

    fn load_body(&self, loader: &Loader<'_>) -> Box<dyn Body> {
        Box::new(MpNet::load(loader, self))
    }

    fn classifier_names(&self) -> ClassifierNames {
        ClassifierNames { dense: "classifier.dense", norm: None, output: "classifier.out_proj" }
    }

    fn classifier_head(&self, _: &Keys<'_>) -> Result<ClassifierHead, ModelError> {
        Ok(ClassifierHead::first_token(Activation::Tanh, (self.dropout, self.dropout)))
    }

    /// Returns false, because training passes for the numbers of distances are not implemented.
    fn is_trained(&self) -> bool {
        false
    }
}

/// The embeddings (without the word embeddings) and the layers.
#[derive(Debug)]
struct MpNet {
    attention: Attention,
    activation: Activation,
    /// The position table, `(positions, hidden)`.
    positions: Vec<f32>,
    norm: LayerNorm,
    relative: RelativePositions,
    layers: Vec<PostNormLayer>,
}

impl MpNet {
    fn load(loader: &Loader<'_>, config: &MpNetConfig) -> Self {
        loader.ignore("mpnet.pooler.dense.weight");
        loader.ignore("mpnet.pooler.dense.bias");
        let Sizes { hidden, heads, layers, .. } = config.sizes;
        let head_dim = hidden / heads;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let (intermediate, epsilon) = (config.intermediate, config.epsilon);
        let shape = LayerShape { hidden, intermediate, epsilon };
        let table = "mpnet.encoder.relative_attention_bias.weight";
        let table = loader.matrix_f32(table, BUCKETS, heads);
        Self {
            attention: Attention { heads, head_dim, scale, window: None },
            activation: config.activation,
            positions: loader.matrix_f32(
                "mpnet.embeddings.position_embeddings.weight",
                config.positions,
                hidden,
            ),
            norm: loader.norm("mpnet.embeddings.LayerNorm", hidden, epsilon, true),
            relative: RelativePositions {
                span: MAX_DISTANCE,
                log_buckets: None,
                keys: Vec::new(),
                queries: Vec::new(),
                biases: match loader.is_complete() {
                    true => biases(&table, heads, scale),
                    false => Vec::new(),
                },
            },
            layers: (0..layers)
                .into_par_iter()
                .map(|layer| {
                    let prefix = format!("mpnet.encoder.layer.{layer}");
                    PostNormLayer::load(loader, &prefix, &LAYER, shape)
                })
                .collect(),
        }
    }
}

impl Body for MpNet {
    fn forward(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let (isa, width) = (words.isa(), words.width());
        let hidden = &mut workspace.hidden;
        words.embed(texts.ids, hidden);
        let rows = texts.positions_after(PAD);
        for (x, row) in hidden.chunks_exact_mut(width).zip(rows) {
            add(x, &self.positions[row * width..][..width]);
        }
        self.norm.forward(isa, hidden, None);
        for layer in &self.layers {
            let relative = Some(&self.relative);
            layer.forward(&self.attention, self.activation, texts, relative, workspace, parallel);
        }
    }

    fn bytes(&self) -> usize {
        self.positions.len() * size_of::<f32>()
            + self.layers.iter().map(PostNormLayer::bytes).sum::<usize>()
    }
}

/// Returns the number that is added to the score of each distance from `-MAX_DISTANCE` on, for each
/// head, from the table of buckets, `(buckets, heads)`. Attention multiplies it by `scale`.
fn biases(table: &[f32], heads: usize, scale: f32) -> Vec<Vec<f32>> {
    let span = MAX_DISTANCE as isize;
    let of = |head| {
        let bias = |delta| table[bucket(delta) * heads + head] / scale;
        (-span..span).map(bias).collect()
    };
    (0..heads).map(of).collect()
}

/// Returns the bucket of a query that is `delta` tokens after its key. The first half of the buckets
/// is for keys up to the query. Half of each side has a bucket for each distance, and the rest grows
/// on a logarithmic scale. It is computed in 32-bit floats, as in PyTorch.
fn bucket(delta: isize) -> usize {
    let side = BUCKETS / 2;
    let start = if delta < 0 { side } else { 0 };
    let (distance, exact) = (delta.unsigned_abs(), side / 2);
    if distance < exact {
        return start + distance;
    }
    let far = libm::logf(distance as f32 / exact as f32);
    let end = libm::log(MAX_DISTANCE as f64 / exact as f64) as f32;
    let larger = exact + (far / end * (side - exact) as f32) as usize;
    start + larger.min(side - 1)
}
