//! One table of a model's results on several data sets.

use anyhow::Result;
use light_splade::data::dataset_folder;
use light_splade::{SparseEncoder, evaluate};
use serde_json::json;
use splade_eval::{Board, Dataset};
use splade_io::printable_lines;

use super::output::document;
use super::request::{bm25, inputs, options, shown};
use crate::args::{EvaluateArgs, ReportFormat};
use crate::cmd::advised;
use crate::interrupt;
use crate::log::say;
use crate::output::Output;
use crate::progress::Reporter;

/// The name of the rows of BM25.
const BM25: &str = "BM25";

pub(super) fn run(args: &EvaluateArgs) -> Result<()> {
    check(args)?;
    let create = |path| Output::create(Some(path), inputs(args), args.overwrite.force);
    let mut output = args.output.as_deref().map_or_else(|| Ok(Output::stdout()), create)?;
    let (mut reporter, options) = (Reporter::new(), options(args));
    // What is missing or wrong is said before the long work.
    for data in &args.data {
        let dataset = Dataset::open(&dataset_folder(data, &mut reporter)?)?;
        dataset.qrels(args.split.as_deref())?.require_queries()?;
    }
    interrupt::listen()?;
    let encoder =
        SparseEncoder::load_observed(&args.model, &args.compute.options(), &mut reporter)?;
    let model = shown(&args.model);
    let mut board = Board::new(args.metrics.clone());
    let mut sets = Vec::new();
    for data in &args.data {
        let name = shown(data);
        say(&format!("measuring on {name}"));
        let found = evaluate(&encoder, data, &options, &mut reporter)?;
        board.add(&name, &model, found.report.queries.len(), found.report.means.clone());
        sets.push(found.about.get("settings").cloned().unwrap_or_default());
        if args.bm25 {
            let report = bm25(args, data, &options, &mut reporter)?.report;
            board.add(&name, BM25, report.queries.len(), report.means);
        }
    }
    let text = match args.format() {
        ReportFormat::Table => printable_lines(&board.to_table()).into_owned(),
        ReportFormat::Markdown | ReportFormat::Latex => document(&board, args.format()),
        ReportFormat::Json | ReportFormat::Csv | ReportFormat::Html => {
            let mut json = board.to_json();
            json["settings"] = json!(sets);
            format!("{json:#}\n")
        }
    };
    output.write(text.as_bytes())?;
    output.finish()
}

/// Refuses what is only meant for one data set.
fn check(args: &EvaluateArgs) -> Result<()> {
    let one = |what: &str| {
        let what = format!("{what} is of one data set, and there are {}", args.data.len());
        Err(advised(what, "give one data set a call"))
    };
    if matches!(args.format(), ReportFormat::Csv | ReportFormat::Html) {
        return one("this --format");
    }
    let given = [
        (args.run.is_some(), "--run"),
        (!args.compare.is_empty(), "--compare"),
        (args.index.is_some(), "--index"),
        (args.output_run.is_some(), "--output-run"),
    ];
    given.into_iter().find(|(is_given, _)| *is_given).map_or(Ok(()), |(_, name)| one(name))
}
