//! What can go wrong with a file.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// An error of a file or folder; the message names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused to read, write, open or rename a file.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried: `read`, `write` and the like.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        source: io::Error,
    },
    /// A line of a text file is not what is expected there.
    #[error("{}, line {line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// A library could not read or write a file of its format, Parquet for example.
    #[error("{}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the library says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A document cannot be written in the form that was asked for.
    #[error("document {id:?}: {message}")]
    Document {
        /// The id of the document.
        id: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A file does not have the form that is expected.
    #[error("{}: {message}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },
}

impl FileError {
    /// Wraps an error of the system; `doing` is what was tried.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }

    /// Wraps the error of a library that reads or writes a format.
    pub fn format<E: Error + Send + Sync + 'static>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Format { path, source: Box::new(source) }
    }

    /// Makes the error of a document that cannot be written.
    pub fn document(id: &str, message: impl Into<String>) -> Self {
        Self::Document { id: id.to_owned(), message: message.into() }
    }

    /// Makes the error of a file that has another form.
    pub fn form(path: &Path, message: impl Into<String>) -> Self {
        Self::Form { path: path.to_path_buf(), message: message.into() }
    }
}
