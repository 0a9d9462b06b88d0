//! Search in an index: in memory as a whole, or in parts that JavaScript reads as they are needed.

use light_splade::{Hit, SearchOptions, Searcher};
use serde_json::{Value, json};
use splade_index::{IndexParts, Missing};
use wasm_bindgen::prelude::*;

use crate::error::failure;
use crate::files::Files;
use crate::vectors::{Vectors, vector};

/// An index in memory.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Index {
    inner: Searcher,
}

#[wasm_bindgen]
impl Index {
    /// Opens an index of its files, and compares their checksums.
    pub fn load(name: &str, files: Files) -> Result<Index, JsValue> {
        let index = splade_index::Index::from_memory(name, files.into_files()).map_err(failure)?;
        index.check_sums().map_err(failure)?;
        Ok(Self { inner: Searcher::with_index(index, None) })
    }

    /// The settings that were stored with the index, as JSON.
    pub fn settings(&self) -> String {
        self.inner.index().settings().to_string()
    }

    /// The number of documents.
    pub fn documents(&self) -> f64 {
        self.inner.index().info().documents as f64
    }

    /// The best documents for a query, as JSON.
    pub fn search(
        &self,
        terms: &[u32],
        weights: &[f32],
        k: usize,
        threshold: Option<f32>,
    ) -> Result<String, JsValue> {
        let hits = self.inner.search_vector(&vector(terms, weights)?, &options(k, threshold));
        Ok(shown(&hits).to_string())
    }

    /// What each term of a query gives to the score of a document, as JSON; `undefined` if there is no such document.
    pub fn explain(
        &self,
        terms: &[u32],
        weights: &[f32],
        id: &str,
    ) -> Result<Option<String>, JsValue> {
        let shares = self.inner.index().explain(&vector(terms, weights)?, id).map(|shares| {
            let shares = shares.iter().map(|share| {
                json!({
                    "index": share.term.0,
                    "queryWeight": f64::from(share.query_weight),
                    "documentWeight": f64::from(share.document_weight),
                    "score": f64::from(share.score),
                })
            });
            Value::Array(shares.collect()).to_string()
        });
        Ok(shares)
    }

    /// The vector of a document; `undefined` if there is no such document.
    pub fn vector(&self, id: &str) -> Option<Vectors> {
        self.inner.index().vector(id).map(|vector| Vectors::of(&[vector]))
    }

    /// The title and the text of a document, as JSON; `undefined` if there is no such document or the index stores no
    /// texts.
    pub fn document(&self, id: &str) -> Result<Option<String>, JsValue> {
        let document = self.inner.document(id).map_err(failure)?;
        Ok(document
            .map(|document| json!({ "title": document.title, "text": document.text }).to_string()))
    }
}

/// An index that is read in parts.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Parts {
    inner: IndexParts,
}

#[wasm_bindgen]
impl Parts {
    /// Begins with the text of `index.json`.
    #[wasm_bindgen(constructor)]
    pub fn new(name: &str, head: &str) -> Result<Parts, JsValue> {
        Ok(Self { inner: IndexParts::new(name, head).map_err(failure)? })
    }

    /// The settings that were stored with the index, as JSON.
    pub fn settings(&self) -> String {
        self.inner.settings().to_string()
    }

    /// The number of documents.
    pub fn documents(&self) -> f64 {
        self.inner.documents() as f64
    }

    /// The names of the files that are read as a whole.
    #[wasm_bindgen(js_name = wholeFiles)]
    pub fn whole_files(&self) -> Vec<String> {
        self.inner.whole_files()
    }

    /// The names of the segments, of which the end is read first.
    pub fn segments(&self) -> Vec<String> {
        self.inner.segments()
    }

    /// Adds a file that is read as a whole.
    #[wasm_bindgen(js_name = addWhole)]
    pub fn add_whole(&mut self, file: &str, bytes: Vec<u8>) {
        self.inner.add_whole(file, bytes);
    }

    /// Adds the end of a segment of `size` bytes.
    #[wasm_bindgen(js_name = addEnd)]
    pub fn add_end(&mut self, file: &str, size: usize, end: &[u8]) -> Result<(), JsValue> {
        self.inner.add_end(file, size, end).map_err(failure)
    }

    /// Adds the bytes of a segment from `start` on.
    pub fn add(&mut self, file: &str, start: usize, bytes: &[u8]) -> Result<(), JsValue> {
        let part = Missing { file: file.to_owned(), bytes: start..start + bytes.len() };
        self.inner.add(&part, bytes).map_err(failure)
    }

    /// The parts that opening the index needs and that are missing, as JSON.
    pub fn open(&mut self) -> Result<String, JsValue> {
        Ok(asked(&self.inner.open().map_err(failure)?).to_string())
    }

    /// The best documents for a query as `{hits}`, or the parts that are missing for it as `{missing}`, as JSON.
    pub fn search(
        &mut self,
        terms: &[u32],
        weights: &[f32],
        k: usize,
        threshold: Option<f32>,
    ) -> Result<String, JsValue> {
        let query = vector(terms, weights)?;
        let found = self.inner.search(&query, &options(k, threshold)).map_err(failure)?;
        let found = match found {
            Ok(hits) => json!({ "hits": shown(&hits) }),
            Err(missing) => json!({ "missing": asked(&missing) }),
        };
        Ok(found.to_string())
    }
}

fn options(k: usize, threshold: Option<f32>) -> SearchOptions {
    SearchOptions { k, threshold, ..SearchOptions::default() }
}

fn shown(hits: &[Hit]) -> Value {
    hits.iter().map(|hit| json!({ "id": hit.id, "score": f64::from(hit.score) })).collect()
}

fn asked(missing: &[Missing]) -> Value {
    let place = |part: &Missing| json!({ "file": part.file, "start": part.bytes.start, "end": part.bytes.end });
    missing.iter().map(place).collect()
}
