//! Masked language models: token ids to hidden states, and the decoder over the vocabulary.
//!
//! One file a family. Each is a struct of layers with a `load` that names every tensor and a
//! `forward` that reads top to bottom. Texts come packed, without padding.

mod batch;
mod bert;
mod deberta_v2;
mod head;
mod modernbert;
mod post_norm;
mod training;

pub(crate) use batch::{PackedTexts, Workspace};
pub(crate) use head::Decoder;
pub(crate) use training::{Pass, Saved, Work};

use std::path::Path;

use splade_nn::{Isa, Linear, Precision};

use crate::config::ArchitectureConfig;
use crate::error::ModelError;
use crate::loader::Loader;
use crate::train::Parameter;
use crate::weights::Weights;

/// A masked language model on the CPU.
#[derive(Debug)]
pub(crate) struct MaskedLm {
    body: Body,
    pub(crate) decoder: Decoder,
    /// Tensors of the file that the model does not use.
    pub(crate) unexpected: Vec<String>,
}

#[derive(Debug)]
enum Body {
    Bert(bert::Bert),
    ModernBert(modernbert::ModernBert),
    DebertaV2(deberta_v2::DebertaV2),
}

impl MaskedLm {
    /// Loads the weights of a model folder.
    pub(crate) fn load(
        dir: &Path,
        config: &ArchitectureConfig,
        isa: Isa,
        precision: Precision,
    ) -> Result<Self, ModelError> {
        let weights = Weights::open(dir)?;
        let loader = Loader::new(&weights, isa, precision);
        let (decoder, body) = match config {
            ArchitectureConfig::Bert(config) => rayon::join(
                || bert::load_decoder(&loader, config),
                || Body::Bert(bert::Bert::load(&loader, config)),
            ),
            ArchitectureConfig::ModernBert(config) => rayon::join(
                || modernbert::load_decoder(&loader, config),
                || Body::ModernBert(modernbert::ModernBert::load(&loader, config)),
            ),
            ArchitectureConfig::DebertaV2(config) => rayon::join(
                || deberta_v2::load_decoder(&loader, config),
                || Body::DebertaV2(deberta_v2::DebertaV2::load(&loader, config)),
            ),
        };
        let unexpected = loader.finish()?;
        Ok(Self { body, decoder, unexpected })
    }

    /// Token ids to the decoder's input, `(tokens, embedding)`, in the workspace.
    ///
    /// With `parallel`, every layer is shared out over the current rayon pool.
    pub(crate) fn forward<'w>(
        &self,
        texts: &PackedTexts<'_>,
        workspace: &'w mut Workspace,
        parallel: bool,
    ) -> &'w [f32] {
        match &self.body {
            Body::Bert(body) => body.forward(texts, &self.decoder, workspace, parallel),
            Body::ModernBert(body) => body.forward(texts, &self.decoder, workspace, parallel),
            Body::DebertaV2(body) => body.forward(texts, &self.decoder, workspace, parallel),
        }
        self.decoder.transform.forward(workspace, parallel)
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        self.decoder.bytes()
            + match &self.body {
                Body::Bert(body) => body.bytes(),
                Body::ModernBert(body) => body.bytes(),
                Body::DebertaV2(body) => body.bytes(),
            }
    }
}

/// Gradients of a masked language model: its own type, with numbers of another meaning.
pub(crate) type Gradients = MaskedLm;

impl MaskedLm {
    /// As `forward`, with dropout and over the current rayon pool, into `saved.output`, keeping what
    /// `backward` needs.
    pub(crate) fn forward_saved(&self, pass: &Pass<'_>, saved: &mut Saved, work: &mut Work) {
        match &self.body {
            Body::Bert(body) => body.forward_saved(pass, &self.decoder, saved, work),
            Body::ModernBert(body) => body.forward_saved(pass, &self.decoder, saved, work),
            Body::DebertaV2(_) => unreachable!("{NOT_TRAINED}"),
        }
        self.decoder.transform.forward_saved(pass, saved, work);
    }

    /// The gradient by the decoder's input, in `work.a`, to those of all weights below the decoder,
    /// which are added to `gradients`.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: &Saved,
        gradients: &mut Gradients,
        work: &mut Work,
    ) {
        self.decoder.transform.backward(pass, saved, &mut gradients.decoder.transform, work);
        let d_decoder = &mut gradients.decoder;
        match (&self.body, &mut gradients.body) {
            (Body::Bert(body), Body::Bert(to)) => body.backward(pass, saved, to, d_decoder, work),
            (Body::ModernBert(body), Body::ModernBert(to)) => {
                body.backward(pass, saved, to, d_decoder, work);
            }
            _ => unreachable!("{NOT_TRAINED}"),
        }
    }

    /// Zeros of the same shapes, to collect gradients in.
    pub(crate) fn zeros_like(&self) -> Gradients {
        let body = match &self.body {
            Body::Bert(body) => Body::Bert(body.zeros_like()),
            Body::ModernBert(body) => Body::ModernBert(body.zeros_like()),
            Body::DebertaV2(_) => unreachable!("{NOT_TRAINED}"),
        };
        Self { body, decoder: self.decoder.zeros_like(), unexpected: Vec::new() }
    }

    /// The decoder's part of gradients.
    pub(crate) fn decoder_output(&mut self) -> &mut Linear {
        &mut self.decoder.output
    }

    /// Every parameter, always in the same order.
    pub(crate) fn parameters(&mut self, config: &ArchitectureConfig) -> Vec<Parameter<'_>> {
        let mut list = Vec::new();
        match (&mut self.body, config) {
            (Body::Bert(body), ArchitectureConfig::Bert(config)) => {
                bert::decoder_parameters(&mut self.decoder, config, &mut list);
                body.parameters(config, &mut list);
            }
            (Body::ModernBert(body), ArchitectureConfig::ModernBert(config)) => {
                modernbert::decoder_parameters(&mut self.decoder, config, &mut list);
                body.parameters(config, &mut list);
            }
            _ => unreachable!("{NOT_TRAINED}"),
        }
        list
    }
}

const NOT_TRAINED: &str = "DeBERTa-v2 is refused when a model is loaded to train";
