//! Compares the vectors of every model in `../shared/golden` with PyTorch's. The tests are skipped
//! if that folder does not exist.
#![allow(clippy::print_stdout, reason = "tests say what they skipped")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_model::{Encoder, EncoderOptions, Isa, Side};
use splade_sparse::SparseVector;

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    if !path.is_dir() {
        println!("skipped: ../shared is not there");
        return None;
    }
    Some(path)
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// Returns the largest difference between weights. A term that only one side has counts with its
/// weight.
fn difference(got: &SparseVector, want: &Value) -> f64 {
    let terms =
        want["indices"].as_array().expect("terms").iter().map(|t| t.as_u64().expect("a term"));
    let weights =
        want["values"].as_array().expect("weights").iter().map(|w| w.as_f64().expect("a weight"));
    let mut left: BTreeMap<u64, f64> = terms.zip(weights).collect();
    let own = got.iter().map(|(term, weight)| {
        (f64::from(weight) - left.remove(&u64::from(term.0)).unwrap_or(0.0)).abs()
    });
    let own = own.fold(0.0, f64::max);
    left.values().copied().fold(own, f64::max)
}

/// Encodes all texts together and each one alone, with every instruction set. The vectors must be
/// within 2e-5 of PyTorch's f32 (whose own distance from f64 is up to 5e-6) and equal to each other
/// bit by bit.
#[test]
fn vectors_of_all_models() {
    let Some(shared) = shared() else { return };
    let models = [
        "tiny-ja",
        "tiny-ja-fp16",
        "tiny-ja-bf16",
        "tiny-bert-en",
        "tiny-distilbert",
        "tiny-roberta",
        "tiny-xlmr",
        "tiny-electra",
        "tiny-modernbert",
        "tiny-deberta-v2",
    ];
    for name in models {
        let (inputs, expected) = (
            json(&shared.join(name).join("inputs.json")),
            json(&shared.join(name).join("expected.json")),
        );
        let pairs: Vec<(&str, &Value)> = inputs["texts"]
            .as_array()
            .expect("texts")
            .iter()
            .map(|text| text.as_str().expect("a text"))
            .zip(expected["results"].as_array().expect("results"))
            .filter(|(_, result)| result["char_truncated"] == false)
            .collect();
        let texts: Vec<&str> = pairs.iter().map(|(text, _)| *text).collect();
        for isa in Isa::supported() {
            let max_length = inputs["max_seq_length"].as_u64().map(|n| n as usize);
            let options =
                EncoderOptions { isa, max_length, threads: Some(2), ..Default::default() };
            let encoder = Encoder::load(&shared.join("models").join(name), &options).expect(name);
            let vectors = encoder.encode(&texts).expect("encoded");
            for ((text, want), got) in pairs.iter().zip(&vectors) {
                let worst = difference(got, &want["max"]);
                assert!(worst < 2e-5, "{name} {isa}: {worst} for {text:?}");
            }
            for (text, vector) in texts.iter().zip(&vectors).take(30) {
                assert_eq!(
                    &encoder.encode(&[text]).expect("encoded")[0],
                    vector,
                    "{name} {isa} {text:?}"
                );
            }
        }
    }
}

#[test]
fn layouts() {
    let Some(shared) = shared() else { return };
    let load = |name: &str, side| {
        let options = EncoderOptions { side, threads: Some(1), ..Default::default() };
        Encoder::load(&shared.join("models").join(name), &options).expect(name)
    };
    let text = ["日本の首都は東京です。"];
    let single = load("tiny-ja", Side::Document).encode(&text).expect("encoded");
    let sharded = load("tiny-ja-sharded", Side::Document).encode(&text).expect("encoded");
    assert_eq!(single, sharded);
    let bin = load("tiny-ja-bin", Side::Document).encode(&text).expect("encoded");
    assert_eq!(single, bin);
    let document = load("two-tower-ja", Side::Document).encode(&text).expect("encoded");
    let query = load("two-tower-ja", Side::Query).encode(&text).expect("encoded");
    assert_ne!(document, query);
    let expected = json(&shared.join("st_relu.json"));
    let encoder = load("st-tiny-distilbert", Side::Document);
    let texts =
        expected["texts"].as_array().expect("texts").iter().map(|t| t.as_str().expect("a text"));
    let vectors = encoder.encode(&texts.collect::<Vec<_>>()).expect("encoded");
    for (got, want) in vectors.iter().zip(expected["vecs"].as_array().expect("vectors")) {
        assert!(difference(got, want) < 2e-5);
    }
}

/// Compares the largest weights with those in the README of a real model.
#[test]
fn a_real_model() {
    let Some(shared) = shared() else { return };
    let model = shared.join("../models/splade-tiny");
    let encoder = Encoder::load(&model, &EncoderOptions::default()).expect("a model");
    let vector = &encoder.encode(&["cheap flights to tokyo"]).expect("encoded")[0];
    let top: Vec<_> = vector.by_weight().into_iter().take(5).collect();
    let top: Vec<String> =
        top.iter().map(|(t, w)| format!("{} {w:.2}", encoder.token(*t))).collect();
    assert_eq!(top, ["tokyo 2.33", "cheap 2.20", "hiroshima 1.50", "flight 1.44", "japanese 1.42"]);
}
