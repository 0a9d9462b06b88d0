//! Tests of the command `train`: runs that are killed or interrupted, and calls that are rejected.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{failure, stdout};
use serde_json::Value;

const CONFIG: &str = "\
model: {model_name_or_path: models/demo, max_length: 32}
data:
  DATA_PATH: data/toy
  train_doc_master: ${.DATA_PATH}/train/doc_master.ndjson
  train_query_master: ${.DATA_PATH}/train/query_master.ndjson
  train_positives: ${.DATA_PATH}/train/positive_lists.ndjson
  train_triplets: ${.DATA_PATH}/train/triplets.ndjson
  validation_doc_master: ${.DATA_PATH}/validation/doc_master.ndjson
  validation_query_master: ${.DATA_PATH}/validation/query_master.ndjson
  validation_positives: ${.DATA_PATH}/validation/positive_lists.ndjson
  eval_loss_size: 16
training:
  output_dir: OUTPUT
  training_loss: in_batch_negatives
  regularizers:
    doc: {reg_type: FLOPS, lambda_: 0.001, T: 20}
    query: {reg_type: L1, lambda_: 0.001, T: 20}
  seed: 42
  max_steps: 60
  per_device_train_batch_size: 8
  gradient_accumulation_steps: 2
  learning_rate: 1e-4
  logging_steps: 7
  save_steps: 6
  save_total_limit: 2
  eval_strategy: steps
  eval_steps: 6
  load_best_model_at_end: true
  metric_for_best_model: loss
  report_to: none
";

/// Writes the config of a training run and returns its output folder.
fn configure(dir: &Path, name: &str) -> PathBuf {
    let output = dir.join(name);
    let config = CONFIG.replace("OUTPUT", &output.display().to_string());
    fs::write(dir.join(format!("{name}.yaml")), config).expect("written");
    output
}

fn arguments<'a>(dir: &'a Path, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let dir = dir.to_str().expect("UTF-8");
    let base = ["train", name, "--config-dir", dir, "hydra.output_subdir=null"];
    [&base, more].concat()
}

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

/// Returns the files that equal runs share, without times and paths. Which checkpoints exist
/// besides the last one depends on where a run was stopped, so only the last one is compared.
fn outcome(output: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let names = [
        "model/model.safetensors",
        "checkpoint-60/model.safetensors",
        "checkpoint-60/optimizer.safetensors",
        "checkpoint-60/trainer_state.json",
        "results/trainer_state.json",
        "results/all_results.json",
        "log.jsonl",
    ];
    names.map(|name| (name, comparable(output, name))).to_vec()
}

fn comparable(output: &Path, name: &str) -> Vec<u8> {
    let bytes = fs::read(output.join(name)).expect(name);
    if name.ends_with(".safetensors") {
        return bytes;
    }
    let text = String::from_utf8(bytes).expect("UTF-8");
    let text = text.replace(&output.display().to_string(), "OUTPUT");
    let timed = ["time", "train_runtime", "train_samples_per_second", "train_steps_per_second"];
    let lines = text.lines().filter(|line| {
        line.starts_with('{') && line.len() > 1 || !timed.iter().any(|name| line.contains(name))
    });
    let lines = lines.map(|line| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(mut record)) => {
            timed.iter().for_each(|name| drop(record.remove(*name)));
            // The runs that are compared have configs of different names.
            record.remove("config");
            Value::Object(record).to_string()
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

fn assert_same(straight: &Path, broken: &Path) {
    for ((name, a), (_, b)) in outcome(straight).iter().zip(&outcome(broken)) {
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(20_000)]).into_owned();
        assert!(a == b, "{name} differs:\n{}\n---\n{}", text(a), text(b));
    }
}

/// A run that is killed or interrupted at pseudo-random moments and resumed until it is done, each
/// time with another number of threads, writes the same bytes as an uninterrupted run.
#[test]
fn a_run_that_is_killed_ends_as_one_that_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let straight = configure(dir.path(), "straight");
    let begin = Instant::now();
    assert!(
        start(&arguments(dir.path(), "straight", &["-q", "--resume"]))
            .wait()
            .expect("ended")
            .success()
    );
    let whole = begin.elapsed();
    for signal in ["KILL", "INT"] {
        let name = signal.to_ascii_lowercase();
        let broken = configure(dir.path(), &name);
        let (mut stops, mut random) = (0_u32, 42_u32);
        loop {
            let threads = if stops % 2 == 0 { "--threads=1" } else { "--threads=2" };
            let mut child = start(&arguments(dir.path(), &name, &["-q", "--resume", threads]));
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // The delay ranges from a start that only loads the model to half of a run, and it
            // grows with every stop, so that the run advances.
            let share = f64::from(random >> 8) / f64::from(1 << 24) * 0.5 + f64::from(stops) * 0.02;
            std::thread::sleep(whole.mul_f64(share) + Duration::from_millis(20));
            // The process id still belongs to the child, because the child has not been waited for.
            let id = child.id().to_string();
            _ = Command::new("kill").args(["-s", signal, &id]).status();
            let status = child.wait().expect("ended");
            if status.success() {
                break;
            }
            // Before the program handles Ctrl-C, an interrupt ends it like any other program.
            let code = status.code();
            assert!(code.is_none() || code == Some(130), "{signal}: {status}");
            stops += 1;
            assert!(stops < 100, "it gets on");
        }
        assert!(stops > 1, "it was stopped {stops} times");
        assert_same(&straight, &broken);
    }
}

#[test]
fn calls_that_are_wrong_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = configure(dir.path(), "run");
    let refused = |more: &[&str], code| failure(&arguments(dir.path(), "run", more), code);
    for (more, part) in [
        (&["training.max_step=3"][..], "max_step"),
        (&["model.max_length=65"], "64 tokens"),
        (&["model.model_name_or_path=models/none"], "models/none"),
        (&["data.train_triplets=data/toy/train/none.ndjson"], "none.ndjson"),
        (&["training.metric_for_best_model=MRR@3"], "eval_MRR@10"),
        (&["-m", "training.seed=1,2"], "hydra:runtime.output_dir"),
    ] {
        let message = refused(more, 1);
        assert!(message.contains(part), "{more:?}: {message}");
        assert!(!output.join("log.jsonl").exists(), "{more:?}");
    }
    assert!(refused(&["--threads=0"], 2).contains("--threads"));
    fs::create_dir_all(output.join("checkpoint-6")).expect("created");
    let message = refused(&[], 1);
    assert!(message.contains("--resume"), "{message}");
    let printed = stdout(&arguments(dir.path(), "run", &["--cfg", "job", "training.seed=7"]));
    assert!(printed.contains("\n  seed: 7\n"), "{printed}");
}

/// The jobs of a sweep run one after another, each in its folder.
#[test]
fn a_sweep_runs_its_jobs() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), "run");
    let sweep = format!("hydra.sweep.dir={}", dir.path().join("sweep").display());
    stdout(&arguments(
        dir.path(),
        "run",
        &[
            "-m",
            "-q",
            &sweep,
            "training.output_dir=${hydra:runtime.output_dir}",
            "training.max_steps=6",
            "training.seed=1,2",
        ],
    ));
    let model = |job: &str| {
        fs::read(dir.path().join("sweep").join(job).join("model/model.safetensors")).expect("read")
    };
    assert_ne!(model("0"), model("1"));
}

/// The queries of a run with a table are looked up in the saved table. The weights are those of
/// `idf.json`, and if the table is fixed, they are the given ones.
#[test]
fn a_table_for_queries_is_trained_saved_and_used() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "東京の天気";
    let encode = |model: &Path, side: &str| -> Value {
        let model = model.to_str().expect("UTF-8");
        let line =
            stdout(&["encode", "--model", model, "--as", side, "--decimals", "7", "--text", text]);
        serde_json::from_str::<Value>(&line).expect("JSON")["vector"].take()
    };
    let json = |path: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(path).expect("read")).expect("JSON")
    };
    let run = |name: &str, more: &[&str]| {
        let output = configure(dir.path(), name);
        let table = ["-q", "+model.query_encoder=table", "training.max_steps=6"];
        stdout(&arguments(dir.path(), name, &[&table, more].concat()));
        output
    };
    let first = run("trained", &["+model.query_table.learning_rate=0.01"]);
    let looked_up = |folder: &Path, table: &Value| {
        let vector = encode(folder, "query");
        let vector = vector.as_object().expect("a vector");
        assert!(vector.len() > 1, "{vector:?}");
        for (token, weight) in vector {
            let (got, want) = (weight.as_f64().expect("a number"), table[token].as_f64());
            assert!((got - want.expect("in the table")).abs() < 1e-6, "{token}: {got} {want:?}");
        }
    };
    let table = first.join("model/idf.json");
    for folder in [first.join("model"), first.join("checkpoint-6")] {
        looked_up(&folder, &json(&folder.join("idf.json")));
    }
    // The document encoder is the same in the model and in the checkpoint, although their files
    // differ.
    let documents = encode(&first.join("checkpoint-6"), "document");
    assert_eq!(encode(&first.join("model"), "document"), documents);

    let path = format!("+model.query_table.path={}", table.display());
    let fixed = run("fixed", &[&path, "+model.query_table.freeze=true"]);
    assert_eq!(json(&fixed.join("model/idf.json")), json(&table));
    let more = ["+model.query_encoder=table", "+model.query_table.path=none.json"];
    configure(dir.path(), "none");
    let message = failure(&arguments(dir.path(), "none", &more), 1);
    assert!(message.contains("none.json") && message.contains("no such file"), "{message}");
}
