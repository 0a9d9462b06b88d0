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

/// Returns the tokens of a text by `tokenize`.
fn tokens(model: &str, text: &str) -> Vec<String> {
    let printed = stdout(&["tokenize", "--model", model, "--text", text]);
    let row: serde_json::Value =
        serde_json::from_str(printed.lines().next().expect("a row")).expect("JSON");
    let tokens = row["tokens"].as_array().expect("tokens");
    tokens.iter().map(|token| token.as_str().expect("a token").to_owned()).collect()
}

/// The words that a vocabulary splits become tokens, other texts keep theirs, and the weights of the old terms stay.
#[test]
fn a_model_learns_words_of_a_field() {
    let dir = tempfile::tempdir().expect("a folder");
    for (model, corpus, others) in [
        ("models/demo", TEXTS, "むかしむかし、東京に犬がいた。"),
        ("crates/splade-model/tests/fixtures/reference/bert-relu", "README.md", "the train"),
    ] {
        let name = Path::new(model).file_name().and_then(|name| name.to_str()).expect("a name");
        let out = dir.path().join(name);
        let call = [
            "vocab",
            "extend",
            corpus,
            "--model",
            model,
            "--output",
            text(&out),
            "--words",
            "20",
            "--min-count",
            "2",
        ];
        stdout(&call);
        let list = fs::read_to_string(out.join("new_words.tsv")).expect("a list");
        let words: Vec<&str> =
            list.lines().skip(1).map(|line| line.split('\t').nth(1).expect("a word")).collect();
        assert!((1..=20).contains(&words.len()), "{list}");
        for word in &words {
            let (before, after) = (tokens(model, word), tokens(text(&out), word));
            // MeCab may split a word that stands alone otherwise than in its sentence.
            assert!(after.len() <= before.len(), "{word}: {before:?} {after:?}");
        }
        let is_whole = |word: &&&str| tokens(text(&out), word).contains(&(**word).to_owned());
        assert!(words.iter().filter(is_whole).count() * 2 > words.len(), "{words:?}");
        assert_eq!(tokens(model, others), tokens(text(&out), others));
        // The vector of such a text has the same old terms with the same weights.
        let vector = |model: &str| -> serde_json::Map<String, serde_json::Value> {
            let printed = stdout(&["encode", "--model", model, "--text", others]);
            let row: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
            row["vector"].as_object().expect("a vector").clone()
        };
        let (before, mut after) = (vector(model), vector(text(&out)));
        after.retain(|token, _| !words.contains(&&**token));
        assert!(!before.is_empty());
        assert_eq!(before, after);
        // It trains further, and a folder that is there is kept.
        assert!(failure(&call, 1).contains("is there already"));
        stdout(&[&call[..], &["--resume"]].concat());
    }
}

/// An English model gets the words of a Japanese vocabulary; English texts keep their tokens and vectors. The tokens that
/// no text needs are then taken out.
#[test]
fn a_model_gets_the_vocabulary_of_another_language() {
    let english = "crates/splade-model/tests/fixtures/reference/bert-relu";
    let dir = tempfile::tempdir().expect("a folder");
    let [japanese, both, fewer] = ["japanese", "both", "fewer"].map(|name| dir.path().join(name));
    let learn = ["vocab", "learn", TEXTS, "--words", "mecab", "--lowercase", "--size", "900"];
    stdout(&[&learn[..], &["--output", text(&japanese)]].concat());
    let merge = ["vocab", "merge", text(&japanese), "--model", english, "--output", text(&both)];
    stdout(&merge);
    let sentence = "the train to the sea";
    assert_eq!(tokens(english, sentence), tokens(text(&both), sentence));
    let unknown = |tokens: Vec<String>| tokens.iter().any(|token| token == "[UNK]");
    assert!(unknown(tokens(english, "走る列車")) && !unknown(tokens(text(&both), "走る列車")));
    // The vector of an English text has the same English terms with the same weights.
    let vector = |model: &str| -> serde_json::Map<String, serde_json::Value> {
        let printed = stdout(&["encode", "--model", model, "--text", sentence]);
        let row: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        row["vector"].as_object().expect("a vector").clone()
    };
    let (before, mut after) = (vector(english), vector(text(&both)));
    after.retain(|token, _| before.contains_key(token));
    assert_eq!(before, after);
    assert!(failure(&merge, 1).contains("is there already"));
    stdout(&[&merge[..], &["--resume"]].concat());
    let trim = ["vocab", "trim", TEXTS, "--model", text(&both), "--output", text(&fewer)];
    stdout(&[&trim[..], &["--size", "500", "--min-count", "2"]].concat());
    let lines = fs::read_to_string(fewer.join("vocab.txt")).expect("a vocabulary").lines().count();
    assert!(lines <= 500, "{lines}");
    assert!(!unknown(tokens(text(&fewer), "走る列車")));
    // A tokenizer without new tokens is refused.
    let none = dir.path().join("none");
    let again = ["vocab", "merge", text(&both), "--model", text(&both), "--output", text(&none)];
    assert!(failure(&again, 1).contains("has no token that the model lacks"));
    assert!(!none.exists());
}

#[test]
fn models_that_cannot_learn_words_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    let fixtures = "crates/splade-model/tests/fixtures/reference";
    let refused = |model: &str, more: &[&str]| {
        let call = ["vocab", "extend", TEXTS, "--model", model, "--output", text(&out)];
        failure(&[&call[..], more].concat(), 1)
    };
    let roberta = refused(&format!("{fixtures}/xlm-roberta"), &[]);
    assert!(roberta.contains("not of WordPiece"), "{roberta}");
    let none = refused("models/demo", &["--min-count", "100000"]);
    assert!(
        none.contains("no word that occurs 100000 times is split") && none.contains("hint: "),
        "{none}"
    );
    assert!(!out.exists());
}
