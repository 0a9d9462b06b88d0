//! The steps of the tour and what is said at its end.

use std::ffi::OsString;
use std::path::Path;

use super::data::DemoData;

/// A step: what it shows, the commands that show it, and a remark below their output.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) title: &'static str,
    pub(super) commands: Vec<Vec<OsString>>,
    pub(super) remark: &'static str,
}

/// The sentence whose expansion is shown.
const SENTENCE: &str = "大阪で万国博覧会が開かれます。";

/// All steps but the last, which is the page.
pub(super) fn steps(data: &DemoData) -> Vec<Step> {
    let index = data.index();
    let search = |question: &String, options: &[&str]| -> Vec<OsString> {
        let begin = [os("search"), os("--index"), index.clone().into_os_string()];
        let rest = ["--format", "table"].into_iter().chain(options.iter().copied()).map(os);
        begin.into_iter().chain(rest).chain([question.into()]).collect()
    };
    let first = data.questions.first();
    vec![
        Step {
            title: "Build an index: each text becomes a short list of weighted words",
            commands: vec![build(data, &index)],
            remark: "",
        },
        Step {
            title: "Search by meaning",
            commands: data.questions.iter().map(|text| search(text, &["-k", "3"])).collect(),
            remark: "",
        },
        Step {
            title: "See why a text was found: the words that it shares with the question, and their weights",
            commands: first
                .into_iter()
                .map(|text| search(text, &["-k", "1", "--explain"]))
                .collect(),
            remark: "",
        },
        Step {
            title: "See what the model adds to a sentence: words that belong to it and do not stand in it",
            commands: vec![["explain", "--top-k", "10", SENTENCE].map(os).to_vec()],
            remark: "",
        },
        Step {
            title: "Measure it beside BM25, the ranking by the same words",
            commands: vec![evaluate(data, &[])],
            remark: "",
        },
    ]
}

fn os(text: &str) -> OsString {
    text.into()
}

fn build(data: &DemoData, index: &Path) -> Vec<OsString> {
    let begin = [os("index"), os("build"), os("--out"), index.into(), os("--store"), os("--bm25")];
    begin.into_iter().chain(data.documents.iter().map(Into::into)).collect()
}

fn evaluate(data: &DemoData, options: &[&str]) -> Vec<OsString> {
    let begin = [os("evaluate"), os("--data"), data.set.clone().into(), os("--bm25")];
    let metrics = ["--metrics", "nDCG@10,MRR@10,Recall@10", "--format", "markdown"];
    begin.into_iter().chain(metrics.into_iter().chain(options.iter().copied()).map(os)).collect()
}

/// What to do next.
pub(super) fn farewell(data: &DemoData) -> String {
    let index = data.index().display().to_string();
    format!(
        "
Ask more:
  light-splade search --index {index} --interactive

Search your own texts: a folder of .txt or .md files, or rows of CSV, NDJSON or Parquet with an id and a text
  light-splade index build --out my-index --store --bm25 my-texts.csv
  light-splade search --index my-index --interactive
  light-splade serve --index my-index

Send them to a search engine that you have
  light-splade export --help
"
    )
}
