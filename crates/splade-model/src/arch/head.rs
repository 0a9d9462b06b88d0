//! The head, which turns hidden states into logits: a transform, then the decoder over the
//! vocabulary.

mod onnx;
mod training;

use splade_nn::{Activation, Isa, LayerNorm, Linear, Matrix};

use super::batch::{Workspace, add, resize};
use super::family::{Sizes, WordHead};
use super::words::Words;
use crate::loader::Loader;

/// The decoder over the vocabulary, with the word embeddings that it may share.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) transform: Transform,
    /// The weight and the bias of the decoder, `(vocab, embedding)`.
    pub(crate) output: Linear,
    /// The word embeddings in f32, `(vocab, embedding)`, if the decoder is not tied to them.
    embedding: Option<Vec<f32>>,
}

/// The transform `norm(activation(dense(x)))` before the decoder.
#[derive(Debug)]
pub(crate) struct Transform {
    pub(crate) dense: Linear,
    pub(crate) activation: Activation,
    pub(crate) norm: LayerNorm,
}

impl Decoder {
    /// Loads the transform and the decoder, which shares the word embeddings if the head is tied.
    pub(crate) fn load(loader: &Loader<'_>, head: &WordHead, sizes: &Sizes) -> Self {
        let Sizes { vocab, embedding, hidden, .. } = *sizes;
        let transform = Transform {
            dense: loader.linear(head.dense, embedding, hidden, head.dense_bias),
            activation: head.activation,
            norm: loader.norm(head.norm, embedding, head.epsilon, head.norm_bias),
        };
        let (weight, table) = if head.tied {
            loader.ignore(head.decoder);
            (loader.matrix(head.embedding, vocab, embedding), None)
        } else {
            let table = loader.matrix_f32(head.embedding, vocab, embedding);
            (loader.matrix(head.decoder, vocab, embedding), Some(table))
        };
        let names = head.bias_names();
        let present = names.iter().find(|name| loader.has(name)).or(names.first());
        let bias = present.map(|name| loader.vector(name, vocab));
        for name in names {
            loader.ignore(name);
        }
        Self { transform, output: Linear { weight, bias }, embedding: table }
    }

    /// Returns the number of terms in the vocabulary.
    pub(crate) fn vocab(&self) -> usize {
        self.output.weight.outputs()
    }

    /// Returns the memory of the weights in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.output.bytes()
            + self.transform.dense.bytes()
            + self.embedding.as_ref().map_or(0, |table| table.len() * size_of::<f32>())
    }
}

impl Words for Decoder {
    fn isa(&self) -> Isa {
        self.output.weight.isa()
    }

    fn width(&self) -> usize {
        self.output.weight.inputs()
    }

    fn copy_row(&self, id: usize, out: &mut [f32]) {
        match &self.embedding {
            Some(table) => out.copy_from_slice(&table[id * out.len()..][..out.len()]),
            None => self.output.weight.copy_row(id, out),
        }
    }

    fn add_to_row(&mut self, id: usize, d: &[f32]) {
        match (&mut self.embedding, &mut self.output.weight) {
            (Some(table), _) => add(&mut table[id * d.len()..][..d.len()], d),
            (None, Matrix::F32(table)) => table.add_to_row(id, d),
            (None, Matrix::Int8(_)) => panic!("only 32-bit floats are trained"),
        }
    }
}

impl Transform {
    /// Computes the decoder's input, `(tokens, embedding)`, from the hidden states.
    pub(crate) fn forward<'w>(&self, workspace: &'w mut Workspace, parallel: bool) -> &'w [f32] {
        let tokens = workspace.hidden.len() / self.dense.weight.inputs();
        resize(&mut workspace.context, tokens * self.dense.weight.outputs());
        self.dense.forward(&workspace.hidden, self.activation, &mut workspace.context, parallel);
        self.norm.forward(self.dense.weight.isa(), &mut workspace.context, None);
        &workspace.context
    }
}
