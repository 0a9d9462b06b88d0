//! Vectors that clients send.

use std::collections::BTreeMap;

use serde::Deserialize;
use splade_model::Side;
use splade_sparse::{SparseVector, TermId};
use utoipa::ToSchema;

use crate::serve::body::Object;
use crate::serve::error::ApiError;
use crate::serve::model::Model;

/// A vector of a client: ids of terms with their weights, or tokens with their weights.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum VectorInput {
    /// Ids in any order, and as many weights.
    Indices(Object<IndicesInput>),
    /// Tokens of the model's vocabulary.
    #[schema(value_type = Object)]
    Tokens(BTreeMap<String, f32>),
}

/// Ids of terms, and as many weights.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct IndicesInput {
    indices: Vec<u32>,
    /// Above zero.
    values: Vec<f32>,
}

impl VectorInput {
    pub(crate) fn vector(self, model: &Model) -> Result<SparseVector, ApiError> {
        let pairs: Vec<(TermId, f32)> = match self {
            Self::Indices(Object(IndicesInput { indices, values })) => {
                if indices.len() != values.len() {
                    return Err(ApiError::validation(format!(
                        "a vector has {} indices but {} values",
                        indices.len(),
                        values.len()
                    )));
                }
                let vocab = model.encoder.vocab();
                if let Some(term) = indices.iter().find(|term| **term as usize >= vocab) {
                    return Err(ApiError::validation(format!(
                        "a vector has the term {term}, but the vocabulary has {vocab} terms"
                    )));
                }
                indices.into_iter().map(TermId).zip(values).collect()
            }
            Self::Tokens(tokens) => {
                let tokenizer = model.tower(Side::Document).tokenizer();
                let pair = |(token, weight): (String, f32)| match tokenizer.id(&token) {
                    Some(id) => Ok((TermId(id), weight)),
                    None => Err(ApiError::validation(format!("the model has no token {token:?}"))),
                };
                tokens.into_iter().map(pair).collect::<Result<_, _>>()?
            }
        };
        SparseVector::from_pairs(pairs).map_err(|error| ApiError::validation(error.to_string()))
    }
}
