//! `train`: SPLADE models, as configs describe them.

use std::path::Path;

use anyhow::Result;
use light_splade::learning::open_teacher;
use serde_json::Value;
use splade_io::Observer;
use splade_train::config::{Config, TrainingConfig};
use splade_train::{Outcome, TrainError, TrainOptions, train};

use super::runs::{self, Making, Run, resolve};
use crate::args::TrainArgs;
use crate::closing;

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    runs::run::<Config>(args)
}

impl Run for Config {
    const COMMAND: &'static str = "train";

    fn read(value: &Value) -> Result<(Self, Vec<String>), TrainError> {
        Config::from_value(value)
    }

    fn next(&self, config: &Value, model: &Path) -> String {
        let documents = config["data"]["validation_doc_master"].as_str().map(Path::new);
        let data = documents.and_then(Path::parent).map_or("DATA".to_owned(), closing::shown);
        format!("evaluate {data} -m {}", closing::shown(model))
    }

    fn training(&mut self) -> &mut TrainingConfig {
        &mut self.training
    }

    fn make(&self, how: &Making<'_>, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let Making { name, dashboard, ready } = *how;
        let options = TrainOptions {
            resolve: &resolve,
            ready,
            teacher: &open_teacher,
            name: Some(name),
            dashboard,
        };
        train(self, &options, observer)
    }
}
