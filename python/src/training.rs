//! Training of SPLADE models.

use std::path::PathBuf;

use light_splade::learning::{Outcome, ResumeFrom};
use light_splade::progress::Event;
use light_splade::{Observer, TrainConfig, train as front_train, train_config};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors;
use crate::observer::observed;
use crate::settings;

/// Where the settings of a run come from.
#[derive(FromPyObject)]
pub(crate) enum Source {
    /// The settings themselves as JSON.
    Json(String),
    /// A folder of files, the name of one of them, and overrides, which are composed as Hydra does.
    Files(PathBuf, String, Vec<String>),
}

/// Trains a SPLADE model; returns the results, or nothing where an earlier run has made all steps.
#[pyfunction]
#[pyo3(signature = (source, resume, reporter = None))]
pub(crate) fn train<'py>(
    py: Python<'py>,
    source: Source,
    resume: bool,
    reporter: Option<Py<PyAny>>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let json = match &source {
        Source::Json(json) => Some(settings::read(py, json)?),
        Source::Files(..) => None,
    };
    let mut stopped = None;
    let outcome = observed(py, reporter, |observer| {
        let mut config = match (&source, &json) {
            (Source::Files(folder, name, overrides), _) => {
                train_config(folder, name, overrides, observer)?
            }
            (Source::Json(_), json) => {
                let json = json.as_ref().unwrap_or(&serde_json::Value::Null);
                let (config, notes) = TrainConfig::from_value(json)?;
                notes.iter().for_each(|note| observer.event(Event::Note(note)));
                config
            }
        };
        if resume && config.training.resume_from_checkpoint.is_none() {
            config.training.resume_from_checkpoint = Some(ResumeFrom::Last);
        }
        let outcome = front_train(&config, observer)?;
        if let Outcome::Stopped(checkpoint) = &outcome {
            stopped = Some(checkpoint.clone());
        }
        Ok(outcome)
    });
    let outcome = match (outcome, stopped) {
        // What stopped the run says how to go on.
        (Err(raised), Some(checkpoint)) => {
            let kept = format!("the run is kept in {}", checkpoint.display());
            let cause = errors::stopped(py, &kept, Some("go on with resume=True"));
            raised.set_cause(py, Some(cause));
            return Err(raised);
        }
        (outcome, _) => outcome?,
    };
    let Outcome::Finished(results) = outcome else { return Ok(None) };
    let dict = PyDict::new(py);
    let named = |pairs: &[(String, f64)]| {
        let dict = PyDict::new(py);
        pairs.iter().try_for_each(|(name, value)| dict.set_item(name, value)).map(|()| dict)
    };
    dict.set_item("steps", results.steps)?;
    dict.set_item("best", results.best)?;
    dict.set_item("train", named(&results.train)?)?;
    dict.set_item("eval", results.eval.as_deref().map(named).transpose()?)?;
    Ok(Some(dict))
}
