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

pub(crate) use batch::{PackedTexts, Workspace};
pub(crate) use head::Decoder;

use std::path::Path;

use splade_nn::{Isa, Precision};

use crate::config::ArchitectureConfig;
use crate::error::ModelError;
use crate::loader::Loader;
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
