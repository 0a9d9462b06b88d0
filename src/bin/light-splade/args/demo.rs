//! What was typed after `demo`.

use std::path::PathBuf;

use clap::Args;

use super::OverwriteArgs;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Output folder for the texts, the questions and the index
    #[arg(long, short, value_name = "FOLDER", default_value = "light-splade-demo")]
    pub(crate) output: PathBuf,
    /// Data set to show instead of the built-in texts: scifact, jaquad, a data set on the Hugging
    /// Face hub, or a folder in BEIR format
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Start the service at the end and open its page in a browser. On a terminal, the service
    /// starts even without this option
    #[arg(long)]
    pub(crate) open: bool,
    /// Exit without starting the service
    #[arg(long, conflicts_with = "open")]
    pub(crate) no_page: bool,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}
