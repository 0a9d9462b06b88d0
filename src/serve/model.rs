//! The model that is served, and the cross-encoder beside it.

use std::path::Path;

use splade_model::{CrossEncoder, CrossEncoderOptions, Encoder, Side, hub_revision};

use super::options::ServeOptions;
use crate::encoder::SparseEncoder;
use crate::error::Error;
use crate::hybrid::load_cross_encoder;
use crate::model::model_files;

/// A loaded model. A reload makes a new one, and requests that are running keep the old one.
#[derive(Debug)]
pub(crate) struct Model {
    /// Both towers.
    pub(crate) encoder: SparseEncoder,
    /// The cross-encoder.
    pub(crate) reranker: Option<CrossEncoder>,
    /// The commit of a model of the hub.
    pub(crate) revision: Option<String>,
    /// The threads of the cross-encoder.
    pub(crate) threads: rayon::ThreadPool,
}

impl Model {
    /// Loads what the options name.
    pub(crate) fn load(options: &ServeOptions) -> Result<Self, Error> {
        let mut log = Log;
        let files = model_files(&options.model, &mut log)?;
        let encoder =
            SparseEncoder::from_files(&options.model, &files, &options.encoder, &mut log)?;
        let threads = crate::searcher::thread_pool(options.encoder.threads)?;
        let reranker = options.reranker.as_deref().map(|name| {
            let options = CrossEncoderOptions {
                precision: options.encoder.precision,
                isa: options.encoder.isa,
                ..CrossEncoderOptions::default()
            };
            load_cross_encoder(name, &options, &mut log)
        });
        let revision = hub_revision(files.root());
        Ok(Self { encoder, reranker: reranker.transpose()?, revision, threads })
    }

    /// The tower of a side.
    pub(crate) fn tower(&self, side: Side) -> &Encoder {
        self.encoder.tower(side).expect("both towers are loaded: this is a bug")
    }

    /// The name that the model was loaded by.
    pub(crate) fn name(&self) -> &Path {
        self.encoder.name()
    }
}

/// Passes what loading tells to the log.
#[derive(Debug)]
pub(crate) struct Log;

impl splade_io::Observer for Log {
    fn event(&mut self, event: splade_io::Event<'_>) {
        match event {
            splade_io::Event::Note(text) => tracing::info!("{text}"),
            splade_io::Event::Warning(text) => tracing::warn!("{text}"),
            _ => {}
        }
    }
}
