//! Tests of dense, late-interaction and joined teachers on the command line: `encode`, `score` and
//! `mine`. The tiny models are those of the crate splade-model, put together from body and head.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use light_splade::{DenseEncoder, MultiVectorEncoder, SparseEncoderOptions};
use serde_json::Value;

use crate::common::{MODEL, failure, stdout};

const TRAIN: &str = "data/toy/train";
const PAIRS: &str = "data/toy/train/hard_negative_scores.ndjson";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, &to).expect("copied")),
        }
    }
}

/// Puts a head and its body into a folder.
fn model(dir: &Path, head: &str, body: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/splade-model/tests/fixtures");
    let folder = dir.join(head);
    copy(&fixtures.join("reference").join(body), &folder);
    copy(&fixtures.join("heads").join(head), &folder);
    folder.to_str().expect("UTF-8").to_owned()
}

fn lines(path: impl AsRef<Path>) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The texts of a master by their ids.
fn texts(name: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TRAIN).join(format!("{name}.ndjson"));
    let id = if name == "doc_master" { "doc_id" } else { "qid" };
    lines(path)
        .into_iter()
        .map(|line| (line[id].to_string(), line["text"].as_str().expect("a text").to_owned()))
        .collect()
}

/// The scores of a file by query and document.
fn scores(path: &str) -> BTreeMap<(String, String), f64> {
    let mut all = BTreeMap::new();
    for line in lines(path) {
        for (doc, score) in line["scores"].as_object().expect("an object") {
            all.insert((line["qid"].to_string(), doc.clone()), score.as_f64().expect("a number"));
        }
    }
    all
}

fn score(out: &Path, name: &str, by: &[&str]) -> BTreeMap<(String, String), f64> {
    let out = out.join(name);
    let out = out.to_str().expect("UTF-8");
    let mut call = vec!["score", PAIRS, "--data", TRAIN, "--output", out];
    call.extend_from_slice(by);
    stdout(&call);
    scores(out)
}

fn near(got: &BTreeMap<(String, String), f64>, want: impl Fn(&str, &str) -> f64) {
    assert_eq!(got.len(), scores(&format!("{}/{PAIRS}", env!("CARGO_MANIFEST_DIR"))).len());
    for ((query, doc), got) in got {
        let want = want(query, doc);
        assert!((got - want).abs() < 1e-5, "{query} {doc}: {got}, not {want}");
    }
}

/// The scores are those of the encoders of the library, text by text, and the folder of vectors
/// serves a second run.
#[test]
fn dense_models_score_pairs() {
    let dir = tempfile::tempdir().expect("a folder");
    let (queries, docs) = (texts("query_master"), texts("doc_master"));
    let options = SparseEncoderOptions::default();
    let dense = model(dir.path(), "dense-projected", "bert-relu");
    let vectors = dir.path().join("vectors");
    let vectors = vectors.to_str().expect("UTF-8");
    let by = ["--by", "dense", "--model", &dense, "--vectors", vectors];
    let got = score(dir.path(), "dense.ndjson", &by);
    let encoder = DenseEncoder::load(&dense, &options).expect("a model");
    near(&got, |query, doc| {
        let query = encoder.encode_query(&queries[query]).expect("encoded");
        let doc = encoder.encode_document(&docs[doc]).expect("encoded");
        f64::from(encoder.similarity(&query, &doc))
    });
    // The rows of both sides are in folders of their own, and nothing is added to them again.
    let sizes = || -> Vec<u64> {
        let folders = std::fs::read_dir(vectors).expect("vectors").map(|e| e.expect("one").path());
        let mut folders: Vec<PathBuf> = folders.collect();
        folders.sort();
        let size = |path: &PathBuf| path.join("rows.f32").metadata().expect("rows").len();
        folders.iter().map(size).collect()
    };
    let before = sizes();
    assert_eq!(before.len(), 2);
    assert_eq!(score(dir.path(), "again.ndjson", &by), got);
    assert_eq!(sizes(), before);

    let colbert = model(dir.path(), "pylate", "bert-relu");
    let got = score(dir.path(), "colbert.ndjson", &["--by", "colbert", "--model", &colbert]);
    let encoder = MultiVectorEncoder::load(&colbert, &options).expect("a model");
    near(&got, |query, doc| {
        let query = encoder.encode_query(&queries[query]).expect("encoded");
        let doc = encoder.encode_document(&docs[doc]).expect("encoded");
        f64::from(encoder.similarity(&query, &doc))
    });
}

/// BGE-M3's score is the mean of its three heads. SPLADE's index keeps weights in 8 bits, so the token
/// weights are compared through it.
#[test]
fn teachers_are_joined() {
    let dir = tempfile::tempdir().expect("a folder");
    let bge = model(dir.path(), "bge-m3", "xlm-roberta");
    let by = |by: &str| score(dir.path(), &format!("{by}.ndjson"), &["--by", by, "--model", &bge]);
    let heads = ["dense", "colbert", "splade"].map(by);
    near(&by("bge-m3"), |query, doc| {
        let pair = (query.to_owned(), doc.to_owned());
        heads.iter().map(|scores| scores[&pair]).sum::<f64>() / 3.0
    });

    let bm25 = score(dir.path(), "bm25.ndjson", &["--by", "bm25", "--model", MODEL]);
    let weighted = format!("dense,model={bge},weight=0.5");
    let first = format!("bm25,model={MODEL}");
    let both = ["--by", &first, "--by", &weighted];
    let sum = score(dir.path(), "sum.ndjson", &[&both[..], &["--join", "sum"]].concat());
    near(&sum, |query, doc| {
        let pair = (query.to_owned(), doc.to_owned());
        bm25[&pair] + 0.5 * heads[0][&pair]
    });
    let joined = score(dir.path(), "joined.ndjson", &both);
    let standard = |all: &BTreeMap<(String, String), f64>, query: &str, doc: &str| {
        let own = all.iter().filter(|((other, _), _)| other == query).map(|(_, score)| *score);
        let own: Vec<f64> = own.collect();
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        let variance = own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / own.len() as f64;
        let score = all[&(query.to_owned(), doc.to_owned())];
        if variance > 0.0 { (score - mean) / variance.sqrt() } else { 0.0 }
    };
    near(&joined, |query, doc| standard(&bm25, query, doc) + 0.5 * standard(&heads[0], query, doc));
}

/// The negatives are the documents with the best scores that are not positives.
#[test]
fn dense_models_find_negatives() {
    let dir = tempfile::tempdir().expect("a folder");
    let dense = model(dir.path(), "dense-mean", "bert-relu");
    let out = dir.path().join("negatives.ndjson");
    let out = out.to_str().expect("UTF-8");
    let source = format!("dense,model={dense},take=3");
    stdout(&["mine", TRAIN, "--model", MODEL, "--output", out, "--source", &source]);
    let encoder = DenseEncoder::load(&dense, &SparseEncoderOptions::default()).expect("a model");
    let (queries, docs) = (texts("query_master"), texts("doc_master"));
    let texts: Vec<&String> = docs.values().collect();
    let vectors = encoder.encode_documents(&texts).expect("encoded");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut positives: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines(root.join(TRAIN).join("positive_lists.ndjson")) {
        let ids = line["positive_doc_ids"].as_array().expect("a list");
        positives.insert(line["qid"].to_string(), ids.iter().map(Value::to_string).collect());
    }
    let mined = scores(out);
    for (id, text) in &queries {
        let query = encoder.encode_query(text).expect("encoded");
        let scored = docs.keys().zip(&vectors);
        let mut scored: Vec<(&String, f32)> =
            scored.map(|(doc, vector)| (doc, encoder.similarity(&query, vector))).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        let own = &positives[id];
        let negatives = scored.iter().filter(|(doc, _)| !own.contains(doc));
        let (chosen, others): (Vec<_>, Vec<_>) =
            negatives.partition(|(doc, _)| mined.contains_key(&(id.clone(), (*doc).clone())));
        assert_eq!(chosen.len(), 3, "{id}");
        let worst = chosen.iter().map(|(_, score)| *score).fold(f32::INFINITY, f32::min);
        let best = others.iter().map(|(_, score)| *score).fold(f32::NEG_INFINITY, f32::max);
        // Documents with nearly equal scores may change places.
        assert!(worst > best - 1e-5, "{id}: {worst} {best}");
    }
}

/// A model is encoded by what it makes, and every form has the same numbers.
#[test]
fn dense_vectors_are_written_in_every_form() {
    let dir = tempfile::tempdir().expect("a folder");
    let dense = model(dir.path(), "dense-projected", "bert-relu");
    let encode = |more: &[&str]| {
        stdout(&[&["encode", "--text", "train", "--text", "The rain.", "--model"], more].concat())
    };
    let printed = encode(&[&dense]);
    let encoder = DenseEncoder::load(&dense, &SparseEncoderOptions::default()).expect("a model");
    let want = ["train", "The rain."].map(|text| encoder.encode_document(text).expect("encoded"));
    let rows: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 2);
    for (row, want) in rows.iter().zip(&want) {
        let got: Vec<f32> = row["embedding"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|x| x.as_f64().expect("a number") as f32)
            .collect();
        assert_eq!(&got, want);
    }
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let npy = dir.path().join("v.npy");
    encode(&[&dense, "--output", npy.to_str().expect("UTF-8")]);
    let bytes = std::fs::read(&npy).expect("written");
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    assert!(String::from_utf8_lossy(&bytes[..128]).contains("'shape': (2, 12)"));
    assert_eq!(floats(&bytes[128..]), want.concat());
    let ids = lines(dir.path().join("v.ids.ndjson"));
    assert_eq!(ids.len(), 2);

    let tensors = dir.path().join("v.safetensors");
    let call = [&dense, "--output", tensors.to_str().expect("UTF-8")];
    encode(&call);
    let bytes = std::fs::read(&tensors).expect("written");
    let header: Value = serde_json::from_slice(&bytes[8..1024]).expect("a header");
    assert_eq!(header["embeddings"]["shape"], serde_json::json!([2, 12]));
    assert_eq!(floats(&bytes[1024..1024 + 96]), want.concat());
    let errors = failure(&[&["encode", "--text", "x", "--model"], &call[..]].concat(), 1);
    assert!(errors.contains("exists already"), "{errors}");

    // A matrix for each text fits every form but NumPy's.
    let colbert = model(dir.path(), "colbert-ai", "bert-relu");
    let printed = encode(&[&colbert, "--as", "query"]);
    let row: Value = serde_json::from_str(printed.lines().next().expect("a row")).expect("JSON");
    let matrix = row["embedding"].as_array().expect("rows");
    assert_eq!(matrix.len(), 12);
    assert!(matrix.iter().all(|row| row.as_array().is_some_and(|row| row.len() == 8)));
    let parquet = dir.path().join("m.parquet");
    encode(&[&colbert, "--output", parquet.to_str().expect("UTF-8")]);
    assert!(std::fs::read(&parquet).expect("written").starts_with(b"PAR1"));
    let call = ["encode", "--text", "x", "--model", &colbert, "--output", "m.npy"];
    let errors = failure(&call, 1);
    assert!(errors.contains("cannot hold a matrix for each text"), "{errors}");

    // The token weights of BGE-M3 are sparse vectors like those of any model.
    let bge = model(dir.path(), "bge-m3", "xlm-roberta");
    let printed = encode(&[&bge, "--head", "sparse"]);
    let row: Value = serde_json::from_str(printed.lines().next().expect("a row")).expect("JSON");
    assert!(row["vector"].is_object(), "{printed}");
    let about = stdout(&["inspect", &bge]);
    let makes = "makes           dense vectors, sparse vectors, a vector for each token";
    assert!(about.contains(makes), "{about}");
    assert!(about.contains("head            dense: cls, normalized"), "{about}");
}

/// Shards of dense vectors are resumed, and the parts of several processes are all rows together.
#[test]
fn dense_vectors_are_written_in_shards() {
    let dir = tempfile::tempdir().expect("a folder");
    let dense = model(dir.path(), "dense-mean", "bert-relu");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (texts, shards) = (at("texts.ndjson"), at("shards"));
    let write = |count: usize, changed: Option<usize>| {
        let text = |n| if Some(n) == changed { "changed".to_owned() } else { format!("train {n}") };
        let rows = (0..count).map(|n| serde_json::json!({"id": format!("t{n}"), "text": text(n)}));
        let rows: String = rows.map(|row| format!("{row}\n")).collect();
        std::fs::write(&texts, rows).expect("written");
    };
    write(5, None);
    let encode = ["encode", "--model", &dense, &texts, "--output"];
    let into = |out: &str, more: &[&str]| stdout(&[&encode[..], &[out], more].concat());
    let refused = |out: &str, more: &[&str]| failure(&[&encode[..], &[out], more].concat(), 1);
    let all = at("all.ndjson");
    into(&all, &[]);
    let want = lines(&all);
    into(&shards, &["--format", "ndjson", "--shard-rows", "2"]);
    let rows = |folder: &str, count: usize| -> Vec<Value> {
        let name = |n| format!("{folder}/vectors-{n:05}.ndjson");
        (0..count).flat_map(|n| lines(name(n))).collect()
    };
    assert_eq!(rows(&shards, 3), want);
    let manifest = || -> Value {
        let text = std::fs::read_to_string(format!("{shards}/_manifest.json")).expect("a manifest");
        serde_json::from_str(&text).expect("JSON")
    };
    let whole = manifest();
    assert_eq!(
        (&whole["format"], &whole["complete"]),
        (&"light-splade dense vectors".into(), &true.into())
    );
    assert!(whole["settings"]["content"]["model"]["weights"].is_string(), "{whole}");
    assert_eq!(whole["settings"]["kind"], "dense");

    // As after a crash: the last shard is not in the manifest.
    let mut cut = whole.clone();
    cut["complete"] = false.into();
    cut["rows"] = 4.into();
    cut["shards"].as_array_mut().expect("shards").pop();
    cut.as_object_mut().expect("an object").remove("checksum");
    let text = splade_io::seal_json(&format!("{cut:#}"));
    std::fs::write(format!("{shards}/_manifest.json"), text).expect("written");
    let resume = ["--format", "ndjson", "--shard-rows", "2", "--resume"];
    let other = refused(&shards, &[&resume[..], &["--max-length", "9"]].concat());
    assert!(other.contains("\"max_length\" was"), "{other}");
    write(5, Some(1));
    let changed = refused(&shards, &resume);
    assert!(changed.contains("texts 1 to 2 are others than those of"), "{changed}");
    write(5, None);
    into(&shards, &resume);
    assert_eq!(rows(&shards, 3), want);
    assert_eq!(manifest()["complete"], true);
    assert!(refused(&shards, &["--format", "ndjson"]).contains("already holds vectors"));

    // Two processes, each with every second text.
    let parts = at("parts");
    for part in ["1/2", "2/2"] {
        into(&parts, &["--shard", part]);
    }
    let name = |part: &str| format!("{parts}/vectors-{part}-of-00002.parquet");
    let sizes = ["00000", "00001"].map(|part| std::fs::metadata(name(part)).expect("a part").len());
    assert!(sizes.iter().all(|size| *size > 0));
    // A part that is there is kept, unless texts or settings have changed.
    into(&parts, &["--shard", "2/2"]);
    assert!(refused(&parts, &["--shard", "2/2", "--max-length", "9"]).contains("other settings"));
    write(5, Some(3));
    assert!(refused(&parts, &["--shard", "2/2"]).contains("have changed since it was written"));
    into(&parts, &["--shard", "1/2"]);
    // What a folder cannot be.
    let npy = refused(&at("folder"), &["--top-k", "3"]);
    assert!(npy.contains("are for sparse vectors"), "{npy}");
}

#[test]
fn what_is_wrong_with_a_teacher_is_told_before_the_work() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out.ndjson");
    let out = out.to_str().expect("UTF-8");
    let dense = model(dir.path(), "dense-mean", "bert-relu");
    let refused = |more: &[&str]| {
        failure(&[&["score", PAIRS, "--data", TRAIN, "--output", out], more].concat(), 1)
    };
    for (by, parts) in [
        (&["--by", "dense"][..], ["no model is named for dense", "--model"]),
        (
            &["--by", "dense", "--model", MODEL],
            ["the model makes sparse vectors, not dense vectors", "name a model that makes dense"],
        ),
        (
            &["--by", "cross-encoder", "--model", &dense],
            [
                "the model makes dense vectors, not scores of pairs",
                "name a model that makes scores",
            ],
        ),
        (
            &["--by", "splade", "--model", &dense],
            ["the model makes dense vectors, not sparse vectors", "name a model that makes sparse"],
        ),
        (&["--by", "dense,weight=2", "--model", &dense], ["weight= is for several teachers", ""]),
        (&["--by", "bm25", "--vectors", "v"], ["--vectors is for --by dense", ""]),
    ] {
        let errors = refused(by);
        assert!(parts.iter().all(|part| errors.contains(part)), "{by:?}: {errors}");
    }
    let call = ["mine", TRAIN, "--output", out, "--source", "dense"];
    let errors = failure(&call, 1);
    assert!(errors.contains("no model is named for the source dense"), "{errors}");
    assert!(!Path::new(out).exists());
}

/// Writes the config of a run that learns from the vectors of a teacher, and returns its folder.
fn taught(dir: &Path, name: &str, teacher: &str, more: &str) -> (PathBuf, Vec<String>) {
    let output = dir.join(name);
    let config = format!(
        "model: {{model_name_or_path: {MODEL}, max_length: 32, teacher: {teacher}}}
data:
  train_doc_master: {TRAIN}/doc_master.ndjson
  train_query_master: {TRAIN}/query_master.ndjson
  train_positives: {TRAIN}/positive_lists.ndjson
  train_triplets: {TRAIN}/triplets.ndjson
  eval_loss_size: 4
training:
  output_dir: {}
  training_loss: in_batch_kldiv
  teacher_temperatures: {{in_batch_kldiv: 0.1}}
  regularizers: {{doc: {{reg_type: FLOPS, lambda_: 1e-3, T: 4}}}}
  max_steps: 6
  per_device_train_batch_size: 8
  logging_steps: 1
  save_steps: 3
  eval_strategy: epoch
  report_to: none
{more}",
        output.display()
    );
    std::fs::write(dir.join(format!("{name}.yaml")), config).expect("written");
    let dir = dir.to_str().expect("UTF-8").to_owned();
    let call = ["train", "--config-dir", &dir, "--config-name", name, "hydra.output_subdir=null"];
    (output, call.map(str::to_owned).to_vec())
}

fn called(call: &[String]) -> Vec<&str> {
    call.iter().map(String::as_str).collect()
}

/// The vectors of the teacher are those that `score` keeps, the similarities those of the library's
/// encoder, and a run that goes on from a checkpoint ends as one that was not stopped.
#[test]
fn a_run_learns_from_the_vectors_of_a_teacher() {
    let dir = tempfile::tempdir().expect("a folder");
    for (head, body, by) in
        [("dense-projected", "bert-relu", "dense"), ("pylate", "bert-relu", "colbert")]
    {
        let model = model(dir.path(), head, body);
        let vectors = dir.path().join(format!("{head}-vectors"));
        let shown = vectors.display();
        let teacher = format!("{{model_name_or_path: {model}, by: {by}, vectors: {shown}}}");
        let (output, call) = taught(dir.path(), &format!("run-{by}"), &teacher, "");
        stdout(&called(&call));
        let log = lines(output.join("log.jsonl"));
        let losses: Vec<f64> =
            log.iter().filter_map(|line| line["in_batch_kldiv_loss"].as_f64()).collect();
        assert_eq!(losses.len(), 6, "{log:?}");
        assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{losses:?}");
        assert!(log.iter().any(|line| line["eval_loss"].as_f64().is_some()));
        // Scoring the same texts adds nothing to the folder, and a second run neither.
        let rows = || -> u64 {
            let folders = std::fs::read_dir(&vectors).expect("vectors");
            let size = |path: PathBuf| path.join("rows.f32").metadata().expect("rows").len();
            folders.map(|folder| size(folder.expect("a folder").path())).sum()
        };
        let before = rows();
        let out = dir.path().join(format!("{by}.ndjson"));
        let (out, vectors) = (out.to_str().expect("UTF-8"), vectors.to_str().expect("UTF-8"));
        let by = ["--by", by, "--model", &model, "--vectors", vectors];
        stdout(&[&["score", PAIRS, "--data", TRAIN, "--output", out][..], &by].concat());
        assert_eq!(rows(), before);
        // From the first checkpoint on, a copy of the run makes the same steps again.
        let final_model = std::fs::read(output.join("model/model.safetensors")).expect("a model");
        std::fs::remove_dir_all(output.join("model")).expect("removed");
        std::fs::remove_dir_all(output.join("checkpoint-6")).expect("removed");
        stdout(&[&called(&call)[..], &["--resume"]].concat());
        assert_eq!(
            std::fs::read(output.join("model/model.safetensors")).expect("a model"),
            final_model
        );
    }
}

#[test]
fn similarities_are_those_of_the_encoder() {
    use light_splade::learning::open_teacher;
    use splade_data::{DataConfig, TrainingData};
    use splade_train::config::{TeacherConfig, TeacherHead};

    let dir = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(TRAIN);
    let data = DataConfig {
        train_doc_master: root.join("doc_master.ndjson"),
        train_query_master: root.join("query_master.ndjson"),
        train_positives: root.join("positive_lists.ndjson"),
        train_triplets: Some(root.join("triplets.ndjson")),
        ..DataConfig::default()
    };
    let data = TrainingData::open(&data, 1).expect("data");
    let config = TeacherConfig {
        model_name_or_path: model(dir.path(), "dense-mean", "bert-relu"),
        head: TeacherHead::Dense,
        query_prompt: Some("問い: ".to_owned()),
        ..TeacherConfig::default()
    };
    let teacher = open_teacher(&config, &data, &mut ()).expect("a teacher");
    let (queries, docs) = data.used();
    let texts = |ids: &[i64], text: &dyn Fn(i64) -> String| -> Vec<String> {
        ids.iter().take(3).map(|id| text(*id)).collect()
    };
    let queries = texts(&queries, &|id| data.query_text(id).expect("a text").into_owned());
    let docs = texts(&docs, &|id| data.doc_text(id).expect("a text").into_owned());
    let borrowed = |texts: &[String]| -> Vec<String> { texts.to_vec() };
    let (q, d) = (borrowed(&queries), borrowed(&docs));
    let q: Vec<&str> = q.iter().map(String::as_str).collect();
    let d: Vec<&str> = d.iter().map(String::as_str).collect();
    let got = teacher.similarities(&q, &d).expect("known");
    let options = SparseEncoderOptions {
        query_prompt: Some("問い: ".to_owned()),
        ..SparseEncoderOptions::default()
    };
    let encoder = DenseEncoder::load(&config.model_name_or_path, &options).expect("a model");
    let mut want = Vec::new();
    for query in &q {
        let query = encoder.encode_query(query).expect("encoded");
        for doc in &d {
            let doc = encoder.encode_document(doc).expect("encoded");
            want.push(encoder.similarity(&query, &doc));
        }
    }
    // A vector does not depend on the other texts of its batch.
    assert_eq!(got, want);
    assert!(teacher.similarities(&["unknown"], &d).is_err());
}

/// A teacher that is wrong, or a loss that has none, is named before the first step.
#[test]
fn teachers_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let dense = model(dir.path(), "dense-mean", "bert-relu");
    let vectors = dir.path().join("others");
    std::fs::create_dir(&vectors).expect("made");
    for (name, teacher, more, expected) in [
        ("sparse", format!("{{model_name_or_path: {MODEL}}}"), "", "not dense vectors"),
        (
            "colbert",
            format!("{{model_name_or_path: {dense}, by: colbert}}"),
            "",
            "not a vector for each token",
        ),
        ("none", "null".to_owned(), "", "in_batch_kldiv needs a teacher that makes vectors"),
        ("word", format!("{{model_name_or_path: {dense}, by: bm25}}"), "", "model.teacher.by"),
        (
            "unused",
            format!("{{model_name_or_path: {dense}}}"),
            "  teacher_temperatures: null\n  training_loss: in_batch_negatives\n",
            "model.teacher: no loss of training.training_loss uses the vectors",
        ),
    ] {
        let (output, mut call) = taught(dir.path(), name, &teacher, "");
        if !more.is_empty() {
            call.push("training.training_loss=in_batch_negatives".to_owned());
            call.push("~training.teacher_temperatures".to_owned());
        }
        let message = failure(&called(&call), 1);
        assert!(message.contains(expected), "{name}: {message}");
        assert!(!output.exists(), "{name}");
    }
}
