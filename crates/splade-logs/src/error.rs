//! What can go wrong with the logs of a run.

use std::io;
use std::path::PathBuf;

/// An error of a log or of the live page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A log cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why the system refused.
        source: io::Error,
    },
    /// A line of an existing log is not a record of a training log. The run was not started: delete
    /// the line, or move the file away.
    #[error(
        "{}:{line}: not a record of a training log: {why}\nhint: delete the line, or move the file \
         away to start a new log",
        path.display()
    )]
    Record {
        /// The log.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: u64,
        /// Why the line is not a record.
        why: serde_json::Error,
    },
    /// The port of the live page cannot be used. Port 0 takes any that is free.
    #[error(
        "dashboard: cannot serve the live page at port {port}: {why}\nhint: port 0 takes any \
         that is free"
    )]
    Port {
        /// The port that was asked for.
        port: u16,
        /// Why the system refused.
        why: io::Error,
    },
    /// The thread of the live page cannot be started.
    #[error("dashboard: cannot start a thread for the live page: {0}")]
    Thread(io::Error),
}
