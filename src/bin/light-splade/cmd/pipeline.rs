//! `light-splade pipeline`: commands of this tool one after another.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use hydra_compose::{compose, sweep};
use light_splade::pipelines::{PipelineOptions, run_pipeline};
use serde_json::Value;
use splade_train::config::{Config, PretrainConfig};

use crate::args::{Command, PipelineArgs, TrainArgs, parse};
use crate::cmd::cross_encoder;
use crate::cmd::runs::Run;
use crate::interrupt;
use crate::progress::Reporter;

pub(crate) fn run(args: &PipelineArgs, program: std::io::Result<PathBuf>) -> Result<()> {
    let options = PipelineOptions {
        file: args.file.clone(),
        overrides: args.overrides.clone(),
        program: program.context("cannot find this program")?,
        settings: |command| settings(command).map_err(|error| format!("{error:#}")),
        dry_run: args.dry_run,
        again: args.again.clone(),
        until: args.until.clone(),
    };
    interrupt::listen()?;
    run_pipeline(&options, &mut Reporter::new())?;
    Ok(())
}

/// Checks that a command is one of ours; returns the settings that it reads from configs.
fn settings(command: &[String]) -> Result<Value> {
    let typed = std::iter::once("light-splade").chain(command.iter().map(String::as_str));
    // The step itself warns of old spellings.
    let (_, parsed) = parse(typed.map(OsString::from));
    let cli = match parsed.map_err(|error| error.render().to_string()) {
        Err(message) => bail!("{}: {}", command.join(" "), message.trim_end()),
        Ok(cli) => cli,
    };
    let text = match cli.command {
        Command::Pipeline(_) => bail!("a pipeline has no pipelines"),
        Command::Train(args) => configs::<Config>(&args)?,
        Command::Pretrain(args) => configs::<PretrainConfig>(&args)?,
        Command::CrossEncoder(command) => cross_encoder::settings(&command)?,
        _ => String::new(),
    };
    Ok(text.into())
}

/// Composes the config of training, or those of a sweep, and checks their settings.
fn configs<R: Run>(args: &TrainArgs) -> Result<String> {
    let options = args.config.options();
    let jobs = match args.multirun {
        true => sweep(&options)?.into_iter().map(|(_, composed)| composed).collect(),
        false => vec![compose(&options)?],
    };
    let mut text = String::new();
    for job in jobs {
        R::read(&job.value()?)?;
        text += &job.to_yaml();
    }
    Ok(text)
}
