//! The error of the library.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

#[cfg(feature = "tools")]
use hydra_compose::ComposeError;
#[cfg(feature = "tools")]
use hydra_compose::settings::SettingError;
#[cfg(feature = "tools")]
use splade_data::DataError;
#[cfg(feature = "tools")]
use splade_eval::EvalError;
#[cfg(feature = "push")]
use splade_export::push::PushError;
use splade_index::IndexError;
use splade_io::{FileError, Problem};
use splade_model::ModelError;
use splade_sparse::{TermId, VectorError};
use splade_text::TextError;
#[cfg(feature = "tools")]
use splade_train::TrainError;

/// An error of this library. The message and those of its sources say what failed and why, each
/// thing once; [`hint`](Self::hint) says what a person can do about it.
///
/// ```
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let name = folder.path().to_string_lossy().into_owned();
/// let error = SparseEncoder::load(&name, &SparseEncoderOptions::default()).unwrap_err();
/// eprintln!("error: {error}");
/// if let Some(hint) = error.hint() {
///     eprintln!("hint: {hint}");
/// }
/// # assert!(error.to_string().starts_with("cannot load the model"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model cannot be found, read or run.
    #[error("cannot load the model {name}")]
    Load {
        /// The name that was given.
        name: String,
        /// Why.
        source: Box<ModelError>,
    },
    /// The tokenizer of a model cannot be read.
    #[error("cannot load the tokenizer of {name}")]
    LoadTokenizer {
        /// The name that was given.
        name: String,
        /// Why.
        source: TextError,
    },
    /// A model or the hub refused.
    #[error(transparent)]
    Model(ModelError),
    /// A text cannot be tokenized.
    #[error(transparent)]
    Text(#[from] TextError),
    /// An index cannot be read, written or searched.
    #[error(transparent)]
    Index(Box<IndexError>),
    /// Judgements, rankings or a data set cannot be used.
    #[cfg(feature = "tools")]
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Training data cannot be used.
    #[cfg(feature = "tools")]
    #[error(transparent)]
    Data(Box<DataError>),
    /// Training cannot begin or go on.
    #[cfg(feature = "tools")]
    #[error(transparent)]
    Train(Box<TrainError>),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Terms and weights are not a vector.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// A search engine refused documents, or cannot be reached.
    #[cfg(feature = "push")]
    #[error(transparent)]
    Push(Box<PushError>),
    /// A setting of a config or of a pipeline is wrong.
    #[cfg(feature = "tools")]
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// An output exists and is replaced only if the options say `force`.
    #[error("{} exists already", path.display())]
    OutputExists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A folder that is written as a whole exists already and is never replaced.
    #[error("{} is there already", path.display())]
    FolderExists {
        /// The folder.
        path: PathBuf,
    },
    /// An output is also an input, which would be overwritten.
    #[error(
        "the output {} is also an input ({}), which would be overwritten",
        output.display(),
        input.display()
    )]
    OutputIsInput {
        /// The output.
        output: PathBuf,
        /// The input.
        input: PathBuf,
    },
    /// Two outputs are the same file.
    #[error("{} is named for two outputs, of which one would overwrite the other", path.display())]
    SameOutput {
        /// The file.
        path: PathBuf,
    },
    /// An output was made of other inputs or with other settings, so it cannot be continued.
    #[error("{} was made of other files or with other settings", path.display())]
    OtherSettings {
        /// The file or folder.
        path: PathBuf,
    },
    /// An input has changed since the output that is continued was begun.
    #[error("{0}")]
    InputChanged(String),
    /// Vectors, models or results meet that do not belong together.
    #[error("{what}")]
    OtherModel {
        /// What is different, with the names of both.
        what: String,
    },
    /// An index does not name the model that made its vectors.
    #[error("the index names no model")]
    NoIndexModel,
    /// A document is not in an index.
    #[error("document {id:?} is not in the index")]
    NotInIndex {
        /// The id of the document.
        id: String,
    },
    /// A vector has a term that the model does not have.
    #[error("vector {id:?} has the term {term}, but the vocabulary {vocab} terms")]
    UnknownTerm {
        /// The id of the vector.
        id: String,
        /// The term.
        term: TermId,
        /// The number of terms of the vocabulary.
        vocab: usize,
    },
    /// A document occurs twice in vectors whose ids must be unique.
    #[error("document {id:?} is there twice")]
    DuplicateDocument {
        /// The id of the document.
        id: String,
    },
    /// A folder lacks a file of a data set.
    #[error("there is no {name} in {}", folder.display())]
    NoPart {
        /// The name of the part, such as `doc_master`.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A file is not valid JSON.
    #[error("{} is not valid JSON", path.display())]
    Json {
        /// The path of the file.
        path: PathBuf,
        /// The error of the parser, with the line and the column.
        source: serde_json::Error,
    },
    /// The operating system could not start the threads.
    #[error("cannot start threads")]
    Threads(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A step of a pipeline failed.
    #[error("the step failed ({status})")]
    StepFailed {
        /// The status of the process.
        status: std::process::ExitStatus,
    },
    /// A step of a pipeline cannot be waited for or stopped.
    #[error("cannot {doing} the step")]
    Step {
        /// The failed action: `stop`, `wait for` or `read the messages of`.
        doing: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// An argument or an input does not fit the others.
    #[error("{0}")]
    Invalid(Problem),
    /// A config or a pipeline cannot be composed.
    #[cfg(feature = "tools")]
    #[error(transparent)]
    Compose(Box<ComposeError>),
    /// A part of the work failed; the source says why.
    #[error("{doing}")]
    During {
        /// What was being done, with the file or the step.
        doing: String,
        /// Why it failed.
        source: Box<Error>,
    },
    /// The model that an index names cannot be used.
    #[error("cannot use the model of the index")]
    IndexModel(#[source] Box<Error>),
    /// The observer asked the work to stop.
    #[error("stopped; {kept}")]
    Stopped {
        /// What is kept of the work, and how to go on.
        kept: String,
    },
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Stopped { kept } => Self::Stopped { kept },
            error => Self::Model(error),
        }
    }
}

#[cfg(feature = "tools")]
impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        Self::Data(Box::new(error))
    }
}

#[cfg(feature = "tools")]
impl From<TrainError> for Error {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

impl From<IndexError> for Error {
    fn from(error: IndexError) -> Self {
        Self::Index(Box::new(error))
    }
}

#[cfg(feature = "push")]
impl From<PushError> for Error {
    fn from(error: PushError) -> Self {
        Self::Push(Box::new(error))
    }
}

impl Error {
    /// Returns what a person can do about the error, if something is known.
    pub fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Load { source, .. } => source.hint().map(Cow::from),
            Self::Model(error) => error.hint().map(Cow::from),
            Self::LoadTokenizer { source: error, .. } | Self::Text(error) => {
                error.hint().map(Cow::from)
            }
            Self::Index(error) => error.hint().map(Cow::from),
            #[cfg(feature = "tools")]
            Self::Eval(error) => error.hint().map(Cow::from),
            #[cfg(feature = "tools")]
            Self::Data(error) => error.hint().map(Cow::from),
            #[cfg(feature = "tools")]
            Self::Train(error) => error.hint(),
            Self::File(error) => error.hint().map(Cow::from),
            #[cfg(feature = "push")]
            Self::Push(error) => error.hint(),
            #[cfg(feature = "tools")]
            Self::Compose(error) => error.hint().map(Cow::from),
            #[cfg(feature = "tools")]
            Self::Setting(error) => error.hint().map(Cow::from),
            Self::Invalid(problem) => problem.hint().map(Cow::from),
            Self::During { source, .. } => source.hint(),
            other => other.own_hint().map(Cow::from),
        }
    }

    /// Returns what to do about an error of which every instance has the same remedy.
    fn own_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::OutputExists { .. } => "replace it with --force, or name another output",
            Self::FolderExists { .. } => "name another folder, or remove it",
            Self::OutputIsInput { .. } => "name another output",
            Self::SameOutput { .. } => "name another file for one of them",
            Self::OtherSettings { .. } => "replace it with --force, or name another output",
            Self::InputChanged(_) => "begin anew with --force, or name another output",
            Self::NoIndexModel => "name the model with --model",
            Self::NotInIndex { .. } => {
                "build another index, or add what is missing with: light-splade index add --new-only"
            }
            Self::UnknownTerm { .. } => "give the model that made the vectors",
            Self::DuplicateDocument { .. } => "leave one of them out",
            Self::Threads(_) => "ask for fewer threads",
            Self::IndexModel(_) => "if it is elsewhere now, name it with --model",
            _ => return None,
        })
    }

    /// Wraps the error of a file or folder.
    #[cfg(feature = "tools")]
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let wrap = FileError::io(doing, path);
        move |source| Self::File(wrap(source))
    }

    /// Wraps the error of a model with the name that was given.
    pub(crate) fn load(name: &Path) -> impl FnOnce(ModelError) -> Self {
        move |source| Self::Load { name: name.display().to_string(), source: Box::new(source) }
    }

    /// Wraps an error with what was being done; a request to stop stays what it is.
    #[cfg(feature = "tools")]
    pub(crate) fn during(doing: impl Into<String>) -> impl FnOnce(Self) -> Self {
        let doing = doing.into();
        move |error| match error {
            Self::Stopped { .. } => error,
            error => Self::During { doing, source: Box::new(error) },
        }
    }

    /// The error of work of which nothing is kept.
    pub(crate) fn stopped() -> Self {
        Self::Stopped { kept: "nothing is kept".to_owned() }
    }
}

#[cfg(feature = "tools")]
impl From<ComposeError> for Error {
    fn from(error: ComposeError) -> Self {
        Self::Compose(Box::new(error))
    }
}

/// Returns the error of a problem for which nothing can be advised.
pub(crate) fn invalid(what: impl Into<String>) -> Error {
    Error::Invalid(Problem::new(what))
}

/// Returns the error of a problem and what to do about it.
pub(crate) fn advised(what: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::Invalid(Problem::new(what).with_remedy(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_a_hint_and_no_part_of_the_message() {
        let path = PathBuf::from("out.ndjson");
        for (error, message, hint) in [
            (
                Error::OutputExists { path: path.clone() },
                "out.ndjson exists already",
                Some("replace it with --force, or name another output"),
            ),
            (
                Error::during("in the step")(advised("no room", "make some")),
                "in the step",
                Some("make some"),
            ),
            (
                Error::from(FileError::Locked { path, holder: None }),
                "out.ndjson: another process is writing to it",
                Some("wait until it has ended, or stop it"),
            ),
            (
                Error::IndexModel(Box::new(invalid("gone"))),
                "cannot use the model of the index",
                Some("if it is elsewhere now, name it with --model"),
            ),
            (invalid("no"), "no", None),
        ] {
            assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (message, hint));
        }
    }
}
