//! `train`: SPLADE models, as configs describe them.

mod prepare;

use anyhow::Result;
use serde_json::Value;
use splade_train::config::{Config, TrainingConfig};
use splade_train::error::TrainError;
use splade_train::trainer::{Outcome, Trainer};

use super::runs::{self, Run, Show};
use crate::args::TrainArgs;

pub(super) use prepare::with_head;

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    runs::run::<Config>(args)
}

impl Run for Config {
    const COMMAND: &'static str = "train";

    fn read(value: &Value) -> Result<(Self, Vec<String>), TrainError> {
        Config::from_value(value)
    }

    fn training(&mut self) -> &mut TrainingConfig {
        &mut self.training
    }

    fn make(
        self,
        dashboard: Option<u16>,
        show: &mut Show,
        begin: &dyn Fn() -> Result<()>,
    ) -> Result<Outcome> {
        let mut trainer = Trainer::new(prepare::options(self, dashboard, show)?)?;
        begin()?;
        Ok(trainer.run(show)?)
    }
}
