//! `light-splade evaluate`: retrieval measured on a data set, and runs compared.

mod bm25;
mod output;
mod retrieve;

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use splade_eval::check::check;
use splade_eval::{Dataset, EvaluateOptions, Metric, Qrels, Report, Run, evaluate};
use splade_index::SearchOptions;
use splade_index::bm25::Bm25Options;

use super::{check_data, retrieval};
use crate::args::EvaluateArgs;
use crate::input::Record;
use crate::interrupt;
use crate::output::Output;
use crate::progress::say;
use output::Baseline;

/// The cut-off of a metric of the whole ranking, and the least where a run is kept for others:
/// BEIR retrieves 1000 documents, and looks at the first 100 of them for most metrics.
const WHOLE: usize = 1000;
const LEAST: usize = 100;

pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let dataset = Dataset::open(&args.data)?;
    let qrels = dataset.qrels(args.split.as_deref())?;
    let output = Output::create(args.output.as_deref())?;
    let options =
        EvaluateOptions { ignore_identical_ids: args.drop_same_id, ..EvaluateOptions::default() };
    let judge = |run: &Run| evaluate(&qrels, run, &args.metrics, &options);
    let judge_file =
        |path: &Path| judge(&Run::open(path)?).with_context(|| path.display().to_string());
    let title = format!("Evaluation on {}", args.data.display());
    let text = match (&args.compare[..], &args.run) {
        ([first, second], _) => {
            let baseline = Baseline { name: shown(first), report: judge_file(first)? };
            output::comparison(&judge_file(second)?, &shown(second), &baseline, args.format)?
        }
        (_, Some(path)) => {
            let about = Map::from_iter([("run".to_owned(), shown(path).into())]);
            output::report(&judge_file(path)?, about, None, args.format, &title)?
        }
        (_, None) => {
            let model = &args.model;
            let run_out = args.run_out.as_deref().map(|path| Output::create(Some(path)));
            let run_out = run_out.transpose()?;
            interrupt::listen()?;
            let data = Data::read(&dataset, &qrels)?;
            let (report, about, run) = evaluate_model(args, model, &data, &judge)?;
            if let Some(mut file) = run_out {
                let mut text = Vec::new();
                run.write_trec(&mut text, "light-splade").context("cannot write the run")?;
                file.write(&text)?;
                file.finish()?;
            }
            let baseline = match args.bm25 {
                true => Some(evaluate_bm25(args, model, &data, &judge)?),
                false => None,
            };
            output::report(&report, about, baseline.as_ref(), args.format, &title)?
        }
    };
    let mut output = output;
    output.write(text.as_bytes())?;
    output.finish()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What is searched, and for what.
pub(crate) struct Data<'a> {
    dataset: &'a Dataset,
    /// Number of documents.
    documents: u64,
    /// Those that are judged.
    queries: Vec<Record>,
}

impl<'a> Data<'a> {
    /// Reads all texts once: counts documents, keeps the judged queries, and tells of problems.
    fn read(dataset: &'a Dataset, qrels: &Qrels) -> Result<Self> {
        let (mut documents, mut queries) = (0, Vec::new());
        let all_queries = dataset.queries().inspect(|text| {
            if let Ok(text) = text
                && qrels.get(&text.id).is_some()
            {
                queries.push(Record { id: text.id.clone(), text: text.text.clone() });
            }
        });
        let findings = check(dataset.documents().inspect(|_| documents += 1), all_queries, qrels)?;
        for finding in &findings {
            say(&format!("warning: {}", check_data::line(finding)));
        }
        say(&format!("{documents} documents, {} judged queries", queries.len()));
        Ok(Self { dataset, documents, queries })
    }
}

/// How many documents are found for a query.
fn depth(args: &EvaluateArgs) -> usize {
    let cutoff = |metric: &Metric| metric.cutoff().map_or(WHOLE, std::num::NonZeroUsize::get);
    let wanted = args.metrics.iter().map(cutoff).max().unwrap_or(0).max(LEAST);
    args.depth.map_or(wanted, |depth| depth as usize)
}

fn search_options(args: &EvaluateArgs) -> SearchOptions {
    // The document that is dropped does not count.
    let k = depth(args) + usize::from(args.drop_same_id);
    SearchOptions { k, ..SearchOptions::default() }
}

type Judge<'a> = dyn Fn(&Run) -> Result<Report, splade_eval::EvalError> + 'a;

fn evaluate_model(
    args: &EvaluateArgs,
    model: &Path,
    data: &Data<'_>,
    judge: &Judge<'_>,
) -> Result<(Report, Map<String, Value>, Run)> {
    let pool = retrieval::pool(args.engine.run.threads)?;
    let found = retrieve::retrieve(args, model, data, &search_options(args), &pool)?;
    let mut report = judge(&found.run)?;
    report.statistics = found.statistics;
    report.flops = Some(found.flops);
    let about = json!({
        "documents": data.documents,
        "settings": {
            "model": shown(model),
            "data": shown(&args.data),
            "split": args.split,
            "precision": args.engine.precision.to_string(),
            "max_length": args.engine.max_length,
            "weights": found.weights.to_string(),
            "depth": depth(args),
            "drop_same_id": args.drop_same_id,
            "index": found.index,
        },
    });
    Ok((report, about.as_object().cloned().unwrap_or_default(), found.run))
}

fn evaluate_bm25(
    args: &EvaluateArgs,
    model: &Path,
    data: &Data<'_>,
    judge: &Judge<'_>,
) -> Result<Baseline> {
    let pool = retrieval::pool(args.engine.run.threads)?;
    let constants = Bm25Options { k1: args.bm25_k1, b: args.bm25_b };
    let mecab_dicdir = args.engine.run.mecab_dicdir.clone();
    let options = splade_text::TokenizerOptions { mecab_dicdir };
    let tokenizer = super::Vocabulary::open(model, splade_model::Side::Document, &options)?;
    let run = bm25::retrieve(&tokenizer.tokenizer, data, constants, &search_options(args), &pool)?;
    let name = format!("BM25 with k1 {} and b {}", constants.k1, constants.b);
    Ok(Baseline { name, report: judge(&run)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    #[test]
    fn depth_serves_every_metric() {
        let depth_of = |more: &[&str]| {
            let args = ["light-splade", "evaluate", "-m", "m", "--data", "d"];
            match Cli::try_parse_from([&args[..], more].concat()).expect("arguments").command {
                Command::Evaluate(args) => depth(&args),
                _ => unreachable!("another command"),
            }
        };
        assert_eq!(depth_of(&["--metrics", "nDCG@10,MRR@10"]), 100);
        assert_eq!(depth_of(&["--metrics", "nDCG@10,Recall@500"]), 500);
        assert_eq!(depth_of(&["--metrics", "MAP"]), 1000);
        assert_eq!(depth_of(&["--metrics", "MAP", "--depth", "20"]), 20);
    }
}
