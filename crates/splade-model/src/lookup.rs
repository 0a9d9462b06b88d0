//! The inference-free query encoder: a table with the weight of every token.
//!
//! The vector of a query holds the weight of each token that occurs in it, once no matter how often
//! the token occurs, without special tokens. The table is sentence-transformers'
//! `SparseStaticEmbedding` (the tensor `weight`) or OpenSearch's `idf.json` (token to weight).

use std::path::Path;

use splade_nn::PooledTerm;
use splade_text::{ModelFiles, Tokenizer};

use crate::config::read_if_any;
use crate::error::ModelError;
use crate::folder::Table;
use crate::weights::Weights;

/// A table with the weight of every token, by token id.
#[derive(Debug)]
pub(crate) struct Lookup {
    weights: Vec<f32>,
}

impl Table {
    /// Reads the weight of every token of a tokenizer, by token id. All weights are finite and at
    /// least zero.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or does not fit the tokenizer.
    pub fn read(&self, tokenizer: &Tokenizer) -> Result<Vec<f32>, ModelError> {
        let (Self::Tensor(path) | Self::Json(path)) = self;
        self.read_from(&ModelFiles::folder(path), tokenizer)
    }

    /// Reads the weights like [`read`](Self::read), from files in a folder or in memory.
    pub(crate) fn read_from(
        &self,
        files: &ModelFiles,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<f32>, ModelError> {
        let (path, weights) = match self {
            Self::Tensor(dir) => (dir, tensor(&files.within(dir))?),
            Self::Json(path) => (path, json(files, path, tokenizer)?),
        };
        let invalid =
            |message: String| ModelError::Weights { path: path.clone(), problem: message.into() };
        if weights.len() < tokenizer.len() {
            let (tokens, weights) = (tokenizer.len(), weights.len());
            return Err(invalid(format!(
                "the table has {weights} weights, but the tokenizer has {tokens} tokens"
            )));
        }
        if let Some(at) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0))
        {
            return Err(invalid(format!(
                "the weight of token {at} is {}; a weight must be finite and at least zero",
                weights[at]
            )));
        }
        Ok(weights)
    }
}

impl Lookup {
    pub(crate) fn load(
        files: &ModelFiles,
        table: &Table,
        tokenizer: &Tokenizer,
    ) -> Result<Self, ModelError> {
        Ok(Self { weights: table.read_from(files, tokenizer)? })
    }

    /// Returns the weight of every token, by token id.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    pub(crate) fn vocab(&self) -> usize {
        self.weights.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weights.len() * size_of::<f32>()
    }

    /// Returns the terms of every text by ascending id. The position of a term is that of its first
    /// token in the text.
    pub(crate) fn run<T: AsRef<[u32]>>(&self, texts: &[T]) -> Vec<Vec<PooledTerm>> {
        texts.iter().map(|ids| self.terms(ids.as_ref())).collect()
    }

    fn terms(&self, ids: &[u32]) -> Vec<PooledTerm> {
        let mut terms: Vec<PooledTerm> = ids
            .iter()
            .zip(0..)
            .map(|(id, position)| PooledTerm {
                term: *id,
                weight: self.weights[*id as usize],
                position,
            })
            .filter(|term| term.weight > 0.0)
            .collect();
        // The sort is stable, so of equal terms the first one in the text is kept.
        terms.sort_by_key(|term| term.term);
        terms.dedup_by_key(|term| term.term);
        terms
    }
}

/// Reads the tensor `weight` of a SparseStaticEmbedding.
fn tensor(files: &ModelFiles) -> Result<Vec<f32>, ModelError> {
    let weights = Weights::from_files(files)?;
    let missing = |message: String| ModelError::Weights {
        path: weights.path().to_path_buf(),
        problem: message.into(),
    };
    match weights.shape("weight") {
        None => Err(missing("there is no tensor \"weight\"".to_owned())),
        Some([_]) => weights.read_f32("weight"),
        Some(shape) => Err(missing(format!("\"weight\" has shape {shape:?}; (vocab) is expected"))),
    }
}

/// Reads a JSON object from token to weight. Tokens that it does not contain get the weight zero.
fn json(files: &ModelFiles, path: &Path, tokenizer: &Tokenizer) -> Result<Vec<f32>, ModelError> {
    let invalid =
        |message: String| ModelError::Config { path: path.to_path_buf(), problem: message.into() };
    let table =
        read_if_any(files, path)?.ok_or_else(|| invalid("there is no such file".to_owned()))?;
    let table = table
        .as_object()
        .ok_or_else(|| invalid("an object from token to weight is expected".to_owned()))?;
    let mut weights = vec![0.0; tokenizer.len()];
    for (token, weight) in table {
        let id = tokenizer
            .id(token)
            .ok_or_else(|| invalid(format!("{token:?} is not a token of the vocabulary")))?;
        weights[id as usize] = weight
            .as_f64()
            .ok_or_else(|| invalid(format!("the weight of {token:?} is {weight}, not a number")))?
            as f32;
    }
    Ok(weights)
}
