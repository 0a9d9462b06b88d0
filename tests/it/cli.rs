//! Compares the output of the program on the demo model and the toy corpus with the files of
//! tests/cli. `UPDATE_SNAPSHOTS=1 cargo test --test it` writes these files again.
//!
//! The numbers are those of the portable kernels, which are the same on every machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{MODEL, compare_with_files, failure, run, stdout};

#[test]
fn prints_what_it_printed() {
    let encode = ["encode", "--kernels", "portable", "--model", MODEL];
    let texts = ["-t", "朝の電車で東京へ", "-t", "cheap travel by train", "-t", ""];
    let corpus = "data/toy-beir/corpus.jsonl";
    let cases: Vec<(&str, Vec<&str>)> = vec![
        ("encode", [&encode[..], &texts].concat()),
        ("encode-ids", [&encode[..], &texts, &["--terms", "ids", "--decimals", "2"]].concat()),
        ("encode-top", [&encode[..], &["--top-k", "3", "--min-weight", "1", corpus]].concat()),
        (
            "encode-int8",
            [&encode[..], &texts, &["--precision", "int8", "--decimals", "2"]].concat(),
        ),
        ("tokenize", [&["tokenize", "--model", MODEL][..], &texts].concat()),
        (
            "tokenize-ids",
            [&["tokenize", "--ids", "-m", MODEL, "--max-length", "5"][..], &texts].concat(),
        ),
        (
            "explain",
            vec!["explain", "--kernels", "portable", "-m", MODEL, "-t", "朝の電車で東京へ"],
        ),
        ("inspect", vec!["inspect", MODEL]),
        (
            "inspect-inference-free",
            vec!["inspect", "crates/splade-model/tests/fixtures/reference/inference-free"],
        ),
        ("help", vec!["--help"]),
    ];
    let printed = cases.into_iter().map(|(name, args)| (name, stdout(&args)));
    compare_with_files(printed);
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let bad_utf8 = file("bad.txt", b"good\nb\xffd\n");
    let bad_json = file("bad.ndjson", b"{\"id\":1,\"text\":\"x\"}\nnothing\n");
    let out = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let encode = |more: &[&str]| failure(&[&["encode", "-m", MODEL][..], more].concat(), 1);
    let cases = [
        (encode(&["no/such/file"]), "cannot open no/such/file"),
        (encode(&[&bad_utf8]), "line 2: byte 2 of the line is not UTF-8"),
        (encode(&[&bad_json]), "line 2: not valid JSON"),
        (
            encode(&["-t", "a", "--output", &out("v.txt")]),
            "a file ends in .parquet, .ndjson or .jsonl",
        ),
        (encode(&["-t", "a", "--resume", "--output", &out("v.parquet")]), "--resume needs shards"),
        (encode(&["-t", "a", "--max-length", "1000"]), "the model takes 3 to 64"),
        (failure(&["encode", "-m", "./no-model", "-t", "a"], 1), "no-model"),
        (failure(&["encode", "-m", MODEL, "--kernels", "mmx"], 2), "this CPU supports"),
    ];
    for (got, want) in cases {
        assert!(got.contains(want), "{want:?} is not in {got}");
        assert!(!got.contains("panicked"), "{got}");
    }
    assert!(!Path::new(&out("v.parquet.partial")).exists());
}

fn corpus(dir: &Path, texts: usize) -> PathBuf {
    let path = dir.join("corpus.ndjson");
    let row = |i| format!("{{\"id\":\"d{i}\",\"text\":\"朝の電車 {i} cheap travel\"}}\n");
    std::fs::write(&path, (0..texts).map(row).collect::<String>()).expect("written");
    path
}

/// Returns all rows of a folder of NDJSON shards, in the order of its manifest.
fn rows(folder: &Path) -> String {
    let manifest = std::fs::read_to_string(folder.join("_manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["complete"], true);
    let shards = manifest["shards"].as_array().expect("shards").iter();
    let read = |shard: &serde_json::Value| {
        std::fs::read_to_string(folder.join(shard["file"].as_str().expect("a name")))
    };
    shards.map(|shard| read(shard).expect("a shard")).collect()
}

/// A run that is killed at many moments and resumed each time writes the same rows as an
/// uninterrupted one.
#[cfg(unix)]
#[test]
fn a_killed_run_resumes() {
    let dir = tempfile::tempdir().expect("a folder");
    let corpus = corpus(dir.path(), 3000);
    let folder = dir.path().join("vectors");
    let [corpus, folder_name] = [&corpus, &folder].map(|path| path.to_str().expect("UTF-8"));
    let args = ["encode", "-m", MODEL, "--format", "ndjson", "--shard-rows", "100", corpus];
    let whole = stdout(&["encode", "-m", MODEL, corpus]);
    assert_eq!(whole.lines().count(), 3000);
    let start = Instant::now();
    let mut kills = 0;
    for attempt in 0u64.. {
        let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
        command.args(["--output", folder_name, "--resume"]);
        let mut child = command.stderr(Stdio::null()).spawn().expect("started");
        // Some kills happen before the first shard and some within one. The last run is not killed.
        if attempt < 12 && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(40 + 17 * (attempt * attempt % 13)));
            kills += usize::from(child.try_wait().expect("asked").is_none());
            child.kill().expect("killed");
            child.wait().expect("ended");
        } else {
            assert!(child.wait().expect("ended").success());
            break;
        }
    }
    assert!(kills > 0, "no run lived long enough to be killed");
    assert_eq!(rows(&folder), whole);
    let again = run(&[&args[..], &["--output", folder_name, "--resume"]].concat());
    assert!(String::from_utf8_lossy(&again.stderr).contains("all vectors are there already"));
    let other =
        failure(&[&args[..], &["--output", folder_name, "--resume", "--top-k", "3"]].concat(), 1);
    assert!(other.contains("begun with other settings: \"top_k\" was null, now 3"), "{other}");
}

/// After Ctrl-C the encoded rows are kept, and a changed input is detected.
#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_its_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let corpus = corpus(dir.path(), 40_000);
    let folder = dir.path().join("vectors");
    let [corpus_name, folder_name] = [&corpus, &folder].map(|path| path.to_str().expect("UTF-8"));
    let args = ["encode", "-m", MODEL, "--output", folder_name, corpus_name];
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args).stderr(Stdio::piped());
    let child = command.spawn().expect("started");
    // The shard that is written has a temporary name, which nobody can guess.
    let is_begun = || {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.any(|name| name.starts_with("vectors-00000.parquet."))
    };
    while !is_begun() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    let output = child.wait_with_output().expect("ended");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("; go on with --resume"), "{errors}");
    let text = std::fs::read_to_string(&corpus).expect("read");
    std::fs::write(&corpus, text.replace("\"d", "\"e")).expect("written");
    let error = failure(&[&args[..], &["--resume"]].concat(), 1);
    assert!(error.contains("the input has changed"), "{error}");
}

/// The shards of a corpus together hold its vectors, and a folder of shards is read only if all of
/// them exist.
#[test]
fn shards_are_the_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (texts, whole, parts) =
        ("crates/splade-sparse/tests/fixtures/texts_snappy.parquet", path("w"), path("p"));
    let encode = |more: &[&str]| {
        stdout(&[&["encode", "--kernels", "portable", "--model", MODEL, texts], more].concat())
    };
    encode(&["--output", &whole]);
    let read = |paths: &[PathBuf]| -> std::collections::BTreeMap<String, String> {
        let rows = splade_sparse::files::VectorReader::open(paths, &|_| None).expect("opened");
        let rows = rows.map(|row| row.expect("a row"));
        rows.map(|row| (row.id, format!("{:?}", row.vector))).collect()
    };
    let whole = read(&[PathBuf::from(&whole)]);
    assert_eq!(whole.len(), 2500);
    for shard in ["3/3", "1/3"] {
        encode(&["--output", &parts, "--shard", shard]);
    }
    let missing = ["index", "build", "--output", &path("i"), "--vectors", &parts];
    assert!(failure(&missing, 1).contains("--shard 2/3"), "a shard is missing");
    // Other numbers of threads give the same bytes, and a file of the user stays.
    let second = Path::new(&parts).join("vectors-00002-of-00003.parquet");
    let bytes = std::fs::read(&second).expect("a shard");
    let partial = second.with_extension("parquet.partial");
    std::fs::rename(&second, &partial).expect("renamed");
    encode(&["--output", &parts, "--shard", "3/3", "--threads", "1"]);
    assert_eq!(std::fs::read(&second).expect("a shard"), bytes);
    encode(&["--output", &parts, "--shard", "2/3"]);
    assert_eq!(read(&[PathBuf::from(&parts)]), whole);

    let again = ["encode", "--kernels", "portable", "--model", MODEL, texts, "--output", &parts];
    let again = [&again[..], &["--shard", "3/3"]].concat();
    let said = run(&again).stderr;
    assert!(String::from_utf8_lossy(&said).contains("the shard is there already"));
    let other = [&again[..], &["--top-k", "2"]].concat();
    assert!(failure(&other, 1).contains("\"top_k\" was null, now 2"));
    assert_eq!(std::fs::read(&partial).expect("a file"), bytes);
    std::fs::remove_file(&partial).expect("removed");
    std::fs::remove_file(&second).expect("removed");
    let lock = splade_io::OutputLock::beside(&second).expect("locked");
    assert!(failure(&again, 1).contains("another process is writing to it (process "));
    drop(lock);
    failure(&["encode", "--model", MODEL, texts, "--shard", "1/2", "--output", "x.ndjson"], 1);
    // Shards were counted from 0 in earlier versions: no number may mean two parts.
    let counted = failure(&["encode", "--model", MODEL, texts, "--shard", "0/2"], 2);
    assert!(counted.contains("the shards of 2 are 1/2 to 2/2, counted from 1"), "{counted}");
    failure(&["encode", "--model", MODEL, texts, "--shard", "3/2"], 2);
}

/// The factors of a corpus multiply the weights of its documents, are recorded with the vectors, and what was made
/// without them does not mix with them.
#[test]
fn rare_terms_weigh_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let corpus = "data/toy-beir/corpus.jsonl";
    let encode = |out: &str, more: &[&str]| {
        let call = ["encode", "--model", MODEL, "--decimals", "9", corpus, "--output", out];
        stdout(&[&call[..], more].concat());
    };
    let (plain, table, weighted) =
        (path("plain.ndjson"), path("idf.json"), path("weighted.ndjson"));
    encode(&plain, &[]);
    stdout(&["vocab", "idf", &plain, "--model", MODEL, "--output", &table]);
    assert!(
        failure(&["vocab", "idf", &plain, "--output", &path("x.json")], 1)
            .contains("do not name their model")
    );
    encode(&weighted, &["--idf", &table]);
    let rows = |path: &str| -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).expect("a file");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let (plain, weighted) = (rows(&plain), rows(&weighted));
    let frequency =
        |term: &str| plain.iter().filter(|row| row["vector"][term].is_number()).count() as f64;
    let count = plain.len() as f64;
    for (row, weighted) in plain.iter().zip(&weighted) {
        let (row, weighted) = (row["vector"].as_object().expect("a vector"), &weighted["vector"]);
        for (term, weight) in row {
            let df = frequency(term);
            let factor = (1.0 + (count - df + 0.5) / (df + 0.5)).ln();
            let (want, got) = (
                factor * weight.as_f64().expect("a number"),
                weighted[term].as_f64().unwrap_or(0.0),
            );
            // The weights have nine decimals and the factors 24 bits.
            assert!((got - want).abs() < 1e-5, "{term}: {got}, not {want}");
        }
    }
    let folder = path("shards");
    encode(&folder, &["--idf", &table, "--max-ratio", "0.2"]);
    let manifest =
        std::fs::read_to_string(Path::new(&folder).join("_manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    assert!(manifest["settings"]["idf"].as_str().is_some_and(|hash| hash.starts_with("xxh3:")));
    assert!((manifest["settings"]["max_ratio"].as_f64().expect("a share") - 0.2).abs() < 1e-6);
    let other =
        ["encode", "--model", MODEL, "--decimals", "9", corpus, "--output", &folder, "--resume"];
    assert!(failure(&[&other[..], &["--max-ratio", "0.2"]].concat(), 1).contains("\"idf\" was"));
    let index = path("index");
    stdout(&["index", "build", "--vectors", &folder, "--output", &index]);
    let refused = failure(&["index", "add", "--index", &index, corpus, "--model", MODEL], 1);
    assert!(refused.contains("idf factors xxh3:"), "{refused}");
    let query =
        failure(&["encode", "--model", MODEL, "-t", "x", "--as", "query", "--idf", &table], 1);
    assert!(query.contains("--idf is for documents"), "{query}");
    let share = failure(&["encode", "--model", MODEL, "-t", "x", "--alpha-mass", "1"], 1);
    assert!(share.contains("alpha_mass is 1") && share.contains("hint: "), "{share}");
}
