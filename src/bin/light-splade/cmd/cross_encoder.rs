//! `cross-encoder`: the teachers of distillation.

mod ensemble;
mod predict;
mod train;

use anyhow::{Context, Result, bail};
use hydra_compose::{ComposeOptions, Composed, compose};
use serde_json::Value;
use splade_train::TrainError;
use splade_train::cross_encoder::{CrossEncoderConfig, PredictConfig};

use crate::args::{CrossEncoderCommand, TeacherArgs};
use crate::interrupt;

pub(crate) fn run(command: &CrossEncoderCommand) -> Result<()> {
    match command {
        CrossEncoderCommand::Train(args) => train::run(args),
        CrossEncoderCommand::Predict(args) => predict::run(args),
        CrossEncoderCommand::Ensemble(args) => ensemble::run(args),
    }
}

/// The config of a command as it is composed, checked; nothing if it has none.
pub(crate) fn settings(command: &CrossEncoderCommand) -> Result<String> {
    match command {
        CrossEncoderCommand::Train(args) => checked(&args.run, CrossEncoderConfig::from_value),
        CrossEncoderCommand::Predict(args) => checked(&args.run, PredictConfig::from_value),
        CrossEncoderCommand::Ensemble(_) => Ok(String::new()),
    }
}

fn checked<T>(
    args: &TeacherArgs,
    read: impl Fn(&Value) -> Result<T, TrainError>,
) -> Result<String> {
    let composed = composed(args)?;
    read(&composed.value()?)?;
    Ok(composed.to_yaml())
}

/// The values of a config with its changes.
fn config(args: &TeacherArgs) -> Result<Value> {
    Ok(composed(args)?.value()?)
}

/// A config with its changes.
fn composed(args: &TeacherArgs) -> Result<Composed> {
    let file = &args.config;
    let name = file.file_stem().filter(|_| file.extension().is_some_and(|end| end == "yaml"));
    let Some(name) = name.and_then(|name| name.to_str()) else {
        bail!("--config {} must be a file that ends in .yaml", file.display());
    };
    if !file.is_file() {
        bail!("--config {}: there is no such file", file.display());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    Ok(compose(&ComposeOptions::new(folder, name, args.overrides.clone()))?)
}

/// Starts the threads, and listens for Ctrl-C.
fn begin(args: &TeacherArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().context("cannot start the threads")?;
    }
    interrupt::listen()
}

/// The command that goes on with a run.
fn how_to_go_on(command: &str, args: &TeacherArgs, more: &str) -> String {
    let overrides: Vec<String> = args.overrides.iter().map(|text| format!(" '{text}'")).collect();
    format!(
        "to go on:\n  light-splade cross-encoder {command} --config {}{}{more} --resume",
        args.config.display(),
        overrides.concat()
    )
}
