//! Dense and late-interaction models that compare queries with documents: the vectors of all texts are
//! made once and kept in a folder, and documents are found by exact search.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use splade_data::{StoredVectors, Texts, VectorStore};
use splade_io::{ContentHash, Observer};
use splade_model::{DocumentRows, Embedder, Embedding, HeadKind, Isa, Side, nearest, similarity};
use splade_text::TokenizerOptions;

use crate::bm25::temporary_folder;
use crate::dense_encoder::with_prompts;
use crate::error::{Error, advised};
use crate::model::{identify, load_embedder, model_files};
use crate::provenance::content_json;
use crate::ranker::RankerOptions;
use crate::stream::Counts;

/// The texts of one side that are compared.
pub(crate) struct TextsOf<'a> {
    pub(crate) texts: &'a Texts,
    /// The ids of those that are compared; all if none are named.
    pub(crate) ids: Option<&'a [i64]>,
}

impl TextsOf<'_> {
    fn ids(&self) -> Box<dyn Iterator<Item = i64> + '_> {
        match self.ids {
            Some(ids) => Box::new(ids.iter().copied()),
            None => Box::new(self.texts.ids()),
        }
    }
}

/// The texts that are embedded at a time.
const WINDOW: usize = 128;

/// A dense or late-interaction model with the vectors of its queries and documents.
pub(crate) struct DenseRanker {
    embedder: Embedder,
    isa: Isa,
    queries: StoredVectors,
    documents: StoredVectors,
    /// The ids of the documents that have each of the stored texts, ascending.
    ids: Vec<Vec<i64>>,
    /// The stored text of each document.
    places: HashMap<i64, usize>,
    _temporary: Option<tempfile::TempDir>,
}

/// Reads the hashes of a dense model, by which files that were made with it are compared.
pub(crate) fn model_content(
    model: &Path,
    kind: HeadKind,
    options: &RankerOptions,
    observer: &mut dyn Observer,
) -> Result<Value, Error> {
    let tokenizer = TokenizerOptions { mecab_dicdir: options.encoder.mecab_dicdir.clone() };
    let files = model_files(model, observer)?;
    Ok(content_json(&identify(model, &files, kind, &tokenizer, None)?.content))
}

impl DenseRanker {
    /// Loads a model and embeds the texts that the folder of vectors does not have yet.
    pub(crate) fn open(
        model: &Path,
        kind: HeadKind,
        options: &RankerOptions,
        queries: &TextsOf<'_>,
        documents: &TextsOf<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let files = model_files(model, observer)?;
        let embedder = load_embedder(model, &files, kind, &options.encoder.both(), observer)?;
        let embedder = with_prompts(embedder, &options.encoder);
        let (folder, temporary) = match &options.vectors {
            Some(folder) => (folder.clone(), None),
            None => {
                let folder = temporary_folder()?;
                (folder.path().to_path_buf(), Some(folder))
            }
        };
        let content = model_content(model, kind, options, observer)?;
        let store = |side: Side, texts: &TextsOf<'_>, observer: &mut dyn Observer| {
            let about = json!({
                "model": content,
                "kind": kind.name(),
                "side": if side == Side::Query { "query" } else { "document" },
                "prompt": embedder.prompt(side),
                "max_length": embedder.max_length(side),
                "precision": options.encoder.precision.to_string(),
            });
            fill(&folder, &about, (&embedder, side), texts, observer)
        };
        let queries = store(Side::Query, queries, observer)?;
        let stored = store(Side::Document, documents, observer)?;
        let (mut ids, mut places) = (vec![Vec::new(); stored.ends().len()], HashMap::new());
        for id in documents.ids() {
            if let Some(place) = stored.index(&documents.texts.get(id)?) {
                ids[place].push(id);
                places.insert(id, place);
            }
        }
        ids.iter_mut().for_each(|ids| ids.sort_unstable());
        let isa = options.encoder.isa;
        let documents = stored;
        Ok(Self { embedder, isa, queries, documents, ids, places, _temporary: temporary })
    }

    /// The vectors of a query that was embedded.
    fn query(&self, text: &str) -> Result<Embedding, Error> {
        let place = self.queries.index(text).ok_or_else(|| {
            advised(
                "the folder of vectors has lost the vector of a query",
                "name another folder with --vectors",
            )
        })?;
        Ok(Embedding::new(self.queries.dim(), self.queries.rows(place).to_vec()))
    }

    /// The score of a document for a query; none if the document is unknown.
    pub(crate) fn score(&self, query: &str, document: i64) -> Result<Option<f32>, Error> {
        let Some(place) = self.places.get(&document) else { return Ok(None) };
        let rows = self.documents.rows(*place).to_vec();
        let document = Embedding::new(self.documents.dim(), rows);
        let kind = self.embedder.similarity_kind();
        Ok(Some(similarity(kind, &self.query(query)?, &document)))
    }

    /// The best documents of queries, found among all of them.
    pub(crate) fn rank(
        &self,
        queries: &[&str],
        depth: usize,
        pool: &rayon::ThreadPool,
    ) -> Result<Vec<Vec<i64>>, Error> {
        let queries = queries.iter().map(|text| self.query(text));
        let queries = queries.collect::<Result<Vec<_>, _>>()?;
        let documents = DocumentRows {
            dim: self.documents.dim(),
            numbers: self.documents.numbers(),
            ends: self.documents.ends(),
        };
        // The folder may have texts of other data.
        let is_wanted = |place: usize| !self.ids[place].is_empty();
        let kind = self.embedder.similarity_kind();
        let search = || nearest(self.isa, kind, &queries, &documents, depth, &is_wanted);
        let found = pool.install(search);
        let of = |found: Vec<(usize, f32)>| {
            let ids = found.into_iter().flat_map(|(place, _)| self.ids[place].iter().copied());
            ids.take(depth).collect()
        };
        Ok(found.into_iter().map(of).collect())
    }
}

/// Embeds the texts that a folder does not have, and returns its vectors.
fn fill(
    folder: &Path,
    about: &Value,
    (embedder, side): (&Embedder, Side),
    texts: &TextsOf<'_>,
    observer: &mut dyn Observer,
) -> Result<StoredVectors, Error> {
    let name = ContentHash::of(about.to_string().as_bytes()).short();
    let mut store = VectorStore::open(&folder.join(name), about, embedder.dim())?;
    let what = if side == Side::Query { "queries" } else { "documents" };
    let total = texts.ids().count();
    let mut done = Counts::new(what, Some(0.0));
    observer.event(done.event(false));
    let (mut window, mut seen) = (Vec::new(), 0);
    let mut ids = texts.ids();
    loop {
        let id = ids.next();
        if let Some(id) = id {
            seen += 1;
            let text = texts.texts.get(id)?.into_owned();
            // Equal texts are embedded once, also those of one window.
            if !store.has(&text) && !window.contains(&text) {
                window.push(text);
            }
        }
        if window.len() < WINDOW && id.is_some() {
            continue;
        }
        if window.is_empty() {
            break;
        }
        if observer.stop() {
            return Err(Error::Stopped { kept: "the vectors so far are kept".to_owned() });
        }
        let embedded = embedder.embed_batch(side, &window)?;
        let rows = embedded.embeddings.iter().map(Embedding::numbers);
        store.append(window.iter().map(String::as_str).zip(rows))?;
        done.add(window.len(), embedded.tokens, Some(seen as f64 / total.max(1) as f64));
        observer.event(done.event(false));
        window.clear();
    }
    // Where the folder has all texts, nothing was embedded.
    done.add(0, 0, Some(1.0));
    observer.event(done.event(true));
    Ok(store.read()?)
}
