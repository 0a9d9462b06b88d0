//! Steps are compared with PyTorch, and new models, resumed runs and invariances are tested.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_nn::{Isa, Pooling, Saturation};
use splade_text::{Tokenizer, TokenizerOptions};

use super::new_model::new_model;
use super::step::{MaskedBatch, Stepper};
use super::task::{MaskedLm, Parts};
use crate::config::{
    NewArchitecture, NewModel, PretrainConfig, RegularizerConfig, RegularizerKind, Start,
};
use crate::cpu::CpuEngine;
use crate::engine::{NamedTensor, Parameters};
use crate::run::checkpoint::checkpoint_to_resume;
use crate::run::{Outcome, Run};
use crate::tasks::splade::tests::training;
use splade_data::{Corpus, CorpusOptions, Masking};
use splade_io::{Event, Observer};

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../splade-model/tests/fixtures/reference")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}

/// Loads the encoder of a fixture without dropout.
fn without_dropout(name: &str) -> (tempfile::TempDir, CpuEngine) {
    let (from, dir) = (models().join(name), tempfile::tempdir().expect("a folder"));
    for file in ["model.safetensors", "tokenizer_config.json", "vocab.txt"] {
        if from.join(file).is_file() {
            std::fs::copy(from.join(file), dir.path().join(file)).expect("copied");
        }
    }
    let mut config = read_json(&from.join("config.json"));
    for (key, value) in config.as_object_mut().expect("an object") {
        if key.contains("dropout") && value.is_number() {
            *value = json!(0.0);
        }
    }
    std::fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
    let engine = CpuEngine::load(dir.path(), Pooling::Max, Saturation::Log1pRelu, Isa::detect());
    (dir, engine.expect("a model"))
}

/// Returns all tensors of a model.
fn tensors(engine: &mut CpuEngine) -> Vec<NamedTensor> {
    let mut values = Vec::new();
    engine.parameters(&mut |parameter| values.push(parameter.values.to_vec()));
    let all = values.iter().enumerate().flat_map(|(i, numbers)| engine.to_tensors(i, numbers));
    all.collect()
}

/// Four steps are compared with scripts/reference/tiny_pretraining.py: losses, norms, and all
/// parameters afterwards.
#[test]
fn steps_are_those_of_pytorch() {
    let expected = read_json(&models().join("pretraining.json"));
    let mut wrong = Vec::new();
    for (name, expected) in expected.as_object().expect("models") {
        let numbers = |value: &Value| -> Vec<usize> {
            let list = value.as_array().expect("a list").iter();
            list.map(|x| x.as_u64().expect("a number") as usize).collect()
        };
        let mut batch = MaskedBatch::default();
        for (text, ids) in expected["texts"].as_array().expect("texts").iter().enumerate() {
            let hidden = expected["masked"].as_array().expect("masked").iter().map(numbers);
            let own: Vec<_> =
                hidden.filter(|m| m[0] == text).map(|m| (m[1], m[2] as u32)).collect();
            batch.add(numbers(ids).iter().map(|id| *id as u32).collect(), &own);
        }
        let mut training = training();
        training.learning_rate = 2e-3;
        training.warmup_steps = 1;
        training.adam_epsilon = 1e-6;
        training.regularizers.doc =
            Some(RegularizerConfig::scheduled(RegularizerKind::Flops, 0.05, 2.0));
        let (_folder, engine) = without_dropout(name);
        let mut stepper = Stepper::new(engine, &training, 4, 0).expect("a stepper");
        for step in expected["steps"].as_array().expect("steps") {
            // Two copies of a batch give the mean of their gradients, which is that of one.
            let report = stepper.step(&[batch.clone(), batch.clone()]).expect("a step");
            let got = [report.loss, report.gradient_norm];
            for (i, got) in got.into_iter().enumerate() {
                let want = step[i].as_f64().expect("a number");
                // The updates are 2e-3 in 32 bits, and the gradients are right to 1e-4 of their
                // norm.
                if (got - want).abs() > 3e-4 * want {
                    wrong.push(format!("{name} {}: {got}, not {want}", ["loss", "norm"][i]));
                }
            }
        }
        for tensor in tensors(&mut stepper.engine) {
            let want = |i: usize| expected["trained"][&tensor.name][i].as_f64().unwrap_or(f64::NAN);
            let norm = tensor.values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let pattern = |i: usize| ((31 * i) % 17) as f64 / 8.0 - 1.0;
            let values = tensor.values.iter().enumerate();
            let projection: f64 = values.map(|(i, x)| f64::from(*x) * pattern(i)).sum();
            // Adam does not normalise a gradient near its epsilon, so its rounding error remains.
            let tolerance = 1e-4 * want(0) + 1e-4;
            let near = |got: f64, want: f64| (got - want).abs() <= tolerance;
            if !near(norm, want(0)) || !near(projection, want(1)) {
                let (a, b) = (want(0), want(1));
                wrong.push(format!("{name} {}: {norm} {projection}, not {a} {b}", tensor.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The loss of a step is the mean over its masked tokens, however these are distributed over
/// batches.
#[test]
fn batches_of_a_step_count_by_their_hidden_tokens() {
    let config = config(tempfile::tempdir().expect("a folder").path());
    let mut training = config.training.clone();
    training.regularizers.doc = None;
    let masking = Masking::new(&tokenizer(), 0.3, true).expect("masking");
    let corpus = corpus(&config, cycle);
    let batch = |numbers: std::ops::Range<usize>| {
        let mut batch = MaskedBatch::default();
        for number in numbers {
            let mut ids = corpus.sequence(0, number).1;
            let hidden = masking.hide(&mut ids, &[number as u64]);
            batch.add(ids, &hidden);
        }
        batch
    };
    let step = |batches: &[MaskedBatch]| {
        let (_folder, engine) = without_dropout("bert");
        let mut stepper = Stepper::new(engine, &training, 4, 0).expect("a stepper");
        let report = stepper.step(batches).expect("a step");
        [report.loss, report.gradient_norm]
    };
    let parts = [batch(0..1), batch(1..4)];
    assert_ne!(3 * parts[0].masked.len(), parts[1].masked.len(), "as many a text: no test");
    let (whole, parts) = (step(&[batch(0..4)]), step(&parts));
    for (whole, parts) in whole.into_iter().zip(parts) {
        // The sums are computed in 32 bits and in another order.
        assert!((whole - parts).abs() < 1e-5 * whole.abs(), "{whole} {parts}");
    }
}

/// Returns the folder of the tokenizer with the small vocabulary.
fn tokenizer_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../splade-text/tests/fixtures/bert-uncased")
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_dir(&tokenizer_folder(), &TokenizerOptions::default()).expect("a tokenizer")
}

/// Returns the config of a run with a tiny new model and a checkpoint every second step.
fn config(output: &Path) -> PretrainConfig {
    let value = json!({
        "model": {
            "max_length": 24,
            "new": {
                "tokenizer": tokenizer_folder(), "hidden_size": 16, "num_hidden_layers": 2,
                "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32,
            },
        },
        "data": { "train_files": ["none"], "eval_share": 0.2 },
        "training": {
            "output_dir": output, "max_steps": 8, "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2, "learning_rate": 5e-3, "warmup_ratio": 0.25,
            "lr_scheduler_type": "cosine", "weight_decay": 0.01, "seed": 3, "logging_steps": 3,
            "save_steps": 2, "eval_strategy": "steps", "eval_steps": 4, "report_to": "none",
            "regularizer": { "reg_type": "FLOPS", "lambda_": 1e-3, "T": 4 },
        },
    });
    let (config, notes) = PretrainConfig::from_value(&value).expect("settings");
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(PretrainConfig::from_value(&config.to_value()).expect("settings").0, config);
    config
}

const WORDS: [&str; 12] = [
    "night", "train", "the", "bread", "garden", "warm", "river", "open", "cafe", "rain", "before",
    "dawn",
];

/// Returns a document of nine words or more in a cycle.
fn cycle(document: usize) -> String {
    let words = (0..9 + document % 7).map(|j| WORDS[(document * 5 + j) % WORDS.len()]);
    words.collect::<Vec<_>>().join(" ")
}

/// Returns a document that repeats one word.
fn echo(document: usize) -> String {
    vec![WORDS[document % 6]; 30 + document % 7].join(" ")
}

fn corpus(config: &PretrainConfig, document: fn(usize) -> String) -> Corpus {
    let options = CorpusOptions {
        max_length: config.model.max_length,
        eval_share: config.data.eval_share,
        shuffle: config.data.shuffle,
        seed: config.training.seed,
    };
    let mut corpus = Corpus::new(&tokenizer(), options).expect("a corpus");
    let texts: Vec<String> = (0..60).map(document).collect();
    for part in texts.chunks(17) {
        corpus.add(&tokenizer(), part).expect("tokens");
    }
    corpus
}

fn pretrainer(
    config: PretrainConfig,
    document: fn(usize) -> String,
    resume: Option<PathBuf>,
) -> Run<MaskedLm> {
    let output = config.training.output_dir.clone();
    let tokenizer = tokenizer();
    let Start::New(new) = &config.model.start else { panic!("a new model") };
    let start = output.with_extension("start");
    new_model(new, &tokenizer, &tokenizer_folder(), &start, config.training.seed).expect("made");
    let engine = CpuEngine::load(&start, Pooling::Max, Saturation::Log1pRelu, Isa::detect())
        .expect("a model");
    let corpus = corpus(&config, document);
    let masking = Masking::new(&tokenizer, config.data.mask_share, true).expect("masking");
    let options = Parts {
        config,
        engine,
        corpus,
        masking,
        resume,
        info: splade_logs::RunInfo::default(),
        dashboard: None,
    };
    options.run().expect("a run")
}

/// An observer that asks to stop after some steps.
struct Stop(u64);

impl Observer for Stop {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Step(_) = event {
            self.0 = self.0.saturating_sub(1);
        }
    }

    fn stop(&mut self) -> bool {
        self.0 == 0
    }
}

/// Returns what equal runs must share: weights, moments and the numbers of the log.
fn outcome(output: &Path) -> Vec<Vec<u8>> {
    let read = |name: &str| std::fs::read(output.join(name)).expect(name);
    let state = read_json(&output.join("checkpoint-8/trainer_state.json"));
    vec![
        read("model/model.safetensors"),
        read("checkpoint-8/optimizer.safetensors"),
        state["log_history"].to_string().into_bytes(),
    ]
}

#[test]
fn a_run_that_was_stopped_ends_with_the_same_bytes_on_any_threads() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = dir.path().join("whole");
    let ended = pretrainer(config(&whole), cycle, None).run(&mut ()).expect("a run");
    let Outcome::Finished(results) = ended else { panic!("it was not stopped") };
    let eval = results.eval.expect("an evaluation");
    assert_eq!(eval[0].0, "eval_loss");

    let parts = dir.path().join("parts");
    for (threads, steps) in [(1, 3), (3, 2), (2, 9)] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let last = crate::config::ResumeFrom::Last;
        let resume = checkpoint_to_resume(&parts, &last).expect("checkpoints");
        let ended =
            pool.install(|| pretrainer(config(&parts), cycle, resume).run(&mut Stop(steps)));
        let stopped = matches!(ended.expect("a run"), Outcome::Stopped(_));
        assert_eq!(stopped, steps < 9);
    }
    assert!(outcome(&whole) == outcome(&parts), "the runs differ");
    // A run on a changed corpus is refused.
    let resume = Some(parts.join("checkpoint-8"));
    let mut corpus = corpus(&config(&parts), cycle);
    corpus.add(&tokenizer(), &["the night train".to_owned()]).expect("tokens");
    let engine = CpuEngine::load(
        &parts.with_extension("start"),
        Pooling::Max,
        Saturation::Log1pRelu,
        Isa::detect(),
    );
    let options = Parts {
        config: config(&parts),
        engine: engine.expect("a model"),
        masking: Masking::new(&tokenizer(), 0.15, true).expect("masking"),
        resume,
        corpus,
        info: splade_logs::RunInfo::default(),
        dashboard: None,
    };
    let error = options.run().expect_err("another corpus").to_string();
    assert!(error.contains("other texts"), "{error}");
}

/// The model must learn to use the context: a masked word is the same as its neighbours.
#[test]
fn new_models_learn_from_context() {
    for architecture in NewArchitecture::ALL {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = config(dir.path());
        let Start::New(new) = &mut config.model.start else { panic!("a new model") };
        new.architecture = architecture;
        (new.hidden_size, new.intermediate_size) = (32, 64);
        learns(config);
    }
}

fn learns(mut config: PretrainConfig) {
    config.training.max_steps = Some(300);
    config.training.save_steps = 1000.0;
    config.training.eval_steps = Some(300.0);
    config.training.regularizers.doc = None;
    let ended = pretrainer(config, echo, None).run(&mut ()).expect("a run");
    let Outcome::Finished(results) = ended else { panic!("it was not stopped") };
    let eval = results.eval.expect("an evaluation");
    // Without its neighbours, a word is one of six: the loss is ln 6 = 1.79, and the accuracy 0.17.
    assert!(eval[0].1 < 1.4 && eval[1].1 > 0.4, "{eval:?}");
}

/// The weights have the expected standard deviation, biases are zero, norms are one, and the seed
/// determines everything.
#[test]
fn new_models_are_random_as_in_transformers() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = config(dir.path());
    let Start::New(new) = &config.model.start else { panic!("a new model") };
    for architecture in NewArchitecture::ALL {
        let new = NewModel { architecture, ..new.clone() };
        let make = |run: &str, seed: u64| {
            let out = dir.path().join(format!("{}-{run}", architecture.name()));
            new_model(&new, &tokenizer(), &tokenizer_folder(), &out, seed).expect("made");
            let mut engine =
                CpuEngine::load(&out, Pooling::Max, Saturation::Log1pRelu, Isa::detect());
            tensors(engine.as_mut().expect("a model"))
        };
        let model = make("a", 1);
        assert_eq!(model, make("b", 1));
        assert_ne!(model, make("c", 2));
        for tensor in &model {
            let values = &tensor.values;
            if tensor.shape.len() == 1 {
                let want = if tensor.name.ends_with("orm.weight") { 1.0 } else { 0.0 };
                assert!(values.iter().all(|x| *x == want), "{}", tensor.name);
                continue;
            }
            // A normal distribution truncated at two standard deviations has .8796 of its standard
            // deviation.
            let out = ["attn.Wo", "mlp.Wo", "head.dense"];
            let want = match architecture {
                NewArchitecture::Bert => 0.02,
                _ if out.iter().any(|part| tensor.name.contains(part)) => 0.01 * 0.8796,
                _ => 0.02 * 0.8796,
            };
            let count = values.iter().filter(|x| **x != 0.0).count() as f64;
            let variance = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / count;
            // The standard deviation of the estimate from n draws is σ / √(2n).
            let tolerance = 5.0 * want / (2.0 * count).sqrt();
            assert!((variance.sqrt() - want).abs() < tolerance, "{} {variance}", tensor.name);
            if architecture == NewArchitecture::ModernBert {
                assert!(values.iter().all(|x| x.abs() <= 0.04), "{}", tensor.name);
            }
            if tensor.name.ends_with("word_embeddings.weight") {
                assert!(values[..16].iter().all(|x| *x == 0.0), "padding");
                assert!(values[16..].iter().all(|x| *x != 0.0), "not padding");
            }
        }
    }
}

/// Every token is in one sequence of an epoch, except for less than one sequence. Epochs are cut
/// and ordered differently.
#[test]
fn sequences_hold_every_token_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = config(dir.path());
    let corpus = corpus(&config, cycle);
    let count = |epoch: u64| {
        let mut counts = std::collections::BTreeMap::new();
        let all: Vec<_> = (0..corpus.len()).map(|at| corpus.sequence(epoch, at).1).collect();
        for id in all.iter().flatten() {
            *counts.entry(*id).or_insert(0_usize) += 1;
        }
        for ids in &all {
            assert!(ids.len() <= 24 && ids[0] == 2 && ids[ids.len() - 1] == 3, "{ids:?}");
            assert!(ids.windows(2).all(|pair| pair != [3, 3] && pair != [2, 3]), "{ids:?}");
        }
        (counts, all)
    };
    let ((first, order), (second, other)) = (count(0), count(1));
    assert_ne!(order, other);
    assert_eq!(order, count(0).1);
    let tokens = |counts: &std::collections::BTreeMap<u32, usize>| -> usize {
        counts.iter().filter(|(id, _)| **id > 4).map(|(_, count)| count).sum()
    };
    let words: usize = (0..60).map(|i| 9 + i % 7).sum();
    let held_out: usize = (0..corpus.held_out())
        .map(|i| corpus.held_out_sequence(i).iter().filter(|id| **id > 4).count())
        .sum();
    for all in [tokens(&first), tokens(&second)] {
        assert!(all + held_out <= words && all + held_out + 2 * 22 > words, "{all} {held_out}");
    }
    // Less than one sequence is left out, and its words may be any.
    for (id, count) in first {
        assert!(id <= 4 || count.abs_diff(second[&id]) <= 22, "{id}");
    }
}
