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
    VocabCommand, VocabExtendArgs, VocabIdfArgs, VocabLearnArgs, VocabMergeArgs, VocabTrimArgs,
    WordsArg,
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
    /// Show what light-splade does, on built-in texts
    Demo(DemoArgs),
    /// Encode texts as sparse vectors
    Encode(EncodeArgs),
    /// Print the tokens of texts and their ids
    Tokenize(TokenizeArgs),
    /// Show which input token produced each term of a vector
    Explain(ExplainArgs),
    /// Print the architecture, tokenizer and size of a model
    Inspect(InspectArgs),
    /// Build, update and verify an index
    #[command(subcommand)]
    Index(IndexCommand),
    /// Search an index
    Search(SearchArgs),
    /// Serve encoding and search over HTTP
    #[cfg(feature = "serve")]
    Serve(Box<ServeArgs>),
    /// Fuse the rankings of several runs into one
    Fuse(FuseArgs),
    /// Measure retrieval quality on a data set, or compare two runs
    Evaluate(EvaluateArgs),
    /// Check a data set for errors
    CheckData(CheckDataArgs),
    /// Export vectors to search engines, models to other libraries
    #[command(subcommand)]
    Export(ExportCommand),
    /// Convert published data sets into training data
    #[command(subcommand)]
    Convert(ConvertCommand),
    /// Find hard negatives for training queries
    Mine(MineArgs),
    /// Score query-document pairs with one or more teacher models
    #[command(override_usage = "light-splade score [OPTIONS] --data <FOLDER> --by <TEACHER>
                          -o <FILE> <PAIRS>")]
    Score(ScoreArgs),
    /// Check that a search engine ranks as light-splade does
    #[cfg(feature = "push")]
    Doctor(DoctorArgs),
    /// Train a SPLADE model from a config
    Train(TrainArgs),
    /// Pretrain a masked language model, or continue pretraining
    Pretrain(TrainArgs),
    /// Average the weights of models or checkpoints
    MergeModels(MergeModelsArgs),
    /// Write an HTML report of a training run from its log
    Report(ReportArgs),
    /// Learn and extend vocabularies, and compute IDF factors
    #[command(subcommand)]
    Vocab(VocabCommand),
    /// Run the steps of a pipeline that are out of date
    Pipeline(PipelineArgs),
    /// Train and run cross-encoders, the teachers of distillation
    #[command(subcommand)]
    CrossEncoder(CrossEncoderCommand),
    /// Print the completion script for a shell
    Completions(CompletionsArgs),
    /// Write man pages, one per command
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EncodeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Output file (.ndjson, .jsonl or .parquet; for dense vectors also .npy or .safetensors) or
    /// folder [default: standard output]
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Kind of vectors, for a model with several heads [default: the model's first head]
    #[arg(long, value_enum)]
    pub(crate) head: Option<HeadArg>,
    /// Format of the shards in an output folder [default: parquet]
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatArg>,
    /// Continue where an earlier run into the same folder stopped
    #[arg(long, conflicts_with = "force")]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
    /// Rows per shard in an output folder
    #[arg(
        long,
        value_name = "ROWS",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..),
        hide_short_help = true
    )]
    pub(crate) shard_rows: u64,
    /// Encode only part I of N, from 1/N to N/N: every N-th input row, into one Parquet file in the
    /// --output folder. A file that exists is kept
    #[arg(long, value_name = "I/N", conflicts_with = "resume")]
    pub(crate) shard: Option<ShardSpec>,
    /// Keys of the vectors in NDJSON output
    #[arg(long, value_enum, default_value = "tokens")]
    pub(crate) terms: Terms,
    /// Factors, written by `vocab idf`, that multiply the weights of documents
    #[arg(long, value_name = "FILE")]
    pub(crate) idf: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) prune: PruneArgs,
    /// Decimals of the weights in NDJSON output; weights that round to zero are dropped
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
    /// Model folder, or a model on the Hugging Face hub: org/name or org/name@revision
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL", default_value = light_splade::models::BUILT_IN)]
    pub(crate) model: PathBuf,
    /// Write ids only, without tokens
    #[arg(long)]
    pub(crate) ids: bool,
    /// Maximum tokens per text, special tokens included; longer texts are truncated [default: no
    /// limit]
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    /// Compiled MeCab dictionary in UTF-8 that replaces the model's
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Output file, in JSON [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
    /// Print JSON, one row per text, also on a terminal
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Number of largest weights to show
    #[arg(long, short = 'k', value_name = "K", default_value_t = 30, value_parser = at_least_one())]
    pub(crate) top_k: usize,
    /// Write an HTML page instead of text
    #[arg(long)]
    pub(crate) html: bool,
    /// Print JSON, one row per text
    #[arg(long, conflicts_with = "html")]
    pub(crate) json: bool,
    /// Output file [default: standard output]
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
    /// Ids of the tokens
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
    /// Replace an existing output
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
