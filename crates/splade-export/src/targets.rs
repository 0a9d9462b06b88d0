//! The engines and formats that vectors are written for.

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
