//! `light-splade evaluate`: retrieval measured on a data set, and runs compared.

mod output;
mod request;
mod several;

use std::path::Path;

use anyhow::{Context, Result};
use light_splade::data::dataset_folder;
use light_splade::outputs::check_distinct;
use light_splade::{Evaluation, SparseEncoder, evaluate};
use serde_json::Map;
use splade_eval::{Dataset, Run};

use crate::args::{EvaluateArgs, ReportFormat};
use crate::closing;
use crate::interrupt;
use crate::log::say;
use crate::output::{Output, is_stdout};
use crate::progress::Reporter;
use crate::screen::room_of_stdout;
use output::{Look, Measured, Setting};
use request::{bm25, inputs, label, options, shown};

pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    match &args.data[..] {
        [data] => one(args, data),
        _ => several::run(args),
    }
}

/// Measures on one data set, or judges files of rankings by it.
fn one(args: &EvaluateArgs, data: &Path) -> Result<()> {
    let mut reporter = Reporter::new();
    let folder = dataset_folder(data, &mut reporter)?;
    let dataset = Dataset::open(&folder)?;
    let qrels = dataset.qrels(args.split.as_deref())?;
    qrels.require_queries()?;
    let inputs: Vec<&Path> = inputs(args).collect();
    if let (Some(run), Some(report)) = (&args.output_run, &args.output) {
        check_distinct(run, report)?;
    }
    let create = |path: &Path| Output::create(Some(path), &inputs, args.overwrite.force);
    let output = args.output.as_deref().map_or_else(|| Ok(Output::stdout()), create)?;
    let options = options(args);
    let judge_file = |path: &Path| -> Result<Measured> {
        let run = Run::open(path)?;
        qrels.notes().iter().chain(run.notes()).for_each(|note| say(note));
        let report = options.judge(&qrels, &run).with_context(|| path.display().to_string())?;
        Ok(Measured { name: shown(path), label: label(path), report, run })
    };
    let name = &shown(data);
    let room = output.is_stdout().then(room_of_stdout).flatten();
    let look = Look { colour: output.has_styles(), room };
    let setting = Setting { data: &folder, name, options: &options, look };
    let text = match (&args.compare[..], &args.run) {
        ([first, second], _) => {
            let baseline = judge_file(first)?;
            output::comparison(&judge_file(second)?, &baseline, args.format(), &setting)?
        }
        (_, Some(path)) => {
            let about = Map::from_iter([("run".to_owned(), shown(path).into())]);
            output::report(&judge_file(path)?, about, None, args.format(), &setting)?
        }
        (_, None) => {
            let run_out = args.output_run.as_deref().map(create).transpose()?;
            interrupt::listen()?;
            let encoder =
                SparseEncoder::load_observed(&args.model, &args.compute.options(), &mut reporter)?;
            let found = evaluate(&encoder, data, &options, &mut reporter)?;
            if let Some(mut file) = run_out {
                let mut text = Vec::new();
                let written = match options.trec_run {
                    true => found.run.write_trec(&mut text, "light-splade"),
                    false => found.run.write_ndjson(&mut text),
                };
                written.context("cannot write the run")?;
                file.write(&text)?;
                file.finish()?;
            }
            let baseline = match args.bm25 {
                true => Some(bm25(args, data, &options, &mut reporter)?),
                false => None,
            };
            let Evaluation { report, run, about } = found;
            let measured =
                Measured { name: shown(&args.model), label: label(&args.model), report, run };
            output::report(&measured, about, baseline.as_ref(), args.format(), &setting)?
        }
    };
    let mut output = output;
    match args.format() {
        ReportFormat::Table => output.write_styled(&text)?,
        _ => output.write(text.as_bytes())?,
    }
    output.finish()?;
    let files = [("the report", &args.output, None), ("the run", &args.output_run, Some("run"))];
    for (what, path, next) in files {
        let Some(path) = path.as_deref().filter(|path| !is_stdout(path)) else { continue };
        let data = closing::shown(data);
        let next =
            next.map(|option| format!("evaluate {data} --{option} {}", closing::shown(path)));
        closing::made(&format!("{what} to {}", path.display()), next);
    }
    Ok(())
}
