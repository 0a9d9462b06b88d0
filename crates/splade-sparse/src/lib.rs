//! Sparse vectors over a model's vocabulary, and the files in which they are stored.
//!
//! ```
//! use splade_sparse::{SparseVector, TermId};
//!
//! let query = SparseVector::from_pairs(vec![(TermId(7), 1.0), (TermId(3), 0.5)])?;
//! let document = SparseVector::from_pairs(vec![(TermId(7), 2.0), (TermId(9), 4.0)])?;
//! assert_eq!(query.terms(), [TermId(3), TermId(7)]);
//! assert_eq!(query.dot(&document), 2.0);
//! # Ok::<(), splade_sparse::VectorError>(())
//! ```

mod vector;

pub mod files;

pub use vector::{SparseVector, TermId, VectorError};
