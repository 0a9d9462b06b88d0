//! Compares every architecture with vectors that PyTorch computed in f64 for small models, which
//! are committed here (scripts/reference/tiny_models.py). The tests need no other files.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_model::architecture::ArchitectureConfig;
use splade_model::folder::Layout;
use splade_model::weights::Weights;
use splade_model::{Encoder, EncoderOptions, Isa, ModelFolder, Side};
use splade_sparse::{SparseVector, TermId};

/// The tolerance of a weight: f32 arithmetic against f64.
const TOLERANCE: f64 = 2e-5;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference")
}

/// Returns the folders of all models except the one with a Router, which has a separate test.
fn models() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(fixtures()).expect("the fixtures");
    let dirs = entries.map(|entry| entry.expect("an entry").path());
    let mut models: Vec<PathBuf> =
        dirs.filter(|dir| dir.is_dir() && !dir.join("router_config.json").is_file()).collect();
    models.sort();
    assert!(models.len() >= 20, "only {} models", models.len());
    models
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// Compares ids, weights and positions with every instruction set. All models that differ are
/// listed.
#[test]
fn equals_pytorch() {
    let mut wrong = Vec::new();
    for dir in models() {
        ArchitectureConfig::open(&dir).expect("a config");
        let name = dir.file_name().expect("a name").to_string_lossy().into_owned();
        let expected = json(&dir.join("expected.json"));
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
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Copies a model into a sentence-transformers folder.
fn with_pooling(model: &Path, pooling: &str, activation: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in std::fs::read_dir(model).expect("a model") {
        let file = file.expect("an entry");
        std::fs::copy(file.path(), folder.path().join(file.file_name())).expect("copied");
    }
    let place = "sentence_transformers.sparse_encoder.models";
    let modules = serde_json::json!([
        {"idx": 0, "name": "0", "path": "", "type": format!("{place}.MLMTransformer")},
        {"idx": 1, "name": "1", "path": "1_SpladePooling",
         "type": format!("{place}.SpladePooling")},
    ]);
    let config = serde_json::json!({"pooling_strategy": pooling,
        "activation_function": activation, "word_embedding_dimension": null});
    std::fs::write(folder.path().join("modules.json"), modules.to_string()).expect("written");
    let dir = folder.path().join("1_SpladePooling");
    std::fs::create_dir(&dir).expect("made");
    std::fs::write(dir.join("config.json"), config.to_string()).expect("written");
    folder
}

/// Compares the sum pooling of every model. The weight of each token may differ by the tolerance.
#[test]
fn sums_equal_pytorch() {
    let mut wrong = Vec::new();
    for dir in models() {
        let expected = json(&dir.join("expected.json"));
        let folder = with_pooling(&dir, "sum", "relu");
        for isa in Isa::supported() {
            let options = EncoderOptions { isa, threads: Some(2), ..Default::default() };
            let encoder = Encoder::load(folder.path(), &options).expect("a model");
            let texts = expected["texts"].as_array().expect("texts");
            for (text, result) in texts.iter().zip(expected["results"].as_array().expect("results"))
            {
                let text = text.as_str().expect("a text");
                let vector = encoder.encode(&[text]).expect("encoded").remove(0);
                let tokens = result["input_ids"].as_array().expect("ids").len();
                let at = difference(&vector, &result["sum"], TOLERANCE * tokens as f64);
                wrong.extend(at.map(|at| format!("{} {isa}: {at} for {text:?}", dir.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Compares every pooling with every activation of sentence-transformers
/// (scripts/reference/sentence_transformers_models.py). Each logarithm reduces the errors.
#[test]
fn poolings_equal_sentence_transformers() {
    let expected = json(&fixtures().join("st_pooling.json"));
    let model = fixtures().join(expected["model"].as_str().expect("a name"));
    let texts: Vec<&str> =
        expected["texts"].as_array().expect("texts").iter().filter_map(Value::as_str).collect();
    let results = expected["results"].as_array().expect("results");
    assert_eq!((texts.len(), results.len()), (5, 4));
    let mut wrong = Vec::new();
    for result in results {
        let (pooling, activation) = (&result["pooling"], &result["activation"]);
        let (pooling, activation) = (pooling.as_str().expect("max"), activation.as_str());
        let folder = with_pooling(&model, pooling, activation.expect("relu"));
        for isa in Isa::supported() {
            let options = EncoderOptions { isa, threads: Some(2), ..Default::default() };
            let encoder = Encoder::load(folder.path(), &options).expect("a model");
            let vectors = encoder.encode(&texts).expect("encoded");
            let wanted = result["vectors"].as_array().expect("vectors");
            for ((text, vector), want) in texts.iter().zip(&vectors).zip(wanted) {
                let ids = encoder.tokenizer().encode(text, Some(encoder.max_length()));
                let tokens = ids.expect("encoded").ids.len();
                let summed = if pooling == "sum" { tokens } else { 1 };
                let at = difference(vector, want, TOLERANCE * summed as f64);
                let place = format!("{pooling} {activation:?} {isa} {text:?}");
                wrong.extend(at.map(|at| format!("{place}: {at}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the first weight that differs, if there is one. A term that only one side has counts as
/// 0 on the other.
fn difference(vector: &SparseVector, want: &Value, tolerance: f64) -> Option<String> {
    let (terms, weights) = (numbers(&want["indices"]), numbers(&want["values"]));
    for (term, weight) in terms.iter().zip(&weights) {
        let got = f64::from(vector.weight(TermId(*term as u32)));
        if (got - weight).abs() >= tolerance {
            return Some(format!("term {term} is {got}, not {weight}"));
        }
    }
    let more =
        vector.iter().find(|(t, w)| f64::from(*w) >= tolerance && !terms.contains(&f64::from(t.0)));
    more.map(|(term, weight)| format!("term {term} is {weight}, not 0"))
}

/// Returns the first difference, if there is one.
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
        let terms = numbers(&max["indices"]);
        let vector = encoder.encode(&[text]).expect("encoded").remove(0);
        if let Some(at) = difference(&vector, max, TOLERANCE) {
            return Some(format!("{at} for {text:?}"));
        }
        // A position is null if the two largest logits are too close to compare.
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

/// Without the files of sentence-transformers, `light_splade.json` gives pooling, saturation and
/// length for both towers.
#[test]
fn what_train_says_of_a_model_is_read() {
    let bert = fixtures().join("bert");
    let text = ["a small text of some tokens"];
    let encode = |folder: &Path, side| {
        let options = EncoderOptions { side, threads: Some(1), ..Default::default() };
        Encoder::load(folder, &options).expect("a model").encode(&text).expect("encoded")
    };
    for (agg, pooling) in [("max", "max"), ("sum", "sum")] {
        for (activation, function) in [("log1p_relu", "relu"), ("log1p_log1p_relu", "log1p_relu")] {
            let want = encode(with_pooling(&bert, pooling, function).path(), Side::Document);
            let folder = with_pooling(&bert, pooling, function);
            std::fs::remove_file(folder.path().join("modules.json")).expect("removed");
            let settings = serde_json::json!({"agg": agg, "activation": activation});
            std::fs::write(folder.path().join("light_splade.json"), settings.to_string())
                .expect("written");
            assert_eq!(encode(folder.path(), Side::Document), want, "{agg} {activation}");
            let query = folder.path().join("query_model");
            std::fs::create_dir(&query).expect("made");
            for file in std::fs::read_dir(&bert).expect("a model") {
                let file = file.expect("an entry");
                std::fs::copy(file.path(), query.join(file.file_name())).expect("copied");
            }
            assert_eq!(encode(folder.path(), Side::Query), want, "{agg} {activation}");
            let found = ModelFolder::open(folder.path()).expect("a model");
            assert_eq!((found.layout, found.query.dir), (Layout::TwoTower, query));
        }
    }
    let folder = with_pooling(&bert, "max", "relu");
    std::fs::remove_file(folder.path().join("modules.json")).expect("removed");
    let settings = folder.path().join("light_splade.json");
    std::fs::write(&settings, r#"{"agg": "max", "max_length": 4}"#).expect("written");
    assert_eq!(ModelFolder::open(folder.path()).expect("a model").query.max_seq_length, Some(4));
    std::fs::write(&settings, r#"{"agg": "mean"}"#).expect("written");
    let message = ModelFolder::open(folder.path()).expect_err("refused").to_string();
    for part in ["light_splade.json", "agg", "mean", "max, sum"] {
        assert!(message.contains(part), "{message}");
    }
}

/// Queries of an inference-free model are looked up and documents are computed, as in
/// sentence-transformers. OpenSearch's older layout with `idf.json` gives the same vectors.
#[test]
fn inference_free_equals_sentence_transformers() {
    let router = fixtures().join("inference-free");
    let expected = json(&router.join("expected.json"));
    let query = Encoder::load(&router, &query_options()).expect("the query tower");

    // The same model in OpenSearch's layout has idf.json next to the document encoder.
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
            assert_eq!(difference(vector, wanted, tolerance), None, "{key}");
        }
        let other = Encoder::load(open_search.path(), &options).expect("loaded");
        assert_eq!(other.encode(&texts).expect("encoded"), vectors, "{key} with idf.json");
    }
    // The table takes precedence over a query model in the same folder.
    std::fs::create_dir(open_search.path().join("query_model")).expect("made");
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
