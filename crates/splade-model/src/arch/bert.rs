//! BERT (arXiv 1810.04805), RoBERTa (1907.11692), XLM-R, ELECTRA (2003.10555) and DistilBERT
//! (1910.01108). They share one body and differ in the names of their tensors.

mod config;
mod onnx;
mod training;

use std::sync::Arc;

use rayon::prelude::*;
use splade_nn::{Activation, Attention, LayerNorm, Linear};

use super::batch::{PackedTexts, Workspace, add};
use super::family::{
    Architecture, Body, ClassifierHead, ClassifierNames, Family, Graph, Sizes, TrainingBody,
    WordHead,
};
use super::post_norm::{LayerShape, PostNormLayer};
use super::words::Words;
use crate::config::Keys;
use crate::error::ModelError;
use crate::loader::Loader;
use config::{BertConfig, BertFamily};

/// The keys on which no vector of BERT's families depends.
const WITHOUT_INFLUENCE: &[&str] = &["directionality", "embedding_size", "emb_size"];

/// Defines the entry of a family whose config has the same keys as BERT's.
macro_rules! family {
    ($family:ident, $model_type:literal, $class:literal, $trained_as:expr) => {
        Family {
            model_type: $model_type,
            class: $class,
            tokenizer_class: concat!($class, "Tokenizer"),
            trained_as: $trained_as,
            without_influence: WITHOUT_INFLUENCE,
            read: |keys| Ok(Arc::new(BertConfig::read(keys, BertFamily::$family)?)),
        }
    };
}

pub(crate) static BERT: Family = family!(Bert, "bert", "Bert", Some("BERT"));
pub(crate) static ROBERTA: Family = family!(Roberta, "roberta", "Roberta", Some("RoBERTa"));
pub(crate) static XLM_ROBERTA: Family =
    family!(Roberta, "xlm-roberta", "XLMRoberta", Some("XLM-R"));
pub(crate) static CAMEMBERT: Family = family!(Roberta, "camembert", "Camembert", None);
pub(crate) static ELECTRA: Family = family!(Electra, "electra", "Electra", Some("ELECTRA"));
pub(crate) static DISTILBERT: Family = Family {
    model_type: "distilbert",
    class: "DistilBert",
    tokenizer_class: "DistilBertTokenizer",
    trained_as: Some("DistilBERT"),
    // The positions are in the file in any case.
    without_influence: &["sinusoidal_pos_embds"],
    read: |keys| Ok(Arc::new(BertConfig::read_distilbert(keys)?)),
};

impl Architecture for BertConfig {
    fn name(&self) -> &'static str {
        match self.family {
            BertFamily::Bert => "BERT",
            BertFamily::Roberta => "RoBERTa",
            BertFamily::Electra => "ELECTRA",
            BertFamily::DistilBert => "DistilBERT",
        }
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            vocab: self.vocab,
            embedding: self.embedding,
            hidden: self.hidden,
            layers: self.layers,
            heads: self.heads,
            token_types: self.token_types,
            // RoBERTa's positions start at pad + 1, so the first pad + 1 rows are not positions of
            // tokens.
            max_tokens: match self.family {
                BertFamily::Roberta => self.positions.saturating_sub(self.pad as usize + 1),
                _ => self.positions,
            },
        }
    }

    fn prefix(&self) -> &'static str {
        match self.family {
            BertFamily::Bert => "bert.",
            BertFamily::Roberta => "roberta.",
            BertFamily::Electra => "electra.",
            BertFamily::DistilBert => "distilbert.",
        }
    }

    fn word_head(&self) -> WordHead {
        let names = self.family.names();
        WordHead {
            embedding: names.embedding,
            dense: names.dense,
            dense_bias: true,
            activation: self.family.head_activation(self),
            norm: names.dense_norm,
            norm_bias: true,
            epsilon: self.epsilon,
            decoder: names.decoder,
            tied: self.tied,
            bias: names.bias,
            has_bias: true,
        }
    }

    fn load_body(&self, loader: &Loader<'_>) -> Box<dyn Body> {
        Box::new(Bert::load(loader, self))
    }

    fn classifier_names(&self) -> ClassifierNames {
        let (dense, output) = match self.family {
            BertFamily::Bert => ("bert.pooler.dense", "classifier"),
            BertFamily::DistilBert => ("pre_classifier", "classifier"),
            BertFamily::Roberta | BertFamily::Electra => {
                ("classifier.dense", "classifier.out_proj")
            }
        };
        ClassifierNames { dense, norm: None, output }
    }

    fn classifier_head(&self, keys: &Keys<'_>) -> Result<ClassifierHead, ModelError> {
        let dropped = |key: &str, other: f64| keys.rate(key, other);
        let (activation, dropout) = match self.family {
            BertFamily::Bert => {
                (Activation::Tanh, (0.0, dropped("classifier_dropout", self.dropout.out)?))
            }
            BertFamily::DistilBert => {
                (Activation::Relu, (0.0, dropped("seq_classif_dropout", 0.2)?))
            }
            BertFamily::Roberta => {
                let rate = dropped("classifier_dropout", self.dropout.out)?;
                (Activation::Tanh, (rate, rate))
            }
            BertFamily::Electra => {
                let rate = dropped("classifier_dropout", self.dropout.out)?;
                (Activation::Gelu, (rate, rate))
            }
        };
        Ok(ClassifierHead::first_token(activation, dropout))
    }

    fn is_trained(&self) -> bool {
        true
    }

    fn graph(&self) -> Option<&dyn Graph> {
        Some(self)
    }

    /// text-embeddings-inference loads RoBERTa's decoder only from its own tensor, and transformers
    /// 5 reports CamemBERT's bias as missing if the file lacks its second name.
    fn repeats_decoder(&self) -> bool {
        self.family == BertFamily::Roberta
    }
}

/// The embeddings (without the word embeddings) and the layers.
#[derive(Debug)]
pub(crate) struct Bert {
    attention: Attention,
    config: BertConfig,
    /// The position table, `(positions, embedding)`.
    positions: Vec<f32>,
    /// The table of token types, `(token types, embedding)`. DistilBERT has none.
    token_types: Option<Vec<f32>>,
    norm: LayerNorm,
    /// The projection of the embeddings, `(hidden, embedding)`, if the two widths differ.
    projection: Option<Linear>,
    layers: Vec<PostNormLayer>,
    /// The padding id, for RoBERTa only. Its positions start at the padding id plus one.
    position_start: Option<u32>,
}

impl Bert {
    /// Loads the embeddings (without the word embeddings) and the layers.
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
            config: config.clone(),
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

    /// Adds the embeddings of positions and token types to the word embeddings.
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

    /// Returns the row of the position table for every token.
    fn position_rows(&self, texts: &PackedTexts<'_>) -> Vec<usize> {
        match self.position_start {
            None => texts.positions().collect(),
            Some(pad) => texts.positions_after(pad),
        }
    }
}

impl Body for Bert {
    fn forward(
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
                self.config.activation,
                texts,
                None,
                workspace,
                parallel,
            );
        }
    }

    fn bytes(&self) -> usize {
        self.positions.len() * size_of::<f32>()
            + self.layers.iter().map(PostNormLayer::bytes).sum::<usize>()
    }

    fn training(&self) -> Option<&dyn TrainingBody> {
        Some(self)
    }

    fn training_mut(&mut self) -> Option<&mut dyn TrainingBody> {
        Some(self)
    }
}
