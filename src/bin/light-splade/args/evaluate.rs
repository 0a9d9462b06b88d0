//! What was typed after `evaluate` and `check-data`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use splade_eval::Metric;

use super::numbers::{parse_b, parse_k1};
use super::{ComputeArgs, JsonArgs, OverwriteArgs, WeightsArg};

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Model folder, or a model on the Hugging Face hub: org/name or org/name@revision
    #[arg(
        long,
        short,
        value_name = "MODEL",
        env = "LIGHT_SPLADE_MODEL",
        default_value = light_splade::models::BUILT_IN
    )]
    pub(crate) model: PathBuf,
    /// Folder in BEIR format (corpus, queries, qrels) or light-splade format (doc_master,
    /// query_master, positive_lists), or a data set on the Hugging Face hub: scifact, jaquad,
    /// beir/NAME, mteb/NAME, nanobeir/NAME, jmteb/TASK, miracl/LANGUAGE, mmarco/LANGUAGE or
    /// org/name:subset. The results of several data sets are shown in one table
    #[arg(value_name = "DATA", required = true, num_args = 1..)]
    pub(crate) data: Vec<PathBuf>,
    /// Split of BEIR qrels [default: test, the only one, or dev]
    #[arg(long)]
    pub(crate) split: Option<String>,
    /// Metrics with cut-offs: nDCG@k, MRR@k, MAP@k, Recall@k, P@k, Hit@k
    #[arg(
        long,
        value_name = "METRIC",
        value_delimiter = ',',
        default_value = "nDCG@10,MRR@10,MAP@100,Recall@100"
    )]
    pub(crate) metrics: Vec<Metric>,
    /// Documents to find per query [default: the largest cut-off, but at least 100; 1000, as in
    /// BEIR, if a metric has no cut-off]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: Option<u32>,
    /// Format of the weights in the index; f32 is exact
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) weights: WeightsArg,
    /// Folder of an index to use; if it does not exist, the new index is kept there
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["run", "compare"])]
    pub(crate) index: Option<PathBuf>,
    /// Drop the document with the id of the query, as BEIR and the Python package light_splade do
    #[arg(long, hide_short_help = true)]
    pub(crate) drop_same_id: bool,
    /// Compare with BM25 over the tokens of the model's tokenizer
    #[arg(long, conflicts_with_all = ["run", "compare"])]
    pub(crate) bm25: bool,
    /// BM25's k1: how slowly repetitions of a term saturate
    #[arg(
        long,
        value_name = "K1",
        default_value_t = 0.9,
        value_parser = parse_k1,
        hide_short_help = true
    )]
    pub(crate) bm25_k1: f64,
    /// BM25's b: how strongly long documents are penalized, from 0 to 1
    #[arg(
        long,
        value_name = "B",
        default_value_t = 0.4,
        value_parser = parse_b,
        hide_short_help = true
    )]
    pub(crate) bm25_b: f64,
    /// Run to evaluate instead of a model: TREC, NDJSON or a table with a header
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub(crate) run: Option<PathBuf>,
    /// Two runs to compare query by query; the first is the baseline
    #[arg(long, value_names = ["BASELINE", "RUN"], num_args = 2)]
    pub(crate) compare: Vec<PathBuf>,
    /// Output file for the model's run: NDJSON if it ends in .ndjson or .jsonl, else TREC
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "compare"])]
    pub(crate) output_run: Option<PathBuf>,
    /// Format of the result; with two runs, csv and html contain their comparison
    #[arg(long, value_enum, default_value = "table")]
    format: ReportFormat,
    /// Same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Output file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

impl EvaluateArgs {
    /// The form of the result.
    pub(crate) fn format(&self) -> ReportFormat {
        match self.json {
            true => ReportFormat::Json,
            false => self.format,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Text tables
    Table,
    /// JSON
    Json,
    /// One row per query
    Csv,
    /// A page with charts
    Html,
    /// A Markdown table
    Markdown,
    /// A LaTeX table
    Latex,
}

#[derive(Debug, Args)]
pub(crate) struct CheckDataArgs {
    /// Folder in BEIR format (corpus, queries, qrels) or light-splade format (doc_master,
    /// query_master, positive_lists; for training also triplets or hard_negative_scores), the
    /// folder above train and validation, or a data set on the hub, named as in `evaluate`
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// Split of BEIR qrels [default: all]
    #[arg(long)]
    pub(crate) split: Option<String>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}
