//! `CrossEncoder`: a model that scores pairs of texts.

use std::path::PathBuf;

use light_splade::encode::Isa;
use light_splade::models::{CrossEncoder as FrontCrossEncoder, CrossEncoderOptions, model_folder};
use light_splade::progress::{Event, Progress};
use light_splade::search::thread_pool;
use light_splade::{Error, Observer};
use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

use crate::encoder::precision;
use crate::observer::observed;

/// The number of pairs between two looks at the observer.
const PAIRS_AT_A_TIME: usize = 64;

/// A loaded cross-encoder.
#[pyclass(frozen, module = "light_splade_rs._native")]
#[derive(Debug)]
pub(crate) struct CrossEncoder {
    model: FrontCrossEncoder,
    threads: Option<usize>,
}

impl CrossEncoder {
    /// Returns the model of the library, for other classes that re-rank with it.
    pub(crate) fn model(&self) -> &FrontCrossEncoder {
        &self.model
    }

    /// The number of threads that score; one a core if none.
    pub(crate) fn threads(&self) -> Option<usize> {
        self.threads
    }
}

#[pymethods]
impl CrossEncoder {
    /// Loads a model by its name.
    #[new]
    #[pyo3(signature = (name, *, precision = "f32", max_length = None, threads = None, mecab_dicdir = None,
        reporter = None))]
    fn new(
        py: Python<'_>,
        name: PathBuf,
        precision: &str,
        max_length: Option<usize>,
        threads: Option<usize>,
        mecab_dicdir: Option<PathBuf>,
        reporter: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let options = CrossEncoderOptions {
            precision: self::precision(py, precision)?,
            isa: Isa::detect(),
            max_length,
            mecab_dicdir,
            ..CrossEncoderOptions::default()
        };
        let model = observed(py, reporter, |observer| {
            Ok(FrontCrossEncoder::load(&model_folder(&name, observer)?, &options)?)
        })?;
        Ok(Self { model, threads })
    }

    /// The number of labels.
    #[getter]
    fn labels(&self) -> usize {
        self.model.labels()
    }

    /// Whether sentence-transformers applies a sigmoid to the logits of this model.
    #[getter]
    fn has_sigmoid(&self) -> bool {
        self.model.has_sigmoid()
    }

    /// The logits of pairs, (pairs, labels).
    #[pyo3(signature = (pairs, reporter = None))]
    fn logits<'py>(
        &self,
        py: Python<'py>,
        pairs: Vec<(String, String)>,
        reporter: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let logits = observed(py, reporter, |observer| {
            // Threads of this call: those of a pool that is kept would be gone after a fork.
            let pool = thread_pool(self.threads)?;
            let mut logits = Vec::with_capacity(pairs.len() * self.model.labels());
            for (at, window) in pairs.chunks(PAIRS_AT_A_TIME).enumerate() {
                if observer.stop() {
                    return Err(Error::Stopped { kept: "nothing is kept".to_owned() });
                }
                logits.extend(pool.install(|| self.model.logits(window))?.into_iter().flatten());
                let done = at * PAIRS_AT_A_TIME + window.len();
                observer.event(Event::Progress(Progress {
                    doing: "scoring pairs",
                    unit: "pairs",
                    done: done as u64,
                    total: Some(pairs.len() as u64),
                    share: Some(done as f64 / pairs.len() as f64),
                    finished: done == pairs.len(),
                    ..Progress::default()
                }));
            }
            Ok(logits)
        })?;
        logits.into_pyarray(py).reshape([pairs.len(), self.model.labels()])
    }
}
