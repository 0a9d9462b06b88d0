//! `Searcher`: an index that is open for search.

use std::path::PathBuf;

use light_splade::encode::Side;
use light_splade::search::{BatchSearch, QUERIES_AT_A_TIME, SearchMode, thread_pool};
use light_splade::{
    Error, Hit as FrontHit, SearchOptions, Searcher as FrontSearcher, SparseVector,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::csr::{Arrays, ArraysIn, CsrBuilder, vectors};
use crate::encoder::{Encoder, encode_all};
use crate::index::info;
use crate::observer::{PyObserver, observed};

/// A document that a search found.
#[pyclass(frozen, eq, get_all, module = "light_splade_rs._native")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    /// The id of the document.
    id: String,
    /// The score.
    score: f32,
}

#[pymethods]
impl Hit {
    #[new]
    fn new(id: String, score: f32) -> Self {
        Self { id, score }
    }

    fn __repr__(&self) -> String {
        format!("Hit(id={:?}, score={:.4})", self.id, self.score)
    }

    fn __getnewargs__(&self) -> (String, f32) {
        (self.id.clone(), self.score)
    }
}

impl From<FrontHit> for Hit {
    fn from(FrontHit { id, score }: FrontHit) -> Self {
        Self { id, score }
    }
}

/// What a term gives to a score: its id, its weights in query and document, and their product.
type Share = (u32, f32, f32, f32);

/// An index that is open for search.
#[pyclass(frozen, module = "light_splade_rs._native")]
#[derive(Debug)]
pub(crate) struct Searcher(FrontSearcher);

/// How a search is made.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct How {
    k: usize,
    threshold: Option<f32>,
    filter: Option<Vec<String>>,
    recall: Option<f32>,
}

impl Searcher {
    fn options(&self, how: &How) -> SearchOptions {
        let filter = how.filter.as_ref().map(|ids| self.0.filter(ids.iter().map(String::as_str)).0);
        let mode = match how.recall {
            Some(recall) => SearchMode::Approximate { recall },
            None => SearchMode::Exact,
        };
        SearchOptions { k: how.k, threshold: how.threshold, filter, mode }
    }

    fn all(
        &self,
        queries: &[SparseVector],
        how: &How,
        threads: Option<usize>,
        observer: &mut PyObserver,
    ) -> Result<Vec<Vec<Hit>>, Error> {
        let options = self.options(how);
        // One query needs no threads, and starting them takes longer than most searches.
        if let [query] = queries {
            let hits = self.0.search_vector(query, &options);
            return Ok(vec![hits.into_iter().map(Hit::from).collect()]);
        }
        let pool = thread_pool(threads)?;
        let mut search = BatchSearch::new(self.0.index(), &options, &pool, queries.len());
        let mut found = Vec::with_capacity(queries.len());
        for window in queries.chunks(QUERIES_AT_A_TIME) {
            let window: Vec<&SparseVector> = window.iter().collect();
            let hits = search.search(&window, observer)?.into_iter();
            found.extend(hits.map(|hits| hits.into_iter().map(Hit::from).collect::<Vec<_>>()));
        }
        search.finish(observer);
        Ok(found)
    }
}

#[pymethods]
impl Searcher {
    /// Opens the last commit of an index; an encoder must be of the index's model.
    #[new]
    fn new(py: Python<'_>, folder: PathBuf, encoder: Option<PyRef<'_, Encoder>>) -> PyResult<Self> {
        let encoder = encoder.as_deref();
        let searcher = observed(py, None, |_| {
            FrontSearcher::open(&folder, encoder.map(Encoder::get).transpose()?)
        })?;
        Ok(Self(searcher))
    }

    /// What is known of the model of the vectors, as JSON.
    fn provenance(&self) -> String {
        self.0.index().settings().to_string()
    }

    /// The size and the state of the index.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        info(py, &self.0.index().info())
    }

    /// The hits of query texts.
    #[pyo3(signature = (encoder, queries, how, threads = None, reporter = None))]
    fn search_texts(
        &self,
        py: Python<'_>,
        encoder: PyRef<'_, Encoder>,
        queries: Vec<String>,
        how: How,
        threads: Option<usize>,
        reporter: Option<Py<PyAny>>,
    ) -> PyResult<Vec<Vec<Hit>>> {
        let encoder: &Encoder = &encoder;
        observed(py, reporter, |observer| {
            let mut vectors = Vec::with_capacity(queries.len());
            encode_all(&encoder.get()?, Side::Query, queries, observer, |vector| {
                vectors.push(vector);
            })?;
            self.all(&vectors, &how, threads, observer)
        })
    }

    /// The hits of query vectors.
    #[pyo3(signature = (queries, how, threads = None, reporter = None))]
    fn search_vectors(
        &self,
        py: Python<'_>,
        queries: ArraysIn<'_>,
        how: How,
        threads: Option<usize>,
        reporter: Option<Py<PyAny>>,
    ) -> PyResult<Vec<Vec<Hit>>> {
        let queries = vectors(py, &queries)?;
        observed(py, reporter, |observer| self.all(&queries, &how, threads, observer))
    }

    /// What each term of a query vector gives to the score of a document; none where there is no such document.
    fn explain(
        &self,
        py: Python<'_>,
        query: ArraysIn<'_>,
        id: &str,
    ) -> PyResult<Option<Vec<Share>>> {
        let query = vectors(py, &query)?.into_iter().next().unwrap_or_default();
        let shares = py.detach(|| self.0.index().explain(&query, id));
        let share = |share: light_splade::search::Share| {
            (share.term.0, share.query_weight, share.document_weight, share.score)
        };
        Ok(shares.map(|shares| shares.into_iter().map(share).collect()))
    }

    /// The vector of a document, a matrix of one row; none where there is no such document.
    fn vector<'py>(&self, py: Python<'py>, id: &str) -> Option<Arrays<'py>> {
        let vector = self.0.index().vector(id)?;
        let mut matrix = CsrBuilder::new(1);
        matrix.push(&vector);
        Some(matrix.into_arrays(py))
    }
}
