//! Batches of token ids, and how texts become them.

use std::sync::Arc;

use splade_text::{TextError, Tokenizer};

use crate::error::TrainError;
use splade_data::{Sample, TrainingData};

/// Token ids of a batch of samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TokenBatch {
    /// One a sample.
    pub(crate) queries: Vec<Vec<u32>>,
    /// One a sample.
    pub(crate) positives: Vec<Vec<u32>>,
    /// The same number for each sample, those of a sample together.
    pub(crate) negatives: Vec<Vec<u32>>,
    /// (samples, 1 + negatives of a sample), the positive's first.
    pub(crate) teacher_scores: Option<Vec<f32>>,
}

impl TokenBatch {
    /// All texts: queries, positives, negatives. A text's place here is its ordinal.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &[u32]> {
        self.queries.iter().chain(&self.positives).chain(&self.negatives).map(Vec::as_slice)
    }

    /// Tokens of all texts.
    pub(crate) fn tokens(&self) -> usize {
        self.texts().map(<[u32]>::len).sum()
    }
}

/// How texts become token ids.
#[derive(Debug, Clone)]
pub(crate) struct Tokenization {
    /// The tokenizer of both towers.
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// Queries have no special tokens, as tables of weights want them.
    pub(crate) plain_queries: bool,
    /// Texts are cut to so many tokens.
    pub(crate) max_length: usize,
    /// What the model can take: the limit of queries under `compat.long_queries`.
    pub(crate) model_length: usize,
}

impl Tokenization {
    /// The ids of a query, cut to `length`.
    ///
    /// # Errors
    /// If the tokenizer cannot take the text.
    pub(crate) fn query(&self, text: &str, length: usize) -> Result<Vec<u32>, TrainError> {
        if !self.plain_queries {
            return self.ids(text, length);
        }
        let mut ids = self.tokenizer.encode_plain(text).map_err(|error| bad(text, error))?;
        ids.truncate(length);
        Ok(ids)
    }

    /// The ids of a document, cut to `max_length`.
    ///
    /// # Errors
    /// If the tokenizer cannot take the text.
    pub(crate) fn document(&self, text: &str) -> Result<Vec<u32>, TrainError> {
        self.ids(text, self.max_length)
    }

    /// The batch of some samples.
    ///
    /// # Errors
    /// If a text is missing or cannot be tokenized.
    pub(crate) fn batch(
        &self,
        data: &TrainingData,
        samples: &[Sample],
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
        Ok(batch)
    }

    fn ids(&self, text: &str, length: usize) -> Result<Vec<u32>, TrainError> {
        let encoding =
            self.tokenizer.encode(text, Some(length)).map_err(|error| bad(text, error))?;
        Ok(encoding.ids)
    }
}

fn bad(text: &str, source: TextError) -> TrainError {
    TrainError::Tokenize { start: text.chars().take(40).collect(), source }
}
