//! Masked language modelling: the model predicts hidden tokens from the tokens around them.

use splade_nn::{CrossEntropy, PooledTerm, cross_entropy, cross_entropy_backward};

use super::Trainable;
use crate::arch::{PackedTexts, Workspace};
use crate::network::offsets;

/// A hidden token that the model has to predict.
///
/// ```
/// use splade_model::Isa;
/// use splade_model::folder::{Pooling, Saturation};
/// use splade_model::training::{Masked, Trainable};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let mut model = Trainable::load(&model, Pooling::Max, Saturation::Log1pRelu, Isa::detect())?;
/// // The token 100 is hidden by [MASK], which is 4 here; the model has to predict it.
/// model.forward_masked(&[&[2, 4, 101, 3]], &[0], false);
/// let loss = model.backward_masked(&[Masked { token: 1, id: 100 }], 1.0, &[]);
/// assert!(loss.loss > 0.0);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masked {
    /// The position of the token, counted over all texts of the batch.
    pub token: usize,
    /// The id of the hidden token.
    pub id: u32,
}

impl Trainable {
    /// Computes a forward pass like [`forward`](Self::forward), for
    /// [`backward_masked`](Self::backward_masked). Terms are pooled only if `pooled` is true.
    ///
    /// # Panics
    /// Panics in the same cases as `forward`.
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

    /// Returns the loss of the hidden tokens of the last forward pass, whose state is consumed.
    /// Adds the gradients of `scale` times the loss to the gradients of the weights. If terms were
    /// pooled, their gradients are added too, in the form that [`backward`](Self::backward) takes.
    ///
    /// # Panics
    /// Panics if there was no forward pass, if its terms differ from `gradients` in number or if a
    /// token is outside the texts.
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

    /// Returns the loss of hidden tokens, computed without dropout and without keeping anything for
    /// a backward pass.
    ///
    /// # Panics
    /// Panics if a text is empty or a token is outside the texts.
    pub fn masked_loss(&self, texts: &[&[u32]], masked: &[Masked]) -> CrossEntropy {
        let (ids, offsets, mut workspace) = (texts.concat(), offsets(texts), Workspace::default());
        let model = &self.network.model;
        let packed = PackedTexts { ids: &ids, types: &[], offsets: &offsets, attended: &[] };
        let output = model.forward(&packed, &mut workspace, true);
        let (hidden, targets) = gather(output, model.decoder.output.weight.inputs(), masked);
        cross_entropy(&model.decoder.output, &hidden, &targets)
    }
}

/// Returns the rows of the hidden tokens, one below another, and the ids of the tokens.
fn gather(rows: &[f32], width: usize, masked: &[Masked]) -> (Vec<f32>, Vec<u32>) {
    let row = |masked: &Masked| &rows[masked.token * width..][..width];
    (masked.iter().flat_map(row).copied().collect(), masked.iter().map(|m| m.id).collect())
}
