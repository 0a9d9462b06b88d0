//! Vectors in the forms that search engines load: documents, what creates the index, and queries.
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
//! | target | documents | terms | weights |
//! |---|---|---|---|
//! | [`Lucene`](targets::Lucene) | JSON lines of Anserini's `JsonVectorCollection` | tokens | integers |
//! | [`Elasticsearch`](targets::Elasticsearch) | bulk actions, `sparse_vector` or `rank_features` | tokens | 9 bits |
//! | [`OpenSearch`](targets::OpenSearch) | bulk actions, `rank_features` or `sparse_vector` | tokens or ids | 9 or 8 bits |
//! | [`Qdrant`](targets::Qdrant), [`Milvus`](targets::Milvus) | JSON bodies of their HTTP interfaces | ids | exact |
//! | [`Vespa`](targets::Vespa) | JSON lines of its feed | ids | exact, integers for candidates |
//! | [`Pgvector`](targets::Pgvector) | COPY | places from 1 | exact |
//! | [`Seismic`](targets::Seismic) | JSON lines | tokens | exact |
//! | [`Ciff`](targets::Ciff) | one inverted file | tokens | integers |
//! | [`Csr`](targets::Csr) | scipy's `.npz`, or safetensors | ids | exact |
//! | Parquet | as [`files`](splade_sparse::files) writes it | ids | exact |
//!
//! A target says how a document and a query look; [`Target`] makes files of them, and a
//! [`ShardedWriter`](splade_sparse::files::ShardedWriter) numbers these and resumes. What a target cannot
//! hold is an error that names the document. `docs/howto/export.md` shows every form.

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
