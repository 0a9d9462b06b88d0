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
    /// mMARCO of unicamp-dl: MS MARCO's passages and triples in 14 languages
    #[command(
        override_usage = "light-splade convert mmarco [OPTIONS] --for <PURPOSE> -o <FOLDER> [DATA]"
    )]
    Mmarco(MmarcoArgs),
    /// A folder in BEIR's form
    Beir(BeirArgs),
    /// MS MARCO's passages, with triples, hard negatives and teachers' scores of others
    Msmarco(MsMarcoArgs),
    /// Questions about paragraphs: SQuAD, JaQuAD
    Squad(SquadArgs),
    /// Texts without questions: pairs are cut out of them, scored, and the false ones left out
    Corpus(Box<CorpusArgs>),
    /// Several folders that convert wrote, as one
    #[command(override_usage = "light-splade convert join [OPTIONS] -o <FOLDER> <FOLDER>...")]
    Join(JoinArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CorpusArgs {
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or a text a line, also as .gz or .zst
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Field of JSON, or column of a table, with the text [default: title and text]
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
    /// Where queries come from: title, first-sentence, cloze (a sentence out of the middle) and keywords
    #[arg(
        long,
        value_name = "KINDS",
        value_delimiter = ',',
        default_value = "title,first-sentence,cloze,keywords",
        value_parser = parse_kind
    )]
    pub(crate) queries: Vec<PairKind>,
    /// Queries of a document at most, each of another kind
    #[arg(long, value_name = "N", default_value = "2", value_parser = at_least_one())]
    pub(crate) queries_per_document: usize,
    /// Share of documents that keep the text of their queries
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_share)]
    pub(crate) whole_share: f32,
    /// Share of documents whose queries become validation
    #[arg(long, value_name = "SHARE", default_value = "0.02", value_parser = parse_share)]
    pub(crate) validation_share: f32,
    /// What finds the documents that each pair is compared with: bm25, splade, dense or colbert
    #[arg(long, value_name = "RANKER", default_value = "bm25", value_parser = parse_candidates)]
    pub(crate) candidates: RankerKind,
    /// Documents found for each query, which become its negatives
    #[arg(long, value_name = "N", default_value = "20", value_parser = at_least_one())]
    pub(crate) depth: usize,
    /// What scores the pairs: bm25, splade, dense, colbert, bge-m3 or cross-encoder, with model= and weight=
    /// behind commas; may be given several times, and the scores are joined
    #[arg(long, value_name = "TEACHER", default_value = "bm25", value_parser = parse_teacher)]
    pub(crate) by: Vec<Teacher>,
    /// How the scores of several teachers are joined, for each query on its own
    #[arg(long, value_enum, default_value = "standardize")]
    pub(crate) join: JoinArg,
    /// Leave out pairs whose document has a worse rank among those that were found
    #[arg(long, value_name = "RANK", default_value = "3", value_parser = at_least_one())]
    pub(crate) worst_rank: usize,
    /// Leave out pairs whose document scores less than this above the best other one
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(crate) absolute_margin: Option<f32>,
    /// Leave out pairs of which another document has more than 1 - SHARE of the score
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) relative_margin: Option<f32>,
    /// Write all pairs, without scores and negatives
    #[arg(long, conflicts_with_all = ["by", "candidates", "worst_rank", "absolute_margin", "relative_margin"])]
    pub(crate) unfiltered: bool,
    /// Decides what is drawn
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
    /// Folder with the files, or a data set of the Hugging Face hub: org/name or org/name@revision
    #[arg(value_name = "DATA", default_value = splade_data::convert::MmarcoFiles::REPOSITORY)]
    pub(crate) data: PathBuf,
    /// What the data is for
    #[arg(long = "for", value_enum)]
    pub(crate) purpose: PurposeArg,
    /// Language, as the files are named
    #[arg(long, default_value = "japanese")]
    pub(crate) language: String,
    /// Translation, as the folders are named
    #[arg(long, default_value = "google")]
    pub(crate) translation: String,
    /// Passages, in place of the file in DATA
    #[arg(long, value_name = "FILE")]
    pub(crate) collection: Option<PathBuf>,
    /// Queries of train, in place of the file in DATA
    #[arg(long, value_name = "FILE")]
    pub(crate) train_queries: Option<PathBuf>,
    /// Queries of dev.full, in place of the file in DATA
    #[arg(long, value_name = "FILE")]
    pub(crate) dev_queries: Option<PathBuf>,
    /// Triples of ids or texts, in place of the file in DATA
    #[arg(long, value_name = "FILE")]
    pub(crate) triples: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) draw: DrawArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BeirArgs {
    /// Folder with corpus.jsonl, queries.jsonl and qrels, or a data set of the hub by a name that
    /// evaluate takes
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// Split of qrels to train on
    #[arg(long, value_name = "SPLIT", default_value = "train")]
    pub(crate) train: String,
    /// Split of qrels to evaluate on [default: dev, or else test]
    #[arg(long, value_name = "SPLIT")]
    pub(crate) validation: Option<String>,
    /// Train has those documents alone that its split judges: others stay unseen
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
    /// Triples of ids or texts, such as qidpidtriples.train.full.2.tsv.gz: writes triplets
    #[arg(long, value_name = "FILE")]
    pub(crate) triples: Option<PathBuf>,
    /// Hard negatives or scores, such as cross-encoder-ms-marco-MiniLM-L-6-v2-scores.pkl.gz: writes
    /// scores for distillation
    #[arg(long, value_name = "FILE")]
    pub(crate) hard_negatives: Option<PathBuf>,
    /// Documents of validation beside its positives, drawn at random; 0 for all
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) validation_docs: usize,
    #[command(flatten)]
    pub(crate) draw: DrawArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SquadArgs {
    /// Folder with train and dev: folders of .json files, or files whose names begin so
    #[arg(value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// Leave the titles of articles out of their paragraphs
    #[arg(long)]
    pub(crate) no_titles: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// Folders with train and validation
    #[arg(value_name = "FOLDER", required = true, num_args = 2..)]
    pub(crate) dirs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is drawn.
#[derive(Debug, Args)]
pub(crate) struct DrawArgs {
    /// Negatives of a query for distillation; 0 for all
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) max_negatives_per_query: usize,
    /// Decides what is drawn
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
}

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Folder for train and validation; it appears when it is whole
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Replace what an earlier conversion wrote there
    #[arg(long, conflicts_with = "resume")]
    pub(crate) force: bool,
    /// Do nothing if the folder is there already, whole and of the same settings and files
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PurposeArg {
    /// Triplets
    Triplet,
    /// Training pairs of a cross-encoder, and pairs that it is to score
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
