//! Compares ids with those of transformers on the folders of `tests/fixtures`, which
//! `scripts/reference/tokenization.py` makes.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_text::{Tokenizer, TokenizerOptions};

/// The maximum number of tokens in the column `cut`.
const MAX_TOKENS: usize = 9;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

fn load(name: &str) -> Tokenizer {
    let tokenizer = Tokenizer::from_dir(&fixtures().join(name), &TokenizerOptions::default());
    tokenizer.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn texts() -> Vec<String> {
    serde_json::from_value(json(&fixtures().join("texts.json"))).expect("texts")
}

/// Covers every folder and text with special tokens, without them, and truncated.
#[test]
fn ids_are_those_of_transformers() {
    let texts = texts();
    let mut wrong = Vec::new();
    for name in [
        "bert-uncased",
        "bert-cased",
        "bert-json",
        "bert-added",
        "bert-legacy",
        "roberta",
        "bpe-prefix",
        "unigram",
        "ja-wordpiece",
        "ja-character",
        "ja-lower",
        "ja-no-words",
        "ja-whole-words",
    ] {
        let tokenizer = load(name);
        let rows = std::fs::read_to_string(fixtures().join(name).join("expected.ndjson"));
        let rows = rows.expect("a fixture");
        assert_eq!(rows.lines().count(), texts.len(), "{name}");
        for (text, row) in texts.iter().zip(rows.lines()) {
            let row: Value = serde_json::from_str(row).expect("JSON");
            let encoding = tokenizer.encode(text, None).expect("encoded");
            let cut = tokenizer.encode(text, Some(MAX_TOKENS)).expect("encoded");
            let plain = tokenizer.encode_plain(text).expect("encoded");
            for (column, got) in [("ids", &encoding.ids), ("plain", &plain), ("cut", &cut.ids)] {
                if Value::from(got.as_slice()) != row[column] {
                    wrong.push(format!("{name} {column} {text:?}: {got:?}, not {}", row[column]));
                }
            }
            assert_eq!(cut.truncated, cut.ids.len() < encoding.ids.len());
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Covers pairs of texts in every folder, whole and truncated (`scripts/reference/pairs.py`).
#[test]
fn pairs_are_those_of_transformers() {
    let texts = texts();
    let expected = json(&fixtures().join("pairs.json"));
    let mut wrong = Vec::new();
    for (name, rows) in expected.as_object().expect("folders") {
        let tokenizer = load(name);
        for row in rows.as_array().expect("rows") {
            let text = |i: usize| &*texts[row[i].as_u64().expect("a number") as usize];
            let longest = row[2].as_u64().map(|longest| longest as usize);
            let pair = tokenizer.encode_pair((text(0), text(1)), longest).expect("encoded");
            let got = (Value::from(pair.ids.as_slice()), Value::from(pair.types.as_slice()));
            if (&got.0, &got.1) != (&row[3], &row[4]) {
                wrong.push(format!("{name} {:?} {:?}: {got:?}, not {row}", text(0), text(1)));
            }
            let whole = tokenizer.encode_pair((text(0), text(1)), None).expect("encoded");
            assert_eq!(pair.truncated, pair.ids.len() < whole.ids.len());
        }
    }
    assert_eq!(expected.as_object().map(serde_json::Map::len), Some(10));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
