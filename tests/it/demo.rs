//! The tour: every command that it prints is one that runs, and it replaces nothing of others.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the tour in a folder of its own.
fn demo(folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.current_dir(folder).arg("demo").args(more).stdin(Stdio::null());
    command.env_remove("LIGHT_SPLADE_MODEL").output().expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_tour_runs_and_prints_its_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = demo(folder.path(), &[]);
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    let commands: Vec<&str> =
        shown.lines().filter_map(|line| line.strip_prefix("$ light-splade ")).collect();
    for begin in [
        "index build -o light-splade-demo/index",
        "search light-splade-demo/index",
        "explain",
        "evaluate light-splade-demo",
        "serve --index light-splade-demo/index --port ",
    ] {
        assert!(commands.iter().any(|command| command.starts_with(begin)), "{begin}: {shown}");
    }
    // The questions are answered: their texts are the first hits.
    for title in ["  ソメイヨシノ", "  Guyana"] {
        let first = shown.lines().find(|line| line.contains(title)).unwrap_or_default();
        assert!(first.trim_start().starts_with("1 "), "{title}: {shown}");
    }
    assert!(shown.contains("| BM25"), "{shown}");
    // No terminal, no service.
    assert!(shown.contains("The page is at http://127.0.0.1:"), "{shown}");
    let written = folder.path().join("light-splade-demo");
    for (name, content) in splade_demo_data::FILES {
        let found = std::fs::read_to_string(written.join(name)).expect(name);
        assert_eq!(found, *content, "{name}");
    }
    let again = demo(folder.path(), &[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again.stderr)
            .contains("light-splade-demo exists already\nhint: replace it with --force")
    );
}

/// Only a folder that the tour wrote is replaced, and that as a whole.
#[test]
fn the_folder_is_replaced_on_request() {
    let (folder, data) = (tempfile::tempdir().expect("a folder"), env!("CARGO_MANIFEST_DIR"));
    let data = format!("{data}/data/toy-beir");
    let demo =
        |more: &[&str]| demo(folder.path(), &[&["--data", data.as_str()][..], more].concat());
    assert!(demo(&[]).status.success());
    let mine = folder.path().join("light-splade-demo/mine.txt");
    std::fs::write(&mine, "x").expect("written");
    assert_eq!(demo(&[]).status.code(), Some(1));
    assert!(mine.exists());
    assert!(demo(&["--force"]).status.success());
    assert!(!mine.exists());
}

#[test]
fn other_folders_are_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("README.md"), "mine").expect("written");
    let out = folder.path().to_str().expect("UTF-8");
    let output = demo(folder.path(), &["--force", "--output", out]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert_eq!(std::fs::read_to_string(folder.path().join("README.md")).expect("kept"), "mine");
}

#[test]
fn another_data_set_is_shown() {
    let (folder, data) = (tempfile::tempdir().expect("a folder"), env!("CARGO_MANIFEST_DIR"));
    let output = demo(folder.path(), &["--data", &format!("{data}/data/toy-beir")]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(shown.contains("has 150 texts and 72 questions"), "{shown}");
    assert!(!folder.path().join("light-splade-demo/corpus.jsonl").exists());
}

/// No text that answers a question of training answers one of the tests, and no text or question is
/// there twice.
#[test]
fn the_splits_share_no_text() {
    let files: std::collections::BTreeMap<_, _> = splade_demo_data::FILES.iter().copied().collect();
    let rows = |name: &str| -> Vec<serde_json::Value> {
        files[name].lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let judged = |name: &str, column: usize| -> HashSet<&str> {
        let cell = |line: &'static str| line.split('\t').nth(column).expect("a cell");
        files[name].lines().skip(1).map(cell).collect()
    };
    let [train, test] = ["qrels/train.tsv", "qrels/test.tsv"];
    for column in [0, 1] {
        assert_eq!(judged(train, column).intersection(&judged(test, column)).count(), 0);
    }
    for (name, column) in [("corpus.jsonl", 1), ("queries.jsonl", 0)] {
        let rows = rows(name);
        let unique = |key: &str| {
            rows.iter().filter_map(|row| row[key].as_str()).collect::<HashSet<_>>().len()
        };
        assert_eq!((unique("_id"), unique("text")), (rows.len(), rows.len()), "{name}");
        let ids: HashSet<&str> = rows.iter().filter_map(|row| row["_id"].as_str()).collect();
        for qrels in [train, test] {
            assert!(judged(qrels, column).is_subset(&ids), "{name} lacks what {qrels} names");
        }
    }
    for language in ["ja", "en"] {
        let questions = judged(test, 0).iter().filter(|id| id.starts_with(language)).count();
        assert!(questions >= 60, "{language}: {questions}");
    }
}
