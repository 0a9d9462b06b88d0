//! Compares the vectors of the demo model in this repository with vectors that PyTorch computed in
//! f64 (scripts/reference/demo_model.py). The tests need no other files.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_model::{Encoder, EncoderOptions, Isa, Precision};

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo")
}

fn expected() -> Vec<Value> {
    let text = std::fs::read_to_string(demo().join("expected.json")).expect("expected.json");
    serde_json::from_str(&text).expect("JSON")
}

fn numbers(row: &Value, key: &str) -> Vec<f64> {
    row[key].as_array().expect(key).iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// Ids that the tokenizer made give the vector of the text, and lengths are those that the model takes.
#[test]
fn token_ids_and_other_lengths() {
    let options = EncoderOptions { threads: Some(1), ..Default::default() };
    let encoder = Encoder::load(&demo(), &options).expect("the demo model");
    let texts = ["朝の電車で東京へ行く。", "東京"];
    let ids = texts.map(|text| encoder.tokenizer().encode(text, None).expect("encoded").ids);
    let want = encoder.encode(&texts).expect("encoded");
    assert_eq!(encoder.encode_ids(&ids).expect("encoded"), want);
    assert_eq!(encoder.encode_ids(&[&ids[0][..]]).expect("encoded"), want[..1]);

    let limit = encoder.length_limit();
    for (ids, problem) in [
        (vec![], "text 1 has 0 token ids, but the model takes 1 to 64"),
        (vec![458], "text 1 has the token id 458, but the vocabulary has 458 tokens"),
        (vec![2; limit + 1], "text 1 has 65 token ids, but the model takes 1 to 64"),
    ] {
        let error = encoder.encode_ids(&[vec![2, 3], ids]).expect_err(problem);
        assert_eq!(error.to_string(), problem);
    }

    let short = encoder.clone().with_max_length(4).expect("a length");
    assert!(short.shares_weights(&encoder));
    let cut = encoder.tokenizer().encode(texts[0], Some(4)).expect("encoded").ids;
    let from_cut = encoder.encode_ids(&[cut]).expect("encoded");
    assert_eq!(short.encode(&texts[..1]).expect("encoded"), from_cut);
    assert!(encoder.clone().with_max_length(limit).is_ok());
    assert!(encoder.clone().with_max_length(limit + 1).is_err());
    assert!(encoder.with_max_length(2).is_err());
}

/// Compares ids, weights within 2e-5 (f32 arithmetic against f64) and positions, with every
/// instruction set.
#[test]
fn equals_pytorch() {
    for isa in Isa::supported() {
        let options = EncoderOptions { isa, threads: Some(2), ..Default::default() };
        let encoder = Encoder::load(&demo(), &options).expect("the demo model");
        for row in expected() {
            let text = row["text"].as_str().expect("a text");
            let ids =
                encoder.tokenizer().encode(text, Some(encoder.max_length())).expect("encoded").ids;
            let ids: Vec<f64> = ids.into_iter().map(f64::from).collect();
            assert_eq!(ids, numbers(&row, "input_ids"), "{text}");
            let vector = encoder.encode(&[text]).expect("encoded").remove(0);
            let (terms, weights) = (numbers(&row, "terms"), numbers(&row, "max"));
            for (term, weight) in terms.iter().zip(&weights) {
                let got = f64::from(vector.weight(splade_sparse::TermId(*term as u32)));
                assert!((got - weight).abs() < 2e-5, "{isa} {text}: term {term} {got} {weight}");
            }
            let unknown = vector.iter().filter(|(term, _)| !terms.contains(&f64::from(term.0)));
            assert!(unknown.into_iter().all(|(_, weight)| weight < 2e-5), "{isa} {text}");
            let positions = numbers(&row, "positions");
            for term in encoder.explain(text).expect("explained").terms {
                if let Some(at) = terms.iter().position(|t| *t == f64::from(term.term.0)) {
                    assert_eq!(term.position as f64, positions[at], "{isa} {text} {}", term.term);
                }
            }
        }
    }
}

/// A vector has the same bits alone, with other texts, for every batch size and for every number of
/// threads.
#[test]
fn company_does_not_matter() {
    let texts: Vec<String> =
        expected().iter().map(|row| row["text"].as_str().expect("a text").to_owned()).collect();
    for precision in [Precision::F32, Precision::Int8] {
        let vectors = |threads, batch_tokens| {
            let threads = Some(threads);
            let options = EncoderOptions { precision, threads, batch_tokens, ..Default::default() };
            let encoder = Encoder::load(&demo(), &options).expect("the demo model");
            let together = encoder.encode(&texts).expect("encoded");
            let alone = texts.iter().map(|t| encoder.encode(&[t]).expect("encoded").remove(0));
            assert_eq!(together, alone.collect::<Vec<_>>());
            together
        };
        let one = vectors(1, 512);
        assert_eq!(one, vectors(3, 512));
        assert_eq!(one, vectors(2, 7));
    }
}
