//! A masked language model: a body and the decoder over the vocabulary.

use splade_nn::{Isa, Linear, Precision};
use splade_text::ModelFiles;

use super::batch::{PackedTexts, Workspace};
use super::family::Body;
use super::head::Decoder;
use super::list::ArchitectureConfig;
use super::training::{Pass, Saved, Work};
use crate::error::ModelError;
use crate::loader::{Loader, TensorNames};
use crate::parameter::Parameter;
use crate::weights::Weights;

/// A masked language model on the CPU.
#[derive(Debug)]
pub(crate) struct MaskedLm {
    body: Box<dyn Body>,
    pub(crate) decoder: Decoder,
    /// The names of the tensors in the weights file.
    pub(crate) tensors: TensorNames,
}

impl MaskedLm {
    /// Loads the weights of a model.
    pub(crate) fn load(
        files: &ModelFiles,
        config: &ArchitectureConfig,
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        let weights = open_weights(files, config)?;
        let loader = Loader::new(&weights, isa, precision);
        let decoder = || Decoder::load(&loader, &config.0.word_head(), &config.0.sizes());
        let (decoder, body) = rayon::join(decoder, || config.0.load_body(&loader));
        let tensors = loader.finish()?;
        Ok(Self { body, decoder, tensors })
    }

    /// Computes the decoder's input, `(tokens, embedding)`, in the workspace.
    ///
    /// With `parallel`, every layer is computed on all threads of the current rayon pool.
    pub(crate) fn forward<'w>(
        &self,
        texts: &PackedTexts<'_>,
        workspace: &'w mut Workspace,
        parallel: bool,
    ) -> &'w [f32] {
        self.body.forward(texts, &self.decoder, workspace, parallel);
        self.decoder.transform.forward(workspace, parallel)
    }

    /// Returns the size of the packed weights in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.decoder.bytes() + self.body.bytes()
    }
}

/// Opens the weights of a masked language model. A tensor that the model uses twice may be in the
/// file under any of its names, as safetensors stores such a tensor once.
pub(crate) fn open_weights(
    files: &ModelFiles,
    config: &ArchitectureConfig,
) -> Result<Weights, ModelError> {
    let mut weights = Weights::from_files(files)?;
    let head = config.0.word_head();
    weights.set_prefix(config.0.prefix(), config.0.other_prefix(), head.embedding);
    if head.tied {
        weights.unite(&[head.embedding, head.decoder])?;
    }
    weights.unite(head.bias_names())?;
    Ok(weights)
}

/// The gradients of a masked language model. They have the same type as the weights.
pub(crate) type Gradients = MaskedLm;

impl MaskedLm {
    /// Computes the decoder's input like `forward`, with dropout and on all threads of the current
    /// rayon pool, into `saved.output`, and keeps what `backward` needs.
    pub(crate) fn forward_saved(&self, pass: &Pass<'_>, saved: &mut Saved, work: &mut Work) {
        self.body.trained().forward_saved(pass, &self.decoder, saved, work);
        self.decoder.transform.forward_saved(pass, saved, work);
    }

    /// Propagates the gradient of the decoder's input, in `work.a`, and adds to the `gradients` of
    /// all weights below the decoder.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: &Saved,
        gradients: &mut Gradients,
        work: &mut Work,
    ) {
        let Gradients { body, decoder, .. } = gradients;
        self.decoder.transform.backward(pass, saved, &mut decoder.transform, work);
        self.body.trained().backward(pass, saved, &mut **body, decoder, work);
    }

    /// Returns zeros of the same shapes, to collect gradients in.
    pub(crate) fn zeros_like(&self) -> Gradients {
        let body = self.body.trained().zeros_like();
        Self { body, decoder: self.decoder.zeros_like(), tensors: TensorNames::default() }
    }

    /// Returns the gradients of the decoder's weight and bias.
    pub(crate) fn decoder_output(&mut self) -> &mut Linear {
        &mut self.decoder.output
    }

    /// Returns every parameter, always in the same order.
    pub(crate) fn parameters(&mut self, config: &ArchitectureConfig) -> Vec<Parameter<'_>> {
        let mut list = Vec::new();
        self.decoder.parameters(&config.0.word_head(), &mut list);
        self.body.trained_mut().parameters(&mut list);
        list
    }
}
