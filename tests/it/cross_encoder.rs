//! Tests of the command `cross-encoder`: runs that are killed, shards, ensembles, and calls that
//! are rejected.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{failure, stdout};
use serde_json::Value;

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

/// Returns the standard error of a call that must succeed.
fn said(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    let run = command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output();
    let run = run.expect("it runs");
    let text = String::from_utf8(run.stderr).expect("UTF-8");
    assert!(run.status.success(), "{arguments:?}: {text}");
    text
}

/// Returns the arguments of a training run of the toy teacher into a folder.
fn train(output: &Path, more: &[&str]) -> Vec<String> {
    let base = [
        "cross-encoder",
        "train",
        "config/cross_encoder/toy_train.yaml",
        "num_epochs=2",
        "evaluation_steps=7",
    ];
    let output = format!("output_path={}", output.display());
    base.iter().chain(more).map(|text| (*text).to_owned()).chain([output]).collect()
}

fn refs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Returns the files that equal runs share, without times.
fn outcome(output: &Path) -> Vec<Vec<u8>> {
    let names = ["model.safetensors", "config.json", "tokenizer_config.json"];
    let files = names.iter().flat_map(|name| [output.join(name), output.join("final").join(name)]);
    let mut all: Vec<Vec<u8>> = files.map(|path| fs::read(path).expect("a model")).collect();
    let log = fs::read_to_string(output.join("log.jsonl")).expect("a log");
    let lines = log.lines().filter_map(|line| {
        let mut record: Value = serde_json::from_str(line).expect("JSON");
        record.as_object_mut().expect("a record").remove("time");
        // The settings name the folder.
        (record["kind"] != "text").then(|| record.to_string())
    });
    all.push(lines.collect::<Vec<_>>().join("\n").into_bytes());
    all
}

/// A run that is killed at different moments and resumed with other numbers of threads ends with
/// the same bytes.
#[test]
fn training_ends_with_the_same_bytes_after_kills() {
    let dir = tempfile::tempdir().expect("a folder");
    let (straight, broken) = (dir.path().join("straight"), dir.path().join("broken"));
    let said_once = said(&refs(&train(&straight, &["--threads", "2"])));
    assert!(said_once.contains("a new one is drawn by the seed"), "{said_once}");
    assert!(!straight.join("start").exists());
    let every = ["++save_steps=5", "--resume", "-q"];
    let mut kills = 0;
    for wait in 0.. {
        let threads = ["1", "2", "3"][wait % 3];
        let arguments = train(&broken, &[&every[..], &["--threads", threads]].concat());
        let mut child = start(&refs(&arguments));
        let delay = Duration::from_millis(150 + 230 * (wait as u64 % 7));
        std::thread::sleep(delay);
        if wait >= 12 || child.try_wait().expect("waited").is_some() {
            assert!(child.wait().expect("waited").success(), "it fails");
            break;
        }
        child.kill().expect("killed");
        child.wait().expect("waited");
        kills += 1;
    }
    assert!(kills > 0, "never killed");
    assert_eq!(outcome(&straight), outcome(&broken), "after {kills} kills");
}

#[test]
fn a_finished_teacher_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let call = |more: &[&str]| train(dir.path(), &[&["num_epochs=1"], more].concat());
    let first = said(&refs(&call(&["--resume"])));
    assert!(first.contains("beginning at the start"), "{first}");
    let before = outcome(dir.path());
    let refused = failure(&refs(&call(&[])), 1);
    assert!(refused.contains("has a model already"), "{refused}");
    let again = said(&refs(&call(&["--resume", "++save_steps=5"])));
    assert!(again.contains("nothing is to be done"), "{again}");
    let other = failure(&refs(&call(&["--resume", "seed=7"])), 1);
    assert!(other.contains("seed was 42, is 7"), "{other}");
    assert_eq!(outcome(dir.path()), before);
}

/// A teacher of the toy data, with a list of pairs that takes a moment to score.
struct Scoring {
    dir: tempfile::TempDir,
    pairs: usize,
}

impl Scoring {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let model = dir.path().join("teacher");
        said(&refs(&train(&model, &["num_epochs=1", "-q"])));
        let ids = |name: &str, field: &str| -> Vec<i64> {
            let text = fs::read_to_string(format!("data/toy/train/{name}.ndjson")).expect(name);
            let id = |line: &str| {
                let record: Value = serde_json::from_str(line).expect("JSON");
                record[field].as_i64().expect("an id")
            };
            text.lines().map(id).collect()
        };
        let (queries, docs) = (ids("query_master", "qid"), ids("doc_master", "doc_id"));
        let of_query = |qid: &i64| {
            let scores: Vec<String> = docs.iter().map(|doc| format!("\"{doc}\": 1.0")).collect();
            format!("{{\"qid\": {qid}, \"scores\": {{{}}}}}\n", scores.join(", "))
        };
        let text: String = queries.iter().map(of_query).collect();
        fs::write(dir.path().join("init.ndjson"), text).expect("written");
        Self { dir, pairs: queries.len() * docs.len() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn arguments(&self, output: &str, more: &[&str]) -> Vec<String> {
        let file = "config/cross_encoder/toy_predict.yaml";
        let base = ["cross-encoder", "predict", file, "++predict_batch_size=1"];
        let set = [
            format!("model_path={}", self.path("teacher").display()),
            format!("hard_negative_init_scores={}", self.path("init.ndjson").display()),
            format!("hard_negative_cross_encoder_scores={}", self.path(output).display()),
        ];
        base.iter().chain(more).map(|text| (*text).to_owned()).chain(set).collect()
    }

    fn scores(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect(name)
    }
}

#[test]
fn no_pair_is_scored_twice_after_kills() {
    let scoring = Scoring::new();
    let run = |output: &str, more: &[&str]| said(&refs(&scoring.arguments(output, more)));
    let straight = run("straight.ndjson", &["--threads", "2"]);
    assert!(straight.contains(&format!("{} pairs", scoring.pairs)), "{straight}");
    let again = run("straight.ndjson", &["--resume"]);
    assert!(again.ends_with("complete already; nothing is to be done\n"), "{again}");
    let other = ["--resume", "max_token_len=20"];
    let other = failure(&refs(&scoring.arguments("straight.ndjson", &other)), 1);
    assert!(other.contains("is complete, but was made with other settings"), "{other}");

    // Each kill happens after some more lines have been written.
    let partial = scoring.path("broken.ndjson.parts/lines.ndjson");
    let written = || fs::read(&partial).unwrap_or_default();
    let mut before = Vec::new();
    let mut kills = 0;
    for _ in 0..4 {
        let mut child = start(&refs(&scoring.arguments("broken.ndjson", &["--resume", "-q"])));
        while child.try_wait().expect("waited").is_none() {
            if written().len() > before.len() + 2000 {
                child.kill().expect("killed");
                kills += 1;
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.wait().expect("waited");
        if !partial.exists() {
            break;
        }
        // The earlier lines are unchanged: no pair is scored or written again.
        let now = written();
        assert!(now.starts_with(&before[..before.len().min(now.len())]));
        let whole = now.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        before = now[..whole].to_vec();
    }
    assert!(kills > 0, "never killed");
    if partial.exists() {
        let text = String::from_utf8(before.clone()).expect("UTF-8");
        let done: usize = text.lines().map(|line| line.matches(": ").count() - 2).sum();
        let last = run("broken.ndjson", &["--resume"]);
        let wanted = format!("{} pairs, {done} of them scored before", scoring.pairs);
        assert!(last.contains(&wanted), "{last}\nwanted: {wanted}");
        let left = format!("{} pairs, ", scoring.pairs - done);
        assert!(last.contains(&left), "{last}\nwanted: {left}");
    }
    assert_eq!(scoring.scores("straight.ndjson"), scoring.scores("broken.ndjson"));
}

/// Existing scores are kept until their replacements are complete.
#[test]
fn a_run_that_replaces_scores_goes_on() {
    let scoring = Scoring::new();
    let arguments = |more: &[&str]| scoring.arguments("out.ndjson", more);
    // A repeated line causes a warning and nothing else.
    let queries = fs::read_to_string("data/toy/train/query_master.ndjson").expect("queries");
    let (last, twice) = (queries.lines().last().expect("a line"), scoring.path("twice.ndjson"));
    fs::write(&twice, format!("{queries}{last}\n")).expect("written");
    let master = format!("train_query_master={}", twice.display());
    let text = said(&refs(&arguments(&["-q", &master])));
    assert!(text.contains("warning: ") && text.contains("repeat"), "{text}");

    let before = scoring.scores("out.ndjson");
    let partial = scoring.path("out.ndjson.parts/lines.ndjson");
    let mut child = start(&refs(&arguments(&["--force", "-q", &master])));
    while fs::read(&partial).unwrap_or_default().len() < 2000 {
        assert!(child.try_wait().expect("waited").is_none(), "it is done too soon");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("waited");
    assert!(partial.exists(), "it was done too soon");
    let message = failure(&refs(&arguments(&["--resume", "--force"])), 2);
    assert!(message.contains("cannot be used with"), "{message}");
    let init = scoring.path("init.ndjson");
    let pairs = fs::read_to_string(&init).expect("pairs");
    let without_last = pairs.trim_end().rsplit_once('\n').expect("lines").0;
    fs::write(&init, format!("{without_last}\n")).expect("written");
    let message = failure(&refs(&arguments(&["--resume", &master])), 1);
    assert!(message.contains("hard_negative_init_scores"), "{message}");
    fs::write(&init, pairs).expect("written");
    let text = said(&refs(&arguments(&["--resume", &master])));
    assert!(text.contains("of them scored before"), "{text}");
    assert_eq!(scoring.scores("out.ndjson"), before);
}

#[test]
fn shards_are_the_whole_and_ensembles_join_them() {
    let scoring = Scoring::new();
    let run = |output: &str, more: &[&str]| said(&refs(&scoring.arguments(output, more)));
    run("whole.ndjson", &["-q"]);
    run("whole.ndjson.gz", &["-q", "++predict_batch_size=500", "--threads", "1"]);
    let packed = fs::File::open(scoring.path("whole.ndjson.gz")).expect("scores");
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut unpacked)
        .expect("gzip");
    assert!(unpacked == scoring.scores("whole.ndjson"), "another size of batches");
    let mut parts = Vec::new();
    for shard in 0..3 {
        run("parts.ndjson", &["-q", "--shard", &format!("{}/3", shard + 1)]);
        parts.extend(scoring.scores(&format!("parts/{shard:05}-of-00003.ndjson")));
    }
    assert!(parts == scoring.scores("whole.ndjson"), "shards");

    // The ensemble has the same scores twice, once as a folder of shards. Rescaled scores equal the
    // original ones if each query has the same range, and they have the same order in any case.
    let path = |name: &str| scoring.path(name).display().to_string();
    let (whole, folder, joined) = (path("whole.ndjson"), path("parts"), path("joined.ndjson.gz"));
    let report = said(&["cross-encoder", "ensemble", &whole, &folder, "-o", &joined]);
    assert!(report.contains(&format!("{} pairs: mean", scoring.pairs)), "{report}");
    let refused = failure(&["cross-encoder", "ensemble", &whole, &folder, "-o", &joined], 1);
    assert!(refused.contains("is there already"), "{refused}");
}

#[test]
fn calls_that_cannot_work_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = |name: &str| dir.path().join(name).display().to_string();
    let train = "config/cross_encoder/toy_train.yaml";
    let predict = "config/cross_encoder/toy_predict.yaml";
    let output = format!("output_path={}", out("a"));
    for (arguments, want) in [
        (vec!["train", "nowhere.yaml"], "nowhere"),
        (vec!["train", train, &output, "+epochs=3"], "there is no such setting"),
        (vec!["train", train, &output, "model_path=nowhere"], "nowhere"),
        (vec!["train", train, &output, "max_token_len=4000"], "4000 tokens"),
        (vec!["train", train, &output, "train_positives=nothing.ndjson"], "nothing.ndjson"),
        (vec!["predict", predict, "model_path=data"], "config.json"),
    ] {
        let arguments = [&["cross-encoder"], &arguments[..]].concat();
        let message = failure(&arguments, 1);
        assert!(message.contains(want), "{arguments:?}: {message}");
    }
    let message = failure(&["cross-encoder", "predict", predict, "--shard", "0/3"], 2);
    assert!(message.contains("the shards of 3 are 1/3 to 3/3, counted from 1"), "{message}");
    assert!(stdout(&["cross-encoder", "--help"]).contains("predict"));
}
