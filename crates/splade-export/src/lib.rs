//! Exports of sparse vectors for search engines: documents to load, files that create the index,
//! and queries.
//!
//! ```
//! use splade_export::targets::{Elasticsearch, ElasticsearchField};
//! use splade_export::{TermNames, TextTarget};
//! use splade_sparse::{SparseVector, TermId};
//!
//! let field = ElasticsearchField::SparseVector;
//! let target = Elasticsearch::new(TermNames::ids(), "impacts".to_owned(), field);
//! let vector = SparseVector::from_pairs(vec![(TermId(7), 1.5)])?;
//! let mut lines = Vec::new();
//! target.document(0, "d1", &vector, &mut lines)?;
//! assert!(String::from_utf8(lines)?.contains("\"impacts\":{\"7\":1.5}"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The targets are in [`targets`]:
//!
//! | target | form of the documents | terms | weights |
//! |---|---|---|---|
//! | [`Lucene`] | JSON lines of Anserini's `JsonVectorCollection` | tokens | integers |
//! | [`Elasticsearch`] | bulk actions, `sparse_vector` or `rank_features` | tokens | 9 bits |
//! | [`OpenSearch`] | bulk actions, one of the same types | tokens or ids | 9 or 8 bits |
//! | [`Qdrant`], [`Milvus`] | JSON bodies of their HTTP interfaces | ids | exact |
//! | [`Vespa`] | JSON lines of its feed | ids | exact, integers for candidates |
//! | [`Pgvector`] | text for `COPY` | ids plus 1 | exact |
//! | [`Seismic`] | JSON lines | tokens | exact |
//! | [`Ciff`] | one inverted file | tokens | integers |
//! | [`Csr`] | scipy's `.npz`, or safetensors | ids | exact |
//! | Parquet | the form of [`files`](splade_sparse::files) | ids | exact |
//!
//! A target defines the form of documents and queries. [`Target`] writes them to files, and a
//! [`ShardedWriter`](splade_sparse::files::ShardedWriter) numbers the files and can resume. If a
//! target cannot hold a document, the error names the document. `docs/howto/export.md` shows every
//! form.
//!
//! [`Lucene`]: targets::Lucene
//! [`Elasticsearch`]: targets::Elasticsearch
//! [`OpenSearch`]: targets::OpenSearch
//! [`Qdrant`]: targets::Qdrant
//! [`Milvus`]: targets::Milvus
//! [`Vespa`]: targets::Vespa
//! [`Pgvector`]: targets::Pgvector
//! [`Seismic`]: targets::Seismic
//! [`Ciff`]: targets::Ciff
//! [`Csr`]: targets::Csr

mod json;
mod quantize;
mod text;
mod tokens;

mod bulk;
mod ciff;
mod csr;
mod elasticsearch;
mod lucene;
mod milvus;
mod opensearch;
mod pgvector;
mod qdrant;
mod seismic;
mod vespa;

mod target;
pub mod targets;

#[cfg(feature = "push")]
pub mod push;

pub use quantize::{Effect, Quantisation, Sample};
pub use target::Target;
pub use text::{Frame, TextTarget};
pub use tokens::TermNames;
