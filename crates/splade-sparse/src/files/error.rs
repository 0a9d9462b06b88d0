//! What can go wrong with files of vectors.

use std::path::{Path, PathBuf};

/// An error of a file of vectors. Messages name the place and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A file cannot be read, written, opened or renamed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// `read`, `write` and the like.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of a text file is not what is expected there.
    #[error("{}, line {line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// A Parquet file cannot be read or written.
    #[cfg(feature = "files")]
    #[error("{}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// A document cannot be written in the form that is wanted.
    #[error("document {id:?}: {message}")]
    Document {
        /// Its id.
        id: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A file is not of the form that is expected.
    #[error("{}: {message}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },
}

impl FileError {
    /// Wraps an I/O error.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }

    /// A document that cannot be written.
    pub fn document(id: &str, message: impl Into<String>) -> Self {
        Self::Document { id: id.to_owned(), message: message.into() }
    }

    /// A file of a wrong form.
    pub fn form(path: &Path, message: impl Into<String>) -> Self {
        Self::Form { path: path.to_path_buf(), message: message.into() }
    }
}
