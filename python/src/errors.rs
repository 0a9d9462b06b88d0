//! Errors of the front door as exceptions: a class for each kind, the chain of causes as one message, and the hint.

use std::error::Error as _;

use light_splade::Error;
use light_splade::learning::TrainError;
use pyo3::prelude::*;

/// The module that defines the classes.
const MODULE: &str = "light_splade_rs.errors";

/// The exception of an error.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    build(py, class(error), &message(error), error.hint().as_deref())
}

/// The exception of work that was stopped; `kept` says what is left of it.
pub(crate) fn stopped(py: Python<'_>, kept: &str, hint: Option<&str>) -> PyErr {
    build(py, "StoppedError", &format!("stopped; {kept}"), hint)
}

/// The exception of an argument that does not fit.
pub(crate) fn invalid(py: Python<'_>, message: &str, hint: Option<&str>) -> PyErr {
    build(py, "InvalidArgumentError", message, hint)
}

fn build(py: Python<'_>, class: &str, message: &str, hint: Option<&str>) -> PyErr {
    let made = || py.import(MODULE)?.getattr(class)?.call1((message, hint));
    made().map_or_else(|error| error, PyErr::from_value)
}

/// The message with those of its causes; each says its own part.
fn message(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        message = format!("{message}: {next}");
        cause = next.source();
    }
    message
}

/// The name of the class of an error of training.
fn class_of_training(error: &TrainError) -> &'static str {
    match error {
        TrainError::Setting(_) | TrainError::Compose(_) => "ConfigError",
        TrainError::Failed { source, .. } => class_of_training(source),
        TrainError::Stopped => "StoppedError",
        _ => "TrainingError",
    }
}

/// The name of the class of an error.
fn class(error: &Error) -> &'static str {
    match error {
        Error::Load { .. } | Error::LoadTokenizer { .. } | Error::Model(_) | Error::Text(_) => {
            "ModelError"
        }
        Error::Index(_) | Error::NotInIndex { .. } => "SearchIndexError",
        Error::Eval(_)
        | Error::Data(_)
        | Error::Vector(_)
        | Error::UnknownTerm { .. }
        | Error::DuplicateDocument { .. }
        | Error::NoPart { .. }
        | Error::Json { .. } => "DataError",
        Error::Train(error) => class_of_training(error),
        Error::Setting(_) | Error::Compose(_) => "ConfigError",
        Error::File(_) => "FileError",
        Error::OutputExists { .. }
        | Error::FolderExists { .. }
        | Error::OutputIsInput { .. }
        | Error::SameOutput { .. }
        | Error::OtherSettings { .. }
        | Error::InputChanged(_) => "OutputError",
        Error::OtherModel { .. } | Error::NoIndexModel | Error::IndexModel(_) => "OtherModelError",
        Error::Push(_) => "SearchEngineError",
        Error::Invalid(_) => "InvalidArgumentError",
        Error::Stopped { .. } => "StoppedError",
        Error::During { source, .. } => class(source),
        _ => "LightSpladeError",
    }
}
