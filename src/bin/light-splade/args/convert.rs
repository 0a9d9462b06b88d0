//! What was typed after `convert`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use splade_data::convert::Purpose;

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
    /// Several folders that convert wrote, as one
    #[command(override_usage = "light-splade convert join [OPTIONS] -o <FOLDER> <FOLDER>...")]
    Join(JoinArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MmarcoArgs {
    /// Folder with the files, or a data set of the Hugging Face hub: org/name or org/name@revision
    #[arg(value_name = "DATA", default_value = splade_data::convert::MMARCO)]
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
    /// Folder with corpus.jsonl, queries.jsonl and qrels
    #[arg(value_name = "FOLDER")]
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
