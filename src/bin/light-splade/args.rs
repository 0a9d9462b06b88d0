//! What was typed.

mod convert;
mod cross_encoder;
mod demo;
#[cfg(feature = "push")]
mod doctor;
mod evaluate;
mod export;
mod export_model;
mod global;
mod help;
mod index;
mod merge_models;
mod mine;
mod model;
mod numbers;
mod old_spellings;
mod parse;
mod pipeline;
mod report;
mod search;
#[cfg(feature = "serve")]
mod serve;
mod shell;
mod train;
mod version;
mod vocab;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use light_splade::encode::{DenseForm, ShardSpec, TermKeys, VectorForm};
use light_splade::models::HeadKind;

pub(crate) use convert::{ConvertCommand, CorpusArgs, MmarcoArgs, MsMarcoArgs, PurposeArg};
pub(crate) use cross_encoder::{
    CrossEncoderCommand, EnsembleArgs, TeacherArgs, TeacherPredictArgs, TeacherTrainArgs,
};
pub(crate) use demo::DemoArgs;
#[cfg(feature = "push")]
pub(crate) use doctor::{DoctorArgs, SearchEngineArg};
pub(crate) use evaluate::{CheckDataArgs, EvaluateArgs, ReportFormat};
pub(crate) use export::{
    ElasticsearchType, ExportCommand, IndexArgs, MatrixFormat, OpensearchArgs, OpensearchType,
    PushArgs, VectorsArgs,
};
pub(crate) use export_model::ExportModelArgs;
pub(crate) use global::{ColorArg, GlobalArgs, JsonArgs, LogFormatArg};
pub(crate) use help::command;
pub(crate) use index::{
    AddArgs, BuildArgs, DeleteArgs, IndexCommand, InfoArgs, MergeArgs, SourceArgs, WeightsArg,
};
pub(crate) use merge_models::{MergeModelsArgs, MethodArg};
pub(crate) use mine::{MineArgs, MineFormat, RankerArgs, ScoreArgs};
use numbers::at_least_one;
pub(crate) use old_spellings::TEXT_WITHOUT_OPTION;

pub(crate) use model::{
    ComputeArgs, InputArgs, InputFormArgs, ModelArgs, PrecisionArg, PruneArgs, RunArgs, SideArg,
    SubjectArgs, TextArgs,
};
pub(crate) use parse::parse;
pub(crate) use pipeline::PipelineArgs;
pub(crate) use report::ReportArgs;
pub(crate) use search::{FuseArgs, HitFormat, SearchArgs};
#[cfg(feature = "serve")]
pub(crate) use serve::{DtypeArg, KeyArgs, LevelArg, LimitArgs, LogArgs, ServeArgs};
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use train::{ConfigArgs, TrainArgs};
pub(crate) use vocab::{
    VocabCommand, VocabExtendArgs, VocabIdfArgs, VocabLearnArgs, VocabTrimArgs, WordsArg,
};

/// SPLADE retrieval without Python: encode, index, search and evaluate.
#[derive(Debug, Parser)]
#[command(name = "light-splade", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the program does, on texts that it brings along
    Demo(DemoArgs),
    /// Turn texts into sparse vectors
    Encode(EncodeArgs),
    /// Write the token ids of texts
    Tokenize(TokenizeArgs),
    /// Tell which token of a text gave each term
    Explain(ExplainArgs),
    /// Print what a model is
    Inspect(InspectArgs),
    /// Build, change and check an index of vectors
    #[command(subcommand)]
    Index(IndexCommand),
    /// Find the best documents of an index for queries
    Search(SearchArgs),
    /// Answer requests for vectors and searches over HTTP
    #[cfg(feature = "serve")]
    Serve(Box<ServeArgs>),
    /// Join runs of several searches into one
    Fuse(FuseArgs),
    /// Measure retrieval on a data set, or compare two runs
    Evaluate(EvaluateArgs),
    /// Look for what is wrong in a data set
    CheckData(CheckDataArgs),
    /// Write vectors for search engines, and models for other programs
    #[command(subcommand)]
    Export(ExportCommand),
    /// Make training data of what others publish
    #[command(subcommand)]
    Convert(ConvertCommand),
    /// Find hard negatives for the queries of training data
    Mine(MineArgs),
    /// Score pairs of queries and documents with one model or several
    #[command(override_usage = "light-splade score [OPTIONS] --data <FOLDER> --by <TEACHER>
                          -o <FILE> <PAIRS>")]
    Score(ScoreArgs),
    /// Try whether a search engine answers as it has to
    #[cfg(feature = "push")]
    Doctor(DoctorArgs),
    /// Train a model as a config says
    Train(TrainArgs),
    /// Train a masked language model, from nothing or further
    Pretrain(TrainArgs),
    /// Average the weights of models or checkpoints
    MergeModels(MergeModelsArgs),
    /// Draw a page about a training run, finished or not, from its log
    Report(ReportArgs),
    /// Make vocabularies
    #[command(subcommand)]
    Vocab(VocabCommand),
    /// Run the steps of a file, each only if it has to run again
    Pipeline(PipelineArgs),
    /// Train and use the teacher of distillation
    #[command(subcommand)]
    CrossEncoder(CrossEncoderCommand),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Write the manual, a page a command
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EncodeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// File (.ndjson, .jsonl, .parquet; dense also .npy, .safetensors) or folder for the vectors;
    /// standard output if not given
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// What the model makes of a text, where it can make several things [default: its first]
    #[arg(long, value_enum)]
    pub(crate) head: Option<HeadArg>,
    /// Form of the shards in a folder [default: parquet]
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatArg>,
    /// Go on where an earlier run into the same folder ended
    #[arg(long, conflicts_with = "force")]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
    /// Rows of a shard in a folder
    #[arg(
        long,
        value_name = "ROWS",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..),
        hide_short_help = true
    )]
    pub(crate) shard_rows: u64,
    /// Encode only the I-th of N parts of the inputs, from 1/N to N/N: every N-th row, into a Parquet
    /// file of the --output folder; one that is there already is kept
    #[arg(long, value_name = "I/N", conflicts_with = "resume")]
    pub(crate) shard: Option<ShardSpec>,
    /// Keys of the vectors in NDJSON
    #[arg(long, value_enum, default_value = "tokens")]
    pub(crate) terms: Terms,
    /// Multiply the weights of documents by the factors of a table, which `vocab idf` makes
    #[arg(long, value_name = "FILE")]
    pub(crate) idf: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) prune: PruneArgs,
    /// Decimals of the weights in NDJSON; a weight that rounds to zero is left out
    #[arg(
        long,
        default_value_t = 4,
        value_parser = clap::value_parser!(u8).range(1..=9),
        hide_short_help = true
    )]
    pub(crate) decimals: u8,
}

#[derive(Debug, Args)]
pub(crate) struct TokenizeArgs {
    /// Model folder, or a model of the Hugging Face hub: org/name or org/name@revision
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL", default_value = light_splade::models::BUILT_IN)]
    pub(crate) model: PathBuf,
    /// Write ids only, not the tokens
    #[arg(long)]
    pub(crate) ids: bool,
    /// Cut texts off at so many tokens, special tokens included
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    /// Compiled MeCab dictionary in UTF-8, in place of the model's
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// File for the rows, in JSON; standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
    /// Print JSON, a row a text, on a terminal too
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Show the K largest weights
    #[arg(long, short = 'k', value_name = "K", default_value_t = 30, value_parser = at_least_one())]
    pub(crate) top_k: usize,
    /// Write an HTML page in place of text
    #[arg(long)]
    pub(crate) html: bool,
    /// Print JSON, a row a text
    #[arg(long, conflicts_with = "html")]
    pub(crate) json: bool,
    /// File for the result; standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) model: SubjectArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Terms {
    /// Tokens of the vocabulary
    Tokens,
    /// Their ids
    Ids,
}

impl From<Terms> for TermKeys {
    fn from(terms: Terms) -> Self {
        match terms {
            Terms::Tokens => Self::Tokens,
            Terms::Ids => Self::Ids,
        }
    }
}

/// The form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// Parquet: id, indices, values
    Parquet,
    /// NDJSON: {"id": …, "vector": {…}}
    Ndjson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeadArg {
    /// A sparse vector over the vocabulary
    Sparse,
    /// One dense vector
    Dense,
    /// A dense vector for each token
    MultiVector,
}

impl From<HeadArg> for HeadKind {
    fn from(head: HeadArg) -> Self {
        match head {
            HeadArg::Sparse => Self::Sparse,
            HeadArg::Dense => Self::Dense,
            HeadArg::MultiVector => Self::MultiVector,
        }
    }
}

impl From<FormatArg> for VectorForm {
    fn from(form: FormatArg) -> Self {
        match form {
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Ndjson => Self::Ndjson,
        }
    }
}

impl From<FormatArg> for DenseForm {
    fn from(form: FormatArg) -> Self {
        match form {
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Ndjson => Self::Ndjson,
        }
    }
}

/// Whether an output may be overwritten.
#[derive(Debug, Args)]
pub(crate) struct OverwriteArgs {
    /// Replace an output that exists already
    #[arg(long)]
    pub(crate) force: bool,
}

/// The name of a value as it is typed.
macro_rules! display_as_typed {
    ($($type:ty),*) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let value = self.to_possible_value();
                f.write_str(value.as_ref().map_or("", |value| value.get_name()))
            }
        }
    )*};
}
display_as_typed!(Terms, SideArg, PrecisionArg, WeightsArg, PurposeArg, model::InputFormArg);
