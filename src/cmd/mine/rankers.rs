//! What ranks documents for queries: BM25, a SPLADE model, chance.
//!
//! An index is built in `<folder>.partial`, which is renamed when all documents are in it.

use std::ops::Range;
use std::path::{Path, absolute};

use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use serde_json::{Value, json};
use splade_index::{
    Bm25Options, Filter, Hit, Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions,
};
use splade_model::{Encoder, EncoderOptions, Side};
use splade_sparse::SparseVector;
use splade_text::{Tokenizer, TokenizerOptions};
use splade_train::mine::random_ranking;
use splade_train::stamps::file_stamp;

use super::{Data, QUERIES_AT_A_TIME, model_stamp};
use crate::args::{MineArgs, PruneArgs, Ranker, SourceArg, WeightsArg};
use crate::builtin;
use crate::cmd::bm25::{Bm25Index, counts_of};
use crate::cmd::index::made_by::{Encoding, MadeBy};
use crate::cmd::retrieval::pool;
use crate::cmd::stream::{self, Ended};
use crate::cmd::{Records, Vocabulary, hint_at_model, load};
use crate::input::Position;
use crate::interrupt::Interrupted;
use crate::progress::say;

/// Of the rankings that are held at once.
const RANKING_BYTES: usize = 64 << 20;

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
    /// Which model and index these are, where the index is one that is kept.
    inputs: Value,
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
            None => MadeBy { model: Some(builtin::NAME.into()), ..MadeBy::default() },
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

    /// What the rankings depend on that is not known before the rankers are there.
    pub(super) fn inputs(&self) -> Value {
        self.splade.as_ref().map_or(Value::Null, |splade| splade.inputs.clone())
    }

    /// The rank that the sources of a ranker need at most: one search serves all of them.
    fn depth(&self, ranker: Ranker) -> usize {
        let own = self.sources.iter().filter(|source| source.ranker == ranker);
        own.map(|source| source.options.depth).max().unwrap_or(0) + self.most
    }

    /// Queries that are ranked at a time.
    pub(super) fn queries_at_once(&self) -> usize {
        let depths = self.sources.iter().map(|source| self.depth(source.ranker));
        queries_at_once(depths.map(|depth| depth.min(self.data.docs.len())).sum())
    }

    /// For each query of some rows a ranking for each source.
    pub(super) fn rank(&mut self, rows: Range<usize>) -> Result<Vec<Vec<Vec<i64>>>> {
        let text = |row| self.data.queries.get(self.data.queries.id_at(row));
        let texts = rows.clone().map(text).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let mut all = vec![Vec::new(); rows.len()];
        let found = |index, vectors: &[SparseVector], ranker, filter: Option<&Filter>| {
            let filter = filter.cloned();
            let options =
                SearchOptions { k: self.depth(ranker), filter, ..SearchOptions::default() };
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
                        let query = self.data.queries.id_at(row);
                        let count = self.depth(Ranker::Random);
                        random_ranking(self.seed, query, count, docs.len(), |row| docs.id_at(row))
                    }
                });
            }
        }
        Ok(all)
    }
}

/// As many queries as have room, by the documents of the rankings of one. A ranking may be there
/// twice: as it is found, and for its source.
fn queries_at_once(documents: usize) -> usize {
    let bytes = 2 * documents * size_of::<i64>();
    (RANKING_BYTES / bytes.max(1)).clamp(1, QUERIES_AT_A_TIME)
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
                let folder = tempfile::tempdir()?;
                (folder.path().join("index"), Some(folder))
            }
        };
        let index = match is_index(&dir) {
            true => {
                check_model(made_by, model, &dir)?;
                made_by.check(model, encoder.tokenizer().len())?;
                Index::open(&dir)?
            }
            false => build(args, model, data, &dir)?,
        };
        let inputs = match &args.index {
            Some(dir) => json!([file_stamp(&dir.join("index.json"))?, model_stamp(model)?]),
            None => Value::Null,
        };
        let ids: Vec<String> = data.docs.ids().map(|id| id.to_string()).collect();
        let (filter, missing) = index.filter(ids.iter().map(String::as_str));
        if missing == ids.len() {
            bail!(
                "none of the {missing} documents is in the index {}; name another folder with \
                 --index, or remove this one to have it built anew",
                dir.display()
            );
        }
        if missing > 0 {
            say(&format!("warning: {missing} of {} documents are not in the index", ids.len()));
        }
        // Documents that the index has beside those are never found.
        let others = index.info().documents > (ids.len() - missing) as u64;
        let filter = others.then_some(filter);
        Ok(Self { encoder, index, inputs, filter, _temporary: temporary })
    }
}

/// Refuses another model than that of an index, whose vectors would mean nothing to it. One that is
/// not where the index remembers it may be elsewhere now.
fn check_model(made_by: &MadeBy, model: &Path, index: &Path) -> Result<()> {
    let given = std::fs::canonicalize(model).unwrap_or_else(|_| model.to_path_buf());
    let of_index = made_by.model.as_deref().filter(|own| own.is_relative() || own.exists());
    match of_index.filter(|own| **own != given) {
        None => Ok(()),
        Some(own) => bail!(
            "the index {} was built with the model {}, not with {}; leave out --model (and \
             LIGHT_SPLADE_MODEL), or name another folder with --index for the other model",
            index.display(),
            own.display(),
            model.display()
        ),
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
    // An empty folder gives way to the index; one that cannot, such as a mount, is told at once.
    if dir.exists() {
        std::fs::remove_dir(dir)
            .with_context(|| format!("cannot put an index in the place of {}", dir.display()))?;
    }
    let partial = absolute(dir)?.with_added_extension("partial");
    if partial.exists() {
        std::fs::remove_dir_all(&partial)
            .with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    say("encoding and indexing documents");
    let mut writer = IndexWriter::create(&partial, settings, how)?;
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
        std::fs::remove_dir_all(&partial)?;
        return Err(error);
    }
    writer.commit()?;
    drop(writer);
    std::fs::rename(&partial, dir)
        .with_context(|| format!("cannot rename {} to {}", partial.display(), dir.display()))?;
    Ok(Index::open(dir)?)
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

    #[test]
    fn an_index_knows_its_model() {
        let dir = tempfile::tempdir().expect("a folder");
        let index = Path::new("index");
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        for path in [&a, &b] {
            std::fs::create_dir(path).expect("made");
        }
        let made_by = MadeBy::model(&a, 9, 9);
        assert!(check_model(&made_by, &a, index).is_ok());
        assert!(check_model(&MadeBy::default(), &b, index).is_ok());
        let message = check_model(&made_by, &b, index).expect_err("another").to_string();
        assert!(message.contains("leave out --model"), "{message}");
        // Of a name at the hub there is no folder.
        let named = MadeBy::model(Path::new("org/name"), 9, 9);
        assert!(check_model(&named, Path::new("org/name"), index).is_ok());
        assert!(check_model(&named, &b, index).is_err());
        // Moved.
        std::fs::remove_dir(&a).expect("removed");
        assert!(check_model(&made_by, &b, index).is_ok());
    }
}
