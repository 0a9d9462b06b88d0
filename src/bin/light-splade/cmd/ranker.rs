//! What compares queries with the documents of training data: BM25, a SPLADE model.
//!
//! An index is built in `<folder>.partial`, which is renamed when all documents are in it.

use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use serde_json::{Value, json};
use splade_data::stamps::{file_stamp, weights_stamp};
use splade_index::bm25::Bm25Options;
use splade_index::{Filter, Hit, Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions};
use splade_model::{Encoder, EncoderOptions, ModelFolder, Side};
use splade_sparse::SparseVector;
use splade_text::{Tokenizer, TokenizerOptions};

use super::bm25::{Bm25Index, counts_of};
use super::index::made_by::{Encoding, MadeBy};
use super::masters::Masters;
use super::stream::{self, Ended};
use super::{Records, Vocabulary, full, hint_at_model, load};
use crate::args::{PruneArgs, RankerArgs, WeightsArg};
use crate::builtin;
use crate::input::Position;
use crate::interrupt::Interrupted;
use crate::progress::say;

/// An index of the documents, and what makes vectors of queries.
pub(crate) struct Ranker {
    queries: Queries,
    index: Index,
    /// Which model and index these are, where the index is one that is kept.
    inputs: Value,
    /// The documents of the data, where the index has others too.
    filter: Option<Filter>,
    _temporary: Option<tempfile::TempDir>,
}

enum Queries {
    Counts(Tokenizer),
    Encoded(Encoder),
}

impl Ranker {
    /// BM25 over the tokens of the model.
    pub(crate) fn bm25(
        args: &RankerArgs,
        masters: &Masters,
        pool: &rayon::ThreadPool,
    ) -> Result<Self> {
        let options = TokenizerOptions { mecab_dicdir: args.engine.run.mecab_dicdir.clone() };
        let model = model_of(args)?.0;
        let Vocabulary { tokenizer, .. } = Vocabulary::open(&model, Side::Document, &options)?;
        let (count, constants) = (masters.docs.len() as u64, Bm25Options::default());
        let documents = || masters.documents();
        let Bm25Index { index, dir } =
            Bm25Index::build(&tokenizer, documents, count, constants, pool)?;
        let queries = Queries::Counts(tokenizer);
        Ok(Self { queries, index, inputs: Value::Null, filter: None, _temporary: Some(dir) })
    }

    /// A SPLADE model, over the index that is kept if there is one.
    pub(crate) fn splade(args: &RankerArgs, masters: &Masters) -> Result<Self> {
        let (model, made_by) = model_of(args)?;
        let model = model.as_path();
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
                check_model(&made_by, model, &dir)?;
                made_by.check(model, encoder.tokenizer().len())?;
                Index::open(&dir)?
            }
            false => build(args, model, masters, &dir)?,
        };
        let inputs = match &args.index {
            Some(dir) => json!([file_stamp(&dir.join("index.json"))?, model_stamp(model)?]),
            None => Value::Null,
        };
        let ids: Vec<String> = masters.docs.ids().map(|id| id.to_string()).collect();
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
        let queries = Queries::Encoded(encoder);
        Ok(Self { queries, index, inputs, filter, _temporary: temporary })
    }

    /// What the rankings depend on that is not known before the ranker is there.
    pub(crate) fn inputs(&self) -> &Value {
        &self.inputs
    }

    /// The vectors of queries.
    pub(crate) fn vectors(
        &self,
        texts: &[&str],
        pool: &rayon::ThreadPool,
    ) -> Result<Vec<SparseVector>> {
        Ok(match &self.queries {
            Queries::Counts(tokenizer) => counts_of(tokenizer, texts, pool)?,
            Queries::Encoded(encoder) => encoder.encode(texts)?,
        })
    }

    /// The best documents of queries.
    pub(crate) fn rank(
        &self,
        vectors: &[SparseVector],
        depth: usize,
        pool: &rayon::ThreadPool,
    ) -> Result<Vec<Vec<i64>>> {
        let filter = self.filter.clone();
        let options = SearchOptions { k: depth, filter, ..SearchOptions::default() };
        let search = |vector| ids(self.index.search(vector, &options));
        pool.install(|| vectors.par_iter().map(search).collect())
    }

    /// The score of a document; none if it is not in the index.
    pub(crate) fn score(&self, vector: &SparseVector, doc: i64) -> Option<f32> {
        self.index.score(vector, &doc.to_string())
    }
}

/// What a file depends on by what ranks.
pub(crate) fn settings(args: &RankerArgs) -> Result<Value> {
    Ok(json!({
        "model": args.model.as_deref().map(full),
        "model_files": args.model.as_deref().map(model_stamp).transpose()?,
        // Not followed through links: it may not be there yet.
        "index": args.index.as_deref().map(absolute).transpose()?,
        "precision": args.engine.precision.to_string(),
        "max_length": args.engine.max_length,
        "mecab_dicdir": args.engine.run.mecab_dicdir.as_deref().map(full),
    }))
}

/// The model that is to be used, and what an index that is there says of its own.
fn model_of(args: &RankerArgs) -> Result<(PathBuf, MadeBy)> {
    let made_by = match args.index.as_deref().filter(|dir| is_index(dir)) {
        Some(dir) => MadeBy::from_json(Index::open(dir)?.settings()),
        None => MadeBy { model: Some(builtin::NAME.into()), ..MadeBy::default() },
    };
    let model = args.model.clone().or(made_by.model.clone());
    Ok((model.context("the index names no model; give --model")?, made_by))
}

/// Sizes and times of a model's weights; none of a name at the hub, which has a revision.
fn model_stamp(model: &Path) -> Result<Value> {
    if !model.is_dir() {
        return Ok(Value::Null);
    }
    let folder = ModelFolder::open(model)?;
    Ok(json!([weights_stamp(&folder.document.dir)?, weights_stamp(&folder.query.dir)?]))
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

/// Refuses another model than that of an index, whose vectors would mean nothing to it. One that is
/// not where the index remembers it may be elsewhere now.
fn check_model(made_by: &MadeBy, model: &Path, index: &Path) -> Result<()> {
    let given = full(model);
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
fn build(args: &RankerArgs, model: &Path, masters: &Masters, dir: &Path) -> Result<Index> {
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
    let position = Position::of(masters.docs.len() as u64);
    let read = position.clone();
    let mut records: Records = Box::new(masters.documents().inspect(move |_| read.read(1)));
    let ended =
        stream::encode(&encoder, &mut records, position, |id, vector| Ok(writer.put(id, &vector)?));
    let failed = match ended {
        Ok(Ended::Whole) => None,
        Ok(Ended::Interrupted) => Some(Interrupted("nothing is kept".to_owned()).into()),
        Err(error) => Some(error),
    };
    if let Some(error) = failed {
        writer.abandon()?;
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
