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
        let begin = [os("search"), index.clone().into_os_string(), question.into()];
        let rest = ["--format", "table"].into_iter().chain(options.iter().copied()).map(os);
        begin.into_iter().chain(rest).collect()
    };
    let (first, all) = (data.questions.first(), || data.questions.iter());
    vec![
        Step {
            title: "Build an index: each text becomes a short list of weighted words",
            commands: vec![build(data, &index)],
            remark: "",
        },
        Step {
            title: "Search with the model",
            commands: all().map(|text| search(text, &["-k", "3"])).collect(),
            remark: "",
        },
        Step {
            title: "Search for the first of these with BM25, the usual ranking by words",
            commands: first.into_iter().map(|text| search(text, &["-k", "3", "--bm25"])).collect(),
            remark: match data.is_built_in {
                true => {
                    "These questions were chosen because the two differ; step 6 measures all of them."
                }
                false => "",
            },
        },
        Step {
            title: "See why a text was found: words with their weights in the question and in the text",
            commands: first
                .into_iter()
                .map(|text| search(text, &["-k", "1", "--explain"]))
                .collect(),
            remark: "",
        },
        Step {
            title: "See the vector of a sentence: + marks words that the model adds",
            commands: vec![["explain", "--top-k", "10", "-t", SENTENCE].map(os).to_vec()],
            remark: "",
        },
        Step {
            title: "Measure the model, BM25, and both together",
            commands: measure(data, &index),
            remark: "",
        },
    ]
}

fn os(text: &str) -> OsString {
    text.into()
}

fn build(data: &DemoData, index: &Path) -> Vec<OsString> {
    let begin = [os("index"), os("build"), os("-o"), index.into(), os("--store"), os("--bm25")];
    begin.into_iter().chain(data.documents.iter().map(Into::into)).collect()
}

/// The commands that measure the model beside BM25, and a search that joins both.
fn measure(data: &DemoData, index: &Path) -> Vec<Vec<OsString>> {
    let metrics = || ["--metrics", "nDCG@10,MRR@10", "--format", "markdown"].into_iter().map(os);
    let evaluate = || [os("evaluate"), data.set.clone().into()].into_iter();
    let run = data.out.join("both.trec");
    let search = [os("search"), index.into(), os("--queries")];
    let join = ["--hybrid", "minmax", "--format", "trec", "--output"].map(os);
    let queries = data.queries.iter().take(1).map(Into::into);
    vec![
        evaluate().chain([os("--index"), index.into(), os("--bm25")]).chain(metrics()).collect(),
        search.into_iter().chain(queries).chain(join).chain([run.clone().into()]).collect(),
        evaluate().chain([os("--run"), run.into()]).chain(metrics()).collect(),
    ]
}

/// What to do next.
pub(super) fn farewell(data: &DemoData) -> String {
    let index = data.index().display().to_string();
    format!(
        "
Ask more:
  light-splade search {index} --interactive

Search your own texts: a folder of .txt or .md files, or rows of CSV, NDJSON or Parquet with an id and a text
  light-splade index build -o my-index --store --bm25 my-texts.csv
  light-splade search my-index --interactive
  light-splade serve --index my-index

Send them to a search engine that you have
  light-splade export --help

Train the model on questions of your own, as config/pipeline/demo.yaml of the repository does with those of the demo
  light-splade pipeline config/pipeline/demo.yaml
"
    )
}
