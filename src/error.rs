//! What can go wrong, from one door.

use std::path::Path;

#[cfg(feature = "tools")]
use hydra_compose::ComposeError;
#[cfg(feature = "tools")]
use splade_data::DataError;
#[cfg(feature = "tools")]
use splade_eval::EvalError;
#[cfg(feature = "push")]
use splade_export::push::PushError;
use splade_index::IndexError;
use splade_io::FileError;
use splade_model::ModelError;
use splade_sparse::VectorError;
use splade_text::TextError;
#[cfg(feature = "tools")]
use splade_train::TrainError;

/// An error of this library; its chain of sources says everything once.
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
    /// An argument or an input does not fit the others; the message says what to change.
    #[error("{0}")]
    Invalid(String),
    /// Vectors, models or results meet that do not belong together.
    #[error("{what}")]
    OtherModel {
        /// What is different, with the names of both.
        what: String,
    },
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
    #[error("cannot use the model of the index; if it is elsewhere now, give --model")]
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
    /// What a person can do about it, where something is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Stopped { kept } => Some(kept),
            Self::IndexModel(_) => Some("name the model"),
            _ => None,
        }
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

/// An error with a message of its own.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::Invalid(message.into())
}
