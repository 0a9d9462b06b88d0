//! What was typed after `train` and `pretrain`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hydra_compose::ComposeOptions;

use super::numbers::threads;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the config and do nothing
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "multirun")]
    pub(crate) cfg: Option<CfgArg>,
    /// Run a job for each combination of values: training.seed=1,2
    #[arg(long)]
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
}

/// A config and what is changed in it.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The config, a YAML file; its groups are in the folders beside it
    #[arg(value_name = "CONFIG")]
    pub(crate) file: PathBuf,
    /// Changes of the config, as Hydra has them: a.b=c, +a.b=c, ~a.b, training=another
    #[arg(value_name = "OVERRIDE")]
    pub(crate) overrides: Vec<String>,
    /// Folder of the configs, in which CONFIG is a name; that of CONFIG if not given
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    pub(crate) config_dir: Option<PathBuf>,
}

impl ConfigArgs {
    /// Where the config is, and what is changed in it.
    pub(crate) fn options(&self) -> ComposeOptions {
        let path = self.file.to_string_lossy();
        let (folder, name) = match &self.config_dir {
            Some(folder) => (folder.clone(), path.into_owned()),
            None => {
                let name = self.file.file_name().unwrap_or_default().to_string_lossy();
                let name = name.strip_suffix(".yaml").unwrap_or(&name).to_owned();
                let folder = self.file.parent().filter(|folder| *folder != Path::new(""));
                (folder.unwrap_or(Path::new(".")).to_owned(), name)
            }
        };
        ComposeOptions::new(folder, name, self.overrides.clone())
    }

    /// The arguments as a shell reads them, without the overrides that `keeps` does not keep.
    pub(crate) fn as_typed(&self, keeps: impl Fn(&str) -> bool) -> String {
        let mut words = vec![self.file.display().to_string()];
        if let Some(folder) = &self.config_dir {
            words.extend(["--config-dir".to_owned(), folder.display().to_string()]);
        }
        let kept = self.overrides.iter().filter(|text| keeps(text));
        words.extend(kept.map(|text| format!("'{text}'")));
        words.join(" ")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CfgArg {
    /// The config of the run, as YAML
    Job,
}
