//! Compares a cross-encoder's run with PyTorch step by step, and trains with every loss on the toy
//! data.

use std::path::{Path, PathBuf};

use hydra_compose::{ComposeOptions, compose};
use serde_json::{Value, json};
use splade_io::{Event, Observer};
use splade_model::weights::Weights;
use splade_train::cross_encoder::{CrossEncoderConfig, PredictConfig, TrainOptions, train};
use splade_train::{Outcome, TrainError};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/teacher")
}

fn json_file(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON")
}

/// An observer that records the losses of a run, and asks to stop after some steps.
#[derive(Default)]
struct Losses {
    losses: Vec<f64>,
    stop_after: Option<usize>,
}

impl Observer for Losses {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Step(progress) = event {
            self.losses.push(progress.loss);
        }
    }

    fn stop(&mut self) -> bool {
        self.stop_after.is_some_and(|steps| self.losses.len() >= steps)
    }
}

fn run(config: &Value, resume: bool, observer: &mut dyn Observer) -> Outcome {
    made(config, resume, observer).expect("a run")
}

fn made(config: &Value, resume: bool, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let config = CrossEncoderConfig::from_value(config).expect("settings");
    train(&config, &TrainOptions { resume, ..TrainOptions::default() }, observer)
}

/// Returns the message with which a run is refused, if it is. A run that begins is stopped after
/// one step.
fn refused(config: &Value, resume: bool) -> Option<String> {
    let mut observer = Losses { stop_after: Some(0), ..Losses::default() };
    let error = made(config, resume, &mut observer).err()?;
    Some(format!("{error}\n{}", error.hint().unwrap_or_default()))
}

/// Losses, norms and rates of every step, and the weights after eight steps, are compared with
/// `scripts/reference/teacher.py`, in an uninterrupted and in a resumed run.
#[test]
fn a_run_is_that_of_pytorch() {
    let dir = tempfile::tempdir().expect("a folder");
    let model = dir.path().join("model");
    std::fs::create_dir(&model).expect("made");
    let source = repository().join("crates/splade-model/tests/fixtures/cross_encoders/bert");
    for entry in std::fs::read_dir(source).expect("a model") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, model.join(path.file_name().expect("a name"))).expect("copied");
    }
    let mut settings = json_file(&model.join("config.json"));
    for name in ["hidden_dropout_prob", "attention_probs_dropout_prob"] {
        settings[name] = json!(0.0);
    }
    std::fs::write(model.join("config.json"), settings.to_string()).expect("written");
    let config = |output: &str| {
        json!({
            "input_file": fixtures().join("run.pkl.gz"), "model_path": model,
            "output_path": dir.path().join(output), "max_token_len": 40,
            "char_per_token_ratio": 100.0, "max_query_len": 0, "num_epochs": 8,
            "train_batch_size": 100, "evaluation_steps": 0, "warmup_steps": 2,
            "learning_rate": 5e-3, "weight_decay": 0.1,
        })
    };
    let mut watch = Losses::default();
    let outcome = run(&config("straight"), false, &mut watch);
    let Outcome::Finished(results) = outcome else { panic!("it was not stopped") };
    assert_eq!((results.steps, results.best.is_some()), (8, true));

    let expected = json_file(&fixtures().join("run.json"));
    let numbers =
        |value: &Value| -> Vec<f64> { serde_json::from_value(value.clone()).expect("numbers") };
    let want = numbers(&expected["losses"]);
    assert_eq!(watch.losses.len(), want.len());
    for (got, want) in watch.losses.iter().zip(&want) {
        // The 32-bit weights drift from the 64-bit ones step by step.
        assert!((got - want).abs() < 1e-4, "{:?}, not {want:?}", watch.losses);
    }
    assert!(watch.losses[7] < 0.7 * watch.losses[0], "{:?}", watch.losses);
    let log = std::fs::read_to_string(dir.path().join("straight/log.jsonl")).expect("a log");
    let last = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .find(|record| record["step"] == 8 && !record["grad_norm"].is_null())
        .expect("the last step is logged");
    for (name, list) in [("grad_norm", "norms"), ("learning_rate", "rates")] {
        let (got, want) = (last[name].as_f64().expect("a number"), numbers(&expected[list])[7]);
        assert!((got - want).abs() < 1e-3 * want, "{name}: {got}, not {want}");
    }
    let weights = Weights::open(&dir.path().join("straight/final")).expect("weights");
    for (name, want) in expected["tensors"].as_object().expect("tensors") {
        let got = weights.read_f32(name).expect("a tensor");
        let norm = got.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let pattern = |i: usize| ((31 * i) % 17) as f64 / 8.0 - 1.0;
        let projection: f64 = got.iter().enumerate().map(|(i, x)| f64::from(*x) * pattern(i)).sum();
        let want = numbers(want);
        // AdamW moves a weight by up to the learning rate even if its gradient is only rounding, as
        // for the biases of keys.
        let tolerance = match name.contains("key.bias") {
            true => 8.0 * 5e-3 * got.len() as f64,
            false => 2e-3 * (1.0 + want[0]),
        };
        let near = |got: f64, want: f64| (got - want).abs() < tolerance;
        assert!(
            near(norm, want[0]) && near(projection, want[1]),
            "{name}: {norm} {projection}, not {want:?}"
        );
    }

    // The run that was stopped after three steps and resumed ends with the same bytes.
    let mut watch = Losses { stop_after: Some(3), ..Losses::default() };
    let outcome = run(&config("broken"), false, &mut watch);
    assert!(matches!(outcome, Outcome::Stopped(_)), "{outcome:?}");
    run(&config("broken"), true, &mut ());
    for name in ["model.safetensors", "final/model.safetensors", "config.json"] {
        let read = |run: &str| std::fs::read(dir.path().join(run).join(name)).expect(name);
        assert!(read("straight") == read("broken"), "{name} differs");
    }
}

/// Returns the settings of a run on the toy data, from the model without a classifier.
fn toy(output: &Path, more: &Value) -> Value {
    let toy = repository().join("data/toy/train");
    let mut config = json!({
        "model_path": repository().join("models/demo"), "output_path": output,
        "train_query_master": toy.join("query_master.ndjson"),
        "train_doc_master": toy.join("doc_master.ndjson"),
        "train_positives": toy.join("positive_lists.ndjson"),
        "hard_negative_scores": toy.join("hard_negative_scores.ndjson"),
        "max_token_len": 32, "num_epochs": 6, "train_batch_size": 10,
        "warmup_steps": 4, "learning_rate": 2e-3,
    });
    for (key, value) in more.as_object().expect("settings") {
        config[key] = value.clone();
    }
    config
}

/// A run resumes with settings that do not change its numbers, but not with other data.
#[test]
fn a_run_goes_on_as_the_same_run_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let scores = dir.path().join("scores.ndjson");
    std::fs::copy(repository().join("data/toy/train/hard_negative_scores.ndjson"), &scores)
        .expect("copied");
    let config = |more: Value| {
        let mut all = json!({"hard_negative_scores": scores, "num_epochs": 1});
        all.as_object_mut()
            .expect("settings")
            .extend(more.as_object().cloned().unwrap_or_default());
        toy(&dir.path().join("run"), &all)
    };
    let mut watch = Losses { stop_after: Some(2), ..Losses::default() };
    let outcome = run(&config(json!({})), false, &mut watch);
    assert!(matches!(outcome, Outcome::Stopped(_)), "{outcome:?}");
    let refused = |more| refused(&config(more), true);
    let elsewhere = dir.path().join("last");
    let free = json!({
        "save_steps": 3, "eval_batch_size": 1, "evaluation_steps": 0, "final_output_path": elsewhere,
    });
    assert_eq!(refused(free.clone()), None);
    let message = refused(json!({"warmup_steps": 5})).unwrap_or_default();
    assert!(message.contains("warmup_steps was 4, is 5"), "{message}");
    // The file has the same number of pairs with other scores.
    let text = std::fs::read_to_string(&scores).expect("scores");
    std::fs::write(&scores, text.replacen("9.0", "8.75", 1)).expect("written");
    let message = refused(free).unwrap_or_default();
    assert!(message.contains("data.train.scores was"), "{message}");
}

/// The binary cross-entropy with a target above 1 has no lower bound.
#[test]
fn scores_that_are_no_probabilities_are_no_labels_of_bce() {
    let dir = tempfile::tempdir().expect("a folder");
    let message = |loss: &str| {
        let more = json!({"labels": "scores", "loss_function": loss});
        refused(&toy(dir.path(), &more), false)
    };
    let refused = message("BCEWithLogitsLoss").unwrap_or_default();
    assert!(refused.contains("the labels of BCEWithLogitsLoss are 0 to 1"), "{refused}");
    assert!(refused.contains("MSELoss"), "{refused}");
    assert_eq!(message("MSELoss"), None);
}

/// Every loss falls on the toy data, from the model without a classifier.
#[test]
fn every_loss_is_learned() {
    for (loss, more) in [
        ("BCEWithLogitsLoss", json!({})),
        ("BCEWithLogitsLoss", json!({"max_train_size": 100})),
        ("MSELoss", json!({"labels": "scores"})),
        ("L1Loss", json!({})),
        ("CrossEntropyLoss", json!({})),
        ("MarginMSELoss", json!({"negatives_per_query": 3})),
        ("KLDivLoss", json!({"negatives_per_query": 3, "temperature": 2.0})),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = toy(dir.path(), &more);
        config["loss_function"] = json!(loss);
        let mut watch = Losses::default();
        run(&config, false, &mut watch);
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let part = watch.losses.len() / 6;
        let (first, last) =
            (mean(&watch.losses[..part]), mean(&watch.losses[watch.losses.len() - part..]));
        assert!(last < 0.9 * first, "{loss}: {first} to {last}");
    }
}

#[test]
fn shipped_configs_are_read() {
    let folder = repository().join("config/cross_encoder");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the configs") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let value = compose(&ComposeOptions::new(&folder, &*name, Vec::new()))
            .and_then(|composed| composed.value())
            .expect(&name);
        let wrong = match name.ends_with("_train") {
            true => CrossEncoderConfig::from_value(&value).err(),
            false => PredictConfig::from_value(&value).err(),
        };
        assert!(wrong.is_none(), "{name}: {wrong:?}");
        count += 1;
    }
    assert_eq!(count, 6);
}
