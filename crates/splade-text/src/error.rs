//! What can go wrong between a model folder and token ids.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A file could not be read or written.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not JSON.
    #[error("{} is not valid JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A folder has no tokenizer that can be read. The message says what would do.
    #[error("{}: {message}", path.display())]
    NoTokenizer {
        /// The folder.
        path: PathBuf,
        /// What was found, and how to make a tokenizer of it.
        message: String,
    },
    /// A tokenizer asks for something that is not implemented.
    #[error("{}: \"{key}\" is {value}, which is not implemented; implemented: {known}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value, as JSON.
        value: String,
        /// What would be understood.
        known: String,
    },
    /// A tokenizer file is damaged, or its parts do not fit.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Bytes are not a packed dictionary, or a damaged one.
    #[error("the packed dictionary cannot be read: {0}")]
    Dictionary(String),
    /// A text could not be tokenized.
    #[error("cannot tokenize the text: {0}")]
    Encode(String),
}
