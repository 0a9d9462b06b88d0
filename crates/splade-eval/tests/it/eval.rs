//! Compares the evaluation with trec_eval, scipy and BEIR, and checks the reports.
//!
//! `fixtures/metrics.json` is made by `scripts/reference/metrics.py`; `../shared/golden` contains
//! values of light-splade's Python program.
#![allow(clippy::print_stdout, reason = "tests say what they skipped")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_eval::check::check;
use splade_eval::compare::{CompareOptions, compare};
use splade_eval::report::Averaging;
use splade_eval::significance::{randomisation_test, t_test};
use splade_eval::{Dataset, EvaluateOptions, Metric, Qrels, Report, Run, Scored, evaluate};

use crate::common::add_statistics;

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metrics.json");
    json(&path)
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the file");
    serde_json::from_str(&text).expect("JSON")
}

/// `fixtures/mteb` has the layout and the types of data sets at the hub; `fixtures/parquet.py` made
/// it.
#[test]
fn reads_parquet_as_the_hub_has_it() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mteb");
    let set = Dataset::open(&dir).expect("a set");
    let texts = |texts: splade_eval::dataset::Texts| -> Vec<String> {
        texts.map(|text| text.map(|t| format!("{}={}", t.id, t.text)).expect("a text")).collect()
    };
    assert_eq!(texts(set.documents()), ["7=T x", "8=y"]);
    assert_eq!(texts(set.queries()), ["q1=a", "q2=b"]);
    assert_eq!(set.splits().collect::<Vec<_>>(), ["test"]);
    let qrels = set.qrels(None).expect("qrels");
    let rows = qrels.iter().flat_map(|(query, documents)| {
        documents.iter().map(move |(document, grade)| (query, document.as_str(), *grade))
    });
    assert_eq!(rows.collect::<Vec<_>>(), [("q1", "7", 1), ("q1", "8", 0), ("q2", "7", 2)]);
    let error = Qrels::open(&dir.join("corpus/corpus-00000-of-00002.parquet"));
    let error = error.expect_err("no qrels").to_string();
    assert!(error.contains("the columns are: _id, title, text"), "{error}");
}

/// Returns the path of a file or folder beside the repository; if it does not exist, prints a
/// message and returns `None`.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    if !path.exists() {
        println!("skipped: there is no ../shared/{name}");
        return None;
    }
    Some(path)
}

fn metrics(names: &[&str]) -> Vec<Metric> {
    names.iter().map(|name| name.parse().expect(name)).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn object(value: &Value) -> &serde_json::Map<String, Value> {
    value.as_object().expect("an object")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Compares two numbers with a tolerance of 1e-9, because both programs add the same few numbers in
/// f64 in a different order.
fn close(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() < 1e-9, "{what}: {got}, expected {want}");
}

#[test]
fn equals_trec_eval() {
    let fixture = fixture();
    for case in list(&fixture["cases"]) {
        let name = text(&case["name"]);
        let qrels = Qrels::read(text(&case["qrels"]).as_bytes(), "qrels").expect(name);
        let run = Run::read(text(&case["run"]).as_bytes(), "run").expect(name);
        let names: Vec<&String> = object(&case["mean_found"]).keys().collect();
        let metrics: Vec<Metric> = names.iter().map(|name| name.parse().expect(name)).collect();
        assert!(metrics.len() > 20, "{name}");
        for (averaging, means) in
            [(Averaging::JudgedAndFound, "mean_found"), (Averaging::Judged, "mean_judged")]
        {
            let options = EvaluateOptions { averaging, ..EvaluateOptions::default() };
            let report = evaluate(&qrels, &run, &metrics, &options).expect(name);
            for (i, metric) in names.iter().enumerate() {
                let want = number(&case[means][metric.as_str()]);
                close(report.means[i], want, &format!("{name}, {means}, {metric}"));
            }
            let expected = object(&case["queries"]);
            let counted: Vec<_> = report.queries.iter().map(|q| q.query.as_str()).collect();
            match averaging {
                Averaging::JudgedAndFound => {
                    assert_eq!(counted, expected.keys().collect::<Vec<_>>(), "{name}");
                }
                Averaging::Judged => assert_eq!(counted.len(), qrels.len(), "{name}"),
            }
            for query in &report.queries {
                for (metric, value) in names.iter().zip(&query.values) {
                    let want =
                        expected.get(&query.query).map_or(0.0, |v| number(&v[metric.as_str()]));
                    close(*value, want, &format!("{name}, query {}, {metric}", query.query));
                }
            }
        }
    }
}

#[test]
fn equals_scipy() {
    let fixture = fixture();
    for test in list(&fixture["tests"]) {
        let name = text(&test["name"]);
        let values = |key: &str| list(&test[key]).iter().map(number).collect::<Vec<_>>();
        let (baseline, other) = (values("baseline"), values("other"));
        let differences: Vec<_> = other.iter().zip(&baseline).map(|(a, b)| a - b).collect();
        let t = t_test(&differences).expect(name);
        let (want_t, want_p) = (number(&test["t"]), number(&test["p_t"]));
        assert!((t.t / want_t - 1.0).abs() < 1e-9, "{name}: {t:?}");
        // The comparison is relative because one of the values is 1e-107.
        assert!((t.p / want_p - 1.0).abs() < 1e-9, "{name}: {t:?}, expected {want_p}");
        assert_eq!(t.degrees_of_freedom as usize, differences.len() - 1);
        if let Some(exact) = test.get("p_exact") {
            let result = randomisation_test(&differences, 1 << 15, 0);
            assert!(result.exact, "{name}");
            close(result.p, number(exact), name);
        } else {
            // With many queries, the normal distribution of the t-test is close. 20,000 samples
            // have a standard deviation of at most 0.0036; the rest of the tolerance is the
            // difference between the two tests.
            let result = randomisation_test(&differences, 20_000, 0);
            assert!(!result.exact && (result.p - want_p).abs() < 0.02, "{name}: {result:?}");
        }
    }
}

/// Converts golden results, which are lists, into a run; as in light-splade, earlier documents get
/// larger scores.
fn ranked(results: &Value) -> Run {
    let mut run = Run::default();
    for (query, documents) in object(results) {
        let documents = list(documents);
        let scored = documents.iter().enumerate().map(|(i, document)| Scored {
            document: text(document).to_owned(),
            score: (documents.len() - i) as f32,
        });
        run.insert(query, scored.collect()).expect("a ranking");
    }
    run
}

fn golden_qrels(value: &Value) -> Qrels {
    let mut qrels = Qrels::default();
    for (query, documents) in object(value) {
        for document in list(documents) {
            assert!(qrels.insert(query, text(document), 1));
        }
    }
    qrels
}

fn check_golden(case: &Value, expected: &Value, options: &EvaluateOptions) {
    let (qrels, run) = (golden_qrels(&case["qrels"]), ranked(&case["results"]));
    let names: Vec<&str> = object(expected).keys().map(String::as_str).collect();
    let report = evaluate(&qrels, &run, &metrics(&names), options).expect("a report");
    for (name, mean) in names.iter().zip(&report.means) {
        // BEIR rounds to five decimals.
        let want = number(&expected[*name]);
        assert!((mean - want).abs() < 5.1e-6, "{name}: {mean}, expected {want}");
    }
}

#[test]
fn equals_light_splade_in_python() {
    let Some(path) = shared("golden/metrics.json") else { return };
    let golden = json(&path);
    let as_python =
        EvaluateOptions { ignore_identical_ids: true, averaging: Averaging::JudgedAndFound };
    assert!(list(&golden["cases"]).len() >= 12);
    for case in list(&golden["cases"]) {
        check_golden(case, &case["metrics"], &as_python);
        check_golden(case, &case["metrics"], &EvaluateOptions::default());
    }
    let collision = &golden["id_collision_bug"];
    check_golden(collision, &collision["seed_output"], &as_python);
    let right = serde_json::json!({"mrr@1": 1.0, "ndcg@10": 1.0, "map@10": 1.0, "recall@1": 1.0});
    check_golden(collision, &right, &EvaluateOptions::default());
}

#[test]
fn data_sets_are_sound() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let expected = [("toy-beir", 150, 72), ("toy/train", 120, 60), ("toy/validation", 30, 12)];
    for (name, documents, queries) in expected {
        let set = Dataset::open(&data.join(name)).expect(name);
        assert_eq!(set.documents().count(), documents, "{name}");
        assert_eq!(set.queries().count(), queries, "{name}");
        let qrels = set.qrels(None).expect(name);
        let findings = check(set.documents(), set.queries(), &qrels).expect(name);
        let kinds: Vec<_> = findings.iter().map(|f| (f.check.to_string(), f.count)).collect();
        // In `toy/train`, queries and documents are both numbered from 1.
        let shared = vec![("queries with the id of a document".to_owned(), 60)];
        assert_eq!(kinds, if name == "toy/train" { shared } else { vec![] }, "{name}");
    }
    let counts = [
        ("scifact", 5183, 1109, 300),
        ("jaquad", 11_144, 35_687, 3939),
        ("nq-open-oracle", 2600, 2655, 531),
    ];
    for (name, documents, queries, judged) in counts {
        let Some(path) = shared(&format!("data/{name}")) else { return };
        let set = Dataset::open(&path).expect(name);
        let split = if name == "jaquad" { "dev" } else { "test" };
        let qrels = set.qrels(Some(split)).expect(name);
        let sizes = (set.documents().count(), set.queries().count(), qrels.len());
        assert_eq!(sizes, (documents, queries, judged), "{name}");
    }
}

const QRELS: &str = "q1 0 a 1\nq2 0 a 1\nq3 0 a 1\nq<4> 0 a 1\n";

fn report(run: &str) -> Report {
    let qrels = Qrels::read(QRELS.as_bytes(), "qrels").expect("qrels");
    let run = Run::read(run.as_bytes(), "run").expect("a run");
    let metrics = metrics(&["MRR@10", "hit@1", "mrr@10"]);
    evaluate(&qrels, &run, &metrics, &EvaluateOptions::default()).expect("a report")
}

#[test]
fn reports_as_text_json_csv_and_html() {
    let mut report = report(
        "q1 Q0 a 1 2 x\nq1 Q0 b 2 1 x\nq2 Q0 b 1 2 x\nq2 Q0 a 2 1 x\nq<4> Q0 b 1 1 x\nq9 Q0 a 1 1 x\n",
    );
    assert_eq!(report.mean("MRR@10".parse().expect("a metric")), Some(0.375));
    assert_eq!(
        report.to_table(),
        "Quality, mean of 4 queries\nMRR@10                  0.3750\nHit@1                   0.2500\n\
         judged, not in the run       1\nin the run, not judged       1\n"
    );
    assert_eq!(
        report.to_json().to_string(),
        "{\"metrics\":{\"MRR@10\":0.375,\"Hit@1\":0.25},\"queries\":4,\"missing_queries\":1,\
         \"unjudged_queries\":1}"
    );
    assert_eq!(
        report.to_csv(),
        "query,MRR@10,Hit@1\nq1,1,1\nq2,0.5,0\nq3,0,0\nq<4>,0,0\nall,0.375,0.25\n"
    );
    add_statistics(&mut report);
    let json = report.to_json();
    assert_eq!(json["statistics"]["documents"]["avg_nnz"], 2.0);
    assert_eq!(json["flops"], 1.5);
    assert!(report.to_table().ends_with("\nVectors\n               documents\ntexts                  2\nterms a text         2.0\nsparsity          0.9800\nunique tokens          3\nFLOPS              1.500\n"));
}

#[test]
fn compares_two_runs() {
    let baseline = report("q1 Q0 a 1 1 x\nq2 Q0 b 1 2 x\nq2 Q0 a 2 1 x\nq<4> Q0 b 1 1 x\n");
    let other =
        report("q1 Q0 b 1 2 x\nq1 Q0 a 2 1 x\nq2 Q0 a 1 1 x\nq3 Q0 b 1 1 x\nq<4> Q0 a 1 1 x\n");
    let comparison = compare(&baseline, &other, &CompareOptions::default()).expect("compared");
    let mrr = &comparison.metrics[0];
    // The differences are -0.5, 0.5, 0 and 1: six of the eight sign patterns are at least as far
    // from zero as their sum.
    assert_eq!((mrr.wins, mrr.losses, mrr.ties, comparison.queries), (2, 1, 1, 4));
    assert_eq!((mrr.baseline, mrr.other), (0.375, 0.625));
    assert_eq!((mrr.randomisation.p, mrr.randomisation.samples), (0.75, 8));
    let order: Vec<_> = mrr.changes.iter().map(|change| change.query.as_str()).collect();
    assert_eq!(order, ["q<4>", "q1", "q2", "q3"]);
    let line = comparison.to_table().lines().nth(1).expect("a line").to_owned();
    let cells: Vec<_> = line.split_whitespace().collect();
    // t = 0.25 / (0.6455 / 2) = 0.7746 with 3 degrees of freedom.
    assert_eq!(cells, ["MRR@10", "0.3750", "0.6250", "+0.2500", "2/1/1", "0.7500", "0.4950"]);
    let json = comparison.to_json();
    assert_eq!(json["metrics"]["MRR@10"]["randomisation_test"]["exact"], true);
    assert_eq!(json["metrics"]["Hit@1"]["change"], 0.25);
    let csv = comparison.to_csv();
    assert!(csv.starts_with(
        "metric,query,baseline,run,change\nMRR@10,q<4>,0,1,1\nMRR@10,q1,1,0.5,-0.5\n"
    ));
    assert_eq!(csv.lines().count(), 1 + 2 * 4);
    let same = compare(&other, &other, &CompareOptions::default()).expect("compared");
    assert_eq!((same.metrics[0].randomisation.p, same.metrics[0].t_test), (1.0, None));
    assert!(same.to_table().lines().nth(1).is_some_and(|line| line.ends_with("1.0000      -")));
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    let qrels = Qrels::read(QRELS.as_bytes(), "qrels").expect("qrels");
    let run = |text: &str| Run::read(text.as_bytes(), "run").expect("a run");
    let mrr = metrics(&["mrr@10"]);
    let options = EvaluateOptions::default();
    let message = |qrels: &Qrels, run: &Run, metrics: &[Metric]| {
        evaluate(qrels, run, metrics, &options).expect_err("an error").to_string()
    };
    let found = run("q1 Q0 a 1 1 x");
    assert_eq!(message(&qrels, &found, &[]), "no metric was requested");
    assert_eq!(message(&qrels, &Run::default(), &mrr), "there is no query in the run");
    assert_eq!(message(&Qrels::default(), &found, &mrr), "there is no query in the qrels");
    assert_eq!(
        message(&qrels, &run("1 Q0 a 1 1 x"), &mrr),
        "no query of the run is in the qrels; queries are called \"1\" in the run and \"q1\" in the \
         qrels"
    );
    let one = evaluate(&qrels, &found, &mrr, &options).expect("a report");
    let two = evaluate(&qrels, &found, &metrics(&["mrr@5"]), &options).expect("a report");
    let error = compare(&one, &two, &CompareOptions::default()).expect_err("other metrics");
    assert_eq!(error.to_string(), "the two runs were evaluated with different metrics");
    let found = EvaluateOptions { averaging: Averaging::JudgedAndFound, ..options };
    let of = |text: &str| evaluate(&qrels, &run(text), &mrr, &found).expect("a report");
    let apart = compare(&of("q1 Q0 a 1 1 x"), &of("q2 Q0 a 1 1 x"), &CompareOptions::default());
    assert!(apart.is_err_and(|e| e.to_string().ends_with("no judged query in common")));
}

/// Compares every metric with a slow and simple implementation of its definition, for arbitrary
/// grades and rankings.
#[test]
fn equals_the_definitions_on_many_rankings() {
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    for _ in 0..300 {
        let (mut qrels, mut run) = (Qrels::default(), Run::default());
        let mut grades = BTreeMap::new();
        for document in 0..=random(9) {
            let grade = random(5) as i32 - 1;
            qrels.insert("q", &document.to_string(), grade);
            grades.insert(document.to_string(), f64::from(grade.max(0)));
        }
        let mut ranking: Vec<(u64, String)> =
            (0..random(12)).map(|document| (random(4), document.to_string())).collect();
        let scored = |(score, document): &(u64, String)| Scored {
            document: document.clone(),
            score: *score as f32 - 1.5,
        };
        run.insert("q", ranking.iter().map(scored).collect()).expect("a ranking");
        ranking.sort();
        ranking.reverse();
        let gains: Vec<f64> =
            ranking.iter().map(|(_, d)| grades.get(d).copied().unwrap_or(0.0)).collect();
        let mut best: Vec<f64> = grades.values().copied().collect();
        best.sort_by(|a, b| b.total_cmp(a));
        let dcg = |gains: &[f64], k: usize| -> f64 {
            (0..k.min(gains.len())).map(|i| gains[i] / (i as f64 + 2.0).log2()).sum()
        };
        let relevant = best.iter().filter(|gain| **gain > 0.0).count() as f64;
        for k in 1..=13usize {
            let found = |k: usize| gains.iter().take(k).filter(|g| **g > 0.0).count() as f64;
            let ranks: Vec<usize> =
                (1..=k.min(gains.len())).filter(|rank| gains[rank - 1] > 0.0).collect();
            let average: f64 = ranks.iter().map(|rank| found(*rank) / *rank as f64).sum();
            let share = |value: f64, of: f64| if of > 0.0 { value / of } else { 0.0 };
            let names = ["ndcg", "mrr", "map", "recall", "p", "hit"].map(|n| format!("{n}@{k}"));
            let want = [
                share(dcg(&gains, k), dcg(&best, k)),
                ranks.first().map_or(0.0, |rank| 1.0 / *rank as f64),
                share(average, relevant),
                share(found(k), relevant),
                found(k) / k as f64,
                found(k).min(1.0),
            ];
            let metrics = metrics(&names.each_ref().map(String::as_str));
            let report = evaluate(&qrels, &run, &metrics, &EvaluateOptions::default());
            let report = report.expect("a report");
            for ((name, want), got) in names.iter().zip(want).zip(&report.means) {
                close(*got, want, name);
            }
        }
    }
}
