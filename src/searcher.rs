//! Search in an index: one query, or many on threads.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::prelude::*;
#[cfg(feature = "tools")]
use splade_eval::Scored;
use splade_index::{Bm25Search, Filter, Hit, Index as VectorIndex, SearchOptions, Share};
use splade_io::{Observer, counted};
use splade_model::Side;
use splade_sparse::SparseVector;

use crate::document::StoredDocument;
use crate::encoder::SparseEncoder;
use crate::error::{Error, advised, invalid};
use crate::provenance::Provenance;
use crate::pruning::Pruning;
use crate::record::Position;
use crate::stream::Counts;

/// An index that is opened for search, with the model that encodes its queries.
///
/// Many threads can search at once. A searcher keeps the state of the commit that it opened; another
/// one that is opened after a later commit sees that. A clone of the encoder shares its weights.
///
/// ```
/// use light_splade::{Index, IndexOptions, SearchOptions, Searcher, SparseEncoder};
/// use light_splade::input::Texts;
/// use light_splade::SparseEncoderOptions;
/// use light_splade::input::TextOptions;
///
/// let folder = tempfile::tempdir()?;
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let mut index = Index::create(folder.path().join("index"), &encoder, &IndexOptions::default())?;
/// let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl");
/// index.upsert(&encoder, Texts::open(&[corpus.into()], TextOptions::default())?, &mut ())?;
/// index.commit()?;
///
/// let searcher = Searcher::open(index.path(), Some(encoder))?;
/// let hits = searcher.search("海が見える席", &SearchOptions { k: 3, ..SearchOptions::default() })?;
/// assert_eq!(hits.len(), 3);
/// assert!(hits[0].score >= hits[1].score);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Searcher {
    index: Arc<VectorIndex>,
    encoder: Option<SparseEncoder>,
}

impl Searcher {
    /// Opens the last commit of an index. Without an encoder queries are vectors.
    ///
    /// # Errors
    /// If there is no index, it is damaged, or it has vectors of another model than the encoder's.
    pub fn open(folder: impl AsRef<Path>, encoder: Option<SparseEncoder>) -> Result<Self, Error> {
        let index = VectorIndex::open(folder.as_ref())?;
        if let Some(encoder) = &encoder {
            let queries = Provenance::of_encoder(encoder, Side::Query, &Pruning::default())?;
            let mine = format!("the index {} was made with", folder.as_ref().display());
            Provenance::from_json(index.settings()).check_model(
                &mine,
                &queries,
                "the encoder has",
            )?;
        }
        Ok(Self::with_index(index, encoder))
    }

    /// Searches an index that is open already. The encoder is not compared with the model of the index.
    pub fn with_index(index: VectorIndex, encoder: Option<SparseEncoder>) -> Self {
        Self { index: Arc::new(index), encoder }
    }

    /// Searches the same commit of the same index with another encoder. The encoder is not compared
    /// with the model of the index.
    pub fn with_encoder(&self, encoder: SparseEncoder) -> Self {
        Self { index: Arc::clone(&self.index), encoder: Some(encoder) }
    }

    /// The index itself.
    pub fn index(&self) -> &VectorIndex {
        &self.index
    }

    /// The best documents for a query text, in descending order of their scores.
    ///
    /// # Errors
    /// If there is no encoder or the text cannot be tokenized.
    pub fn search(&self, query: &str, options: &SearchOptions) -> Result<Vec<Hit>, Error> {
        Ok(self.index.search(&self.query_vector(query)?, options))
    }

    /// The best documents for a query vector, in descending order of their scores.
    pub fn search_vector(&self, query: &SparseVector, options: &SearchOptions) -> Vec<Hit> {
        self.index.search(query, options)
    }

    /// What each term of a query text gives to the score of a document; none where the index has no
    /// such document.
    ///
    /// # Errors
    /// If there is no encoder or the text cannot be tokenized.
    pub fn explain(&self, query: &str, id: &str) -> Result<Option<Vec<Share>>, Error> {
        Ok(self.index.explain(&self.query_vector(query)?, id))
    }

    /// The best documents for a query text by BM25, in descending order of their scores: the sum of
    /// `idf · tf / (tf + k1 · (1 - b + b · length / mean length))` over the tokens of the query, with the
    /// numbers of documents of the opened commit.
    ///
    /// # Errors
    /// If the index has no BM25, there is no encoder, or the text cannot be tokenized.
    pub fn search_bm25(&self, query: &str, options: &SearchOptions) -> Result<Vec<Hit>, Error> {
        let (bm25, query) = self.bm25_query(query)?;
        Ok(bm25.search(&query, options))
    }

    /// What each token of a query text gives to the score of a document by BM25; none where the index
    /// has no such document.
    ///
    /// # Errors
    /// As [`search_bm25`](Self::search_bm25).
    pub fn explain_bm25(&self, query: &str, id: &str) -> Result<Option<Vec<Share>>, Error> {
        let (bm25, query) = self.bm25_query(query)?;
        Ok(bm25.explain(&query, id))
    }

    /// The title and the text of a document; none where the index has no such document or stores no
    /// text of it.
    ///
    /// # Errors
    /// If the stored text is damaged.
    pub fn document(&self, id: &str) -> Result<Option<StoredDocument>, Error> {
        let bytes = self.index.stored(id)?.unwrap_or_default();
        let damaged =
            |error| invalid(format!("the stored text of document {id:?} is damaged: {error}"));
        StoredDocument::from_bytes(&bytes).map_err(damaged)
    }

    /// A filter for [`SearchOptions`] that allows the documents with some ids only, and the number
    /// of ids that the index does not have.
    pub fn filter<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> (Filter, usize) {
        self.index.filter(ids)
    }

    fn query_vector(&self, query: &str) -> Result<SparseVector, Error> {
        self.encoder()?.encode_query(query)
    }

    /// The postings of BM25, and the vector of a query for them.
    fn bm25_query(&self, query: &str) -> Result<(Bm25Search<'_>, SparseVector), Error> {
        let bm25 = self.index.bm25().ok_or_else(|| {
            advised("the index has no BM25", "build it again with --store --bm25")
        })?;
        let tokens = self.encoder()?.tower(Side::Query)?.tokenizer().encode_plain(query)?;
        Ok((bm25, bm25.query(&tokens)))
    }

    /// The encoder of the queries.
    pub(crate) fn encoder(&self) -> Result<&SparseEncoder, Error> {
        let missing =
            || advised("the searcher has no encoder", "open it with one, or search vectors");
        self.encoder.as_ref().ok_or_else(missing)
    }
}

/// The number of queries between two looks at the observer.
pub const QUERIES_AT_A_TIME: usize = 1024;

/// Starts threads for work besides encoding; as many as there are cores if no number is given.
///
/// ```
/// let pool = light_splade::search::thread_pool(Some(2))?;
/// assert_eq!(pool.current_num_threads(), 2);
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the system has no room for them.
pub fn thread_pool(threads: Option<usize>) -> Result<rayon::ThreadPool, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    pool.build().map_err(|error| Error::Threads(Box::new(error)))
}

/// Searches many queries on a pool of threads, and keeps the time that each took.
///
/// ```
/// use light_splade::search::{BatchSearch, thread_pool};
/// use light_splade::{Index, IndexOptions, SearchOptions, Searcher, SparseEncoder};
/// use light_splade::SparseEncoderOptions;
///
/// let folder = tempfile::tempdir()?;
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let mut index = Index::create(folder.path().join("index"), &encoder, &IndexOptions::default())?;
/// index.upsert(&encoder, [("tokyo", "日本の首都は東京です。"), ("osaka", "大阪の万博")], &mut ())?;
/// index.commit()?;
/// let queries = [encoder.encode_query("首都")?, encoder.encode_query("万博")?];
/// let searcher = Searcher::open(index.path(), Some(encoder))?;
///
/// let (options, pool) = (SearchOptions::default(), thread_pool(Some(2))?);
/// let mut search = BatchSearch::new(searcher.index(), &options, &pool, queries.len());
/// let hits = search.search(&queries.each_ref(), &mut ())?;
/// assert_eq!((hits[0][0].id.as_str(), hits[1][0].id.as_str()), ("tokyo", "osaka"));
/// println!("{}", search.finish(&mut ()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BatchSearch<'a> {
    index: &'a VectorIndex,
    options: &'a SearchOptions,
    pool: &'a rayon::ThreadPool,
    /// The time of each query.
    times: Vec<Duration>,
    elapsed: Duration,
    /// What is told of long work.
    counts: Option<(Position, Counts)>,
}

impl std::fmt::Debug for BatchSearch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchSearch").field("queries", &self.times.len()).finish_non_exhaustive()
    }
}

impl<'a> BatchSearch<'a> {
    /// Prepares a search of so many queries.
    pub fn new(
        index: &'a VectorIndex,
        options: &'a SearchOptions,
        pool: &'a rayon::ThreadPool,
        queries: usize,
    ) -> Self {
        let counts = (queries > QUERIES_AT_A_TIME)
            .then(|| (Position::of(queries as u64), Counts::new("queries", Some(0.0))));
        Self { index, options, pool, times: Vec::new(), elapsed: Duration::ZERO, counts }
    }

    /// The hits of queries, in the order of the queries.
    ///
    /// # Errors
    /// If the observer asks to stop.
    pub fn search(
        &mut self,
        queries: &[&SparseVector],
        observer: &mut dyn Observer,
    ) -> Result<Vec<Vec<Hit>>, Error> {
        if observer.stop() {
            return Err(Error::stopped());
        }
        let one = |query: &&SparseVector| {
            let start = Instant::now();
            (self.index.search(query, self.options), start.elapsed())
        };
        let start = Instant::now();
        let found: Vec<_> = self.pool.install(|| queries.par_iter().map(one).collect());
        self.elapsed += start.elapsed();
        let (hits, times): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        self.times.extend(times);
        if let Some((position, counts)) = &mut self.counts {
            position.read(queries.len() as u64);
            counts.add(queries.len(), 0, position.share());
            observer.event(counts.event(false));
        }
        Ok(hits)
    }

    /// Ends the search and returns a sentence that says how fast it was.
    pub fn finish(mut self, observer: &mut dyn Observer) -> String {
        if let Some((_, counts)) = self.counts.take() {
            observer.event(counts.event(true));
        }
        self.times.sort_unstable();
        let milliseconds = |share| quantile(&self.times, share).as_secs_f64() * 1e3;
        format!(
            "searched {} in {:.2} s: {:.0} queries/s, p50 {:.2} ms, p99 {:.2} ms",
            counted(self.times.len(), "queries"),
            self.elapsed.as_secs_f64(),
            self.times.len() as f64 / self.elapsed.as_secs_f64().max(1e-9),
            milliseconds(0.5),
            milliseconds(0.99)
        )
    }
}

/// The smallest of the ascending times that a share of them does not exceed.
fn quantile(times: &[Duration], share: f64) -> Duration {
    let rank = (share * times.len() as f64).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The hits of a query as a ranking of a run.
///
/// ```
/// use light_splade::Hit;
/// use light_splade::search::ranking;
///
/// let hits = vec![Hit { id: "d1".to_owned(), score: 2.5 }];
/// let ranking = ranking(hits);
/// assert_eq!((ranking[0].document.as_str(), ranking[0].score), ("d1", 2.5));
/// ```
#[cfg(feature = "tools")]
pub fn ranking(hits: Vec<Hit>) -> Vec<Scored> {
    hits.into_iter().map(|hit| Scored { document: hit.id, score: hit.score }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_occurred() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 0.5), Duration::from_millis(100));
        assert_eq!(quantile(&times, 0.99), Duration::from_millis(198));
        assert_eq!(quantile(&times[..1], 0.99), Duration::from_millis(1));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
