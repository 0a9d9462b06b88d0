//! The vectors that a dense or late-interaction model makes of the texts of a data set: each is made once
//! and kept in a folder, by text and model.

use std::path::Path;

use serde_json::{Value, json};
use splade_data::{StoredVectors, Texts, VectorStore};
use splade_io::{ContentHash, Observer};
use splade_model::{Embedder, Embedding, HeadKind, Side, Similarity, similarity};
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
    pub(crate) fn ids(&self) -> Box<dyn Iterator<Item = i64> + '_> {
        match self.ids {
            Some(ids) => Box::new(ids.iter().copied()),
            None => Box::new(self.texts.ids()),
        }
    }
}

/// The texts that are embedded at a time.
const WINDOW: usize = 128;

/// The vectors of the queries and of the documents of a data set by one model.
pub(crate) struct DenseVectors {
    pub(crate) queries: StoredVectors,
    pub(crate) documents: StoredVectors,
    pub(crate) similarity: Similarity,
    /// What the vectors depend on besides the texts: the model, and the settings of each side.
    pub(crate) about: Value,
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

impl DenseVectors {
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
        let about = |side: Side| {
            json!({
                "model": content,
                "kind": kind.name(),
                "side": if side == Side::Query { "query" } else { "document" },
                "prompt": embedder.prompt(side),
                "max_length": embedder.max_length(side),
                "precision": options.encoder.precision.to_string(),
            })
        };
        let (of_query, of_document) = (about(Side::Query), about(Side::Document));
        let queries = fill(&folder, &of_query, (&embedder, Side::Query), queries, observer)?;
        let documents =
            fill(&folder, &of_document, (&embedder, Side::Document), documents, observer)?;
        Ok(Self {
            queries,
            documents,
            similarity: embedder.similarity_kind(),
            about: json!({ "query": of_query, "document": of_document }),
            _temporary: temporary,
        })
    }

    /// Returns the vectors of a query.
    pub(crate) fn query(&self, text: &str) -> Result<Embedding, Error> {
        let place = self.queries.index(text).ok_or_else(|| lost("a query"))?;
        Ok(Embedding::new(self.queries.dim(), self.queries.rows(place).to_vec()))
    }

    /// Returns the vectors of a document.
    pub(crate) fn document(&self, text: &str) -> Result<Embedding, Error> {
        let place = self.documents.index(text).ok_or_else(|| lost("a document"))?;
        Ok(self.document_at(place))
    }

    /// Returns the vectors of the document with a number in the folder.
    pub(crate) fn document_at(&self, place: usize) -> Embedding {
        Embedding::new(self.documents.dim(), self.documents.rows(place).to_vec())
    }

    /// Returns the score of a document for a query.
    pub(crate) fn score(&self, query: &Embedding, document: &Embedding) -> f32 {
        similarity(self.similarity, query, document)
    }
}

fn lost(what: &str) -> Error {
    advised(
        format!("the folder of vectors has lost the vector of {what}"),
        "name another folder of vectors",
    )
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
