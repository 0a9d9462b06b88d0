//! DeBERTa-v2 and v3 (arXiv 2006.03654, 2111.09543): BERT's layers with relative positions in the
//! attention scores.

mod config;

use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;
use splade_nn::{
    Activation, Attention, LayerNorm, Linear, Matrix, PackedMatrix, Precision, RelativePositions,
};

use super::batch::{PackedTexts, Workspace, add, resize};
use super::family::{Architecture, Body, ClassifierHead, ClassifierNames, Family, Sizes, WordHead};
use super::post_norm::{LayerNames, LayerShape, PostNormLayer};
use super::words::Words;
use crate::config::Keys;
use crate::error::ModelError;
use crate::loader::Loader;
use config::{DebertaV2Config, RelativeConfig};

const LAYER: LayerNames = LayerNames {
    query: "attention.self.query_proj",
    key: "attention.self.key_proj",
    value: "attention.self.value_proj",
    attention_out: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    norm: "output.LayerNorm",
};

pub(crate) static DEBERTA_V2: Family = Family {
    model_type: "deberta-v2",
    class: "DebertaV2",
    tokenizer_class: "PreTrainedTokenizerFast",
    trained_as: None,
    // The code asks for these keys only if the model has relative positions or a convolution.
    without_influence: &[
        "conv_act",
        "conv_groups",
        "max_relative_positions",
        "norm_rel_ebd",
        "position_buckets",
        "position_embedding_type",
        "share_att_key",
    ],
    read: |keys| Ok(Arc::new(DebertaV2Config::read(keys)?)),
};

impl Architecture for DebertaV2Config {
    fn name(&self) -> &'static str {
        "DeBERTa-v2"
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            vocab: self.vocab,
            embedding: self.embedding,
            hidden: self.hidden,
            layers: self.layers,
            heads: self.heads,
            token_types: self.token_types,
            max_tokens: self.positions,
        }
    }

    fn prefix(&self) -> &'static str {
        "deberta."
    }

    fn word_head(&self) -> WordHead {
        let (dense, norm, decoder, bias) = match self.legacy {
            true => (
                "cls.predictions.transform.dense",
                "cls.predictions.transform.LayerNorm",
                "cls.predictions.decoder.weight",
                &["cls.predictions.bias", "cls.predictions.decoder.bias"][..],
            ),
            false => (
                "lm_predictions.lm_head.dense",
                "lm_predictions.lm_head.LayerNorm",
                "lm_predictions.lm_head.weight",
                &["lm_predictions.lm_head.bias"][..],
            ),
        };
        WordHead {
            embedding: "deberta.embeddings.word_embeddings.weight",
            dense,
            dense_bias: true,
            activation: self.activation,
            norm,
            norm_bias: true,
            epsilon: self.epsilon,
            decoder,
            tied: self.tied,
            bias,
            has_bias: true,
        }
    }

    fn load_body(&self, loader: &Loader<'_>) -> Box<dyn Body> {
        Box::new(DebertaV2::load(loader, self))
    }

    fn classifier_names(&self) -> ClassifierNames {
        ClassifierNames { dense: "pooler.dense", norm: None, output: "classifier" }
    }

    fn classifier_head(&self, keys: &Keys<'_>) -> Result<ClassifierHead, ModelError> {
        keys.only("pooler_hidden_size", &Value::from(self.hidden))?;
        let activation = keys.activation("pooler_hidden_act", "gelu")?;
        Ok(ClassifierHead::first_token(activation, (0.0, 0.0)))
    }

    /// Returns false, because training passes for DeBERTa's attention are not implemented.
    fn is_trained(&self) -> bool {
        false
    }
}

/// The embeddings (without the word embeddings) and the layers.
#[derive(Debug)]
pub(crate) struct DebertaV2 {
    attention: Attention,
    activation: Activation,
    /// The position table, `(positions, embedding)`, if positions are added to the embeddings.
    positions: Option<Vec<f32>>,
    /// The table of token types, `(token types, embedding)`, if the model has token types.
    token_types: Option<Vec<f32>>,
    /// The projection of the embeddings, `(hidden, embedding)`, if the two widths differ.
    projection: Option<Linear>,
    norm: LayerNorm,
    layers: Vec<(PostNormLayer, Option<RelativePositions>)>,
    convolution: Option<Convolution>,
}

/// A convolution over the embeddings, whose result is added to the output of the first layer.
#[derive(Debug)]
struct Convolution {
    kernel: usize,
    /// The kernel as a matrix, `(hidden, kernel · hidden)`.
    weight: Linear,
    activation: Activation,
    norm: LayerNorm,
}

impl DebertaV2 {
    /// Loads everything except the word embeddings.
    pub(crate) fn load(loader: &Loader<'_>, config: &DebertaV2Config) -> Self {
        let (hidden, embedding, epsilon) = (config.hidden, config.embedding, config.epsilon);
        let head_dim = hidden / config.heads;
        let table = config.relative.as_ref().map(|relative| {
            let rows = 2 * relative.span;
            let mut table =
                loader.matrix_f32("deberta.encoder.rel_embeddings.weight", rows, hidden);
            if relative.normalized {
                let norm = loader.norm("deberta.encoder.LayerNorm", hidden, epsilon, true);
                if loader.is_complete() {
                    norm.forward(loader.isa, &mut table, None);
                }
            }
            table
        });
        let shape = LayerShape { hidden, intermediate: config.intermediate, epsilon };
        Self {
            attention: Attention {
                heads: config.heads,
                head_dim,
                // Each kind of score adds its variance (section 3.1 of the paper).
                scale: 1.0 / ((head_dim * config.score_kinds) as f32).sqrt(),
                window: None,
            },
            activation: config.activation,
            positions: config.absolute_positions.then(|| {
                let name = "deberta.embeddings.position_embeddings.weight";
                loader.matrix_f32(name, config.positions, embedding)
            }),
            token_types: (config.token_types > 0).then(|| {
                let name = "deberta.embeddings.token_type_embeddings.weight";
                loader.matrix_f32(name, config.token_types, embedding)
            }),
            projection: (embedding != hidden)
                .then(|| loader.linear("deberta.embeddings.embed_proj", hidden, embedding, false)),
            norm: loader.norm("deberta.embeddings.LayerNorm", hidden, epsilon, true),
            layers: (0..config.layers)
                .into_par_iter()
                .map(|layer| {
                    let prefix = format!("deberta.encoder.layer.{layer}");
                    let relative = config.relative.as_ref().zip(table.as_deref());
                    let relative = relative.map(|(relative, table)| {
                        project_positions(loader, &prefix, config, relative, table)
                    });
                    (PostNormLayer::load(loader, &prefix, &LAYER, shape), relative)
                })
                .collect(),
            convolution: config.convolution.map(|convolution| {
                let kernel = convolution.kernel;
                Convolution {
                    kernel,
                    weight: load_convolution(loader, hidden, kernel),
                    activation: convolution.activation,
                    norm: loader.norm("deberta.encoder.conv.LayerNorm", hidden, epsilon, true),
                }
            }),
        }
    }

    fn embed(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let width = words.width();
        let hidden = &mut workspace.hidden;
        words.embed(texts.ids, hidden);
        let places = texts.positions().zip(texts.token_types());
        for (x, (position, kind)) in hidden.chunks_exact_mut(width).zip(places) {
            if let Some(positions) = &self.positions {
                add(x, &positions[position * width..][..width]);
            }
            if let Some(token_types) = &self.token_types {
                add(x, &token_types[kind * width..][..width]);
            }
        }
        if let Some(projection) = &self.projection {
            workspace.project(projection, parallel);
        }
        self.norm.forward(words.isa(), &mut workspace.hidden, None);
    }
}

impl Body for DebertaV2 {
    fn forward(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        self.embed(texts, words, workspace, parallel);
        let embeddings = self.convolution.as_ref().map(|_| workspace.hidden.clone());
        for (i, (layer, relative)) in self.layers.iter().enumerate() {
            layer.forward(
                &self.attention,
                self.activation,
                texts,
                relative.as_ref(),
                workspace,
                parallel,
            );
            if let (0, Some(convolution), Some(embeddings)) = (i, &self.convolution, &embeddings) {
                convolution.forward(embeddings, texts.offsets, workspace, parallel);
            }
        }
    }

    fn bytes(&self) -> usize {
        let relative = |relative: &RelativePositions| {
            relative.keys.iter().chain(&relative.queries).map(PackedMatrix::bytes).sum::<usize>()
        };
        self.layers
            .iter()
            .map(|(layer, positions)| layer.bytes() + positions.as_ref().map_or(0, relative))
            .sum()
    }
}

/// Projects the position table, `(2 · span, hidden)`, for the heads of one layer.
fn project_positions(
    loader: &Loader<'_>,
    prefix: &str,
    config: &DebertaV2Config,
    relative: &RelativeConfig,
    table: &[f32],
) -> RelativePositions {
    let (hidden, heads) = (config.hidden, config.heads);
    let rows = table.len() / hidden;
    let project = |own: &str, shared: &str| {
        let name = if relative.share_key { shared } else { own };
        // The projection is computed once, during loading, and attention adds the result to the
        // scores, so it is always in f32.
        let name = format!("{prefix}.attention.self.{name}");
        let weight = loader.matrix_f32(&format!("{name}.weight"), hidden, hidden);
        let bias = Some(loader.vector(&format!("{name}.bias"), hidden));
        if !loader.is_complete() {
            return Vec::new();
        }
        let weight = Matrix::pack(loader.isa, Precision::F32, &weight, hidden, hidden);
        let linear = Linear { weight, bias };
        let mut projected = vec![0.0; rows * hidden];
        linear.forward(table, Activation::Identity, &mut projected, false);
        let head_dim = hidden / heads;
        let head = |head: usize| -> PackedMatrix {
            let columns =
                projected.chunks_exact(hidden).flat_map(|row| &row[head * head_dim..][..head_dim]);
            let columns: Vec<f32> = columns.copied().collect();
            PackedMatrix::pack(loader.isa, &columns, rows, head_dim)
        };
        (0..heads).map(head).collect()
    };
    RelativePositions {
        span: relative.span,
        log_buckets: relative.log_buckets,
        keys: if relative.c2p { project("pos_key_proj", "key_proj") } else { Vec::new() },
        queries: if relative.p2c { project("pos_query_proj", "query_proj") } else { Vec::new() },
        biases: Vec::new(),
    }
}

/// Loads PyTorch's weight, `(hidden, hidden, kernel)`, as a linear layer over `kernel` neighbours.
fn load_convolution(loader: &Loader<'_>, hidden: usize, kernel: usize) -> Linear {
    let weight = loader.tensor_f32("deberta.encoder.conv.conv.weight", &[hidden, hidden, kernel]);
    let bias = Some(loader.vector("deberta.encoder.conv.conv.bias", hidden));
    if !loader.is_complete() {
        return Linear { weight: loader.empty_matrix(), bias };
    }
    let mut rows = vec![0.0; weight.len()];
    for (i, w) in weight.iter().enumerate() {
        let (output, input, neighbour) = (i / (hidden * kernel), i / kernel % hidden, i % kernel);
        rows[(output * kernel + neighbour) * hidden + input] = *w;
    }
    Linear {
        weight: Matrix::pack(loader.isa, loader.precision, &rows, hidden, kernel * hidden),
        bias,
    }
}

impl Convolution {
    /// Adds `activation(convolution(embeddings))` to the hidden states and normalises them.
    fn forward(
        &self,
        embeddings: &[f32],
        offsets: &[usize],
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let Workspace { hidden, context, inner, .. } = workspace;
        let width = self.norm.weight.len();
        let tokens = embeddings.len() / width;
        inner.clear();
        inner.resize(tokens * self.kernel * width, 0.0);
        let reach = self.kernel / 2;
        for text in offsets.windows(2) {
            for token in text[0]..text[1] {
                let row = &mut inner[token * self.kernel * width..][..self.kernel * width];
                for (neighbour, x) in row.chunks_exact_mut(width).enumerate() {
                    // Neighbours outside the text are zero.
                    let at = (token + neighbour).wrapping_sub(reach);
                    if (text[0]..text[1]).contains(&at) {
                        x.copy_from_slice(&embeddings[at * width..][..width]);
                    }
                }
            }
        }
        resize(context, tokens * width);
        self.weight.forward(inner, self.activation, context, parallel);
        self.norm.forward(self.weight.weight.isa(), hidden, Some(context));
    }
}
