//! `Index`: an index of documents, built and changed.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use light_splade::encode::Pruning;
use light_splade::search::{Bm25Options, IndexInfo, Provenance, WeightFormat};
use light_splade::{Error, Index as FrontIndex, IndexOptions};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator};
use serde::Deserialize;

use crate::csr::{ArraysIn, vectors};
use crate::encoder::{Encoder, side};
use crate::errors;
use crate::observer::{PyObserver, observed};
use crate::records::PyRecords;
use crate::settings::{self, choice};

/// The weights of an index by their names.
pub(crate) const WEIGHTS: [(&str, WeightFormat); 3] =
    [("u8", WeightFormat::U8), ("f16", WeightFormat::F16), ("f32", WeightFormat::F32)];

/// Settings of an index; those that are not given are the front door's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    weights: Option<String>,
    side: Option<String>,
    top_k: Option<usize>,
    threshold: Option<f32>,
    memory: Option<usize>,
    threads: Option<usize>,
    #[serde(default)]
    new_only: bool,
    #[serde(default)]
    any_model: bool,
    #[serde(default)]
    store: bool,
    bm25: Option<Bm25>,
}

/// The settings of BM25; those that are not given are the front door's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bm25 {
    k1: Option<f64>,
    b: Option<f64>,
}

impl Bm25 {
    fn options(&self) -> Bm25Options {
        let Bm25Options { k1, b } = Bm25Options::default();
        Bm25Options { k1: self.k1.unwrap_or(k1), b: self.b.unwrap_or(b) }
    }
}

impl Settings {
    fn options(&self, py: Python<'_>) -> PyResult<IndexOptions> {
        let default = IndexOptions::default();
        let weights = self.weights.as_deref().map(|name| choice(py, "weights", name, &WEIGHTS));
        let side = self.side.as_deref().map(|name| side(py, name));
        Ok(IndexOptions {
            weights: weights.transpose()?.unwrap_or(default.weights),
            pruning: Pruning { top_k: self.top_k, threshold: self.threshold, ..Pruning::default() },
            side: side.transpose()?.unwrap_or(default.side),
            memory: self.memory.unwrap_or(default.memory),
            threads: self.threads,
            new_only: self.new_only,
            any_model: self.any_model,
            store: self.store,
            bm25: self.bm25.as_ref().map(Bm25::options),
        })
    }
}

/// An index that is open for changes, or closed.
#[pyclass(frozen, module = "light_splade_rs._native")]
#[derive(Debug)]
pub(crate) struct Index(Mutex<Option<FrontIndex>>);

impl Index {
    /// Works with the index that is open.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        reporter: Option<Py<PyAny>>,
        work: impl FnOnce(&mut FrontIndex, &mut PyObserver) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let worked = observed(py, reporter, |observer| {
            let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            index.as_mut().map(|index| work(index, observer)).transpose()
        })?;
        worked.ok_or_else(|| errors::invalid(py, "the index is closed", Some("open it again")))
    }

    /// Makes the changes permanent. The tokens for BM25 come from the encoder, if one is given.
    fn written(
        &self,
        py: Python<'_>,
        encoder: Option<PyRef<'_, Encoder>>,
        write: impl FnOnce(&mut FrontIndex) -> Result<IndexInfo, Error> + Send,
    ) -> PyResult<IndexInfo> {
        let encoder = encoder.as_deref();
        self.with(py, None, |index, _| {
            if let Some(encoder) = encoder.filter(|_| index.has_bm25()) {
                index.use_encoder(&encoder.get()?)?;
            }
            write(index)
        })
    }

    fn take(&self) -> Option<FrontIndex> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Index {
    /// Begins an index: of a model, or of vectors of which nothing is known. With `resume`, goes on with one that was
    /// begun with the same settings.
    #[staticmethod]
    fn create(
        py: Python<'_>,
        folder: PathBuf,
        encoder: Option<PyRef<'_, Encoder>>,
        settings: &str,
        resume: bool,
    ) -> PyResult<Self> {
        let options = settings::read::<Settings>(py, settings)?.options(py)?;
        let encoder = encoder.as_deref();
        let index = observed(py, None, |_| match (encoder, resume) {
            (Some(encoder), true) => FrontIndex::resume(&folder, &encoder.get()?, &options),
            (Some(encoder), false) => FrontIndex::create(&folder, &encoder.get()?, &options),
            (None, true) => FrontIndex::resume_with(&folder, Provenance::default(), &options),
            (None, false) => FrontIndex::create_with(&folder, Provenance::default(), &options),
        })?;
        Ok(Self(Mutex::new(Some(index))))
    }

    /// Opens an index for changes.
    #[staticmethod]
    fn open(py: Python<'_>, folder: PathBuf, settings: &str) -> PyResult<Self> {
        let options = settings::read::<Settings>(py, settings)?.options(py)?;
        let index = observed(py, None, |_| FrontIndex::open(&folder, &options))?;
        Ok(Self(Mutex::new(Some(index))))
    }

    /// What is known of the model of the vectors, as JSON.
    fn provenance(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, None, |index, _| Ok(index.provenance().to_json().to_string()))
    }

    /// Whether the index keeps the titles and texts of its documents.
    fn stores(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, None, |index, _| Ok(index.stores()))
    }

    /// Encodes documents of an iterator over ids, titles and texts and adds them; returns their number.
    #[pyo3(signature = (encoder, documents, reporter = None))]
    fn add_texts(
        &self,
        py: Python<'_>,
        encoder: PyRef<'_, Encoder>,
        documents: Py<PyIterator>,
        reporter: Option<Py<PyAny>>,
    ) -> PyResult<u64> {
        let (records, raised) = PyRecords::new(documents);
        let encoder: &Encoder = &encoder;
        self.with(py, reporter, |index, observer| {
            let added = index.upsert(&encoder.get()?, records, observer);
            if let Some(error) = raised.take() {
                let added = *added.as_ref().unwrap_or(&0);
                observer.raise(error);
                return Err(Error::Stopped { kept: format!("{added} documents can be committed") });
            }
            added
        })
    }

    /// Adds vectors with their ids.
    fn add_vectors(&self, py: Python<'_>, ids: Vec<String>, matrix: ArraysIn<'_>) -> PyResult<u64> {
        let vectors = vectors(py, &matrix)?;
        if ids.len() != vectors.len() {
            let message = format!("there are {} ids and {} vectors", ids.len(), vectors.len());
            return Err(errors::invalid(py, &message, None));
        }
        self.with(py, None, |index, _| {
            for (id, vector) in ids.iter().zip(&vectors) {
                index.upsert_vector(id, vector)?;
            }
            Ok(ids.len() as u64)
        })
    }

    /// Deletes documents; returns the number of those that were there.
    fn delete(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<usize> {
        self.with(py, None, |index, _| Ok(ids.iter().filter(|id| index.delete(id)).count()))
    }

    /// The number of documents that were put since the index was opened.
    fn put(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, None, |index, _| Ok(index.put()))
    }

    /// Writes all changes.
    #[pyo3(signature = (encoder = None))]
    fn commit<'py>(
        &self,
        py: Python<'py>,
        encoder: Option<PyRef<'py, Encoder>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        info(py, &self.written(py, encoder, FrontIndex::commit)?)
    }

    /// Commits and rewrites the index without what was deleted.
    #[pyo3(signature = (encoder = None))]
    fn merge<'py>(
        &self,
        py: Python<'py>,
        encoder: Option<PyRef<'py, Encoder>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        info(py, &self.written(py, encoder, FrontIndex::merge)?)
    }

    /// Forgets what is not committed, and lets others write.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.take()));
    }

    /// Removes a new index that was never committed.
    fn abandon(&self, py: Python<'_>) -> PyResult<()> {
        observed(py, None, |_| self.take().map_or(Ok(()), FrontIndex::abandon))
    }
}

/// The size and the state of an index.
pub(crate) fn info<'py>(py: Python<'py>, info: &IndexInfo) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("documents", info.documents)?;
    dict.set_item("deleted", info.deleted)?;
    dict.set_item("postings", info.postings)?;
    dict.set_item("bytes", info.bytes)?;
    dict.set_item("weights", format!("{:?}", info.weights).to_lowercase())?;
    dict.set_item("generation", info.generation)?;
    dict.set_item("segments", info.segments)?;
    dict.set_item("stored_bytes", info.stored_bytes)?;
    let bm25 = info.bm25.map(|bm25| {
        let dict = PyDict::new(py);
        dict.set_item("k1", bm25.options.k1)?;
        dict.set_item("b", bm25.options.b)?;
        dict.set_item("mean_length", bm25.mean_length)?;
        dict.set_item("postings", bm25.postings)?;
        dict.set_item("bytes", bm25.bytes)?;
        PyResult::Ok(dict)
    });
    dict.set_item("bm25", bm25.transpose()?)?;
    Ok(dict)
}

/// Compares every byte of an index with its checksum; returns the numbers of segments, bytes and documents.
#[pyfunction]
pub(crate) fn verify(py: Python<'_>, folder: PathBuf) -> PyResult<(usize, u64, u64)> {
    let verified = observed(py, None, |_| FrontIndex::verify(&folder))?;
    Ok((verified.segments, verified.bytes, verified.documents))
}
