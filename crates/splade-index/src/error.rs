//! What can go wrong between files and results.

use std::path::{Path, PathBuf};

/// An error of this crate. Messages name the place and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A file or folder could not be read, written or opened.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// `read`, `write` and the like.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder or file is no index, or a damaged one, or cannot be written now.
    #[error("{}: {message}", path.display())]
    Index {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Threads could not be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
    /// A file could not be completed.
    #[error(transparent)]
    File(#[from] splade_sparse::files::FileError),
}

impl IndexError {
    /// Wraps an I/O error.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn damaged(path: &Path, message: impl Into<String>) -> Self {
        Self::Index { path: path.to_path_buf(), message: message.into() }
    }
}
