//! Tests of `light-splade export` on the toy corpus: the files of every target, runs that are
//! killed, and documents that are sent to a server with faults (`engine`).

#[cfg(feature = "hub")]
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{MODEL, failure, run, stdout};
use crate::engine::{Engine, Server, Trouble};
use serde_json::{Value, json};

/// Encodes the toy corpus and its queries into files of a folder.
fn vectors(dir: &Path) -> (String, String) {
    let path = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
    let (documents, queries) = (path("docs.parquet"), path("queries.parquet"));
    let encode = |input: &str, side: &str, output: &str| {
        stdout(&["encode", "-m", MODEL, "--as", side, input, "-o", output]);
    };
    encode("data/toy-beir/corpus.jsonl", "document", &documents);
    encode("data/toy-beir/queries.jsonl", "query", &queries);
    (documents, queries)
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| {
            let name = path.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
            (name, std::fs::read(&path).expect("read"))
        })
        .collect()
}

#[test]
fn every_target_writes_its_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let (documents, queries) = vectors(dir.path());
    let mapping = ["_manifest.json", "documents-00000.ndjson", "mapping.json", "queries.ndjson"];
    let collection =
        ["_manifest.json", "collection.json", "documents-00000.json", "queries.ndjson"];
    let seismic = ["opensearch", "--type", "sparse-vector"];
    let targets: Vec<(&[&str], &[&str])> = vec![
        (&["lucene"], &["_manifest.json", "documents-00000.jsonl", "topics.tsv"]),
        (&["elasticsearch"], &mapping),
        (&["elasticsearch", "--type", "rank-features"], &mapping),
        (&["opensearch"], &mapping),
        (&seismic, &mapping),
        (&["qdrant"], &collection),
        (&["milvus"], &collection),
        (&["vespa"], &["_manifest.json", "documents-00000.jsonl", "queries.ndjson", "schema.sd"]),
        (&["ciff"], &["_manifest.json", "index.ciff", "queries.pisa"]),
        (&["ciff", "--fit", "255"], &["_manifest.json", "index.ciff", "queries.pisa"]),
        (
            &["pgvector"],
            &[
                "_manifest.json",
                "documents-00000.tsv",
                "index.sql",
                "load.sql",
                "queries.sql",
                "schema.sql",
            ],
        ),
        (&["seismic"], &["_manifest.json", "documents-00000.jsonl", "queries.jsonl"]),
        (&["parquet"], &["_manifest.json", "queries.parquet", "vectors-00000.parquet"]),
        (&["csr"], &["_manifest.json", "documents-00000.npz", "queries.npz"]),
        (
            &["csr", "--format", "safetensors"],
            &["_manifest.json", "documents-00000.safetensors", "queries.safetensors"],
        ),
    ];
    for (number, (target, want)) in targets.into_iter().enumerate() {
        let out = dir.path().join(number.to_string());
        let out_text = out.to_str().expect("UTF-8");
        let common = [&*documents, "--queries", &queries, "-m", MODEL, "--output", out_text];
        let call = [&["export"][..], target, &common].concat();
        let output = run(&call);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(output.status.success(), "{target:?}: {said}");
        let got = files(&out);
        assert_eq!(got.keys().collect::<Vec<_>>(), want, "{target:?}");
        assert!(said.contains("wrote 150 documents to"), "{target:?}: {said}");
        let exact = said.contains("weights are kept as they are");
        let measured = said.contains("of the 10 best of 150 documents for 47 queries");
        assert!(exact != measured, "{target:?}: {said}");
        let again = failure(&call, 1);
        assert!(again.contains("continue them with --resume"), "{target:?}: {again}");
        let output = run(&[&call[..], &["--resume"]].concat());
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(said.contains("everything is there already"), "{target:?}: {said}");
        assert_eq!(files(&out), got, "{target:?}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let ids = file("ids.ndjson", "{\"id\":\"a\",\"vector\":{\"1\":1.5}}\n");
    let twice = file("twice.ndjson", &"{\"id\":\"a\",\"vector\":{\"1\":1.5}}\n".repeat(2));
    let words = file("words.ndjson", "{\"id\":\"a\",\"vector\":{\"tokyo\":1.5}}\n");
    let blank = file("blank.ndjson", "{\"id\":\"a b\",\"vector\":{\"1\":1.5}}\n");
    let tokens = file("tokens.txt", "x\ntokyo\nx\n");
    let few = file("few.txt", "x\n");
    let most = "9223372036854775807";
    let cases: Vec<(Vec<&str>, &str, &str)> = vec![
        (vec!["lucene"], "no/such.parquet", "cannot open no/such.parquet"),
        (vec!["lucene"], &twice, "\"a\" is there twice"),
        (vec!["lucene"], &words, "give --model or --tokens"),
        (vec!["lucene"], &blank, "document \"a b\": its id is empty or has white space"),
        (vec!["lucene", "--tokens", &tokens], &words, "terms 0 and 2 are both called \"x\""),
        (vec!["lucene", "--tokens", &few], &words, "\"tokyo\" is no term"),
        (vec!["pgvector"], &ids, "give --model, --tokens or --dimensions"),
        (vec!["pgvector", "--dimensions", "1"], &ids, "the term 1, but the column 1 dimensions"),
        (vec!["pgvector", "--field", "id"], &ids, "--field id is the name of another field"),
        (vec!["milvus", "--field", "pk"], &ids, "--field pk is the name of another field"),
        (vec!["vespa", "--field", "docid"], &ids, "--field docid is the name of another field"),
        (vec!["milvus", "--no-id-check", "--first-id", most], &twice, "its number is above"),
        (vec!["opensearch", "--ceiling", "3"], &ids, "for --type sparse-vector"),
        (vec!["opensearch", "--query-ceiling", "3"], &ids, "for --type sparse-vector"),
        (vec!["qdrant", "--push", "http://c", "--append"], &ids, "--append needs --first-id"),
        (vec!["csr", "--dimensions", "1"], &ids, "term 1, and the matrix 1 columns"),
        (vec!["qdrant", "--push", "localhost"], &ids, "begins with http:// or https://"),
        (
            vec!["qdrant", "--push", "http://a:b@c"],
            &ids,
            "a name and a password\nhint: leave them out",
        ),
        (vec!["qdrant", "--push", "http://c", "--ca-file", &few], &ids, "no certificate in PEM"),
    ];
    for (number, (target, vectors, want)) in cases.into_iter().enumerate() {
        let out = dir.path().join(format!("out{number}"));
        let out = out.to_str().expect("UTF-8");
        let call = [&["export"][..], &target, &[vectors, "--output", out]].concat();
        let error = failure(&call, 1);
        assert!(error.contains(want), "{target:?}: {error}");
    }
    for (option, value, want) in [
        ("--retries", "1", "--push <URL>"),
        ("--batch-documents", "1", "--push <URL>"),
        ("--batch-bytes", "1M", "--push <URL>"),
        ("--first-id", "9223372036854775808", most),
    ] {
        let call = ["export", "qdrant", &ids, "--output", "no/such", option, value];
        let error = failure(&call, 2);
        assert!(error.contains(want), "{option}: {error}");
    }
}

/// Vectors that cannot be read create neither a folder nor an index.
#[test]
fn inputs_are_looked_at_first() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, key: &str| {
        let path = dir.path().join(name);
        let row = json!({"id": "a", "vector": {key: 1.5}});
        std::fs::write(&path, format!("{row}\n")).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (ids, words) = (file("ids.ndjson", "1"), file("words.ndjson", "tokyo"));
    let server = Server::start(Engine::default());
    let out = dir.path().join("out");
    let out_text = out.to_str().expect("UTF-8");
    let to_server = ["--push", &server.url, "--index", "toy"];
    for (documents, queries) in [(&*words, &*ids), (&*ids, &*words), (&*ids, "no/such.parquet")] {
        for more in [&[][..], &to_server] {
            let call = ["export", "elasticsearch", "--output", out_text, documents];
            failure(&[&call[..], &["--queries", queries], more].concat(), 1);
            assert!(!out.exists(), "{documents} {queries} {more:?}");
        }
    }
    assert!(server.engine().index.is_none());
}

#[test]
fn a_model_goes_into_the_folder_that_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = format!("{}/my-model/", dir.path().display());
    stdout(&["export", "model", "-m", MODEL, "--output", &out, "--name", "My SPLADE"]);
    let entries = std::fs::read_dir(dir.path()).expect("a folder");
    let names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["my-model"]);
    let card = std::fs::read_to_string(Path::new(&out).join("README.md")).expect("a card");
    for part in ["\n# My SPLADE\n", "--model my-model --as query", "SparseEncoder(\"my-model\")"] {
        assert!(card.contains(part), "{part:?} is not in the card:\n{card}");
    }
}

/// After a failed upload, the same command continues it, and other commands do not.
#[cfg(feature = "hub")]
#[test]
fn an_upload_that_failed_goes_on() {
    let (hub, dir) = (crate::fake_hub::FakeHub::start(), tempfile::tempdir().expect("a folder"));
    let out = dir.path().join("out");
    let export = |token: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_light-splade"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear().env("HF_TOKEN", token);
        command.env("HF_ENDPOINT", &hub.endpoint).env("HF_HOME", dir.path());
        command.args(["export", "model", "-m", MODEL, "--push-to-hub", "me/new", "--output"]);
        let output = command.arg(&out).args(more).output().expect("the tool runs");
        (output.status.success(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let token = crate::fake_hub::WRITE_TOKEN;
    let (done, said) = export("hf_read", &[]);
    assert!(!done && said.contains("the same command tries the upload again"), "{said}");
    let record = dir.path().join("out.light-splade-export.json");
    assert!(record.exists());
    let (done, said) = export(token, &["--dtype", "f16"]);
    assert!(!done && said.contains("another model, or one of other options"), "{said}");
    assert!(hub.uploads.lock().expect("no panic").commits.is_empty());
    let (done, said) = export(token, &[]);
    assert!(done && said.contains("only the upload is left"), "{said}");
    let commits = hub.uploads.lock().expect("no panic").commits.clone();
    assert!(commits[0].1.contains_key("model.safetensors"));
    for (name, content) in &commits[0].1 {
        assert_eq!(*content, std::fs::read(out.join(name)).expect(name), "{name}");
    }
    assert!(!record.exists());
    let (done, said) = export(token, &[]);
    assert!(!done && said.contains("is there already\nhint: name another"), "{said}");
}

/// Writes a file with this number of vectors, whose keys are term ids.
fn many(dir: &Path, count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        // One weight has more than nine decimals.
        let weight =
            |term: usize| if term < 39 { 0.01 * (term + 1) as f64 } else { 0.001_428_571_4 };
        let vector: BTreeMap<String, f64> = (0..40)
            .map(|term| (((number * 7 + term * 131) % 5000).to_string(), weight(term)))
            .collect();
        text.push_str(&json!({"id": format!("d{number}"), "vector": vector}).to_string());
        text.push('\n');
    }
    let path = dir.join("many.ndjson");
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Runs a call repeatedly, each time killed a little later, until it ends by itself. Returns the
/// number of kills.
fn killed(call: &[&str]) -> usize {
    for kills in 0.. {
        let mut child = Command::new(env!("CARGO_BIN_EXE_light-splade"))
            .args(call)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool runs");
        let end = Instant::now() + Duration::from_millis(10 + 30 * kills as u64);
        while Instant::now() < end && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        _ = child.kill();
        let output = child.wait_with_output().expect("a child");
        match output.status.code() {
            Some(0) => {
                assert!(kills > 0, "it ended before it could be killed");
                return kills;
            }
            Some(_) => panic!("{call:?}: {}", String::from_utf8_lossy(&output.stderr)),
            None => {}
        }
    }
    unreachable!("the waits grow")
}

#[test]
fn killed_exports_resume_to_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let vectors = many(dir.path(), 6000);
    for target in ["lucene", "ciff", "qdrant"] {
        let out = |name: &str| dir.path().join(format!("{target}-{name}"));
        let (whole, parts) = (out("whole"), out("parts"));
        let call = |out: &Path| {
            let out = out.to_str().expect("UTF-8").to_owned();
            ["export", target, &vectors, "--shard-rows", "500", "--output", &out]
                .map(str::to_owned)
                .to_vec()
        };
        let whole_call = call(&whole);
        stdout(&whole_call.iter().map(String::as_str).collect::<Vec<_>>());
        let mut parts_call = call(&parts);
        parts_call.push("--resume".to_owned());
        let kills = killed(&parts_call.iter().map(String::as_str).collect::<Vec<_>>());
        let (mut got, want) = (files(&parts), files(&whole));
        // What the program itself began when the process died, under names that nobody reads.
        got.retain(|name, _| !name.ends_with(".partial"));
        assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{target}");
        assert!(got == want, "{target}: other bytes after {kills} kills");
    }
}

fn push<'a>(url: &'a str, target: &'a str, vectors: &'a str, out: &'a str) -> Vec<&'a str> {
    let mut call = vec!["export", target, "--push", url, "--index", "toy", vectors];
    call.extend(["--output", out, "--batch-documents", "20"]);
    call
}

/// Returns the documents that the server should have, which are those of an exported file.
fn exported(target: &str, vectors: &str, dir: &Path) -> BTreeMap<String, Value> {
    let out = dir.join("files");
    let out = out.to_str().expect("UTF-8");
    stdout(&["export", target, vectors, "--output", out]);
    let read = |name| std::fs::read_to_string(Path::new(out).join(name)).expect("read");
    match target {
        "qdrant" => {
            serde_json::from_str::<Value>(&read("documents-00000.json")).expect("JSON")["points"]
                .as_array()
                .expect("points")
                .iter()
                .map(|point| {
                    (point["payload"]["docid"].as_str().expect("id").to_owned(), point.clone())
                })
                .collect()
        }
        _ => {
            let text = read("documents-00000.ndjson");
            let lines: Vec<Value> =
                text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let pair = |pair: &[Value]| {
                (pair[0]["index"]["_id"].as_str().expect("id").to_owned(), pair[1].clone())
            };
            lines.chunks(2).map(pair).collect()
        }
    }
}

#[test]
fn every_document_arrives_whatever_happens() {
    for target in ["elasticsearch", "opensearch", "qdrant"] {
        let dir = tempfile::tempdir().expect("a folder");
        let vectors = many(dir.path(), 100);
        let want = exported(target, &vectors, dir.path());
        let mut troubles = vec![
            Trouble::Status(429, Some(1)),
            Trouble::Cut,
            Trouble::BusyItems,
            Trouble::CutAfter,
        ];
        if target == "qdrant" {
            // Qdrant stores a request completely or not at all.
            troubles[2] = Trouble::Status(503, None);
        }
        let key = match target {
            "qdrant" => "api-key: s3cret",
            _ => "authorization: ApiKey s3cret",
        };
        let server = Server::start(Engine {
            troubles: troubles.into(),
            key: Some(key),
            largest: Some(if target == "qdrant" { 8_000 } else { 12_000 }),
            ..Engine::default()
        });
        let out = dir.path().join("out");
        let out = out.to_str().expect("UTF-8");
        let call = push(&server.url, target, &vectors, out);
        let error = failure(&[&call[..], &["--api-key", "wr0ng"]].concat(), 1);
        assert!(error.contains("answered 401") && error.contains("check the key"), "{error}");
        assert!(!error.contains("wr0ng"), "{error}");

        let start = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_light-splade"))
            .args(&call)
            .env("LIGHT_SPLADE_API_KEY", "s3cret")
            .output()
            .expect("the tool runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(output.status.success(), "{target}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
        assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After is a second");
        assert!(said.contains("sent 100 documents to toy"), "{said}");
        let engine = server.engine();
        assert!(engine.index.is_some() && engine.troubles.is_empty());
        assert!(engine.documents == want, "{target}");
        let sizes: Vec<usize> = engine.requests.iter().map(|(_, count)| *count).collect();
        // Batches of 20 documents are larger than the server accepts, so the program splits them in
        // half.
        assert!(sizes.contains(&20) && sizes.contains(&10), "{sizes:?}");
        for (name, bytes) in files(Path::new(out)) {
            assert!(!String::from_utf8_lossy(&bytes).contains("s3cret"), "{name}");
        }
    }
}

#[test]
fn refused_documents_are_kept_with_the_reason() {
    for (target, status) in
        [("elasticsearch", "document_parsing_exception"), ("qdrant", "bad point")]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let vectors = many(dir.path(), 100);
        let want = exported(target, &vectors, dir.path());
        let engine = Engine { refused: vec!["d7", "d8", "d93"], ..Engine::default() };
        let server = Server::start(engine);
        let out = dir.path().join("out");
        let out_text = out.to_str().expect("UTF-8");
        let call = push(&server.url, target, &vectors, out_text);
        let error = failure(&call, 1);
        assert!(
            error.contains("refused 3 documents") && error.contains("rejects.ndjson"),
            "{error}"
        );
        assert_eq!(server.engine().documents.len(), 97);
        let rejects = out.join("rejects.ndjson");
        let text = std::fs::read_to_string(&rejects).expect("rejects");
        let rows: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().expect("an id")).collect();
        assert_eq!(ids, ["d7", "d8", "d93"]);
        for row in &rows {
            let error = row["error"].as_str().expect("an error");
            assert!(row["status"] == 400 && error.contains(status), "{row}");
        }
        // The exit code is still that of a failure, although the export is complete.
        let error = failure(&[&call[..], &["--resume"]].concat(), 1);
        assert!(error.contains("there already") && error.contains("refused 3"), "{error}");

        // The rejected documents can be pushed after the reason is fixed.
        server.engine().refused.clear();
        let rejects = rejects.to_str().expect("UTF-8");
        let again = dir.path().join("again");
        let mut call = push(&server.url, target, rejects, again.to_str().expect("UTF-8"));
        let error = failure(&call, 1);
        assert!(error.contains("toy is there already") && error.contains("--append"), "{error}");
        call.push("--append");
        if target == "qdrant" {
            assert!(error.contains("--first-id"), "{error}");
            // Without `--first-id`, the new points would overwrite the first ones.
            let error = failure(&call, 1);
            assert!(error.contains("--append needs --first-id"), "{error}");
            call.extend(["--first-id", "1000"]);
        }
        stdout(&call);
        let engine = server.engine();
        assert_eq!(engine.documents.len(), 100);
        assert!(target == "qdrant" || engine.documents == want);
    }
}

#[test]
fn a_push_that_is_killed_or_given_up_resumes() {
    let dir = tempfile::tempdir().expect("a folder");
    let vectors = many(dir.path(), 1000);
    let want = exported("elasticsearch", &vectors, dir.path());
    let server = Server::start(Engine::default());
    let out = dir.path().join("out");
    let out = out.to_str().expect("UTF-8");
    let call = push(&server.url, "elasticsearch", &vectors, out);
    let call = [&call[..], &["--resume", "--retries", "1"]].concat();
    // The rest of the first batch is rejected until no retries are left.
    let busy = [None, Some(()), Some(())];
    server.engine().troubles =
        busy.map(|busy| busy.map_or(Trouble::BusyItems, |()| Trouble::Status(503, None))).into();
    let error = failure(&call, 1);
    assert!(error.contains("answered 503") && error.contains("--resume"), "{error}");
    let stored = server.engine().documents.len();
    assert!((1..1000).contains(&stored), "{stored}");
    let kills = killed(&call);
    let engine = server.engine();
    assert!(engine.documents == want, "after {kills} kills");
    // Each kill repeats at most one batch.
    let sent: usize = engine.requests.iter().map(|(_, count)| count).sum();
    assert!(sent <= 1000 + 20 * (kills + 8), "{sent} documents sent, {kills} kills");
}

/// Documents that were sent are compared with the vectors of a resumed push, not only by the last id.
#[test]
fn a_push_does_not_go_on_with_other_vectors() {
    let dir = tempfile::tempdir().expect("a folder");
    let vectors = many(dir.path(), 40);
    let all = std::fs::read_to_string(&vectors).expect("read");
    let write = |text: &str| std::fs::write(&vectors, text).expect("written");
    let server = Server::start(Engine::default());
    let out = dir.path().join("out");
    let call = push(&server.url, "elasticsearch", &vectors, out.to_str().expect("UTF-8"));
    let call = [&call[..], &["--resume"]].concat();
    let first: String = all.split_inclusive('\n').take(20).collect();
    write(&(first + "no vector\n"));
    assert!(failure(&call, 1).contains("line 21"));
    assert_eq!(server.engine().documents.len(), 20);
    write(&all.replacen("0.02", "0.03", 1));
    let error = failure(&call, 1);
    assert!(error.contains("there are other weights in the part"), "{error}");
    write(&all);
    stdout(&call);
    assert_eq!(server.engine().documents.len(), 40);
}

#[test]
fn a_server_that_refuses_everything_ends_the_push() {
    let dir = tempfile::tempdir().expect("a folder");
    let vectors = many(dir.path(), 3);
    let engine = Engine { refused: vec!["d0", "d1", "d2"], ..Engine::default() };
    let server = Server::start(engine);
    let out = dir.path().join("out");
    let error =
        failure(&push(&server.url, "elasticsearch", &vectors, out.to_str().expect("UTF-8")), 1);
    assert!(error.contains("refuses every document") && error.contains("a bad vector"), "{error}");
    assert!(!out.join("rejects.ndjson").exists());
}
