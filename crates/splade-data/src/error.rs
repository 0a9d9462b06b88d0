//! What can go wrong with training data.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use splade_eval::EvalError;
use splade_io::FileError;
use splade_text::TextError;

/// Remedies, each for one variant.
const NOT_EMPTY: &str = "name another folder, or replace it with --force";
const NOT_CONVERTED: &str = "name another folder, or remove it yourself";
const FILE_EXISTS: &str = "replace it with --force";
const PARTS_EXIST: &str = "go on with --resume, or begin anew with --force";
const OTHER_PARTS: &str = "begin anew with --force";
const NO_ROOM: &str = "free some, or name a folder of another disk";
const NOT_UNPACKED: &str = "set TMPDIR to a folder with more room, or unpack the file yourself";
const REFERENCES: &str = "what other files lack is listed once these lines are right";

/// An error of training data; the message says what, where and, after `hint:`, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A setting of the config does not fit the data.
    #[error("{at}: {message}")]
    Config {
        /// The setting (`data.train_triplets`).
        at: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A path of the config leads to no file of data. The words are those of the Python library.
    #[error(
        "The data_path `{}` is not valid (must be a .ndjson or .ndjson.gz file, or a folder which \
         contain at least 1 such file){}",
        path.display(),
        if *exists { "" } else { "; there is nothing of that name" }
    )]
    NoData {
        /// The path.
        path: PathBuf,
        /// Whether there is something else at the path.
        exists: bool,
    },
    /// A file or folder does not have the form that is expected.
    #[error("{}: {message}", path.display())]
    Form {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A line of a file is not what is expected there.
    #[error("{}, line {line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A record of a data file cannot be used.
    #[error("{message} {place}")]
    Record {
        /// What is wrong with it.
        message: String,
        /// Where it stands.
        place: Place,
    },
    /// A file has no record.
    #[error("the {name} {} is empty", path.display())]
    Empty {
        /// What the file is: `document master`.
        name: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// There are more lines than can be numbered.
    #[error("{} has {lines} lines; {limit} is the limit", path.display())]
    TooLong {
        /// The file or folder.
        path: PathBuf,
        /// The number of lines.
        lines: usize,
        /// The largest number of lines.
        limit: usize,
    },
    /// The data has problems, of which the first are shown.
    #[error("{}", problems(what, *count, shown, *hides_references))]
    Problems {
        /// The data.
        what: String,
        /// The number of problems.
        count: u64,
        /// The first problems, each with file and line.
        shown: Vec<String>,
        /// Whether problems between files are left out, which may follow from those of lines.
        hides_references: bool,
    },
    /// An id has no text.
    #[error("The id {id} does not exist in the master data")]
    UnknownId {
        /// The id.
        id: i64,
    },
    /// Two texts have one id.
    #[error("{what}: the id {id} is there twice")]
    DuplicateId {
        /// What was read.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// A file is not what it was when it was opened.
    #[error("the file was changed while it was used: {what}")]
    Changed {
        /// What is different, and where.
        what: String,
    },
    /// Nothing is left of a conversion's input.
    #[error("{0}")]
    NothingLeft(String),
    /// A tokenizer has not the tokens that hidden tokens need.
    #[error("the tokenizer has {0}")]
    Vocabulary(&'static str),
    /// A tokenizer refused a text.
    #[error(transparent)]
    Tokenizer(#[from] TextError),
    /// A folder that was to be written has files.
    #[error("{} is not empty{}", path.display(), Hint(NOT_EMPTY))]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that was to be replaced was not made by a conversion.
    #[error(
        "{} was not made by a conversion: it has no {marker}; it is not replaced{}",
        path.display(),
        Hint(NOT_CONVERTED)
    )]
    NotConverted {
        /// The folder.
        path: PathBuf,
        /// The file by which folders of conversions are known.
        marker: &'static str,
    },
    /// A file that was to be written is there.
    #[error("{}: the file is there already{}", path.display(), Hint(FILE_EXISTS))]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// An earlier run has left parts of a file.
    #[error("{}: an earlier run has left parts of this file{}", path.display(), Hint(PARTS_EXIST))]
    PartsExist {
        /// The folder of the parts.
        path: PathBuf,
    },
    /// Parts of a file were made with other settings or from other files.
    #[error("{}: its parts are of other settings or files{}", path.display(), Hint(OTHER_PARTS))]
    OtherParts {
        /// The folder of the parts.
        path: PathBuf,
    },
    /// A result does not fit on the disk.
    #[error("{} needs about {needed} bytes, {free} are free{}", path.display(), Hint(NO_ROOM))]
    NoRoom {
        /// The result.
        path: PathBuf,
        /// The bytes that it needs, about.
        needed: u64,
        /// The bytes that are free.
        free: u64,
    },
    /// A packed file cannot be unpacked into the system's temporary folder.
    #[error(
        "{} cannot be unpacked into {}: {why}{}",
        path.display(),
        folder.display(),
        Hint(NOT_UNPACKED)
    )]
    NotUnpacked {
        /// The packed file.
        path: PathBuf,
        /// The temporary folder.
        folder: PathBuf,
        /// Why.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        source: io::Error,
    },
    /// A file of lines or of vectors cannot be read or completed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Judgements, or a data set in BEIR's layout, cannot be read.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The caller asked the work to stop.
    #[error("stopped before the end")]
    Stopped,
}

/// A line of a file, as messages end: `(corpus.ndjson, line 3)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The number of the line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, line {})", self.path.display(), self.line)
    }
}

impl DataError {
    /// Wraps the error of a file or folder.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    /// Makes the error of a file or folder that has another form.
    pub(crate) fn form(path: &Path, message: impl Into<String>) -> Self {
        Self::Form { path: path.to_path_buf(), message: message.into() }
    }

    /// Returns what a person can do about the error, where it is always the same.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotEmpty { .. } => Some(NOT_EMPTY),
            Self::NotConverted { .. } => Some(NOT_CONVERTED),
            Self::FileExists { .. } => Some(FILE_EXISTS),
            Self::PartsExist { .. } => Some(PARTS_EXIST),
            Self::OtherParts { .. } => Some(OTHER_PARTS),
            Self::NoRoom { .. } => Some(NO_ROOM),
            Self::NotUnpacked { .. } => Some(NOT_UNPACKED),
            Self::Problems { hides_references: true, .. } => Some(REFERENCES),
            Self::File(error) => error.hint(),
            Self::Eval(error) => error.hint(),
            _ => None,
        }
    }
}

/// A remedy as it stands behind a message.
struct Hint(&'static str);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nhint: {}", self.0)
    }
}

fn problems(what: &str, count: u64, shown: &[String], hides_references: bool) -> String {
    let mut text = match count {
        1 => format!("{what} has a problem:"),
        count if count <= shown.len() as u64 => format!("{what} has {count} problems:"),
        count => format!("{what} has {count} problems; the first {}:", shown.len()),
    };
    for problem in shown {
        text += "\n  ";
        text += problem;
    }
    if hides_references {
        text += &Hint(REFERENCES).to_string();
    }
    text
}
