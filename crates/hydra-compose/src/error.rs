//! The error of composing a config.

use std::path::PathBuf;

/// An error of composing a config. The message says what is wrong, where, and, after `hint:`, what
/// to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// A config file, an override or a value is wrong.
    #[error("{at}: {message}")]
    Config {
        /// The place of the error: a value (`training.optim`), an override, or a file with a line
        /// number.
        at: String,
        /// The description of the error and its remedy.
        message: String,
    },
    /// A config file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}
