//! Sparse retrieval without a model: build, update, search, explain; qrels, runs, metrics,
//! significance; BM25.
//!
//! [`eval`] judges rankings with the numbers of trec_eval, and tells whether two differ by chance.

mod bm25;
mod error;

pub mod eval;
mod index;

pub use bm25::{Bm25, Bm25Options, token_counts};
pub use error::IndexError;
pub use index::{
    Filter, Hit, Index, IndexInfo, IndexOptions, IndexWriter, SearchMode, SearchOptions, Share,
    Verified, WeightFormat, WriterOptions, verify,
};
