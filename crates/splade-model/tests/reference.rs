//! Every architecture against the vectors that PyTorch made in f64 for the small models that are
//! committed (scripts/reference/tiny_models.py). Needs nothing else.

use std::path::Path;

use serde_json::Value;
use splade_model::{
    ArchitectureConfig, Encoder, EncoderOptions, Isa, Layout, ModelFolder, Side, Weights,
};
use splade_sparse::{SparseVector, TermId};

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
        // The folder with a Router has a test of its own.
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

/// The first weight that is off by `tolerance` or more.
fn difference(
    vector: &SparseVector,
    terms: &[f64],
    weights: &[f64],
    tolerance: f64,
) -> Option<String> {
    for (term, weight) in terms.iter().zip(weights) {
        let got = f64::from(vector.weight(TermId(*term as u32)));
        if (got - weight).abs() >= tolerance {
            return Some(format!("term {term} is {got}, not {weight}"));
        }
    }
    let more =
        vector.iter().find(|(t, w)| f64::from(*w) >= tolerance && !terms.contains(&f64::from(t.0)));
    more.map(|(term, weight)| format!("term {term} is {weight}, not 0"))
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
        if let Some(at) = difference(&vector, &terms, &weights, 2e-5) {
            return Some(format!("{at}, for {text:?}"));
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

/// Queries of an inference-free model are looked up, documents computed, as sentence-transformers
/// does; as OpenSearch's older form with `idf.json` the same.
#[test]
fn inference_free_equals_sentence_transformers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference");
    let router = root.join("inference-free");
    let expected = std::fs::read_to_string(router.join("expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_str(&expected).expect("JSON");
    let query = Encoder::load(&router, &query_options()).expect("the query tower");

    // The same model as OpenSearch lays it out: idf.json beside the encoder of documents.
    let open_search = tempfile::tempdir().expect("a folder");
    for file in std::fs::read_dir(router.join("document_0_MLMTransformer")).expect("files") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), open_search.path().join(file.file_name())).expect("copied");
    }
    let table = Weights::open(&router.join("query_0_SparseStaticEmbedding")).expect("weights");
    let table = table.read_f32("weight").expect("the table");
    let weight = |(term, weight): (usize, f32)| (query.token(TermId(term as u32)), weight.into());
    let idf = table.into_iter().enumerate().map(weight).collect();
    let text = Value::Object(idf).to_string();
    std::fs::write(open_search.path().join("idf.json"), text).expect("written");

    let texts: Vec<&str> =
        expected["texts"].as_array().expect("texts").iter().filter_map(Value::as_str).collect();
    for (side, key, tolerance) in
        [(Side::Query, "queries", 1e-7), (Side::Document, "documents", 2e-5)]
    {
        let options = EncoderOptions { side, threads: Some(2), ..Default::default() };
        let encoder = Encoder::load(&router, &options).expect("loaded");
        let vectors = encoder.encode(&texts).expect("encoded");
        let wanted = expected[key].as_array().expect("vectors");
        assert_eq!(vectors.len(), wanted.len());
        for (vector, wanted) in vectors.iter().zip(wanted) {
            let (terms, weights) = (numbers(&wanted["indices"]), numbers(&wanted["values"]));
            assert_eq!(difference(vector, &terms, &weights, tolerance), None, "{key}");
        }
        let other = Encoder::load(open_search.path(), &options).expect("loaded");
        assert_eq!(other.encode(&texts).expect("encoded"), vectors, "{key} with idf.json");
    }
    let layout = ModelFolder::open(open_search.path()).expect("a model").layout;
    assert_eq!(layout, Layout::OpenSearch);
    let explained = query.explain(texts[0]).expect("explained");
    for term in &explained.terms {
        assert_eq!(query.token(term.term), explained.tokens[term.position]);
    }
}

fn query_options() -> EncoderOptions {
    EncoderOptions { side: Side::Query, threads: Some(1), ..Default::default() }
}
