//! Inputs as others write them: the form of a file is seen, what is not read is refused by name, and
//! what is odd about ids and texts is told.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{MODEL, failure, run};

const BIN: &str = env!("CARGO_BIN_EXE_light-splade");
const ROWS: &str = "{\"id\":\"d1\",\"text\":\"東京\"}\n{\"id\":\"d2\",\"text\":\"train\"}\n";

fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(&path, bytes).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// The ids that `tokenize` prints, and what it says.
fn tokenized(args: &[&str], stdin: Option<&[u8]>) -> (Vec<String>, String) {
    let mut child = Command::new(BIN)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([&["tokenize", "--ids", "-m", MODEL][..], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(stdin.unwrap_or_default()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("ended");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{args:?}: {said}");
    let id = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row");
        row["id"].as_str().expect("an id").to_owned()
    };
    let rows = String::from_utf8(output.stdout).expect("UTF-8");
    (rows.lines().map(id).collect(), said)
}

#[test]
fn every_form_is_read_from_files_and_standard_input() {
    let dir = tempfile::tempdir().expect("a folder");
    let array = "[{\"id\":\"d1\",\"text\":\"東京\"},\n {\"id\":\"d2\",\"text\":\"train\"}]";
    let csv = "\u{feff}id,text\r\nd1,\"東,\r\n京\"\r\nd2,train\r\n";
    let zst = zstd::encode_all(ROWS.as_bytes(), 1).expect("packed");
    let parquet = "crates/splade-sparse/tests/fixtures/texts_types.parquet";
    let parquet = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(parquet)).expect("read");
    let cases: [(&str, &[u8], &[&str]); 8] = [
        ("a.jsonl", ROWS.as_bytes(), &[]),
        ("a.json", ROWS.as_bytes(), &[]),
        ("b.json", array.as_bytes(), &[]),
        ("a.csv", csv.as_bytes(), &[]),
        ("a.tsv", b"d1\tx\nd2\ty\n", &["--input-format", "tsv"]),
        ("a.jsonl.zst", &zst, &[]),
        ("no-extension", ROWS.as_bytes(), &[]),
        ("a.parquet", &parquet, &["--id-field", "large_string"]),
    ];
    for (name, bytes, more) in cases {
        let path = write(dir.path(), name, bytes);
        let want = if name == "a.parquet" { ["1", "b"] } else { ["d1", "d2"] };
        let (ids, said) = tokenized(&[&[&*path][..], more].concat(), None);
        assert_eq!(ids, want, "{name}: {said}");
        let columns = "read as CSV: ids from column \"id\", texts from column \"text\"\n";
        match name {
            "a.csv" => assert!(said.ends_with(columns), "{said}"),
            name => assert_eq!(said, "", "{name}"),
        }
        let (ids, said) = tokenized(more, Some(bytes));
        assert_eq!(ids, want, "{name} from standard input: {said}");
    }
    let path = write(dir.path(), "a.txt", ROWS);
    let (ids, said) = tokenized(&[&path], None);
    assert_eq!(ids, ["d1", "d2"]);
    assert!(said.contains("a.txt: read as NDJSON, because it looks like NDJSON"), "{said}");
    let (ids, _) = tokenized(&["--input-format", "text", &path], None);
    assert_eq!(ids, ["0", "1"]);
    let (ids, _) = tokenized(&["--input-format", "ndjson", &path], None);
    assert_eq!(ids, ["d1", "d2"]);
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let utf_16: Vec<u8> =
        "\u{feff}hello".encode_utf16().flat_map(|unit| unit.to_le_bytes()).collect();
    let cases: [(&str, &[u8], &str); 8] = [
        ("corpus.zip", b"PK\x03\x04", "corpus.zip: this is a ZIP archive"),
        (
            "corpus.pkl",
            b"\x80\x04\x95",
            "this is a Python pickle, which is not read\nhint: write it as",
        ),
        (
            "corpus.txt",
            &utf_16,
            "this is text in UTF-16, which is not read\nhint: convert it with: iconv",
        ),
        ("corpus.jsonl", b"<!doctype html>", "this is an HTML page"),
        ("corpus.csv", b"d1,cats\n", "no field named \"text\"; the fields are: d1, cats"),
        ("corpus.parquet", b"hello", "the name says Parquet, but"),
        (
            "big-id.jsonl",
            b"{\"id\":18446744073709551616,\"text\":\"\"}",
            "line 1: field \"id\" is a number with a point or of more than 64 bits",
        ),
        (
            "twice.jsonl",
            b"{\"id\":1,\"text\":\"\",\"id\":2}",
            "line 1: field \"id\" is there twice",
        ),
    ];
    for (name, bytes, want) in cases {
        let path = write(dir.path(), name, bytes);
        let error = failure(&["tokenize", "-m", MODEL, &path], 1);
        assert!(error.contains(want), "{error}");
    }
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b'x'), 1 << 27), 1);
    let path = write(dir.path(), "bomb.zst", bomb.expect("packed"));
    let error = failure(&["tokenize", "-m", MODEL, &path], 1);
    assert!(error.contains("bomb.zst, line 1: the line has more than 64 MiB"), "{error}");
}

#[test]
fn terms_that_are_there_twice_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let vectors =
        write(dir.path(), "v.ndjson", "{\"id\":1,\"vector\":{\"7\":1,\"9\":2,\"7\":3}}\n");
    let out = dir.path().join("index");
    let out = out.to_str().expect("UTF-8");
    let error = failure(&["index", "build", "--vectors", &vectors, "--output", out], 1);
    assert!(error.contains("v.ndjson, line 1: the term \"7\" is there twice"), "{error}");
}

#[test]
fn repeated_ids_of_vectors_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let row = |id: &str| format!("{{\"id\":\"{id}\",\"vector\":{{\"7\":1}}}}\n");
    let a = write(dir.path(), "a.ndjson", row("d1") + &row("d 2"));
    let b = write(dir.path(), "b.ndjson", row("d1"));
    let out = dir.path().join("index");
    let out = out.to_str().expect("UTF-8");
    let built = run(&["index", "build", "--output", out, "--vectors", &a, "--vectors", &b]);
    let said = String::from_utf8(built.stderr).expect("UTF-8");
    let want = "warning: 1 vector has the id of an earlier vector, the first is \"d1\"";
    assert!(said.contains(want) && said.contains("2 documents"), "{said}");

    // A TREC run cannot hold one of the ids, which shows before a query is answered.
    let queries = write(dir.path(), "q.ndjson", row("q1"));
    let search = ["search", out, "--vectors", &queries, "--format", "trec", "-k", "1"];
    let error = failure(&search, 1);
    assert!(error.contains("the document id \"d 2\" is empty or has a blank"), "{error}");
}

#[test]
fn repeated_ids_and_halves_of_characters_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "{\"_id\":\"d1\",\"text\":\"x \\ud83d\"}\n{\"_id\":\"d1\",\"text\":\"y\"}\n";
    let corpus = write(dir.path(), "set/corpus.jsonl", text);
    let (ids, said) = tokenized(&[&corpus], None);
    assert_eq!(ids, ["d1", "d1"]);
    for want in [
        "warning: 1 text has the id of an earlier text, the first is \"d1\"",
        "warning: read 1 halved surrogate pair as U+FFFD, in 1 text",
    ] {
        assert!(said.contains(want), "{said}");
    }
    write(dir.path(), "set/queries.jsonl", "{\"_id\":\"q1\",\"text\":\"x\"}\n");
    write(dir.path(), "set/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n");
    let set = dir.path().join("set");
    let output = run(&["check-data", set.to_str().expect("UTF-8")]);
    let report = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(report.contains("1 text with half of a surrogate pair, which is read"), "{report}");
}

/// Control characters of ids reach neither a terminal nor a log.
#[test]
fn ids_are_shown_without_control_characters() {
    let dir = tempfile::tempdir().expect("a folder");
    let id = "a\\u001b[2Jb\\nerror: x";
    let row = format!("{{\"id\":\"{id}\",\"text\":\"東京\"}}\n");
    let texts = write(dir.path(), "a.jsonl", format!("{row}{row}"));
    let index = dir.path().join("index");
    let index = index.to_str().expect("UTF-8");
    let built = run(&["index", "build", "-m", MODEL, "--output", index, &texts]);
    let said = String::from_utf8(built.stderr).expect("UTF-8");
    assert!(built.status.success() && !said.contains('\u{1b}'), "{said}");
    let table = run(&["search", index, "--format", "table", "東京"]);
    let table = String::from_utf8(table.stdout).expect("UTF-8");
    assert!(table.contains("a\\u{1b}[2Jb\\nerror: x\n"), "{table}");
    let rows = run(&["search", index, "--format", "ndjson", "東京"]);
    let rows = String::from_utf8(rows.stdout).expect("UTF-8");
    assert!(rows.contains(id), "{rows}");
}

/// A pipe without a writer is waited for, and the wait ends with Ctrl-C or SIGTERM.
#[cfg(unix)]
#[test]
fn waiting_for_a_pipe_can_be_stopped() {
    let dir = tempfile::tempdir().expect("a folder");
    let pipe: PathBuf = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let mut child = Command::new(BIN)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["encode", "-m", MODEL])
        .arg(&pipe)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool runs");
    // The program opens the pipe when it listens for signals already: opening it for writing waits
    // for that.
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe).expect("opened");
    writer.write_all(b"one line\n").expect("written");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = child.try_wait().expect("waited for") {
            break status;
        }
        assert!(std::time::Instant::now() < until, "SIGTERM is unheard");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(130));
    drop(writer);
}
