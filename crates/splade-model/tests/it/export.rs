//! Tests of exported folders: they give the vectors of their source and contain the files and
//! tensors that each library needs. `scripts/reference/exported_models.py` checks that the
//! libraries load them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_model::export::{ExportOptions, ExportedModel, QueryTower, export_model};
use splade_model::folder::Pooling;
use splade_model::weights::{FloatType, Weights};
use splade_model::{Encoder, EncoderOptions, Side};
use splade_sparse::SparseVector;
use tempfile::TempDir;

const TEXTS: [&str; 3] = ["朝の電車で東京へ", "The night train was late.", "cheap travel"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference").join(name)
}

fn encode(folder: &Path, side: Side) -> Vec<SparseVector> {
    let options = EncoderOptions { side, threads: Some(1), ..Default::default() };
    Encoder::load(folder, &options).expect("a model").encode(&TEXTS).expect("encoded")
}

fn export(from: &Path, dtype: FloatType) -> (TempDir, ExportedModel) {
    let to = tempfile::tempdir().expect("a folder");
    let options = ExportOptions { dtype, ..Default::default() };
    let exported = export_model(from, to.path(), &options).expect("exported");
    (to, exported)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

/// Returns for each library which parts of the folder it loads.
fn loads(exported: &ExportedModel) -> BTreeMap<&'static str, &'static str> {
    exported.readers().into_iter().map(|reader| (reader.name, reader.loads)).collect()
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("created");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

#[test]
fn every_architecture_gives_the_same_bits() {
    let mut names: Vec<String> = std::fs::read_dir(fixture(""))
        .expect("the fixtures")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| fixture(name).is_dir())
        .collect();
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    for name in names {
        let (to, _) = export(&fixture(&name), FloatType::F32);
        for side in [Side::Document, Side::Query] {
            assert_eq!(encode(to.path(), side), encode(&fixture(&name), side), "{name} {side:?}");
        }
        // A second export changes nothing.
        let (again, _) = export(to.path(), FloatType::F32);
        let read = |folder: &TempDir, file: &str| std::fs::read(folder.path().join(file)).ok();
        for file in ["model.safetensors", "config.json", "modules.json", "tokenizer.json"] {
            assert_eq!(read(&to, file), read(&again, file), "{name} {file}");
        }
    }
}

/// The rules are those of text-embeddings-inference 1.9 (its `candle` models and
/// `router/src/lib.rs`): the names of tensors, `tokenizer.json`, and `max_seq_length`, without
/// which it does not start.
#[test]
fn what_text_embeddings_inference_needs_is_there() {
    let cases = [
        ("bert", &["cls.predictions.bias", "cls.predictions.transform.dense.weight"][..]),
        (
            "distilbert",
            &["vocab_transform.weight", "vocab_layer_norm.weight", "vocab_projector.bias"],
        ),
        ("roberta", &["lm_head.decoder.weight", "lm_head.bias", "lm_head.dense.weight"]),
        ("xlm-roberta", &["lm_head.decoder.weight", "lm_head.bias", "lm_head.layer_norm.weight"]),
        ("camembert", &["lm_head.decoder.weight", "lm_head.bias", "lm_head.decoder.bias"]),
    ];
    for (name, tensors) in cases {
        let (to, exported) = export(&fixture(name), FloatType::F32);
        let weights = Weights::open(to.path()).expect("weights");
        for tensor in tensors {
            assert!(weights.shape(tensor).is_some(), "{name} has no {tensor}");
        }
        assert!(to.path().join("tokenizer.json").is_file(), "{name}");
        let settings = json_of(&to.path().join("sentence_bert_config.json"));
        assert_eq!(settings["max_seq_length"], exported.max_length, "{name}");
        let architecture = &json_of(&to.path().join("config.json"))["architectures"][0];
        assert!(architecture.as_str().is_some_and(|name| name.ends_with("ForMaskedLM")), "{name}");
        assert_eq!(loads(&exported)["text-embeddings-inference"], "yes", "{name}");
    }
    for (name, reason) in [
        ("bert-japanese", "MeCab"),
        ("modernbert", "architecture"),
        ("deberta-v2", "architecture"),
        ("electra", "architecture"),
    ] {
        let (_, exported) = export(&fixture(name), FloatType::F32);
        let readers = exported.readers();
        let tei = readers.iter().find(|reader| reader.name == "text-embeddings-inference");
        let tei = tei.expect("a row");
        assert_eq!(tei.loads, "no", "{name}");
        assert!(tei.note.contains(reason), "{name}: {}", tei.note);
    }
}

/// The tied decoder is written out as a copy of the word embeddings.
#[test]
fn robertas_decoder_is_its_embedding() {
    let (to, _) = export(&fixture("roberta"), FloatType::F32);
    let weights = Weights::open(to.path()).expect("weights");
    let embedding = weights.read_f32("roberta.embeddings.word_embeddings.weight").expect("read");
    assert_eq!(weights.read_f32("lm_head.decoder.weight").expect("read"), embedding);
}

#[test]
fn halves_are_the_nearest_numbers() {
    let source = Weights::open(&fixture("bert")).expect("weights");
    for (dtype, name, error) in
        [(FloatType::F16, "float16", 1.0 / 2048.0), (FloatType::Bf16, "bfloat16", 1.0 / 256.0)]
    {
        let (to, _) = export(&fixture("bert"), dtype);
        assert_eq!(json_of(&to.path().join("config.json"))["torch_dtype"], name);
        let size = |folder: &Path| {
            std::fs::metadata(folder.join("model.safetensors")).expect("a file").len()
        };
        assert!(size(to.path()) < size(&fixture("bert")) * 6 / 10);
        let halves = Weights::open(to.path()).expect("weights");
        for tensor in halves.names() {
            let (half, whole) = (halves.read_f32(tensor), source.read_f32(tensor));
            for (half, whole) in half.expect("read").iter().zip(whole.expect("read")) {
                // The tolerance is half of the last binary place, plus f16's smallest step.
                assert!((half - whole).abs() <= whole.abs() * error + 3e-8, "{half} {whole}");
            }
        }
    }
}

#[test]
fn towers_prompts_and_lengths() {
    let source = tempfile::tempdir().expect("a folder");
    copy(&fixture("bert"), source.path());
    copy(&fixture("bert-relu"), &source.path().join("query_model"));
    let (to, exported) = export(source.path(), FloatType::F32);
    assert_eq!(exported.query, QueryTower::Model);
    for side in [Side::Document, Side::Query] {
        assert_eq!(encode(to.path(), side), encode(source.path(), side), "{side:?}");
    }
    assert_ne!(encode(to.path(), Side::Document), encode(to.path(), Side::Query));
    let router = json_of(&to.path().join("router_config.json"));
    let query = json!(["query_model", "query_1_SpladePooling"]);
    assert_eq!(router["structure"]["query"], query);
    assert_eq!(loads(&exported)["light-splade in Python"], "yes");

    // The other fixture with two towers has a table for queries; the model at the top of the folder
    // encodes the documents.
    let (to, exported) = export(&fixture("inference-free"), FloatType::F32);
    assert_eq!(exported.query, QueryTower::Table);
    assert!(to.path().join("model.safetensors").is_file());
    assert_eq!(loads(&exported)["light-splade in Python"], "documents");

    // Sum pooling and prompts are kept, and libraries that do not support them are reported.
    std::fs::remove_dir_all(source.path().join("query_model")).expect("removed");
    let write = |name: &str, value: Value| {
        std::fs::write(source.path().join(name), value.to_string()).expect("written");
    };
    std::fs::create_dir(source.path().join("pool")).expect("created");
    write("pool/config.json", json!({"pooling_strategy": "sum"}));
    write(
        "modules.json",
        json!([{"path": "", "type": "x.MLMTransformer"}, {"path": "pool", "type": "x.SpladePooling"}]),
    );
    write(
        "config_sentence_transformers.json",
        json!({"prompts": {"query": "question: ", "document": ""}}),
    );
    let options = ExportOptions { max_length: Some(7), ..Default::default() };
    let to = tempfile::tempdir().expect("a folder");
    let exported = export_model(source.path(), to.path(), &options).expect("exported");
    assert_eq!((exported.head.0, exported.max_length), (Pooling::Sum, 7));
    assert_eq!(exported.prompts[0], "question: ");
    let loaded =
        Encoder::load(to.path(), &EncoderOptions { side: Side::Query, ..Default::default() });
    let loaded = loaded.expect("a model");
    assert_eq!((loaded.max_length(), loaded.prompt()), (7, "question: "));
    assert_eq!(loads(&exported)["light-splade in Python"], "no");
    assert_eq!(loads(&exported)["text-embeddings-inference"], "no");
    let tokenizer = json_of(&to.path().join("tokenizer_config.json"));
    assert_eq!(tokenizer["model_max_length"], 7);
}

/// The number 70,000 is too large for f16 but not for bf16.
#[test]
fn weights_that_do_not_fit_are_refused() {
    let source = tempfile::tempdir().expect("a folder");
    copy(&fixture("bert"), source.path());
    let weights = Weights::open(source.path()).expect("weights");
    let tensors: Vec<(String, Vec<usize>)> = weights
        .names()
        .map(|name| (name.to_owned(), weights.shape(name).expect("a shape").to_vec()))
        .collect();
    let numbers: Vec<Vec<f32>> =
        tensors.iter().map(|(name, _)| weights.read_f32(name).expect("read")).collect();
    let path = source.path().join("model.safetensors");
    let mut file = splade_model::weights::WeightsWriter::create(&path, &tensors).expect("created");
    for (i, mut numbers) in numbers.into_iter().enumerate() {
        if i == 0 {
            numbers[0] = 70_000.0;
        }
        file.write(&numbers).expect("written");
    }
    file.finish().expect("finished");
    let to = tempfile::tempdir().expect("a folder");
    let export = |dtype| {
        export_model(source.path(), to.path(), &ExportOptions { dtype, ..Default::default() })
    };
    let error = export(FloatType::F16).expect_err("too large").to_string();
    assert!(error.contains("a weight of 70000 is too large for float16"), "{error}");
    export(FloatType::Bf16).expect("exported");
}
