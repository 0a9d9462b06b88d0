//! Documents for an index: vectors out of files, or texts that are encoded.

use std::path::{Path, PathBuf};

use anyhow::Result;
use light_splade::models::Vocabulary;
use light_splade::search::Provenance;
use light_splade::{Index, Observer, SparseEncoder, SparseEncoderOptions};
use splade_model::Side;
use splade_sparse::files::VectorReader;
use splade_text::TokenizerOptions;

use crate::args::SourceArgs;
use crate::cmd::{Records, records};
use crate::input::Position;

/// Documents that wait to be indexed.
pub(crate) enum NewDocuments {
    Texts { encoder: Box<SparseEncoder>, records: Records, position: Position },
    Vectors { paths: Vec<PathBuf>, vocabulary: Option<Box<Vocabulary>> },
}

impl NewDocuments {
    /// Opens texts and the model for them.
    pub(crate) fn texts(
        args: &SourceArgs,
        model: &Path,
        options: &SparseEncoderOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let (records, position) = records(&args.input)?;
        let encoder = Box::new(SparseEncoder::load_observed(model, options, observer)?);
        Ok(Self::Texts { encoder, records, position })
    }

    /// Opens vectors; keys of NDJSON are tokens of the model, or ids if there is none. Returns what is
    /// known of them, too.
    pub(crate) fn vectors(
        args: &SourceArgs,
        model: Option<&Path>,
        options: &TokenizerOptions,
        observer: &mut dyn Observer,
    ) -> Result<(Self, Provenance)> {
        // Tells of missing files before anything is begun.
        VectorReader::open(&args.vectors, &VectorReader::id)?;
        let vocabulary = model
            .map(|model| Vocabulary::open(model, Side::Document, options, observer))
            .transpose()?;
        let provenance = match (model, &vocabulary) {
            (Some(model), Some(vocabulary)) => {
                Provenance::model(model, vocabulary.size(), vocabulary.tokenizer().len())
            }
            _ => Provenance::default(),
        };
        let vocabulary = vocabulary.map(Box::new);
        Ok((Self::Vectors { paths: args.vectors.clone(), vocabulary }, provenance))
    }

    /// The number of tokens of the tokenizer, where one was read.
    pub(crate) fn tokens(&self, side: Side) -> Result<Option<usize>> {
        Ok(match self {
            Self::Texts { encoder, .. } => Some(encoder.tower(side)?.tokenizer().len()),
            Self::Vectors { vocabulary, .. } => vocabulary.as_ref().map(|v| v.tokenizer().len()),
        })
    }

    /// Puts all documents into the index.
    pub(crate) fn put_into(
        self,
        index: &mut Index,
        observer: &mut dyn Observer,
    ) -> Result<u64, light_splade::Error> {
        match self {
            Self::Texts { encoder, records, position } => {
                index.upsert_read(&encoder, records, position, observer)
            }
            Self::Vectors { paths, vocabulary } => {
                index.upsert_vectors(paths, vocabulary.as_deref(), observer)
            }
        }
    }
}
