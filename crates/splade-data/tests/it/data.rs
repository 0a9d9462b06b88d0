//! Compares training data with the Python library's data sets (tests/fixtures/data/python.json,
//! made by scripts/reference/training_data.py), and checks the guarantees of sampling.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rayon::prelude::*;
use serde_json::{Value, json};
use splade_data::DataConfig;
use splade_data::DataError;
use splade_data::{FolderCheck, Sample, TrainingData, ValidationData};

const FILES: [&str; 5] =
    ["query_master", "doc_master", "positive_lists", "triplets", "hard_negative_scores"];

/// A temporary folder of files, which is removed when the value is dropped.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        for (name, bytes) in files {
            std::fs::write(folder.path(name), bytes).expect("written");
        }
        folder
    }

    fn of_rows<'a>(files: impl IntoIterator<Item = (&'a str, Vec<Value>)>) -> Self {
        let lines =
            |rows: Vec<Value>| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
        Self::new(files.into_iter().map(|(name, rows)| (name, lines(rows).into_bytes())))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.ndjson"))
    }

    fn triplets(&self) -> DataConfig {
        let triplets = Some(self.path("triplets"));
        DataConfig { train_triplets: triplets, hard_negative_scores: None, ..self.distillation(1) }
    }

    fn distillation(&self, negatives: usize) -> DataConfig {
        DataConfig {
            train_doc_master: self.path("doc_master"),
            train_query_master: self.path("query_master"),
            train_positives: self.path("positive_lists"),
            hard_negative_scores: Some(self.path("hard_negative_scores")),
            negatives_per_query: negatives,
            shuffle: true,
            ..DataConfig::default()
        }
    }

    fn validation(&self) -> DataConfig {
        DataConfig {
            validation_doc_master: Some(self.path("doc_master")),
            validation_query_master: Some(self.path("query_master")),
            validation_positives: Some(self.path("positive_lists")),
            ..DataConfig::default()
        }
    }
}

/// Writes a valid set: query `q` of `queries` has the positives `10 q` and `10 q + 1`, and scores
/// of these and the next six documents.
fn sound(queries: i64) -> Folder {
    let all = |make: &dyn Fn(i64) -> Value| (0..queries).map(make).collect::<Vec<_>>();
    let docs = (0..10 * queries + 20).map(|d| json!({"doc_id": d, "text": format!("d{d}")}));
    Folder::of_rows([
        ("query_master", all(&|q| json!({"qid": q, "text": format!("q{q}")}))),
        ("doc_master", docs.collect()),
        ("positive_lists", all(&|q| json!({"qid": q, "positive_doc_ids": [10 * q, 10 * q + 1]}))),
        ("triplets", all(&|q| json!({"qid": q, "pos_doc_id": 10 * q, "neg_doc_id": 10 * q + 5}))),
        (
            "hard_negative_scores",
            all(&|q| {
                let scores: serde_json::Map<_, _> =
                    (10 * q..10 * q + 8).map(|d| (d.to_string(), json!(d as f64 / 8.0))).collect();
                json!({"qid": q, "scores": scores})
            }),
        ),
    ])
}

fn epoch(data: &TrainingData, epoch: u64) -> Vec<Sample> {
    (0..data.len()).map(|position| data.sample(epoch, position)).collect()
}

fn message(result: Result<impl Sized, DataError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn without_shuffling_samples_come_as_they_stand() {
    let folder = sound(20);
    for config in [folder.triplets(), folder.distillation(1)] {
        let config = DataConfig { shuffle: false, eval_loss_size: 5, ..config };
        let data = TrainingData::open(&config, 7).expect("sound data");
        for e in [0, 3] {
            let queries: Vec<i64> = epoch(&data, e).iter().map(|sample| sample.query).collect();
            assert_eq!(queries, (0..15).collect::<Vec<_>>());
        }
        let held_out: Vec<i64> = (0..5).map(|i| data.held_out_sample(i).query).collect();
        assert_eq!(held_out, (15..20).collect::<Vec<_>>());
    }
}

#[test]
fn says_what_the_python_library_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/python.json");
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(path).expect("the fixture")).expect("JSON");
    assert_eq!(cases.len(), 11);
    for case in cases {
        let rows = |name| case["files"][name].as_array().expect("lines").iter();
        let lines = |name| rows(name).map(|row| row.as_str().expect("a line").to_owned() + "\n");
        let folder = Folder::new(FILES.map(|name| (name, lines(name).collect::<String>().into())));
        for (kind, config) in
            [("triplets", folder.triplets()), ("distillation", folder.distillation(1))]
        {
            let (want, name) = (&case[kind], &case["name"]);
            let data = match (TrainingData::open(&config, 0), want["error"].as_str()) {
                (Ok(data), None) => data,
                (Err(error), Some(want)) => {
                    let got = error.to_string();
                    let found = got.lines().any(|line| {
                        line.strip_prefix(&format!("  {want} (")).is_some_and(|rest| {
                            rest.contains(".ndjson, line ") && rest.ends_with(')')
                        })
                    });
                    assert!(found, "{name}: {want:?} is not in {got}");
                    continue;
                }
                (result, want) => panic!("{name}, {kind}: {:?} for {want:?}", result.map(|_| ())),
            };
            assert_eq!(json!(data.len()), want["len"]);
            let text = |text: Result<_, DataError>| -> String {
                let text: std::borrow::Cow<'_, str> = text.expect("a text");
                text.into_owned()
            };
            // The number of epochs is large enough to find every sample; the test fails wrongly for
            // one in 10^20 seeds.
            let got: BTreeSet<String> = (0..300)
                .flat_map(|e| epoch(&data, e))
                .map(|sample| {
                    let mut row = vec![
                        json!(text(data.query_text(sample.query))),
                        json!(text(data.doc_text(sample.positive))),
                        json!(text(data.doc_text(sample.negatives[0]))),
                    ];
                    row.extend(sample.teacher_scores.into_iter().flatten().map(|s| json!(s)));
                    json!(row).to_string()
                })
                .collect();
            let want = want["samples"].as_array().expect("samples").iter().map(|row| {
                let row = row.as_array().expect("a sample").iter();
                let number = |v: &Value| v.as_f64().map(|score| json!(score as f32));
                json!(row.map(|v| number(v).unwrap_or(v.clone())).collect::<Vec<_>>()).to_string()
            });
            assert_eq!(got, want.collect(), "{name}");
        }
    }
}

#[test]
fn an_epoch_has_every_sample_once_and_another_order_each_time() {
    let folder = sound(50);
    for config in [folder.triplets(), folder.distillation(1)] {
        let config = DataConfig { eval_loss_size: 7, ..config };
        let data = TrainingData::open(&config, 1).expect("sound");
        assert_eq!((data.len(), data.held_out(), data.negatives()), (43, 7, 1));
        let held: BTreeSet<i64> = (0..7).map(|i| data.held_out_sample(i).query).collect();
        let order = |e| epoch(&data, e).iter().map(|s| s.query).collect::<Vec<_>>();
        let want: BTreeSet<i64> = (0..50).filter(|q| !held.contains(q)).collect();
        assert_eq!((held.len(), want.len()), (7, 43));
        for e in 0..3 {
            assert_eq!(order(e).len(), 43);
            assert_eq!(order(e).into_iter().collect::<BTreeSet<_>>(), want);
            assert_ne!(order(e), order(e + 1));
        }
        let other = TrainingData::open(&config, 2).expect("sound");
        assert_ne!(epoch(&other, 0), epoch(&data, 0));
        let other: BTreeSet<i64> = (0..7).map(|i| other.held_out_sample(i).query).collect();
        assert_ne!(other, held);
    }
}

#[test]
fn samples_do_not_depend_on_threads_or_on_each_other() {
    let folder = sound(40);
    let config = DataConfig { eval_loss_size: 4, ..folder.distillation(3) };
    let data = TrainingData::open(&config, 9).expect("sound");
    let want: Vec<_> = (0..4).map(|e| epoch(&data, e)).collect();
    let held: Vec<_> = (0..4).map(|i| data.held_out_sample(i)).collect();
    let again = TrainingData::open(&config, 9).expect("sound");
    let got: Vec<Vec<Sample>> = (0..4)
        .into_par_iter()
        .map(|e| {
            let mut samples: Vec<_> =
                (0..again.len()).into_par_iter().rev().map(|i| again.sample(e, i)).collect();
            samples.reverse();
            samples
        })
        .collect();
    assert_eq!(got, want);
    assert_eq!((0..4).map(|i| again.held_out_sample(i)).collect::<Vec<_>>(), held);
}

#[test]
fn a_draw_depends_on_the_query_and_not_on_its_place_in_the_files() {
    let folder = sound(30);
    let draws = |folder: &Folder| -> BTreeMap<i64, Sample> {
        let data = TrainingData::open(&folder.distillation(2), 3).expect("sound");
        epoch(&data, 5).into_iter().map(|sample| (sample.query, sample)).collect()
    };
    let want = draws(&folder);
    for name in ["query_master", "doc_master", "hard_negative_scores"] {
        let text = std::fs::read_to_string(folder.path(name)).expect("read");
        let lines: Vec<_> = text.lines().rev().collect();
        std::fs::write(folder.path(name), lines.join("\n")).expect("written");
    }
    assert_eq!(draws(&folder), want);
}

#[test]
fn negatives_are_all_used_before_one_is_used_twice() {
    let folder = sound(20);
    for negatives in [1, 4, 6, 8, 13] {
        let data = TrainingData::open(&folder.distillation(negatives), 3).expect("sound");
        assert!(data.has_teacher() && data.negatives() == negatives);
        for sample in epoch(&data, 0) {
            let q = sample.query;
            assert!(sample.positive == 10 * q || sample.positive == 10 * q + 1);
            assert_eq!(sample.negatives.len(), negatives);
            assert!(sample.negatives.iter().all(|d| (10 * q + 2..10 * q + 8).contains(d)));
            let unique = |n: &[i64]| n.iter().collect::<BTreeSet<_>>().len();
            assert_eq!(unique(&sample.negatives[..negatives.min(6)]), negatives.min(6));
            let all = std::iter::once(sample.positive).chain(sample.negatives);
            let want: Vec<f32> = all.map(|d| d as f32 / 8.0).collect();
            assert_eq!(sample.teacher_scores, Some(want));
        }
    }
}

#[test]
fn every_document_is_drawn_as_often() {
    let folder = sound(1);
    let data = TrainingData::open(&folder.distillation(1), 3).expect("sound");
    let mut counts: HashMap<(i64, i64), f64> = HashMap::new();
    for e in 0..12_000 {
        let sample = data.sample(e, 0);
        *counts.entry((sample.positive, sample.negatives[0])).or_default() += 1.0;
    }
    assert_eq!(counts.len(), 2 * 6);
    let chi_square: f64 = counts.values().map(|c| (c - 1000.0).powi(2) / 1000.0).sum();
    // With eleven degrees of freedom, a value above 45 has a probability of one in 10^5.
    assert!(chi_square < 45.0, "{chi_square}");
}

#[test]
fn all_problems_are_counted_with_their_places() {
    let folder = sound(30);
    let triplet = |q: i64, d: i64| json!({"qid": q, "pos_doc_id": 10 * q, "neg_doc_id": d});
    let rows: String = (0..30).map(|q| triplet(q, 900 + q).to_string() + "\n").collect();
    std::fs::write(folder.path("triplets"), rows).expect("written");
    let error = message(TrainingData::open(&folder.triplets(), 0));
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines[0], "the training data has 30 problems; the first 10:");
    assert_eq!(lines.len(), 11);
    for (i, line) in lines[1..].iter().enumerate() {
        let triplet = format!("({i}, {}, {})", 10 * i, 900 + i);
        let place = format!("({}, line {})", folder.path("triplets").display(), i + 1);
        assert_eq!(
            *line,
            format!(
                "  doc_id {} from triplet {triplet} does not exist in document master {place}",
                900 + i
            )
        );
    }
    // An invalid line hides the problems that follow from it.
    std::fs::write(folder.path("positive_lists"), "{\"qid\": \"1\"}\n").expect("written");
    let error = message(TrainingData::open(&folder.triplets(), 0));
    assert!(
        error.starts_with("the training data has a problem:\n  \"qid\" is the text"),
        "{error}"
    );
}

#[test]
fn what_is_odd_is_a_warning() {
    let text = |id: i64| json!({"doc_id": id, "text": if id == 3 { " " } else { "x" }});
    let list = |ids: &[i64]| json!({"qid": 1, "positive_doc_ids": ids});
    let triplet = |p: i64, n: i64| json!({"qid": 1, "pos_doc_id": p, "neg_doc_id": n});
    let scores = json!({"qid": 1, "scores": {"1": 1, "2": 1}});
    let folder = Folder::of_rows([
        ("query_master", vec![json!({"qid": 1, "text": "x"})]),
        ("doc_master", [1, 2, 3, 2].map(text).into()),
        ("positive_lists", [&[1, 1][..], &[1]].map(list).into()),
        ("triplets", vec![triplet(1, 2), triplet(2, 3), triplet(3, 1)]),
        ("hard_negative_scores", vec![scores.clone(), scores]),
    ]);
    let own = |data: &TrainingData| {
        let own = |text: &String| text.replace(&format!("{}/", folder.0.path().display()), "");
        data.warnings().iter().map(own).collect::<Vec<_>>()
    };
    let data = TrainingData::open(&folder.triplets(), 0).expect("odd data");
    assert_eq!(
        own(&data),
        [
            "1 empty text, the first: doc_id 3 (doc_master.ndjson, line 3)",
            "1 positive document in a list twice, the first: doc_id 1 of qid 1 (positive_lists.ndjson, line 1)",
            "2 repeated lines, skipped, the first: doc_id 2 (doc_master.ndjson, line 4)",
            "1 triplet with a negative that is in the query's positive list, the first: (1, 3, 1) (triplets.ndjson, line 3)",
            "2 triplets with a positive that is not in the query's positive list, the first: (1, 2, 3) (triplets.ndjson, line 2)",
        ]
    );
    assert_eq!((data.len(), data.docs().len()), (3, 3));
    let data = TrainingData::open(&folder.distillation(1), 0).expect("odd data");
    assert!(own(&data).iter().any(|warning| warning.starts_with("3 repeated lines")));
    let other = json!({"qid": 1, "scores": {"1": 1, "2": 2}}).to_string();
    let same = std::fs::read_to_string(folder.path("hard_negative_scores")).expect("read");
    std::fs::write(folder.path("hard_negative_scores"), same + &other).expect("written");
    let error = message(TrainingData::open(&folder.distillation(1), 0));
    assert!(error.contains("qid 1 has other scores in an earlier line ("), "{error}");
    assert!(error.ends_with(", line 3)"), "{error}");
}

#[test]
fn settings_that_do_not_fit_are_errors() {
    let folder = sound(3);
    let (triplets, scores) = (folder.triplets(), folder.distillation(1));
    let both = DataConfig { train_triplets: triplets.train_triplets.clone(), ..scores.clone() };
    let cases = [
        (both, "data.hard_negative_scores: "),
        (DataConfig { train_triplets: None, ..triplets.clone() }, "data.train_triplets: "),
        (DataConfig { negatives_per_query: 2, ..triplets.clone() }, "data.negatives_per_query: "),
        (folder.distillation(0), "data.negatives_per_query: "),
        (DataConfig { eval_loss_size: 3, ..triplets.clone() }, "data.eval_loss_size: "),
        (
            DataConfig { train_doc_master: PathBuf::new(), ..triplets.clone() },
            "data.train_doc_master: ",
        ),
        (
            DataConfig { train_triplets: Some("no/such".into()), ..triplets },
            "The data_path `no/such` is not valid",
        ),
    ];
    for (config, want) in cases {
        let got = message(TrainingData::open(&config, 0));
        assert!(got.starts_with(want), "{want:?} for {got:?}");
    }
    std::fs::write(folder.path("triplets"), "\n").expect("written");
    assert!(message(TrainingData::open(&folder.triplets(), 0)).contains("is empty"));
}

#[test]
fn the_validation_set_has_queries_documents_and_qrels() {
    assert!(ValidationData::open(&DataConfig::default()).expect("nothing").is_none());
    let folder = sound(3);
    let data = ValidationData::open(&folder.validation()).expect("sound").expect("a set");
    assert_eq!((data.queries.len(), data.docs.len(), data.positives.len()), (3, 50, 3));
    let grades: Vec<_> = data.positives.get("2").expect("judged").iter().collect();
    assert_eq!(grades, [(&"20".to_owned(), &1), (&"21".to_owned(), &1)]);
    assert_eq!(data.docs.text(21).as_deref(), Some("d21"));
    let part = DataConfig { validation_positives: None, ..folder.validation() };
    assert!(message(ValidationData::open(&part)).starts_with("data.validation_positives: "));
    std::fs::write(folder.path("query_master"), "{\"qid\":5,\"text\":\"\"}").expect("written");
    let error = message(ValidationData::open(&folder.validation()));
    assert!(error.starts_with("the validation data has 4 problems:\n  qid 0 from the"), "{error}");
}

#[test]
fn a_file_that_changes_meanwhile_is_noticed() {
    let folder = sound(2);
    let data = TrainingData::open(&folder.triplets(), 0).expect("sound");
    assert_eq!(data.query_text(1).expect("a text"), "q1");
    let size = std::fs::metadata(folder.path("query_master")).expect("a file").len();
    let file = std::fs::OpenOptions::new().write(true).open(folder.path("query_master"));
    std::io::Write::write_all(&mut file.expect("open"), &vec![b'x'; size as usize]).expect("ok");
    let error = message(data.query_text(1));
    assert!(error.starts_with("the file was changed while it was used: qid 1 "), "{error}");
    assert_eq!(message(data.query_text(9)), "The id 9 does not exist in the master data");
}

#[test]
fn folders_are_checked_without_a_config() {
    let toy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
    let check = FolderCheck::run(&toy.join("train")).expect("a set");
    assert_eq!((check.documents, check.queries, check.positives), (120, 60, 120));
    assert_eq!((check.triplets, check.scores, check.problems), (Some(360), Some(480), 0));
    assert_eq!(check.warnings, [""; 0]);
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/toy_triplet");
    if !shared.is_dir() {
        println!("skipped: {} is not there", shared.display());
        return;
    }
    let train = FolderCheck::run(&shared.join("train")).expect("a set");
    assert_eq!((train.documents, train.queries, train.triplets), (40, 8, Some(32)));
    let validation = FolderCheck::run(&shared.join("validation")).expect("a set");
    assert_eq!((validation.documents, validation.queries), (15, 3));
    assert_eq!((train.problems, validation.problems), (0, 0));
    assert_eq!(validation.shared_ids, [1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damage_never_panics(
        name in prop::sample::select(&FILES[..]),
        at: prop::sample::Index,
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(&b"0123456789\",:{}[]\n"[..])], 0..4),
        removed in 0usize..40,
    ) {
        let folder = sound(3);
        let mut file = std::fs::read(folder.path(name)).expect("read");
        let at = at.index(file.len());
        let end = file.len().min(at + removed);
        file.splice(at..end, bytes);
        std::fs::write(folder.path(name), file).expect("written");
        for config in [folder.triplets(), folder.distillation(2)] {
            if let Ok(data) = TrainingData::open(&config, 0) {
                for sample in epoch(&data, 0) {
                    data.query_text(sample.query).expect("a text");
                    for doc in sample.negatives.into_iter().chain([sample.positive]) {
                        data.doc_text(doc).expect("a text");
                    }
                }
            }
        }
        _ = ValidationData::open(&folder.validation());
        _ = FolderCheck::run(folder.0.path());
    }
}
