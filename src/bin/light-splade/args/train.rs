//! What was typed after `train` and `pretrain`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hydra_compose::ComposeOptions;

use super::numbers::threads;
use crate::quoting::quoted;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the composed config without running it
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "multirun")]
    pub(crate) cfg: Option<CfgArg>,
    /// Run one job per combination of values, such as training.seed=1,2
    #[arg(long)]
    pub(crate) multirun: bool,
    /// Continue from the last checkpoint in training.output_dir, if there is one
    #[arg(long, conflicts_with = "multirun")]
    pub(crate) resume: bool,
    /// Port of a live page on this machine; 0 picks a free port
    #[arg(long, value_name = "PORT")]
    pub(crate) dashboard: Option<u16>,
    /// Number of threads; it does not change the result [default: all cores]
    #[arg(long, value_parser = threads())]
    pub(crate) threads: Option<usize>,
}

/// A config and what is changed in it.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Config: a YAML file, with its groups in the folders beside it
    #[arg(value_name = "CONFIG")]
    pub(crate) file: PathBuf,
    /// Changes to the config in Hydra's syntax: a.b=c, +a.b=c, ~a.b, training=another
    #[arg(value_name = "OVERRIDE")]
    pub(crate) overrides: Vec<String>,
    /// Folder of the configs, in which CONFIG is a name [default: the folder of CONFIG]
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    pub(crate) config_dir: Option<PathBuf>,
}

impl ConfigArgs {
    /// The name of the config, without its folder and ending.
    pub(crate) fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        name.strip_suffix(".yaml").unwrap_or(&name).to_owned()
    }

    /// Where the config is, and what is changed in it.
    pub(crate) fn options(&self) -> ComposeOptions {
        let path = self.file.to_string_lossy();
        let (folder, name) = match &self.config_dir {
            Some(folder) => (folder.clone(), path.into_owned()),
            None => {
                let folder = self.file.parent().filter(|folder| *folder != Path::new(""));
                (folder.unwrap_or(Path::new(".")).to_owned(), self.name())
            }
        };
        ComposeOptions::new(folder, name, self.overrides.clone())
    }

    /// The arguments as a shell reads them, without the overrides that `keeps` does not keep.
    pub(crate) fn as_typed(&self, keeps: impl Fn(&str) -> bool) -> String {
        let mut words = vec![quoted(&self.file.to_string_lossy())];
        if let Some(folder) = &self.config_dir {
            words.extend(["--config-dir".to_owned(), quoted(&folder.to_string_lossy())]);
        }
        let kept = self.overrides.iter().filter(|text| keeps(text));
        words.extend(kept.map(|text| quoted(text)));
        words.join(" ")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CfgArg {
    /// The config of the run, as YAML
    Job,
}
