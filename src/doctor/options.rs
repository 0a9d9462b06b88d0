//! The settings of [`doctor`](crate::search_engines::doctor()).

use std::fmt;
use std::path::PathBuf;

/// A search engine that documents can be sent to.
///
/// ```
/// use light_splade::search_engines::{DoctorOptions, SearchEngineKind, doctor};
///
/// // Nothing listens there.
/// let options = DoctorOptions {
///     kind: Some(SearchEngineKind::Qdrant),
///     url: "http://127.0.0.1:9".into(),
///     ..DoctorOptions::default()
/// };
/// let report = doctor(&options, &mut (), |_| ())?;
/// assert!(!report.is_sound());
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchEngineKind {
    /// Elasticsearch, with a field of the type `sparse_vector`.
    Elasticsearch,
    /// OpenSearch, with a field of the type `rank_features`.
    OpenSearch,
    /// Qdrant, with a collection that has a sparse vector.
    Qdrant,
}

/// Settings of [`doctor`](crate::search_engines::doctor()).
///
/// ```
/// use light_splade::search_engines::{DoctorOptions, SearchEngineKind, doctor};
///
/// // Nothing listens there.
/// let options = DoctorOptions {
///     kind: Some(SearchEngineKind::Qdrant),
///     url: "http://127.0.0.1:9".into(),
///     ..DoctorOptions::default()
/// };
/// let report = doctor(&options, &mut (), |_| ())?;
/// assert!(!report.is_sound());
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct DoctorOptions {
    /// The address of the search engine: `http://localhost:9200`.
    pub url: String,
    /// What the search engine is, if it does not say so itself.
    pub kind: Option<SearchEngineKind>,
    /// An API key, or `Basic …` or `Bearer …` as it is. No message shows it.
    pub api_key: Option<String>,
    /// A file of certificates in PEM that may vouch for the search engine, in place of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// The vectors of documents to try it with, of which the first 1,000 are taken; invented ones if
    /// none are given.
    pub vectors: Vec<PathBuf>,
    /// The vectors of queries, of which the first 50 are taken.
    pub queries: Vec<PathBuf>,
    /// The model of the vectors, which has the tokens of their terms.
    pub model: Option<PathBuf>,
}

/// Without the key.
impl fmt::Debug for DoctorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoctorOptions")
            .field("url", &self.url)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
