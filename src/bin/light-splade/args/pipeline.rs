//! What was typed after `pipeline`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    /// The pipeline: YAML with a work folder and steps
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Changes of its values, as Hydra has them: a.b=c, +a.b=c, ~a.b
    #[arg(value_name = "OVERRIDE")]
    pub(crate) overrides: Vec<String>,
    /// Say which steps would run, and why, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run this step though nothing changed
    #[arg(long, value_name = "STEP")]
    pub(crate) again: Vec<String>,
    /// End after this step
    #[arg(long, value_name = "STEP")]
    pub(crate) until: Option<String>,
}
