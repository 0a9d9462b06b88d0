//! Every architecture against the vectors that PyTorch made in f64 for the small models that are
//! committed (scripts/reference/tiny_models.py). Needs nothing else.

use std::path::Path;

use serde_json::Value;
use splade_model::{ArchitectureConfig, Encoder, EncoderOptions, Isa};
use splade_sparse::TermId;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// Ids, weights within 2e-5 (f32 arithmetic against f64) and positions, with every kernel. All
/// models that differ are listed.
#[test]
fn equals_pytorch() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference");
    let (mut wrong, mut models) = (Vec::new(), 0);
    for entry in std::fs::read_dir(&root).expect("the fixtures") {
        let dir = entry.expect("an entry").path();
        // Sentence-transformers folders with a Router are not read yet.
        if !dir.is_dir() || dir.join("router_config.json").is_file() {
            continue;
        }
        ArchitectureConfig::open(&dir).expect("a config");
        models += 1;
        let name = dir.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(dir.join("expected.json")).expect("expected.json");
        let expected: Value = serde_json::from_str(&text).expect("JSON");
        for isa in Isa::supported() {
            let options = EncoderOptions { isa, threads: Some(2), ..Default::default() };
            match Encoder::load(&dir, &options) {
                Ok(encoder) => {
                    wrong.extend(
                        compare(&encoder, &expected).map(|at| format!("{name} {isa}: {at}")),
                    );
                }
                Err(error) => wrong.push(format!("{name} {isa}: {error}")),
            }
        }
    }
    assert!(models >= 20, "only {models} models");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The first difference, if there is one.
fn compare(encoder: &Encoder, expected: &Value) -> Option<String> {
    let texts = expected["texts"].as_array().expect("texts");
    for (text, result) in texts.iter().zip(expected["results"].as_array().expect("results")) {
        let text = text.as_str().expect("a text");
        let ids =
            encoder.tokenizer().encode(text, Some(encoder.max_length())).expect("encoded").ids;
        if ids.into_iter().map(f64::from).collect::<Vec<_>>() != numbers(&result["input_ids"]) {
            return Some(format!("other ids for {text:?}"));
        }
        let max = &result["max"];
        let (terms, weights) = (numbers(&max["indices"]), numbers(&max["values"]));
        let vector = encoder.encode(&[text]).expect("encoded").remove(0);
        for (term, weight) in terms.iter().zip(&weights) {
            let got = f64::from(vector.weight(TermId(*term as u32)));
            if (got - weight).abs() >= 2e-5 {
                return Some(format!("term {term} is {got}, not {weight}, for {text:?}"));
            }
        }
        let more = vector.iter().find(|(t, w)| *w >= 2e-5 && !terms.contains(&f64::from(t.0)));
        if let Some((term, weight)) = more {
            return Some(format!("term {term} is {weight}, not 0, for {text:?}"));
        }
        // Positions are null where the runner-up is too near to tell.
        let positions = max["positions"].as_array().expect("positions");
        for term in encoder.explain(text).expect("explained").terms {
            let at = terms.iter().position(|t| *t == f64::from(term.term.0));
            let want = at.and_then(|at| positions[at].as_u64());
            if want.is_some_and(|want| want != term.position as u64) {
                return Some(format!("term {} at {}, not {want:?}", term.term, term.position));
            }
        }
    }
    None
}
