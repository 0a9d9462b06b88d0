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
    /// Folder of the index
    #[arg(value_name = "INDEX")]
    pub(crate) index: PathBuf,
    /// Texts of queries
    #[arg(value_name = "QUERY")]
    pub(crate) query: Vec<String>,
    /// File of queries: NDJSON, JSON, CSV, TSV, Parquet or one text per line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Files and folders of query vectors
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) vectors: Vec<PathBuf>,
    /// Model that encodes the queries [default: the model of the index]
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Accept another model than the one that made the vectors of the index
    #[arg(long, hide_short_help = true)]
    pub(crate) any_model: bool,
    /// Side of the model, which decides the encoder and the prompt
    #[arg(long = "as", value_enum, default_value = "query")]
    pub(crate) side: SideArg,
    /// Prompt put before every query, instead of the model's own
    #[arg(long)]
    pub(crate) prompt: Option<String>,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Documents to find per query
    #[arg(long, short = 'k', value_name = "K", default_value_t = 10, value_parser = at_least_one())]
    pub(crate) top_k_hits: usize,
    /// Lowest score of a hit
    #[arg(long, value_name = "SCORE")]
    pub(crate) min_score: Option<f32>,
    /// Share of the best documents to find, from 0.5 to 1; a lower share is faster [default: 1,
    /// exact search]
    #[arg(long, value_name = "SHARE", value_parser = parse_recall)]
    pub(crate) recall: Option<f32>,
    /// File with the ids of the only documents to search, one per line
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    pub(crate) target_doc_ids: Option<PathBuf>,
    /// Search with BM25 instead of the model; the index must be built with --store --bm25
    #[arg(long, conflicts_with_all = ["vectors", "recall"])]
    pub(crate) bm25: bool,
    /// Search with the model and with BM25, and fuse both rankings; the index must be built with
    /// --store --bm25
    #[arg(long, value_enum, value_name = "METHOD", conflicts_with_all = ["vectors", "bm25", "min_score"])]
    pub(crate) hybrid: Option<FusionArg>,
    /// Weights of the model and of BM25 in --hybrid, such as 0.7,0.3 [default: 1,1]
    #[arg(
        long,
        value_name = "W,W",
        hide_short_help = true,
        requires = "hybrid",
        value_delimiter = ',',
        num_args = 1
    )]
    pub(crate) weights: Vec<f64>,
    /// Hits of the model and of BM25 that --hybrid fuses
    #[arg(long, hide_short_help = true, value_name = "K", default_value_t = 100, value_parser = at_least_one())]
    pub(crate) hybrid_depth: usize,
    /// Cross-encoder that scores the best hits again; the index must store texts
    #[arg(long, value_name = "MODEL", conflicts_with = "vectors")]
    pub(crate) rerank: Option<PathBuf>,
    /// Hits that --rerank scores, at least K
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_least_one())]
    pub(crate) rerank_top: usize,
    /// Read queries from a prompt: arrow keys edit and repeat, Ctrl-C clears the line, Ctrl-D exits
    #[arg(long, conflicts_with_all = ["query", "queries", "vectors", "output", "explain"])]
    pub(crate) interactive: bool,
    /// Check the whole index against its checksums first
    #[arg(long, hide_short_help = true)]
    pub(crate) verify: bool,
    /// Show what each term contributes to a score
    #[arg(long, conflicts_with = "with_texts")]
    pub(crate) explain: bool,
    /// Format of the hits [default: table for one query on a terminal, else ndjson]
    #[arg(long, value_enum)]
    pub(crate) format: Option<HitFormat>,
    /// Same as --format ndjson
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Last field of each line of --format trec
    #[arg(long, default_value = "light-splade", hide_short_help = true)]
    pub(crate) tag: String,
    /// Output file for the hits [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HitFormat {
    /// Text tables
    Table,
    /// {"qid": …, "results": [{"doc_id": …, "score": …}…]}
    Ndjson,
    /// A TREC run: query, Q0, document, rank, score, tag
    Trec,
}

/// How rankings are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FusionArg {
    /// Sum of reciprocal ranks: 1 / (60 + rank)
    Rrf,
    /// Sum of scores, scaled from 0 to 1 within each ranking
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
    /// Runs to fuse: TREC, NDJSON, JSON, Parquet or tables with a header
    #[arg(required = true, value_name = "RUN", num_args = 2..)]
    pub(crate) runs: Vec<PathBuf>,
    /// Output file for the fused run: NDJSON if it ends in .ndjson or .jsonl, else TREC [default:
    /// standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// How to fuse the rankings
    #[arg(long, value_enum, default_value = "rrf")]
    pub(crate) method: FusionArg,
    /// Weight of each run in the order of the arguments, such as 0.7,0.3 [default: 1 each]
    #[arg(long, value_name = "W,W", value_delimiter = ',', num_args = 1)]
    pub(crate) weights: Vec<f64>,
    /// Documents to keep per query [default: all]
    #[arg(long, short = 'k', value_name = "K", value_parser = at_least_one())]
    pub(crate) top_k_hits: Option<usize>,
    /// Last field of each line of a TREC run
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
