//! Progress to a Python callable, and the question whether to stop to the interpreter's signals.

use light_splade::progress::Event;
use light_splade::{Error, Observer};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors;

/// Calls `reporter(kind, values)` with each event. Work stops when a signal is pending (Ctrl-C raises
/// `KeyboardInterrupt`) or the callable raises; what was raised is kept until the work has ended.
#[derive(Debug)]
pub(crate) struct PyObserver {
    reporter: Option<Py<PyAny>>,
    raised: Option<PyErr>,
}

/// Runs work without the interpreter and returns its result, or what was raised meanwhile.
pub(crate) fn observed<T: Send>(
    py: Python<'_>,
    reporter: Option<Py<PyAny>>,
    work: impl FnOnce(&mut PyObserver) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let mut observer = PyObserver { reporter, raised: None };
    let result = py.detach(|| work(&mut observer));
    observer.finish(py, result)
}

impl PyObserver {
    /// Remembers what a Python function raised; the work stops as soon as it may.
    pub(crate) fn raise(&mut self, error: PyErr) {
        self.raised.get_or_insert(error);
    }

    /// The result of the work. What was raised comes first, with what is kept of the work as its cause.
    fn finish<T>(self, py: Python<'_>, result: Result<T, Error>) -> PyResult<T> {
        match (self.raised, result) {
            (None, Ok(value)) => Ok(value),
            (None, Err(error)) => Err(errors::exception(py, &error)),
            (Some(raised), Ok(_)) => Err(raised),
            (Some(raised), Err(error)) => {
                if raised.cause(py).is_none() {
                    raised.set_cause(py, Some(errors::exception(py, &error)));
                }
                Err(raised)
            }
        }
    }
}

impl Observer for PyObserver {
    fn event(&mut self, event: Event<'_>) {
        let Some(reporter) = self.reporter.as_ref().filter(|_| self.raised.is_none()) else {
            return;
        };
        let told = Python::attach(|py| {
            let values = PyDict::new(py);
            let Some(kind) = describe(event, &values)? else { return Ok(()) };
            reporter.call1(py, (kind, values)).map(drop)
        });
        if let Err(error) = told {
            self.raise(error);
        }
    }

    fn stop(&mut self) -> bool {
        if self.raised.is_none()
            && let Err(error) = Python::attach(|py| py.check_signals())
        {
            self.raise(error);
        }
        self.raised.is_some()
    }
}

/// Puts the values of an event into a dictionary and returns its name.
fn describe(event: Event<'_>, values: &Bound<'_, PyDict>) -> PyResult<Option<&'static str>> {
    let named = |pairs: &[(String, f64)]| {
        let dict = PyDict::new(values.py());
        pairs.iter().try_for_each(|(name, value)| dict.set_item(name, value)).map(|()| dict)
    };
    Ok(Some(match event {
        Event::Note(text) => {
            values.set_item("text", text)?;
            "note"
        }
        Event::Begins(text) => {
            values.set_item("text", text)?;
            "begins"
        }
        Event::Detail(text) => {
            values.set_item("text", text)?;
            "detail"
        }
        Event::Warning(text) => {
            values.set_item("text", text)?;
            "warning"
        }
        Event::Progress(at) => {
            values.set_item("doing", at.doing)?;
            values.set_item("unit", at.unit)?;
            values.set_item("done", at.done)?;
            values.set_item("total", at.total)?;
            values.set_item("tokens", at.tokens)?;
            values.set_item("share", at.share)?;
            values.set_item("finished", at.finished)?;
            "progress"
        }
        Event::Saved(path) => {
            values.set_item("path", path)?;
            "saved"
        }
        Event::RunBegins { samples, batches, done, total, dashboard } => {
            values.set_item("samples", samples)?;
            values.set_item("batches", batches)?;
            values.set_item("done", done)?;
            values.set_item("total", total)?;
            values.set_item("dashboard", dashboard)?;
            "run_begins"
        }
        Event::Step(at) => {
            values.set_item("step", at.step)?;
            values.set_item("total", at.total)?;
            values.set_item("loss", at.loss)?;
            values.set_item("lambda_q", at.lambda_q)?;
            values.set_item("lambda_d", at.lambda_d)?;
            values.set_item("query_terms", at.query_terms)?;
            values.set_item("document_terms", at.document_terms)?;
            values.set_item("accuracy", at.accuracy)?;
            values.set_item("tokens_per_second", at.tokens_per_second)?;
            values.set_item("seconds_left", at.seconds_left)?;
            "step"
        }
        Event::Logged { step, values: logged } => {
            values.set_item("step", step)?;
            values.set_item("values", named(logged)?)?;
            "logged"
        }
        Event::Evaluating => "evaluating",
        Event::Evaluated { step, values: metrics, best } => {
            values.set_item("step", step)?;
            values.set_item("values", named(metrics)?)?;
            values.set_item("best", best)?;
            "evaluated"
        }
        _ => return Ok(None),
    }))
}
