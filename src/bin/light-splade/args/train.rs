//! What was typed after `train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::numbers::threads;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Folder of the configs
    #[arg(long, value_name = "FOLDER")]
    pub(crate) config_dir: PathBuf,
    /// Name of the config in it
    #[arg(long, value_name = "NAME")]
    pub(crate) config_name: String,
    /// Changes of the config, as Hydra has them: a.b=c, +a.b=c, ~a.b, training=another
    #[arg(value_name = "OVERRIDE")]
    pub(crate) overrides: Vec<String>,
    /// Print the config and do nothing
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "multirun")]
    pub(crate) cfg: Option<CfgArg>,
    /// Run a job for each combination of values: training.seed=1,2
    #[arg(long, short)]
    pub(crate) multirun: bool,
    /// Go on from the last checkpoint in training.output_dir, if there is one
    #[arg(long, conflicts_with = "multirun")]
    pub(crate) resume: bool,
    /// Show a live page on this port of this machine; 0 for any that is free
    #[arg(long, value_name = "PORT")]
    pub(crate) dashboard: Option<u16>,
    /// Threads; all cores if not given. The result does not depend on it
    #[arg(long, value_parser = threads())]
    pub(crate) threads: Option<usize>,
    /// Say only what went wrong
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CfgArg {
    /// The config of the run, as YAML
    Job,
}
