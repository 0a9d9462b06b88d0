//! An index that is served: its folder, and its last commit as searches see it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::searcher::Searcher;

/// The folder of an index, and its last commit.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    folder: PathBuf,
    searcher: RwLock<Arc<Searcher>>,
}

impl Target {
    pub(crate) fn new(name: String, folder: PathBuf, searcher: Arc<Searcher>) -> Self {
        Self { name, folder, searcher: RwLock::new(searcher) }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The last commit. It stays as it is while it is searched.
    pub(crate) fn searcher(&self) -> Arc<Searcher> {
        Arc::clone(&self.searcher.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has later searches see another commit.
    pub(crate) fn show(&self, searcher: Arc<Searcher>) {
        *self.searcher.write().unwrap_or_else(PoisonError::into_inner) = searcher;
    }
}
