//! Masked language modelling: tokens that were hidden are predicted from those around them.

use splade_nn::{CrossEntropy, PooledTerm, cross_entropy, cross_entropy_backward};

use super::Trainable;
use crate::arch::{PackedTexts, Workspace};
use crate::network::offsets;

/// A token that is to be predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masked {
    /// Its place, counted over all texts.
    pub token: usize,
    /// What stood there.
    pub id: u32,
}

impl Trainable {
    /// As [`forward`](Self::forward), for [`backward_masked`](Self::backward_masked); terms are
    /// pooled only if `pooled`.
    ///
    /// # Panics
    /// As `forward`.
    pub fn forward_masked(
        &mut self,
        texts: &[&[u32]],
        keys: &[u64],
        pooled: bool,
    ) -> &[Vec<PooledTerm>] {
        if pooled {
            return self.forward(texts, keys);
        }
        let kept = self.forward_body(texts, keys);
        &self.kept.insert(kept).pooled
    }

    /// The loss of hidden tokens of the last forward pass, which is forgotten. Adds the gradients of
    /// `scale` times it to those of the weights, and with them those of the terms, as
    /// [`backward`](Self::backward) takes them, where terms were pooled.
    ///
    /// # Panics
    /// If there was no forward pass, its terms are others, or a token is outside of the texts.
    pub fn backward_masked(
        &mut self,
        masked: &[Masked],
        scale: f32,
        gradients: &[Vec<f32>],
    ) -> CrossEntropy {
        let kept = self.kept.take().expect("a forward pass comes before its backward pass");
        self.clear_d_output();
        if !kept.pooled.is_empty() {
            self.head_backward(&kept, gradients);
        }
        let decoder = &self.network.model.decoder.output;
        let width = decoder.weight.inputs();
        let (hidden, targets) = gather(&self.saved.output, width, masked);
        let mut d_hidden = vec![0.0; hidden.len()];
        let loss = cross_entropy_backward(
            decoder,
            &hidden,
            &targets,
            scale,
            &mut d_hidden,
            self.gradients.decoder_output(),
            &mut self.work.scratch,
        );
        for (masked, d) in masked.iter().zip(d_hidden.chunks_exact(width)) {
            let row = &mut self.work.a[masked.token * width..][..width];
            row.iter_mut().zip(d).for_each(|(to, d)| *to += d);
        }
        self.backward_body(&kept);
        loss
    }

    /// The loss of hidden tokens without dropout; nothing is kept.
    ///
    /// # Panics
    /// If a text is empty or a token is outside of the texts.
    pub fn masked_loss(&self, texts: &[&[u32]], masked: &[Masked]) -> CrossEntropy {
        let (ids, offsets, mut workspace) = (texts.concat(), offsets(texts), Workspace::default());
        let model = &self.network.model;
        let packed = PackedTexts { ids: &ids, types: &[], offsets: &offsets };
        let output = model.forward(&packed, &mut workspace, true);
        let (hidden, targets) = gather(output, model.decoder.output.weight.inputs(), masked);
        cross_entropy(&model.decoder.output, &hidden, &targets)
    }
}

/// The rows of hidden tokens, one below another, and what stood there.
fn gather(rows: &[f32], width: usize, masked: &[Masked]) -> (Vec<f32>, Vec<u32>) {
    let row = |masked: &Masked| &rows[masked.token * width..][..width];
    (masked.iter().flat_map(row).copied().collect(), masked.iter().map(|m| m.id).collect())
}
