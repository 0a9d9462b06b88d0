//! Compares cross-encoders of every architecture with PyTorch's logits and gradients
//! (`scripts/reference/tiny_cross_encoders.py`).

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_model::cross_encoder::PairTokenizer;
use splade_model::training::{TrainableCrossEncoder, add_classifier, lacks_classifier};
use splade_model::{CrossEncoder, CrossEncoderOptions, Isa};

use crate::whole;

/// The tolerance of a logit: f32 arithmetic against f64, through sums of a few hundred numbers
/// about 1.
const TOLERANCE: f64 = 2e-5;

const MODELS: [&str; 10] = [
    "bert",
    "bert-two-labels",
    "bert-japanese",
    "distilbert",
    "roberta",
    "xlm-roberta",
    "electra",
    "modernbert",
    "modernbert-mean",
    "deberta-v2",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn folder(name: &str) -> PathBuf {
    fixtures().join("cross_encoders").join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}

fn expected(name: &str) -> Value {
    json(&folder(name).join("expected.json"))
}

fn pairs(expected: &Value) -> Vec<(String, String)> {
    serde_json::from_value(expected["pairs"].clone()).expect("pairs")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn logits_equal_pytorch() {
    let mut wrong = Vec::new();
    for name in MODELS {
        let expected = expected(name);
        let pairs = pairs(&expected);
        for isa in Isa::supported() {
            let options = CrossEncoderOptions { isa, ..CrossEncoderOptions::default() };
            let model = CrossEncoder::load(&folder(name), &options).expect("a model");
            assert_eq!(model.has_sigmoid(), expected["sigmoid"] == true, "{name}");
            assert!(model.unexpected_tensors().is_empty(), "{name}");
            let encoded = model.tokenizer().encode(&pairs).expect("encoded");
            let logits = model.logits(&pairs).expect("logits");
            for (pair, want) in expected["results"].as_array().expect("results").iter().enumerate()
            {
                let ids: Vec<f64> = encoded[pair].ids.iter().copied().map(f64::from).collect();
                let types: Vec<f64> = encoded[pair].types.iter().copied().map(f64::from).collect();
                if ids != numbers(&want["input_ids"]) || types != numbers(&want["token_types"]) {
                    wrong.push(format!("{name} {isa} pair {pair}: {ids:?} {types:?}"));
                }
                let wanted = numbers(&want["logits"]);
                assert_eq!(logits[pair].len(), wanted.len(), "{name}");
                for (got, want) in logits[pair].iter().zip(&wanted) {
                    if (f64::from(*got) - want).abs() > TOLERANCE {
                        wrong.push(format!("{name} {isa} pair {pair}: {got}, not {want}"));
                    }
                }
                // A pair alone gives the same bits.
                let alone = model.logits(&pairs[pair..=pair]).expect("logits");
                assert_eq!(alone[0], logits[pair], "{name} {isa} pair {pair}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_score_is_made_of_one_or_two_labels() {
    let load =
        |name| CrossEncoder::load(&folder(name), &CrossEncoderOptions::default()).expect("a model");
    let pairs = pairs(&expected("bert"));
    for name in ["bert", "bert-two-labels"] {
        let model = load(name);
        let logits = model.logits(&pairs).expect("logits");
        let scored = model.score_batch(&pairs).expect("scores");
        for (score, logits) in scored.scores.iter().zip(&logits) {
            assert_eq!(
                *score,
                logits.last().expect("one") - if logits.len() == 2 { logits[0] } else { 0.0 }
            );
        }
        let long = expected(name);
        let results = long["results"].as_array().expect("results");
        let tokens: usize = results.iter().map(|r| numbers(&r["input_ids"]).len()).sum();
        assert_eq!(scored.tokens, tokens);
        assert!(scored.truncated > 0);
    }
    let error = load("xlm-roberta").score(&pairs).expect_err("three labels").to_string();
    assert!(error.contains("this model has 3"), "{error}");
    let options = CrossEncoderOptions { max_length: Some(4000), ..Default::default() };
    let error = CrossEncoder::load(&folder("bert"), &options).expect_err("too long").to_string();
    assert!(error.contains("4000 tokens"), "{error}");
}

#[test]
fn modules_are_refused() {
    let copy = without_dropout(&folder("bert"));
    std::fs::write(copy.path().join("modules.json"), "[]").expect("written");
    let error = CrossEncoder::load(copy.path(), &Default::default()).expect_err("refused");
    assert!(whole(&error).contains("modules.json: the modules of a cross-encoder"), "{error}");
}

/// Copies a model and sets its dropout to zero.
fn without_dropout(model: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(model).expect("a model") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, dir.path().join(path.file_name().expect("a name"))).expect("copied");
    }
    let path = dir.path().join("config.json");
    let mut config = json(&path);
    let keys: Vec<String> = config.as_object().expect("an object").keys().cloned().collect();
    for key in keys.iter().filter(|key| key.contains("dropout")) {
        config[key] = Value::from(0.0);
    }
    config["classifier_dropout"] = Value::from(0.0);
    std::fs::write(path, config.to_string()).expect("a config");
    dir
}

/// Returns the gradients of every tensor for the loss of the script, computed with `group` pairs at
/// a time.
fn gradients(
    model: &mut TrainableCrossEncoder,
    folder: &Path,
    group: usize,
) -> Vec<(String, Vec<f32>)> {
    let pairs = pairs(&json(&folder.join("expected.json")));
    let tokenizer = PairTokenizer::open(folder, None, None).expect("a tokenizer");
    let encoded = tokenizer.encode(&pairs).expect("encoded");
    for (i, part) in encoded.chunks(group).enumerate() {
        let keys: Vec<u64> = (0..part.len()).map(|pair| (i * group + pair) as u64).collect();
        let refs: Vec<_> = part.iter().collect();
        let logits = model.forward(&refs, &keys);
        let labels = model.labels();
        let by_logit = |at: usize| {
            let (pair, label) = (i * group + at / labels, at % labels);
            ((7 * label + 13 * pair) % 11) as f32 / 5.0 - 1.0
        };
        let by_logits: Vec<f32> = (0..logits.len()).map(by_logit).collect();
        model.backward(&by_logits);
    }
    let mut all = Vec::new();
    for (value, gradient) in model.parameters() {
        let tensors = value.layout().to_tensors(gradient.numbers);
        all.extend(tensors.into_iter().map(|tensor| (tensor.name, tensor.numbers)));
    }
    all
}

#[test]
fn gradients_equal_pytorch() {
    let mut wrong = Vec::new();
    for name in &MODELS[..9] {
        let folder = without_dropout(&folder(name));
        let expected = expected(name);
        let expected = expected["gradients"].as_object().expect("gradients");
        for isa in Isa::supported() {
            let mut model = TrainableCrossEncoder::load(folder.path(), isa).expect("a model");
            let got = gradients(&mut model, folder.path(), 4);
            assert_eq!(got.len(), expected.len(), "{name}");
            for (tensor, numbers) in &got {
                let want =
                    |i: usize| expected.get(tensor).and_then(|x| x[i].as_f64()).unwrap_or(f64::NAN);
                let norm = numbers.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                let pattern = |i: usize| ((31 * i) % 17) as f64 / 8.0 - 1.0;
                let terms = numbers.iter().enumerate();
                let projection: f64 = terms.map(|(i, x)| f64::from(*x) * pattern(i)).sum();
                // The tolerance allows for 32-bit sums through a few layers. Gradients that are
                // zero except for rounding (the biases of keys) have no norm for a relative
                // tolerance, hence the absolute part.
                let tolerance = 3e-4 * want(0) + 1e-4;
                let near = |x: f64, want: f64| (x - want).abs() <= tolerance;
                if !near(norm, want(0)) || !near(projection, want(1)) {
                    let wanted = (want(0), want(1));
                    wrong.push(format!(
                        "{name} {isa} {tensor}: {norm} {projection}, not {wanted:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn dropout_follows_from_the_key_alone() {
    for name in ["bert", "roberta", "modernbert-mean"] {
        let folder = folder(name);
        let run = |threads: usize, group: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
            pool.install(|| {
                let mut model =
                    TrainableCrossEncoder::load(&folder, Isa::detect()).expect("a model");
                gradients(&mut model, &folder, group)
            })
        };
        let together = run(1, 7);
        assert_eq!(together, run(3, 7), "{name}");
        let plain = without_dropout(&folder);
        let mut model = TrainableCrossEncoder::load(plain.path(), Isa::detect()).expect("a model");
        assert_ne!(together, gradients(&mut model, plain.path(), 7), "{name}: nothing is dropped");
        // Pair by pair, the same numbers are dropped; only the sums over pairs are rounded
        // differently.
        for ((tensor, a), (_, b)) in together.iter().zip(&run(2, 1)) {
            let norm = a.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let difference =
                a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            assert!(difference <= 1e-5 * norm + 1e-5, "{name} {tensor}: {difference} of {norm}");
        }
    }
}

#[test]
fn a_saved_model_is_the_same() {
    for name in &MODELS[..9] {
        let out = tempfile::tempdir().expect("a folder");
        let mut model = TrainableCrossEncoder::load(&folder(name), Isa::detect()).expect("a model");
        model.save(out.path(), 20, name.len() % 2 == 0).expect("saved");
        let load = |folder: &Path, max_length| {
            let options = CrossEncoderOptions { max_length, ..Default::default() };
            CrossEncoder::load(folder, &options).expect("a model")
        };
        let (before, after) = (load(&folder(name), Some(20)), load(out.path(), None));
        assert_eq!(after.tokenizer().max_length(), 20);
        assert_eq!(after.has_sigmoid(), name.len() % 2 == 0, "{name}");
        let pairs = pairs(&expected(name));
        assert_eq!(before.logits(&pairs).expect("logits"), after.logits(&pairs).expect("logits"));
    }
}

#[test]
fn an_encoder_gets_a_classifier() {
    for name in ["bert", "distilbert", "roberta", "electra", "modernbert"] {
        let encoder = fixtures().join("reference").join(name);
        let head = lacks_classifier(&encoder, 1).expect("a model");
        assert!(head, "{name}");
        let out = tempfile::tempdir().expect("a folder");
        let mut count = 0;
        let mut normal = || {
            count += 1;
            f64::from(count % 7) - 3.0
        };
        add_classifier(&encoder, out.path(), 1, &mut normal).expect("a classifier");
        assert!(!lacks_classifier(out.path(), 1).expect("a model"), "{name}");
        assert!(lacks_classifier(out.path(), 2).expect("a model"), "{name}");
        let model = CrossEncoder::load(out.path(), &CrossEncoderOptions::default());
        let model = model.expect("a model");
        assert_eq!((model.labels(), model.has_sigmoid()), (1, true));
        let scores = model.score(&[("train", "night train"), ("train", "bread")]).expect("scores");
        assert!(scores[0] != scores[1] && scores.iter().all(|score| score.is_finite()));
    }
    // The classifier of a model that has one is kept.
    let out = tempfile::tempdir().expect("a folder");
    add_classifier(&folder("bert"), out.path(), 1, &mut || 9.0).expect("a classifier");
    let load = |folder: &Path| {
        CrossEncoder::load(folder, &CrossEncoderOptions::default()).expect("a model")
    };
    let pairs = pairs(&expected("bert"));
    let logits = |folder: &Path| load(folder).logits(&pairs).expect("logits");
    assert_eq!(logits(out.path()), logits(&folder("bert")));
}

#[test]
fn deberta_is_not_trained() {
    let error = TrainableCrossEncoder::load(&folder("deberta-v2"), Isa::detect());
    let message = error.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(message.contains("DeBERTa-v2 models cannot be trained"), "{message}");
}
