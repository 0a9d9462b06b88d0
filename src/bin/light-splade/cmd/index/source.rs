//! Documents for an index: vectors out of files, or texts that are encoded.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use splade_index::Index;
use splade_model::{Encoder, EncoderOptions, Side};
use splade_sparse::SparseVector;
use splade_sparse::files::VectorReader;
use splade_text::TokenizerOptions;

use super::made_by::{Encoding, MadeBy};
use crate::args::{PruneArgs, SourceArgs};
use crate::cmd::stream::{self, Ended};
use crate::cmd::{Records, Vocabulary, load, records};
use crate::input::{Position, Record};
use crate::interrupt;
use crate::progress::Progress;

/// Vectors between two looks at progress and Ctrl-C.
const VECTORS_AT_A_TIME: usize = 1000;

/// Documents that wait to be indexed.
pub(crate) enum Source {
    Texts { encoder: Box<Encoder>, records: Records, position: Position, prune: PruneArgs },
    Vectors { paths: Vec<PathBuf>, vocabulary: Option<Box<Vocabulary>> },
}

impl Source {
    /// Opens texts and the encoder for them.
    pub(crate) fn texts(
        args: &SourceArgs,
        model: &Path,
        options: &EncoderOptions,
        prune: &PruneArgs,
    ) -> Result<(Self, MadeBy)> {
        let (records, position) = records(&args.input)?;
        let encoder = Box::new(load(model, options)?);
        let mut made_by = MadeBy::model(model, encoder.vocab(), encoder.tokenizer().len());
        made_by.encoding = Some(Encoding::of(&encoder, options, prune));
        Ok((Self::Texts { encoder, records, position, prune: prune.clone() }, made_by))
    }

    /// Opens vectors; keys of NDJSON are tokens of the model, or ids if there is none.
    pub(crate) fn vectors(
        args: &SourceArgs,
        model: Option<&Path>,
        options: &TokenizerOptions,
    ) -> Result<(Self, MadeBy)> {
        // Tells of missing files before anything is begun.
        VectorReader::open(&args.vectors, &VectorReader::id)?;
        let open = |model| Vocabulary::open(model, Side::Document, options);
        let vocabulary = model.map(open).transpose()?;
        let made_by = match (model, &vocabulary) {
            (Some(model), Some(vocabulary)) => {
                MadeBy::model(model, vocabulary.size, vocabulary.tokenizer.len())
            }
            _ => MadeBy::default(),
        };
        let vocabulary = vocabulary.map(Box::new);
        Ok((Self::Vectors { paths: args.vectors.clone(), vocabulary }, made_by))
    }

    /// Hands over the documents one after another, but not those that a known index has.
    pub(crate) fn each(
        self,
        known: Option<Index>,
        mut take: impl FnMut(&str, &SparseVector) -> Result<()>,
    ) -> Result<Ended> {
        match self {
            Self::Texts { encoder, mut records, position, prune } => {
                if let Some(known) = known {
                    let is_new = move |record: &Result<Record>| {
                        record.as_ref().map_or(true, |record| known.vector(&record.id).is_none())
                    };
                    records = Box::new(records.filter(is_new));
                }
                stream::encode(&encoder, &mut records, position, |id, vector| {
                    take(id, &prune.apply(vector))
                })
            }
            Self::Vectors { paths, vocabulary } => {
                let term = |key: &str| match &vocabulary {
                    Some(vocabulary) => vocabulary.term(key),
                    None => VectorReader::id(key),
                };
                let size = vocabulary.as_ref().map_or(usize::MAX, |vocabulary| vocabulary.size);
                let mut progress = Progress::start(Position::default(), "vectors");
                let mut waiting = 0;
                let mut ended = Ended::Whole;
                for row in VectorReader::open(&paths, &term)? {
                    let row = row?;
                    if let Some(term) = row.vector.terms().last().filter(|t| t.0 as usize >= size) {
                        bail!(
                            "vector {:?} has the term {term}, but the model {size} terms; give the \
                             model that made the vectors",
                            row.id
                        );
                    }
                    if known.as_ref().is_none_or(|known| known.vector(&row.id).is_none()) {
                        take(&row.id, &row.vector)?;
                    }
                    waiting += 1;
                    if waiting == VECTORS_AT_A_TIME {
                        progress.add(std::mem::take(&mut waiting), 0);
                        if interrupt::asked() {
                            ended = Ended::Interrupted;
                            break;
                        }
                    }
                }
                progress.add(waiting, 0);
                progress.finish();
                Ok(ended)
            }
        }
    }
}
