//! The error of composing a config.

use std::path::PathBuf;

/// An error of composing a config. The message says what is wrong and where, and
/// [`hint`](Self::hint) what to do.
///
/// ```
/// use hydra_compose::{ComposeError, ComposeOptions, compose};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("run.yaml"), "seed: [42\n")?;
/// let error = compose(&ComposeOptions::new(folder.path(), "run", Vec::new())).expect_err("no YAML");
/// assert!(matches!(error, ComposeError::Config { .. }), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// A config file, an override or a value is wrong.
    #[error("{at}: {problem}")]
    Config {
        /// The place of the error: a value (`training.optim`), an override, or a file with a line
        /// number.
        at: String,
        /// What is wrong.
        problem: String,
        /// What to do about it, if something is known.
        remedy: Option<String>,
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

impl ComposeError {
    /// Returns what to do about the error, if something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Config { remedy, .. } => remedy.as_deref(),
            Self::Io { .. } => None,
        }
    }

    /// Adds the place to a fault.
    pub(crate) fn at(at: impl Into<String>, fault: impl Into<Fault>) -> Self {
        let Fault { problem, remedy } = fault.into();
        Self::Config { at: at.into(), problem, remedy }
    }
}

/// Something wrong in a text whose place the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    problem: String,
    remedy: Option<String>,
}

impl Fault {
    /// Creates a fault for which it is known what to do.
    pub(crate) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: Some(remedy.into()) }
    }

    /// Adds what to do, if something is known.
    pub(crate) fn with(self, remedy: Option<String>) -> Self {
        Self { remedy, ..self }
    }
}

impl From<String> for Fault {
    fn from(problem: String) -> Self {
        Self { problem, remedy: None }
    }
}

impl From<&str> for Fault {
    fn from(problem: &str) -> Self {
        problem.to_owned().into()
    }
}
