//! `trainer_state.json`, as transformers 4.56 writes it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::config::TrainingConfig;
use crate::error::TrainError;
use crate::json::{number, pretty};

use super::plan::{Due, Plan};

/// The state of a run that transformers' tools read (`TrainerState`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainerState {
    /// Steps that were made.
    pub global_step: u64,
    /// Epochs that were made.
    pub epoch: f64,
    /// Steps of the run.
    pub max_steps: u64,
    /// Epochs that the run begins.
    pub num_train_epochs: u64,
    /// Samples of a batch.
    pub train_batch_size: usize,
    /// Steps between two logs.
    pub logging_steps: f64,
    /// Steps between two evaluations.
    pub eval_steps: Option<f64>,
    /// Steps between two checkpoints.
    pub save_steps: f64,
    /// All that was logged, by name, with `step`.
    pub log_history: Vec<Map<String, Value>>,
    /// The best value of `metric_for_best_model`.
    pub best_metric: Option<f64>,
    /// The step that it was found after.
    pub best_global_step: Option<u64>,
    /// Its checkpoint, once it is written.
    pub best_model_checkpoint: Option<String>,
}

impl TrainerState {
    /// Before the first step.
    pub(super) fn begin(plan: &Plan, training: &TrainingConfig) -> Self {
        let interval = |planned: Option<u64>, set: f64| planned.map_or(set, |steps| steps as f64);
        Self {
            max_steps: plan.total,
            num_train_epochs: plan.epochs,
            train_batch_size: plan.batch,
            logging_steps: interval(plan.logging_steps, training.logging_steps),
            eval_steps: plan.eval_steps.map(|steps| steps as f64).or(training.eval_steps),
            save_steps: interval(plan.save_steps, training.save_steps),
            ..Self::default()
        }
    }

    /// Adds to the history, as transformers' `log` does.
    pub(super) fn remember(&mut self, values: Vec<(String, f64)>) {
        let mut entry: Map<String, Value> =
            values.into_iter().map(|(name, value)| (name, number(value))).collect();
        entry.insert("epoch".to_owned(), json!(self.epoch));
        entry.insert("step".to_owned(), json!(self.global_step));
        // In order, as the file has it.
        let mut names: Vec<String> = entry.keys().cloned().collect();
        names.sort();
        let entry = names.into_iter().map(|name| {
            let value = entry[&name].clone();
            (name, value)
        });
        self.log_history.push(entry.collect());
    }

    /// The file's text: keys in order, two spaces, as Python writes it.
    pub fn to_json(&self, control: Due) -> String {
        let control = json!({
            "args": {
                "should_epoch_stop": false,
                "should_evaluate": control.evaluate,
                "should_log": control.log,
                "should_save": control.save,
                "should_training_stop": self.global_step >= self.max_steps,
            },
            "attributes": {},
        });
        let fields: BTreeMap<&str, Value> = [
            ("best_global_step", json!(self.best_global_step)),
            ("best_metric", json!(self.best_metric)),
            ("best_model_checkpoint", json!(self.best_model_checkpoint)),
            ("epoch", json!(self.epoch)),
            ("eval_steps", json!(self.eval_steps.map(number))),
            ("global_step", json!(self.global_step)),
            ("is_hyper_param_search", json!(false)),
            ("is_local_process_zero", json!(true)),
            ("is_world_process_zero", json!(true)),
            ("log_history", json!(self.log_history)),
            ("logging_steps", number(self.logging_steps)),
            ("max_steps", json!(self.max_steps)),
            ("num_input_tokens_seen", json!(0)),
            ("num_train_epochs", json!(self.num_train_epochs)),
            ("save_steps", number(self.save_steps)),
            ("stateful_callbacks", json!({ "TrainerControl": control })),
            ("total_flos", json!(0.0)),
            ("train_batch_size", json!(self.train_batch_size)),
            ("trial_name", Value::Null),
            ("trial_params", Value::Null),
        ]
        .into();
        pretty(&fields)
    }

    /// Takes over what a checkpoint's state says of the past; the plan of the run stays.
    ///
    /// # Errors
    /// If the file cannot be read or is no such state.
    pub fn continue_from(&mut self, path: &Path) -> Result<(), TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let bad = |message: String| TrainError::Checkpoint { path: path.into(), message };
        let value: Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let history = value["log_history"].as_array().and_then(|history| {
            history.iter().map(|entry| entry.as_object().cloned()).collect::<Option<Vec<_>>>()
        });
        let (Some(log_history), Some(global_step), Some(epoch)) =
            (history, value["global_step"].as_u64(), value["epoch"].as_f64())
        else {
            return Err(bad("no global_step, epoch and log_history of a trainer's state".into()));
        };
        (self.log_history, self.global_step, self.epoch) = (log_history, global_step, epoch);
        self.best_metric = value["best_metric"].as_f64();
        self.best_global_step = value["best_global_step"].as_u64();
        self.best_model_checkpoint = value["best_model_checkpoint"].as_str().map(str::to_owned);
        Ok(())
    }
}
