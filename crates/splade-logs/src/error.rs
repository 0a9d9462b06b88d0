//! The error type of this crate.

use std::io;
use std::path::{Path, PathBuf};

/// An error of a log file or of the live page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A log cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A line of an existing log is not a record of a training log, so the run was not started.
    #[error("{}:{line}: not a record of a training log", path.display())]
    Record {
        /// The path of the log.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: u64,
        /// The error of parsing the line.
        source: serde_json::Error,
    },
    /// The port of the live page cannot be bound. Port 0 selects any free port.
    #[error("dashboard: cannot serve the live page at port {port}")]
    Port {
        /// The requested port.
        port: u16,
        /// Why the system refused.
        source: io::Error,
    },
    /// The thread of the live page cannot be started.
    #[error("dashboard: cannot start a thread for the live page")]
    Thread(#[source] io::Error),
}

impl LogError {
    /// Returns what to do about the error, if something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Record { .. } => {
                Some("delete the line, or move the file away to start a new log")
            }
            Self::Port { .. } => Some("port 0 takes any port that is free"),
            Self::Io { .. } | Self::Thread(_) => None,
        }
    }
}

/// Returns what makes the error of the operating system one that names a file or folder.
pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let path = path.to_owned();
    move |source| LogError::Io { path, source }
}
