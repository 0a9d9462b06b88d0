//! Sequence classification: hidden states to a few logits a text, as transformers'
//! `…ForSequenceClassification` have them.
//!
//! All heads are `output(norm(activation(dense(pooled))))`, with the norm in ModernBERT only. They
//! differ in names, in the activation, in where training drops, and in ModernBERT in what is
//! pooled: the first token or the mean of all.

mod training;

use std::path::Path;

use splade_nn::{Activation, Isa, LayerNorm, Linear, Precision, SavedNorm};

use super::batch::{PackedTexts, Workspace, resize};
use super::words::WordTable;
use super::{Body, bert, deberta_v2, modernbert};
use crate::config::{ArchitectureConfig, BertFamily, ClassifierConfig};
use crate::error::ModelError;
use crate::loader::Loader;
use crate::weights::Weights;

/// A model that classifies texts, on the CPU.
#[derive(Debug)]
pub(crate) struct SequenceClassifier {
    words: WordTable,
    body: Body,
    head: Head,
    /// Tensors of the file that the model does not use.
    pub(crate) unexpected: Vec<String>,
}

#[derive(Debug)]
struct Head {
    /// Whether the mean of all tokens is pooled, not the first token.
    mean: bool,
    dense: Linear,
    activation: Activation,
    norm: Option<LayerNorm>,
    /// `(labels, hidden)`
    output: Linear,
    /// Shares that training drops: of what is pooled, and before the last layer.
    dropout: (f64, f64),
}

/// The names of a classifier's tensors, without `.weight` and `.bias`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadNames {
    pub(crate) embedding: &'static str,
    pub(crate) dense: &'static str,
    pub(crate) norm: Option<&'static str>,
    pub(crate) output: &'static str,
}

impl HeadNames {
    pub(crate) fn of(config: &ArchitectureConfig) -> Self {
        let (dense, norm, output) = match config {
            ArchitectureConfig::Bert(config) => match config.family {
                BertFamily::Bert => ("bert.pooler.dense", None, "classifier"),
                BertFamily::DistilBert => ("pre_classifier", None, "classifier"),
                BertFamily::Roberta | BertFamily::Electra => {
                    ("classifier.dense", None, "classifier.out_proj")
                }
            },
            ArchitectureConfig::ModernBert(_) => ("head.dense", Some("head.norm"), "classifier"),
            ArchitectureConfig::DebertaV2(_) => ("pooler.dense", None, "classifier"),
        };
        let embedding = match config {
            ArchitectureConfig::Bert(config) => bert::embedding_name(config.family),
            ArchitectureConfig::ModernBert(_) => modernbert::EMBEDDING,
            ArchitectureConfig::DebertaV2(_) => deberta_v2::EMBEDDING,
        };
        Self { embedding, dense, norm, output }
    }
}

impl SequenceClassifier {
    /// Loads the weights of a model folder.
    pub(crate) fn load(
        dir: &Path,
        config: &ArchitectureConfig,
        classifier: &ClassifierConfig,
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        let weights = Weights::open(dir)?;
        let loader = Loader::new(&weights, isa, precision);
        let names = HeadNames::of(config);
        let (hidden, _, _) = config.shape();
        let (vocab, width) = (config.vocab(), config.embedding());
        let words =
            || WordTable { table: loader.matrix_f32(names.embedding, vocab, width), width, isa };
        let (words, body) = rayon::join(words, || Body::load(&loader, config));
        let biased = classifier.biases;
        let head = Head {
            mean: classifier.mean,
            dense: loader.linear(names.dense, hidden, hidden, biased.dense),
            activation: classifier.activation,
            norm: names.norm.map(|name| loader.norm(name, hidden, classifier.epsilon, biased.norm)),
            output: loader.linear(names.output, classifier.labels, hidden, true),
            dropout: classifier.dropout,
        };
        let unexpected = loader.finish()?.unexpected;
        Ok(Self { words, body, head, unexpected })
    }

    /// Logits, `(texts, labels)`.
    ///
    /// With `parallel`, every layer is shared out over the current rayon pool.
    pub(crate) fn forward(
        &self,
        texts: &PackedTexts<'_>,
        workspace: &mut Workspace,
        parallel: bool,
    ) -> Vec<f32> {
        self.body.forward(texts, &self.words, workspace, parallel);
        let head = &self.head;
        let (pooled, inner) = (&mut workspace.context, &mut workspace.inner);
        head.pool(&workspace.hidden, texts.offsets, pooled);
        resize(inner, pooled.len());
        head.dense.forward(pooled, head.activation, inner, parallel);
        if let Some(norm) = &head.norm {
            norm.forward(self.words.isa, inner, None);
        }
        let mut logits = vec![0.0; (texts.offsets.len() - 1) * head.output.weight.outputs()];
        head.output.forward(inner, Activation::Identity, &mut logits, parallel);
        logits
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        let Head { dense, output, .. } = &self.head;
        self.words.table.len() * size_of::<f32>()
            + self.body.bytes()
            + dense.bytes()
            + output.bytes()
    }
}

impl Head {
    /// `(tokens, hidden)` to `(texts, hidden)`.
    fn pool(&self, hidden: &[f32], offsets: &[usize], pooled: &mut Vec<f32>) {
        let width = self.dense.weight.inputs();
        resize(pooled, (offsets.len() - 1) * width);
        for (text, out) in offsets.windows(2).zip(pooled.chunks_exact_mut(width)) {
            let rows = &hidden[text[0] * width..text[1] * width];
            out.copy_from_slice(&rows[..width]);
            if self.mean {
                for row in rows.chunks_exact(width).skip(1) {
                    bert::add(out, row);
                }
                let count = (text[1] - text[0]) as f32;
                out.iter_mut().for_each(|x| *x /= count);
            }
        }
    }
}

/// What a forward pass keeps of the head, `(texts, hidden)` each.
#[derive(Debug, Default)]
pub(crate) struct SavedHead {
    pooled: Vec<f32>,
    /// Before the activation.
    dense: Vec<f32>,
    norm: SavedNorm,
    /// What the last layer sees.
    classified: Vec<f32>,
}
