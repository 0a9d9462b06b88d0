//! The error type for files and folders.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use crate::problem::Problem;

/// An error of a file or folder. The message names the file or folder.
///
/// ```
/// use std::path::Path;
///
/// use splade_io::FileError;
///
/// let path = Path::new("/no/such/file");
/// let error = std::fs::read(path).map_err(FileError::io("read", path)).expect_err("no file");
/// assert_eq!(error.to_string(), "cannot read /no/such/file");
/// let error = FileError::form(path, "it has no header");
/// assert_eq!(error.to_string(), "/no/such/file: it has no header");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system failed to read, write, open or rename a file.
    Io {
        /// The failed operation, such as `read` or `write`.
        doing: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A line of a text file does not have the expected form.
    Line {
        /// The path of the file.
        path: PathBuf,
        /// The line number, counted from 1.
        line: u64,
        /// What is wrong with the line, and what to do.
        problem: Problem,
    },
    /// A library failed to read or write a file in its format, such as Parquet.
    Format {
        /// The path of the file.
        path: PathBuf,
        /// The error of the library.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A document cannot be written in the requested format.
    Document {
        /// The id of the document.
        id: String,
        /// What is wrong, and what to do.
        problem: Problem,
    },
    /// A file does not have the expected form.
    Form {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: Problem,
    },
    /// Another process is writing the output.
    Locked {
        /// The path of the output.
        path: PathBuf,
        /// The process id and the command of the other process, if they are known.
        holder: Option<String>,
    },
    /// The name of a lock file belongs to a file with other content.
    NotALock {
        /// The path of the file.
        path: PathBuf,
    },
    /// A folder contains files, but not the marker file of its kind.
    NotOurs {
        /// The path of the folder.
        path: PathBuf,
        /// The name of the missing marker file.
        marker: String,
    },
}

impl FileError {
    /// Wraps an I/O error; `doing` is the failed operation.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }

    /// Wraps the error of a library that reads or writes a file format.
    pub fn format<E: Error + Send + Sync + 'static>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Format { path, source: Box::new(source) }
    }

    /// Creates the error for a document that cannot be written.
    pub fn document(id: &str, problem: impl Into<Problem>) -> Self {
        Self::Document { id: id.to_owned(), problem: problem.into() }
    }

    /// Creates the error for a file that does not have the expected form.
    pub fn form(path: &Path, problem: impl Into<Problem>) -> Self {
        Self::Form { path: path.to_path_buf(), problem: problem.into() }
    }

    /// Creates the error for a line of a text file that is not UTF-8.
    pub fn not_utf8(path: &Path, line: u64, error: &FromUtf8Error) -> Self {
        let at = error.utf8_error().valid_up_to() + 1;
        let problem = Problem::new(format!("byte {at} of the line is not UTF-8"))
            .with_remedy("convert the file to UTF-8");
        Self::Line { path: path.to_path_buf(), line, problem }
    }

    /// Returns what a person can do about the error, if something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Line { problem, .. }
            | Self::Document { problem, .. }
            | Self::Form { problem, .. } => problem.hint(),
            Self::Locked { .. } => Some("wait until it has ended, or stop it"),
            Self::NotOurs { .. } => Some("name another folder, or empty this one yourself"),
            Self::NotALock { .. } => Some("give this file another name, or name another output"),
            _ => None,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
            Self::Line { path, line, problem } => {
                write!(f, "{}, line {line}: {problem}", path.display())
            }
            Self::Format { path, .. } => write!(f, "{}", path.display()),
            Self::Document { id, problem } => write!(f, "document {id:?}: {problem}"),
            Self::Form { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::Locked { path, holder } => {
                write!(f, "{}: another process is writing to it", path.display())?;
                holder.as_ref().map_or(Ok(()), |holder| write!(f, " ({holder})"))
            }
            Self::NotALock { path } => {
                write!(f, "{} is not a lock file, but has the name of one", path.display())
            }
            Self::NotOurs { path, marker } => {
                write!(f, "{}: the folder is not empty and has no {marker}", path.display())
            }
        }
    }
}
