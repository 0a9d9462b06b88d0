//! The file `trainer_state.json`, as transformers 4.56 writes it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::config::TrainingConfig;
use crate::error::TrainError;
use crate::json::{number, pretty};

use super::plan::{Due, Plan};

/// The state of a run in the form that transformers' tools read (`TrainerState`).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TrainerState {
    /// The number of steps that were made.
    pub(crate) global_step: u64,
    /// The number of epochs that were made, as a fraction.
    pub(crate) epoch: f64,
    /// The number of steps of the run.
    pub(crate) max_steps: u64,
    /// The number of epochs of the run, where a partial epoch counts as one.
    pub(crate) num_train_epochs: u64,
    /// The number of samples in a batch.
    pub(crate) train_batch_size: usize,
    /// The number of steps between two logs.
    pub(crate) logging_steps: f64,
    /// The number of steps between two evaluations.
    pub(crate) eval_steps: Option<f64>,
    /// The number of steps between two checkpoints.
    pub(crate) save_steps: f64,
    /// All logged values by name; each entry has its `step`.
    pub(crate) log_history: Vec<Map<String, Value>>,
    /// The best value so far of the metric that selects the best model.
    pub(crate) best_metric: Option<f64>,
    /// The step after which the best value was measured.
    pub(crate) best_global_step: Option<u64>,
    /// The checkpoint of that step, once it is written.
    pub(crate) best_model_checkpoint: Option<String>,
}

impl TrainerState {
    /// Returns the state before the first step.
    pub(crate) fn begin(plan: &Plan, training: &TrainingConfig) -> Self {
        let interval = |planned: Option<u64>, set: f64| planned.map_or(set, |steps| steps as f64);
        Self {
            max_steps: plan.total,
            num_train_epochs: plan.epochs,
            train_batch_size: plan.batch,
            logging_steps: interval(plan.log.every, training.logging_steps),
            eval_steps: plan.evaluate.every.map(|steps| steps as f64).or(training.eval_steps),
            save_steps: interval(plan.save.every, training.save_steps),
            ..Self::default()
        }
    }

    /// Adds an entry to the history, as transformers' `log` does.
    pub(crate) fn remember(&mut self, values: Vec<(String, f64)>) {
        let mut entry: Map<String, Value> =
            values.into_iter().map(|(name, value)| (name, number(value))).collect();
        entry.insert("epoch".to_owned(), json!(self.epoch));
        entry.insert("step".to_owned(), json!(self.global_step));
        // The names are sorted, as in the file.
        let mut names: Vec<String> = entry.keys().cloned().collect();
        names.sort();
        let entry = names.into_iter().map(|name| {
            let value = entry[&name].clone();
            (name, value)
        });
        self.log_history.push(entry.collect());
    }

    /// Returns the text of the file as Python writes it: keys in order, indented by two spaces.
    pub(crate) fn to_json(&self, control: Due) -> String {
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

    /// Reads the history of a run from the file of a checkpoint; the plan of the current run stays.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or does not hold such a state.
    pub(crate) fn continue_from(&mut self, path: &Path) -> Result<(), TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let bad = |message: String| TrainError::checkpoint(path, message);
        let value: Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let history = value["log_history"].as_array().and_then(|history| {
            history.iter().map(|entry| entry.as_object().cloned()).collect::<Option<Vec<_>>>()
        });
        let (Some(log_history), Some(global_step), Some(epoch)) =
            (history, value["global_step"].as_u64(), value["epoch"].as_f64())
        else {
            return Err(bad(
                "global_step, epoch or log_history is missing or has a wrong type".into()
            ));
        };
        (self.log_history, self.global_step, self.epoch) = (log_history, global_step, epoch);
        self.best_metric = value["best_metric"].as_f64();
        self.best_global_step = value["best_global_step"].as_u64();
        self.best_model_checkpoint = value["best_model_checkpoint"].as_str().map(str::to_owned);
        Ok(())
    }
}
