//! What was typed after `merge-models`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::OverwriteArgs;

#[derive(Debug, Args)]
pub(crate) struct MergeModelsArgs {
    /// Models or checkpoints to average: folders, or models on the Hugging Face hub
    #[arg(required = true, num_args = 2.., value_name = "MODEL")]
    pub(crate) models: Vec<PathBuf>,
    /// Weight of each model in the order of the arguments, such as 1,2,1 [default: equal weights]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    pub(crate) weights: Vec<f64>,
    /// How to combine the weights
    #[arg(long, value_enum, default_value = "linear")]
    pub(crate) method: MethodArg,
    /// Output folder
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Compiled MeCab dictionary in UTF-8 that replaces the models'
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
