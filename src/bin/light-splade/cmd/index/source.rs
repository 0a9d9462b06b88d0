//! Documents for an index: vectors out of files, or texts that are encoded.

use std::path::{Path, PathBuf};

use anyhow::Result;
use light_splade::models::Vocabulary;
use light_splade::search::{Provenance, VectorSources};
use light_splade::{Index, Observer, SparseEncoder, SparseEncoderOptions};
use splade_model::Side;
use splade_sparse::files::VectorReader;
use splade_text::TokenizerOptions;

use crate::args::SourceArgs;
use crate::cmd::{Records, or_any_model, records};
use crate::input::Position;
use crate::log::say;

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
        let sources = VectorSources::read(&args.vectors)?;
        if let Some(path) = sources.unknown() {
            say(&format!(
                "{} does not say how its vectors were made; they are taken to be like the others",
                path.display()
            ));
        }
        let known = match args.any_model {
            true => sources.joined().unwrap_or_default(),
            false => or_any_model(sources.joined(), "give vectors of one model")?,
        };
        // The keys of NDJSON are tokens of the model that the folder names.
        let own = known.as_ref().filter(|_| sources.have_tokens());
        let own = own.and_then(|provenance| provenance.model.as_deref());
        let vocabulary = model
            .or(own)
            .map(|model| Vocabulary::open(model, Side::Document, options, observer))
            .transpose()?;
        let given = vocabulary.as_ref().map(Provenance::of_vocabulary).transpose()?;
        let provenance = match (known, given) {
            (Some(known), Some(given)) if !args.any_model => {
                let checked =
                    known.check_model("the vectors were made with", &given, "--model names");
                or_any_model(checked, "leave out --model (and LIGHT_SPLADE_MODEL)")?;
                // The model may be elsewhere now.
                Provenance { model: given.model, ..known }
            }
            (Some(known), _) => known,
            (None, given) => given.unwrap_or_default(),
        };
        let vocabulary = vocabulary.map(Box::new);
        Ok((Self::Vectors { paths: args.vectors.clone(), vocabulary }, provenance))
    }

    /// How the documents are made, as far as it is known; `of` is how those of the index were.
    pub(crate) fn provenance(&self, of: &Provenance) -> Result<Provenance> {
        Ok(match self {
            Self::Texts { encoder, .. } => {
                let encoding = of.encoding.as_ref();
                let side = encoding.map_or(Side::Document, |encoding| encoding.side);
                let pruning = encoding.map(|encoding| encoding.pruning).unwrap_or_default();
                Provenance::of_encoder(encoder, side, &pruning)?
            }
            Self::Vectors { paths, .. } => {
                VectorSources::read(paths)?.joined()?.unwrap_or_default()
            }
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
