//! What was typed after `convert`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use light_splade::data::{PairKind, RankerKind, Teacher};
use splade_data::convert::Purpose;

use super::InputFormArgs;
use super::mine::{JoinArg, RankerArgs, named, parse_share, parse_teacher};
use super::numbers::at_least_one;

/// A source of training data.
#[derive(Debug, Subcommand)]
pub(crate) enum ConvertCommand {
    /// Convert mMARCO: the passages and triples of MS MARCO in 14 languages
    #[command(
        override_usage = "light-splade convert mmarco [OPTIONS] --for <PURPOSE> -o <FOLDER> [DATA]"
    )]
    Mmarco(MmarcoArgs),
    /// Convert a data set in BEIR format
    Beir(BeirArgs),
    /// Convert MS MARCO with published triples, hard negatives or teacher scores
    Msmarco(MsMarcoArgs),
    /// Convert questions about paragraphs in SQuAD format, such as JaQuAD
    Squad(SquadArgs),
    /// Convert pairs of a query and a document that answers it
    Pairs(PairsArgs),
    /// Make training pairs from texts without questions, and filter them by score
    Corpus(Box<CorpusArgs>),
    /// Join several converted folders into one
    #[command(override_usage = "light-splade convert join [OPTIONS] -o <FOLDER> <FOLDER>...")]
    Join(JoinArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CorpusArgs {
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or one text per line, plain or
    /// compressed as .gz or .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// JSON field or table column of the text [default: title and text]
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Sources of queries: title, first-sentence, cloze (a sentence from the middle) and keywords
    #[arg(
        long,
        value_name = "KINDS",
        value_delimiter = ',',
        default_value = "title,first-sentence,cloze,keywords",
        value_parser = parse_kind
    )]
    pub(crate) queries: Vec<PairKind>,
    /// Maximum queries per document, each from another source
    #[arg(long, value_name = "N", default_value = "2", value_parser = at_least_one())]
    pub(crate) queries_per_document: usize,
    /// Share of documents that keep the text of their queries
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_share)]
    pub(crate) whole_share: f32,
    /// Share of documents whose queries become validation data
    #[arg(long, value_name = "SHARE", default_value = "0.02", value_parser = parse_share)]
    pub(crate) validation_share: f32,
    /// Ranker that finds the documents each pair is compared with: bm25, splade, dense or colbert
    #[arg(long, value_name = "RANKER", default_value = "bm25", value_parser = parse_candidates)]
    pub(crate) candidates: RankerKind,
    /// Documents to find per query, which become its negatives
    #[arg(long, value_name = "N", default_value = "20", value_parser = at_least_one())]
    pub(crate) depth: usize,
    /// Teacher that scores the pairs: bm25, splade, dense, colbert, bge-m3 or cross-encoder,
    /// optionally followed by ,model=MODEL and ,weight=NUMBER. Can be repeated; the scores are
    /// joined
    #[arg(long, value_name = "TEACHER", default_value = "bm25", value_parser = parse_teacher)]
    pub(crate) by: Vec<Teacher>,
    /// How to join the scores of several teachers, separately for each query
    #[arg(long, value_enum, default_value = "standardize")]
    pub(crate) join: JoinArg,
    /// Drop pairs whose document ranks worse than this among the documents found
    #[arg(long, value_name = "RANK", default_value = "3", value_parser = at_least_one())]
    pub(crate) worst_rank: usize,
    /// Drop pairs whose document scores less than this above the best other document
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(crate) absolute_margin: Option<f32>,
    /// Drop pairs where another document has more than 1 - SHARE of the pair's score
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) relative_margin: Option<f32>,
    /// Write all pairs, without scores and negatives
    #[arg(long, conflicts_with_all = ["by", "candidates", "worst_rank", "absolute_margin", "relative_margin"])]
    pub(crate) unfiltered: bool,
    /// Seed of random draws
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) ranker: RankerArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

fn parse_kind(name: &str) -> Result<PairKind, String> {
    named("kinds of queries", PairKind::NAMED, name)
}

/// Every ranker but chance.
fn parse_candidates(name: &str) -> Result<RankerKind, String> {
    let [first, second, third, fourth, _] = RankerKind::NAMED;
    named("candidates", [first, second, third, fourth], name)
}

#[derive(Debug, Args)]
pub(crate) struct MmarcoArgs {
    /// Folder with the files, or a data set on the Hugging Face hub: org/name or org/name@revision
    #[arg(value_name = "DATA", default_value = splade_data::convert::MmarcoFiles::REPOSITORY)]
    pub(crate) data: PathBuf,
    /// What to prepare the data for
    #[arg(long = "for", value_enum)]
    pub(crate) purpose: PurposeArg,
    /// Language, spelled as in the file names
    #[arg(long, default_value = "japanese")]
    pub(crate) language: String,
    /// Translation, spelled as in the folder names
    #[arg(long, default_value = "google")]
    pub(crate) translation: String,
    /// Passages that replace the file in DATA
    #[arg(long, value_name = "FILE")]
    pub(crate) collection: Option<PathBuf>,
    /// Training queries that replace the file in DATA
    #[arg(long, value_name = "FILE")]
    pub(crate) train_queries: Option<PathBuf>,
    /// Queries of dev.full that replace the file in DATA
    #[arg(long, value_name = "FILE")]
    pub(crate) dev_queries: Option<PathBuf>,
    /// Triples of ids or texts that replace the file in DATA
    #[arg(long, value_name = "FILE")]
    pub(crate) triples: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) draw: DrawArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BeirArgs {
    /// Folder with corpus.jsonl, queries.jsonl and qrels, or a data set on the hub, named as in
    /// `evaluate`
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// Split of qrels to train on
    #[arg(long, value_name = "SPLIT", default_value = "train")]
    pub(crate) train: String,
    /// Split of qrels to evaluate on [default: dev, or else test]
    #[arg(long, value_name = "SPLIT")]
    pub(crate) validation: Option<String>,
    /// Keep in train only documents that the training split judges
    #[arg(long)]
    pub(crate) judged_only: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MsMarcoArgs {
    /// Folder with collection.tsv, queries.train.tsv, qrels.train.tsv, queries.dev.small.tsv and
    /// qrels.dev.small.tsv
    #[arg(value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// Triples of ids or texts, such as qidpidtriples.train.full.2.tsv.gz, to write as triplets
    #[arg(long, value_name = "FILE")]
    pub(crate) triples: Option<PathBuf>,
    /// Hard negatives or scores, such as cross-encoder-ms-marco-MiniLM-L-6-v2-scores.pkl.gz, to
    /// write as scores for distillation
    #[arg(long, value_name = "FILE")]
    pub(crate) hard_negatives: Option<PathBuf>,
    /// Documents drawn at random for validation, besides its positives; 0 means all
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) validation_docs: usize,
    #[command(flatten)]
    pub(crate) draw: DrawArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SquadArgs {
    /// Folder with train and dev: folders of .json files, or files whose names begin with train and
    /// dev
    #[arg(value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// Omit the titles of articles from their paragraphs
    #[arg(long)]
    pub(crate) no_titles: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PairsArgs {
    /// Files or folders of pairs: NDJSON, JSON, CSV, TSV or Parquet, plain or compressed as .gz or
    /// .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// JSON field or table column of the query
    #[arg(long, value_name = "FIELD", default_value = "query")]
    pub(crate) query_field: String,
    /// JSON field or table column of the document that answers the query
    #[arg(long, value_name = "FIELD", default_value = "positive")]
    pub(crate) document_field: String,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Share of documents whose queries become validation data
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_share)]
    pub(crate) validation_share: f32,
    /// Seed of random draws
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// Converted folders, each with train and validation
    #[arg(value_name = "FOLDER", required = true, num_args = 2..)]
    pub(crate) dirs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is drawn.
#[derive(Debug, Args)]
pub(crate) struct DrawArgs {
    /// Maximum negatives per query for distillation; 0 means all
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) max_negatives_per_query: usize,
    /// Seed of random draws
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
}

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Output folder for train and validation. It is written under a temporary name and renamed
    /// once complete
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Replace the output of an earlier conversion
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
    /// Do nothing if the folder exists and was made with the same settings and files
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PurposeArg {
    /// Triplets
    Triplet,
    /// Training pairs for a cross-encoder, and pairs for it to score
    Distil,
}

impl From<PurposeArg> for Purpose {
    fn from(purpose: PurposeArg) -> Self {
        match purpose {
            PurposeArg::Triplet => Self::Triplet,
            PurposeArg::Distil => Self::Distil,
        }
    }
}
