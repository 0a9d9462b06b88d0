//! Vectors in the forms that search engines load: documents, what creates the index, and queries.
//!
//! | target | documents | terms | weights |
//! |---|---|---|---|
//! | [`Lucene`] | JSON lines of Anserini's `JsonVectorCollection` | tokens | integers |
//! | [`Elasticsearch`] | bulk actions, `sparse_vector` or `rank_features` | tokens | 9 bits |
//! | [`OpenSearch`] | bulk actions, `rank_features` or `sparse_vector` | tokens or ids | 9 or 8 bits |
//! | [`Qdrant`], [`Milvus`] | JSON bodies of their HTTP interfaces | ids | exact |
//! | [`Vespa`] | JSON lines of its feed | ids | exact, integers for candidates |
//! | [`Pgvector`] | COPY | places from 1 | exact |
//! | [`Seismic`] | JSON lines | tokens | exact |
//! | [`Ciff`] | one inverted file | tokens | integers |
//! | [`Csr`] | scipy's `.npz`, or safetensors | ids | exact |
//! | Parquet | as [`files`](splade_sparse::files) writes it | ids | exact |
//!
//! A target says how a document and a query look; [`Target`] makes files of them, and a
//! [`ShardedWriter`](splade_sparse::files::ShardedWriter) numbers these and resumes. What a target cannot
//! hold is an error that names the document. `docs/howto/export.md` shows every form.

mod bulk;
mod ciff;
mod csr;
mod elasticsearch;
mod json;
mod lucene;
mod milvus;
mod opensearch;
mod pgvector;
mod qdrant;
mod quantize;
mod seismic;
mod target;
mod text;
mod tokens;
mod vespa;

#[cfg(feature = "push")]
pub mod push;

pub use ciff::Ciff;
pub use csr::{Csr, CsrForm};
pub use elasticsearch::{Elasticsearch, ElasticsearchField};
pub use lucene::Lucene;
pub use milvus::Milvus;
pub use opensearch::{OpenSearch, OpenSearchField};
pub use pgvector::Pgvector;
pub use qdrant::Qdrant;
pub use quantize::{Effect, Quantisation, Sample};
pub use seismic::Seismic;
pub use target::Target;
pub use text::{Frame, TextTarget};
pub use tokens::TermNames;
pub use vespa::Vespa;

/// The format of the manifest of exported documents.
const EXPORT: &str = "light-splade export";

/// Documents that a query template finds.
const HITS: usize = 10;
