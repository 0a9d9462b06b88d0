//! Sparse retrieval without a model: build, update, search, explain; BM25.

mod bm25;
mod error;

mod index;

pub use bm25::{Bm25, Bm25Options, token_counts};
pub use error::IndexError;
pub use index::{
    Filter, Hit, Index, IndexInfo, IndexOptions, IndexWriter, SearchMode, SearchOptions, Share,
    Verified, WeightFormat, WriterOptions, verify,
};
