//! The word embeddings, the first layer of every model.

use splade_nn::Isa;

use super::batch::{add, resize};

/// A table of word embeddings: that of a decoder, which may share its weight, or a separate one.
pub(crate) trait Words {
    /// Returns the instruction set of the model's kernels.
    fn isa(&self) -> Isa;

    /// Returns the width of an embedding.
    fn width(&self) -> usize;

    /// Copies the embedding of a token into `out`.
    fn copy_row(&self, id: usize, out: &mut [f32]);

    /// Adds a gradient to that of a token's embedding.
    fn add_to_row(&mut self, id: usize, d: &[f32]);

    /// Copies the embeddings of tokens into `out`, `(ids, embedding)`.
    fn embed(&self, ids: &[u32], out: &mut Vec<f32>) {
        let width = self.width();
        resize(out, ids.len() * width);
        for (id, out) in ids.iter().zip(out.chunks_exact_mut(width)) {
            self.copy_row(*id as usize, out);
        }
    }

    /// Adds the gradients of embeddings, `(ids, embedding)`. The embedding of padding gets no
    /// gradient.
    fn add_to_embeddings(&mut self, ids: &[u32], pad: u32, d: &[f32]) {
        let width = self.width();
        for (id, d) in ids.iter().zip(d.chunks_exact(width)).filter(|(id, _)| **id != pad) {
            self.add_to_row(*id as usize, d);
        }
    }
}

/// The word embeddings of a model without a decoder.
#[derive(Debug)]
pub(crate) struct WordTable {
    /// The embeddings, `(vocab, embedding)`.
    pub(crate) table: Vec<f32>,
    pub(crate) width: usize,
    pub(crate) isa: Isa,
}

impl Words for WordTable {
    fn isa(&self) -> Isa {
        self.isa
    }

    fn width(&self) -> usize {
        self.width
    }

    fn copy_row(&self, id: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.table[id * self.width..][..self.width]);
    }

    fn add_to_row(&mut self, id: usize, d: &[f32]) {
        add(&mut self.table[id * self.width..][..self.width], d);
    }
}
