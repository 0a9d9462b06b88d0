//! The error type for training data.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use hydra_compose::settings::SettingError;
use splade_eval::EvalError;
use splade_io::{FileError, size};
use splade_text::TextError;

/// The hints of the errors, each for one variant.
const NOT_EMPTY: &str = "name another folder, or replace it with --force";
const NOT_CONVERTED: &str = "name another folder, or remove it yourself";
const FILE_EXISTS: &str = "replace it with --force";
const PARTS_EXIST: &str = "continue with --resume, or start over with --force";
const OTHER_PARTS: &str = "start over with --force";
const NO_ROOM: &str = "free some space, or name a folder on another disk";
const NOT_UNPACKED: &str = "set TMPDIR to a folder with more room, or unpack the file yourself";
const NAME_SUBSET: &str = "name one of them after a colon, as in org/name:ja";
const REFERENCES: &str = "fix these lines first; problems between files are checked after that";

/// An error in training data. The message says what is wrong and where, and [`hint`](Self::hint)
/// what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A setting of the config is wrong or does not fit the data.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A path in the config does not lead to a data file. The wording is that of the Python
    /// library.
    #[error(
        "The data_path `{}` is not valid (must be a .ndjson or .ndjson.gz file, or a folder which \
         contain at least 1 such file){}",
        path.display(),
        if *exists { "" } else { "; no file or folder has this name" }
    )]
    NoData {
        /// The path in the config.
        path: PathBuf,
        /// Whether something else exists at the path.
        exists: bool,
    },
    /// A file or folder does not have the expected form.
    #[error("{}: {message}", path.display())]
    Form {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// A line of a file does not have the expected form.
    #[error("{}, line {line}: {message}", path.display())]
    Line {
        /// The path of the file.
        path: PathBuf,
        /// The number of the line, counted from 1.
        line: usize,
        /// What is wrong, as the end of the message.
        message: String,
    },
    /// A record of a data file cannot be used.
    #[error("{message} {place}")]
    Record {
        /// What is wrong, as the end of the message.
        message: String,
        /// The file and line of the record.
        place: Place,
    },
    /// A file contains no record.
    #[error("the {name} {} is empty", path.display())]
    Empty {
        /// The kind of the file, such as `document master`.
        name: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// A file has more lines than line numbers of 32 bits can hold.
    #[error("{} has {lines} lines; {limit} is the limit", path.display())]
    TooLong {
        /// The file or folder.
        path: PathBuf,
        /// The number of lines that were found.
        lines: usize,
        /// The largest allowed number of lines.
        limit: usize,
    },
    /// The data has problems; the message shows the first of them.
    #[error("{}", problems(what, *count, shown))]
    Problems {
        /// The name of the data in the message, such as `the training data`.
        what: String,
        /// The number of all problems.
        count: u64,
        /// The first problems, each with file and line.
        shown: Vec<String>,
        /// Whether problems between files are not shown, because they may follow from the problems
        /// of single lines.
        hides_references: bool,
    },
    /// No text has the requested id.
    #[error("The id {id} does not exist in the master data")]
    UnknownId {
        /// The id that was requested.
        id: i64,
    },
    /// Two texts have the same id.
    #[error("{what}: the id {id} occurs twice")]
    DuplicateId {
        /// The kind of the texts: `documents read` or `queries read`.
        what: &'static str,
        /// The id that occurs twice.
        id: String,
    },
    /// A file was changed after it was opened.
    #[error("the file was changed while it was used: {what}")]
    Changed {
        /// What has changed, and in which file and line.
        what: String,
    },
    /// A published data set has none of the known forms, or not the subset that was named.
    #[error("the data set {name}: {problem}")]
    Unpublished {
        /// The name that was given.
        name: String,
        /// What is wrong, and what there is.
        problem: String,
        /// Whether the set has subsets, one of which has to be named.
        has_subsets: bool,
    },
    /// A conversion would write an empty data set.
    #[error("{0}")]
    NothingLeft(String),
    /// The tokenizer lacks the tokens that masking needs.
    #[error("the tokenizer has {0}")]
    Vocabulary(&'static str),
    /// The tokenizer failed on a text.
    #[error(transparent)]
    Tokenizer(#[from] TextError),
    /// The output folder is not empty.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The path of the folder.
        path: PathBuf,
    },
    /// The output folder cannot be replaced because no conversion wrote it.
    #[error(
        "{} was not made by a conversion: it has no {marker}; it is not replaced",
        path.display()
    )]
    NotConverted {
        /// The path of the folder.
        path: PathBuf,
        /// The name of the marker file that conversions write into their folders.
        marker: &'static str,
    },
    /// The output file exists already.
    #[error("{}: the file is there already", path.display())]
    FileExists {
        /// The path of the file.
        path: PathBuf,
    },
    /// An earlier run has left parts of the output file.
    #[error("{}: an earlier run has left parts of this file", path.display())]
    PartsExist {
        /// The folder that contains the parts.
        path: PathBuf,
    },
    /// The parts of a file were written with other settings or from other input files.
    #[error(
        "{}: its parts were made with other settings or input files: {difference}",
        path.display()
    )]
    OtherParts {
        /// The folder that contains the parts.
        path: PathBuf,
        /// The first setting or content that differs.
        difference: String,
    },
    /// The output does not fit on the disk.
    #[error("{} needs about {}, but only {} is free", path.display(), size(*needed), size(*free))]
    NoRoom {
        /// The path of the output.
        path: PathBuf,
        /// The estimated size of the output in bytes.
        needed: u64,
        /// The free bytes on the disk.
        free: u64,
    },
    /// A compressed file cannot be decompressed into the system's temporary folder.
    #[error("{} cannot be unpacked into {}: {why}", path.display(), folder.display())]
    NotUnpacked {
        /// The path of the compressed file.
        path: PathBuf,
        /// The path of the temporary folder.
        folder: PathBuf,
        /// The reason, such as the missing space.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file of lines or vectors cannot be read or committed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Qrels, or a data set in the layout of BEIR, cannot be read.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The observer asked the work to stop.
    #[error("stopped before the end")]
    Stopped,
}

/// The place of a line, displayed as it stands at the end of a message: `(corpus.ndjson, line 3)`.
///
/// ```
/// use splade_data::Place;
///
/// let place = Place { path: "corpus.ndjson".into(), line: 3 };
/// assert_eq!(format!("there is no text {place}"), "there is no text (corpus.ndjson, line 3)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path of the file.
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
    /// Wraps an I/O error of a file or folder.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    /// Creates the error for a file or folder that does not have the expected form.
    pub(crate) fn form(path: &Path, message: impl Into<String>) -> Self {
        Self::Form { path: path.to_path_buf(), message: message.into() }
    }

    /// Returns what to do about the error, if something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Setting(error) => error.hint(),
            Self::NotEmpty { .. } => Some(NOT_EMPTY),
            Self::NotConverted { .. } => Some(NOT_CONVERTED),
            Self::FileExists { .. } => Some(FILE_EXISTS),
            Self::PartsExist { .. } => Some(PARTS_EXIST),
            Self::OtherParts { .. } => Some(OTHER_PARTS),
            Self::NoRoom { .. } => Some(NO_ROOM),
            Self::NotUnpacked { .. } => Some(NOT_UNPACKED),
            Self::Problems { hides_references: true, .. } => Some(REFERENCES),
            Self::Unpublished { has_subsets: true, .. } => Some(NAME_SUBSET),
            Self::File(error) => error.hint(),
            Self::Eval(error) => error.hint(),
            _ => None,
        }
    }
}

fn problems(what: &str, count: u64, shown: &[String]) -> String {
    let mut text = match count {
        1 => format!("{what} has a problem:"),
        count if count <= shown.len() as u64 => format!("{what} has {count} problems:"),
        count => format!("{what} has {count} problems; the first {}:", shown.len()),
    };
    for problem in shown {
        text += "\n  ";
        text += problem;
    }
    text
}
