//! What can go wrong with training data.

use std::io;
use std::path::{Path, PathBuf};

use splade_eval::EvalError;
use splade_sparse::files::FileError;

/// An error of training data; the message says what, where and, after `hint:`, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A setting of the config does not fit the data.
    #[error("{at}: {message}")]
    Config {
        /// The setting (`data.train_triplets`).
        at: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The data does not hold together.
    #[error("{0}")]
    Data(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        source: io::Error,
    },
    /// A file of lines or of vectors cannot be read or completed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Judgements, or a data set in BEIR's layout, cannot be read.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The caller asked the work to stop.
    #[error("stopped before the end")]
    Stopped,
}

impl DataError {
    /// Wraps the error of a file or folder.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }
}
