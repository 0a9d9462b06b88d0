//! Sequence classification: models that turn the hidden states of a text into a few logits, as
//! transformers' `…ForSequenceClassification`.
//!
//! All heads compute `output(norm(activation(dense(pooled))))`, with the norm in ModernBERT only.
//! They differ in the names of their tensors, in the activation, in the places of dropout, and in
//! ModernBERT also in the pooling: the first token or the mean of all tokens.

mod config;
mod training;

pub(crate) use config::{ClassifierConfig, ScoreActivation};

use splade_nn::{Activation, Isa, LayerNorm, Linear, Precision, SavedNorm};
use splade_text::ModelFiles;

use super::backbone::Backbone;
use super::batch::{PackedTexts, Workspace, add, resize};
use super::list::ArchitectureConfig;
use crate::error::ModelError;
use crate::loader::Loader;
use crate::weights::Weights;

/// A model that classifies texts, on the CPU.
#[derive(Debug)]
pub(crate) struct SequenceClassifier {
    backbone: Backbone,
    head: Head,
    /// The names of the tensors in the file that the model does not use.
    pub(crate) unexpected: Vec<String>,
}

#[derive(Debug)]
struct Head {
    /// Whether the mean of all tokens is pooled instead of the first token.
    mean: bool,
    dense: Linear,
    activation: Activation,
    norm: Option<LayerNorm>,
    /// The last layer, `(labels, hidden)`.
    output: Linear,
    /// The dropout rates of the pooled states and of the input of the last layer.
    dropout: (f64, f64),
}

impl SequenceClassifier {
    /// Loads the weights of a model.
    pub(crate) fn load(
        files: &ModelFiles,
        config: &ArchitectureConfig,
        classifier: &ClassifierConfig,
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        let mut weights = Weights::from_files(files)?;
        let embedding = config.0.word_head().embedding;
        weights.set_prefix(config.0.prefix(), config.0.other_prefix(), embedding);
        let loader = Loader::new(&weights, isa, precision);
        let backbone = Backbone::load(&loader, config);
        let (names, hidden) = (config.0.classifier_names(), config.0.sizes().hidden);
        let about = &classifier.head;
        let norm = |name| loader.norm(name, hidden, about.epsilon, about.norm_bias);
        let head = Head {
            mean: about.mean,
            dense: loader.linear(names.dense, hidden, hidden, about.dense_bias),
            activation: about.activation,
            norm: names.norm.map(norm),
            output: loader.linear(names.output, classifier.labels, hidden, true),
            dropout: about.dropout,
        };
        let unexpected = loader.finish()?.unexpected;
        Ok(Self { backbone, head, unexpected })
    }

    /// Returns the logits, `(texts, labels)`.
    ///
    /// With `parallel`, every layer is computed on all threads of the current rayon pool.
    pub(crate) fn forward(
        &self,
        texts: &PackedTexts<'_>,
        workspace: &mut Workspace,
        parallel: bool,
    ) -> Vec<f32> {
        self.backbone.forward(texts, workspace, parallel);
        let head = &self.head;
        let (pooled, inner) = (&mut workspace.context, &mut workspace.inner);
        head.pool(&workspace.hidden, texts.offsets, pooled);
        resize(inner, pooled.len());
        head.dense.forward(pooled, head.activation, inner, parallel);
        if let Some(norm) = &head.norm {
            norm.forward(self.backbone.isa(), inner, None);
        }
        let mut logits = vec![0.0; (texts.offsets.len() - 1) * head.output.weight.outputs()];
        head.output.forward(inner, Activation::Identity, &mut logits, parallel);
        logits
    }

    /// Returns the size of the packed weights in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let Head { dense, output, .. } = &self.head;
        self.backbone.bytes() + dense.bytes() + output.bytes()
    }
}

impl Head {
    /// Pools hidden states, `(tokens, hidden)`, to one row for each text, `(texts, hidden)`.
    fn pool(&self, hidden: &[f32], offsets: &[usize], pooled: &mut Vec<f32>) {
        let width = self.dense.weight.inputs();
        resize(pooled, (offsets.len() - 1) * width);
        for (text, out) in offsets.windows(2).zip(pooled.chunks_exact_mut(width)) {
            let rows = &hidden[text[0] * width..text[1] * width];
            out.copy_from_slice(&rows[..width]);
            if self.mean {
                for row in rows.chunks_exact(width).skip(1) {
                    add(out, row);
                }
                let count = (text[1] - text[0]) as f32;
                out.iter_mut().for_each(|x| *x /= count);
            }
        }
    }
}

/// The states of the head that a forward pass keeps, `(texts, hidden)` each.
#[derive(Debug, Default)]
pub(crate) struct SavedHead {
    pooled: Vec<f32>,
    /// The output of the dense layer before the activation.
    dense: Vec<f32>,
    norm: SavedNorm,
    /// The input of the last layer.
    classified: Vec<f32>,
}
