//! What can go wrong before and while training.

use std::error::Error;
use std::path::{Path, PathBuf};

use hydra_compose::ComposeError;
use splade_data::DataError;
use splade_eval::EvalError;
use splade_index::IndexError;
use splade_logs::LogError;
use splade_model::ModelError;
use splade_text::TextError;

/// An error of what a caller gave to a function of this crate: a resolver of model names, a reader of
/// texts.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Errors of this crate. The message says what failed, where and, after `hint:`, what to do; reasons
/// that another error gives are its sources, and not part of its message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting of the config, named by its path (`training.optim`), or a file of the config.
    #[error("{at}: {message}")]
    Config {
        /// The field (`training.optim`) or the file and line.
        at: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Something was tried, or a setting was used, and failed for a reason of its own.
    #[error("{doing}")]
    Failed {
        /// What was tried (`cannot load the model m`), or the path of the setting.
        doing: String,
        /// Why it failed.
        source: Box<TrainError>,
    },
    /// Training data that does not hold together.
    #[error("{0}")]
    Data(String),
    /// A text that the tokenizer of the model cannot take.
    #[error("cannot tokenize \"{start}\"")]
    Tokenize {
        /// The first characters of the text.
        start: String,
        /// Why the tokenizer refuses it.
        source: TextError,
    },
    /// A file that cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        source: std::io::Error,
    },
    /// A checkpoint that cannot be continued.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A saved state that does not fit the run that is to continue from it.
    #[error("the saved state does not fit: {0}")]
    State(String),
    /// A step whose loss, or the norm of whose gradients, is not a finite number.
    #[error("step {step}: {what} is {value}{}", after(last.as_deref()))]
    NotFinite {
        /// The number of the step, counted from 0.
        step: u64,
        /// Which number it is.
        what: &'static str,
        /// Infinite or not a number.
        value: f64,
        /// The last checkpoint, as a clause, once the run has said which it is.
        last: Option<String>,
    },
    /// The composition of the config.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The training data.
    #[error(transparent)]
    Training(#[from] DataError),
    /// A file that cannot be read, written or completed.
    #[error(transparent)]
    File(#[from] splade_io::FileError),
    /// The logs of the run.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The judgements and rankings of an evaluation.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The index of an evaluation.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// What the caller gave to the function: a resolver of model names, a reader of texts.
    #[error(transparent)]
    Source(SourceError),
    /// The observer asked to stop where nothing is left to go on from.
    #[error("stopped before the end")]
    Stopped,
    /// A run that cannot begin or go on, with what to do about it.
    #[error("{0}")]
    Run(String),
}

/// What to do about numbers that are not finite.
const SMALLER_STEPS: &str =
    "a smaller training.learning_rate, a longer warm-up, or a smaller training.max_grad_norm";

fn after(last: Option<&str>) -> String {
    last.map_or_else(String::new, |last| format!("; {last}\nhint: {SMALLER_STEPS}"))
}

impl TrainError {
    /// Returns what a person can do about the error, where that is known.
    pub fn hint(&self) -> Option<&str> {
        let message = match self {
            Self::Config { message, .. } | Self::Checkpoint { message, .. } => message,
            Self::Data(message) | Self::State(message) | Self::Run(message) => message,
            Self::NotFinite { .. } => return Some(SMALLER_STEPS),
            Self::Failed { source, .. } => return source.hint(),
            _ => return None,
        };
        message.split_once("hint: ").map(|(_, hint)| hint)
    }

    /// Wraps the error of a file or folder.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    /// Says what was tried when another error came up.
    pub(crate) fn failed<E: Into<Self>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        move |error| Self::Failed { doing, source: Box::new(error.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_what_follows_the_message() {
        let error = TrainError::Run("no room\nhint: make some".into());
        assert_eq!(error.hint(), Some("make some"));
        let error = TrainError::failed::<TrainError>("cannot load the model")(error);
        assert_eq!(error.hint(), Some("make some"));
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
