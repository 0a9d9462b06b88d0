//! The error type of this crate.

use std::io;
use std::path::PathBuf;

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
    /// A line of an existing log is not a record of a training log, so the run was not started. The
    /// user can delete the line or move the file away.
    #[error(
        "{}:{line}: not a record of a training log: {why}\nhint: delete the line, or move the file \
         away to start a new log",
        path.display()
    )]
    Record {
        /// The path of the log.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: u64,
        /// The error of parsing the line.
        why: serde_json::Error,
    },
    /// The port of the live page cannot be bound. Port 0 selects any free port.
    #[error(
        "dashboard: cannot serve the live page at port {port}: {why}\nhint: port 0 takes any \
         that is free"
    )]
    Port {
        /// The requested port.
        port: u16,
        /// Why the system refused.
        why: io::Error,
    },
    /// The thread of the live page cannot be started.
    #[error("dashboard: cannot start a thread for the live page: {0}")]
    Thread(io::Error),
}
