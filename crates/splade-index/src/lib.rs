//! An inverted index of sparse vectors on disk: building, updating, searching, explaining scores.
//!
//! The crate needs no model: it stores and searches vectors that were made elsewhere. The module
//! [`bm25`] makes BM25 vectors for the same index. An index can also store some bytes of every
//! document, and keep postings of BM25 that follow its documents ([`IndexOptions`]).
//!
//! ```
//! use splade_index::{Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions};
//! use splade_sparse::{SparseVector, TermId};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("index");
//! let vector = |pairs: &[(u32, f32)]| {
//!     SparseVector::from_pairs(pairs.iter().map(|(t, w)| (TermId(*t), *w)).collect())
//! };
//! let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
//! writer.put("cats", &vector(&[(3, 1.5), (7, 0.5)])?)?;
//! writer.put("dogs", &vector(&[(7, 2.0)])?)?;
//! writer.commit()?;
//!
//! let index = Index::open(&path)?;
//! let hits = index.search(&vector(&[(7, 1.0)])?, &SearchOptions::default());
//! assert_eq!(hits[0].id, "dogs");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;

pub mod bm25;

mod index;

pub use error::IndexError;
pub use index::{
    Bm25Info, Bm25Search, Filter, Hit, Index, IndexInfo, IndexOptions, IndexParts, IndexWriter,
    Missing, SearchMode, SearchOptions, Share, StoredDocuments, TokenCounter, Verified,
    WeightFormat, WriterOptions, is_index, verify,
};
