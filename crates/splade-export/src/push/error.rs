//! What can go wrong on the way to a server.

use splade_sparse::files::FileError;

/// An error of a push. Messages say what to do, and never hold a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The address or a setting of the client is wrong.
    #[error("{0}")]
    Options(String),
    /// No answer came, however often it was tried.
    #[error("cannot reach {url}: {message}; go on with --resume when it is there")]
    Unreachable {
        /// Without the path.
        url: String,
        /// Why.
        message: String,
    },
    /// The server refused a request.
    #[error("{what}: the server answered {status}: {answer}{hint}")]
    Refused {
        /// Method and path.
        what: String,
        /// Of HTTP.
        status: u16,
        /// The beginning of what it said.
        answer: String,
        /// What to do, or nothing.
        hint: &'static str,
    },
    /// The index is in another state than it should be.
    #[error("{0}")]
    Index(String),
    /// The watcher wanted to stop.
    #[error("stopped")]
    Stopped,
    /// A document cannot be sent, or a file not be written.
    #[error(transparent)]
    File(#[from] FileError),
}
