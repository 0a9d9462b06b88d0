//! `pretrain`: masked language models, as configs describe them.

use anyhow::Result;
use serde_json::Value;
use splade_io::Observer;
use splade_train::config::{PretrainConfig, PretrainData, TrainingConfig};
use splade_train::{
    Outcome, PretrainOptions, Ready, SourceError, TextStream, TrainError, pretrain,
};

use super::runs::{self, Run, resolve};
use crate::args::TrainArgs;
use crate::input::{InputOptions, Inputs};

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    runs::run::<PretrainConfig>(args)
}

impl Run for PretrainConfig {
    const COMMAND: &'static str = "pretrain";

    fn read(value: &Value) -> Result<(Self, Vec<String>), TrainError> {
        PretrainConfig::from_value(value)
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
        let options = PretrainOptions { texts: &texts, resolve: &resolve, ready, dashboard };
        pretrain(self, &options, observer)
    }
}

/// Opens the texts of a run as every command reads texts.
fn texts(data: &PretrainData) -> Result<TextStream, SourceError> {
    let options = InputOptions {
        text_field: data.text_field.clone(),
        no_ids: true,
        ..InputOptions::default()
    };
    let inputs = Inputs::open(&data.train_files, options)?;
    let position = inputs.position();
    let texts = inputs.map(|record| -> Result<String, SourceError> { Ok(record?.text) });
    Ok(TextStream { texts: Box::new(texts), share: Box::new(move || position.share()) })
}
