//! What can go wrong between judgements, rankings and results.

use std::path::{Path, PathBuf};

/// An error of this crate. Messages name the place and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file or folder could not be read, written or opened.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// `read`, `write` and the like.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of a file cannot be understood.
    #[error("{name}, line {line}: {message}")]
    Line {
        /// The file, or what the reader was called.
        name: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// A folder does not hold what was asked for.
    #[error("{}: {message}", path.display())]
    Dataset {
        /// The folder.
        path: PathBuf,
        /// What is missing, and what would do.
        message: String,
    },
    /// A ranking has a document twice, or a score that is not a number.
    #[error("query \"{query}\": {message}")]
    Ranking {
        /// The query.
        query: String,
        /// What is wrong.
        message: String,
    },
    /// A metric is not known.
    #[error("unknown metric \"{name}\"; known: {known}")]
    Metric {
        /// What was asked for.
        name: String,
        /// What would be understood.
        known: String,
    },
    /// A term lies outside the vocabulary.
    #[error("term {term} is outside the vocabulary of {vocab} terms; is this the model's vector?")]
    Term {
        /// The term.
        term: splade_sparse::TermId,
        /// Terms of the vocabulary.
        vocab: usize,
    },
    /// A file could not be completed.
    #[error(transparent)]
    File(#[from] splade_io::FileError),
    /// No metric was asked for.
    #[error("no metric is asked for; name one, such as nDCG@10")]
    NoMetric,
    /// Judgements or rankings have no query.
    #[error("there is no query in the {what}")]
    NoQuery {
        /// `qrels` or `run`.
        what: &'static str,
    },
    /// Rankings are of other queries than judgements.
    #[error(
        "no query of the run is in the qrels; queries are called \"{found}\" in the run and \
         \"{judged}\" in the qrels"
    )]
    OtherQueries {
        /// The first query of the run.
        found: String,
        /// The first query of the qrels.
        judged: String,
    },
    /// Two reports that are to be compared have different metrics.
    #[error("the two runs were evaluated by different metrics")]
    OtherMetrics,
    /// Two reports that are to be compared have no query in common.
    #[error("the two runs have no judged query in common")]
    NothingInCommon,
}

impl EvalError {
    /// Returns what a person can do about the error, where it is always the same.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            _ => None,
        }
    }

    /// Wraps an I/O error.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}
