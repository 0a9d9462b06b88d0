//! What can go wrong when a config is composed.

use std::path::PathBuf;

/// An error of composing; the message says what, where and, after `hint:`, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// A file of the config, an override or a value is wrong.
    #[error("{at}: {message}")]
    Config {
        /// The value (`training.optim`), the override, or the file and line.
        at: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        source: std::io::Error,
    },
}
