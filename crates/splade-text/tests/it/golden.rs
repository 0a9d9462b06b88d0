//! Compares ids with those of transformers on every text of `../shared/golden`, if that folder
//! exists.
#![allow(clippy::print_stdout, reason = "tests say what they skipped")]

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_text::{Tokenizer, TokenizerOptions};

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    if !path.is_dir() {
        println!("skipped: ../shared/golden does not exist");
        return None;
    }
    Some(path)
}

fn rows(path: &Path) -> Vec<Value> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    if path.extension().is_some_and(|ext| ext == "gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
    } else {
        text = String::from_utf8(bytes).expect("UTF-8");
    }
    text.split('\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect()
}

fn ids(row: &Value) -> Vec<u32> {
    let ids = row.get("ids").or(row.get("input_ids")).expect("ids").as_array().expect("an array");
    ids.iter().map(|id| id.as_u64().expect("an id") as u32).collect()
}

/// Compares all rows and lists the first ones that differ.
fn compare(name: &str, tokenizer: &Tokenizer, rows: &[Value], max: Option<usize>) {
    let mut wrong = Vec::new();
    for row in rows {
        let text = row["text"].as_str().expect("a text");
        let got = tokenizer.encode(text, max).expect("encoded").ids;
        let want = ids(row);
        // Rows made without special tokens have none at their ends.
        let plain = tokenizer.encode_plain(text).expect("encoded");
        if got != want && plain != want {
            wrong.push(text.chars().take(40).collect::<String>());
        }
    }
    println!("{name}: {} rows, {} differ", rows.len(), wrong.len());
    assert!(wrong.is_empty(), "{name}: {} differ: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
}

fn load(dir: &Path) -> Tokenizer {
    Tokenizer::from_dir(dir, &TokenizerOptions::default()).expect("a tokenizer")
}

/// Returns a BertJapanese tokenizer with the given vocabulary.
fn japanese(vocab: &Path) -> Tokenizer {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::copy(vocab, dir.path().join("vocab.txt")).expect("copied");
    let config = r#"{"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab",
        "mecab_kwargs": {"mecab_dic": "unidic_lite"}, "subword_tokenizer_type": "wordpiece"}"#;
    std::fs::write(dir.path().join("tokenizer_config.json"), config).expect("written");
    load(dir.path())
}

#[test]
fn japanese_texts() {
    let Some(shared) = shared() else { return };
    let dir = shared.join("tokenization");
    for (rows_file, vocab) in
        [("ja_tokens.ndjson", "vocab.txt"), ("ja_tokens_free.ndjson", "vocab_synth.txt")]
    {
        compare(rows_file, &japanese(&dir.join(vocab)), &rows(&dir.join(rows_file)), None);
    }
}

#[test]
fn texts_of_the_models() {
    let Some(shared) = shared() else { return };
    let models = ["tiny-roberta", "tiny-xlmr", "tiny-deberta-v2", "tiny-modernbert"];
    for model in models {
        let file = shared.join(format!("tokenization/{model}.ndjson"));
        compare(model, &load(&shared.join("models").join(model)), &rows(&file), None);
    }
    for (model, dir) in [("base-en", "base-en"), ("small-28m", "small-28m")] {
        let file = shared.join(format!("tokenization/{model}.ndjson"));
        let dir = shared.join("../peers/models").join(dir);
        compare(model, &load(&dir), &rows(&file), None);
    }
}

#[test]
fn usual_layouts() {
    let Some(shared) = shared() else { return };
    for (file, dir) in [
        ("bert_fast", "bert"),
        ("modernbert", "modernbert"),
        ("roberta", "roberta"),
        ("xlmr", "xlmr"),
    ] {
        let rows = rows(&shared.join(format!("tokenization/hf/hf_{file}.ndjson.gz")));
        compare(file, &load(&shared.join("tokenization/hf").join(dir)), &rows, None);
    }
}

/// Checks that the vocabulary alone gives the same ids as its `tokenizer.json`.
#[test]
fn bert_from_its_vocabulary() {
    let Some(shared) = shared() else { return };
    let source = shared.join("tokenization/hf/bert");
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["vocab.txt", "tokenizer_config.json"] {
        std::fs::copy(source.join(name), dir.path().join(name)).expect("copied");
    }
    let rows = rows(&shared.join("tokenization/hf/hf_bert_fast.ndjson.gz"));
    compare("vocab.txt", &load(dir.path()), &rows, None);
}

#[test]
fn inputs_of_the_models() {
    let Some(shared) = shared() else { return };
    for entry in std::fs::read_dir(shared.join("models")).expect("listed") {
        let dir = entry.expect("an entry").path();
        let name = dir.file_name().expect("a name").to_string_lossy().into_owned();
        let Ok(expected) = std::fs::read_to_string(shared.join(&name).join("expected.json")) else {
            continue;
        };
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        let inputs = std::fs::read_to_string(shared.join(&name).join("inputs.json")).expect("read");
        let inputs: Value = serde_json::from_str(&inputs).expect("JSON");
        let max = inputs["max_seq_length"].as_u64().expect("a length") as usize;
        let rows: Vec<Value> = inputs["texts"]
            .as_array()
            .expect("texts")
            .iter()
            .zip(expected["results"].as_array().expect("results"))
            .filter(|(_, result)| result["char_truncated"] == false)
            .map(|(text, result)| serde_json::json!({"text": text, "ids": result["input_ids"]}))
            .collect();
        compare(&name, &load(&dir), &rows, Some(max));
    }
}
