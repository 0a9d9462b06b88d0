//! Training passes of a classifier.

use splade_nn::{Activation, Dropout, KeyedTexts, activate, activation_backward};

use super::{ClassifierConfig, Head, SavedHead, SequenceClassifier};
use crate::arch::backbone::Backbone;
use crate::arch::batch::resize;
use crate::arch::list::ArchitectureConfig;
use crate::arch::training::{Pass, Place, Saved, Work, linear_parameters, norm_parameters};
use crate::arch::words::WordTable;
use crate::parameter::Parameter;

impl SequenceClassifier {
    /// Computes the logits like `forward`, with dropout and on all threads of the current rayon
    /// pool, and keeps what `backward` needs.
    pub(crate) fn forward_saved(
        &self,
        pass: &Pass<'_>,
        saved: &mut Saved,
        saved_head: &mut SavedHead,
        work: &mut Work,
    ) -> Vec<f32> {
        let Backbone { words, body } = &self.backbone;
        body.trained().forward_saved(pass, words, saved, work);
        let head = &self.head;
        let SavedHead { pooled, dense, norm: saved_norm, classified } = saved_head;
        head.pool(&work.hidden, pass.texts.offsets, pooled);
        drop_rows(pass, head.dropout.0, Place::Pooled, pooled);
        resize(dense, pooled.len());
        head.dense.forward(pooled, Activation::Identity, dense, true);
        resize(classified, pooled.len());
        activate(pass.isa, head.activation, dense, classified);
        if let Some(norm) = &head.norm {
            norm.forward_saved(pass.isa, classified, None, saved_norm);
        }
        drop_rows(pass, head.dropout.1, Place::Classified, classified);
        let mut logits = vec![0.0; pass.keys.len() * head.output.weight.outputs()];
        head.output.forward(classified, Activation::Identity, &mut logits, true);
        logits
    }

    /// Propagates the gradient of the logits, `(texts, labels)`, and adds to the `gradients` of all
    /// weights.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        (saved, saved_head): (&Saved, &SavedHead),
        d_logits: &[f32],
        gradients: &mut SequenceClassifier,
        work: &mut Work,
    ) {
        let (head, to) = (&self.head, &mut gradients.head);
        let Work { hidden, a: d, b, scratch, .. } = &mut *work;
        head.output.backward_weights(&saved_head.classified, d_logits, &mut to.output, scratch);
        resize(d, saved_head.classified.len());
        head.output.backward_input(d_logits, d, false, scratch);
        drop_rows(pass, head.dropout.1, Place::Classified, d);
        if let (Some(norm), Some(to)) = (&head.norm, &mut to.norm) {
            norm.backward(pass.isa, &saved_head.norm, d, to);
        }
        activation_backward(pass.isa, head.activation, &saved_head.dense, d);
        head.dense.backward_weights(&saved_head.pooled, d, &mut to.dense, scratch);
        resize(b, saved_head.pooled.len());
        head.dense.backward_input(d, b, false, scratch);
        drop_rows(pass, head.dropout.0, Place::Pooled, b);
        head.spread(b, pass.texts.offsets, hidden);
        let Backbone { words, body } = &mut gradients.backbone;
        self.backbone.body.trained().backward(pass, saved, &mut **body, words, work);
    }

    /// Returns zeros of the same shapes, to collect gradients in.
    pub(crate) fn zeros_like(&self) -> Self {
        let WordTable { table, width, isa } = &self.backbone.words;
        let words = WordTable { table: vec![0.0; table.len()], width: *width, isa: *isa };
        let Head { mean, dense, activation, norm, output, dropout } = &self.head;
        let head = Head {
            mean: *mean,
            dense: dense.zeros_like(),
            activation: *activation,
            norm: norm.as_ref().map(|norm| norm.zeros_like()),
            output: output.zeros_like(),
            dropout: *dropout,
        };
        let body = self.backbone.body.trained().zeros_like();
        Self { backbone: Backbone { words, body }, head, unexpected: Vec::new() }
    }

    /// Returns every parameter, always in the same order.
    pub(crate) fn parameters(
        &mut self,
        config: &ArchitectureConfig,
        classifier: &ClassifierConfig,
    ) -> Vec<Parameter<'_>> {
        let names = config.0.classifier_names();
        let shape = [config.vocab(), self.backbone.words.width];
        let Backbone { words, body } = &mut self.backbone;
        let table = &mut words.table;
        let embedding = config.0.word_head().embedding.to_owned();
        let mut list = vec![Parameter::plain(vec![embedding], &shape, table)];
        body.trained_mut().parameters(&mut list);
        linear_parameters(&[names.dense.to_owned()], &mut self.head.dense, &mut list);
        if let (Some(norm), Some(name)) = (&mut self.head.norm, names.norm) {
            norm_parameters(name, norm, classifier.head.norm_bias, &mut list);
        }
        linear_parameters(&[names.output.to_owned()], &mut self.head.output, &mut list);
        list
    }
}

impl Head {
    /// Turns the gradient of the pooled states, `(texts, hidden)`, into that of the hidden states.
    fn spread(&self, d: &[f32], offsets: &[usize], hidden: &mut Vec<f32>) {
        let width = self.dense.weight.inputs();
        let tokens = offsets.last().copied().unwrap_or(0);
        hidden.clear();
        hidden.resize(tokens * width, 0.0);
        for (text, d) in offsets.windows(2).zip(d.chunks_exact(width)) {
            let rows = &mut hidden[text[0] * width..text[1] * width];
            if !self.mean {
                rows[..width].copy_from_slice(d);
                continue;
            }
            let count = (text[1] - text[0]) as f32;
            for row in rows.chunks_exact_mut(width) {
                row.iter_mut().zip(d).for_each(|(x, d)| *x = d / count);
            }
        }
    }
}

/// Applies dropout in place to `(texts, width)` numbers. The same call on gradients is the backward
/// pass.
fn drop_rows(pass: &Pass<'_>, rate: f64, place: Place, x: &mut [f32]) {
    if let Some(dropout) = Dropout::new(rate) {
        let offsets: Vec<usize> = (0..=pass.keys.len()).collect();
        let rows = KeyedTexts { offsets: &offsets, keys: pass.keys };
        dropout.apply(pass.isa, &rows, place.number(), x);
    }
}
