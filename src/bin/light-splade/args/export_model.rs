//! `light-splade export model`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use splade_model::export::OnnxOutput;
use splade_model::weights::FloatType;

use super::SubjectArgs;

#[derive(Debug, Args)]
pub(crate) struct ExportModelArgs {
    #[command(flatten)]
    pub(crate) model: SubjectArgs,
    /// Folder to write; it must not be there, or be empty
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Type of the weights
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) dtype: DtypeArg,
    /// Write model.onnx, too, and what it is to give
    #[arg(long, value_enum, value_name = "OUTPUT", num_args = 0..=1, default_missing_value = "logits")]
    pub(crate) onnx: Option<OnnxArg>,
    /// Longest text in tokens, special tokens included; the model's limit if not given
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    /// Compiled MeCab dictionary in UTF-8, in place of the model's
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) card: CardArgs,
    #[command(flatten)]
    pub(crate) push: PushArgs,
}

/// What the model card says beside what the model tells of itself.
#[derive(Debug, Args)]
pub(crate) struct CardArgs {
    /// Name of the model in its card [default: the name at the hub, or of the folder]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Language, as ja; may be given several times
    #[arg(long, value_name = "CODE")]
    pub(crate) language: Vec<String>,
    /// Licence, as apache-2.0
    #[arg(long)]
    pub(crate) license: Option<String>,
    /// Data set that it was trained on, by its name at the hub; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Vec<String>,
    /// Results that `evaluate --json` printed; the name is the file's if none is given
    #[arg(long, value_name = "[NAME=]FILE", value_parser = parse_metrics)]
    pub(crate) metrics: Vec<(String, PathBuf)>,
}

/// Where at the hub the model goes.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Upload the folder to the Hugging Face hub as org/name, which is made if it is missing; the
    /// token is HF_TOKEN's or that of `hf auth login`
    #[arg(long, value_name = "ORG/NAME")]
    pub(crate) push_to_hub: Option<String>,
    /// Make a model that is missing at the hub a private one
    #[arg(long, requires = "push_to_hub")]
    pub(crate) private: bool,
    /// Branch to upload to, which is made if it is missing
    #[arg(long, requires = "push_to_hub", default_value = "main")]
    pub(crate) revision: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DtypeArg {
    /// 32-bit floats
    F32,
    /// 16-bit floats: half the size, 3 digits
    F16,
    /// 16-bit floats of the range of 32 bits: 2 digits
    Bf16,
}

impl From<DtypeArg> for FloatType {
    fn from(dtype: DtypeArg) -> Self {
        match dtype {
            DtypeArg::F32 => Self::F32,
            DtypeArg::F16 => Self::F16,
            DtypeArg::Bf16 => Self::Bf16,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OnnxArg {
    /// Logits of every token, as fastembed and sentence-transformers want them
    Logits,
    /// The pooled vector
    Vector,
}

impl From<OnnxArg> for OnnxOutput {
    fn from(output: OnnxArg) -> Self {
        match output {
            OnnxArg::Logits => Self::Logits,
            OnnxArg::Vector => Self::Vector,
        }
    }
}

fn parse_metrics(text: &str) -> Result<(String, PathBuf), String> {
    if let Some((name, path)) = text.split_once('=') {
        return Ok((name.to_owned(), PathBuf::from(path)));
    }
    let path = PathBuf::from(text);
    match path.file_stem() {
        Some(stem) => Ok((stem.to_string_lossy().into_owned(), path)),
        None => Err("a file is expected".to_owned()),
    }
}
