//! What can go wrong with an index.

use std::path::{Path, PathBuf};

use splade_io::FileError;

/// What to do about [`IndexError::Broken`].
const BROKEN: &str = "open the index anew and put the documents again";

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
        /// Why the system refused.
        source: std::io::Error,
    },
    /// A folder has no index.
    #[error("{}: there is no index (no index.json)", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A new index was to be made in a folder that has one.
    #[error("{}: there is an index already; add to it, or name another folder", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file of an index is not what was written, or is of another version.
    #[error("{}: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// An index cannot hold a document.
    #[error("{}: document {id:?} {message}", path.display())]
    Document {
        /// The folder of the index.
        path: PathBuf,
        /// The beginning of the document's id.
        id: String,
        /// What is wrong with it.
        message: String,
    },
    /// A writer cannot go on after an error: the index is what its last commit made it.
    #[error("{}: the writer failed earlier, and the index is that of its last commit\nhint: {BROKEN}", path.display())]
    Broken {
        /// The folder of the index.
        path: PathBuf,
    },
    /// Threads could not be started.
    #[error("cannot start threads")]
    Threads {
        /// Why.
        source: rayon::ThreadPoolBuildError,
    },
    /// A file could not be completed, or the folder is not ours to write or is being written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl IndexError {
    /// Wraps an I/O error.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn damaged(path: &Path, message: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), message: message.into() }
    }

    /// Returns what a person can do about the error, where it is always the same.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Broken { .. } => Some(BROKEN),
            Self::File(error) => error.hint(),
            _ => None,
        }
    }
}
