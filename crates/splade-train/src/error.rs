//! What can go wrong before and while training.

use std::path::{Path, PathBuf};

use hydra_compose::ComposeError;
use splade_data::DataError;
use splade_eval::EvalError;
use splade_index::IndexError;
use splade_logs::LogError;
use splade_model::ModelError;

/// Errors of this crate; every text says what, where and, after `hint:`, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting of the config, named by its path (`training.optim`), or a file of the config.
    #[error("{at}: {message}")]
    Config {
        /// The field (`training.optim`) or the file and line.
        at: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Training data that does not hold together.
    #[error("{0}")]
    Data(String),
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A checkpoint that cannot be continued.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A saved state that does not fit the run that is to continue from it.
    #[error("the saved state does not fit: {0}")]
    State(String),
    /// The composition of the config.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The training data.
    #[error(transparent)]
    Training(#[from] DataError),
    /// A file that cannot be read, written or completed.
    #[error(transparent)]
    File(#[from] splade_io::FileError),
    /// The logs of the run.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The judgements and rankings of an evaluation.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The index of an evaluation.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Whoever looked on asked for an end.
    #[error("stopped before the end")]
    Stopped,
    /// A run that cannot begin or go on, with what to do about it.
    #[error("{0}")]
    Run(String),
}

impl TrainError {
    /// The error of a file or folder.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }
}
