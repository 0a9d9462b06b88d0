//! Training passes of encoders: an encoder with the gradients of its weights.
//!
//! A forward pass with dropout keeps what the backward pass needs. The backward pass takes the
//! gradients of the sparse vectors and adds to those of the weights. Weights and gradients stay in
//! the packed order of the kernels all the time, because an optimizer does not depend on the order;
//! [`Parameter`] converts them to tensors and back.

mod masked;
mod save;
mod start;
mod extend;
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
pub use extend::{add_drawn_words, add_words, keep_words};
pub use masked::Masked;
pub use save::copy_tokenizer_alone;
pub(crate) use save::{config_json, copy_tokenizer};
pub use start::{add_head, lacks_head};

/// The number of tokens in a micro-batch of a pass that keeps nothing.
const ENCODE_TOKENS: usize = 512;

/// An encoder that can be trained.
///
/// Beside the weights it holds their gradients, which take as much memory. From a forward pass to
/// its backward pass it also holds about `10 · layers · hidden` floats for each token.
///
/// ```
/// use splade_model::Isa;
/// use splade_model::folder::{Pooling, Saturation};
/// use splade_model::training::Trainable;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let mut model = Trainable::load(&model, Pooling::Max, Saturation::Log1pRelu, Isa::detect())?;
/// let weight = |model: &Trainable| model.encode(&[&[2, 100, 3]])[0].iter().map(|term| term.weight).sum::<f32>();
/// let before = weight(&model);
/// let terms = model.forward(&[&[2, 100, 3]], &[0])[0].len();
/// model.backward(&[vec![1.0; terms]]);
/// for (parameter, gradient) in model.parameters() {
///     parameter.numbers.iter_mut().zip(gradient.numbers).for_each(|(number, by)| *number -= 1e-3 * *by);
/// }
/// assert!(weight(&model) < before);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
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
    /// The inputs and terms of the last forward pass, until the backward pass takes them.
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
    /// Returns an error if the model cannot be read or if its architecture cannot be trained.
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

    /// Returns the number of terms in the vocabulary.
    pub fn vocab(&self) -> usize {
        self.config.vocab()
    }

    /// Returns the longest text in tokens.
    pub fn max_tokens(&self) -> usize {
        self.config.max_tokens()
    }

    /// Returns the terms of texts, computed without dropout and without keeping anything for a
    /// backward pass.
    pub fn encode(&self, texts: &[&[u32]]) -> Vec<Vec<PooledTerm>> {
        self.network.run(texts)
    }

    /// Returns the terms of texts, computed with dropout, and keeps what
    /// [`backward`](Self::backward) needs. `keys` has one number for each text, which determines
    /// what is dropped.
    ///
    /// # Panics
    /// Panics if a text is empty or if the numbers of texts and keys differ.
    pub fn forward(&mut self, texts: &[&[u32]], keys: &[u64]) -> &[Vec<PooledTerm>] {
        let mut kept = self.forward_body(texts, keys);
        let (pooling, saturation) = self.head;
        let (decoder, hidden) = (&self.network.model.decoder.output, &self.saved.output);
        kept.pooled = splade_head(decoder, hidden, &kept.offsets, pooling, saturation, true);
        &self.kept.insert(kept).pooled
    }

    /// Computes a forward pass up to the input of the decoder.
    fn forward_body(&mut self, texts: &[&[u32]], keys: &[u64]) -> Kept {
        assert!(texts.len() == keys.len(), "every text needs a key");
        let (ids, offsets, keys) = (texts.concat(), offsets(texts), keys.to_vec());
        let pass = Pass {
            texts: PackedTexts { ids: &ids, types: &[], offsets: &offsets, attended: &[] },
            keys: &keys,
            isa: self.isa,
        };
        self.network.model.forward_saved(&pass, &mut self.saved, &mut self.work);
        Kept { ids, offsets, keys, pooled: Vec::new() }
    }

    /// Adds to the gradients of the weights. `gradients[i][j]` is the derivative of the loss with
    /// respect to the weight of term `j` of text `i` of the last forward pass, whose state is
    /// consumed.
    ///
    /// # Panics
    /// Panics if there was no forward pass or if its terms differ from `gradients` in number.
    pub fn backward(&mut self, gradients: &[Vec<f32>]) {
        let kept = self.kept.take().expect("a forward pass comes before its backward pass");
        self.clear_d_output();
        self.head_backward(&kept, gradients);
        self.backward_body(&kept);
    }

    /// Sets the gradient of the decoder's input, in `work.a`, to zero.
    fn clear_d_output(&mut self) {
        self.work.a.clear();
        self.work.a.resize(self.saved.output.len(), 0.0);
    }

    /// Propagates the gradients of the terms: adds to the gradient of the decoder's input and to
    /// that of the decoder.
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

    /// Propagates the gradient of the decoder's input to all weights below it.
    fn backward_body(&mut self, kept: &Kept) {
        let pass = Pass {
            texts: PackedTexts {
                ids: &kept.ids,
                types: &[],
                offsets: &kept.offsets,
                attended: &[],
            },
            keys: &kept.keys,
            isa: self.isa,
        };
        let model = &self.network.model;
        model.backward(&pass, &self.saved, &mut self.gradients, &mut self.work);
    }

    /// Returns every parameter with its gradient, always in the same order.
    pub fn parameters(&mut self) -> Vec<(Parameter<'_>, Parameter<'_>)> {
        let values = self.network.model.parameters(&self.config);
        let gradients = self.gradients.parameters(&self.config);
        values.into_iter().zip(gradients).collect()
    }
}
