//! Sparse vectors as flat arrays.

use light_splade::{SparseVector, TermId};
use wasm_bindgen::prelude::*;

use crate::error::failure;

/// The vectors of some texts, one after another.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Vectors {
    ends: Vec<u32>,
    terms: Vec<u32>,
    weights: Vec<f32>,
}

#[wasm_bindgen]
impl Vectors {
    /// The end of each vector in the other two arrays.
    pub fn ends(&self) -> Vec<u32> {
        self.ends.clone()
    }

    /// The terms of all vectors, those of each in ascending order.
    pub fn terms(&self) -> Vec<u32> {
        self.terms.clone()
    }

    /// The weights of all vectors, in the order of the terms.
    pub fn weights(&self) -> Vec<f32> {
        self.weights.clone()
    }
}

impl Vectors {
    pub(crate) fn of(vectors: &[SparseVector]) -> Self {
        let mut this = Self { ends: Vec::new(), terms: Vec::new(), weights: Vec::new() };
        for vector in vectors {
            this.terms.extend(vector.terms().iter().map(|term| term.0));
            this.weights.extend_from_slice(vector.weights());
            this.ends.push(this.terms.len() as u32);
        }
        this
    }
}

/// Makes a vector of terms and weights of JavaScript, in any order.
pub(crate) fn vector(terms: &[u32], weights: &[f32]) -> Result<SparseVector, JsValue> {
    let pairs = terms.iter().map(|term| TermId(*term)).zip(weights.iter().copied()).collect();
    SparseVector::from_pairs(pairs).map_err(failure)
}
