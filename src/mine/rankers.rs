//! The rankings of sources: BM25, a SPLADE model, dense models, chance.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;
use splade_data::mine::random_ranking;
use splade_io::Observer;
use splade_model::HeadKind;

use super::data::Data;
use super::options::{MineOptions, NegativeSource, RankerKind};
use crate::dense_ranker::DenseRanker;
use crate::dense_vectors::TextsOf;
use crate::error::{Error, advised};
use crate::parts::QUERIES_AT_A_TIME;
use crate::ranker::{Ranker, RankerOptions};
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
    /// A dense or late-interaction model for each of these sources.
    dense: Vec<Option<Rc<DenseRanker>>>,
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
        let mut loaded: Vec<(RankerKind, PathBuf, Rc<DenseRanker>)> = Vec::new();
        let mut dense = Vec::new();
        for source in &options.sources {
            let Some((kind, model)) = dense_model(source, ranker)? else {
                dense.push(None);
                continue;
            };
            let known = |(own, name, _): &&(_, PathBuf, _)| *own == source.ranker && name == model;
            if let Some((_, _, known)) = loaded.iter().find(known) {
                dense.push(Some(Rc::clone(known)));
                continue;
            }
            let queries = TextsOf { texts: &masters.queries, ids: None };
            let docs = TextsOf { texts: &masters.docs, ids: None };
            let opened = DenseRanker::open(model, kind, ranker, &queries, &docs, observer)?;
            let opened = Rc::new(opened);
            loaded.push((source.ranker, model.to_path_buf(), Rc::clone(&opened)));
            dense.push(Some(opened));
        }
        let (sources, seed) = (&options.sources, options.seed);
        Ok(Self { data, sources, seed, most, pool, bm25, splade, dense })
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
        let mut by_model: Vec<Vec<Vec<i64>>> = Vec::new();
        for (source, ranker) in self.sources.iter().zip(&self.dense) {
            let depth = self.depth(source.ranker);
            let found = ranker.as_ref().map(|ranker| ranker.rank(&texts, depth, &self.pool));
            by_model.push(found.transpose()?.unwrap_or_default());
        }
        let by_chance = |row| {
            let (query, count) = (queries.id_at(row), self.depth(RankerKind::Random));
            random_ranking(self.seed, query, count, docs.len(), |row| docs.id_at(row))
        };
        let ranking =
            |place: usize, row, number: usize, source: &NegativeSource| match source.ranker {
                RankerKind::Dense | RankerKind::Colbert => by_model[number][place].clone(),
                RankerKind::Bm25 => bm25[place].clone(),
                RankerKind::Splade => splade[place].clone(),
                RankerKind::Random => by_chance(row),
            };
        let of = |(place, row)| {
            let sources = self.sources.iter().enumerate();
            sources.map(|(number, source)| ranking(place, row, number, source)).collect()
        };
        Ok(rows.enumerate().map(of).collect())
    }
}

/// The kind of vectors and the model of a dense source; none for other sources.
pub(super) fn dense_model<'a>(
    source: &'a NegativeSource,
    options: &'a RankerOptions,
) -> Result<Option<(HeadKind, &'a Path)>, Error> {
    let kind = match source.ranker {
        RankerKind::Dense => HeadKind::Dense,
        RankerKind::Colbert => HeadKind::MultiVector,
        _ => return Ok(None),
    };
    let model = source.model.as_deref().or(options.model.as_deref());
    match model {
        Some(model) => Ok(Some((kind, model))),
        None => Err(advised(
            format!("no model is named for the source {}", source.ranker.name()),
            "name one with --model, or in the source: dense,model=FOLDER",
        )),
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
