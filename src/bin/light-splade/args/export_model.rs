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
    /// Output folder, which must be missing or empty
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Type of the weights
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) dtype: DtypeArg,
    /// Write model.onnx too, with this output
    #[arg(long, value_enum, value_name = "OUTPUT", num_args = 0..=1, default_missing_value = "logits")]
    pub(crate) onnx: Option<OnnxArg>,
    /// Maximum tokens per text, special tokens included [default: the model's limit]
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    /// Compiled MeCab dictionary in UTF-8 that replaces the model's
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
    /// Name of the model in its card [default: the name on the hub, or of the folder]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Language code, such as ja; can be repeated
    #[arg(long, value_name = "CODE")]
    pub(crate) language: Vec<String>,
    /// Licence, such as apache-2.0
    #[arg(long)]
    pub(crate) license: Option<String>,
    /// Training data set, by its name on the hub; can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Vec<String>,
    /// Results printed by `evaluate --json`; can be repeated. NAME is the file's name by default
    #[arg(long, value_name = "[NAME=]FILE", value_parser = parse_metrics)]
    pub(crate) metrics: Vec<(String, PathBuf)>,
}

/// Where at the hub the model goes.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Repository on the Hugging Face hub to upload to; created if missing. The token comes from
    /// HF_TOKEN or `hf auth login`
    #[arg(long, value_name = "ORG/NAME")]
    pub(crate) push_to_hub: Option<String>,
    /// Create a missing repository as a private one
    #[arg(long, requires = "push_to_hub")]
    pub(crate) private: bool,
    /// Branch to upload to; created if missing
    #[arg(long, requires = "push_to_hub", default_value = "main")]
    pub(crate) revision: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DtypeArg {
    /// 32-bit floats
    F32,
    /// 16-bit floats: half the size, 3 significant digits
    F16,
    /// 16-bit bfloat16: half the size, the range of 32-bit floats, 2 significant digits
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
    /// Logits of every token, for fastembed and sentence-transformers
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
