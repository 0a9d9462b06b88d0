//! The grammar of the command line: old spellings, messages, colours, completions and the manual.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::common::{MODEL, failure, run, stdout};

const CORPUS: &str = "data/toy-beir/corpus.jsonl";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Old calls print what the new ones print, and a line that names the new spelling.
#[test]
fn old_spellings_do_what_the_new_ones_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let index = path("index");
    let built = run(&["index", "build", "-m", MODEL, "--out", &index, CORPUS]);
    assert!(built.status.success(), "{}", text(&built.stderr));
    assert!(text(&built.stderr).contains("warning: --out is an old spelling: write --output\n"));
    let vectors = path("vectors.ndjson");
    stdout(&["encode", "-m", MODEL, "-t", "sea", "-o", &vectors]);
    for (old, new, wanted) in [
        (
            &["search", "--index", &index, "sea", "--threshold", "0.1"][..],
            &["search", &index, "sea", "--min-score", "0.1"][..],
            &["write INDEX after light-splade search", "write --min-score"][..],
        ),
        (&["search", "-i", &index, "sea"], &["search", &index, "sea"], &["write INDEX"]),
        (
            &["encode", "-m", MODEL, "-t", "sea", "--threshold=0.5"],
            &["encode", "-m", MODEL, "-t", "sea", "--min-weight=0.5"],
            &["write --min-weight"],
        ),
        (
            &["index", "info", &index, "--format", "json"],
            &["index", "info", &index, "--json"],
            &["write --json"],
        ),
        (
            &["check-data", "--beir", "data/toy-beir", "--format", "table"],
            &["check-data", "data/toy-beir"],
            &["write DATA after light-splade check-data", "nothing for the table"],
        ),
        (
            &["evaluate", "--data", "data/toy-beir", "-m", MODEL],
            &["evaluate", "data/toy-beir", "-m", MODEL],
            &["write DATA"],
        ),
        (
            &["explain", "-m", MODEL, "cheap travel"],
            &["explain", "-m", MODEL, "-t", "cheap travel"],
            &["write -t TEXT"],
        ),
        (
            &["train", "--config-dir", "config", "--config-name", "toy_splade_ja", "--cfg", "job"],
            &["train", "config/toy_splade_ja.yaml", "--cfg", "job"],
            // Hydra's own option is no old spelling.
            &[],
        ),
        (
            &["tokenize", "-m", MODEL, "--ndjson", CORPUS],
            &["tokenize", "-m", MODEL, "--input-format", "ndjson", CORPUS],
            &["write --input-format ndjson"],
        ),
    ] {
        let (old_run, new_run) = (run(old), run(new));
        let (old_said, new_said) = (text(&old_run.stderr), text(&new_run.stderr));
        assert!(old_run.status.success(), "{old:?}: {old_said}");
        assert_eq!(text(&old_run.stdout), text(&new_run.stdout), "{old:?}");
        let warnings = |said: &str| said.lines().filter(|l| l.contains("old spelling")).count();
        assert_eq!((warnings(&old_said), warnings(&new_said)), (wanted.len(), 0), "{old_said}");
        for wanted in wanted {
            assert!(old_said.contains(wanted), "{wanted}: {old_said}");
        }
    }
    let exported = path("exported");
    let said = run(&["export", "parquet", "--vectors", &vectors, "-m", MODEL, "--out", &exported]);
    assert!(said.status.success() && Path::new(&exported).is_dir(), "{}", text(&said.stderr));
    // A pipeline of the user's goes on, and its step tells.
    let pipeline = path("pipeline.yaml");
    let steps = format!(
        "work: {0}\nsteps:\n  - name: a\n    run: check-data --data data/toy-beir\n    stdout: {0}/o\n",
        path("w")
    );
    std::fs::write(&pipeline, steps).expect("written");
    let said = run(&["pipeline", &pipeline]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    assert!(
        text(&said.stderr).contains("warning: --data is an old spelling"),
        "{}",
        text(&said.stderr)
    );
}

/// The model that a command is about has two spellings, and the environment one more.
#[test]
fn a_model_is_an_argument_or_an_option() {
    let inspected = stdout(&["inspect", MODEL]);
    assert_eq!(stdout(&["inspect", "-m", MODEL]), inspected);
    let json: Value = serde_json::from_str(&stdout(&["inspect", MODEL, "--json"])).expect("JSON");
    assert_eq!(json["name"], "demo");
    assert!(json["towers"][0]["network"]["parameters"].as_u64().is_some_and(|count| count > 0));
    assert!(failure(&["inspect", MODEL, "-m", MODEL], 2).contains("cannot be used with"));
}

#[test]
fn texts_of_explain_are_those_of_encode() {
    let explain = |more: &[&str]| stdout(&[&["explain", "-m", MODEL, "--json"], more].concat());
    let rows: Vec<Value> = explain(&["-t", "cheap travel by train", "-t", "train"])
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!((rows.len(), &rows[1]["id"]), (2, &Value::from("1")));
    let weights = rows[0]["terms"].as_array().expect("terms").iter().map(|t| t["weight"].as_f64());
    assert!(weights.clone().is_sorted_by(|a, b| a >= b) && weights.count() > 0);
    assert_eq!(explain(&[CORPUS]).lines().count(), 150);
    let mut child = Command::new(env!("CARGO_BIN_EXE_light-splade"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["explain", "-m", MODEL, "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), b"sea\n").expect("written");
    let read = text(&child.wait_with_output().expect("ended").stdout);
    let (read, given) = (read.lines().next().expect("a row"), explain(&["-t", "sea"]));
    assert_eq!(read, given.trim_end());
    let page = ["explain", "-m", MODEL, "--html", "-t", "sea", "-t", "train"];
    let page = stdout(&page);
    assert!(page.contains(">sea</") && page.contains(">train</"), "{page}");
}

/// Messages are lines or JSON, and fewer with --quiet.
#[test]
fn messages_have_one_form_everywhere() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("v.parquet").display().to_string();
    let encode = |more: &[&str]| {
        let call = [&["encode", "-m", MODEL, CORPUS, "--force", "-o", &out], more].concat();
        text(&run(&call).stderr)
    };
    assert_eq!(encode(&["-q"]), "");
    let (usual, verbose) = (encode(&[]), encode(&["-v"]));
    assert!(verbose.lines().count() > usual.lines().count(), "{usual}\n{verbose}");
    assert!(verbose.contains("150 texts"), "{verbose}");
    let broken = run(&["--log-format", "json", "encode", "-m", "./no-model", "-t", "x"]);
    assert_eq!(broken.status.code(), Some(1));
    let lines: Vec<Value> = text(&broken.stderr)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["level"], "ERROR");
    assert!(lines[0]["message"].as_str().is_some_and(|text| text.contains("no-model")));
    assert!(lines[0]["timestamp"].is_string() && lines[0]["kind"].is_null());
    assert_eq!(lines[1]["kind"], "hint");
    assert!(failure(&["-q", "-v", "inspect"], 2).contains("cannot be used with"));
}

#[test]
fn colours_are_asked_for() {
    let call = |options: &[&str], no_color: bool| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(options).stdin(Stdio::null());
        command.env_remove("NO_COLOR");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        command.output().expect("it runs")
    };
    let fails = ["encode", "-m", "./no-model", "-t", "x"];
    let coloured = |options: &[&str], no_color| {
        text(&call(&[options, &fails[..]].concat(), no_color).stderr)
            .contains("\x1b[31merror: \x1b[0m")
    };
    assert!(!coloured(&[], false), "a pipe has none");
    assert!(coloured(&["--color", "always"], false));
    assert!(coloured(&["--color=always"], true), "an option is stronger than the environment");
    assert!(!coloured(&["--color", "never"], false));
    // Help and errors of the parser, too.
    assert!(text(&call(&["--color", "always", "--help"], false).stdout).contains('\x1b'));
    assert!(!text(&call(&["--help"], false).stdout).contains('\x1b'));
    assert!(text(&call(&["encode", "--no-such", "--color=always"], false).stderr).contains('\x1b'));
}

#[test]
fn the_version_names_what_is_built_in() {
    let short = format!("light-splade {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&["-V"]), short);
    let long = stdout(&["--version"]);
    assert!(long.starts_with(short.trim_end()), "{long}");
    assert!(long.contains("\nfeatures: hub, otel, push, serve, unidic-lite\n"), "{long}");
}

/// Each shell that is here reads its completions.
#[test]
fn shells_read_their_completions() {
    let dir = tempfile::tempdir().expect("a folder");
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "-n")] {
        let script = stdout(&["completions", shell]);
        assert!(script.contains("check-data") && script.contains("min-weight"), "{shell}");
        let path = dir.path().join(shell);
        std::fs::write(&path, script).expect("written");
        let Ok(read) = Command::new(shell).arg(check).arg(&path).output() else {
            println!("skipped: there is no {shell}");
            continue;
        };
        assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {}", text(&read.stderr));
    }
    assert!(stdout(&["completions", "powershell"]).contains("Register-ArgumentCompleter"));
    // What bash offers after a command, asked of bash itself.
    let asked = "source \"$0\"; COMP_WORDS=(light-splade index b); COMP_CWORD=2; \
                 $(complete -p light-splade | sed 's/.*-F \\([^ ]*\\) .*/\\1/') light-splade b index; echo \"${COMPREPLY[@]}\"";
    let path = dir.path().join("bash");
    let Ok(offered) = Command::new("bash").args(["-c", asked]).arg(&path).output() else { return };
    assert_eq!(text(&offered.stdout).trim(), "build", "{}", text(&offered.stderr));
}

/// There is a page for every command, which groff reads without a warning.
#[test]
fn the_manual_has_a_page_for_every_command() {
    let dir = tempfile::tempdir().expect("a folder");
    let man = dir.path().join("man1");
    let folder = man.to_str().expect("UTF-8");
    stdout(&["man", folder]);
    for name in
        ["light-splade", "light-splade-search", "light-splade-index-build", "light-splade-man"]
    {
        assert!(man.join(format!("{name}.1")).is_file(), "{name}");
    }
    let page = std::fs::read_to_string(man.join("light-splade-search.1")).expect("a page");
    // Rare options are described, too.
    assert!(page.contains("against its checksums"), "{page}");
    assert!(page.contains("min\\-score") && page.contains("Example"), "{page}");
    assert!(failure(&["man", folder], 1).contains("--force"));
    stdout(&["man", folder, "--force"]);
    for entry in std::fs::read_dir(&man).expect("listed") {
        let path = entry.expect("an entry").path();
        let read = Command::new("groff")
            .args(["-k", "-Kutf8", "-man", "-ww", "-z", "-Tutf8"])
            .arg(&path)
            .output();
        let Ok(read) = read else {
            println!("skipped: there is no groff");
            return;
        };
        assert!(read.status.success() && read.stderr.is_empty(), "{}", text(&read.stderr));
    }
}
