//! Compares every head with the original libraries (scripts/reference/heads.py and
//! heads_of_others.py). A head is committed without its body, which is one of the models of
//! `reference`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_model::{
    Embedder, Embedding, Encoder, EncoderOptions, HeadKind, Isa, ModelError, ModelFolder, Side,
    Similarity,
};

/// The tolerance of a number: f32 arithmetic against f64. No vector has numbers above 4.
const TOLERANCE: f64 = 2e-5;
/// The tolerance of a score, which adds up to 14 products of vectors of length 1, or the products of
/// 16 numbers up to 4.
const SCORE_TOLERANCE: f64 = 2e-4;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, &to).expect("copied")),
        }
    }
}

/// Puts a head and its body into a folder and returns the expected values as well.
fn assembled(name: &str) -> (tempfile::TempDir, Value) {
    let head = fixtures().join("heads").join(name);
    let expected = json(&head.join("expected.json"));
    let folder = tempfile::tempdir().expect("a folder");
    copy(&fixtures().join("reference").join(text(&expected["body"])), folder.path());
    copy(&head, folder.path());
    (folder, expected)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn texts(expected: &Value) -> Vec<&str> {
    expected["texts"].as_array().expect("texts").iter().map(text).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// Returns the first difference between the vectors of a text and the expected rows.
fn difference(got: &Embedding, want: &Value) -> Option<String> {
    let want: Vec<Vec<f64>> = want.as_array().expect("rows").iter().map(numbers).collect();
    if got.len() != want.len() {
        return Some(format!("{} rows, not {}", got.len(), want.len()));
    }
    for (number, (row, want)) in got.rows().zip(&want).enumerate() {
        let near = |(x, y): (&f32, &f64)| (f64::from(*x) - y).abs() < TOLERANCE;
        if row.len() != want.len() || !row.iter().zip(want).all(near) {
            return Some(format!("row {number} is {row:?}, not {want:?}"));
        }
    }
    None
}

/// Compares all vectors of both sides and the scores, with every instruction set, all texts at once
/// and one alone.
fn compare(folder: &Path, kind: HeadKind, expected: &Value) -> Vec<String> {
    let texts = texts(expected);
    let mut wrong = Vec::new();
    for isa in Isa::supported() {
        let options = EncoderOptions { isa, threads: Some(2), ..Default::default() };
        let embedder = match Embedder::load(folder, kind, &options) {
            Ok(embedder) => embedder,
            Err(error) => return vec![error.to_string()],
        };
        let mut made = Vec::new();
        for (side, key) in [(Side::Query, "query"), (Side::Document, "document")] {
            let vectors = embedder.embed(side, &texts).expect("embedded");
            let wanted = expected[key].as_array().expect("vectors");
            assert_eq!(vectors.len(), wanted.len());
            for ((text, vector), want) in texts.iter().zip(&vectors).zip(wanted) {
                wrong.extend(
                    difference(vector, want).map(|at| format!("{isa} {key} {text:?}: {at}")),
                );
            }
            let alone = embedder.embed(side, &texts[1..2]).expect("embedded");
            assert_eq!(alone[0], vectors[1], "the same bits alone");
            made.push(vectors);
        }
        let pairs = made[0].iter().zip(&made[1][1..]);
        for ((query, document), want) in pairs.zip(numbers(&expected["similarity"])) {
            let got = f64::from(embedder.similarity(query, document));
            if (got - want).abs() > SCORE_TOLERANCE {
                wrong.push(format!("{isa}: the score is {got}, not {want}"));
            }
        }
    }
    wrong
}

#[test]
fn vectors_equal_the_original_libraries() {
    let entries = std::fs::read_dir(fixtures().join("heads")).expect("the fixtures");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert!(names.len() >= 13, "only {} heads", names.len());
    let mut wrong = Vec::new();
    for name in names {
        let (folder, expected) = assembled(&name);
        let is_dense = name.starts_with("dense") || name == "bge-m3";
        let kind = if is_dense { HeadKind::Dense } else { HeadKind::MultiVector };
        let found = compare(folder.path(), kind, &expected);
        wrong.extend(found.into_iter().map(|at| format!("{name}: {at}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// BGE-M3 makes three kinds of vectors with one body.
#[test]
fn one_body_has_three_heads() {
    let (folder, mut expected) = assembled("bge-m3");
    let others = json(&folder.path().join("expected_others.json"));
    let found = ModelFolder::open(folder.path()).expect("a model");
    assert_eq!(found.heads, [HeadKind::Dense, HeadKind::Sparse, HeadKind::MultiVector]);
    for key in ["query", "document"] {
        expected[key] = others["colbert"].clone();
    }
    expected["similarity"] = others["similarity"].clone();
    let found = compare(folder.path(), HeadKind::MultiVector, &expected);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let embedder = Embedder::load(folder.path(), HeadKind::MultiVector, &EncoderOptions::default());
    assert_eq!(embedder.expect("loaded").similarity_kind(), Similarity::MeanMaxSim);

    for isa in Isa::supported() {
        let options = EncoderOptions { isa, threads: Some(2), ..Default::default() };
        let encoder = Encoder::load(folder.path(), &options).expect("token weights");
        let vectors = encoder.encode(&texts(&expected)).expect("encoded");
        let wanted = others["sparse"].as_array().expect("vectors");
        assert_eq!(vectors.len(), wanted.len());
        for (vector, want) in vectors.iter().zip(wanted) {
            let want: Vec<Vec<f64>> = want.as_array().expect("terms").iter().map(numbers).collect();
            let got: Vec<(f64, f64)> = vector
                .iter()
                .map(|(term, weight)| (f64::from(term.0), f64::from(weight)))
                .collect();
            assert_eq!(got.len(), want.len());
            for ((term, weight), want) in got.iter().zip(&want) {
                assert_eq!(*term, want[0], "{isa}");
                assert!((weight - want[1]).abs() < TOLERANCE, "{isa}: {weight}, not {}", want[1]);
            }
        }
        let explained = encoder.explain(texts(&expected)[0]).expect("explained");
        for term in explained.terms {
            assert_eq!(explained.tokens[term.position], encoder.token(term.term));
        }
    }
}

/// The bodies that have no decoder in their file are dense as in sentence-transformers.
#[test]
fn an_encoder_alone_takes_the_mean() {
    let (mean, expected) = assembled("dense-mean");
    for file in ["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"] {
        std::fs::remove_file(mean.path().join(file)).expect("removed");
    }
    let path = mean.path().join("config.json");
    let mut config = json(&path);
    config["architectures"] = serde_json::json!(["BertModel"]);
    std::fs::write(&path, config.to_string()).expect("written");
    let options = EncoderOptions::default();
    let embedder = Embedder::load(mean.path(), HeadKind::Dense, &options).expect("loaded");
    let vectors = embedder.embed(Side::Query, &texts(&expected)).expect("embedded");
    for (vector, want) in vectors.iter().zip(expected["query"].as_array().expect("vectors")) {
        assert_eq!(difference(vector, want), None);
    }
}

/// What is asked of a model that makes something else, or whose files do not fit each other, is told
/// before the weights are read.
#[test]
fn what_a_folder_lacks_is_named() {
    let error = |folder: &Path, kind| {
        let error = Embedder::load(folder, kind, &EncoderOptions::default()).expect_err("refused");
        (error.to_string(), error.hint())
    };
    let splade = fixtures().join("reference/bert");
    let (message, hint) = error(&splade, HeadKind::Dense);
    assert!(message.ends_with("the model makes sparse vectors, not dense vectors"), "{message}");
    assert_eq!(hint.as_deref(), Some("name a model that makes dense vectors"));
    let (dense, _) = assembled("dense-mean");
    let refused = Encoder::load(dense.path(), &EncoderOptions::default()).expect_err("refused");
    assert!(matches!(refused, ModelError::OtherHead { wanted: HeadKind::Sparse, .. }), "{refused}");
    let classifier = fixtures().join("cross_encoders/bert");
    let (message, hint) = error(&classifier, HeadKind::Dense);
    assert!(message.ends_with("the model makes scores of pairs, not dense vectors"), "{message}");
    assert!(hint.is_some_and(|hint| hint.contains("a cross-encoder only scores pairs")));

    let edit = |name: &str, file: &str, edit: &dyn Fn(&mut Value)| {
        let (folder, _) = assembled(name);
        let path = folder.path().join(file);
        let mut value = json(&path);
        edit(&mut value);
        std::fs::write(&path, value.to_string()).expect("written");
        folder
    };
    let set = |key: &'static str, to: Value| move |value: &mut Value| value[key] = to.clone();
    let kind_of = |name: &str| match name.starts_with("dense") {
        true => HeadKind::Dense,
        false => HeadKind::MultiVector,
    };
    for (name, file, change, part) in [
        (
            "dense-projected",
            "2_Dense/config.json",
            set("in_features", 16.into()),
            "takes rows of 16 numbers, but the part before it gives rows of 32",
        ),
        (
            "dense-projected",
            "2_Dense/config.json",
            set("activation_function", "torch.nn.Mish".into()),
            "Mish",
        ),
        ("dense-mean", "1_Pooling/config.json", set("pooling_mode", "median".into()), "median"),
        ("dense-mean", "1_Pooling/config.json", set("pooling", "mean".into()), "\"pooling\""),
        (
            "dense-mean",
            "config_sentence_transformers.json",
            set("similarity_fn_name", "euclidean".into()),
            "implemented: cosine, dot",
        ),
        (
            "pylate",
            "config_sentence_transformers.json",
            set("query_prefix", "[Q] ".into()),
            "the tokenizer has no token \"[Q] \", which the model needs as marker",
        ),
        (
            "colbert-ai",
            "artifact.metadata",
            set("dim", 9.into()),
            "linear.weight is [8, 16] where [9, 16]",
        ),
        (
            "colbert-ai",
            "artifact.metadata",
            set("similarity", "l2".into()),
            "implemented: \"cosine\"",
        ),
    ] {
        let folder = edit(name, file, &change);
        let (message, _) = error(folder.path(), kind_of(name));
        assert!(message.contains(part), "{name}: {message}");
    }
    // A ColBERT folder without its projection.
    let folder = edit("pylate", "modules.json", &|modules| {
        modules.as_array_mut().expect("a list").truncate(1);
        modules.as_array_mut().expect("a list").push(serde_json::json!(
            {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}
        ));
    });
    let (message, _) = error(folder.path(), HeadKind::MultiVector);
    assert!(message.contains("needs a projection, a module Dense"), "{message}");
    let (folder, _) = assembled("colbert-ai");
    std::fs::remove_file(folder.path().join("artifact.metadata")).expect("removed");
    let (message, _) = error(folder.path(), HeadKind::MultiVector);
    assert!(message.contains("artifact.metadata, are missing"), "{message}");
    let (folder, _) = assembled("pylate");
    std::fs::remove_file(folder.path().join("1_Dense/model.safetensors")).expect("removed");
    let (message, _) = error(folder.path(), HeadKind::MultiVector);
    assert!(message.contains("1_Dense") && message.contains("there are no weights"), "{message}");
}
