//! Models that learn: an encoder with the gradients of its weights.
//!
//! A forward pass with dropout keeps what the backward pass needs; the backward pass takes the
//! gradients of the sparse vectors and adds to those of the weights. Weights and gradients stay in
//! the packed order of the kernels all the time, as nothing that an optimizer does depends on the
//! order; [`Parameter`] turns them into tensors and back.

mod masked;
mod save;
mod start;
mod cross_encoder;

use std::path::{Path, PathBuf};

use splade_nn::{
    Isa, PooledTerm, Pooling, Precision, Saturation, splade_head, splade_head_backward,
};

use crate::arch::{ArchitectureConfig, Gradients, PackedTexts, Pass, Saved, Work};
use crate::error::ModelError;
use crate::network::{Network, offsets};
use crate::parameter::Parameter;

pub use cross_encoder::{TrainableCrossEncoder, add_classifier, lacks_classifier};
pub use masked::Masked;
pub use save::copy_tokenizer_alone;
pub(crate) use save::{config_json, copy_tokenizer};
pub use start::{add_head, lacks_head};

/// Tokens of a micro-batch where nothing is kept.
const ENCODE_TOKENS: usize = 512;

/// An encoder that can be trained.
///
/// Beside the weights it holds their gradients, as large, and from a forward pass to its backward
/// pass about `10 · layers · hidden` floats a token.
#[derive(Debug)]
pub struct Trainable {
    folder: PathBuf,
    config: ArchitectureConfig,
    network: Network,
    gradients: Gradients,
    head: (Pooling, Saturation),
    isa: Isa,
    saved: Saved,
    work: Work,
    /// The last forward pass, until it is taken back.
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    ids: Vec<u32>,
    offsets: Vec<usize>,
    keys: Vec<u64>,
    pooled: Vec<Vec<PooledTerm>>,
}

impl Trainable {
    /// Loads the masked language model of a folder.
    ///
    /// # Errors
    /// If it is none that can be read, or of an architecture that is not trained.
    pub fn load(
        folder: &Path,
        pooling: Pooling,
        saturation: Saturation,
        isa: Isa,
    ) -> Result<Self, ModelError> {
        let config = ArchitectureConfig::open(folder)?;
        config.refuse_untrained(folder)?;
        let kernels = (isa, Precision::F32);
        let network = Network::load(&folder.into(), (pooling, saturation), kernels, ENCODE_TOKENS)?;
        let gradients = network.model.zeros_like();
        Ok(Self {
            folder: folder.to_path_buf(),
            config,
            network,
            gradients,
            head: (pooling, saturation),
            isa,
            saved: Saved::default(),
            work: Work::default(),
            kept: None,
        })
    }

    /// Terms of the vocabulary.
    pub fn vocab(&self) -> usize {
        self.config.vocab()
    }

    /// The longest text in tokens.
    pub fn max_tokens(&self) -> usize {
        self.config.max_tokens()
    }

    /// The terms of texts without dropout; nothing is kept.
    pub fn encode(&self, texts: &[&[u32]]) -> Vec<Vec<PooledTerm>> {
        self.network.run(texts)
    }

    /// The terms of texts with dropout, keeping what [`backward`](Self::backward) needs. `keys` has
    /// a number a text, from which follows what is dropped.
    ///
    /// # Panics
    /// If a text is empty or has no key.
    pub fn forward(&mut self, texts: &[&[u32]], keys: &[u64]) -> &[Vec<PooledTerm>] {
        let mut kept = self.forward_body(texts, keys);
        let (pooling, saturation) = self.head;
        let (decoder, hidden) = (&self.network.model.decoder.output, &self.saved.output);
        kept.pooled = splade_head(decoder, hidden, &kept.offsets, pooling, saturation, true);
        &self.kept.insert(kept).pooled
    }

    /// A forward pass up to the decoder's input.
    fn forward_body(&mut self, texts: &[&[u32]], keys: &[u64]) -> Kept {
        assert!(texts.len() == keys.len(), "a text without a key");
        let (ids, offsets, keys) = (texts.concat(), offsets(texts), keys.to_vec());
        let pass = Pass {
            texts: PackedTexts { ids: &ids, types: &[], offsets: &offsets },
            keys: &keys,
            isa: self.isa,
        };
        self.network.model.forward_saved(&pass, &mut self.saved, &mut self.work);
        Kept { ids, offsets, keys, pooled: Vec::new() }
    }

    /// Adds to the gradients of the weights: `gradients[i][j]` is the loss's by the weight of term
    /// `j` of text `i` of the last forward pass, which is forgotten.
    ///
    /// # Panics
    /// If there was no forward pass, or its terms are others.
    pub fn backward(&mut self, gradients: &[Vec<f32>]) {
        let kept = self.kept.take().expect("a forward pass comes before its backward pass");
        self.clear_d_output();
        self.head_backward(&kept, gradients);
        self.backward_body(&kept);
    }

    /// Makes the gradient by the decoder's input, in `work.a`, all zeros.
    fn clear_d_output(&mut self) {
        self.work.a.clear();
        self.work.a.resize(self.saved.output.len(), 0.0);
    }

    /// Adds what the gradients of the terms give to that by the decoder's input and to the
    /// decoder's.
    fn head_backward(&mut self, kept: &Kept, gradients: &[Vec<f32>]) {
        let (pooling, saturation) = self.head;
        splade_head_backward(
            &self.network.model.decoder.output,
            &self.saved.output,
            &kept.offsets,
            pooling,
            saturation,
            &kept.pooled,
            gradients,
            &mut self.work.a,
            self.gradients.decoder_output(),
            &mut self.work.scratch,
        );
    }

    /// The gradient by the decoder's input to those of all weights below it.
    fn backward_body(&mut self, kept: &Kept) {
        let pass = Pass {
            texts: PackedTexts { ids: &kept.ids, types: &[], offsets: &kept.offsets },
            keys: &kept.keys,
            isa: self.isa,
        };
        let model = &self.network.model;
        model.backward(&pass, &self.saved, &mut self.gradients, &mut self.work);
    }

    /// Every parameter with its gradient, always in the same order.
    pub fn parameters(&mut self) -> Vec<(Parameter<'_>, Parameter<'_>)> {
        let values = self.network.model.parameters(&self.config);
        let gradients = self.gradients.parameters(&self.config);
        values.into_iter().zip(gradients).collect()
    }
}
