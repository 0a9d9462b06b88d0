//! The page about an evaluation.

use std::fs;

use splade_eval::compare::{CompareOptions, compare};
use splade_eval::{
    Dataset, EvaluateOptions, EvaluationPage, Metric, Qrels, Report, Run, System, evaluate,
};

use crate::common::add_statistics;

const HOSTILE: &str = "<script>alert(\"1\")</script> ' \u{202e}";

/// A data set of four queries, of which one id and one text could end an element.
fn dataset(folder: &std::path::Path) -> Dataset {
    let text =
        |id: &str, text: &str| serde_json::json!({"_id": id, "text": text}).to_string() + "\n";
    let queries = [
        text("q1", "the night train"),
        text("q2", "日本の首都"),
        text("q3", "nothing"),
        text("q<4>", HOSTILE),
    ];
    let documents =
        [text("a", "東京は日本の首都です"), text("b", HOSTILE), text("c", "never shown")];
    fs::create_dir_all(folder.join("qrels")).expect("a folder");
    fs::write(folder.join("queries.jsonl"), queries.concat()).expect("written");
    fs::write(folder.join("corpus.jsonl"), documents.concat()).expect("written");
    let qrels = "query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\ta\t2\nq3\ta\t1\nq<4>\ta\t1\n";
    fs::write(folder.join("qrels/test.tsv"), qrels).expect("written");
    Dataset::open(folder).expect("a data set")
}

fn judged(qrels: &Qrels, run: &str) -> (Report, Run) {
    let run = Run::read(run.as_bytes(), "run").expect("a run");
    let metrics: Vec<Metric> =
        ["MRR@10", "Hit@1"].map(|name| name.parse().expect("a metric")).into();
    let report = evaluate(qrels, &run, &metrics, &EvaluateOptions::default()).expect("a report");
    (report, run)
}

const BASELINE: &str = "q1 Q0 a 1 1 x\nq2 Q0 b 1 2 x\nq2 Q0 a 2 1 x\nq<4> Q0 b 1 1 x\n";
const OTHER: &str = "q1 Q0 b 1 2 x\nq1 Q0 a 2 1 x\nq2 Q0 a 1 1 x\nq3 Q0 b 1 1 x\nq<4> Q0 a 1 1 x\n";

/// Checks that elements are closed in order, that nothing is loaded, and that no text became an
/// element.
fn check(html: &str) {
    for word in ["src=", "href=\"http", "<script>alert", "NaN", "inf<"] {
        assert!(!html.contains(word), "{word}");
    }
    let mut open = Vec::new();
    let mut rest = html;
    while let Some((_, behind)) = rest.split_once('<') {
        let (tag, after) = behind.split_once('>').expect("a tag that ends");
        rest = after;
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !["!DOCTYPE", "meta", "link"].contains(&name) {
            open.push(name);
            // What is in these elements is no HTML.
            if ["script", "style"].contains(&name) {
                let end = format!("</{name}>");
                rest = &rest[rest.find(&end).expect("an end")..];
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn one_system_has_values_texts_and_vectors() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = dataset(folder.path());
    let qrels = dataset.qrels(None).expect("qrels");
    let (mut report, run) = judged(&qrels, &format!("{BASELINE}q9 Q0 a 1 1 x\n"));
    add_statistics(&mut report);
    let facts = [("Model".to_owned(), "models/demo".to_owned())];
    let page = EvaluationPage {
        data: "toy & co",
        facts: &facts,
        system: System { name: "demo", report: &report, run: &run },
        baseline: None,
        qrels: &qrels,
        made: 1_700_000_000,
    };
    let html = page.to_html(&dataset).expect("a page");
    check(&html);
    for part in [
        "<title>demo on toy &amp; co</title>",
        "<dt>Model</dt><dd><bdi lang=\"en\">models/demo</bdi></dd>",
        "2023-11-14 22:13 UTC",
        // The means of one reciprocal rank of 1, one of 1/2, and two of 0.
        "<th scope=\"row\">MRR@10</th><td class=\"number\">0.3750</td>",
        "1 judged query got no documents and counts as 0.",
        "1 query of the ranking is not judged and does not count.",
        // The histogram: two queries at 0, one at 1/2 and one at 1.
        "[&quot;0.00–0.05&quot;,2.0]",
        "[&quot;0.50–0.55&quot;,1.0]",
        "[&quot;0.95–1.00&quot;,1.0]",
        // The texts of a query and of a document, in their languages, and a judged document.
        "<bdi lang=\"ja\">日本の首都</bdi>",
        "<bdi lang=\"ja\">東京は日本の首都です</bdi>",
        "<span class=\"badge own\">relevant, grade 2</span>",
        "not in the first 1",
        "<td><bdi lang=\"en\">&lt;two&gt;</bdi></td><td class=\"number\">100.0 %</td>",
        "<strong>1.500</strong>",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("never shown"));
    // A query with the value 1 is not among the lowest.
    assert!(!html.contains("the night train"));
}

#[test]
fn two_systems_have_their_names_and_no_ties() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = dataset(folder.path());
    let qrels = dataset.qrels(None).expect("qrels");
    let ((baseline, baseline_run), (other, other_run)) =
        (judged(&qrels, BASELINE), judged(&qrels, OTHER));
    let comparison = compare(&baseline, &other, &CompareOptions::default()).expect("compared");
    let page = EvaluationPage {
        data: "toy",
        facts: &[],
        system: System { name: "demo", report: &other, run: &other_run },
        baseline: Some((
            System { name: "BM25", report: &baseline, run: &baseline_run },
            &comparison,
        )),
        qrels: &qrels,
        made: 0,
    };
    let html = page.to_html(&dataset).expect("a page");
    check(&html);
    for part in [
        "<title>demo against BM25 on toy</title>",
        // The means, better, worse and same.
        "<td class=\"number\">0.3750</td><td class=\"number\">0.6250</td>\
         <td class=\"number better\">+0.2500</td><td class=\"number\">2</td>\
         <td class=\"number\">1</td><td class=\"number\">1</td>",
        "1 query with the same value is left out below.",
        "<span class=\"number better\">+1.000</span><span class=\"soft\">0.000 → 1.000</span>",
        "<span class=\"number worse\">-0.500</span>",
        "First of <bdi lang=\"en\">BM25</bdi>",
        "p is the probability of a difference",
        // Both have a line in the chart of means by cut-off.
        "&quot;name&quot;:&quot;BM25&quot;",
    ] {
        assert!(html.contains(part), "{part}");
    }
    // The query that is equal in both is no bar and is not listed.
    assert!(!html.contains("query q3:") && !html.contains("nothing</bdi>"));
    assert!(!html.contains("baseline</bdi>"));
}

#[test]
fn curves_of_short_rankings_go_as_far_as_those_of_long_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = dataset(folder.path());
    let qrels = dataset.qrels(None).expect("qrels");
    let one_hit_each = "q1 Q0 a 1 1 x\nq2 Q0 b 1 2 x\nq<4> Q0 b 1 1 x\n";
    let ((short, short_run), (long, long_run)) =
        (judged(&qrels, one_hit_each), judged(&qrels, OTHER));
    let comparison = compare(&short, &long, &CompareOptions::default()).expect("compared");
    let (short, long) = (
        System { name: "short", report: &short, run: &short_run },
        System { name: "long", report: &long, run: &long_run },
    );
    let page = |system, baseline| {
        let page =
            EvaluationPage { data: "toy", facts: &[], system, baseline, qrels: &qrels, made: 0 };
        page.to_html(&dataset).expect("a page")
    };
    // Two metrics of two systems, each with the means at 1 and 2 and none deeper.
    let html = page(long, Some((short, &comparison)));
    let curves: Vec<&str> = html.split("points&quot;:[[").skip(1).collect();
    assert_eq!(curves.len(), 4, "{html}");
    for curve in curves {
        let points: Vec<&str> = curve.split("]]").next().unwrap_or_default().split("],[").collect();
        assert_eq!(points.len(), 2, "{points:?}");
        assert!(points[0].starts_with("1.0,") && points[1].starts_with("2.0,"), "{points:?}");
    }
    // A ranking of one document has no curve.
    assert!(!page(short, None).contains("Means by cut-off"));
}
