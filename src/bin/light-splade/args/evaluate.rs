//! What was typed after `evaluate` and `check-data`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use splade_eval::Metric;

use super::numbers::{parse_b, parse_k1};
use super::{ComputeArgs, JsonArgs, OverwriteArgs, WeightsArg};

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Model folder, or a model of the Hugging Face hub: org/name or org/name@revision
    #[arg(
        long,
        short,
        value_name = "MODEL",
        env = "LIGHT_SPLADE_MODEL",
        default_value = light_splade::models::BUILT_IN
    )]
    pub(crate) model: PathBuf,
    /// Folder of BEIR (corpus, queries, qrels) or light-splade (doc_master, query_master,
    /// positive_lists)
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// Split of BEIR's qrels [default: test, or the only one]
    #[arg(long)]
    pub(crate) split: Option<String>,
    /// Metrics at cut-offs: nDCG@k, MRR@k, MAP@k, Recall@k, P@k, Hit@k
    #[arg(
        long,
        value_name = "METRIC",
        value_delimiter = ',',
        default_value = "nDCG@10,MRR@10,MAP@100,Recall@100"
    )]
    pub(crate) metrics: Vec<Metric>,
    /// Documents to find for a query [default: the largest cut-off, at least 100; 1000, as BEIR,
    /// where a metric has none]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: Option<u32>,
    /// How the index keeps weights; f32 is exact
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) weights: WeightsArg,
    /// Use the index in this folder, or keep the new one there
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["run", "compare"])]
    pub(crate) index: Option<PathBuf>,
    /// Drop the document with the id of the query, as BEIR and light-splade in Python do
    #[arg(long, hide_short_help = true)]
    pub(crate) drop_same_id: bool,
    /// Compare with BM25 over the tokens of the model's tokenizer
    #[arg(long, conflicts_with_all = ["run", "compare"])]
    pub(crate) bm25: bool,
    /// BM25: how soon more of a term adds nothing
    #[arg(
        long,
        value_name = "K1",
        default_value_t = 0.9,
        value_parser = parse_k1,
        hide_short_help = true
    )]
    pub(crate) bm25_k1: f64,
    /// BM25: how much longer documents lose, from 0 to 1
    #[arg(
        long,
        value_name = "B",
        default_value_t = 0.4,
        value_parser = parse_b,
        hide_short_help = true
    )]
    pub(crate) bm25_b: f64,
    /// Evaluate this run (TREC, NDJSON, a table with a header) in place of a model
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub(crate) run: Option<PathBuf>,
    /// Compare the second run with the first, query by query
    #[arg(long, value_names = ["BASELINE", "RUN"], num_args = 2)]
    pub(crate) compare: Vec<PathBuf>,
    /// Write the model's run to this file, for TREC's tools; as NDJSON if it ends in .ndjson or .jsonl
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "compare"])]
    pub(crate) output_run: Option<PathBuf>,
    /// Form of the result; with two runs, csv and html have their comparison
    #[arg(long, value_enum, default_value = "table")]
    format: ReportFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// File for the result; standard output if not given
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
    /// To be read by people
    Table,
    /// JSON
    Json,
    /// A row a query
    Csv,
    /// A page with plots
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct CheckDataArgs {
    /// Folder of BEIR (corpus, queries, qrels) or light-splade (doc_master, query_master,
    /// positive_lists; to train on, also triplets or hard_negative_scores), or the folder above
    /// light-splade's train and validation
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// Split of BEIR's qrels; all of them if not given
    #[arg(long)]
    pub(crate) split: Option<String>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}
