//! What the program says when a call cannot work, and that it says so before the long work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::common::{MODEL, failure, run, stdout};

fn write(dir: &Path, files: &[(&str, &str)]) -> PathBuf {
    for (name, text) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    dir.to_path_buf()
}

/// A data set of two documents and two queries with these judgements.
fn data_set(dir: &Path, qrels: &str) -> String {
    let files = [
        (
            "corpus.jsonl",
            "{\"_id\":\"d 1\",\"text\":\"tokyo\"}\n{\"_id\":\"d2\",\"text\":\"osaka\"}\n",
        ),
        (
            "queries.jsonl",
            "{\"_id\":\"q1\",\"text\":\"tokyo\"}\n{\"_id\":\"q2\",\"text\":\"osaka\"}\n",
        ),
        ("qrels/test.tsv", qrels),
    ];
    write(dir, &files).display().to_string()
}

/// Everything that is known before a document is encoded is said before.
#[test]
fn judgements_are_checked_before_anything_is_encoded() {
    let dir = tempfile::tempdir().expect("a folder");
    let header = "query-id\tcorpus-id\tscore\n";
    for (name, qrels, want) in [
        ("empty", "", "there is no query in the qrels"),
        ("header", header, "there is no query in the qrels"),
        ("other", "x\td2\t1\n", "queries are called \"x\" in the qrels and \"q1\" in the data set"),
        ("twice", "q1\td2\t1\nq1\td2\t0\n", "line 2: document \"d2\" has the grade 0"),
        ("text", "no judgements at all here\n", "these are not qrels"),
    ] {
        let data = data_set(&dir.path().join(name), qrels);
        let message = failure(&["evaluate", "--model", MODEL, &data], 1);
        assert!(message.contains(want), "{name}: {message}");
        assert!(!message.contains("encoding"), "{name}: {message}");
    }
    let data = data_set(&dir.path().join("good"), "q1\td 1\t1\nq1\td 1\t1\nq2\td2\t1\n");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let evaluate = ["evaluate", "--model", MODEL, &data, "--metrics", "MRR@10"];
    let message = failure(&[&evaluate[..], &["--output-run", &path("run.trec")]].concat(), 1);
    assert!(message.contains("\"d 1\" is empty or has a blank"), "{message}");
    assert!(!message.contains("encoding"), "{message}");
    // The hint of that message, followed.
    let ndjson = path("run.ndjson");
    let output = run(&[&evaluate[..], &["--output-run", &ndjson]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 judgement repeated, with the same grade"), "{said}");
    let judged = stdout(&["evaluate", &data, "--run", &ndjson, "--metrics", "MRR@10"]);
    assert!(judged.contains("MRR@10"), "{judged}");
    let checked = run(&["check-data", &data]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.contains("2 documents, 2 queries, 2 judged\n"), "{checked}");
    assert!(checked.contains("note: ") && checked.contains("1 judgement repeated"), "{checked}");
}

/// Numbers that would give nothing, or more threads than any machine has, are refused at once.
#[test]
fn numbers_that_cannot_be_meant_are_refused() {
    let index = ["search", "nowhere", "x"];
    let train = ["train", "config/toy_splade_ja.yaml"];
    let teacher = ["cross-encoder", "train", "config/cross_encoder/toy_train.yaml"];
    for (call, options) in [
        (&["encode", "-t", "x"][..], &["--top-k=0", "--threads=0", "--threads=100000"][..]),
        (&["encode", "-t", "x"], &["--batch-tokens=0"]),
        (&["explain", "-t", "x"], &["--top-k=0", "--threads=100000"]),
        (&index, &["-k=0", "--threads=100000"]),
        (
            &["index", "build", "--output", "nowhere/x", "-t", "x"],
            &["--top-k=0", "--threads=100000"],
        ),
        (&["index", "merge", "nowhere"], &["--threads=100000"]),
        (&["evaluate", "data/toy-beir"], &["--depth=0", "--threads=100000"]),
        (&["mine", "nowhere", "--output", "x"], &["--source=bm25,take=0"]),
        (&train, &["--threads=0", "--threads=100000"]),
        (&teacher, &["--threads=0", "--threads=100000"]),
    ] {
        for option in options {
            let message = failure(&[call, &[*option]].concat(), 2);
            let name = option.split('=').next().unwrap_or_default();
            assert!(message.contains(name), "{call:?} {option}: {message}");
            if option.starts_with("--threads") {
                assert!(message.contains("1..=1024"), "{message}");
            }
        }
    }
}

/// LIGHT_SPLADE_MODEL is the model of every command whose default is the built-in one.
#[test]
fn one_variable_names_the_model_of_all_commands() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out").display().to_string();
    let scores = format!("{out}.ndjson");
    for call in [
        &["encode", "-t", "x"][..],
        &["tokenize", "-t", "x"],
        &["explain", "-t", "x"],
        &["inspect"],
        &["index", "build", "--output", &out, "-t", "x"],
        &["evaluate", "data/toy-beir"],
        &["mine", "data/toy/train", "--output", &scores],
        &["export", "model", "--output", &out],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_light-splade"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("LIGHT_SPLADE_MODEL", "/no/such/model")
            .args(call)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("/no/such/model"), "{call:?}: {said}");
    }
}

/// A run that fails before it begins leaves no folder behind.
#[test]
fn a_run_that_cannot_begin_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let output = format!("training.output_dir={}", path("a/b"));
    let last = format!("++training.final_output_dir={}", path("c"));
    let hydra = format!("hydra.run.dir={}", path("h"));
    for wrong in ["model.model_name_or_path=nowhere", "data.train_triplets=nowhere.ndjson"] {
        let call = ["train", "config/toy_splade_ja.yaml", &output, &last, &hydra, wrong];
        failure(&call, 1);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0, "{wrong}");
    }
    let output = format!("output_path={}", path("d"));
    let config = "config/cross_encoder/toy_train.yaml";
    failure(&["cross-encoder", "train", config, &output, "model_path=nowhere"], 1);
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
}

/// No part of an error is said twice.
#[test]
fn errors_say_each_thing_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = [
        ("broken.json", "{\"vector\": "),
        ("vectors.ndjson", "{\"id\":\"a\",\"vector\":{\"tokyo\":1.0}}\n"),
        ("half.ndjson", "{\"id\":\"a\",\"vector\":{\"1\":1.0}}\n{\"id\":"),
        ("x.parquet", "not parquet"),
        ("model/config.json", "{\"model_type\": \"bert\"}"),
        ("odd/config.json", "{"),
        ("conf/main.yaml", "defaults: [x]\n"),
        ("conf/bad.yaml", "a: [1\n"),
        ("conf/tab.yaml", "a:\n\t- 1\n"),
        ("set/corpus.jsonl", "{\"_id\":\"a\",\"text\":\"x\"}\n"),
        ("pipeline.yaml", "steps: 1\n"),
    ];
    let root = write(dir.path(), &files);
    fs::create_dir_all(root.join("conf/folder.yaml")).expect("made");
    let path = |name: &str| root.join(name).display().to_string();
    let paths = [
        "broken.json",
        "vectors.ndjson",
        "half.ndjson",
        "x.parquet",
        "model",
        "odd",
        "conf",
        "set",
        "pipeline.yaml",
        "nowhere",
        "out",
        "nowhere.parquet",
        "nowhere.ndjson",
    ];
    let calls = [
        "encode -m @nowhere -t x",
        "encode -m @model -t x",
        "encode -m @odd -t x",
        "encode @nowhere.ndjson",
        "encode @x.parquet",
        "encode @nowhere.parquet",
        "tokenize -m @model -t x",
        "inspect @model",
        "inspect @nowhere",
        "index build -o @out --vectors @vectors.ndjson",
        "index build -o @out --vectors @half.ndjson",
        "index build -o @out --vectors @nowhere",
        "index build -o @out --vectors @x.parquet",
        "index info @nowhere",
        "index verify @conf",
        "search @nowhere x",
        "search @set x",
        "evaluate @nowhere",
        "evaluate @set",
        "evaluate data/toy-beir --run @half.ndjson",
        "evaluate data/toy-beir --run @nowhere",
        "evaluate data/toy-beir -m @model",
        "check-data @nowhere",
        "export parquet @vectors.ndjson -o @out",
        "export parquet @nowhere -o @out",
        "export elasticsearch @half.ndjson -o @out",
        "export model -m @model -o @out",
        "export model -m @nowhere -o @out",
        "mine @nowhere -o @out",
        "score @nowhere --data @nowhere --by bm25 -o @out",
        "train @conf/main.yaml",
        "train @conf/bad.yaml",
        "train @conf/tab.yaml",
        "train @conf/folder.yaml",
        "train @nowhere/main.yaml",
        "train config/toy_splade_ja.yaml model.model_name_or_path=@nowhere training.output_dir=@out hydra.run.dir=@out",
        "train config/toy_splade_ja.yaml model.model_name_or_path=@model training.output_dir=@out hydra.run.dir=@out",
        "train config/toy_splade_ja.yaml data.train_triplets=@nowhere training.output_dir=@out hydra.run.dir=@out",
        "cross-encoder train config/cross_encoder/toy_train.yaml model_path=@model output_path=@out",
        "cross-encoder train @nowhere.yaml",
        "cross-encoder ensemble @nowhere @half.ndjson -o @out",
        "vocab learn @nowhere -o @out --words bert",
        "pipeline @pipeline.yaml",
        "pipeline @nowhere",
    ];
    let mut twice = Vec::new();
    for call in calls {
        let words = call.split(' ').map(|word| match word.split_once('@') {
            Some((before, name)) if paths.contains(&name) || name.starts_with("nowhere") => {
                format!("{before}{}", path(name))
            }
            _ => word.to_owned(),
        });
        let words: Vec<String> = words.collect();
        let output = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(1) {
            twice.push(format!("{call} ends with {:?}: {said}", output.status));
            continue;
        }
        let Some((_, message)) = said.split_once("error: ") else {
            twice.push(format!("{call} says no error: {said}"));
            continue;
        };
        let parts = message.split([':', '\n']).map(str::trim).filter(|part| part.len() >= 12);
        for part in parts {
            // A folder may be named again as a part of the path of a file in it.
            let is_path = part.starts_with('/') || part.starts_with("data/");
            if message.matches(part).count() > 1 && !is_path {
                twice.push(format!("{call}\n  says twice: {part}\n  in: {message}"));
                break;
            }
        }
    }
    assert!(twice.is_empty(), "{}", twice.join("\n"));
}
