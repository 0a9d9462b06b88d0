//! Retrieval measured on data sets.

use std::path::PathBuf;

use light_splade::encode::Side;
use light_splade::evaluation::{Bm25Options, Report, Run, evaluate_bm25};
use light_splade::models::Vocabulary;
use light_splade::{Error, EvaluateOptions, evaluate as front_evaluate};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::encoder::Encoder;
use crate::errors;
use crate::index::WEIGHTS;
use crate::observer::observed;
use crate::settings::{self, choice};

/// Settings of an evaluation; those that are not given are the front door's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    metrics: Option<Vec<String>>,
    split: Option<String>,
    depth: Option<usize>,
    #[serde(default)]
    drop_same_id: bool,
    weights: Option<String>,
    index: Option<PathBuf>,
    threads: Option<usize>,
}

impl Settings {
    fn options(self, py: Python<'_>) -> PyResult<EvaluateOptions> {
        let default = EvaluateOptions::default();
        let metrics = self.metrics.map(|names| {
            let metrics = names.iter().map(|name| name.parse());
            let metrics: Result<_, _> = metrics.collect();
            metrics.map_err(|error| errors::exception(py, &Error::Eval(error)))
        });
        let weights = self.weights.as_deref().map(|name| choice(py, "weights", name, &WEIGHTS));
        Ok(EvaluateOptions {
            metrics: metrics.transpose()?.unwrap_or(default.metrics),
            split: self.split,
            depth: self.depth,
            drop_same_id: self.drop_same_id,
            weights: weights.transpose()?.unwrap_or(default.weights),
            index: self.index,
            threads: self.threads,
            ..EvaluateOptions::default()
        })
    }
}

/// A report: its JSON, its table for people, the values of each query, and the ranking of each query.
type Measured = (String, String, Vec<(String, Vec<f64>)>, Vec<(String, Vec<(String, f32)>)>);

/// A report and a run with the JSON of the report.
fn measured(json: &Value, report: &Report, run: &Run) -> Measured {
    let values = report.queries.iter().map(|row| (row.query.clone(), row.values.clone()));
    let rankings = run.iter().map(|(query, ranking)| {
        let ranking = ranking.iter().map(|scored| (scored.document.clone(), scored.score));
        (query.to_owned(), ranking.collect())
    });
    (json.to_string(), report.to_table(), values.collect(), rankings.collect())
}

/// Measures how well a model retrieves on a data set.
#[pyfunction]
#[pyo3(signature = (encoder, data, settings, reporter = None))]
pub(crate) fn evaluate(
    py: Python<'_>,
    encoder: PyRef<'_, Encoder>,
    data: PathBuf,
    settings: &str,
    reporter: Option<Py<PyAny>>,
) -> PyResult<Measured> {
    let options = settings::read::<Settings>(py, settings)?.options(py)?;
    let encoder: &Encoder = &encoder;
    let evaluation = observed(py, reporter, |observer| {
        front_evaluate(&encoder.get()?, &data, &options, observer)
    })?;
    let mut json = evaluation.report.to_json();
    for (name, value) in evaluation.about {
        json[&name] = value;
    }
    Ok(measured(&json, &evaluation.report, &evaluation.run))
}

/// Measures BM25 over the tokens of a model on a data set.
#[pyfunction]
#[pyo3(signature = (model, data, k1, b, settings, reporter = None))]
pub(crate) fn bm25(
    py: Python<'_>,
    model: PathBuf,
    data: PathBuf,
    k1: f64,
    b: f64,
    settings: &str,
    reporter: Option<Py<PyAny>>,
) -> PyResult<Measured> {
    let options = settings::read::<Settings>(py, settings)?.options(py)?;
    let (report, run) = observed(py, reporter, |observer| {
        let vocabulary = Vocabulary::open(&model, Side::Document, &Default::default(), observer)?;
        let constants = Bm25Options { k1, b };
        evaluate_bm25(vocabulary.tokenizer(), &data, constants, &options, observer)
    })?;
    Ok(measured(&report.to_json(), &report, &run))
}
