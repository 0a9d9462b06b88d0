//! What can go wrong with a file.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error of a file or folder; the message names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused to read, write, open or rename a file.
    Io {
        /// What was tried: `read`, `write` and the like.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        source: io::Error,
    },
    /// A line of a text file is not what is expected there.
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// A library could not read or write a file of its format, Parquet for example.
    Format {
        /// The file.
        path: PathBuf,
        /// What the library says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A document cannot be written in the form that was asked for.
    Document {
        /// The id of the document.
        id: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A file does not have the form that is expected.
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },
    /// Another process is writing an output.
    Locked {
        /// The file or folder.
        path: PathBuf,
        /// The process id and the command of the other process, where they are known.
        holder: Option<String>,
    },
    /// A folder has files, but not the one by which outputs of its kind are known.
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// The name of the missing file.
        marker: String,
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

    /// Returns what a person can do about the error, where it is always the same.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locked { .. } => Some("wait until it has ended, or stop it"),
            Self::NotOurs { .. } => Some("name another folder, or empty this one yourself"),
            _ => None,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
            Self::Line { path, line, message } => {
                write!(f, "{}, line {line}: {message}", path.display())
            }
            Self::Format { path, .. } => write!(f, "{}", path.display()),
            Self::Document { id, message } => write!(f, "document {id:?}: {message}"),
            Self::Form { path, message } => write!(f, "{}: {message}", path.display()),
            Self::Locked { path, holder } => {
                write!(f, "{}: another process is writing to it", path.display())?;
                holder.as_ref().map_or(Ok(()), |holder| write!(f, " ({holder})"))
            }
            Self::NotOurs { path, marker } => {
                write!(f, "{}: the folder is not empty and has no {marker}", path.display())
            }
        }?;
        self.hint().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}
