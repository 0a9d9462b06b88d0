//! A body with its word embeddings: the part of a model that turns token ids into hidden states, on
//! which every head except the decoder over the vocabulary is built.

use splade_nn::Isa;

use super::batch::{PackedTexts, Workspace};
use super::family::{Body, Sizes};
use super::list::ArchitectureConfig;
use super::words::WordTable;
use crate::loader::Loader;

/// A body with its word embeddings.
#[derive(Debug)]
pub(crate) struct Backbone {
    pub(crate) words: WordTable,
    pub(crate) body: Box<dyn Body>,
}

impl Backbone {
    /// Loads the word embeddings and the layers. The tensors of a decoder over the vocabulary count
    /// as known.
    pub(crate) fn load(loader: &Loader<'_>, config: &ArchitectureConfig) -> Self {
        let head = config.0.word_head();
        let Sizes { vocab, embedding: width, .. } = config.0.sizes();
        for part in [head.dense, head.norm] {
            ["weight", "bias"].iter().for_each(|name| loader.ignore(&format!("{part}.{name}")));
        }
        head.bias.iter().chain([&head.decoder]).for_each(|name| loader.ignore(name));
        let isa = loader.isa;
        let words =
            || WordTable { table: loader.matrix_f32(head.embedding, vocab, width), width, isa };
        let (words, body) = rayon::join(words, || config.0.load_body(loader));
        Self { words, body }
    }

    /// Computes the hidden states, `(tokens, hidden)`, in the workspace.
    ///
    /// With `parallel`, every layer is computed on all threads of the current rayon pool.
    pub(crate) fn forward(
        &self,
        texts: &PackedTexts<'_>,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        self.body.forward(texts, &self.words, workspace, parallel);
    }

    /// Returns the instruction set of the kernels.
    pub(crate) fn isa(&self) -> Isa {
        self.words.isa
    }

    /// Returns the size of the weights in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.words.table.len() * size_of::<f32>() + self.body.bytes()
    }
}
