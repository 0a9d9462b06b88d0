//! The search engines and formats to which vectors can be exported.

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
