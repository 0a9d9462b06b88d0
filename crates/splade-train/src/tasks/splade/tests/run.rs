use std::fs;

use splade_io::{CHECKSUMS, Event, Observer};

use crate::config::{ResumeFrom, Strength};
use crate::run::Outcome;
use crate::run::checkpoint::checkpoint_to_resume;
use crate::run::checkpoint::folder::checkpoints;
use crate::run::checkpoint::record::lacks_data;

use super::*;

/// An observer that asks to stop after some steps, and records the notes and warnings.
#[derive(Default)]
struct Watcher {
    stop_after: Option<u64>,
    step: u64,
    said: Vec<String>,
    /// The mean numbers of terms of queries and documents, step by step.
    terms: Vec<[f64; 2]>,
}

impl Observer for Watcher {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Step(progress) => {
                self.step = progress.step;
                self.terms.push([progress.query_terms, progress.document_terms]);
            }
            Event::Warning(text) | Event::Note(text) => self.said.push(text.to_owned()),
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        self.stop_after.is_some_and(|stop| self.step >= stop)
    }
}

/// An observer that panics at some point, like a process that is killed.
struct Killed {
    after: u64,
}

impl Observer for Killed {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Step(progress) = event
            && progress.step >= self.after
        {
            panic!("killed");
        }
    }
}

fn run(
    config: &Config,
    queries: Queries,
    resume: Option<PathBuf>,
    watch: &mut dyn Observer,
) -> Outcome {
    let options = Parts { resume, ..options(config.clone(), queries) };
    options.run().expect("a run").run(watch).expect("it ends")
}

/// Returns a config that uses everything at once: accumulation, dropout, evaluations, best model,
/// limits.
fn rich(output: &Path) -> Config {
    let mut config = config(output);
    let training = &mut config.training;
    training.per_device_train_batch_size = 16;
    training.gradient_accumulation_steps = 3;
    training.max_steps = Some(17);
    training.logging_steps = 5.0;
    training.eval_strategy = IntervalStrategy::Steps;
    training.eval_steps = Some(4.0);
    training.save_steps = 4.0;
    training.save_total_limit = Some(2);
    training.load_best_model_at_end = true;
    training.metric_for_best_model = Some("MRR@10".into());
    config
}

/// Returns the files that equal runs share, without times and their own paths.
fn outputs(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    collect(folder, folder, &mut found);
    found.sort();
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, found);
            continue;
        }
        let name = path.strip_prefix(root).expect("below").display().to_string();
        // Checksums differ where times do.
        if name.ends_with(splade_io::CHECKSUMS) {
            continue;
        }
        let mut bytes = fs::read(&path).expect("read");
        let text = name.ends_with(".json") || name.ends_with(".jsonl");
        if text {
            let content = String::from_utf8(bytes).expect("UTF-8");
            let lines = content.replace(&root.display().to_string(), "OUT");
            let timed = ["train_runtime", "_per_second"];
            let lines = lines.lines().filter(|line| !timed.iter().any(|t| line.contains(t)));
            let lines = lines.map(|line| match serde_json::from_str::<Value>(line) {
                Ok(Value::Object(mut record)) => {
                    record.remove("time");
                    Value::Object(record).to_string()
                }
                _ => line.to_owned(),
            });
            bytes = lines.collect::<Vec<_>>().join("\n").into_bytes();
        }
        found.push((name, bytes));
    }
}

fn assert_same(a: &Path, b: &Path, compared: impl Fn(&str) -> bool) {
    let files = |folder: &Path| -> Vec<(String, Vec<u8>)> {
        outputs(folder).into_iter().filter(|(name, _)| compared(name)).collect()
    };
    let (a, b) = (files(a), files(b));
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&a), names(&b));
    assert!(a.len() > 12, "{:?}", names(&a));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(a == b, "{name} differs:\n{}\n---\n{}", text(a), text(b));
    }
}

/// Returns the step of a checkpoint's folder.
fn step_of(folder: &Path) -> u64 {
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    name["checkpoint-".len()..].parse().expect("a step")
}

/// Runs to the end in pieces of a few steps, and returns the number of pieces.
fn run_in_pieces(config: &Config, queries: Queries, seed: u64, killed: bool) -> u64 {
    let output = &config.training.output_dir;
    for piece in 0..60 {
        let from = checkpoint_to_resume(output, &ResumeFrom::Last).expect("readable");
        let begin = from.as_deref().map_or(0, step_of);
        let end = begin + 1 + hash(&[seed, piece, queries as u64]) % 7;
        let options = Parts { resume: from, ..options(config.clone(), queries) };
        let mut trainer = options.run().expect("a run");
        let finished = if killed {
            let mut watch = Killed { after: end };
            let run = || trainer.run(&mut watch).expect("it ends");
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_ok()
        } else {
            let mut watch = Watcher { stop_after: Some(end), ..Watcher::default() };
            match trainer.run(&mut watch).expect("it ends") {
                Outcome::Finished(_) | Outcome::UpToDate => true,
                Outcome::Stopped(folder) => {
                    assert_eq!(step_of(&folder), end);
                    false
                }
            }
        };
        if finished {
            return piece + 1;
        }
    }
    panic!("it does not go on");
}

#[test]
fn a_run_that_was_stopped_or_killed_ends_as_one_that_was_not() {
    let dir = tempfile::tempdir().expect("a folder");
    for queries in Queries::ALL {
        let straight = dir.path().join(format!("straight-{queries:?}"));
        assert!(matches!(run(&rich(&straight), queries, None, &mut ()), Outcome::Finished(_)));
        let files = [
            ("modules.json", queries != Queries::Own),
            ("query_model/model.safetensors", queries == Queries::Own),
            ("query_0_SparseStaticEmbedding/model.safetensors", queries == Queries::Table),
            ("router_config.json", queries == Queries::Table),
            ("idf.json", queries == Queries::Table),
        ];
        for (name, there) in files {
            assert_eq!(straight.join("model").join(name).is_file(), there, "{queries:?} {name}");
        }
        for seed in 0..4 {
            let killed = seed % 2 == 0;
            let output = dir.path().join(format!("broken-{queries:?}-{seed}"));
            let mut config = rich(&output);
            config.training.resume_from_checkpoint = Some(ResumeFrom::Last);
            assert!(run_in_pieces(&config, queries, seed, killed) > 1);
            // A stop writes one more checkpoint, so that other checkpoints are deleted.
            let last = "checkpoint-17";
            assert_same(&straight, &output, |name| {
                killed || !name.starts_with("checkpoint-") || name.starts_with(last)
            });
        }
    }
}

/// A run that has made all of its steps only writes its results again.
#[test]
fn a_finished_run_can_be_resumed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    for output in [&first, &second] {
        run(&rich(output), Queries::Shared, None, &mut ());
    }
    let mut config = rich(&second);
    config.training.resume_from_checkpoint = Some(ResumeFrom::Last);
    run(&config, Queries::Shared, Some(second.join("checkpoint-17")), &mut ());
    assert_same(&first, &second, |_| true);
}

/// The folder of a finished run holds the model and the results, and the limit and the best model
/// are respected.
#[test]
fn a_finished_run_leaves_model_and_results() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = rich(dir.path());
    let Outcome::Finished(results) = run(&config, Queries::Shared, None, &mut ()) else {
        panic!("it was not stopped");
    };
    let json = |name: &str| -> Value {
        let text = fs::read_to_string(dir.path().join(name)).expect(name);
        serde_json::from_str(&text).expect("JSON")
    };
    let state = json("results/trainer_state.json");
    let best = PathBuf::from(state["best_model_checkpoint"].as_str().expect("a path"));
    let mut left: Vec<u64> =
        checkpoints(dir.path()).expect("listed").into_iter().map(|(step, _)| step).collect();
    assert_eq!(left.pop(), Some(17));
    assert_eq!(left, [step_of(&best)]);
    let read = |folder: &Path| fs::read(folder.join("model.safetensors")).expect("read");
    assert_eq!(read(&dir.path().join("model")), read(&best));
    let values = |name: &str| {
        let history = state["log_history"].as_array().expect("a list");
        history.iter().filter_map(|entry| entry[name].as_f64()).collect::<Vec<f64>>()
    };
    let metric = values("eval_MRR@10");
    assert_eq!(metric.len(), 5);
    assert_eq!(state["best_metric"], metric.iter().copied().fold(0.0, f64::max));
    assert_eq!(values("loss").len(), 3);
    // The last log has the λ that the next step would have, as in Python.
    assert_eq!(values("lambda_q").last(), Some(&0.01));
    for name in [
        "modules.json",
        "1_SpladePooling/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "light_splade.json",
    ] {
        assert!(dir.path().join("model").join(name).is_file(), "{name}");
    }
    let eval = results.eval.expect("evaluated");
    let all = json("results/all_results.json");
    assert_eq!(all["eval_samples"], 12);
    for (name, value) in results.train.iter().chain(&eval) {
        assert_eq!(all[name].as_f64(), Some(*value), "{name}");
    }
    assert_eq!(json("results/eval_results.json")["eval_MRR@10"], state["best_metric"]);
    let left = std::fs::read_dir(dir.path()).expect("listed");
    let name = |e: std::fs::DirEntry| e.file_name().to_string_lossy().into_owned();
    let mut left = left.map(|entry| name(entry.expect("an entry")));
    assert!(!left.any(|name| name.ends_with(".tmp") || name == "lock"));
}

#[test]
fn a_damaged_checkpoint_is_not_resumed() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = config(dir.path());
    run(&config, Queries::Shared, None, &mut ());
    let last = dir.path().join("checkpoint-10");
    for (name, _) in outputs(&last) {
        let path = last.join(&name);
        let bytes = fs::read(&path).expect("read");
        let mut damaged = bytes.clone();
        let at = bytes.len() / 2;
        damaged[at] ^= 1;
        fs::write(&path, damaged).expect("written");
        let options =
            Parts { resume: Some(last.clone()), ..options(config.clone(), Queries::Shared) };
        let error = options.run().map(drop).expect_err("damaged").said();
        assert!(error.contains(&format!("{name}: its checksum differs")), "{error}");
        assert!(error.contains("resume from an earlier checkpoint"), "{error}");
        fs::write(&path, bytes).expect("written");
    }
}

#[test]
fn epochs_log_evaluate_and_save_at_their_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = config(dir.path());
    let training = &mut config.training;
    training.per_device_train_batch_size = 100;
    training.max_steps = None;
    training.num_train_epochs = 1.5;
    training.logging_strategy = IntervalStrategy::Epoch;
    training.eval_strategy = IntervalStrategy::Epoch;
    training.save_strategy = IntervalStrategy::Best;
    training.metric_for_best_model = Some("eval_avg_nnz".into());
    training.eval_on_start = true;
    run(&config, Queries::Shared, None, &mut ());
    let log = fs::read_to_string(dir.path().join("log.jsonl")).expect("a log");
    let steps = |kind: &str| -> Vec<(u64, f64)> {
        let records = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let records = records.filter(|record| record["kind"] == kind);
        let number = |value: &Value| value.as_f64().expect("a number");
        records.map(|r| (r["step"].as_u64().expect("a step"), number(&r["epoch"]))).collect()
    };
    // There are 340 samples, which are 4 batches an epoch; the run ends in the middle of the second
    // epoch.
    assert_eq!(steps("train"), [(4, 1.0), (6, 1.5)]);
    assert_eq!(steps("eval"), [(0, 0.0), (4, 1.0), (6, 1.5)]);
}

#[test]
fn a_run_resumes_only_with_the_contents_of_its_data() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = config(dir.path());
    let last = dir.path().join("checkpoint-10");
    let begin = |content: Value, resume: Option<PathBuf>| {
        let parts = Parts { content, resume, ..options(config.clone(), Queries::Shared) };
        parts.run().map_err(|error| error.to_string())
    };
    let positives = |hash: &str| json!({ "version": 1, "train_positives": hash });
    begin(positives("xxh3:1"), None).expect("begun").run(&mut ()).expect("it ends");
    begin(positives("xxh3:1"), Some(last.clone())).expect("the same data");
    let message = begin(positives("xxh3:2"), Some(last.clone())).map(drop).expect_err("other data");
    assert!(message.contains("the content of train_positives has changed"), "{message}");
    // Checkpoints of earlier versions do not say what their data was.
    assert!(!lacks_data(&last));
    let path = last.join("light_splade.json");
    let mut record: Value =
        serde_json::from_slice(&fs::read(&path).expect("a record")).expect("JSON");
    record["run"].as_object_mut().expect("a run").remove("data");
    fs::write(&path, record.to_string()).expect("written");
    fs::remove_file(last.join(CHECKSUMS)).expect("removed");
    assert!(lacks_data(&last));
    begin(positives("xxh3:2"), Some(last)).expect("nothing is known");
}

#[test]
fn a_run_does_not_overwrite_another() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = config(dir.path());
    run(&config, Queries::Shared, None, &mut ());
    let begin = |config: &Config, resume: Option<PathBuf>| {
        let options = Parts { resume, ..options(config.clone(), Queries::Shared) };
        options.run().map(drop).expect_err("refused").said()
    };
    let message = begin(&config, None);
    assert!(message.contains("checkpoint-10") && message.contains("--resume"), "{message}");
    let last = dir.path().join("checkpoint-10");
    let mut other = config.clone();
    other.training.seed = 7;
    other.training.learning_rate = 0.5;
    let message = begin(&other, Some(last.clone()));
    for part in ["training.seed was 42, is 7", "training.learning_rate was 0.01, is 0.5"] {
        assert!(message.contains(part), "{message}");
    }
    let mut longer = config.clone();
    longer.training.max_steps = Some(12);
    longer.training.eval_strategy = IntervalStrategy::Epoch;
    let options = Parts {
        resume: Some(last.clone()),
        settings: settings(&longer),
        ..options(longer, Queries::Shared)
    };
    assert!(matches!(
        options.run().expect("a longer run").run(&mut ()).expect("it ends"),
        Outcome::Finished(_)
    ));
    fs::remove_dir_all(dir.path().join("checkpoint-12")).expect("removed");
    let message = begin(&config, None);
    assert!(message.contains("--resume"), "{message}");
    fs::remove_dir_all(&last).expect("removed");
    let message = begin(&config, None);
    assert!(message.contains("model is there already"), "{message}");
}

/// If any file of a checkpoint is truncated, resuming gives an error and not a panic.
#[test]
fn damaged_checkpoints_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = config(dir.path());
    config.training.max_steps = Some(2);
    run(&config, Queries::Shared, None, &mut ());
    let whole = dir.path().join("checkpoint-2");
    let begin = |folder: &Path| {
        let mut config = config.clone();
        config.training.output_dir = dir.path().join("other");
        config.training.resume_from_checkpoint = Some(ResumeFrom::Last);
        let resume = Some(folder.to_path_buf());
        Parts { resume, ..options(config, Queries::Shared) }.run().map(drop)
    };
    begin(&whole).expect("it is whole");
    let copy = dir.path().join("copy");
    for name in ["light_splade.json", "trainer_state.json", "optimizer.safetensors"] {
        let bytes = fs::read(whole.join(name)).expect("read");
        for (attempt, length) in [0, 1, 9, bytes.len() / 2, bytes.len() - 3].into_iter().enumerate()
        {
            _ = fs::remove_dir_all(&copy);
            fs::create_dir(&copy).expect("created");
            for entry in fs::read_dir(&whole).expect("listed") {
                let path = entry.expect("an entry").path();
                fs::copy(&path, copy.join(path.file_name().expect("a name"))).expect("copied");
            }
            fs::write(copy.join(name), &bytes[..length]).expect("written");
            assert!(begin(&copy).is_err(), "{name} {attempt}");
        }
    }
    _ = fs::remove_dir_all(&copy);
    fs::create_dir(&copy).expect("created");
    fs::write(copy.join("optimizer.pt"), "").expect("written");
    let error = begin(&copy).expect_err("Python's");
    assert!(error.to_string().contains("Python library") && error.hint().is_some(), "{error}");
}

#[test]
fn evaluations_that_cannot_be_made_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut config = config(&dir.path().join("run"));
        change(&mut config);
        options(config, Queries::Shared).run().map(drop).expect_err("refused").to_string()
    };
    let message = refused(&|config| {
        config.training.eval_strategy = IntervalStrategy::Epoch;
        config.training.save_strategy = IntervalStrategy::Best;
        config.training.metric_for_best_model = Some("ndcg@10".into());
    });
    assert!(message.contains("eval_MRR@10, eval_recall@10"), "{message}");
    let message = refused(&|config| {
        config.training.eval_strategy = IntervalStrategy::Steps;
        config.training.eval_steps = Some(3.0);
        config.training.save_steps = 4.0;
        config.training.load_best_model_at_end = true;
    });
    assert!(message.contains("multiple"), "{message}");
    let message = refused(&|config| {
        config.training.eval_strategy = IntervalStrategy::Steps;
        config.data.eval_loss_size = 0;
        config.data.validation_doc_master = None;
        config.data.validation_query_master = None;
        config.data.validation_positives = None;
    });
    assert!(message.contains("nothing to evaluate on"), "{message}");
    assert!(!dir.path().join("run").exists());
}

/// A warning about vanishing vectors is given once.
#[test]
fn a_run_that_collapses_warns() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = config(dir.path());
    config.training.learning_rate = 0.3;
    config.training.max_steps = Some(60);
    config.training.max_grad_norm = 0.0;
    config.training.warmup_steps = 0;
    for side in [&mut config.training.regularizers.doc, &mut config.training.regularizers.query] {
        side.as_mut().expect("there").strength = Strength::Schedule { lambda: 1000.0, steps: 0.0 };
    }
    let mut watch = Watcher::default();
    run(&config, Queries::Shared, None, &mut watch);
    let said: Vec<&String> =
        watch.said.iter().filter(|text| text.contains("have empty vectors")).collect();
    // One warning for each side.
    assert!((1..=2).contains(&said.len()), "{:?}, {:?}", watch.said, watch.terms);
}

/// The speed of a run counts the steps of its own process, not those before a resume.
#[test]
fn speeds_count_the_steps_of_this_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = rich(dir.path());
    let mut stopped = Watcher { stop_after: Some(12), ..Watcher::default() };
    let Outcome::Stopped(checkpoint) = run(&config, Queries::Shared, None, &mut stopped) else {
        panic!("it was asked to stop");
    };
    let resumed = run(&config, Queries::Shared, Some(checkpoint), &mut Watcher::default());
    let Outcome::Finished(results) = resumed else { panic!("nobody asked to stop") };
    let value = |name: &str| {
        results.train.iter().find(|(known, _)| known == name).map(|(_, value)| *value).expect(name)
    };
    // 5 of 17 steps, each of 3 batches of 16 samples. The values are rounded.
    let steps = value("train_steps_per_second") * value("train_runtime");
    let samples = value("train_samples_per_second") * value("train_runtime");
    assert!((steps - 5.0).abs() < 0.1, "{:?}", results.train);
    assert!((samples - 240.0).abs() < 1.0, "{:?}", results.train);
}
