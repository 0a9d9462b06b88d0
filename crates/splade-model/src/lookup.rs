//! A tower that is looked up: an inference-free query encoder.
//!
//! The vector of a query is the weight of each token that occurs in it, once however often it
//! occurs, without special tokens. The table is sentence-transformers' `SparseStaticEmbedding`
//! (the tensor `weight`) or OpenSearch's `idf.json` (token to weight).

use std::path::Path;

use splade_nn::PooledTerm;
use splade_text::{ModelFiles, Tokenizer};

use crate::config::read_if_any;
use crate::error::ModelError;
use crate::folder::Table;
use crate::weights::Weights;

/// The weight of every token, by its id.
#[derive(Debug)]
pub(crate) struct Lookup {
    weights: Vec<f32>,
}

impl Table {
    /// The weight of every token of a tokenizer, by its id; none is negative.
    ///
    /// # Errors
    /// If the file cannot be read, or does not fit the tokenizer.
    pub fn read(&self, tokenizer: &Tokenizer) -> Result<Vec<f32>, ModelError> {
        let (Self::Tensor(path) | Self::Json(path)) = self;
        self.read_from(&ModelFiles::folder(path), tokenizer)
    }

    /// As [`read`](Self::read), out of a model's files.
    fn read_from(&self, files: &ModelFiles, tokenizer: &Tokenizer) -> Result<Vec<f32>, ModelError> {
        let (path, weights) = match self {
            Self::Tensor(dir) => (dir, tensor(&files.within(dir))?),
            Self::Json(path) => (path, json(files, path, tokenizer)?),
        };
        let invalid = |message| ModelError::Weights { path: path.clone(), message };
        if weights.len() < tokenizer.len() {
            let (tokens, weights) = (tokenizer.len(), weights.len());
            return Err(invalid(format!("{weights} weights for a tokenizer of {tokens} tokens")));
        }
        if let Some(at) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0))
        {
            return Err(invalid(format!(
                "the weight of token {at} is {}; weights are finite and not negative",
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

    /// The weight of every token, by its id.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    pub(crate) fn vocab(&self) -> usize {
        self.weights.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weights.len() * size_of::<f32>()
    }

    /// The terms of every text, ascending, each at the first token that is it.
    pub(crate) fn run(&self, texts: &[Vec<u32>]) -> Vec<Vec<PooledTerm>> {
        texts.iter().map(|ids| self.terms(ids)).collect()
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
        // Stable: of equal terms the first in the text comes first, and stays.
        terms.sort_by_key(|term| term.term);
        terms.dedup_by_key(|term| term.term);
        terms
    }
}

/// The tensor `weight` of a SparseStaticEmbedding.
fn tensor(files: &ModelFiles) -> Result<Vec<f32>, ModelError> {
    let weights = Weights::from_files(files)?;
    let missing =
        |message: String| ModelError::Weights { path: weights.path().to_path_buf(), message };
    match weights.shape("weight") {
        None => Err(missing("there is no tensor \"weight\"".to_owned())),
        Some([_]) => weights.read_f32("weight"),
        Some(shape) => Err(missing(format!("\"weight\" has shape {shape:?}; (vocab) is expected"))),
    }
}

/// A JSON object from token to weight; tokens that it does not name weigh nothing.
fn json(files: &ModelFiles, path: &Path, tokenizer: &Tokenizer) -> Result<Vec<f32>, ModelError> {
    let invalid = |message: String| ModelError::Config { path: path.to_path_buf(), message };
    let table =
        read_if_any(files, path)?.ok_or_else(|| invalid("there is no such file".to_owned()))?;
    let table = table
        .as_object()
        .ok_or_else(|| invalid("an object from token to weight is expected".to_owned()))?;
    let mut weights = vec![0.0; tokenizer.len()];
    for (token, weight) in table {
        let id = tokenizer
            .id(token)
            .ok_or_else(|| invalid(format!("{token:?} is no token of the vocabulary")))?;
        weights[id as usize] = weight
            .as_f64()
            .ok_or_else(|| invalid(format!("the weight of {token:?} is {weight}, not a number")))?
            as f32;
    }
    Ok(weights)
}
