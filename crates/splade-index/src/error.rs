//! The error type of this crate.

use std::path::{Path, PathBuf};

use splade_io::FileError;

/// The remedy for [`IndexError::Broken`].
const BROKEN: &str = "open the index again and repeat the changes since the last commit";

/// The remedy for [`IndexError::NoZstd`].
const NO_ZSTD: &str = "build light-splade with its feature tools";

/// The remedy for [`IndexError::NoTokenCounter`].
const NO_TOKEN_COUNTER: &str = "give the writer one with set_token_counter";

/// The remedy for [`IndexError::Unfinished`].
const UNFINISHED: &str = "wait for the program that builds it, or build it again";

/// An error in reading, searching or writing an index. A message names the file or folder;
/// [`hint`](Self::hint) is the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A file or folder could not be read, written or opened.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The failed action as a verb for the message, such as `read` or `write`.
        doing: &'static str,
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The folder contains no index.
    #[error("{}: there is no index in this folder (no index.json)", path.display())]
    Missing {
        /// The path of the folder.
        path: PathBuf,
    },
    /// The index was begun, but its writer was stopped or killed before the first commit.
    #[error("{}: the index is not finished", path.display())]
    Unfinished {
        /// The path of the folder.
        path: PathBuf,
    },
    /// A new index was to be created in a folder that already contains one.
    #[error(
        "{}: the folder already contains an index",
        path.display()
    )]
    Exists {
        /// The path of the folder.
        path: PathBuf,
    },
    /// A file of an index is damaged, or its version is not supported.
    #[error("{}: {message}", path.display())]
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// The damage that was found.
        message: String,
    },
    /// The index cannot hold a document, because its id is too long or a term is too large.
    #[error("{}: document {id:?} {message}", path.display())]
    Document {
        /// The path of the index's folder.
        path: PathBuf,
        /// The first 40 characters of the document's id.
        id: String,
        /// The limit that the document exceeds, as the rest of a sentence.
        message: String,
    },
    /// An earlier commit of this writer failed, so the writer accepts no more changes. The index on
    /// disk is in the state of its last successful commit.
    #[error(
        "{}: an earlier commit failed, so the index is in the state of its last commit",
        path.display()
    )]
    Broken {
        /// The path of the index's folder.
        path: PathBuf,
    },
    /// Stored documents cannot be packed or unpacked, because the program was built without zstd.
    #[error("{}: this program was built without zstd, which stored documents need", path.display())]
    NoZstd {
        /// The path of the file or of the index's folder.
        path: PathBuf,
    },
    /// An index with BM25 has to count the tokens of new documents, but its writer cannot.
    #[error("{}: the index has BM25, but its writer has no tokenizer", path.display())]
    NoTokenCounter {
        /// The path of the index's folder.
        path: PathBuf,
    },
    /// An index was to have BM25 without stored documents, of which its postings are made.
    #[error("{}: an index with BM25 has to store its documents", path.display())]
    NothingForBm25 {
        /// The path of the index's folder.
        path: PathBuf,
    },
    /// The tokens of a stored document could not be counted.
    #[error("{}: cannot count the tokens of document {id:?}", path.display())]
    Tokens {
        /// The path of the index's folder.
        path: PathBuf,
        /// The id of the document.
        id: String,
        /// The error of the tokenizer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The threads of a search could not be started.
    #[error("cannot start the threads of the search")]
    Threads {
        /// The error of the thread pool.
        source: rayon::ThreadPoolBuildError,
    },
    /// A file could not be written completely, or the folder of the index contains files of another
    /// program or is locked by another writer.
    #[error(transparent)]
    File(#[from] FileError),
}

impl IndexError {
    /// Returns a function that adds the action and the path to an I/O error.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }

    /// Makes a [`Damaged`](Self::Damaged) error for a file.
    pub(crate) fn damaged(path: &Path, message: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), message: message.into() }
    }

    /// Returns what to do about the error, if something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Exists { .. } => Some("add to the index, or name another folder"),
            Self::Broken { .. } => Some(BROKEN),
            Self::Unfinished { .. } => Some(UNFINISHED),
            Self::NoZstd { .. } => Some(NO_ZSTD),
            Self::NothingForBm25 { .. } => Some("store documents too, or leave out BM25"),
            Self::NoTokenCounter { .. } => Some(NO_TOKEN_COUNTER),
            Self::File(error) => error.hint(),
            _ => None,
        }
    }
}
