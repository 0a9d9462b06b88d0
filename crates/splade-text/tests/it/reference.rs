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

/// A copy of the fixture `name` with keys of its `tokenizer_config.json` set and its vocabulary
/// changed.
fn changed(
    name: &str,
    keys: &serde_json::Value,
    vocab: impl Fn(&str) -> String,
) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let folder = tempfile::tempdir().expect("a folder");
    for file in std::fs::read_dir(&from).expect("a fixture") {
        let file = file.expect("an entry");
        std::fs::copy(file.path(), folder.path().join(file.file_name())).expect("copied");
    }
    let path = folder.path().join("tokenizer_config.json");
    let text = std::fs::read_to_string(&path).expect("a config");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for (key, value) in keys.as_object().expect("keys") {
        config[key] = value.clone();
    }
    std::fs::write(path, config.to_string()).expect("written");
    let path = folder.path().join("vocab.txt");
    let text = std::fs::read_to_string(&path).expect("a vocabulary");
    std::fs::write(path, vocab(&text)).expect("written");
    folder
}

/// Where there is no tokenizer.json, special tokens come from the config alone: under the name of
/// transformers 5, under that of 4, or as a mapping from roles.
#[test]
fn extra_special_tokens_stay_whole() {
    for name in ["bert-uncased", "ja-no-words"] {
        for keys in [
            serde_json::json!({"additional_special_tokens": ["[ENT]"]}),
            serde_json::json!({"extra_special_tokens": ["[ENT]"]}),
            serde_json::json!({"extra_special_tokens": {"ent_token": "[ENT]"}}),
            serde_json::json!({"ent_token": "[ENT]"}),
        ] {
            let folder = changed(name, &keys, str::to_owned);
            let tokenizer = Tokenizer::from_dir(folder.path(), &Default::default()).expect(name);
            let id = tokenizer.id("[ENT]").expect("a token");
            let ids = tokenizer.encode_plain("a[ENT]b").expect("ids");
            assert!(ids.contains(&id), "{name} {keys}: {ids:?}");
            assert!(tokenizer.special_ids().contains(&id), "{name} {keys}");
        }
    }
}

#[test]
fn a_vocabulary_without_its_special_tokens_is_an_error() {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let without = |text: &str| {
        let lines = text.lines().filter(|line| !special.contains(line));
        lines.map(|line| format!("{line}\n")).collect()
    };
    for name in ["bert-uncased", "ja-no-words"] {
        for keys in [serde_json::json!({}), serde_json::json!({"added_tokens_decoder": null})] {
            let folder = changed(name, &keys, without);
            let error = Tokenizer::from_dir(folder.path(), &Default::default()).expect_err(name);
            assert!(error.to_string().contains("vocab.txt"), "{name} {keys}: {error}");
        }
    }
}
