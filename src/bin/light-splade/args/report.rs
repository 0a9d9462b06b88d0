//! What was typed after `report`.

use std::path::PathBuf;

use clap::Args;

use super::OverwriteArgs;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folder of a run of train, pretrain or cross-encoder train, finished or not, or its log.jsonl
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Lay the curves of this run over those of the first
    #[arg(long, value_name = "RUN")]
    pub(crate) compare: Option<PathBuf>,
    /// File for the page; standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}
