//! The error type for judgements, rankings and their evaluation.

use std::path::{Path, PathBuf};

/// An error in an evaluation. The message names the place and, if there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file or folder could not be read, written or opened.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The failed operation, such as `read` or `write`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A line of a file cannot be parsed.
    #[error("{name}, line {line}: {message}")]
    Line {
        /// The name of the file, or the name that was given to the reader.
        name: String,
        /// The line number, counted from 1.
        line: u64,
        /// What is wrong with the line.
        message: String,
    },
    /// A folder does not contain the requested data.
    #[error("{}: {message}", path.display())]
    Dataset {
        /// The path of the folder.
        path: PathBuf,
        /// What is missing, and what was expected.
        message: String,
    },
    /// A ranking contains a document twice, or a score that is not finite.
    #[error("query \"{query}\": {message}")]
    Ranking {
        /// The id of the query.
        query: String,
        /// What is wrong with the ranking.
        message: String,
    },
    /// The name of a metric is not known.
    #[error("unknown metric \"{name}\"; known: {known}")]
    Metric {
        /// The name that was given.
        name: String,
        /// The list of known metrics.
        known: String,
    },
    /// A term id is not below the size of the vocabulary.
    #[error("term {term} is outside the vocabulary of {vocab} terms")]
    Term {
        /// The term id outside the vocabulary.
        term: splade_sparse::TermId,
        /// The size of the vocabulary.
        vocab: usize,
    },
    /// A file of results cannot be read or committed.
    #[error(transparent)]
    File(#[from] splade_io::FileError),
    /// The settings of a fusion do not fit the rankings.
    #[error("cannot fuse rankings: {message}")]
    Fusion {
        /// What does not fit.
        message: String,
    },
    /// The list of metrics is empty.
    #[error("no metric was requested")]
    NoMetric,
    /// An id that a TREC run cannot hold.
    #[error(
        "the {what} {id} is empty or has a blank, which a TREC run cannot hold; write NDJSON, to \
         a file whose name ends in .ndjson"
    )]
    TrecId {
        /// What the id is, such as `document id`.
        what: &'static str,
        /// The id in quotes, cut if it is long.
        id: String,
    },
    /// The qrels or the run contain no query.
    #[error("there is no query in the {what}")]
    NoQuery {
        /// The name of the empty input: `qrels` or `run`.
        what: &'static str,
    },
    /// The run contains no query of the qrels.
    #[error(
        "no query of the run is in the qrels; queries are called \"{found}\" in the run and \
         \"{judged}\" in the qrels"
    )]
    OtherQueries {
        /// The id of the first query in the run.
        found: String,
        /// The id of the first query in the qrels.
        judged: String,
    },
    /// The data set contains no query of the qrels.
    #[error(
        "no query in the qrels is among the queries of the data set; queries are called \
         \"{judged}\" in the qrels and {found} in the data set"
    )]
    UnknownQueries {
        /// The id of the first query in the qrels.
        judged: String,
        /// The id of the first query in the data set, in quotes.
        found: String,
    },
    /// The two reports of a comparison have different metrics.
    #[error("the two runs were evaluated with different metrics")]
    OtherMetrics,
    /// The two reports of a comparison have no query in common.
    #[error("the two runs have no judged query in common")]
    NothingInCommon,
}

impl EvalError {
    /// Returns the hint that tells the user what to do; `None` if the error has no fixed hint.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Term { .. } => Some("use the model that made the vectors"),
            Self::NoMetric => Some("name one, such as nDCG@10"),
            Self::OtherMetrics => Some("evaluate both with the same metrics"),
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
