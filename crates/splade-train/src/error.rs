//! The errors of training and of its preparation.

use std::borrow::Cow;
use std::error::Error;
use std::path::{Path, PathBuf};

use hydra_compose::ComposeError;
use hydra_compose::settings::SettingError;
use splade_data::DataError;
use splade_eval::EvalError;
use splade_index::IndexError;
use splade_io::Problem;
use splade_logs::LogError;
use splade_model::ModelError;
use splade_sparse::VectorError;
use splade_text::TextError;

/// An error from a function that the caller passed to this crate: a resolver of model names or a
/// reader of texts.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// The errors of this crate. The message says what failed and where, and [`hint`](Self::hint) what to
/// do. The error that caused it is its source and is not repeated in the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting that is wrong or does not fit the others.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// An action or a setting failed because of another error.
    #[error("{doing}")]
    Failed {
        /// The action (`cannot load the model m`) or the path of the setting.
        doing: String,
        /// The error that caused the failure.
        source: Box<TrainError>,
    },
    /// Training data that is inconsistent.
    #[error("{0}")]
    Data(Problem),
    /// A text that the tokenizer of the model cannot process.
    #[error("cannot tokenize \"{start}\"")]
    Tokenize {
        /// The first characters of the text.
        start: String,
        /// The error of the tokenizer.
        source: TextError,
    },
    /// A file that cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A checkpoint from which the run cannot resume.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The folder of the checkpoint.
        path: PathBuf,
        /// What is wrong with the checkpoint, and what to do.
        problem: Problem,
    },
    /// A saved state that does not fit the run that would resume from it.
    #[error("the saved state does not fit: {0}")]
    State(Problem),
    /// A step in which the loss or the norm of the gradients is not a finite number.
    #[error("step {step}: {what} is {value}{}", after(last.as_deref()))]
    NotFinite {
        /// The number of the step, counted from 0.
        step: u64,
        /// The quantity: the loss or the norm of the gradients.
        what: &'static str,
        /// The value: infinite or NaN.
        value: f64,
        /// A clause that names the last checkpoint; the run fills it in.
        last: Option<String>,
    },
    /// An error while the config was composed.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// An error in the training data.
    #[error(transparent)]
    Training(#[from] DataError),
    /// A file that cannot be read, written or completed.
    #[error(transparent)]
    File(#[from] splade_io::FileError),
    /// An error while the logs of the run were written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An error in the judgements or rankings of an evaluation.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// An error while a model was loaded or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An error of the tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// An error of the index that an evaluation searches.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// An error from a function that the caller passed: a resolver of model names or a reader of
    /// texts.
    #[error(transparent)]
    Source(SourceError),
    /// The observer asked to stop at a point from which the work cannot be resumed.
    #[error("stopped before the end")]
    Stopped,
    /// An output that exists already and is replaced only with `--force`.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The model computed a vector with a weight that is not a finite number.
    #[error("the vector of text {id} is not valid")]
    Vector {
        /// The id of the text.
        id: i64,
        /// What is wrong with the vector.
        source: VectorError,
    },
    /// The operating system could not start a thread.
    #[error("cannot start a thread")]
    Threads(#[source] std::io::Error),
    /// A run that cannot begin or continue.
    #[error("{0}")]
    Run(Problem),
}

/// The remedy for a loss or gradients that are not finite.
const SMALLER_STEPS: &str =
    "a smaller training.learning_rate, a longer warm-up, or a smaller training.max_grad_norm";

fn after(last: Option<&str>) -> String {
    last.map_or_else(String::new, |last| format!("; {last}"))
}

impl TrainError {
    /// Returns what to do about the error, if something is known.
    pub fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Setting(error) => error.hint().map(Cow::from),
            Self::Checkpoint { problem, .. } => problem.hint().map(Cow::from),
            Self::Data(problem) | Self::State(problem) | Self::Run(problem) => {
                problem.hint().map(Cow::from)
            }
            Self::NotFinite { .. } => Some(SMALLER_STEPS.into()),
            Self::Exists(_) => Some("add --force to replace it".into()),
            Self::Failed { source, .. } => source.hint(),
            Self::Compose(error) => error.hint().map(Cow::from),
            Self::Training(error) => error.hint().map(Cow::from),
            Self::File(error) => error.hint().map(Cow::from),
            Self::Eval(error) => error.hint().map(Cow::from),
            Self::Model(error) => error.hint().map(Cow::from),
            Self::Index(error) => error.hint().map(Cow::from),
            Self::Log(error) => error.hint().map(Cow::from),
            Self::Text(error) | Self::Tokenize { source: error, .. } => error.hint().map(Cow::from),
            _ => None,
        }
    }

    /// Returns the message and the remedy.
    #[cfg(test)]
    pub(crate) fn said(&self) -> String {
        format!("{self}\n{}", self.hint().unwrap_or_default())
    }

    /// Creates an error about a checkpoint.
    pub(crate) fn checkpoint(path: &Path, problem: impl Into<Problem>) -> Self {
        Self::Checkpoint { path: path.to_path_buf(), problem: problem.into() }
    }

    /// Returns a function that adds the path of a file or folder to an I/O error.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    /// Returns a function that adds the failed action to an error.
    pub(crate) fn failed<E: Into<Self>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        move |error| Self::Failed { doing, source: Box::new(error.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stands_beside_the_message() {
        let error = TrainError::Run(Problem::new("no room").with_remedy("make some"));
        assert_eq!(
            (error.to_string().as_str(), error.hint().as_deref()),
            ("no room", Some("make some"))
        );
        let error = TrainError::failed::<TrainError>("cannot load the model")(error);
        assert_eq!(error.hint().as_deref(), Some("make some"));
        assert_eq!(TrainError::Stopped.hint(), None);
    }

    #[test]
    fn a_reason_is_said_once() {
        let reason = std::io::Error::other("no space");
        let error = TrainError::io(Path::new("a/b"))(reason);
        let chain = [error.to_string(), error.source().expect("a reason").to_string()];
        assert_eq!(chain, ["a/b", "no space"]);
    }
}
