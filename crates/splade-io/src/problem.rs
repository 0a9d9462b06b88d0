//! A problem in words, with its remedy.

use std::fmt;

/// What is wrong, in words, and what a person can do about it. The two are kept apart, so that a
/// message says each thing once and the remedy can be shown on a line of its own.
///
/// ```
/// use splade_io::Problem;
///
/// let problem = Problem::new("the folder is not empty").with_remedy("name another folder");
/// assert_eq!(problem.to_string(), "the folder is not empty");
/// assert_eq!(problem.hint(), Some("name another folder"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    what: String,
    remedy: Option<String>,
}

impl Problem {
    /// Creates a problem without a remedy.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Returns what to do about it, if something is known.
    pub fn hint(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}

impl From<String> for Problem {
    fn from(what: String) -> Self {
        Self::new(what)
    }
}

impl From<&str> for Problem {
    fn from(what: &str) -> Self {
        Self::new(what)
    }
}
