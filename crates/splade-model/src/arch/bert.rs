//! BERT (arXiv 1810.04805), RoBERTa (1907.11692) and XLM-R, ELECTRA (2003.10555), DistilBERT
//! (1910.01108): one body, four sets of names.

mod training;

pub(crate) use training::decoder_parameters;

use rayon::prelude::*;
use splade_nn::{Activation, Attention, LayerNorm, Linear};

use super::batch::{PackedTexts, Workspace};
use super::head::{Decoder, DecoderNames, Transform};
use super::post_norm::{LayerNames, LayerShape, PostNormLayer};
use super::words::Words;
use crate::config::{BertConfig, BertFamily, DropoutRates};
use crate::loader::Loader;

/// Embeddings and layers.
#[derive(Debug)]
pub(crate) struct Bert {
    attention: Attention,
    activation: Activation,
    /// `(positions, embedding)`
    positions: Vec<f32>,
    /// `(token types, embedding)`; none in DistilBERT.
    token_types: Option<Vec<f32>>,
    norm: LayerNorm,
    /// `(hidden, embedding)` where they differ.
    projection: Option<Linear>,
    layers: Vec<PostNormLayer>,
    /// RoBERTa's padding id: positions count from one past it.
    position_start: Option<u32>,
    /// Whose embedding a text's tokens do not train.
    pad: u32,
    dropout: DropoutRates,
}

/// The names of a family's tensors.
pub(crate) struct Names {
    pub(crate) embeddings: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) layer: LayerNames,
    pub(crate) dense: &'static str,
    pub(crate) dense_norm: &'static str,
    pub(crate) decoder: DecoderNames<'static>,
    ignored: &'static [&'static str],
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
                decoder: DecoderNames {
                    embedding: "bert.embeddings.word_embeddings.weight",
                    weight: "cls.predictions.decoder.weight",
                    bias: &["cls.predictions.bias", "cls.predictions.decoder.bias"],
                },
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
                decoder: DecoderNames {
                    embedding: "roberta.embeddings.word_embeddings.weight",
                    weight: "lm_head.decoder.weight",
                    bias: &["lm_head.bias", "lm_head.decoder.bias"],
                },
                ignored: &["roberta.pooler.dense.weight", "roberta.pooler.dense.bias"],
            },
            BertFamily::Electra => Names {
                embeddings: "electra.embeddings",
                layers: "electra.encoder.layer",
                layer: BERT_LAYER,
                dense: "generator_predictions.dense",
                dense_norm: "generator_predictions.LayerNorm",
                decoder: DecoderNames {
                    embedding: "electra.embeddings.word_embeddings.weight",
                    weight: "generator_lm_head.weight",
                    bias: &["generator_lm_head.bias"],
                },
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
                decoder: DecoderNames {
                    embedding: "distilbert.embeddings.word_embeddings.weight",
                    weight: "vocab_projector.weight",
                    bias: &["vocab_projector.bias"],
                },
                ignored: &[],
            },
        }
    }

    /// The activation of the head: fixed in RoBERTa and ELECTRA, whatever the config says.
    pub(crate) fn head_activation(self, config: &BertConfig) -> Activation {
        match self {
            BertFamily::Bert | BertFamily::DistilBert => config.activation,
            BertFamily::Roberta | BertFamily::Electra => Activation::Gelu,
        }
    }
}

/// The tensor of a family's word embedding.
pub(crate) fn embedding_name(family: BertFamily) -> &'static str {
    family.names().decoder.embedding
}

/// Loads the head and the word embedding.
pub(crate) fn load_decoder(loader: &Loader<'_>, config: &BertConfig) -> Decoder {
    let names = config.family.names();
    let (hidden, embedding) = (config.hidden, config.embedding);
    let transform = Transform {
        dense: loader.linear(names.dense, embedding, hidden, true),
        activation: config.family.head_activation(config),
        norm: loader.norm(names.dense_norm, embedding, config.epsilon, true),
    };
    Decoder::load(loader, &names.decoder, transform, config.vocab, embedding, config.tied)
}

impl Bert {
    /// Loads embeddings (but the words') and layers.
    pub(crate) fn load(loader: &Loader<'_>, config: &BertConfig) -> Self {
        let names = config.family.names();
        for name in names.ignored {
            loader.ignore(name);
        }
        let at = |part: &str| format!("{}.{part}", names.embeddings);
        let (hidden, embedding) = (config.hidden, config.embedding);
        let head_dim = hidden / config.heads;
        let shape =
            LayerShape { hidden, intermediate: config.intermediate, epsilon: config.epsilon };
        Self {
            attention: Attention {
                heads: config.heads,
                head_dim,
                scale: 1.0 / (head_dim as f32).sqrt(),
                window: None,
            },
            activation: config.activation,
            positions: loader.matrix_f32(
                &at("position_embeddings.weight"),
                config.positions,
                embedding,
            ),
            token_types: (config.token_types > 0).then(|| {
                let name = at("token_type_embeddings.weight");
                loader.matrix_f32(&name, config.token_types, embedding)
            }),
            norm: loader.norm(&at("LayerNorm"), embedding, config.epsilon, true),
            projection: (config.family == BertFamily::Electra && embedding != hidden)
                .then(|| loader.linear("electra.embeddings_project", hidden, embedding, true)),
            layers: (0..config.layers)
                .into_par_iter()
                .map(|layer| {
                    let prefix = format!("{}.{layer}", names.layers);
                    PostNormLayer::load(loader, &prefix, &names.layer, shape)
                })
                .collect(),
            position_start: (config.family == BertFamily::Roberta).then_some(config.pad),
            pad: config.pad,
            dropout: config.dropout,
        }
    }

    /// Token ids to hidden states, `(tokens, hidden)`, in the workspace.
    pub(crate) fn forward(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        self.embed(texts, words, workspace, parallel);
        for layer in &self.layers {
            layer.forward(
                &self.attention,
                self.activation,
                texts.offsets,
                None,
                workspace,
                parallel,
            );
        }
    }

    fn embed(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        let isa = words.isa();
        let hidden = &mut workspace.hidden;
        words.embed(texts.ids, hidden);
        self.add_places(texts, hidden);
        self.norm.forward(isa, hidden, None);
        if let Some(projection) = &self.projection {
            workspace.project(projection, parallel);
        }
    }

    /// Adds what tells about the places of tokens to the embeddings of words.
    fn add_places(&self, texts: &PackedTexts<'_>, hidden: &mut [f32]) {
        let width = self.norm.weight.len();
        let places = self.position_rows(texts).into_iter().zip(texts.token_types());
        for (x, (position, kind)) in hidden.chunks_exact_mut(width).zip(places) {
            if let Some(token_types) = &self.token_types {
                add(x, &token_types[kind * width..][..width]);
            }
            add(x, &self.positions[position * width..][..width]);
        }
    }

    /// The row of the position table for every token.
    fn position_rows(&self, texts: &PackedTexts<'_>) -> Vec<usize> {
        let Some(pad) = self.position_start else { return texts.positions().collect() };
        // RoBERTa numbers the tokens from pad + 1 on and leaves padding ids, even those that
        // stand in a text, at pad (fairseq's make_positions).
        let mut rows = Vec::with_capacity(texts.ids.len());
        for text in texts.offsets.windows(2) {
            let mut last = pad as usize;
            rows.extend(texts.ids[text[0]..text[1]].iter().map(|id| {
                if *id == pad {
                    return pad as usize;
                }
                last += 1;
                last
            }));
        }
        rows
    }

    /// Bytes of memory that it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.positions.len() * size_of::<f32>()
            + self.layers.iter().map(PostNormLayer::bytes).sum::<usize>()
    }
}

/// `x += y`
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
