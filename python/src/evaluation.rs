//! Retrieval measured on data sets.

use std::path::PathBuf;

use light_splade::encode::Side;
use light_splade::evaluation::{
    Bm25Options, Report, Run, Scored, evaluate_bm25, evaluate_run as front_evaluate_run,
    fuse as front_fuse,
};
use light_splade::models::Vocabulary;
use light_splade::{Error, EvaluateOptions, evaluate as front_evaluate};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::encoder::Encoder;
use crate::errors;
use crate::fusion::Fusing;
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
type Measured = (String, String, Vec<(String, Vec<f64>)>, Rankings);

/// The rankings of queries: documents with their scores, the best first.
type Rankings = Vec<(String, Vec<(String, f32)>)>;

fn rankings(run: &Run) -> Rankings {
    let ranking = |(query, ranking): (&str, &[Scored])| {
        let ranking = ranking.iter().map(|scored| (scored.document.clone(), scored.score));
        (query.to_owned(), ranking.collect())
    };
    run.iter().map(ranking).collect()
}

/// A report and a run with the JSON of the report.
fn measured(json: &Value, report: &Report, run: &Run) -> Measured {
    let values = report.queries.iter().map(|row| (row.query.clone(), row.values.clone()));
    (json.to_string(), report.to_table(), values.collect(), rankings(run))
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

/// A run: the file of one, or rankings.
#[derive(FromPyObject)]
pub(crate) enum RunSource {
    /// A file of any form that `Run` reads.
    File(PathBuf),
    /// The rankings of queries.
    Rankings(Rankings),
}

impl RunSource {
    fn read(self) -> Result<Run, Error> {
        match self {
            Self::File(path) => Ok(Run::open(&path)?),
            Self::Rankings(rankings) => {
                let mut run = Run::default();
                for (query, ranking) in rankings {
                    let scored = |(document, score)| Scored { document, score };
                    run.insert(&query, ranking.into_iter().map(scored).collect())?;
                }
                Ok(run)
            }
        }
    }
}

/// Judges a run by a data set.
#[pyfunction]
pub(crate) fn evaluate_run(
    py: Python<'_>,
    run: RunSource,
    data: PathBuf,
    settings: &str,
) -> PyResult<Measured> {
    let options = settings::read::<Settings>(py, settings)?.options(py)?;
    let (report, run) = observed(py, None, |_| {
        let run = run.read()?;
        Ok((front_evaluate_run(&data, &run, &options)?, run))
    })?;
    Ok(measured(&report.to_json(), &report, &run))
}

/// Joins the rankings of several runs into one run.
#[pyfunction]
#[pyo3(signature = (runs, fusing, k = None))]
pub(crate) fn fuse(
    py: Python<'_>,
    runs: Vec<RunSource>,
    fusing: Fusing,
    k: Option<usize>,
) -> PyResult<Rankings> {
    let fusion = fusing.fusion(py, runs.len())?;
    let fused = observed(py, None, |_| {
        let runs = runs.into_iter().map(RunSource::read).collect::<Result<Vec<_>, _>>()?;
        let mut fused = front_fuse(&runs, &fusion)?;
        if let Some(k) = k {
            fused.truncate(k);
        }
        Ok(fused)
    })?;
    Ok(rankings(&fused))
}
