//! Many queries on threads, each with the time that it took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rayon::prelude::*;
use splade_eval::Scored;
use splade_index::{Hit, Index, SearchOptions};
use splade_sparse::SparseVector;

use crate::input::Position;
use crate::interrupt::{self, Interrupted};
use crate::progress::Progress;

/// Queries between two looks at Ctrl-C.
pub(crate) const QUERIES_AT_A_TIME: usize = 1024;

/// Threads for work besides encoding; all cores if none is given.
pub(crate) fn pool(threads: Option<usize>) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    pool.build().context("cannot start threads")
}

/// Searches on a pool, and keeps the time of every query.
pub(crate) struct Searcher<'a> {
    index: &'a Index,
    options: &'a SearchOptions,
    pool: &'a rayon::ThreadPool,
    /// Of each query.
    times: Vec<Duration>,
    elapsed: Duration,
    /// Of long work.
    progress: Option<(Position, Progress)>,
}

impl<'a> Searcher<'a> {
    /// For so many queries.
    pub(crate) fn new(
        index: &'a Index,
        options: &'a SearchOptions,
        pool: &'a rayon::ThreadPool,
        queries: usize,
    ) -> Self {
        let progress = (queries > QUERIES_AT_A_TIME).then(|| {
            let position = Position::of(queries as u64);
            (position.clone(), Progress::start(position, "queries"))
        });
        Self { index, options, pool, times: Vec::new(), elapsed: Duration::ZERO, progress }
    }

    /// The hits of queries, in their order; an error after Ctrl-C.
    pub(crate) fn search(&mut self, queries: &[&SparseVector]) -> Result<Vec<Vec<Hit>>> {
        if interrupt::asked() {
            return Err(Interrupted("nothing is kept".to_owned()).into());
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
        if let Some((position, progress)) = &mut self.progress {
            position.read(queries.len() as u64);
            progress.add(queries.len(), 0);
        }
        Ok(hits)
    }

    /// Ends the search; says how fast it was.
    pub(crate) fn finish(mut self) -> String {
        if let Some((_, progress)) = self.progress.take() {
            progress.clear();
        }
        self.times.sort_unstable();
        let milliseconds = |share| quantile(&self.times, share).as_secs_f64() * 1e3;
        format!(
            "{} queries searched in {:.2} s: {:.0} queries/s, p50 {:.2} ms, p99 {:.2} ms",
            self.times.len(),
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

/// A ranking of a run.
pub(crate) fn ranking(hits: Vec<Hit>) -> Vec<Scored> {
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
