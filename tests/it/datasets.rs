//! Tests of data sets by name, which a hub on a local port serves from the fixtures of splade-data.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use crate::common::MODEL;
use crate::fake_hub::git_hash;

const FIXTURES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/crates/splade-data/tests/fixtures/published");

/// The commit of every repository.
const COMMIT: &str = "00000000000000000000000000000000000000aa";

/// A hub with several data sets. Each repository is a folder; a set with a loading script has its
/// Parquet files in the revision to which the hub converts it.
#[derive(Clone)]
struct SetHub {
    endpoint: String,
    /// Repositories with the revision that has the files.
    sets: Arc<Vec<(&'static str, &'static str, PathBuf)>>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl SetHub {
    fn start(sets: &[(&'static str, &'static str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let folder = |(id, revision, folder): &(&'static str, &'static str, &str)| {
            (*id, *revision, Path::new(FIXTURES).join(folder))
        };
        let this = Self {
            endpoint: format!("http://{}", listener.local_addr().expect("an address")),
            sets: Arc::new(sets.iter().map(folder).collect()),
            paths: Arc::default(),
        };
        let hub = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hub = hub.clone();
                std::thread::spawn(move || hub.answer(&stream));
            }
        });
        this
    }

    fn answer(&self, stream: &TcpStream) {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let Some(line) = lines.next() else { return };
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        let path = path.replace("%2F", "/");
        self.paths.lock().expect("no panic").push(path.clone());
        let (status, headers, body) = match self.find(&path) {
            Some((headers, body)) => (200, headers, body),
            None => (404, "x-error-code: RepoNotFound\r\n".to_owned(), Vec::new()),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        let mut stream = stream;
        let _ = stream.write_all(head.as_bytes());
        if method != "HEAD" {
            let _ = stream.write_all(&body);
        }
    }

    fn find(&self, path: &str) -> Option<(String, Vec<u8>)> {
        for (id, revision, folder) in self.sets.iter() {
            if let Some(asked) = path.strip_prefix(&format!("/api/datasets/{id}/revision/")) {
                let files = match [*revision, COMMIT].contains(&asked) {
                    true => files(folder),
                    // A loading script and nothing else.
                    false if asked == "main" => vec!["set.py".to_owned()],
                    false => return None,
                };
                let siblings: Vec<_> =
                    files.iter().map(|name| serde_json::json!({"rfilename": name})).collect();
                let list = serde_json::json!({"id": id, "sha": COMMIT, "siblings": siblings});
                return Some((String::new(), list.to_string().into_bytes()));
            }
            let resolved = path.strip_prefix(&format!("/datasets/{id}/resolve/{COMMIT}/"));
            if let Some(file) = resolved {
                let content = std::fs::read(folder.join(file)).ok()?;
                let etag = git_hash(&content);
                return Some((format!("x-repo-commit: {COMMIT}\r\netag: \"{etag}\"\r\n"), content));
            }
        }
        None
    }

    fn paths(&self) -> Vec<String> {
        std::mem::take(&mut *self.paths.lock().expect("no panic"))
    }
}

/// The paths of the files of a folder, with slashes.
fn files(folder: &Path) -> Vec<String> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let path = path.strip_prefix(folder).expect("inside").to_str().expect("UTF-8");
                    files.push(path.replace('\\', "/"));
                }
            }
        }
    }
    files
}

fn run(hub: &SetHub, home: &Path, args: &[&str], offline: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.args(args).env_clear().current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("HF_HOME", home).env("HF_ENDPOINT", &hub.endpoint);
    if offline {
        command.env("HF_HUB_OFFLINE", "1");
    }
    command.output().expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

const SETS: &[(&str, &str, &str)] = &[
    ("BeIR/scifact", "main", "beir/0"),
    ("BeIR/scifact-qrels", "main", "beir/1"),
    ("BeIR/msmarco-qrels", "main", "mmarco/1"),
    ("unicamp-dl/mmarco", "main", "mmarco/0"),
    ("mteb/scifact", "main", "mteb/0"),
    ("mteb/MIRACLRetrieval", "main", "mteb-subset/0"),
    ("miracl/mmteb-miracl", "refs/convert/parquet", "converted/0"),
    ("miracl/miracl", "main", "miracl/0"),
    ("miracl/miracl-corpus", "main", "miracl/1"),
    ("zeta-alpha-ai/NanoSciFact", "main", "nano/0"),
    ("sentence-transformers/NanoBEIR-en", "main", "nano-splits/0"),
    ("sbintuitions/JMTEB", "main", "jmteb/0"),
    ("SkelterLabsInc/JaQuAD", "main", "squad/0"),
];

/// Every name leads to the same small set, which is fetched once.
#[test]
fn data_sets_have_names() {
    let (hub, home) = (SetHub::start(SETS), tempfile::tempdir().expect("a folder"));
    let names = [
        "scifact",
        "jaquad",
        "mteb/scifact",
        "mteb/MIRACLRetrieval:ja",
        "miracl/mmteb-miracl:ja",
        "miracl/ja",
        "mmarco/japanese",
        "nanobeir/SciFact",
        "sentence-transformers/NanoBEIR-en:NanoA",
        "jmteb/jaqket",
    ];
    let evaluate = |offline| {
        let args = [&["evaluate", "-m", MODEL, "--metrics", "Recall@3", "--data"][..], &names];
        let output =
            run(&hub, home.path(), &[args.concat(), vec!["--format", "json"]].concat(), offline);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let board = evaluate(false);
    let rows = board["results"].as_array().expect("rows");
    assert_eq!(rows.len(), names.len());
    for (row, name) in rows.iter().zip(names) {
        assert_eq!(row["data"], name);
        let queries = if name.contains("anoA") || name.starts_with("nano") { 3 } else { 2 };
        assert_eq!(row["queries"], queries, "{name}");
    }
    assert!(hub.paths().iter().any(|path| path.ends_with("/corpus-00001-of-00002.parquet")));
    assert_eq!(evaluate(true), board, "the cache has all of them");
    assert_eq!(evaluate(false), board);
    assert_eq!(hub.paths(), [] as [String; 0]);

    let converted = home.path().join("converted");
    let out = converted.to_str().expect("UTF-8");
    let output =
        run(&hub, home.path(), &["convert", "beir", "beir/scifact", "--output", out], false);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(converted.join("validation/query_master.ndjson").is_file());
    let checked = run(&hub, home.path(), &["check-data", "mteb/scifact"], false);
    assert!(text(&checked.stdout).contains("documents"), "{}", text(&checked.stderr));
}

#[test]
fn names_that_lead_nowhere_say_what_there_is() {
    let (hub, home) = (SetHub::start(SETS), tempfile::tempdir().expect("a folder"));
    let said = |data: &str| {
        let args = ["evaluate", "-m", MODEL, "--data", data];
        let output = run(&hub, home.path(), &args, false);
        assert_eq!(output.status.code(), Some(1), "{data}");
        text(&output.stderr).to_owned()
    };
    assert!(said("nowhere").contains("no folder is called nowhere"));
    assert!(said("org/nothing").contains("org/nothing"));
    let subset = said("mteb/MIRACLRetrieval");
    assert!(subset.contains("it has several subsets: ja, sw\nhint: name one of them"), "{subset}");
    let offline = run(&hub, home.path(), &["evaluate", "scifact"], true);
    let offline = text(&offline.stderr);
    assert!(offline.contains("not in the cache\nhint: unset HF_HUB_OFFLINE"), "{offline}");
}

/// One table, in every form that has room for several sets.
#[test]
fn several_sets_are_one_table() {
    let data = ["data/toy/validation", "data/toy-beir"];
    let evaluate = |more: &[&str]| {
        let args = ["evaluate", "-m", MODEL, "--metrics", "MRR@10", data[0], data[1]];
        crate::common::run(&[&args[..], more].concat())
    };
    let markdown = evaluate(&["--bm25", "--format", "markdown"]);
    let markdown = text(&markdown.stdout);
    assert_eq!(markdown.lines().count(), 2 + 4 + 2, "{markdown}");
    assert!(markdown.contains("| data/toy-beir | BM25 | 12 |"), "{markdown}");
    assert!(markdown.contains("| mean | models/demo |  |"), "{markdown}");
    let latex = evaluate(&["--format", "latex"]);
    assert!(text(&latex.stdout).starts_with("\\begin{tabular}{llrr}"));
    let json = serde_json::from_slice::<serde_json::Value>(&evaluate(&["--format", "json"]).stdout);
    let json = json.expect("JSON");
    let alone = crate::common::stdout(&[
        "evaluate",
        "-m",
        MODEL,
        "--metrics",
        "MRR@10",
        data[1],
        "--format",
        "json",
    ]);
    let alone: serde_json::Value = serde_json::from_str(&alone).expect("JSON");
    assert_eq!(json["results"][1]["metrics"]["MRR@10"], alone["metrics"]["MRR@10"]);
    for refused in [&["--format", "csv"][..], &["--output-run", "x.txt"], &["--index", "x"]] {
        let output = evaluate(refused);
        assert_eq!(output.status.code(), Some(1), "{refused:?}");
        assert!(text(&output.stderr).contains("is of one data set, and there are 2"));
    }
}
