//! What was typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use splade_model::{EncoderOptions, Isa, Precision, Side};

use crate::input::InputOptions;
use crate::sink::Format;

/// SPLADE sparse vectors without Python: encode, tokenize, explain and inspect.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Turn texts into sparse vectors
    Encode(EncodeArgs),
    /// Write the token ids of texts
    Tokenize(TokenizeArgs),
    /// Tell which token of a text gave each term
    Explain(ExplainArgs),
    /// Print what a model is
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EncodeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// File (.ndjson, .jsonl, .parquet) or folder for the vectors; standard output if not given
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Form of the shards in a folder [default: parquet]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Go on where an earlier run into the same folder ended
    #[arg(long)]
    pub(crate) resume: bool,
    /// Rows of a shard in a folder
    #[arg(long, value_name = "ROWS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) shard_rows: u64,
    /// Keys of the vectors in NDJSON
    #[arg(long, value_enum, default_value = "tokens")]
    pub(crate) terms: Terms,
    /// Keep the K largest weights of a text
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,
    /// Keep weights of at least this
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) threshold: Option<f32>,
    /// Decimals of the weights in NDJSON; a weight that rounds to zero is left out
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(crate) decimals: u8,
}

#[derive(Debug, Args)]
pub(crate) struct TokenizeArgs {
    /// Model folder, or a model of the Hugging Face hub: org/name or org/name@revision
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: PathBuf,
    /// Write ids only, not the tokens
    #[arg(long)]
    pub(crate) ids: bool,
    /// Cut texts off at so many tokens, special tokens included
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    /// Compiled MeCab dictionary in UTF-8, in place of the model's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) input: InputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The text
    pub(crate) text: String,
    /// Show the K largest weights
    #[arg(long, value_name = "K", default_value_t = 30)]
    pub(crate) top_k: usize,
    /// Write an HTML page in place of text
    #[arg(long)]
    pub(crate) html: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Model folder, or a model of the Hugging Face hub: org/name or org/name@revision
    pub(crate) model: PathBuf,
}

/// Which model, and how it runs.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Model folder, or a model of the Hugging Face hub: org/name or org/name@revision
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL")]
    pub(crate) model: PathBuf,
    /// Encoder and prompt of the model
    #[arg(long = "as", value_enum, default_value = "document")]
    pub(crate) side: SideArg,
    /// Arithmetic: f32, or int8 for speed
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: PrecisionArg,
    /// Threads; all cores if not given
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Cut texts off at so many tokens, special tokens included; the model's limit if not given
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    /// Put before every text, in place of the model's own prompt
    #[arg(long)]
    pub(crate) prompt: Option<String>,
    /// Tokens that a thread takes at a time
    #[arg(long, value_name = "TOKENS", default_value_t = 512)]
    pub(crate) batch_tokens: usize,
    /// Compiled MeCab dictionary in UTF-8, in place of the model's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Instruction set of the kernels; the best of this CPU if not given
    #[arg(long, value_parser = parse_isa)]
    pub(crate) kernels: Option<Isa>,
}

/// Texts to read.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// Text lines, NDJSON (.ndjson, .jsonl), either as .gz or .zst, folders; standard input if none
    pub(crate) inputs: Vec<PathBuf>,
    /// A text itself; may be given several times
    #[arg(long, short, value_name = "TEXT", conflicts_with = "inputs")]
    pub(crate) text: Vec<String>,
    /// NDJSON field with the text [default: title and text]
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    /// NDJSON field with the id [default: _id, doc_id, qid or id]
    #[arg(long, value_name = "FIELD")]
    pub(crate) id_field: Option<String>,
    /// Inputs are NDJSON whatever their names
    #[arg(long)]
    pub(crate) ndjson: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Terms {
    /// Tokens of the vocabulary
    Tokens,
    /// Their ids
    Ids,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SideArg {
    /// Encoder and prompt of queries
    Query,
    /// Encoder and prompt of documents
    Document,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PrecisionArg {
    /// 32-bit floats
    F32,
    /// 8-bit integers
    Int8,
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
display_as_typed!(Terms, SideArg, PrecisionArg);

fn parse_isa(name: &str) -> Result<Isa, String> {
    Isa::named(name).ok_or_else(|| {
        let supported: Vec<String> = Isa::supported().iter().map(Isa::to_string).collect();
        format!("this CPU supports {}", supported.join(", "))
    })
}

impl ModelArgs {
    pub(crate) fn options(&self) -> EncoderOptions {
        EncoderOptions {
            side: match self.side {
                SideArg::Query => Side::Query,
                SideArg::Document => Side::Document,
            },
            precision: match self.precision {
                PrecisionArg::F32 => Precision::F32,
                PrecisionArg::Int8 => Precision::Int8,
            },
            isa: self.kernels.unwrap_or_else(Isa::detect),
            threads: self.threads,
            max_length: self.max_length,
            batch_tokens: self.batch_tokens,
            prompt: self.prompt.clone(),
            mecab_dicdir: self.mecab_dicdir.clone(),
        }
    }
}

impl InputArgs {
    pub(crate) fn options(&self) -> InputOptions {
        InputOptions {
            text_field: self.text_field.clone(),
            id_field: self.id_field.clone(),
            ndjson: self.ndjson,
        }
    }
}
