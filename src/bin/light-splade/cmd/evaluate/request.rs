//! What a call asks for: its files, its options, and BM25 beside the model.

use std::path::Path;

use anyhow::Result;
use light_splade::EvaluateOptions;
use light_splade::evaluation::evaluate_bm25;
use light_splade::models::Vocabulary;
use splade_index::bm25::Bm25Options;
use splade_model::Side;

use super::output::Measured;
use crate::args::EvaluateArgs;
use crate::progress::Reporter;

/// Every file and folder that is read.
pub(super) fn inputs(args: &EvaluateArgs) -> impl Iterator<Item = &Path> {
    let files = args.run.iter().chain(&args.compare).chain(&args.index);
    files.chain(&args.data).map(|path| path.as_path())
}

fn is_ndjson(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ndjson" || extension == "jsonl")
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The name of a run's file without its ending, or of a model's folder; another name as it is.
pub(super) fn label(path: &Path) -> String {
    let part = match (path.is_file(), path.is_dir()) {
        (true, _) => path.file_stem(),
        (_, true) => path.file_name(),
        _ => None,
    };
    part.map_or_else(|| shown(path), |part| part.to_string_lossy().into_owned())
}

pub(super) fn options(args: &EvaluateArgs) -> EvaluateOptions {
    EvaluateOptions {
        metrics: args.metrics.clone(),
        split: args.split.clone(),
        depth: args.depth.map(|depth| depth as usize),
        drop_same_id: args.drop_same_id,
        trec_run: args.output_run.as_deref().is_some_and(|path| !is_ndjson(path)),
        weights: args.weights.into(),
        index: args.index.clone(),
        threads: args.compute.run.threads,
    }
}

/// The report of BM25 over the tokens of the model.
pub(super) fn bm25(
    args: &EvaluateArgs,
    data: &Path,
    options: &EvaluateOptions,
    reporter: &mut Reporter,
) -> Result<Measured> {
    let constants = Bm25Options { k1: args.bm25_k1, b: args.bm25_b };
    let mecab_dicdir = args.compute.run.mecab_dicdir.clone();
    let tokenizer = splade_text::TokenizerOptions { mecab_dicdir };
    let vocabulary = Vocabulary::open(&args.model, Side::Document, &tokenizer, reporter)?;
    let (report, run) = evaluate_bm25(vocabulary.tokenizer(), data, constants, options, reporter)?;
    let name = format!("BM25 with k1 {} and b {}", constants.k1, constants.b);
    Ok(Measured { name, label: "BM25".to_owned(), report, run })
}
