//! Tests of the commands `vocab learn` and `pretrain`: from texts to a model that loads, runs that
//! are killed and resumed, and calls that are rejected.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{failure, stdout};

const TEXTS: &str = "data/toy/train/doc_master.ndjson";

const CONFIG: &str = "\
model:
  max_length: 32
  new: {tokenizer: FOLDER/vocabulary, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2,
    intermediate_size: 64, max_position_embeddings: 64}
data: {train_files: [data/toy/train/doc_master.ndjson], eval_share: 0.1}
training:
  output_dir: FOLDER/NAME
  regularizer: {reg_type: FLOPS, lambda_: 1e-4, T: 20}
  max_steps: 60
  per_device_train_batch_size: 8
  gradient_accumulation_steps: 2
  per_device_eval_batch_size: 8
  learning_rate: 1e-3
  lr_scheduler_type: cosine
  warmup_ratio: 0.1
  seed: 42
  logging_steps: 7
  save_steps: 6
  save_total_limit: 2
  eval_strategy: steps
  eval_steps: 12
  report_to: none
";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn configure(dir: &Path, name: &str) {
    let config = CONFIG.replace("FOLDER", text(dir)).replace("NAME", name);
    fs::write(dir.join(format!("{name}.yaml")), config).expect("written");
}

fn arguments<'a>(dir: &'a Path, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = ["pretrain", name, "--config-dir", text(dir)];
    [&base[..], &["hydra.output_subdir=null"], more].concat()
}

/// Returns the files that equal runs share, without times.
fn outcome(output: &Path) -> Vec<Vec<u8>> {
    let read = |name: &str| fs::read(output.join(name)).expect(name);
    let history = |name: &str| {
        let state: serde_json::Value = serde_json::from_slice(&read(name)).expect("JSON");
        state["log_history"].to_string().into_bytes()
    };
    vec![
        read("model/model.safetensors"),
        read("checkpoint-60/model.safetensors"),
        read("checkpoint-60/optimizer.safetensors"),
        history("checkpoint-60/trainer_state.json"),
    ]
}

/// Returns the step of the last checkpoint in a folder.
fn last_checkpoint(output: &Path) -> Option<u64> {
    let entries = fs::read_dir(output).ok()?.flatten();
    let step =
        |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("checkpoint-")?.parse().ok();
    entries.filter_map(step).max()
}

#[test]
fn a_model_is_made_of_texts_alone_and_a_killed_run_ends_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let vocabulary = dir.path().join("vocabulary");
    let learn = ["vocab", "learn", "-q", "--words", "mecab", "--size", "900"];
    stdout(&[&learn[..], &["--output", text(&vocabulary), TEXTS]].concat());
    let message = failure(&[&learn[..], &["--output", text(&vocabulary), TEXTS]].concat(), 1);
    assert!(message.contains("is there already"), "{message}");
    let lines = fs::read_to_string(vocabulary.join("vocab.txt")).expect("a vocabulary");
    assert_eq!(lines.lines().count(), 900);

    configure(dir.path(), "straight");
    stdout(&arguments(dir.path(), "straight", &["-q"]));
    configure(dir.path(), "killed");
    // The process is killed as soon as it has written another checkpoint, whatever it is doing
    // then.
    let mut kills = 0;
    loop {
        let threads = if kills % 2 == 0 { "--threads=1" } else { "--threads=3" };
        let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command.args(arguments(dir.path(), "killed", &["-q", "--resume", threads]));
        let before = last_checkpoint(&dir.path().join("killed"));
        let mut child = command.spawn().expect("it starts");
        while child.try_wait().expect("a process").is_none() {
            if kills < 3 && last_checkpoint(&dir.path().join("killed")) > before {
                _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if child.wait().expect("ended").success() {
            break;
        }
        kills += 1;
        assert!(kills <= 3, "it does not go on");
    }
    assert!(kills > 0, "it was never killed");
    let [straight, killed] = ["straight", "killed"].map(|name| outcome(&dir.path().join(name)));
    assert!(straight == killed, "the runs differ");
    // The model can encode texts, and `pretrain` can continue from it.
    let model = dir.path().join("straight/model");
    stdout(&["encode", "--model", text(&model), "-t", "朝の電車"]);
    let start = format!("+model.model_name_or_path={}", model.display());
    let output = format!("training.output_dir={}", dir.path().join("further").display());
    let more = ["-q", "~model.new", &start, &output, "training.max_steps=2"];
    stdout(&arguments(dir.path(), "straight", &more));
    assert!(dir.path().join("further/model/model.safetensors").is_file());
}

#[test]
fn calls_that_are_wrong_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let english = dir.path().join("vocabulary");
    let learn = ["vocab", "learn", "-q", "--words", "bert", "--lowercase"];
    stdout(&[&learn[..], &["--size", "800", "--output", text(&english), TEXTS]].concat());
    assert!(english.join("tokenizer.json").is_file());
    let small = dir.path().join("small");
    let refused = [&learn[..], &["--size", "100", "--alphabet", "99"]].concat();
    let message = failure(&[&refused[..], &["--output", text(&small), TEXTS]].concat(), 1);
    assert!(message.contains("a smaller alphabet") && !small.exists(), "{message}");
    configure(dir.path(), "run");
    for (more, part) in [
        ("training.max_step=3", "max_step"),
        ("+training.training_loss=kldiv", "training_loss"),
        ("model.max_length=65", "64 tokens"),
        ("model.new.tokenizer=none", "none"),
        ("model.new.hidden_act=swishish", "hidden_act"),
        ("data.train_files=[none.txt]", "none.txt"),
        ("data.eval_share=0", "eval_share"),
        ("+data.text_field=body", "body"),
    ] {
        let message = failure(&arguments(dir.path(), "run", &[more]), 1);
        assert!(message.contains(part), "{more}: {message}");
        assert!(!dir.path().join("run/log.jsonl").exists(), "{more}");
    }
}
