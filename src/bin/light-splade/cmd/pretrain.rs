//! `pretrain`: masked language models, as configs describe them.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use splade_io::Observer;
use splade_train::config::{PretrainConfig, TrainingConfig};
use splade_train::{Outcome, PretrainOptions, TrainError, pretrain};

use super::runs::{self, Making, Run, resolve};
use crate::args::TrainArgs;
use crate::closing;

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    runs::run::<PretrainConfig>(args)
}

impl Run for PretrainConfig {
    const COMMAND: &'static str = "pretrain";

    fn read(value: &Value) -> Result<(Self, Vec<String>), TrainError> {
        PretrainConfig::from_value(value)
    }

    fn next(&self, _: &Value, model: &Path) -> String {
        format!("train CONFIG model.model_name_or_path={}", closing::shown(model))
    }

    fn training(&mut self) -> &mut TrainingConfig {
        &mut self.training
    }

    fn make(&self, how: &Making<'_>, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let Making { name, dashboard, ready } = *how;
        let options = PretrainOptions {
            texts: &light_splade::learning::pretraining_texts,
            resolve: &resolve,
            ready,
            name: Some(name),
            dashboard,
        };
        pretrain(self, &options, observer)
    }
}
