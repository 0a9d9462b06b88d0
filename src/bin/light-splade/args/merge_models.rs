//! What was typed after `merge-models`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::OverwriteArgs;

#[derive(Debug, Args)]
pub(crate) struct MergeModelsArgs {
    /// Models or checkpoints to average: folders, or models of the Hugging Face hub
    #[arg(required = true, num_args = 2.., value_name = "MODEL")]
    pub(crate) models: Vec<PathBuf>,
    /// Weight of each model, in their order, as 1,2,1 [default: the same for all]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    pub(crate) weights: Vec<f64>,
    /// How the weights become one
    #[arg(long, value_enum, default_value = "linear")]
    pub(crate) method: MethodArg,
    /// Folder to write
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Compiled MeCab dictionary in UTF-8, in place of the models'
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodArg {
    /// Weighted mean
    Linear,
    /// Spherical interpolation of two models
    Slerp,
}
