//! What was typed after `search`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use light_splade::search::{Fusion, FusionMethod};
use splade_index::SearchMode;

use super::numbers::at_least_one;
use super::{ComputeArgs, InputFormArgs, OverwriteArgs, SideArg};

#[derive(Debug, Args)]
#[command(override_usage = "light-splade search [OPTIONS] <INDEX> <QUERY>...
       light-splade search [OPTIONS] <INDEX> --queries <FILE>
       light-splade search [OPTIONS] <INDEX> --vectors <PATH>...
       light-splade search [OPTIONS] <INDEX> --interactive")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["query", "queries", "vectors", "interactive"]))]
#[command(group = clap::ArgGroup::new("with_texts").multiple(true).args(["bm25", "hybrid", "rerank", "interactive"]))]
pub(crate) struct SearchArgs {
    /// The index, a folder
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// Texts of queries
    #[arg(value_name = "QUERY")]
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
    #[arg(long, hide_short_help = true)]
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
    pub(crate) min_score: Option<f32>,
    /// Search faster and find about this share of the best documents, .5 to 1; all if not given
    #[arg(long, value_name = "SHARE", value_parser = parse_recall)]
    pub(crate) recall: Option<f32>,
    /// Only documents whose ids are in this file, one a line
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    pub(crate) target_doc_ids: Option<PathBuf>,
    /// Search with BM25 in place of the model, in an index that was built with --store --bm25
    #[arg(long, conflicts_with_all = ["vectors", "recall"])]
    pub(crate) bm25: bool,
    /// Search with the model and with BM25, and join both rankings, in an index that was built with
    /// --store --bm25
    #[arg(long, value_enum, value_name = "METHOD", conflicts_with_all = ["vectors", "bm25", "min_score"])]
    pub(crate) hybrid: Option<FusionArg>,
    /// How much the model and BM25 count in --hybrid, such as 0.7,0.3 [default: both 1]
    #[arg(
        long,
        value_name = "W,W",
        hide_short_help = true,
        requires = "hybrid",
        value_delimiter = ',',
        num_args = 1
    )]
    pub(crate) weights: Vec<f64>,
    /// Hits of the model and of BM25 that --hybrid joins
    #[arg(long, hide_short_help = true, value_name = "K", default_value_t = 100, value_parser = at_least_one())]
    pub(crate) hybrid_depth: usize,
    /// Score the best hits anew with this cross-encoder, which reads the texts that the index stores
    #[arg(long, value_name = "MODEL", conflicts_with = "vectors")]
    pub(crate) rerank: Option<PathBuf>,
    /// Hits that --rerank scores; -k if that is larger
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_least_one())]
    pub(crate) rerank_top: usize,
    /// Ask for queries, one after another: arrows edit and repeat, Ctrl-C clears the line, Ctrl-D ends
    #[arg(long, conflicts_with_all = ["query", "queries", "vectors", "output", "explain"])]
    pub(crate) interactive: bool,
    /// Compare the index with its checksums first, which reads all of it
    #[arg(long, hide_short_help = true)]
    pub(crate) verify: bool,
    /// Add what each term gives to a score
    #[arg(long, conflicts_with = "with_texts")]
    pub(crate) explain: bool,
    /// Form of the hits [default: table for one query on a terminal, else ndjson]
    #[arg(long, value_enum)]
    pub(crate) format: Option<HitFormat>,
    /// The same as --format ndjson
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Last field of the lines of --format trec
    #[arg(long, default_value = "light-splade", hide_short_help = true)]
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

/// How rankings are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FusionArg {
    /// Reciprocal ranks: 1 / (60 + rank), added
    Rrf,
    /// Scores, scaled to 0 to 1 within each ranking, and added
    Minmax,
}

impl FusionArg {
    /// The method with a weight for each ranking, or none.
    pub(crate) fn fusion(self, weights: &[f64]) -> Fusion {
        let method = match self {
            Self::Rrf => FusionMethod::default(),
            Self::Minmax => FusionMethod::MinMax,
        };
        Fusion { method, weights: weights.to_vec() }
    }
}

/// What was typed after `fuse`.
#[derive(Debug, Args)]
pub(crate) struct FuseArgs {
    /// Runs: TREC, NDJSON, JSON, Parquet or tables with a header
    #[arg(required = true, value_name = "RUN", num_args = 2..)]
    pub(crate) runs: Vec<PathBuf>,
    /// File for the joined run, NDJSON if it ends in .ndjson or .jsonl and else TREC; standard output
    /// if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// How the rankings are joined
    #[arg(long, value_enum, default_value = "rrf")]
    pub(crate) method: FusionArg,
    /// How much each run counts, in their order, such as 0.7,0.3 [default: each 1]
    #[arg(long, value_name = "W,W", value_delimiter = ',', num_args = 1)]
    pub(crate) weights: Vec<f64>,
    /// Documents of a query that are kept; all if not given
    #[arg(long, short = 'k', value_name = "K", value_parser = at_least_one())]
    pub(crate) top_k_hits: Option<usize>,
    /// Last field of the lines of a TREC run
    #[arg(long, default_value = "light-splade", hide_short_help = true)]
    pub(crate) tag: String,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

impl SearchArgs {
    /// Whether the texts of queries are searched in another way than by their vectors alone.
    pub(crate) fn needs_texts(&self) -> bool {
        self.bm25 || self.hybrid.is_some() || self.rerank.is_some() || self.interactive
    }

    /// The form of the hits where one was asked for.
    pub(crate) fn hit_format(&self) -> Option<HitFormat> {
        self.format.or(self.json.then_some(HitFormat::Ndjson))
    }

    pub(crate) fn mode(&self) -> SearchMode {
        self.recall.map_or(SearchMode::Exact, |recall| SearchMode::Approximate { recall })
    }
}

fn parse_recall(text: &str) -> Result<f32, String> {
    let recall = text.parse().ok().filter(|recall| (0.5..=1.0).contains(recall));
    recall.ok_or_else(|| "a share from .5 to 1".to_owned())
}
