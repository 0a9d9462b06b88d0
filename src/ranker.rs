//! What compares queries with the documents of training data: BM25, a SPLADE model.
//!
//! An index that is kept is built beside its folder and renamed when all documents are in it.

use std::path::{Path, PathBuf, absolute};

use rayon::prelude::*;
use serde_json::{Value, json};
use splade_index::bm25::Bm25Options;
use splade_index::{Filter, Hit, Index, SearchOptions};
use splade_io::settings::content;
use splade_io::{ContentHash, Event, NewFolder, Observer};
use splade_model::{Encoder, EncoderOptions, HeadKind, Side};
use splade_sparse::SparseVector;
use splade_text::{Tokenizer, TokenizerOptions};

use crate::bm25::{Bm25Index, counts_of, temporary_folder};
use crate::builtin;
use crate::encoder::SparseEncoderOptions;
use crate::error::{Error, advised, invalid};
use crate::index::{IndexOptions, build_new};
use crate::masters::Masters;
use crate::model::{Identity, Vocabulary, full, identify, load, model_folder};
use crate::provenance::{Provenance, content_json};
use crate::pruning::Pruning;

/// What compares queries with the documents of training data.
///
/// ```
/// use light_splade::data::{MineOptions, PartsOptions, RankerOptions, mine};
///
/// let folder = tempfile::tempdir()?;
/// let options = MineOptions {
///     data: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train").into(),
///     ranker: RankerOptions { model: Some("mini-ja-en".into()), ..RankerOptions::default() },
///     output: PartsOptions { out: folder.path().join("negatives.ndjson"), ..PartsOptions::default() },
///     ..MineOptions::default()
/// };
/// assert!(mine(&options, &mut ())?.negatives > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct RankerOptions {
    /// The model whose tokens BM25 counts, and which encodes for SPLADE. If none is named: the one
    /// that the index was built with, else the built-in one.
    pub model: Option<PathBuf>,
    /// The folder of an index of the documents, for SPLADE; it is built and kept there if it is not
    /// there yet.
    pub index: Option<PathBuf>,
    /// The folder that keeps the vectors of dense and late-interaction models, of any number of
    /// models, so that every text is embedded once; they are not kept if none is named.
    pub vectors: Option<PathBuf>,
    /// How the model encodes.
    pub encoder: SparseEncoderOptions,
}

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
    Counts(Box<Tokenizer>),
    Encoded(Encoder),
}

impl Ranker {
    /// BM25 over the tokens of the model.
    pub(crate) fn bm25(
        options: &RankerOptions,
        masters: &Masters,
        pool: &rayon::ThreadPool,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let model = model_of(options)?.0;
        let tokenizer = TokenizerOptions { mecab_dicdir: options.encoder.mecab_dicdir.clone() };
        let vocabulary = Vocabulary::open(&model, Side::Document, &tokenizer, observer)?;
        let tokenizer = vocabulary.into_tokenizer();
        let (documents, constants) = (|| masters.documents(), Bm25Options::default());
        let Bm25Index { index, folder } =
            Bm25Index::build(&tokenizer, documents, constants, pool, observer)?;
        let queries = Queries::Counts(Box::new(tokenizer));
        Ok(Self { queries, index, inputs: Value::Null, filter: None, _temporary: Some(folder) })
    }

    /// A SPLADE model, over the index that is kept if there is one.
    pub(crate) fn splade(
        options: &RankerOptions,
        masters: &Masters,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let (model, provenance) = model_of(options)?;
        let model = model.as_path();
        let tower = options.encoder.tower(Side::Query);
        let encoder = load(model, &tower, observer);
        let encoder = match options.model {
            Some(_) => encoder?,
            None => encoder.map_err(|error| Error::IndexModel(Box::new(error)))?,
        };
        let identity = identity(model, &tower, Some((Side::Query, encoder.tokenizer())), observer)?;
        let (dir, temporary) = match &options.index {
            Some(dir) => (dir.clone(), None),
            None => {
                let folder = temporary_folder()?;
                (folder.path().join("index"), Some(folder))
            }
        };
        let index = match is_index(&dir) {
            true => {
                let pruning = Pruning::default();
                let own = Provenance::of(model, identity.clone(), &encoder, &tower, &pruning);
                check_model(&provenance, &own, &dir)?;
                Index::open(&dir)?
            }
            false => build(options, model, masters, &dir, observer)?,
        };
        let inputs = match &options.index {
            Some(dir) => {
                let head = ContentHash::of_file(&dir.join("index.json"))?.to_string();
                let model = content_json(&identity.content);
                json!({"content": content([("index", head.into()), ("model", model)])})
            }
            None => Value::Null,
        };
        let ids: Vec<String> = masters.docs.ids().map(|id| id.to_string()).collect();
        let (filter, missing) = index.filter(ids.iter().map(String::as_str));
        if missing == ids.len() {
            return Err(advised(
                format!("none of the {missing} documents is in the index {}", dir.display()),
                "name another folder with --index, or remove this one to have it built anew",
            ));
        }
        if missing > 0 {
            let warning = format!("{missing} of {} documents are not in the index", ids.len());
            observer.event(Event::Warning(&warning));
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
    ) -> Result<Vec<SparseVector>, Error> {
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
    ) -> Result<Vec<Vec<i64>>, Error> {
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
pub(crate) fn settings(options: &RankerOptions) -> Result<Value, Error> {
    let path = |path: &Path| absolute(path).map_err(Error::io("find", path));
    let index = options.index.as_deref().map(path).transpose()?;
    Ok(json!({
        "model": options.model.as_deref().map(full),
        // Not followed through links: it may not be there yet.
        "index": index,
        "precision": options.encoder.precision.to_string(),
        "max_length": options.encoder.max_length,
        "mecab_dicdir": options.encoder.mecab_dicdir.as_deref().map(full),
    }))
}

/// The model that is to be used, and what an index that is there says of its own.
fn model_of(options: &RankerOptions) -> Result<(PathBuf, Provenance), Error> {
    let provenance = match options.index.as_deref().filter(|dir| is_index(dir)) {
        Some(dir) => Provenance::from_json(Index::open(dir)?.settings()),
        None => Provenance { model: Some(builtin::NAME.into()), ..Provenance::default() },
    };
    let model = options.model.clone().or(provenance.model.clone());
    let model = model.ok_or(Error::NoIndexModel)?;
    Ok((model, provenance))
}

/// The hashes of the model that ranks, where it is known before an index is built.
pub(crate) fn model_content(
    options: &RankerOptions,
    observer: &mut dyn Observer,
) -> Result<Value, Error> {
    let (model, tower) = (model_of(options)?.0, options.encoder.tower(Side::Query));
    Ok(content_json(&identity(&model, &tower, None, observer)?.content))
}

fn identity(
    model: &Path,
    options: &EncoderOptions,
    loaded: Option<(Side, &Tokenizer)>,
    observer: &mut dyn Observer,
) -> Result<Identity, Error> {
    let tokenizer = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
    let files = model_folder(model, observer)?.as_path().into();
    identify(model, &files, HeadKind::Sparse, &tokenizer, loaded)
}

fn is_index(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

/// Ids of an index that was not built of the data are a mistake that would pass unseen.
fn ids(hits: Vec<Hit>) -> Result<Vec<i64>, Error> {
    let id = |hit: Hit| match hit.id.parse() {
        Ok(id) => Ok(id),
        Err(_) => Err(invalid(format!(
            "the index has a document {:?}, which is no id of doc_master",
            hit.id
        ))),
    };
    hits.into_iter().map(id).collect()
}

/// Refuses another model than that of an index, whose vectors would mean nothing to it. Of an index
/// of an earlier version, which has no hashes, the names are compared; a model that is not where
/// the index remembers it may be elsewhere now.
fn check_model(provenance: &Provenance, own: &Provenance, index: &Path) -> Result<(), Error> {
    let of_index = provenance.model.as_deref().filter(|name| name.is_relative() || name.exists());
    let is_other = match provenance.is_same_model(own) {
        Some(same) => !same,
        None => of_index.is_some_and(|name| own.model.as_deref() != Some(name)),
    };
    match is_other {
        false => Ok(()),
        true => Err(advised(
            format!(
                "the index {} was built with the model {}, not with {}",
                index.display(),
                provenance.shown(),
                own.shown()
            ),
            "leave out --model (and LIGHT_SPLADE_MODEL), or name another folder with --index for the \
             other model",
        )),
    }
}

/// Encodes the documents into a new index, which is built beside its folder.
fn build(
    options: &RankerOptions,
    model: &Path,
    masters: &Masters,
    dir: &Path,
    observer: &mut dyn Observer,
) -> Result<Index, Error> {
    let tower = options.encoder.tower(Side::Document);
    let encoder = load(model, &tower, observer)?;
    let folder = NewFolder::create(dir)?;
    // A folder that cannot give way to the index, such as a mount, is told at once.
    if dir.exists() {
        std::fs::remove_dir(dir).map_err(Error::io("put an index in the place of", dir))?;
    }
    observer.event(Event::Begins("encoding and indexing documents"));
    let index = IndexOptions { threads: options.encoder.threads, ..IndexOptions::default() };
    let records = masters.documents();
    let identity = identity(model, &tower, Some((Side::Document, encoder.tokenizer())), observer)?;
    let provenance = Provenance::of(model, identity, &encoder, &tower, &index.pruning);
    build_new(folder.path(), (provenance, &encoder), &index, records, observer, |_| Ok(()))?;
    folder.commit()?;
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
        // As in indexes of earlier versions, which have no hashes.
        let named = |name: &Path| Provenance { model: Some(name.into()), ..Provenance::default() };
        assert!(check_model(&named(&a), &named(&a), index).is_ok());
        assert!(check_model(&Provenance::default(), &named(&b), index).is_ok());
        let error = check_model(&named(&a), &named(&b), index).expect_err("another");
        assert!(error.hint().is_some_and(|hint| hint.contains("leave out --model")), "{error}");
        // Of a name at the hub there is no folder.
        let hub = named(Path::new("org/name"));
        assert!(check_model(&hub, &named(Path::new("org/name")), index).is_ok());
        assert!(check_model(&hub, &named(&b), index).is_err());
        // Moved.
        std::fs::remove_dir(&a).expect("removed");
        assert!(check_model(&named(&a), &named(&b), index).is_ok());
    }
}
