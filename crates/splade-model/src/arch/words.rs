//! The embeddings of words, from which every model starts.

use splade_nn::Isa;

use super::batch::{add, resize};

/// A table of embeddings: a decoder's, which may be its weight, or one alone.
pub(crate) trait Words {
    /// The kernels of the model.
    fn isa(&self) -> Isa;

    /// Numbers of an embedding.
    fn width(&self) -> usize;

    /// Copies the embedding of a word into `out`.
    fn copy_row(&self, id: usize, out: &mut [f32]);

    /// Adds a gradient to that by the embedding of a word.
    fn add_to_row(&mut self, id: usize, d: &[f32]);

    /// Copies the embeddings of words into `out`, `(ids, embedding)`.
    fn embed(&self, ids: &[u32], out: &mut Vec<f32>) {
        let width = self.width();
        resize(out, ids.len() * width);
        for (id, out) in ids.iter().zip(out.chunks_exact_mut(width)) {
            self.copy_row(*id as usize, out);
        }
    }

    /// Adds the gradients by the embeddings of words, `(ids, embedding)`; that of padding is not
    /// trained.
    fn add_to_embeddings(&mut self, ids: &[u32], pad: u32, d: &[f32]) {
        let width = self.width();
        for (id, d) in ids.iter().zip(d.chunks_exact(width)).filter(|(id, _)| **id != pad) {
            self.add_to_row(*id as usize, d);
        }
    }
}

/// The embeddings of a model without a decoder.
#[derive(Debug)]
pub(crate) struct WordTable {
    /// `(vocab, embedding)`
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
