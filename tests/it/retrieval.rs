//! Tests of `index`, `search`, `evaluate` and `check-data` on the demo model and the toy corpus.
//! Their output is compared with the files of tests/cli, and their numbers with slow computations
//! here.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{MODEL, compare_with_files, failure, run, stdout};
use serde_json::Value;

const CORPUS: &str = "data/toy-beir/corpus.jsonl";
const QUERIES: &str = "data/toy-beir/queries.jsonl";
const PORTABLE: [&str; 2] = ["--kernels", "portable"];

/// Returns the standard error of a call that must succeed.
fn stderr(args: &[&str]) -> String {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    errors
}

/// A temporary folder whose paths are UTF-8.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().expect("a folder")).expect("created");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Builds an index of the toy corpus with exact weights.
    fn index(&self) -> String {
        let index = self.path("index");
        let build = ["index", "build", "-m", MODEL, "--weights", "f32", "--output", &index, CORPUS];
        stdout(&[&build[..], &PORTABLE].concat());
        index
    }
}

/// Parses the rows of NDJSON.
fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The hits of every query, as `search` prints them.
type Hits = Vec<(String, Vec<(String, f64)>)>;

fn hits(text: &str) -> Hits {
    let hit = |hit: &Value| {
        let id = hit["doc_id"].as_str().expect("an id").to_owned();
        (id, hit["score"].as_f64().expect("a score"))
    };
    let row = |row: &Value| {
        let results = row["results"].as_array().expect("results");
        (row["qid"].as_str().expect("an id").to_owned(), results.iter().map(hit).collect())
    };
    rows(text).iter().map(row).collect()
}

fn search(index: &str, more: &[&str]) -> Hits {
    let search = ["search", index, "--format", "ndjson"];
    hits(&stdout(&[&search[..], &PORTABLE, more].concat()))
}

/// Returns the vectors that `encode` prints, by id.
fn vectors(input: &str, side: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let encode = ["encode", "-m", MODEL, "--as", side, "--decimals", "9", input];
    let vector = |row: &Value| {
        let weights = row["vector"].as_object().expect("a vector").iter();
        let weights =
            weights.map(|(key, weight)| (key.clone(), weight.as_f64().expect("a weight")));
        (row["id"].as_str().expect("an id").to_owned(), weights.collect())
    };
    rows(&stdout(&[&encode[..], &PORTABLE].concat())).iter().map(vector).collect()
}

fn dot(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> f64 {
    a.iter().map(|(term, weight)| weight * b.get(term).unwrap_or(&0.0)).sum()
}

#[test]
fn finds_what_scoring_every_document_finds() {
    let dir = Dir::new();
    let index = dir.index();
    let (documents, queries) = (vectors(CORPUS, "document"), vectors(QUERIES, "query"));
    let found = search(&index, &["--queries", QUERIES, "-k", "7"]);
    assert_eq!(found.len(), queries.len());
    for (query, hits) in found {
        let scores = documents.values().map(|document| dot(&queries[&query], document));
        let mut best: Vec<f64> = scores.filter(|score| *score > 0.0).collect();
        best.sort_by(|a, b| b.total_cmp(a));
        best.truncate(7);
        assert_eq!(hits.len(), best.len(), "{query}");
        // The tolerance allows for nine decimals of weights below 10, and for sums of a few f32.
        let near = |a: f64, b: f64| (a - b).abs() < 1e-5;
        for ((id, score), want) in hits.iter().zip(best) {
            assert!(near(*score, want), "{query} {id}: {score}, expected {want}");
            assert!(near(*score, dot(&queries[&query], &documents[id])), "{query} {id}");
        }
    }
    // The scores of the terms add up to the scores of the hits.
    let explain = ["search", &index, "--explain", "-k", "3", "--queries", QUERIES];
    let text = stdout(&[&explain[..], &PORTABLE, &["--format", "ndjson"]].concat());
    let mut terms = 0;
    for row in rows(&text) {
        let query = &queries[row["qid"].as_str().expect("an id")];
        for hit in row["results"].as_array().expect("results") {
            let document = &documents[hit["doc_id"].as_str().expect("an id")];
            let mut total = 0.0;
            for term in hit["terms"].as_array().expect("terms") {
                let number = |key: &str| term[key].as_f64().expect("a number");
                let name = term["term"].as_str().expect("a token");
                assert!((number("query_weight") - query[name]).abs() < 1e-6);
                assert!((number("document_weight") - document[name]).abs() < 1e-6);
                total += number("score");
                terms += 1;
            }
            assert!((total - hit["score"].as_f64().expect("a score")).abs() < 1e-5);
        }
    }
    assert!(terms > 100, "{terms}");
}

#[test]
fn vectors_and_texts_make_the_same_index() {
    let dir = Dir::new();
    let want = search(&dir.index(), &["--queries", QUERIES]);
    let vectors = |name: &str, side: &str, more: &[&str]| {
        let file = dir.path(name);
        let input = if side == "query" { QUERIES } else { CORPUS };
        let encode = ["encode", "-m", MODEL, "--as", side, "-o", &file, "--decimals", "9", input];
        stdout(&[&encode[..], &PORTABLE, more].concat());
        file
    };
    let exact = vectors("d.parquet", "document", &[]);
    let queries = vectors("q.parquet", "query", &[]);
    let tokens = vectors("tokens.ndjson", "document", &[]);
    let ids = vectors("ids.ndjson", "document", &["--terms", "ids"]);
    let cases: [(&str, &[&str]); 3] = [(&exact, &[]), (&tokens, &["-m", MODEL]), (&ids, &[])];
    for (i, (file, more)) in cases.into_iter().enumerate() {
        let index = dir.path(&format!("index{i}"));
        let build = ["index", "build", "--weights", "f32", "--output", &index, "--vectors", file];
        stdout(&[&build[..], more].concat());
        let got = search(&index, &["--vectors", &queries]);
        assert_eq!(got.len(), want.len());
        for ((query, got), (_, want)) in got.iter().zip(&want) {
            assert_eq!(got.len(), want.len(), "{file} {query}");
            for ((_, got), (_, want)) in got.iter().zip(want) {
                assert!((got - want).abs() < 1e-5, "{file} {query}: {got}, expected {want}");
            }
        }
    }
    // NDJSON does not say how its texts were encoded, so the index does not know it either.
    let index = dir.path("index2");
    let error = failure(&["search", &index, "sea"], 1);
    assert!(error.contains("names no model\nhint: give --model"), "{error}");
    let error = failure(&["index", "add", &index, "-m", MODEL, CORPUS], 1);
    assert!(error.contains("does not say how texts are encoded"), "{error}");
    // Tokens that are not in the model's vocabulary are rejected.
    let build = ["index", "build", "-m", MODEL, "--output", &dir.path("x"), "--vectors"];
    let bad = dir.file("bad.ndjson", "{\"id\":1,\"vector\":{\"no token\":1}}\n");
    let error = failure(&[&build[..], &[&bad]].concat(), 1);
    assert!(error.contains("\"no token\" is no term"), "{error}");
    assert!(!Path::new(&dir.path("x")).exists(), "a folder is left");
}

#[test]
fn an_index_changes_document_by_document() {
    let dir = Dir::new();
    let all = search(&dir.index(), &["--queries", QUERIES, "-k", "200"]);
    let text = std::fs::read_to_string(CORPUS).expect("the corpus");
    let lines: Vec<&str> = text.lines().collect();
    let first = dir.file("first.jsonl", &lines[..90].join("\n"));
    // The second part repeats ten documents of the first part, one of them with another text.
    let mut second: Vec<String> = lines[80..].iter().map(|line| (*line).to_owned()).collect();
    second[0] = "{\"_id\":\"d81\",\"title\":\"\",\"text\":\"hotel\"}".to_owned();
    let second = dir.file("second.jsonl", &second.join("\n"));
    let index = dir.path("parts");
    let build = ["index", "build", "-m", MODEL, "--weights", "f32", "--output", &index, &first];
    stdout(&[&build[..], &PORTABLE].concat());
    let add = ["index", "add", &index, &second];
    let with_new = stderr(&[&add[..], &PORTABLE, &["--new-only"]].concat());
    assert!(with_new.contains("150 documents"), "{with_new}");
    let sorted = |hits: &Hits| {
        let mut hits = hits.clone();
        let by_id = |a: &(String, f64), b: &(String, f64)| a.0.cmp(&b.0);
        hits.iter_mut().for_each(|(_, hits)| hits.sort_by(by_id));
        hits
    };
    assert_eq!(sorted(&search(&index, &["--queries", QUERIES, "-k", "200"])), sorted(&all));
    // Without --new-only, the other text replaces the first one.
    stdout(&[&add[..], &PORTABLE].concat());
    let vector = |input: &str| vectors(input, "document")["d81"].clone();
    let (old, new) = (vector(CORPUS), vector(&second));
    assert_ne!(old, new);
    let queries = vectors(QUERIES, "query");
    for (query, hits) in search(&index, &["--queries", QUERIES, "-k", "200"]) {
        let got = hits.iter().find(|(id, _)| id == "d81").map_or(0.0, |(_, score)| *score);
        assert!((got - dot(&queries[&query], &new)).abs() < 1e-5, "{query}");
    }
    let ids = dir.file("ids.txt", "d2\n\nd3\r\nnone\n");
    let said = stderr(&["index", "delete", &index, "d1", "--ids", &ids]);
    assert!(said.contains("3 deleted, 1 were not there, 147 are left"), "{said}");
    for (_, hits) in search(&index, &["--queries", QUERIES, "-k", "200"]) {
        assert!(hits.iter().all(|(id, _)| !["d1", "d2", "d3"].contains(&id.as_str())));
    }
    stdout(&["index", "merge", &index]);
    assert!(stdout(&["index", "verify", &index]).starts_with("whole: "));
    let info: Value =
        serde_json::from_str(&stdout(&["index", "info", "--json", &index])).expect("JSON");
    assert_eq!(info["documents"], 147);
    assert_eq!(info["weights"], "f32");
    assert!(info["settings"]["model"].as_str().is_some_and(|model| model.ends_with("models/demo")));
    assert!(stdout(&["index", "info", &index]).contains("documents      147\n"));
    // The results respect a filter and a threshold.
    let only = dir.file("only.txt", "d5\nd7\nd1\n");
    let filtered = ["search", &index, "--queries", QUERIES, "--target-doc-ids", &only];
    let output = run(&[&filtered[..], &PORTABLE].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("1 of 3 ids of") && said.contains("are not in the index"), "{said}");
    let found = hits(&String::from_utf8(output.stdout).expect("UTF-8"));
    assert!(found.iter().any(|(_, hits)| !hits.is_empty()));
    assert!(found.iter().flat_map(|(_, hits)| hits).all(|(id, _)| id == "d5" || id == "d7"));
    let above = search(&index, &["--queries", QUERIES, "--min-score", "1"]);
    assert!(above.iter().any(|(_, hits)| !hits.is_empty()));
    assert!(above.iter().flat_map(|(_, hits)| hits).all(|(_, score)| *score >= 1.0));
}

/// Documents that were indexed before Ctrl-C are kept, and the others are added later.
#[cfg(unix)]
#[test]
fn an_interrupted_build_goes_on() {
    let dir = Dir::new();
    let row = |i| format!("{{\"id\":\"d{i}\",\"text\":\"朝の電車 {i} cheap travel\"}}\n");
    let corpus = dir.file("corpus.ndjson", &(0..20_000).map(row).collect::<String>());
    let index = dir.path("index");
    let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .args(["index", "build", "-m", MODEL, "--output", &index, "--input-format", "ndjson", "-"])
        .spawn()
        .expect("started");
    // However quick the machine is, the build cannot end before the signal: the last rows come slowly, for 18 s.
    let mut input = child.stdin.take().expect("a pipe");
    std::thread::spawn(move || {
        for i in 0..20_000 {
            if writeln!(input, "{}", row(i).trim_end()).is_err() {
                break;
            }
            if i >= 2_000 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    });
    while !Path::new(&index).exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    let output = child.wait_with_output().expect("ended");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains(&format!("light-splade index add {index} --new-only")));
    let info = || -> u64 {
        let text = stdout(&["index", "info", "--json", &index]);
        let info: Value = serde_json::from_str(&text).expect("JSON");
        info["documents"].as_u64().expect("a number")
    };
    let kept = info();
    assert!(kept < 20_000, "{kept}");
    stdout(&["index", "add", &index, "--new-only", &corpus]);
    assert_eq!(info(), 20_000);
}

/// Returns the run of BM25 in the TREC format, computed by the formula from the ids that `tokenize`
/// prints.
fn slow_bm25(k1: f64, b: f64) -> String {
    let tokens = |input: &str| -> Vec<(String, Vec<u64>)> {
        let text = stdout(&["tokenize", "--ids", "-m", MODEL, input]);
        let row = |row: &Value| {
            let ids = row["ids"].as_array().expect("ids").iter();
            let ids: Vec<u64> = ids.map(|id| id.as_u64().expect("an id")).collect();
            // The special tokens at both ends do not count.
            (row["id"].as_str().expect("an id").to_owned(), ids[1..ids.len() - 1].to_vec())
        };
        rows(&text).iter().map(row).collect()
    };
    let (documents, queries) = (tokens(CORPUS), tokens(QUERIES));
    let n = documents.len() as f64;
    let mean = documents.iter().map(|(_, ids)| ids.len() as f64).sum::<f64>() / n;
    let mut df: HashMap<u64, f64> = HashMap::new();
    for (_, ids) in &documents {
        let unique: std::collections::HashSet<_> = ids.iter().collect();
        unique.into_iter().for_each(|id| *df.entry(*id).or_default() += 1.0);
    }
    let mut run = String::new();
    for (query, query_ids) in &queries {
        for (document, ids) in &documents {
            let score: f64 = query_ids
                .iter()
                .map(|id| {
                    let tf = ids.iter().filter(|other| *other == id).count() as f64;
                    let df = df.get(id).copied().unwrap_or(0.0);
                    let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
                    let damping = k1 * (1.0 - b + b * ids.len() as f64 / mean);
                    if tf > 0.0 { idf * tf / (tf + damping) } else { 0.0 }
                })
                .sum();
            if score > 0.0 {
                run += &format!("{query} Q0 {document} 1 {score} slow\n");
            }
        }
    }
    run
}

fn means(json: &Value) -> Vec<f64> {
    let metrics = json["metrics"].as_object().expect("metrics");
    metrics.values().map(|mean| mean.as_f64().expect("a number")).collect()
}

fn close(a: &Value, b: &Value) -> bool {
    let (a, b) = (means(a), means(b));
    !a.is_empty() && a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9)
}

#[test]
fn a_model_is_evaluated_as_its_runs_are() {
    let dir = Dir::new();
    let evaluate = |more: &[&str]| -> Value {
        let args = ["evaluate", "data/toy-beir", "--split", "train", "--format", "json"];
        let metrics = ["--metrics", "nDCG@10,MRR@10,MAP,Recall@100"];
        let text = stdout(&[&args[..], &metrics, &PORTABLE, more].concat());
        serde_json::from_str(&text).expect("JSON")
    };
    let (run, index) = (dir.path("run.trec"), dir.path("index"));
    let whole = evaluate(&["-m", MODEL, "--bm25", "--output-run", &run, "--index", &index]);
    assert_eq!((&whole["documents"], &whole["queries"]), (&150.into(), &60.into()));
    assert_eq!(whole["settings"]["depth"], 1000);
    assert!(close(&whole, &evaluate(&["--run", &run])), "its own run");
    // The index of the evaluation gives the same run through `search`.
    let search = ["search", &index, "--queries", QUERIES, "-k", "1000", "--format", "trec"];
    let searched = dir.path("searched.trec");
    stdout(&[&search[..], &PORTABLE, &["--output", &searched]].concat());
    assert!(close(&whole, &evaluate(&["--run", &searched])), "the run of search");
    let again = evaluate(&["-m", MODEL, "--index", &index]);
    assert!(close(&whole, &again), "the index again");
    assert_eq!(again["statistics"], whole["statistics"]);
    assert_eq!(again["flops"], whole["flops"]);
    let terms: usize = vectors(CORPUS, "document").values().map(BTreeMap::len).sum();
    let avg_nnz = whole["statistics"]["documents"]["avg_nnz"].as_f64().expect("a number");
    assert!((avg_nnz - terms as f64 / 150.0).abs() < 1e-9, "{avg_nnz}");
    let slow = evaluate(&["--run", &dir.file("bm25.trec", &slow_bm25(0.9, 0.4))]);
    assert!(close(&whole["baseline"], &slow), "BM25: {} {slow}", whole["baseline"]);
    let other = evaluate(&["-m", MODEL, "--bm25", "--bm25-k1", "2", "--bm25-b", "1"]);
    let slow = evaluate(&["--run", &dir.file("other.trec", &slow_bm25(2.0, 1.0))]);
    assert!(close(&other["baseline"], &slow), "BM25: {} {slow}", other["baseline"]);
    assert!(!close(&other["baseline"], &whole["baseline"]));
    // A document of the data set is missing in the index.
    let few = dir.file("few.jsonl", "{\"_id\":\"d1\",\"text\":\"sea\"}");
    let part = dir.path("part");
    stdout(&["index", "build", "-m", MODEL, "--output", &part, &few]);
    let error = failure(&["evaluate", "-m", MODEL, "data/toy-beir", "--index", &part], 1);
    assert!(error.contains("document \"d2\" is not in the index"), "{error}");
}

/// The only answer to the query "1" is the document "1", which `--drop-same-id` drops.
#[test]
fn documents_with_the_id_of_the_query() {
    let dir = Dir::new();
    let rows = "{\"_id\":\"1\",\"text\":\"hotel\"}\n{\"_id\":\"2\",\"text\":\"train\"}\n";
    let corpus = dir.file("set/corpus.jsonl", rows);
    dir.file("set/queries.jsonl", rows);
    dir.file("set/qrels/test.tsv", "1\t1\t1\n");
    let set = Path::new(&corpus).parent().and_then(Path::to_str).expect("a folder");
    for (more, want) in [
        (&[][..], "query,Hit@1\n1,1\nall,1\n"),
        (&["--drop-same-id"][..], "query,Hit@1\n1,0\nall,0\n"),
    ] {
        let args = ["evaluate", "-m", MODEL, set, "--metrics", "Hit@1", "--format", "csv"];
        let output = run(&[&args[..], more].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains("warning: 2 queries with the id of a document: 1, 2"), "{errors}");
        assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), want);
    }
}

#[test]
fn prints_what_it_printed() {
    let dir = Dir::new();
    let index = dir.index();
    let search = [&["search", &index, "-k", "3"][..], &PORTABLE].concat();
    let queries = ["the morning train to the sea", "海が見える席"];
    let evaluate =
        [&["evaluate", "data/toy-beir", "--metrics", "nDCG@10,MRR@10"][..], &PORTABLE].concat();
    let a = dir.file("a.trec", "q61 Q0 d121 1 2 x\nq62 Q0 d1 1 2 x\nq62 Q0 d124 2 1 x\n");
    let b = dir.file("b.trec", "q61 Q0 d121 1 2 x\nq61 Q0 d122 2 1 x\nq62 Q0 d124 1 2 x\n");
    let broken = dir.file(
        "broken/corpus.jsonl",
        "{\"_id\":\"1\",\"text\":\"x\"}\n{\"_id\":\"1\",\"text\":\" \"}",
    );
    dir.file("broken/queries.jsonl", "{\"_id\":\"1\",\"text\":\"y\"}");
    dir.file("broken/qrels/test.tsv", "1\t2\t1\n7\t1\t0\n");
    let broken = Path::new(&broken).parent().and_then(Path::to_str).expect("a folder");
    let check = |more: &[&str]| {
        let output = run(&[&["check-data", broken][..], more].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let own = |text: String| text.replace(&dir.path(""), "");
    for (name, text) in [
        ("doc_master", "{\"doc_id\":1,\"text\":\"x\"}\n{\"doc_id\":2,\"text\":\"\"}\n"),
        ("query_master", "{\"qid\":1,\"text\":\"y\"}\n{\"qid\":7,\"text\":\"z\"}\n"),
        ("positive_lists", "{\"qid\":1,\"positive_doc_ids\":[1,3]}\n"),
    ] {
        dir.file(&format!("set/train/{name}.ndjson"), text);
        dir.file(&format!("set/validation/{name}.ndjson"), text);
    }
    let triplets = "{\"qid\":1,\"pos_doc_id\":\"1\",\"neg_doc_id\":2}\n\n{}\n";
    dir.file("set/train/triplets.ndjson", triplets);
    let set = dir.path("set");
    let check_training = |more: &[&str]| {
        let output = run(&[&["check-data", &set][..], more].concat());
        assert_eq!(output.status.code(), Some(1));
        own(String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let with = |args: &[&str], more: &[&str]| own(stdout(&[args, more].concat()));
    let compare = ["--compare", &a, &b];
    compare_with_files([
        ("search", with(&search, &[&queries[..], &["--format", "ndjson"]].concat())),
        ("search-table", with(&search, &[queries[0], "--format", "table"])),
        (
            "search-explain",
            with(&search, &[&queries[..], &["--format", "table", "--explain"]].concat()),
        ),
        ("search-trec", with(&search, &[&queries[..], &["--format", "trec"]].concat())),
        ("evaluate", with(&evaluate, &["-m", MODEL, "--bm25"])),
        ("evaluate-json", with(&evaluate, &["-m", MODEL, "--format", "json"])),
        ("evaluate-run", with(&evaluate, &["--run", &a])),
        ("evaluate-csv", with(&evaluate, &["--run", &a, "--format", "csv"])),
        ("compare", with(&evaluate, &compare)),
        ("compare-json", with(&evaluate, &[&compare[..], &["--format", "json"]].concat())),
        ("check-data", check(&[])),
        ("check-data-json", check(&["--json"])),
        ("check-data-sound", stdout(&["check-data", "data/toy-beir"])),
        ("check-data-training", check_training(&[])),
        ("check-data-training-json", check_training(&["--json"])),
        ("check-data-training-sound", stdout(&["check-data", "data/toy"])),
    ]);
    let page = with(&evaluate, &["--run", &a, "--format", "html"]);
    assert!(page.contains("<title>a on toy-beir</title>"), "{page}");
    let page = with(&evaluate, &[&compare[..], &["--format", "html"]].concat());
    assert!(page.contains("<title>b against a on toy-beir</title>"), "{page}");
    assert!(page.contains("changed most"), "{page}");
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let dir = Dir::new();
    let index = dir.index();
    let other = "crates/splade-model/tests/fixtures/reference/bert";
    let evaluate = ["evaluate", "-m", MODEL, "data/toy-beir"];
    let evaluate = |more: &[&str], code| failure(&[&evaluate[..], more].concat(), code);
    let search = |more: &[&str], code| failure(&[&["search", &index], more].concat(), code);
    let no_index = dir.path("");
    let cases = [
        (evaluate(&["--split", "dev"], 1), "the splits are: test, train"),
        (evaluate(&["--metrics", "f1@10"], 2), "unknown metric \"f1@10\""),
        (evaluate(&["--output", "no/such/file"], 1), "cannot write no/such/file"),
        (evaluate(&["--run", "no/such/run"], 1), "no/such/run"),
        (failure(&["evaluate", "-m", MODEL, "data"], 1), "this is no data set"),
        (search(&["-m", other, "sea"], 1), "but --model names the model"),
        (search(&["--recall", "0.2", "sea"], 2), "a share from .5 to 1"),
        (search(&["--explain", "--format", "trec", "sea"], 1), "has no place for --explain"),
        (search(&[], 2), "required"),
        (failure(&["search", &no_index, "sea"], 1), &no_index),
        (failure(&["index", "info", &no_index], 1), &no_index),
        (failure(&["index", "add", &no_index, CORPUS], 1), &no_index),
        (failure(&["index", "build", "-m", MODEL, "--output", &index, CORPUS], 1), &index),
        (failure(&["index", "delete", &index], 2), "<ID"),
        (failure(&["evaluate", "-m", MODEL, "data/toy"], 1), "name one of them"),
    ];
    for (got, want) in cases {
        assert!(got.contains(want), "{want:?} is not in {got}");
        assert!(!got.contains("panicked"), "{got}");
    }
    // The model of the index was moved.
    let model = dir.path("model");
    std::fs::create_dir(&model).expect("created");
    for entry in std::fs::read_dir(MODEL).expect("listed") {
        let from = entry.expect("a file").path();
        let to = Path::new(&model).join(from.file_name().expect("a name"));
        std::fs::copy(from, to).expect("copied");
    }
    let moved = dir.path("moved");
    stdout(&["index", "build", "-m", &model, "--output", &moved, CORPUS]);
    std::fs::remove_dir_all(&model).expect("removed");
    for call in [&["search", &moved, "sea"][..], &["index", "add", &moved, CORPUS]] {
        let error = failure(call, 1);
        assert!(error.contains("if it is elsewhere now, name it with --model"), "{error}");
        stdout(&[call, &["--model", MODEL]].concat());
    }
    // The index is unchanged.
    assert!(stdout(&["index", "info", &index]).contains("documents      150\n"));
}
