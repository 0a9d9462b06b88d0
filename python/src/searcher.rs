//! `Searcher`: an index that is open for search.

use std::path::PathBuf;

use light_splade::encode::Side;
use light_splade::progress::{Event, Progress};
use light_splade::search::{
    BatchSearch, HybridOptions, QUERIES_AT_A_TIME, RerankedHit, SearchMode, Share as FrontShare,
    thread_pool,
};
use light_splade::{Error, Observer, SearchOptions, Searcher as FrontSearcher, SparseVector};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rayon::prelude::*;

use crate::cross_encoder::CrossEncoder;
use crate::csr::{Arrays, ArraysIn, CsrBuilder, vectors};
use crate::encoder::{Encoder, encode_all};
use crate::errors;
use crate::fusion::Fusing;
use crate::hit::{Hit, Passage, passage};
use crate::index::info;
use crate::observer::{PyObserver, observed};

/// What a term gives to a score: its id, its weights in query and document, and their product.
type Share = (u32, f32, f32, f32);

fn shares(shares: Option<Vec<FrontShare>>) -> Option<Vec<Share>> {
    let share =
        |share: FrontShare| (share.term.0, share.query_weight, share.document_weight, share.score);
    shares.map(|shares| shares.into_iter().map(share).collect())
}

/// The title and the text of a document.
type Document = (String, String);

/// The id of a document with the title and the passage that fits a query best, each with its marks; none where the index
/// stores no text of it.
type Snippet = Option<(Passage, Passage)>;

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
    /// The same index with an encoder that has its threads in this process.
    fn with(&self, encoder: &Encoder) -> Result<FrontSearcher, Error> {
        Ok(self.0.with_encoder(encoder.get()?))
    }

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

/// The number of queries whose texts are searched between two looks at the observer.
const TEXTS_AT_A_TIME: usize = 64;

/// Searches the texts of queries on threads.
fn each<Q: Sync>(
    queries: &[Q],
    threads: Option<usize>,
    observer: &mut PyObserver,
    search: impl Fn(&Q) -> Result<Vec<Hit>, Error> + Sync,
) -> Result<Vec<Vec<Hit>>, Error> {
    if let [query] = queries {
        return Ok(vec![search(query)?]);
    }
    let (pool, mut found) = (thread_pool(threads)?, Vec::with_capacity(queries.len()));
    for window in queries.chunks(TEXTS_AT_A_TIME) {
        if observer.stop() {
            return Err(Error::Stopped { kept: "nothing is kept".to_owned() });
        }
        let hits: Result<Vec<_>, Error> = pool.install(|| window.par_iter().map(&search).collect());
        found.extend(hits?);
        observer.event(Event::Progress(Progress {
            doing: "searching",
            unit: "queries",
            done: found.len() as u64,
            total: Some(queries.len() as u64),
            share: Some(found.len() as f64 / queries.len() as f64),
            finished: found.len() == queries.len(),
            ..Progress::default()
        }));
    }
    Ok(found)
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

    /// The hits of query texts by BM25.
    #[pyo3(signature = (encoder, queries, how, threads = None, reporter = None))]
    fn search_bm25(
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
            let (searcher, options) = (self.with(encoder)?, self.options(&how));
            each(&queries, threads, observer, |query| {
                let hits = searcher.search_bm25(query, &options)?;
                Ok(hits.into_iter().map(Hit::from).collect())
            })
        })
    }

    /// The hits of query texts and their vectors by SPLADE and BM25 together.
    #[pyo3(signature = (encoder, queries, query_vectors, how, fusing, depth = None, threads = None, reporter = None))]
    #[expect(clippy::too_many_arguments, reason = "these are the arguments of a Python method")]
    fn search_hybrid(
        &self,
        py: Python<'_>,
        encoder: PyRef<'_, Encoder>,
        queries: Vec<String>,
        query_vectors: ArraysIn<'_>,
        how: How,
        fusing: Fusing,
        depth: Option<usize>,
        threads: Option<usize>,
        reporter: Option<Py<PyAny>>,
    ) -> PyResult<Vec<Vec<Hit>>> {
        let query_vectors = vectors(py, &query_vectors)?;
        let fusion = fusing.fusion(py, 2)?;
        let encoder: &Encoder = &encoder;
        observed(py, reporter, |observer| {
            let SearchOptions { k, filter, mode, .. } = self.options(&how);
            let depth = depth.unwrap_or(HybridOptions::default().depth);
            let options = HybridOptions { k, depth, fusion, filter, mode };
            let searcher = self.with(encoder)?;
            let queries: Vec<_> = queries.iter().zip(&query_vectors).collect();
            each(&queries, threads, observer, |(query, vector)| {
                let hits = searcher.search_hybrid_with(vector, query, &options)?;
                Ok(hits.into_iter().map(Hit::from).collect())
            })
        })
    }

    /// The places of documents in the order of a cross-encoder, from 0, with its scores.
    fn rerank(
        &self,
        py: Python<'_>,
        cross_encoder: PyRef<'_, CrossEncoder>,
        query: &str,
        ids: Vec<String>,
    ) -> PyResult<Vec<(usize, f32)>> {
        let cross_encoder: &CrossEncoder = &cross_encoder;
        if cross_encoder.model().labels() != 1 {
            let message = format!(
                "the model has {} labels, but a ranking needs one score",
                cross_encoder.model().labels()
            );
            return Err(errors::invalid(py, &message, None));
        }
        let ids = || ids.iter().map(String::as_str);
        let reranked = observed(py, None, |_| {
            let pool = thread_pool(cross_encoder.threads())?;
            pool.install(|| self.0.rerank(cross_encoder.model(), query, ids()))
        })?;
        let place = |hit: RerankedHit| (hit.rank_before - 1, hit.score);
        Ok(reranked.into_iter().map(place).collect())
    }

    /// Whether the index stores the texts of documents.
    fn stores(&self) -> bool {
        self.0.index().stores()
    }

    /// The title and the text of a document; none where there is no such document or its text is not stored.
    fn document(&self, py: Python<'_>, id: &str) -> PyResult<Option<Document>> {
        let document = observed(py, None, |_| self.0.document(id))?;
        Ok(document.map(|document| (document.title, document.text)))
    }

    /// The titles and the passages of documents that fit a query best.
    fn snippets(
        &self,
        py: Python<'_>,
        encoder: PyRef<'_, Encoder>,
        query: &str,
        ids: Vec<String>,
        max_chars: usize,
    ) -> PyResult<Vec<Snippet>> {
        let encoder: &Encoder = &encoder;
        observed(py, None, |_| {
            let searcher = self.with(encoder)?;
            let terms = searcher.query_terms(query)?;
            let snippet = |id: &String| {
                let Some(document) = searcher.document(id)? else { return Ok(None) };
                let (title, text) = (&document.title, &document.text);
                let title = passage(title, 0..title.len(), &searcher.marks(&terms, title)?);
                let found = searcher.snippet(&terms, text, max_chars)?;
                Ok(Some((title, passage(text, found.range, &found.marks))))
            };
            ids.iter().map(snippet).collect()
        })
    }

    /// What each term of a query vector gives to the score of a document; none where there is no such document.
    fn explain(
        &self,
        py: Python<'_>,
        query: ArraysIn<'_>,
        id: &str,
    ) -> PyResult<Option<Vec<Share>>> {
        let query = vectors(py, &query)?.into_iter().next().unwrap_or_default();
        Ok(shares(py.detach(|| self.0.index().explain(&query, id))))
    }

    /// What each token of a query gives to the score of a document by BM25; none where there is no such document.
    fn explain_bm25(
        &self,
        py: Python<'_>,
        encoder: PyRef<'_, Encoder>,
        query: &str,
        id: &str,
    ) -> PyResult<Option<Vec<Share>>> {
        let encoder: &Encoder = &encoder;
        observed(py, None, |_| Ok(shares(self.with(encoder)?.explain_bm25(query, id)?)))
    }

    /// The vector of a document, a matrix of one row; none where there is no such document.
    fn vector<'py>(&self, py: Python<'py>, id: &str) -> Option<Arrays<'py>> {
        let vector = self.0.index().vector(id)?;
        let mut matrix = CsrBuilder::new(1);
        matrix.push(&vector);
        Some(matrix.into_arrays(py))
    }
}
