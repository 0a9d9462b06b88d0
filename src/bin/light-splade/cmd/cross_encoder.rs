//! `cross-encoder`: the teachers of distillation.

mod config;
mod ensemble;
mod predict;
mod train;

use anyhow::Result;
use serde_json::Value;
use splade_train::TrainError;
use splade_train::cross_encoder::{CrossEncoderConfig, PredictConfig};

use crate::args::{CrossEncoderCommand, TeacherArgs};

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
    let composed = config::composed(args)?;
    read(&composed.value()?)?;
    Ok(composed.to_yaml())
}
