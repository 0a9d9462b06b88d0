//! The search engines and formats to which vectors can be exported.
//!
//! ```
//! use splade_export::targets::{Elasticsearch, ElasticsearchField, Qdrant};
//! use splade_export::{TermNames, TextTarget};
//!
//! // What creates an index in each of two search engines.
//! let kind = ElasticsearchField::SparseVector;
//! let elasticsearch = Elasticsearch::new(TermNames::ids(), "splade".to_owned(), kind);
//! let qdrant = Qdrant::new("splade".to_owned(), 0);
//! for target in [&elasticsearch as &dyn TextTarget, &qdrant] {
//!     assert!(target.setup(&[]).iter().any(|(_, text)| text.contains("sparse_vector")));
//! }
//! ```

pub use crate::ciff::Ciff;
pub use crate::csr::{Csr, CsrForm};
pub use crate::elasticsearch::{Elasticsearch, ElasticsearchField};
pub use crate::lucene::Lucene;
pub use crate::milvus::Milvus;
pub use crate::opensearch::{OpenSearch, OpenSearchField};
pub use crate::pgvector::Pgvector;
pub use crate::qdrant::Qdrant;
pub use crate::seismic::Seismic;
pub use crate::vespa::Vespa;
