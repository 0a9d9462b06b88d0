//! Sparse vectors over a model's vocabulary, and the files that hold them.

#[cfg(feature = "files")]
pub mod files;
mod vector;

pub use vector::{SparseVector, TermId, VectorError};
