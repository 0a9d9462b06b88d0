//! The forward and backward pass of a batch through one or two encoders.
//!
//! A batch whose activations do not fit into memory goes through twice (GradCache, Gao et al.,
//! arXiv 2101.06983). First, all vectors are computed chunk by chunk. When the gradients of the
//! vectors are known, every chunk goes forward again and then backward. Dropout is the same both
//! times, because it depends only on the ordinals of the texts.

use std::ops::Range;
use std::path::Path;

use crate::engine::{Engine, Terms};
use crate::error::TrainError;
use crate::objective::VectorGradients;
use crate::run::checkpoint::moments::load;
use crate::run::checks::create;
use crate::table::TableEngine;

use super::batch::TokenBatch;

/// The encoders of a run.
pub(crate) struct Towers {
    /// The encoder of the documents; without a query tower, it encodes the queries as well.
    pub(crate) document: Box<dyn Engine>,
    /// The encoder of the queries, if they have their own.
    pub(crate) query: Option<QueryTower>,
    /// Whether the document encoder is frozen.
    pub(crate) freeze_document: bool,
    /// Whether a frozen document encoder has dropout (`compat.frozen_dropout`). Otherwise it has
    /// none, and encodes as it will in use.
    pub(crate) frozen_dropout: bool,
}

/// An encoder that is used only for queries.
pub(crate) enum QueryTower {
    /// A masked language model.
    Model(Box<dyn Engine>),
    /// A table with one weight for each token.
    Table(TableEngine),
}

impl QueryTower {
    /// Returns the name of its folder inside that of the document encoder: light-splade's name for
    /// a model, and the name of sentence-transformers' Router for a table.
    pub(super) fn folder(&self) -> &'static str {
        match self {
            Self::Model(_) => "query_model",
            Self::Table(_) => "query_0_SparseStaticEmbedding",
        }
    }

    /// Returns the engine that encodes the queries.
    pub(crate) fn engine(&self) -> &dyn Engine {
        match self {
            Self::Model(engine) => engine.as_ref(),
            Self::Table(table) => table,
        }
    }

    /// Returns the engine that encodes the queries, for changes.
    pub(crate) fn engine_mut(&mut self) -> &mut dyn Engine {
        match self {
            Self::Model(engine) => engine.as_mut(),
            Self::Table(table) => table,
        }
    }
}

impl std::fmt::Debug for QueryTower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.folder())
    }
}

impl std::fmt::Debug for Towers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Towers")
            .field("vocab", &self.document.vocab())
            .field("query", &self.query)
            .field("freeze_document", &self.freeze_document)
            .finish()
    }
}

/// The vectors of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct BatchTerms {
    /// The vectors of the queries, shape `(samples)`.
    pub(crate) queries: Vec<Terms>,
    /// The vectors of the positives, shape `(samples)`.
    pub(crate) positives: Vec<Terms>,
    /// The vectors of the negatives; those of a sample are adjacent.
    pub(crate) negatives: Vec<Terms>,
}

/// The side whose encoder is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tower {
    Document,
    Query,
}

/// A range of texts, by ordinal, that goes through an encoder at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk {
    tower: Tower,
    texts: Range<usize>,
    /// Whether the encoder keeps its state of this chunk until the gradients are known, because the
    /// chunk is its last one.
    kept: bool,
}

impl Towers {
    /// Returns the number of terms in the vocabulary.
    pub(crate) fn vocab(&self) -> usize {
        self.document.vocab()
    }

    /// Returns the vectors of queries, without dropout.
    pub(crate) fn encode_queries(&self, texts: &[Vec<u32>]) -> Vec<Terms> {
        let own = self.query.as_ref().map(QueryTower::engine);
        encode(own.unwrap_or(self.document.as_ref()), texts)
    }

    /// Returns the vectors of documents, without dropout.
    pub(crate) fn encode_documents(&self, texts: &[Vec<u32>]) -> Vec<Terms> {
        encode(self.document.as_ref(), texts)
    }

    /// Returns the vectors of a batch, without dropout.
    pub(crate) fn encode(&self, batch: &TokenBatch) -> BatchTerms {
        BatchTerms {
            queries: self.encode_queries(&batch.queries),
            positives: self.encode_documents(&batch.positives),
            negatives: self.encode_documents(&batch.negatives),
        }
    }

    /// Returns the vectors of a batch, with dropout that depends on `noise` of each ordinal. An
    /// encoder holds the state of at most `tokens` tokens, or of one text.
    pub(crate) fn forward(
        &mut self,
        batch: &TokenBatch,
        noise: &dyn Fn(usize) -> u64,
        tokens: Option<usize>,
    ) -> BatchTerms {
        let texts: Vec<&[u32]> = batch.texts().collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for chunk in self.chunks(batch, &texts, tokens) {
            vectors.extend(self.through(&chunk, &texts, noise));
        }
        split(vectors, batch)
    }

    /// Adds to the gradients of the parameters, after [`forward`](Self::forward) of the same batch.
    pub(crate) fn backward(
        &mut self,
        batch: &TokenBatch,
        noise: &dyn Fn(usize) -> u64,
        tokens: Option<usize>,
        gradients: VectorGradients,
    ) {
        let texts: Vec<&[u32]> = batch.texts().collect();
        let VectorGradients { queries, positives, negatives } = gradients;
        let gradients: Vec<Vec<f32>> =
            queries.into_iter().chain(positives).chain(negatives).collect();
        // The last chunk of an encoder comes first, because its state is still there.
        for chunk in self.chunks(batch, &texts, tokens).into_iter().rev() {
            if chunk.tower == Tower::Document && self.freeze_document {
                continue;
            }
            if !chunk.kept {
                self.through(&chunk, &texts, noise);
            }
            // Texts without tokens have no vector and no gradient.
            let used = chunk.texts.clone().filter(|text| !texts[*text].is_empty());
            let used: Vec<Vec<f32>> = used.map(|text| gradients[text].clone()).collect();
            if !used.is_empty() {
                self.engine(chunk.tower).backward(&used);
            }
        }
    }

    /// Sets the parameters of all encoders to those of a model folder that [`save`](Self::save)
    /// wrote.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be read, or if a tensor is missing or has another
    /// shape.
    pub(crate) fn load(&mut self, folder: &Path) -> Result<(), TrainError> {
        load(folder, self.document.as_mut())?;
        match &mut self.query {
            Some(query) => load(&folder.join(query.folder()), query.engine_mut()),
            None => Ok(()),
        }
    }

    /// Returns the encoders that are trained, that of the documents first.
    pub(crate) fn trained(&mut self, freeze_query: bool) -> Vec<&mut dyn Engine> {
        let mut engines: Vec<&mut dyn Engine> = Vec::new();
        if !self.freeze_document {
            engines.push(self.document.as_mut());
        }
        if let Some(query) = self.query.as_mut().filter(|_| !freeze_query) {
            engines.push(query.engine_mut());
        }
        engines
    }

    /// Writes the model folder: the document encoder, and the query encoder in a subfolder. A table
    /// is also written to `idf.json`, by which other programs recognise it.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub(crate) fn save(&mut self, folder: &Path) -> Result<(), TrainError> {
        create(folder)?;
        self.document.save(folder)?;
        if let Some(query) = &mut self.query {
            if let QueryTower::Table(table) = query {
                table.write_json(&folder.join("idf.json"))?;
            }
            let folder = folder.join(query.folder());
            create(&folder)?;
            query.engine_mut().save(&folder)?;
        }
        Ok(())
    }

    fn engine(&mut self, tower: Tower) -> &mut dyn Engine {
        match (tower, &mut self.query) {
            (Tower::Query, Some(query)) => query.engine_mut(),
            _ => self.document.as_mut(),
        }
    }

    /// Divides the texts into chunks. A single encoder takes all texts in order; of two encoders,
    /// one takes the queries and the other the rest.
    fn chunks(&self, batch: &TokenBatch, texts: &[&[u32]], tokens: Option<usize>) -> Vec<Chunk> {
        let (first, rest) = match &self.query {
            Some(_) => (0..batch.queries.len(), batch.queries.len()..texts.len()),
            None => (0..0, 0..texts.len()),
        };
        let mut chunks = cut(Tower::Query, first, texts, tokens);
        chunks.extend(cut(Tower::Document, rest, texts, tokens));
        chunks
    }

    fn through(
        &mut self,
        chunk: &Chunk,
        texts: &[&[u32]],
        noise: &dyn Fn(usize) -> u64,
    ) -> Vec<Terms> {
        let plain = chunk.tower == Tower::Document && self.freeze_document && !self.frozen_dropout;
        let engine = self.engine(chunk.tower);
        let used = || chunk.texts.clone().filter(|text| !texts[*text].is_empty());
        let ids: Vec<&[u32]> = used().map(|text| texts[text]).collect();
        let noise: Vec<u64> = used().map(noise).collect();
        let mut vectors = match (ids.is_empty(), plain) {
            (true, _) => Vec::new(),
            (false, true) => engine.encode(&ids),
            (false, false) => engine.forward(&ids, &noise),
        }
        .into_iter();
        let next = |text: usize| match texts[text].is_empty() {
            true => Terms::default(),
            false => vectors.next().expect("the encoder returned too few vectors: this is a bug"),
        };
        chunk.texts.clone().map(next).collect()
    }
}

/// Returns the vectors of texts, without dropout; a text without tokens has no terms.
fn encode(engine: &dyn Engine, texts: &[Vec<u32>]) -> Vec<Terms> {
    let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).filter(|ids| !ids.is_empty()).collect();
    let vectors = if ids.is_empty() { Vec::new() } else { engine.encode(&ids) };
    let mut vectors = vectors.into_iter();
    let next = |ids: &Vec<u32>| match ids.is_empty() {
        true => Terms::default(),
        false => vectors.next().expect("the encoder returned too few vectors: this is a bug"),
    };
    texts.iter().map(next).collect()
}

fn split(mut vectors: Vec<Terms>, batch: &TokenBatch) -> BatchTerms {
    let negatives = vectors.split_off(batch.queries.len() + batch.positives.len());
    let positives = vectors.split_off(batch.queries.len());
    BatchTerms { queries: vectors, positives, negatives }
}

/// Divides texts into chunks of at most `tokens` tokens, or of one text.
fn cut(tower: Tower, range: Range<usize>, texts: &[&[u32]], tokens: Option<usize>) -> Vec<Chunk> {
    let limit = tokens.unwrap_or(usize::MAX);
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut sum = 0;
    for text in range {
        sum += texts[text].len();
        match chunks.last_mut() {
            Some(chunk) if sum <= limit => chunk.texts.end = text + 1,
            _ => {
                sum = texts[text].len();
                chunks.push(Chunk { tower, texts: text..text + 1, kept: false });
            }
        }
    }
    if let Some(last) = chunks.last_mut() {
        last.kept = true;
    }
    chunks
}
