//! The error type of this crate.

use std::path::PathBuf;

use crate::foreign::Foreign;

/// An error of loading a tokenizer, packing a dictionary or tokenizing a text.
///
/// ```
/// use splade_text::{ModelFiles, TextError, Tokenizer, TokenizerOptions};
///
/// let files = ModelFiles::memory("tiny", [("tokenizer.json", &b"{}"[..])]);
/// let error = Tokenizer::from_files(&files, &TokenizerOptions::default()).expect_err("no tokenizer");
/// assert!(matches!(error, TextError::Invalid { .. }), "{error:?}");
/// assert!(error.to_string().starts_with("tiny/tokenizer.json: "));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file is not valid JSON.
    #[error("{} is not valid JSON", path.display())]
    Json {
        /// The path of the file.
        path: PathBuf,
        /// The position and the cause of the error.
        source: serde_json::Error,
    },
    /// A folder has no tokenizer that can be read. The message says what is expected.
    #[error("{}: {message}", path.display())]
    NoTokenizer {
        /// The path of the folder.
        path: PathBuf,
        /// The files that were found, and how to make a tokenizer of them.
        message: String,
    },
    /// A tokenizer needs a feature that is not implemented.
    #[error("{}: \"{key}\" is {value}, which is not implemented; implemented: {known}", path.display())]
    Unsupported {
        /// The path of the file.
        path: PathBuf,
        /// The key of the setting.
        key: String,
        /// The value of the setting as JSON.
        value: String,
        /// The values that are implemented.
        known: String,
    },
    /// A file has a key that is not known, so that it is not known either whether token ids depend
    /// on it.
    #[error(
        "{}: the key \"{key}\" ({value}) is not known, so the tokens could be wrong",
        path.display()
    )]
    UnknownKey {
        /// The path of the file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value of the key as JSON.
        value: String,
    },
    /// A tokenizer file is damaged, or its parts do not match.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The path of the file.
        path: PathBuf,
        /// The description of the damage.
        message: String,
    },
    /// A packed dictionary is damaged, or the bytes are not a packed dictionary.
    #[error("the packed dictionary cannot be read: {0}")]
    Dictionary(String),
    /// A text cannot be tokenized.
    #[error("cannot tokenize the text: {0}")]
    Encode(String),
    /// A tokenizer has no vocabulary of words and their pieces.
    #[error(
        "the tokenizer is of the kind {kind}, not of WordPiece, whose tokens are words and their pieces"
    )]
    NoWords {
        /// The description of the tokenizer.
        kind: String,
    },
    /// No words can be added to a vocabulary.
    #[error("the vocabulary of {} cannot be extended: {reason}", path.display())]
    NotExtensible {
        /// The path of the folder.
        path: PathBuf,
        /// What stands against it.
        reason: String,
    },
    /// A vocabulary of the requested size has no room for the characters of the texts.
    #[error(
        "special tokens and {characters} characters, alone and inside words, make {tokens} tokens, \
         more than the size {size}"
    )]
    VocabularySize {
        /// The number of characters of the alphabet.
        characters: usize,
        /// The number of tokens that they need.
        tokens: usize,
        /// The requested size.
        size: usize,
    },
}

impl TextError {
    /// Returns what to do about the error, if something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::VocabularySize { .. } => Some("choose a larger size or a smaller alphabet"),
            Self::UnknownKey { .. } => Some("delete the key if no token depends on it"),
            Self::Io { source, .. } => Self::hint_of(source),
            _ => None,
        }
    }

    /// Returns what to do about an error of reading a file of a model, if something is known: the
    /// file may be another than expected.
    pub fn hint_of(error: &std::io::Error) -> Option<&'static str> {
        error.get_ref()?.downcast_ref::<Foreign>().map(|foreign| foreign.remedy)
    }
}
