//! What was typed after `search`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use splade_index::SearchMode;

use super::numbers::at_least_one;
use super::{ComputeArgs, InputFormArgs, OverwriteArgs, SideArg};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["query", "queries", "vectors"]))]
pub(crate) struct SearchArgs {
    /// The index
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) index: PathBuf,
    /// Texts of queries
    pub(crate) query: Vec<String>,
    /// File of queries: NDJSON, JSON, CSV, TSV, Parquet or a text a line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Files and folders of vectors of queries
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) vectors: Vec<PathBuf>,
    /// Model of the queries; the one that the index was built with if not given
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Search with another model than the one that made the vectors of the index
    #[arg(long)]
    pub(crate) any_model: bool,
    /// Encoder and prompt of the model
    #[arg(long = "as", value_enum, default_value = "query")]
    pub(crate) side: SideArg,
    /// Put before every query, in place of the model's own prompt
    #[arg(long)]
    pub(crate) prompt: Option<String>,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Documents to find for a query
    #[arg(long, short = 'k', value_name = "K", default_value_t = 10, value_parser = at_least_one())]
    pub(crate) top_k_hits: usize,
    /// Only documents of at least this score
    #[arg(long, value_name = "SCORE")]
    pub(crate) threshold: Option<f32>,
    /// Search faster and find about this share of the best documents, .5 to 1; all if not given
    #[arg(long, value_name = "SHARE", value_parser = parse_recall)]
    pub(crate) recall: Option<f32>,
    /// Only documents whose ids are in this file, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) target_doc_ids: Option<PathBuf>,
    /// Compare the index with its checksums first, which reads all of it
    #[arg(long)]
    pub(crate) verify: bool,
    /// Add what each term gives to a score
    #[arg(long)]
    pub(crate) explain: bool,
    /// Form of the hits [default: table for one query on a terminal, else ndjson]
    #[arg(long, value_enum)]
    pub(crate) format: Option<HitFormat>,
    /// Last field of the lines of --format trec
    #[arg(long, default_value = "light-splade")]
    pub(crate) tag: String,
    /// File for the hits; standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HitFormat {
    /// To be read by people
    Table,
    /// {"qid": …, "results": [{"doc_id": …, "score": …}…]}
    Ndjson,
    /// A TREC run: query, Q0, document, rank, score, tag
    Trec,
}

impl SearchArgs {
    pub(crate) fn mode(&self) -> SearchMode {
        self.recall.map_or(SearchMode::Exact, |recall| SearchMode::Approximate { recall })
    }
}

fn parse_recall(text: &str) -> Result<f32, String> {
    let recall = text.parse().ok().filter(|recall| (0.5..=1.0).contains(recall));
    recall.ok_or_else(|| "a share from .5 to 1".to_owned())
}
