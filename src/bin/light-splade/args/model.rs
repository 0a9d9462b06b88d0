//! Which model, how it runs, and the texts it reads.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use light_splade::SparseEncoderOptions;
use light_splade::encode::Pruning;
use light_splade::input::TextForm;
use splade_model::{Isa, Precision, Side};

use super::numbers::{at_least_one, threads};
use crate::input::InputOptions;

/// Which model, and how it encodes.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Model folder, or a model on the Hugging Face hub: org/name or org/name@revision
    #[arg(long, short, value_name = "MODEL", env = "LIGHT_SPLADE_MODEL", default_value = light_splade::models::BUILT_IN)]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) text: TextArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

/// The model that a command is about.
#[derive(Debug, Args)]
pub(crate) struct SubjectArgs {
    /// Model folder, or a model on the Hugging Face hub: org/name or org/name@revision [default:
    /// the environment variable LIGHT_SPLADE_MODEL, or the built-in mini-ja-en]
    #[arg(value_name = "MODEL", conflicts_with = "named")]
    subject: Option<PathBuf>,
    /// Same as the argument MODEL, for consistency with other commands
    #[arg(long = "model", short = 'm', value_name = "MODEL")]
    named: Option<PathBuf>,
}

impl SubjectArgs {
    /// The model's folder or name.
    pub(crate) fn name(&self) -> PathBuf {
        let typed = self.subject.as_ref().or(self.named.as_ref()).cloned();
        let variable = || std::env::var_os("LIGHT_SPLADE_MODEL").map(PathBuf::from);
        typed.or_else(variable).unwrap_or_else(|| light_splade::models::BUILT_IN.into())
    }
}

/// What kind of text a model is given.
#[derive(Debug, Args)]
pub(crate) struct TextArgs {
    /// Side of the model, which decides the encoder and the prompt
    #[arg(long = "as", value_enum, default_value = "document")]
    pub(crate) side: SideArg,
    /// Prompt put before every text, instead of the model's own
    #[arg(long)]
    pub(crate) prompt: Option<String>,
}

/// What the numbers of an encoder depend on, whatever the text.
#[derive(Debug, Args)]
pub(crate) struct ComputeArgs {
    /// Arithmetic: f32 is exact, int8 is faster, and bf16 needs a CPU with AMX
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: PrecisionArg,
    /// Maximum tokens per text, special tokens included; longer texts are truncated [default: the
    /// model's limit]
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// How an encoder runs.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Number of threads [default: all cores]
    #[arg(long, value_parser = threads())]
    pub(crate) threads: Option<usize>,
    /// Tokens per batch of a thread
    #[arg(
        long,
        value_name = "TOKENS",
        default_value_t = 512,
        value_parser = at_least_one(),
        hide_short_help = true
    )]
    pub(crate) batch_tokens: usize,
    /// Compiled MeCab dictionary in UTF-8 that replaces the model's
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Instruction set of the kernels [default: the best that this CPU supports]
    #[arg(long, value_parser = parse_isa, hide_short_help = true)]
    pub(crate) kernels: Option<Isa>,
}

/// Which weights of a vector are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct PruneArgs {
    /// Keep only the K largest weights of each text
    #[arg(long, value_name = "K", value_parser = at_least_one())]
    pub(crate) top_k: Option<usize>,
    /// Keep only weights of at least this value
    #[arg(long, visible_alias = "abs-value", value_name = "WEIGHT")]
    pub(crate) min_weight: Option<f32>,
    /// Keep only weights of at least this share of the text's largest weight
    #[arg(long, value_name = "SHARE")]
    pub(crate) max_ratio: Option<f32>,
    /// Keep only the largest weights whose sum is at most this share of the text's total
    #[arg(long, value_name = "SHARE")]
    pub(crate) alpha_mass: Option<f32>,
}

/// Texts to read.
#[derive(Debug, Clone, Args)]
pub(crate) struct InputArgs {
    /// Files or folders of texts: NDJSON, JSON, CSV, TSV, Parquet or one text per line, plain or
    /// compressed as .gz or .zst [default: standard input]
    pub(crate) inputs: Vec<PathBuf>,
    /// Text to read instead of files; can be repeated
    #[arg(long, short, value_name = "TEXT", conflicts_with = "inputs")]
    pub(crate) text: Vec<String>,
    /// JSON field or table column of the text [default: title and text]
    #[arg(long, value_name = "FIELD")]
    pub(crate) text_field: Option<String>,
    /// JSON field or table column of the id [default: _id, doc_id, qid or id]
    #[arg(long, value_name = "FIELD")]
    pub(crate) id_field: Option<String>,
    #[command(flatten)]
    pub(crate) form: InputFormArgs,
}

/// The form of inputs.
#[derive(Debug, Clone, Args)]
pub(crate) struct InputFormArgs {
    /// Format of the inputs
    #[arg(long, value_enum, value_name = "FORM", default_value = "auto", hide_short_help = true)]
    pub(crate) input_format: InputFormArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormArg {
    /// Detected from each file's first bytes and name
    Auto,
    /// One text per line
    Text,
    /// One JSON object per line
    Ndjson,
    /// JSON objects, in an array or one after another
    Json,
    /// CSV with a header
    Csv,
    /// An id, a tab and a text per line, or columns with a header
    Tsv,
    /// Parquet
    Parquet,
}

impl InputFormArgs {
    /// The form that was asked for.
    pub(crate) fn form(&self) -> Option<TextForm> {
        match self.input_format {
            InputFormArg::Auto => None,
            InputFormArg::Text => Some(TextForm::Plain),
            InputFormArg::Ndjson => Some(TextForm::Ndjson),
            InputFormArg::Json => Some(TextForm::Json),
            InputFormArg::Csv => Some(TextForm::Csv),
            InputFormArg::Tsv => Some(TextForm::Tsv),
            InputFormArg::Parquet => Some(TextForm::Parquet),
        }
    }
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
    /// 32-bit floats, rounded to bfloat16 in products: twice as fast as f32 on a CPU with AMX, which it needs
    Bf16,
}

fn parse_isa(name: &str) -> Result<Isa, String> {
    Isa::named(name).ok_or_else(|| {
        let supported: Vec<String> = Isa::supported().iter().map(Isa::to_string).collect();
        format!("this CPU supports {}", supported.join(", "))
    })
}

impl ModelArgs {
    /// For texts of one side.
    pub(crate) fn options(&self) -> SparseEncoderOptions {
        self.text.options(&self.compute)
    }
}

impl TextArgs {
    /// For texts of this side alone.
    pub(crate) fn options(&self, compute: &ComputeArgs) -> SparseEncoderOptions {
        let side = self.side.into();
        let mut options = SparseEncoderOptions { only: Some(side), ..compute.options() };
        match side {
            Side::Query => options.query_prompt = self.prompt.clone(),
            Side::Document => options.document_prompt = self.prompt.clone(),
        }
        options
    }
}

impl ComputeArgs {
    /// For queries and documents, with the model's own prompts.
    pub(crate) fn options(&self) -> SparseEncoderOptions {
        SparseEncoderOptions {
            precision: self.precision.into(),
            max_length: self.max_length,
            ..self.run.options()
        }
    }
}

impl RunArgs {
    /// For queries and documents, with everything that the numbers depend on at its default.
    pub(crate) fn options(&self) -> SparseEncoderOptions {
        SparseEncoderOptions {
            isa: self.kernels.unwrap_or_else(Isa::detect),
            threads: self.threads,
            batch_tokens: self.batch_tokens,
            mecab_dicdir: self.mecab_dicdir.clone(),
            ..SparseEncoderOptions::default()
        }
    }
}

impl PruneArgs {
    pub(crate) fn pruning(&self) -> Pruning {
        let Self { top_k, min_weight, max_ratio, alpha_mass } = *self;
        Pruning { threshold: min_weight, max_ratio, alpha_mass, top_k }
    }
}

impl From<SideArg> for Side {
    fn from(side: SideArg) -> Self {
        match side {
            SideArg::Query => Self::Query,
            SideArg::Document => Self::Document,
        }
    }
}

impl From<Side> for SideArg {
    fn from(side: Side) -> Self {
        match side {
            Side::Query => Self::Query,
            Side::Document => Self::Document,
        }
    }
}

impl From<Precision> for PrecisionArg {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Int8 => Self::Int8,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::F32 => Self::F32,
            PrecisionArg::Int8 => Self::Int8,
            PrecisionArg::Bf16 => Self::Bf16,
        }
    }
}

impl InputArgs {
    pub(crate) fn options(&self) -> InputOptions {
        InputOptions {
            no_ids: false,
            text_field: self.text_field.clone(),
            id_field: self.id_field.clone(),
            format: self.form.form(),
        }
    }
}
