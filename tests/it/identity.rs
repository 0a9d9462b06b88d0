//! Vectors, indexes, results and resumed outputs know what they were made of, and refuse what does not
//! belong to them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{MODEL, failure, run, stdout};

/// A folder with two models of the same size and two texts.
struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let this = Self { dir: tempfile::tempdir().expect("a folder") };
        for name in ["model", "other"] {
            copy(Path::new(MODEL), &this.dir.path().join(name));
        }
        this.change_model("other");
        this.corpus("朝の電車");
        this
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Changes a weight of a model; sizes and names stay the same.
    fn change_model(&self, name: &str) {
        let path = self.dir.path().join(name).join("model.safetensors");
        let mut bytes = fs::read(&path).expect("weights");
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&0.75f32.to_le_bytes());
        fs::write(path, bytes).expect("written");
    }

    /// Writes five texts with fixed ids.
    fn corpus(&self, text: &str) {
        let row = |i| format!("{{\"id\":\"d{i}\",\"text\":\"{text} {i} cheap travel\"}}\n");
        fs::write(self.path("corpus.ndjson"), (0..5).map(row).collect::<String>())
            .expect("written");
    }

    /// The arguments of an encoding into a folder of shards.
    fn encode(&self, model: &str, out: &str) -> Vec<String> {
        let (model, out, corpus) = (self.path(model), self.path(out), self.path("corpus.ndjson"));
        ["encode", "-m", &model, "--shard-rows", "2", "-o", &out, &corpus]
            .map(str::to_owned)
            .to_vec()
    }

    fn manifest(&self, folder: &str) -> (PathBuf, Value) {
        let path = self.dir.path().join(folder).join("_manifest.json");
        let text = fs::read_to_string(&path).expect("a manifest");
        (path, serde_json::from_str(&text).expect("JSON"))
    }

    /// Writes a changed manifest, with the checksums that it must have.
    fn write_manifest(path: &Path, mut manifest: Value) {
        manifest.as_object_mut().expect("an object").remove("checksum");
        let text = serde_json::to_string_pretty(&manifest).expect("JSON");
        fs::write(path, splade_io::seal_json(&text)).expect("written");
    }

    /// Makes an output what a stopped run leaves: its last file is gone.
    fn interrupt(&self, folder: &str) {
        let (path, mut manifest) = self.manifest(folder);
        let shards = manifest["shards"].as_array_mut().expect("shards");
        let last = shards.pop().expect("a shard");
        fs::remove_file(path.with_file_name(last["file"].as_str().expect("a name")))
            .expect("removed");
        let rows: u64 = shards.iter().map(|shard| shard["rows"].as_u64().expect("rows")).sum();
        (manifest["rows"], manifest["complete"]) = (rows.into(), false.into());
        Self::write_manifest(&path, manifest);
    }

    /// Makes an output one of an earlier version, which recorded no contents.
    fn age(&self, folder: &str) {
        let (path, mut manifest) = self.manifest(folder);
        manifest["version"] = 1.into();
        let settings = manifest["settings"].as_object_mut().expect("settings");
        settings.retain(|key, _| !["content", "tokens"].contains(&key.as_str()));
        for shard in manifest["shards"].as_array_mut().expect("shards") {
            shard.as_object_mut().expect("a shard").remove("content");
        }
        Self::write_manifest(&path.with_file_name("manifest.json"), manifest);
        fs::remove_file(path).expect("removed");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(from)).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// Calls the program and returns its standard error.
fn said(args: &[String], code: i32) -> String {
    let output = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    errors
}

fn with(args: &[String], more: &[&str]) -> Vec<String> {
    args.iter().cloned().chain(more.iter().map(|arg| (*arg).to_owned())).collect()
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn an_encoding_resumes_only_with_its_model_and_its_texts() {
    let case = Case::new();
    let encode = |model: &str| with(&case.encode(model, "v"), &["--format", "ndjson"]);
    let resume = with(&encode("model"), &["--resume"]);
    said(&encode("model"), 0);
    let want = fs::read(case.path("v/vectors-00002.ndjson")).expect("a shard");
    for complete in [true, false] {
        if !complete {
            case.interrupt("v");
        }
        // Other texts under the same ids.
        case.corpus("夜の電車");
        assert_has(
            &said(&resume, 1),
            &["the input has changed", "texts 1 to 2 are others", "--force"],
        );
        case.corpus("朝の電車");
        // Another model, and then another one at the same path.
        let other = with(&encode("other"), &["--resume"]);
        let (a, b) = (format!("was {}", case.path("model")), format!("now {}", case.path("other")));
        assert_has(&said(&other, 1), &["other settings: the model", &a, &b, "weights xxh3:"]);
        fs::rename(case.path("model"), case.path("moved")).expect("renamed");
        fs::rename(case.path("other"), case.path("model")).expect("renamed");
        assert_has(&said(&resume, 1), &[&format!("the model {} has changed", case.path("model"))]);
        fs::rename(case.path("model"), case.path("other")).expect("renamed");
        // The same model elsewhere is the same model.
        let moved = with(&encode("moved"), &["--resume"]);
        said(&moved, 0);
        assert_eq!(fs::read(case.path("v/vectors-00002.ndjson")).expect("a shard"), want);
        fs::rename(case.path("moved"), case.path("model")).expect("renamed");
    }
    // A complete folder does not take more texts.
    let more = fs::read_to_string(case.path("corpus.ndjson")).expect("read");
    fs::write(case.path("corpus.ndjson"), more + "{\"id\":\"d9\",\"text\":\"x\"}\n")
        .expect("written");
    assert_has(&said(&resume, 1), &["is complete, but the input now has more texts", "\"d9\""]);
}

#[test]
fn folders_of_earlier_versions_resume_with_a_note() {
    let case = Case::new();
    let begin = case.encode("model", "v");
    said(&begin, 0);
    case.interrupt("v");
    case.age("v");
    let resume = with(&begin, &["--resume"]);
    assert_has(&said(&with(&resume, &["--top-k", "3"]), 1), &["\"top_k\" was null, now 3"]);
    case.corpus("夜の電車");
    assert_has(&said(&resume, 0), &["earlier version of light-splade", "is not checked"]);
    assert!(!Path::new(&case.path("v/_manifest.json")).exists());
    let index = case.path("i");
    assert_eq!(
        run(&["index", "build", "-o", &index, "--vectors", &case.path("v")]).status.code(),
        Some(0)
    );
    assert!(stdout(&["index", "info", &index]).contains("documents      5"));
}

#[test]
fn parts_know_their_texts_and_their_model() {
    let case = Case::new();
    let part = |model: &str, shard: &str| with(&case.encode(model, "parts"), &["--shard", shard]);
    said(&part("model", "1/2"), 0);
    assert_has(&said(&part("model", "1/2"), 0), &["the shard is there already"]);
    case.corpus("夜の電車");
    assert_has(&said(&part("model", "1/2"), 1), &["the texts of the shard", "have changed"]);
    case.corpus("朝の電車");
    assert_has(&said(&part("other", "1/2"), 1), &["was made with other settings: the model was"]);
    // The other part with other settings: together they are no corpus.
    said(&with(&part("model", "2/2"), &["--max-length", "8"]), 0);
    let (parts, index) = (case.path("parts"), case.path("i"));
    let build = ["index", "build", "-o", &index, "--vectors", &parts];
    let error = failure(&build, 1);
    assert_has(
        &error,
        &["00000-of-00002", "00001-of-00002", "max length 64", "max length 8", "--any-model"],
    );
    stdout(&[&build[..], &["--any-model"]].concat());
}

#[test]
fn an_index_knows_the_model_of_its_vectors() {
    let case = Case::new();
    let (a, b, index) = (case.path("a.parquet"), case.path("b.parquet"), case.path("i"));
    let (model, other, corpus) =
        (case.path("model"), case.path("other"), case.path("corpus.ndjson"));
    stdout(&["encode", "-m", &model, "-o", &a, &corpus]);
    stdout(&["encode", "-m", &other, "-o", &b, &corpus]);
    let both = failure(&["index", "build", "-o", &index, "--vectors", &a, &b], 1);
    assert_has(&both, &[&a, &b, &model, &other, "weights", "--any-model"]);
    let given = failure(&["index", "build", "-o", &index, "-m", &other, "--vectors", &a], 1);
    assert_has(&given, &["the vectors were made with the model", &model, "--model names", &other]);
    assert!(!Path::new(&index).exists());

    stdout(&["index", "build", "-o", &index, "--vectors", &a]);
    let info: Value =
        serde_json::from_str(&stdout(&["index", "info", "--json", &index])).expect("JSON");
    assert_eq!(info["settings"]["model"], json!(model));
    assert!(
        info["settings"]["content"]["model"]["weights"]
            .as_str()
            .is_some_and(|hash| hash.starts_with("xxh3:"))
    );
    let search = ["search", &index, "--format", "ndjson"];
    let hits = stdout(&[&search[..], &["電車"]].concat());
    assert!(hits.contains("\"d0\""), "{hits}");
    let text = failure(&[&search[..], &["-m", &other, "電車"]].concat(), 1);
    assert_has(
        &text,
        &[&index, &model, &other, "--model names", "leave out --model", "--any-model"],
    );
    stdout(&[&search[..], &["-m", &other, "--any-model", "電車"]].concat());
    let vectors = failure(&[&search[..], &["--vectors", &b]].concat(), 1);
    assert_has(&vectors, &["the queries were made with the model", &other]);
    let add = failure(&["index", "add", &index, "--vectors", &b], 1);
    assert_has(&add, &[&model, &other, "the vectors were made with"]);
    stdout(&["index", "add", &index, "--vectors", &b, "--any-model"]);
    let texts = failure(&["index", "add", &index, "-m", &other, &corpus], 1);
    assert_has(&texts, &["--model names the model", &other]);

    // An exported copy in another layout is the same model.
    let copy = case.path("copy");
    stdout(&["export", "model", "-m", &model, "-o", &copy]);
    assert_eq!(
        stdout(&[&search[..], &["-m", &copy, "電車"]].concat()),
        stdout(&[&search[..], &["電車"]].concat())
    );
    let same: Vec<String> = [&model, &copy]
        .map(|model| {
            stdout(&["inspect", model]).lines().filter(|line| line.contains("xxh3:")).collect()
        })
        .to_vec();
    assert!(same[0] == same[1] && same[0].contains("weights hash"), "{same:?}");

    // The model at the path of the index is replaced.
    case.change_model("model");
    let changed = failure(&[&search[..], &["電車"]].concat(), 1);
    assert_has(&changed, &[&format!("the model {model} has changed"), "build the index again"]);
    let data = ["evaluate", "data/toy-beir", "--index"];
    let measured = failure(&[&data[..], &[&index, "-m", &model]].concat(), 1);
    assert_has(&measured, &["has changed"]);
}

#[test]
fn exports_resume_only_with_their_vectors() {
    let case = Case::new();
    let (v, out, corpus) = (case.path("v.parquet"), case.path("out"), case.path("corpus.ndjson"));
    let model = case.path("model");
    let encode = |text: &str| {
        case.corpus(text);
        stdout(&["encode", "-m", &model, "--force", "-o", &v, &corpus]);
    };
    encode("朝の電車");
    let export = ["export", "parquet", &v, "-o", &out, "--shard-rows", "2"];
    let resume = [&export[..], &["--resume"]].concat();
    stdout(&export);
    for complete in [true, false] {
        if !complete {
            case.interrupt("out");
        }
        encode("夜の電車");
        assert_has(
            &failure(&resume, 1),
            &["the vectors have changed since the export was begun", "--force"],
        );
        encode("朝の電車");
        stdout(&resume);
    }
    // What was exported still knows its model.
    let index = case.path("i");
    stdout(&["index", "build", "-o", &index, "--vectors", &out]);
    let error = failure(&["search", &index, "-m", &case.path("other"), "電車"], 1);
    assert_has(&error, &[&model, "--model names"]);
    // Tokens of another tokenizer would give the terms wrong names.
    let vocab = Path::new(&case.path("other")).join("vocab.txt");
    let tokens = fs::read_to_string(&vocab).expect("a vocabulary");
    let mut tokens: Vec<&str> = tokens.lines().collect();
    let last = tokens.len() - 1;
    tokens.swap(last, last - 1);
    fs::write(vocab, tokens.join("\n") + "\n").expect("written");
    let call = ["export", "lucene", &v, "-o", &case.path("lucene"), "-m", &case.path("other")];
    assert_has(&failure(&call, 1), &["the vectors were made with the model", "has the tokenizer"]);
}

#[test]
fn a_card_has_only_results_of_its_model() {
    let case = Case::new();
    let (model, other) = (case.path("model"), case.path("other"));
    let measured = |model: &str| stdout(&["evaluate", "-m", model, "data/toy-beir", "--json"]);
    let file = |name: &str, text: &str| {
        fs::write(case.path(name), text).expect("written");
        case.path(name)
    };
    let own = file("own.json", &measured(&model));
    let theirs = file("theirs.json", &measured(&other));
    let mut old: Value = serde_json::from_str(&measured(&model)).expect("JSON");
    old["settings"].as_object_mut().expect("settings").remove("content");
    let old = file("old.json", &old.to_string());
    let export = |out: &str, metrics: &str| {
        run(&["export", "model", "-m", &model, "-o", &case.path(out), "--metrics", metrics])
    };
    let refused = export("a", &theirs);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert_has(
        &message,
        &["theirs.json was measured with the model", &other, "the card is for the model", &model],
    );
    assert!(!Path::new(&case.path("a")).exists());
    assert_eq!(export("a", &own).status.code(), Some(0));
    let card = fs::read_to_string(case.path("a/README.md")).expect("a card");
    assert_has(&card, &["nDCG@10", "| content | weights `xxh3:"]);
    let unknown = export("b", &old);
    assert_eq!(unknown.status.code(), Some(0));
    assert_has(
        &String::from_utf8_lossy(&unknown.stderr),
        &["does not say which model was measured"],
    );
    // The built-in model keeps its licence, its languages and its data.
    stdout(&["export", "model", "-o", &case.path("c")]);
    let card = fs::read_to_string(case.path("c/README.md")).expect("a card");
    assert_has(&card, &["license: \"cc-by-sa-4.0\"", "- \"ja\"\n- \"en\"", "JaQuAD"]);
}
