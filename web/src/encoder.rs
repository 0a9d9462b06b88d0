//! Texts to vectors.

use light_splade::encode::{Precision, Pruning, Side};
use light_splade::search::Provenance;
use light_splade::{SparseEncoder, SparseEncoderOptions, TermId};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::error::{advised, failure};
use crate::files::Files;
use crate::vectors::Vectors;

/// A SPLADE model.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Encoder {
    inner: SparseEncoder,
}

#[wasm_bindgen]
impl Encoder {
    /// Loads a model of its files. `options` is JSON with any of `precision`, `maxLength`, `queryPrompt`,
    /// `documentPrompt` and `side`, which `web/js/encoder.js` has checked.
    pub fn load(name: &str, files: Files, options: &str) -> Result<Encoder, JsValue> {
        let options: Value =
            serde_json::from_str(options).map_err(|e| advised(&e.to_string(), None))?;
        let text = |key: &str| options[key].as_str().map(str::to_owned);
        let settings = SparseEncoderOptions {
            precision: match text("precision").as_deref() {
                Some("f32") => Precision::F32,
                _ => Precision::Int8,
            },
            max_length: options["maxLength"].as_u64().map(|length| length as usize),
            query_prompt: text("queryPrompt"),
            document_prompt: text("documentPrompt"),
            only: text("side").map(|side| side_of(side == "query")),
            ..SparseEncoderOptions::default()
        };
        let files = files.into_model(name);
        let inner = SparseEncoder::from_files(name, &files, &settings, &mut ()).map_err(failure)?;
        Ok(Self { inner })
    }

    /// Encodes texts of a side.
    pub fn encode(&self, query: bool, texts: Vec<String>) -> Result<Vectors, JsValue> {
        let tower = self.inner.tower(side_of(query)).map_err(failure)?;
        Ok(Vectors::of(&tower.encode(&texts).map_err(failure)?))
    }

    /// Encodes a text and tells which token gave each term its weight, as JSON.
    pub fn explain(&self, query: bool, text: &str) -> Result<String, JsValue> {
        let explanation = self.inner.explain(side_of(query), text).map_err(failure)?;
        let terms = explanation.terms.iter().map(|term| {
            json!({
                "index": term.term.0,
                "token": self.inner.token(term.term),
                "weight": f64::from(term.weight),
                "position": term.position,
            })
        });
        let terms: Vec<Value> = terms.collect();
        Ok(json!({ "tokens": explanation.tokens, "terms": terms }).to_string())
    }

    /// The tokens of a text as the model reads it.
    pub fn tokenize(&self, query: bool, text: &str) -> Result<Vec<String>, JsValue> {
        self.inner.tokenize(side_of(query), text).map_err(failure)
    }

    /// The tokens of some terms.
    pub fn tokens(&self, terms: &[u32]) -> Vec<String> {
        terms.iter().map(|term| self.inner.token(TermId(*term))).collect()
    }

    /// The number of terms of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.inner.vocab()
    }

    /// Refuses an index with these settings (JSON) if its vectors have other terms than this model. The weights may
    /// differ: those of a packed model have eight bits.
    #[wasm_bindgen(js_name = checkIndex)]
    pub fn check_index(&self, settings: &str) -> Result<(), JsValue> {
        let settings = serde_json::from_str(settings).unwrap_or_default();
        let index = Provenance::from_json(&settings);
        let side = if self.inner.tower(Side::Query).is_ok() { Side::Query } else { Side::Document };
        let mine =
            Provenance::of_encoder(&self.inner, side, &Pruning::default()).map_err(failure)?;
        let same = match (index.content, mine.content) {
            (Some(index), Some(mine)) => index.tokenizer == mine.tokenizer,
            _ => index.tokens.zip(mine.tokens).is_none_or(|(index, mine)| index == mine),
        };
        if same {
            return Ok(());
        }
        let (index, mine) = (index.shown(), mine.shown());
        let message =
            format!("the index was made with the model {index}, but the encoder has {mine}");
        Err(advised(&message, Some("load the encoder of the model that the index was made with")))
    }
}

fn side_of(query: bool) -> Side {
    if query { Side::Query } else { Side::Document }
}
