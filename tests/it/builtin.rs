//! Tests of the built-in model: it equals `models/mini-ja-en`, gives PyTorch's numbers and is the
//! default of every command.

use crate::common::{failure, stdout};
use serde_json::Value;

const FOLDER: &str = "models/mini-ja-en";
/// The sentences of the README.
const TEXTS: [&str; 2] = ["日本の首都は東京です。", "大阪万博は2025年に開催されます。"];

fn encode(more: &[&str]) -> String {
    let texts = TEXTS.iter().flat_map(|text| ["-t", text]);
    stdout(&["encode"].into_iter().chain(texts).chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn the_readme_is_true() {
    let printed = encode(&["--top-k", "8"]);
    assert_eq!(printed, encode(&["--top-k", "8", "--model", FOLDER]));
    let readme = std::fs::read_to_string("README.md").expect("the README");
    for line in printed.lines() {
        assert!(readme.contains(line), "the README does not have {line}");
    }
}

/// The file `expected.json` is made by scripts/reference/mini_model.py.
#[test]
fn vectors_are_those_of_pytorch() {
    let expected = std::fs::read(format!("{FOLDER}/expected.json")).expect("a file");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    for row in expected.as_array().expect("texts") {
        let text = row["text"].as_str().expect("a text");
        let got = stdout(&["encode", "-t", text, "--terms", "ids", "--decimals", "9"]);
        let got: Value = serde_json::from_str(&got).expect("JSON");
        let (got, want) = (&got["vector"], &row["vector"]);
        let [got, want] = [got, want].map(|vector| vector.as_object().expect("weights"));
        assert!(want.len() > 3, "{text}");
        for term in got.keys().chain(want.keys()) {
            let weight = |of: &serde_json::Map<String, Value>| {
                of.get(term).map_or(0.0, |weight| weight.as_f64().expect("a number"))
            };
            // The weights are sums of some hundred products in 32 bits; PyTorch's are in 64 bits.
            let (got, want) = (weight(got), weight(want));
            assert!((got - want).abs() < 2e-5, "{text}, term {term}: {got}, not {want}");
        }
    }
}

#[test]
fn every_command_takes_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    assert!(stdout(&["inspect"]).contains("mini-ja-en"));
    assert!(stdout(&["tokenize", "-t", TEXTS[0]]).contains("東京"));
    assert!(stdout(&["explain", "-t", TEXTS[0]]).contains("東京"));
    let index = path("index");
    stdout(&["index", "build", "--output", &index, "data/toy-beir/corpus.jsonl"]);
    assert!(stdout(&["index", "info", &index]).contains("mini-ja-en"));
    assert_eq!(stdout(&["search", &index, "--top-k-hits", "1", "電車"]).lines().count(), 1);
    let report = stdout(&["evaluate", "data/toy-beir", "--format", "json"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert!(report["metrics"]["MRR@10"].as_f64().expect("a number") > 0.5, "{report}");
    let negatives = path("negatives.ndjson");
    stdout(&["mine", "data/toy/train", "--output", &negatives, "--source", "splade,take=2"]);
    stdout(&["export", "model", "--output", &path("exported"), "--dtype", "f16"]);
    // The headers differ in the checksum of the file.
    let weights = |folder: &str| {
        let bytes = std::fs::read(format!("{folder}/model.safetensors")).expect("read");
        let (length, rest) = bytes.split_first_chunk::<8>().expect("a header");
        rest[u64::from_le_bytes(*length) as usize..].to_vec()
    };
    assert!(weights(&path("exported")) == weights(FOLDER), "the weights differ");
    // A path always means a folder, never the built-in model.
    let message = failure(&["inspect", "./mini-ja-en"], 1);
    assert!(message.contains("mini-ja-en"), "{message}");
}
