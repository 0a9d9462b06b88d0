//! What ranks documents for queries: BM25, a SPLADE model, chance.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, bail};
use rayon::prelude::*;
use splade_index::{
    Bm25Options, Filter, Hit, Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions,
};
use splade_model::{Encoder, EncoderOptions, Side};
use splade_sparse::SparseVector;
use splade_text::{Tokenizer, TokenizerOptions};
use splade_train::mine::random_ranking;

use super::Data;
use crate::args::{MineArgs, PruneArgs, Ranker, SourceArg, WeightsArg};
use crate::cmd::bm25::{Bm25Index, counts_of};
use crate::cmd::index::made_by::{Encoding, MadeBy};
use crate::cmd::retrieval::pool;
use crate::cmd::stream::{self, Ended};
use crate::cmd::{Records, Vocabulary, hint_at_model, load};
use crate::input::Position;
use crate::interrupt::Interrupted;
use crate::progress::say;

/// All that the sources need.
pub(super) struct Rankers<'a> {
    data: &'a Data,
    sources: &'a [SourceArg],
    seed: u64,
    /// Positives of the query that has most: so many documents of a ranking may be none.
    most: usize,
    pool: rayon::ThreadPool,
    bm25: Option<(Tokenizer, Bm25Index)>,
    splade: Option<Splade>,
}

/// An index and the encoder of its queries.
struct Splade {
    encoder: Encoder,
    index: Index,
    /// The documents of the data, where the index has others too.
    filter: Option<Filter>,
    _temporary: Option<tempfile::TempDir>,
}

impl<'a> Rankers<'a> {
    pub(super) fn open(args: &'a MineArgs, data: &'a Data, most: usize) -> Result<Self> {
        let pool = pool(args.engine.run.threads)?;
        let uses = |ranker| args.source.iter().any(|source| source.ranker == ranker);
        let made_by = match args.index.as_deref().filter(|dir| is_index(dir)) {
            Some(dir) => MadeBy::from_json(Index::open(dir)?.settings()),
            None => MadeBy::default(),
        };
        let model = args.model.as_deref().or(made_by.model.as_deref());
        let model = || match model {
            Some(model) => Ok(model),
            None => bail!("the index names no model; give --model"),
        };
        let bm25 = match uses(Ranker::Bm25) {
            false => None,
            true => {
                let options =
                    TokenizerOptions { mecab_dicdir: args.engine.run.mecab_dicdir.clone() };
                let Vocabulary { tokenizer, .. } =
                    Vocabulary::open(model()?, Side::Document, &options)?;
                let count = data.docs.len() as u64;
                let built = Bm25Index::build(
                    &tokenizer,
                    || data.documents(),
                    count,
                    Bm25Options::default(),
                    &pool,
                )?;
                Some((tokenizer, built))
            }
        };
        let splade = match uses(Ranker::Splade) {
            false => None,
            true => Some(Splade::open(args, model()?, &made_by, data)?),
        };
        let (sources, seed) = (&args.source, args.seed);
        Ok(Self { data, sources, seed, most, pool, bm25, splade })
    }

    /// For each query of some rows a ranking for each source.
    pub(super) fn rank(&mut self, rows: Range<usize>) -> Result<Vec<Vec<Vec<i64>>>> {
        let text = |row| self.data.queries.get(self.data.queries.id_at(row));
        let texts = rows.clone().map(text).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let mut all = vec![Vec::new(); rows.len()];
        // One search serves all sources of a ranker.
        let depth = |ranker| {
            let own = self.sources.iter().filter(|source| source.ranker == ranker);
            own.map(|source| source.options.depth).max().unwrap_or(0) + self.most
        };
        let found = |index, vectors: &[SparseVector], ranker, filter: Option<&Filter>| {
            let filter = filter.cloned();
            let options = SearchOptions { k: depth(ranker), filter, ..SearchOptions::default() };
            let search = |vector| ids(Index::search(index, vector, &options));
            self.pool.install(|| vectors.par_iter().map(search).collect::<Result<Vec<_>>>())
        };
        let bm25 = match &self.bm25 {
            None => Vec::new(),
            Some((tokenizer, built)) => {
                let counts = counts_of(tokenizer, &texts, &self.pool)?;
                found(&built.index, &counts, Ranker::Bm25, None)?
            }
        };
        let splade = match &self.splade {
            None => Vec::new(),
            Some(Splade { encoder, index, filter, .. }) => {
                found(index, &encoder.encode(&texts)?, Ranker::Splade, filter.as_ref())?
            }
        };
        for (place, (row, rankings)) in rows.zip(&mut all).enumerate() {
            for source in self.sources {
                rankings.push(match source.ranker {
                    Ranker::Bm25 => bm25[place].clone(),
                    Ranker::Splade => splade[place].clone(),
                    Ranker::Random => {
                        let docs = &self.data.docs;
                        let (query, count) = (self.data.queries.id_at(row), depth(Ranker::Random));
                        random_ranking(self.seed, query, count, docs.len(), |row| docs.id_at(row))
                    }
                });
            }
        }
        Ok(all)
    }
}

fn is_index(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

/// Ids of an index that was not built of the data are a mistake that would pass unseen.
fn ids(hits: Vec<Hit>) -> Result<Vec<i64>> {
    let id = |hit: Hit| match hit.id.parse() {
        Ok(id) => Ok(id),
        Err(_) => bail!("the index has a document {:?}, which is no id of doc_master", hit.id),
    };
    hits.into_iter().map(id).collect()
}

impl Splade {
    fn open(args: &MineArgs, model: &Path, made_by: &MadeBy, data: &Data) -> Result<Self> {
        let options = EncoderOptions { side: Side::Query, ..args.engine.options() };
        let encoder = hint_at_model(load(model, &options), args.model.as_ref())?;
        let (dir, temporary) = match &args.index {
            Some(dir) => (dir.clone(), None),
            None => {
                let dir = tempfile::tempdir()?;
                (dir.path().to_path_buf(), Some(dir))
            }
        };
        let index = match is_index(&dir) {
            true => {
                made_by.check(model, encoder.tokenizer().len())?;
                Index::open(&dir)?
            }
            false => build(args, model, data, &dir)?,
        };
        let ids: Vec<String> = data.docs.ids().map(|id| id.to_string()).collect();
        let (filter, missing) = index.filter(ids.iter().map(String::as_str));
        if missing > 0 {
            say(&format!("warning: {missing} of {} documents are not in the index", ids.len()));
        }
        // Documents that the index has beside those are never found.
        let others = index.info().documents > (ids.len() - missing) as u64;
        let filter = others.then_some(filter);
        Ok(Self { encoder, index, filter, _temporary: temporary })
    }
}

/// Encodes the documents into a new index; of one that is not finished nothing is left.
fn build(args: &MineArgs, model: &Path, data: &Data, dir: &Path) -> Result<Index> {
    let options = args.engine.options();
    let encoder = load(model, &options)?;
    let everything = PruneArgs { top_k: None, threshold: None };
    let mut made_by = MadeBy::model(model, encoder.vocab(), encoder.tokenizer().len());
    made_by.encoding = Some(Encoding::of(&encoder, &options, &everything));
    let settings = IndexOptions { weights: WeightsArg::U8.into(), settings: made_by.to_json() };
    let how = WriterOptions { threads: args.engine.run.threads, ..WriterOptions::default() };
    say("encoding and indexing documents");
    let mut writer = IndexWriter::create(dir, settings, how)?;
    let position = Position::of(data.docs.len() as u64);
    let read = position.clone();
    let mut records: Records = Box::new(data.documents().inspect(move |_| read.read(1)));
    let ended =
        stream::encode(&encoder, &mut records, position, |id, vector| Ok(writer.put(id, &vector)?));
    let failed = match ended {
        Ok(Ended::Whole) => None,
        Ok(Ended::Interrupted) => Some(Interrupted("nothing is kept".to_owned()).into()),
        Err(error) => Some(error),
    };
    if let Some(error) = failed {
        drop(writer);
        std::fs::remove_dir_all(dir)?;
        return Err(error);
    }
    writer.commit()?;
    Ok(Index::open(dir)?)
}
