//! What was typed after `report`.

use std::path::PathBuf;

use clap::Args;

use super::OverwriteArgs;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folder or log.jsonl of a run of train, pretrain or cross-encoder train, finished or still
    /// running
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Second run, whose curves are laid over those of the first
    #[arg(long, value_name = "RUN")]
    pub(crate) compare: Option<PathBuf>,
    /// Output file for the page [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}
