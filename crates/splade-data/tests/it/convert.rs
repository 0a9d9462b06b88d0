//! Compares conversions with the slow ones of scripts/reference/conversions.py
//! (tests/fixtures/convert): every file byte for byte, except random choices, which must be among
//! the allowed ones.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_data::DataError;
use splade_data::convert::{
    BeirOptions, Conversion, JoinOptions, MmarcoFiles, MmarcoOptions, MsMarcoFiles, MsMarcoOptions,
    Purpose, SquadOptions, convert, made_with,
};
use splade_io::{Event, Observer};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert")
}

/// Converts into a new folder and returns it with its path and the notes.
fn run(source: &Conversion) -> (tempfile::TempDir, PathBuf, Vec<String>) {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    let settings = json!({"made": "by a test"});
    let converted = convert(source, &out, &settings, false, &mut ());
    let notes = converted.expect("converted").notes;
    assert_eq!(made_with(&out), Some(settings));
    (dir, out, notes)
}

/// An observer that asks to stop after a number of calls.
struct Patience(u32);

impl Observer for Patience {
    fn event(&mut self, _: Event<'_>) {}

    fn stop(&mut self) -> bool {
        let is_over = self.0 == 0;
        self.0 = self.0.saturating_sub(1);
        is_over
    }
}

fn names(dir: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

/// Returns the decompressed files below a folder by path.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![dir.to_path_buf()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("listed");
            waiting.extend(entries.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let mut bytes = std::fs::read(&path).expect("read");
        if path.extension().is_some_and(|end| end == "gz") {
            let packed = std::mem::take(&mut bytes);
            let mut gz = flate2::read::GzDecoder::new(&packed[..]);
            gz.read_to_end(&mut bytes).expect("unpacked");
        }
        let name = path.strip_prefix(dir).expect("below").to_string_lossy().into_owned();
        files.insert(name, bytes);
    }
    files
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Compares the output with the expected files of a source and returns the files that are not among
/// them.
fn compare(out: &Path, expected: &str) -> BTreeMap<String, Vec<u8>> {
    let mut got = files(out);
    got.remove("convert.json");
    for (name, want) in files(&fixtures().join("expected").join(expected)) {
        if name == "drawn.json" {
            continue;
        }
        let own = got.remove(&name).unwrap_or_else(|| panic!("{expected}: no {name}"));
        assert_eq!(text(&own), text(&want), "{expected}: {name}");
    }
    got
}

fn mmarco(purpose: Purpose, max_negatives: usize) -> MmarcoOptions {
    let dir = fixtures().join("mmarco");
    let files = MmarcoFiles::find(&dir, "japanese", "google", [None; 4]).expect("files");
    MmarcoOptions { files, purpose, max_negatives, seed: 42 }
}

#[test]
fn mmarco_for_triplets() {
    let by_ids = mmarco(Purpose::Triplet, 0);
    let mut by_texts = by_ids.clone();
    by_texts.files.triples = fixtures().join("mmarco-texts/triples.train.small.tsv");
    let mut left_out = Vec::new();
    for options in [by_ids, by_texts] {
        let (_dir, out, notes) = run(&Conversion::Mmarco(options));
        assert_eq!(compare(&out, "mmarco-triplet").keys().next(), None);
        left_out.extend(notes.into_iter().filter(|note| note.contains("unknown")));
    }
    // One of the texts was unknown.
    assert!(left_out[1] == "skipped 1 triple with an unknown query or document", "{left_out:?}");
    assert_ne!(left_out[0], left_out[1]);
}

/// A value of the few pickle instructions that the training pairs consist of.
#[derive(Debug, Clone, PartialEq)]
enum Pickled {
    Mark,
    Int(u8),
    Text(String),
    List(Vec<Pickled>),
    Dict(Vec<(Pickled, Pickled)>),
    Tuple(Vec<Pickled>),
}

/// Evaluates the instructions as Python's `pickletools` documents them.
fn unpickle(mut code: &[u8]) -> Pickled {
    use Pickled::{Dict, Int, List, Mark, Text, Tuple};
    let mut take = |n: usize| {
        let (taken, rest) = code.split_at(n);
        code = rest;
        taken
    };
    let (mut stack, mut memo): (Vec<Pickled>, Vec<Pickled>) = (Vec::new(), vec![Mark]);
    let since_mark = |stack: &mut Vec<Pickled>| {
        let at = stack.iter().rposition(|value| *value == Mark).expect("a mark");
        let items = stack.split_off(at + 1);
        stack.pop();
        items
    };
    assert_eq!(take(2), b"\x80\x02");
    loop {
        match take(1)[0] {
            b']' => stack.push(List(Vec::new())),
            b'}' => stack.push(Dict(Vec::new())),
            b'(' => stack.push(Mark),
            b'K' => stack.push(Int(take(1)[0])),
            b'X' => {
                let length = u32::from_le_bytes(take(4).try_into().expect("4 bytes"));
                stack.push(Text(text(take(length as usize))));
            }
            b'q' => memo[usize::from(take(1)[0])] = stack.last().expect("a value").clone(),
            b'h' => stack.push(memo[usize::from(take(1)[0])].clone()),
            b'a' => {
                let item = stack.pop().expect("an item");
                let Some(List(list)) = stack.last_mut() else { panic!("no list") };
                list.push(item);
            }
            b'e' => {
                let items = since_mark(&mut stack);
                let Some(List(list)) = stack.last_mut() else { panic!("no list") };
                list.extend(items);
            }
            b'u' => {
                let items = since_mark(&mut stack);
                let Some(Dict(dict)) = stack.last_mut() else { panic!("no dict") };
                dict.extend(items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
            }
            op @ (0x86 | 0x87) => {
                let items = stack.split_off(stack.len() - usize::from(op - 0x84));
                stack.push(Tuple(items));
            }
            b'.' => return stack.pop().expect("a value"),
            op => panic!("instruction 0x{op:02x}"),
        }
    }
}

fn list(value: &Value) -> Vec<Pickled> {
    let texts = value.as_array().expect("a list").iter();
    texts.map(|text| Pickled::Text(text.as_str().expect("a text").to_owned())).collect()
}

#[test]
fn mmarco_for_distillation() {
    let drawn = fixtures().join("expected/mmarco-distil/drawn.json");
    let drawn = std::fs::read(drawn).expect("a file");
    let drawn: Value = serde_json::from_slice(&drawn).expect("JSON");
    for max_negatives in [0, 3, 40] {
        let (_dir, out, notes) = run(&Conversion::Mmarco(mmarco(Purpose::Distil, max_negatives)));
        assert!(notes.iter().any(|note| note.contains("queries without a negative")), "{notes:?}");
        let rest = compare(&out, "mmarco-distil");
        let [pairs, scores] =
            ["cross-encoder-training-pairs.pkl.gz", "hard-negatives-init-scores.ndjson.gz"];
        assert_eq!(rest.keys().collect::<Vec<_>>(), [pairs, scores]);

        let wanted = |of: usize| match max_negatives {
            0 => of,
            max => of.min(max),
        };
        let mut expected = drawn["scores"].as_object().expect("an object").clone();
        for line in text(&rest[scores]).lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let all = expected.remove(&line["qid"].to_string()).expect("a query, once");
            let keys = line["scores"].as_object().expect("an object").keys();
            let docs: Vec<i64> = keys.map(|key| key.parse().expect("an id")).collect();
            let [good, bad] = [0, 1]
                .map(|i| -> Vec<i64> { serde_json::from_value(all[i].clone()).expect("ids") });
            let (own, negatives) = docs.split_at(good.len());
            assert_eq!(own, good);
            assert_eq!(negatives.len(), wanted(bad.len()));
            assert!(negatives.iter().all(|doc| bad.contains(doc)));
            assert!(line["scores"].as_object().expect("").values().all(|score| *score == 1.0));
        }
        assert!(expected.is_empty());

        let Pickled::Tuple(parts) = unpickle(&rest[pairs]) else { panic!("no tuple") };
        let [Pickled::List(dev), Pickled::List(train)] = &parts[..] else { panic!("no lists") };
        let samples = &drawn["samples"];
        let want: Vec<Pickled> = samples["dev"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|sample| {
                let key = |name: &str| Pickled::Text(name.to_owned());
                let query = Pickled::Text(sample["query"].as_str().expect("a text").to_owned());
                Pickled::Dict(vec![
                    (key("query"), query),
                    (key("positive"), Pickled::List(list(&sample["positive"]))),
                    (key("negative"), Pickled::List(list(&sample["negative"]))),
                ])
            })
            .collect();
        assert_eq!(*dev, want);
        let mut by_query: BTreeMap<String, [Vec<Pickled>; 2]> = BTreeMap::new();
        for sample in train {
            let Pickled::Tuple(sample) = sample else { panic!("no tuple") };
            let [Pickled::Text(query), doc, Pickled::Int(label)] = &sample[..] else {
                panic!("no sample")
            };
            let own = by_query.entry(query.clone()).or_default();
            own[usize::from(1 - label)].push(doc.clone());
        }
        let expected = samples["train"].as_object().expect("an object");
        assert_eq!(by_query.len(), expected.len());
        for (query, [positives, negatives]) in by_query {
            let (good, bad) = (list(&expected[&query][0]), list(&expected[&query][1]));
            assert_eq!(positives, good);
            assert_eq!(negatives.len(), wanted(bad.len()));
            assert!(negatives.iter().all(|doc| bad.contains(doc)));
        }
    }
}

#[test]
fn what_is_drawn_depends_on_the_seed_alone() {
    let scores = |seed| {
        let options = MmarcoOptions { seed, ..mmarco(Purpose::Distil, 2) };
        let (_dir, out, _) = run(&Conversion::Mmarco(options));
        files(&out)["hard-negatives-init-scores.ndjson.gz"].clone()
    };
    assert_eq!(scores(1), scores(1));
    assert_ne!(scores(1), scores(2));
}

fn msmarco(hard_negatives: Option<&str>, triples: Option<&str>) -> MsMarcoOptions {
    let dir = fixtures().join("msmarco");
    let path = |name: Option<&str>| name.map(|name| dir.join(name));
    MsMarcoOptions {
        files: MsMarcoFiles::find(&dir).expect("files"),
        triples: path(triples),
        hard_negatives: path(hard_negatives),
        max_negatives: 0,
        validation_docs: 0,
        seed: 42,
    }
}

const TEACHER: &str = "hard-negatives-cross-encoder-scores.ndjson.gz";
const INIT: &str = "hard-negatives-init-scores.ndjson.gz";

#[test]
fn ms_marco_with_scores_of_every_form() {
    for name in [
        "scores-2.pkl.gz",
        "scores-5.pkl.gz",
        "scores-text.pkl.gz",
        "run.json",
        "ours.ndjson",
        "run.trec",
        "opensearch.jsonl",
        "sentence-transformers.jsonl",
        "naver.tsv",
        "naver-ids.tsv",
        "margins.tsv",
    ] {
        // The output is complete with triplets, too.
        let options = msmarco(Some(name), Some("qidpidtriples.tsv.gz"));
        let (_dir, out, notes) = run(&Conversion::MsMarco(options));
        // The file is renamed to the name of the expected file.
        std::fs::rename(out.join(TEACHER), out.join("scores.ndjson.gz")).expect("renamed");
        let mut got = files(&out);
        let scores = got.remove("scores.ndjson.gz").expect("scores");
        std::fs::remove_file(out.join("scores.ndjson.gz")).expect("removed");
        std::fs::write(out.join("scores.ndjson"), scores).expect("written");
        let rest = compare(&out, "msmarco");
        assert_eq!(rest.keys().next(), None, "{name}");
        assert!(notes.iter().any(|note| note.contains("2 queries without")), "{name}: {notes:?}");
    }
}

/// Texts of a file of scores are found as they are in the collection, where halves of surrogate pairs
/// are U+FFFD.
#[test]
fn halves_of_surrogate_pairs_in_scores() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("some.jsonl");
    let known = "{\"qid\": 100, \"scores\": {\"40\": 1.5, \"41\": 0.5}, \"note\": \"\\ud83d\"}\n";
    let unknown = "{\"query\": \"a\\ude00\", \"docs\": [\"b\"], \"scores\": [1]}\n";
    std::fs::write(&path, [known, unknown].concat()).expect("written");
    let mut options = msmarco(None, None);
    options.hard_negatives = Some(path);
    let (_dir, _, notes) = run(&Conversion::MsMarco(options));
    for want in ["read 2 halved surrogate pairs as U+FFFD", "skipped 1 pair with an unknown"] {
        assert!(notes.iter().any(|note| note.starts_with(want)), "{want}: {notes:?}");
    }
}

#[test]
fn ms_marco_with_negatives_that_have_no_scores() {
    let mut options = msmarco(Some("hard-negatives.jsonl"), None);
    options.max_negatives = 2;
    let (_dir, out, _) = run(&Conversion::MsMarco(options));
    let got = files(&out);
    let expected = std::fs::read(fixtures().join("expected/msmarco/scores.ndjson")).expect("read");
    let (got, expected) = (text(&got[INIT]), text(&expected));
    assert_eq!(got.lines().count(), expected.lines().count());
    for (got, want) in got.lines().zip(expected.lines()) {
        let [got, want] =
            [got, want].map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        assert_eq!(got["qid"], want["qid"]);
        let positives = if got["qid"].as_i64().expect("an id") % 2 == 0 { 1 } else { 2 };
        let scores = got["scores"].as_object().expect("an object");
        assert_eq!(scores.len(), positives + 2);
        assert!(scores.iter().all(|(doc, one)| *one == 1.0 && want["scores"].get(doc).is_some()));
    }
}

#[test]
fn where_some_pairs_have_scores_the_others_are_not_used() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("some.jsonl");
    let line =
        "{\"qid\": 100, \"pos\": [], \"neg\": {\"a\": [40, {\"pid\": 41, \"ce-score\": 2.5}]}}\n";
    std::fs::write(&path, line).expect("written");
    let mut options = msmarco(None, None);
    options.hard_negatives = Some(path);
    let (_dir, out, notes) = run(&Conversion::MsMarco(options));
    assert!(
        notes.iter().any(|note| note.starts_with("left out 1 pair without a score")),
        "{notes:?}"
    );
    let scores = text(&files(&out)[TEACHER]);
    // The positive gets the best score of the negatives.
    let expected = serde_json::from_str::<Value>(&scores).expect("one line");
    let expected = expected["scores"].as_object().expect("an object");
    assert_eq!(expected.len(), 2);
    assert!(expected.get("41").is_some() && expected.values().all(|score| *score == 2.5));
}

#[test]
fn ms_marco_to_be_mined_has_every_document() {
    let mut options = msmarco(None, None);
    options.validation_docs = 5;
    let (_dir, out, _) = run(&Conversion::MsMarco(options));
    let got = files(&out);
    let lines = |name: &str| text(&got[name]).lines().count();
    assert_eq!(lines("train/doc_master.ndjson"), 50);
    assert_eq!(lines("train/query_master.ndjson"), 12);
    // There are three positives and five drawn documents, which may be among the positives.
    assert!((5..=8).contains(&lines("validation/doc_master.ndjson")));
    assert_eq!(got.len(), 7);
}

#[test]
fn beir_and_squad() {
    let beir = |train: &str| BeirOptions {
        dir: fixtures().join("beir"),
        train: train.to_owned(),
        validation: None,
        judged_only: false,
    };
    let (_dir, out, notes) = run(&Conversion::Beir(beir("train")));
    assert_eq!(compare(&out, "beir").keys().next(), None);
    for want in [
        "train is the split train, validation test",
        "train: skipped 1 judgement of unknown queries or documents",
        "train: skipped 1 query without a positive grade",
        "validation: skipped 1 judgement of unknown queries or documents",
    ] {
        assert!(notes.iter().any(|note| note == want), "{want}: {notes:?}");
    }
    let options = SquadOptions::find(&fixtures().join("squad"), true).expect("files");
    let (_dir, out, notes) = run(&Conversion::Squad(options));
    assert_eq!(compare(&out, "squad").keys().next(), None);
    assert_eq!(notes.last().expect("a note"), "skipped 1 question without an answer");
}

/// With `judged_only`, train keeps the documents that its qrels name, in the order of the corpus.
#[test]
fn train_without_unjudged_documents() {
    let options = |judged_only| BeirOptions {
        dir: fixtures().join("beir"),
        train: "test".to_owned(),
        validation: Some("train".to_owned()),
        judged_only,
    };
    let (_all, all, _) = run(&Conversion::Beir(options(false)));
    let (_judged, judged, notes) = run(&Conversion::Beir(options(true)));
    let qrels = std::fs::read_to_string(fixtures().join("beir/qrels/test.tsv")).expect("read");
    let named: Vec<&str> = qrels.lines().skip(1).filter_map(|l| l.split('\t').nth(1)).collect();
    let (all, judged) = (files(&all), files(&judged));
    let numbers = text(&all["doc_ids.tsv"]);
    let number = |line: &str| -> i64 {
        serde_json::from_str::<Value>(line).expect("JSON")["doc_id"].as_i64().expect("an id")
    };
    let is_named = |line: &&str| {
        let id = number(line).to_string();
        numbers.lines().any(|row| {
            row.split_once('\t').is_some_and(|(n, name)| n == id && named.contains(&name))
        })
    };
    let whole = text(&all["train/doc_master.ndjson"]);
    let want: Vec<&str> = whole.lines().filter(is_named).collect();
    assert!(!want.is_empty() && want.len() < whole.lines().count());
    assert_eq!(text(&judged["train/doc_master.ndjson"]).lines().collect::<Vec<_>>(), want);
    assert!(notes.iter().any(|note| note.contains(&format!("{} documents", want.len()))));
    for name in ["train/query_master.ndjson", "validation/doc_master.ndjson", "doc_ids.tsv"] {
        assert_eq!(judged[name], all[name], "{name}");
    }
}

#[test]
fn joined_folders_hold_all_and_no_id_twice() {
    let (_a, a, _) = run(&Conversion::Squad(
        SquadOptions::find(&fixtures().join("squad"), true).expect("files"),
    ));
    let (_b, b, _) = run(&Conversion::Beir(BeirOptions {
        dir: fixtures().join("beir"),
        train: "train".to_owned(),
        validation: None,
        judged_only: false,
    }));
    let (_joined, joined, _) =
        run(&Conversion::Join(JoinOptions { dirs: vec![a.clone(), b.clone()] }));
    let [a, b, joined] = [a, b, joined].map(|dir| files(&dir));
    let rows = |of: &BTreeMap<String, Vec<u8>>, name: &str| -> Vec<Value> {
        let lines = text(&of[name]);
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let masters = ["train/doc_master", "train/query_master", "validation/doc_master"];
    let largest = |of: &BTreeMap<String, Vec<u8>>, pick: fn(i64, i64) -> i64, start| {
        let all = masters.iter().chain(&["validation/query_master"]);
        let ids = all.flat_map(|name| rows(of, &format!("{name}.ndjson")));
        ids.map(|row| row["doc_id"].as_i64().or(row["qid"].as_i64()).expect("an id"))
            .fold(start, pick)
    };
    let raise = largest(&a, i64::max, i64::MIN) + 1 - largest(&b, i64::min, i64::MAX);
    for part in ["train", "validation"] {
        for name in ["doc_master", "query_master", "positive_lists"] {
            let name = format!("{part}/{name}.ndjson");
            let mut want = rows(&a, &name);
            for mut row in rows(&b, &name) {
                for field in ["doc_id", "qid"] {
                    if let Some(id) = row[field].as_i64() {
                        row[field] = (id + raise).into();
                    }
                }
                for id in row["positive_doc_ids"].as_array_mut().into_iter().flatten() {
                    *id = (id.as_i64().expect("an id") + raise).into();
                }
                row.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
                want.push(row);
            }
            assert_eq!(rows(&joined, &name), want, "{name}");
        }
    }
}

#[test]
fn failures_leave_nothing_behind() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    let bad = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let with = |change: &dyn Fn(&mut MsMarcoOptions)| {
        let mut options = msmarco(None, None);
        change(&mut options);
        Conversion::MsMarco(options)
    };
    let hard = |name: &str, bytes: &[u8]| {
        let path = bad(name, bytes);
        with(&|options| options.hard_negatives = Some(path.clone()))
    };
    let triples = bad("triples.tsv", b"100\t1\t2\n100\t1\n");
    let collection = bad("collection.tsv", b"0\tx\n1 y\n");
    let split = BeirOptions {
        dir: fixtures().join("beir"),
        train: "dev".to_owned(),
        validation: None,
        judged_only: false,
    };
    let cases = [
        (hard("a.pkl", b"\x80\x02cos\nsystem\n."), "a.pkl: pickle instruction 0x63 is not that of"),
        (hard("b.json", b"{\"100\": {\"1\": \"x\"}}"), "b.json: invalid type: string \"x\""),
        (hard("c.jsonl", b"{\"qid\": 100}\n"), "c.jsonl, line 1: expected scores, or pos and neg"),
        (hard("d.jsonl", b"{\"query\": \"q\", \"docs\": [\"a\"], \"scores\": []}"), "not as many"),
        (hard("e.run", b"100 Q0 1 1 2\n"), "e.run, line 1: expected the six fields of a TREC run"),
        (hard("f.run", b"1 Q0 1 1 2 t\n"), "f.run: no pair has a query and a document that are"),
        (
            hard("g.run", b"100 Q0 1 1 inf t\n"),
            "line 1: a score is inf, which is not a finite number",
        ),
        (with(&|options| options.triples = Some(triples.clone())), "triples.tsv, line 2: expected"),
        (with(&|options| options.files.collection = collection.clone()), "got \"1 y\""),
        (Conversion::Beir(split), "there is no file qrels/dev.tsv; the splits are: test, train"),
        (
            Conversion::Squad(SquadOptions {
                train: vec![triples.clone()],
                dev: vec![],
                titles: true,
            }),
            "triples.tsv: it does not have the form of SQuAD",
        ),
    ];
    let before = names(dir.path());
    for (source, want) in cases {
        let failed = convert(&source, &out, &Value::Null, false, &mut ());
        let error = failed.expect_err(want).to_string();
        assert!(error.contains(want), "{error}");
        assert_eq!(names(dir.path()), before);
    }
    // The conversion is stopped after each possible number of steps.
    for steps in 0.. {
        let mut patience = Patience(steps);
        let source = Conversion::Mmarco(mmarco(Purpose::Distil, 3));
        match convert(&source, &out, &Value::Null, false, &mut patience) {
            Err(error) => assert!(matches!(error, DataError::Stopped), "{error}"),
            Ok(_) => break,
        }
        assert_eq!(names(dir.path()), before);
    }
    assert!(out.join("convert.json").is_file());
}
