//! `train`: SPLADE models, as configs describe them.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use splade_io::Observer;
use splade_train::config::{Config, TrainingConfig};
use splade_train::{Outcome, Ready, TrainError, TrainOptions, train};

use super::runs::{self, Run, resolve};
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

    fn make(
        &self,
        dashboard: Option<u16>,
        ready: &Ready<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        train(self, &TrainOptions { resolve: &resolve, ready, dashboard }, observer)
    }
}
