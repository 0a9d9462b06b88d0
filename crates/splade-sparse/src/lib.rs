//! Sparse vectors over a model's vocabulary, and the files that hold them.

#[cfg(feature = "export")]
pub mod export;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "push")]
pub mod push;
mod vector;

pub use vector::{SparseVector, TermId, VectorError};
