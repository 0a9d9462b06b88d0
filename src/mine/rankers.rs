//! The rankings of sources: BM25, a SPLADE model, chance.

use std::ops::Range;

use serde_json::Value;
use splade_data::mine::random_ranking;
use splade_io::Observer;

use super::data::Data;
use super::options::{MineOptions, NegativeSource, RankerKind};
use crate::error::Error;
use crate::parts::QUERIES_AT_A_TIME;
use crate::ranker::Ranker;
use crate::searcher::thread_pool;

/// Of the rankings that are held at once.
const RANKING_BYTES: usize = 64 << 20;

/// All that the sources need.
pub(super) struct Rankers<'a> {
    data: &'a Data,
    sources: &'a [NegativeSource],
    seed: u64,
    /// Positives of the query that has most: so many documents of a ranking may be none.
    most: usize,
    pool: rayon::ThreadPool,
    bm25: Option<Ranker>,
    splade: Option<Ranker>,
}

impl<'a> Rankers<'a> {
    pub(super) fn open(
        options: &'a MineOptions,
        data: &'a Data,
        most: usize,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let pool = thread_pool(options.ranker.encoder.threads)?;
        let uses = |ranker| options.sources.iter().any(|source| source.ranker == ranker);
        let (ranker, masters) = (&options.ranker, &data.masters);
        let bm25 = uses(RankerKind::Bm25);
        let bm25 = bm25.then(|| Ranker::bm25(ranker, masters, &pool, observer)).transpose()?;
        let splade = uses(RankerKind::Splade);
        let splade = splade.then(|| Ranker::splade(ranker, masters, observer)).transpose()?;
        let (sources, seed) = (&options.sources, options.seed);
        Ok(Self { data, sources, seed, most, pool, bm25, splade })
    }

    /// What the rankings depend on that is not known before the rankers are there.
    pub(super) fn inputs(&self) -> Value {
        self.splade.as_ref().map_or(Value::Null, |splade| splade.inputs().clone())
    }

    /// The rank that the sources of a ranker need at most: one search serves all of them.
    fn depth(&self, ranker: RankerKind) -> usize {
        let own = self.sources.iter().filter(|source| source.ranker == ranker);
        own.map(|source| source.options.depth).max().unwrap_or(0) + self.most
    }

    /// Queries that are ranked at a time.
    pub(super) fn queries_at_once(&self) -> usize {
        let depths = self.sources.iter().map(|source| self.depth(source.ranker));
        queries_at_once(depths.map(|depth| depth.min(self.data.masters.docs.len())).sum())
    }

    /// For each query of some rows a ranking for each source.
    pub(super) fn rank(&self, rows: Range<usize>) -> Result<Vec<Vec<Vec<i64>>>, Error> {
        let (docs, queries) = (&self.data.masters.docs, &self.data.masters.queries);
        let text = |row| queries.get(queries.id_at(row));
        let texts = rows.clone().map(text).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let found = |ranker: &Option<Ranker>, kind| -> Result<Vec<Vec<i64>>, Error> {
            let Some(ranker) = ranker else { return Ok(Vec::new()) };
            let vectors = ranker.vectors(&texts, &self.pool)?;
            ranker.rank(&vectors, self.depth(kind), &self.pool)
        };
        let bm25 = found(&self.bm25, RankerKind::Bm25)?;
        let splade = found(&self.splade, RankerKind::Splade)?;
        let by_chance = |row| {
            let (query, count) = (queries.id_at(row), self.depth(RankerKind::Random));
            random_ranking(self.seed, query, count, docs.len(), |row| docs.id_at(row))
        };
        let ranking = |place: usize, row, source: &NegativeSource| match source.ranker {
            RankerKind::Bm25 => bm25[place].clone(),
            RankerKind::Splade => splade[place].clone(),
            RankerKind::Random => by_chance(row),
        };
        let of = |(place, row)| self.sources.iter().map(|s| ranking(place, row, s)).collect();
        Ok(rows.enumerate().map(of).collect())
    }
}

/// As many queries as have room, by the documents of the rankings of one. A ranking may be there
/// twice: as it is found, and for its source.
fn queries_at_once(documents: usize) -> usize {
    let bytes = 2 * documents * size_of::<i64>();
    (RANKING_BYTES / bytes.max(1)).clamp(1, QUERIES_AT_A_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankings_have_room() {
        for (documents, queries) in
            [(0, 1024), (130, 1024), (4096, 1024), (8192, 512), (1 << 20, 4), (usize::MAX >> 5, 1)]
        {
            assert_eq!(queries_at_once(documents), queries, "{documents}");
        }
    }
}
