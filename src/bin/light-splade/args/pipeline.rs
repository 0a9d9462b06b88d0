//! What was typed after `pipeline`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    /// Pipeline: a YAML file with a work folder and steps
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Changes to its values in Hydra's syntax: a.b=c, +a.b=c, ~a.b
    #[arg(value_name = "OVERRIDE")]
    pub(crate) overrides: Vec<String>,
    /// Print which steps would run and why, without running them
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Step to run even if nothing changed; can be repeated
    #[arg(long, value_name = "STEP")]
    pub(crate) again: Vec<String>,
    /// Last step to run
    #[arg(long, value_name = "STEP")]
    pub(crate) until: Option<String>,
}
