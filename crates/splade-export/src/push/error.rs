//! What can go wrong on the way to a server.

use splade_io::FileError;

/// An error of a push. Messages say what to do, and never hold a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The address or a setting of the client is wrong.
    #[error("{0}")]
    Options(String),
    /// No answer came, however often it was tried.
    #[error("cannot reach {url}: {message}; {RESUME}")]
    Unreachable {
        /// The server's address without the path.
        url: String,
        /// Why.
        message: String,
    },
    /// The server refused a request.
    #[error("{what}: the server answered {status}: {answer}{}", behind(hint_at(*status)))]
    Refused {
        /// Method and path.
        what: String,
        /// The status of HTTP.
        status: u16,
        /// The beginning of the server's answer.
        answer: String,
    },
    /// The index is there already, and may not be added to.
    #[error(
        "the index {index} is there already; put documents into it with {append}, or name another \
         with --index"
    )]
    IndexExists {
        /// The index or collection.
        index: String,
        /// The option that allows it.
        append: &'static str,
    },
    /// The index into which an earlier push put documents does not exist any more.
    #[error(
        "the index {index} is gone, with {documents} documents; begin anew from another folder"
    )]
    IndexGone {
        /// The index or collection.
        index: String,
        /// The documents that it had.
        documents: u64,
    },
    /// The server refuses each document of the first batch.
    #[error("the server refuses every document, the first with {status}: {reason}")]
    AllRefused {
        /// The status of the first document, as of HTTP.
        status: u16,
        /// What the server said about it.
        reason: String,
    },
    /// The observer asked to stop.
    #[error("stopped")]
    Stopped,
    /// A document cannot be sent, or a file not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What to do when a server cannot be reached.
const RESUME: &str = "go on with --resume when it is there";

impl PushError {
    /// Returns what a person can do about the error, where it is always the same.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some(RESUME),
            Self::Refused { status, .. } => hint_at(*status),
            Self::File(error) => error.hint(),
            _ => None,
        }
    }
}

fn hint_at(status: u16) -> Option<&'static str> {
    match status {
        401 | 403 => Some("check the key (LIGHT_SPLADE_API_KEY) and what it may do"),
        429 | 500.. => Some("go on with --resume when the server is well"),
        _ => None,
    }
}

fn behind(hint: Option<&str>) -> String {
    hint.map(|hint| format!("; {hint}")).unwrap_or_default()
}
