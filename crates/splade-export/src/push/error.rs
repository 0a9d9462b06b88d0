//! The error type of a push.

use std::borrow::Cow;

use splade_io::{FileError, Problem};

/// An error of a push. Messages never contain a key.
///
/// ```
/// use splade_export::push::{Client, ClientOptions, PushError};
///
/// let error = Client::new("ftp://localhost", ClientOptions::default()).expect_err("no HTTP");
/// assert!(matches!(error, PushError::Options(_)), "{error}");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The address of the server or an option of the client is invalid.
    #[error("{0}")]
    Options(Problem),
    /// The server gave no answer in any try.
    #[error("{0}")]
    Unreachable(
        /// The error of the last try, which names the server.
        Problem,
    ),
    /// The server refused a request.
    #[error("{what}: the server answered {status}: {answer}")]
    Refused {
        /// The method and the path of the request.
        what: String,
        /// The HTTP status of the answer.
        status: u16,
        /// The first 500 characters of the answer.
        answer: String,
    },
    /// The index exists already, and adding to it was not allowed.
    #[error("the index {index} is there already")]
    IndexExists {
        /// The name of the index or collection.
        index: String,
        /// The options that allow adding to it.
        append: &'static str,
    },
    /// The index to which an earlier push sent documents no longer exists.
    #[error("the index {index} no longer exists, and {documents} pushed documents are lost")]
    IndexGone {
        /// The name of the index or collection.
        index: String,
        /// The number of documents that the push had sent.
        documents: u64,
    },
    /// The server rejects every document of the first batch.
    #[error("the server refuses every document, the first with {status}: {reason}")]
    AllRefused {
        /// The status of the first document, with the meaning of an HTTP status.
        status: u16,
        /// The reason for the first document from the server's answer.
        reason: String,
    },
    /// The observer asked to stop.
    #[error("stopped")]
    Stopped,
    /// A document cannot be converted to the form of the search engine, or a file cannot be read or
    /// written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The remedy for [`PushError::Unreachable`].
const RESUME: &str = "continue with --resume when the server is reachable";

impl PushError {
    /// Returns what to do about the error, if something is known.
    pub fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Options(problem) => problem.hint().map(Cow::from),
            Self::Unreachable(problem) => Some(match problem.hint() {
                Some(remedy) => format!("{remedy}; then {RESUME}").into(),
                None => RESUME.into(),
            }),
            Self::Refused { status, .. } => hint_at(*status).map(Cow::from),
            Self::IndexExists { append, .. } => Some(
                format!("add documents to it with {append}, or name another with --index").into(),
            ),
            Self::IndexGone { .. } => Some("start again with another folder".into()),
            Self::File(error) => error.hint().map(Cow::from),
            _ => None,
        }
    }
}

/// Returns the remedy for a status.
fn hint_at(status: u16) -> Option<&'static str> {
    match status {
        401 | 403 => Some("check the key (LIGHT_SPLADE_API_KEY) and its permissions"),
        429 | 500.. => Some("continue with --resume when the server has recovered"),
        _ => None,
    }
}
