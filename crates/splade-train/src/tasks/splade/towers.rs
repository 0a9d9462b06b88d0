//! One encoder or two, and a batch's way through them and back.
//!
//! A batch that is too large to keep goes through twice (GradCache, Gao et al., arXiv 2101.06983):
//! first all of its vectors, chunk by chunk, then, with the gradients of the vectors, every chunk
//! forward again and back. Dropout is the same both times, because it depends on numbers of the
//! texts.

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
    /// Encodes documents, and queries where there is no other.
    pub(crate) document: Box<dyn Engine>,
    /// Encodes queries, if they have an encoder of their own.
    pub(crate) query: Option<QueryTower>,
    /// The document encoder is not trained.
    pub(crate) freeze_document: bool,
    /// A frozen document encoder has dropout all the same (`compat.frozen_dropout`). It has none
    /// otherwise: it encodes as it will when it serves.
    pub(crate) frozen_dropout: bool,
}

/// An encoder of queries alone.
pub(crate) enum QueryTower {
    /// A model.
    Model(Box<dyn Engine>),
    /// A weight a token.
    Table(TableEngine),
}

impl QueryTower {
    /// Its folder in that of the document encoder: light-splade's, or that of
    /// sentence-transformers' Router.
    pub(super) fn folder(&self) -> &'static str {
        match self {
            Self::Model(_) => "query_model",
            Self::Table(_) => "query_0_SparseStaticEmbedding",
        }
    }

    /// The encoder.
    pub(crate) fn engine(&self) -> &dyn Engine {
        match self {
            Self::Model(engine) => engine.as_ref(),
            Self::Table(table) => table,
        }
    }

    /// The encoder.
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
    /// One a sample.
    pub(crate) queries: Vec<Terms>,
    /// One a sample.
    pub(crate) positives: Vec<Terms>,
    /// Those of a sample together.
    pub(crate) negatives: Vec<Terms>,
}

/// One of the encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tower {
    Document,
    Query,
}

/// Texts, by ordinal, that go through an encoder at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk {
    tower: Tower,
    texts: Range<usize>,
    /// The encoder keeps what its way back needs until the gradients are known: it was the last
    /// to go through.
    kept: bool,
}

impl Towers {
    /// Terms of the vocabulary.
    pub(crate) fn vocab(&self) -> usize {
        self.document.vocab()
    }

    /// Vectors of queries without dropout.
    pub(crate) fn encode_queries(&self, texts: &[Vec<u32>]) -> Vec<Terms> {
        let own = self.query.as_ref().map(QueryTower::engine);
        encode(own.unwrap_or(self.document.as_ref()), texts)
    }

    /// Vectors of documents without dropout.
    pub(crate) fn encode_documents(&self, texts: &[Vec<u32>]) -> Vec<Terms> {
        encode(self.document.as_ref(), texts)
    }

    /// Vectors of a batch without dropout.
    pub(crate) fn encode(&self, batch: &TokenBatch) -> BatchTerms {
        BatchTerms {
            queries: self.encode_queries(&batch.queries),
            positives: self.encode_documents(&batch.positives),
            negatives: self.encode_documents(&batch.negatives),
        }
    }

    /// Vectors of a batch with dropout by `noise` of each ordinal; at most `tokens` of them are
    /// held by an encoder at once, or one text.
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
        // The last chunk of an encoder first: it is still there.
        for chunk in self.chunks(batch, &texts, tokens).into_iter().rev() {
            if chunk.tower == Tower::Document && self.freeze_document {
                continue;
            }
            if !chunk.kept {
                self.through(&chunk, &texts, noise);
            }
            // Texts without tokens have no part in it.
            let used = chunk.texts.clone().filter(|text| !texts[*text].is_empty());
            let used: Vec<Vec<f32>> = used.map(|text| gradients[text].clone()).collect();
            if !used.is_empty() {
                self.engine(chunk.tower).backward(&used);
            }
        }
    }

    /// Sets the parameters of all encoders to those of a model folder that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If the folder cannot be read, or a tensor is missing or has another shape.
    pub(crate) fn load(&mut self, folder: &Path) -> Result<(), TrainError> {
        load(folder, self.document.as_mut())?;
        match &mut self.query {
            Some(query) => load(&folder.join(query.folder()), query.engine_mut()),
            None => Ok(()),
        }
    }

    /// The encoders that are trained, the documents' first.
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

    /// Writes the model folder: the document encoder, and that of the queries in a folder of it.
    /// `idf.json` tells readers of a table.
    ///
    /// # Errors
    /// If it cannot be written.
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

    /// One encoder takes all texts in order; of two, one takes the queries, the other the rest.
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
            false => vectors.next().expect("a vector a text: this is a bug"),
        };
        chunk.texts.clone().map(next).collect()
    }
}

/// Vectors without dropout; a text without tokens has no terms.
fn encode(engine: &dyn Engine, texts: &[Vec<u32>]) -> Vec<Terms> {
    let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).filter(|ids| !ids.is_empty()).collect();
    let vectors = if ids.is_empty() { Vec::new() } else { engine.encode(&ids) };
    let mut vectors = vectors.into_iter();
    let next = |ids: &Vec<u32>| match ids.is_empty() {
        true => Terms::default(),
        false => vectors.next().expect("a vector a text: this is a bug"),
    };
    texts.iter().map(next).collect()
}

fn split(mut vectors: Vec<Terms>, batch: &TokenBatch) -> BatchTerms {
    let negatives = vectors.split_off(batch.queries.len() + batch.positives.len());
    let positives = vectors.split_off(batch.queries.len());
    BatchTerms { queries: vectors, positives, negatives }
}

/// Cuts texts into chunks of at most so many tokens, or one text.
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
