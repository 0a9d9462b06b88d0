//! Models: token ids to hidden states, and the decoder over the vocabulary or a classifier.
//!
//! One file a family. Each is a struct of layers with a `load` that names every tensor and a
//! `forward` that reads top to bottom. Texts come packed, without padding.

mod batch;
pub(crate) mod bert;
mod classifier;
mod deberta_v2;
pub(crate) mod head;
pub(crate) mod modernbert;
mod post_norm;
mod training;
mod words;

pub(crate) use batch::{PackedTexts, Workspace};
pub(crate) use classifier::{HeadNames, SavedHead, SequenceClassifier};
pub(crate) use head::Decoder;
pub(crate) use training::{Pass, Saved, Work};

use std::path::Path;

use splade_nn::{Isa, Linear, Precision};

use crate::config::ArchitectureConfig;
use crate::error::ModelError;
use crate::loader::{Loader, TensorNames};
use crate::train::Parameter;
use crate::weights::Weights;
use words::Words;

/// A masked language model on the CPU.
#[derive(Debug)]
pub(crate) struct MaskedLm {
    body: Body,
    pub(crate) decoder: Decoder,
    /// The tensors of its file.
    pub(crate) tensors: TensorNames,
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
        let decoder = || match config {
            ArchitectureConfig::Bert(config) => bert::load_decoder(&loader, config),
            ArchitectureConfig::ModernBert(config) => modernbert::load_decoder(&loader, config),
            ArchitectureConfig::DebertaV2(config) => deberta_v2::load_decoder(&loader, config),
        };
        let (decoder, body) = rayon::join(decoder, || Body::load(&loader, config));
        let tensors = loader.finish()?;
        Ok(Self { body, decoder, tensors })
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
        self.body.forward(texts, &self.decoder, workspace, parallel);
        self.decoder.transform.forward(workspace, parallel)
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        self.decoder.bytes() + self.body.bytes()
    }
}

/// Gradients of a masked language model: its own type, with numbers of another meaning.
pub(crate) type Gradients = MaskedLm;

impl MaskedLm {
    /// As `forward`, with dropout and over the current rayon pool, into `saved.output`, keeping what
    /// `backward` needs.
    pub(crate) fn forward_saved(&self, pass: &Pass<'_>, saved: &mut Saved, work: &mut Work) {
        self.body.forward_saved(pass, &self.decoder, saved, work);
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
        self.body.backward(pass, saved, &mut gradients.body, &mut gradients.decoder, work);
    }

    /// Zeros of the same shapes, to collect gradients in.
    pub(crate) fn zeros_like(&self) -> Gradients {
        let body = self.body.zeros_like();
        Self { body, decoder: self.decoder.zeros_like(), tensors: TensorNames::default() }
    }

    /// The decoder's part of gradients.
    pub(crate) fn decoder_output(&mut self) -> &mut Linear {
        &mut self.decoder.output
    }

    /// Every parameter, always in the same order.
    pub(crate) fn parameters(&mut self, config: &ArchitectureConfig) -> Vec<Parameter<'_>> {
        let mut list = Vec::new();
        match config {
            ArchitectureConfig::Bert(config) => {
                bert::decoder_parameters(&mut self.decoder, config, &mut list);
            }
            ArchitectureConfig::ModernBert(config) => {
                modernbert::decoder_parameters(&mut self.decoder, config, &mut list);
            }
            ArchitectureConfig::DebertaV2(_) => unreachable!("{NOT_TRAINED}"),
        }
        self.body.parameters(config, &mut list);
        list
    }
}

impl Body {
    fn load(loader: &Loader<'_>, config: &ArchitectureConfig) -> Self {
        match config {
            ArchitectureConfig::Bert(config) => Self::Bert(bert::Bert::load(loader, config)),
            ArchitectureConfig::ModernBert(config) => {
                Self::ModernBert(modernbert::ModernBert::load(loader, config))
            }
            ArchitectureConfig::DebertaV2(config) => {
                Self::DebertaV2(deberta_v2::DebertaV2::load(loader, config))
            }
        }
    }

    /// Token ids to hidden states, `(tokens, hidden)`, in the workspace.
    fn forward(
        &self,
        texts: &PackedTexts<'_>,
        words: &dyn Words,
        workspace: &mut Workspace,
        parallel: bool,
    ) {
        match self {
            Self::Bert(body) => body.forward(texts, words, workspace, parallel),
            Self::ModernBert(body) => body.forward(texts, words, workspace, parallel),
            Self::DebertaV2(body) => body.forward(texts, words, workspace, parallel),
        }
    }

    fn forward_saved(
        &self,
        pass: &Pass<'_>,
        words: &dyn Words,
        saved: &mut Saved,
        work: &mut Work,
    ) {
        match self {
            Self::Bert(body) => body.forward_saved(pass, words, saved, work),
            Self::ModernBert(body) => body.forward_saved(pass, words, saved, work),
            Self::DebertaV2(_) => unreachable!("{NOT_TRAINED}"),
        }
    }

    /// The gradient by the hidden states, in `work.hidden`, to those of all weights.
    fn backward(
        &self,
        pass: &Pass<'_>,
        saved: &Saved,
        gradients: &mut Body,
        d_words: &mut dyn Words,
        work: &mut Work,
    ) {
        match (self, gradients) {
            (Self::Bert(body), Self::Bert(to)) => body.backward(pass, saved, to, d_words, work),
            (Self::ModernBert(body), Self::ModernBert(to)) => {
                body.backward(pass, saved, to, d_words, work);
            }
            _ => unreachable!("{NOT_TRAINED}"),
        }
    }

    fn zeros_like(&self) -> Self {
        match self {
            Self::Bert(body) => Self::Bert(body.zeros_like()),
            Self::ModernBert(body) => Self::ModernBert(body.zeros_like()),
            Self::DebertaV2(_) => unreachable!("{NOT_TRAINED}"),
        }
    }

    fn parameters<'a>(&'a mut self, config: &ArchitectureConfig, list: &mut Vec<Parameter<'a>>) {
        match (self, config) {
            (Self::Bert(body), ArchitectureConfig::Bert(config)) => body.parameters(config, list),
            (Self::ModernBert(body), ArchitectureConfig::ModernBert(config)) => {
                body.parameters(config, list);
            }
            _ => unreachable!("{NOT_TRAINED}"),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Bert(body) => body.bytes(),
            Self::ModernBert(body) => body.bytes(),
            Self::DebertaV2(body) => body.bytes(),
        }
    }
}

const NOT_TRAINED: &str = "DeBERTa-v2 is refused when a model is loaded to train";
