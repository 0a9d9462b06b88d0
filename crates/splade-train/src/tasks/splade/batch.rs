//! Batches of token ids, and the tokenization that makes them.

use std::sync::Arc;

use splade_text::{TextError, Tokenizer};

use crate::error::TrainError;
use splade_data::{Sample, TrainingData};

use super::teacher::TeacherVectors;

/// The token ids of a batch of samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TokenBatch {
    /// The token ids of the queries, shape `(samples)`.
    pub(crate) queries: Vec<Vec<u32>>,
    /// The token ids of the positives, shape `(samples)`.
    pub(crate) positives: Vec<Vec<u32>>,
    /// The token ids of the negatives: the same number for each sample, and those of a sample are
    /// adjacent.
    pub(crate) negatives: Vec<Vec<u32>>,
    /// The teacher scores, shape (samples, 1 + negatives of a sample), with the positive's score
    /// first.
    pub(crate) teacher_scores: Option<Vec<f32>>,
    /// The similarities of the teacher's vectors of every query and all documents, positives
    /// first, shape (samples, documents).
    pub(crate) teacher_similarities: Option<Vec<f32>>,
}

impl TokenBatch {
    /// Returns all texts: queries, positives, negatives. The position of a text in this order is
    /// its ordinal.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &[u32]> {
        self.queries.iter().chain(&self.positives).chain(&self.negatives).map(Vec::as_slice)
    }

    /// Returns the number of tokens in all texts.
    pub(crate) fn tokens(&self) -> usize {
        self.texts().map(<[u32]>::len).sum()
    }
}

/// The settings that turn texts into token ids.
#[derive(Debug, Clone)]
pub(crate) struct Tokenization {
    /// The tokenizer of both towers.
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// Whether queries have no special tokens, as tables of weights need it.
    pub(crate) plain_queries: bool,
    /// The maximum number of tokens in a text; longer texts are truncated.
    pub(crate) max_length: usize,
    /// The maximum number of tokens that the model supports: the limit of queries with
    /// `compat.long_queries`.
    pub(crate) model_length: usize,
}

impl Tokenization {
    /// Returns the token ids of a query, truncated to `length`.
    ///
    /// # Errors
    /// Returns an error if the tokenizer cannot process the text.
    pub(crate) fn query(&self, text: &str, length: usize) -> Result<Vec<u32>, TrainError> {
        if !self.plain_queries {
            return self.ids(text, length);
        }
        let mut ids = self.tokenizer.encode_plain(text).map_err(|error| bad(text, error))?;
        ids.truncate(length);
        Ok(ids)
    }

    /// Returns the token ids of a document, truncated to `max_length`.
    ///
    /// # Errors
    /// Returns an error if the tokenizer cannot process the text.
    pub(crate) fn document(&self, text: &str) -> Result<Vec<u32>, TrainError> {
        self.ids(text, self.max_length)
    }

    /// Returns the batch of some samples, with what the vectors of a teacher say about them.
    ///
    /// # Errors
    /// Returns an error if a text is missing or cannot be tokenized, or if the teacher does not
    /// know it.
    pub(crate) fn batch(
        &self,
        data: &TrainingData,
        samples: &[Sample],
        teacher: Option<&dyn TeacherVectors>,
    ) -> Result<TokenBatch, TrainError> {
        let mut batch = TokenBatch::default();
        for sample in samples {
            let query = data.query_text(sample.query)?;
            batch.queries.push(self.query(&query, self.max_length)?);
            batch.positives.push(self.document(&data.doc_text(sample.positive)?)?);
            for negative in &sample.negatives {
                batch.negatives.push(self.document(&data.doc_text(*negative)?)?);
            }
            if let Some(scores) = &sample.teacher_scores {
                batch.teacher_scores.get_or_insert_default().extend(scores);
            }
        }
        batch.teacher_similarities =
            teacher.map(|teacher| similarities(teacher, data, samples)).transpose()?;
        Ok(batch)
    }

    fn ids(&self, text: &str, length: usize) -> Result<Vec<u32>, TrainError> {
        let encoding =
            self.tokenizer.encode(text, Some(length)).map_err(|error| bad(text, error))?;
        Ok(encoding.ids)
    }
}

/// Returns the similarities of all queries and documents of some samples.
fn similarities(
    teacher: &dyn TeacherVectors,
    data: &TrainingData,
    samples: &[Sample],
) -> Result<Vec<f32>, TrainError> {
    let positives = samples.iter().map(|sample| sample.positive);
    let negatives = samples.iter().flat_map(|sample| &sample.negatives).copied();
    let documents = positives.chain(negatives).map(|id| data.doc_text(id));
    let documents = documents.collect::<Result<Vec<_>, _>>()?;
    let queries = samples.iter().map(|sample| data.query_text(sample.query));
    let queries = queries.collect::<Result<Vec<_>, _>>()?;
    let documents: Vec<&str> = documents.iter().map(AsRef::as_ref).collect();
    let queries: Vec<&str> = queries.iter().map(AsRef::as_ref).collect();
    teacher.similarities(&queries, &documents).map_err(TrainError::Source)
}

fn bad(text: &str, source: TextError) -> TrainError {
    TrainError::Tokenize { start: text.chars().take(40).collect(), source }
}
