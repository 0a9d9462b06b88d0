//! Sparse vectors over a model's vocabulary, and the files that hold them.

mod vector;
pub mod files;

pub use vector::{SparseVector, TermId, VectorError};
