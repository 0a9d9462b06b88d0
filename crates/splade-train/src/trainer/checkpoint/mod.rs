//! Checkpoints: everything that a run needs to go on as if it had not stopped.
//!
//! `output_dir/checkpoint-N` after step `N` is a model folder in the layout of Hugging Face (the
//! query encoder in a folder of it) with
//!
//! - `optimizer.safetensors`: the optimizer's moments, a tensor each, named
//!   `document/exp_avg/<tensor>`;
//! - `trainer_state.json`: what transformers writes ([`TrainerState`]);
//! - `light_splade.json`: how the model is used, and under `run` the rest of the state, exact;
//! - `training_args.json`: the settings.
//!
//! There is no state of random numbers and no position in the data: both follow from the seed and
//! the step.

pub(crate) mod folder;
pub(crate) mod optimizer;
mod resume;
mod retention;
mod tensors;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{Config, ResumeFrom, TrainingConfig};
use crate::engine::Engine;
use crate::error::TrainError;
use crate::json::pretty;
use crate::optimizer::OptimizerState;

use super::plan::Due;
use super::state::TrainerState;
use super::towers::Towers;
use super::window::Window;

pub use folder::checkpoints;
pub(super) use folder::{begin, finish, path, tidy};
pub(super) use optimizer::{load, load_weights};
pub(crate) use resume::differences;
#[cfg(test)]
pub(super) use tensors::TensorFile;

pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "trainer_state.json";
/// How a model is used, and the rest of the state of a run.
pub(crate) const OURS: &str = "light_splade.json";
/// The settings.
pub(super) const SETTINGS: &str = "training_args.json";
/// Of the state under `run`.
const VERSION: u64 = 1;

/// What a run remembers besides parameters, moments and [`TrainerState`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RunState {
    version: u64,
    /// Of the program that wrote it.
    program: String,
    seed: u64,
    global_step: u64,
    /// Of the training set.
    pub(super) samples: usize,
    /// Steps whose data was not gone over.
    pub(super) data_offset: u64,
    /// Of the optimizer.
    updates: u64,
    /// Of the losses and regularizers.
    objective: Value,
    /// What was not logged yet.
    pub(super) window: Window,
    settings: Value,
}

/// What changes in a step, and goes on from a checkpoint.
pub(super) trait Continued {
    /// Steps that were made.
    fn steps(&self) -> u64;
    /// Writes a model folder.
    fn save_model(&mut self, folder: &Path) -> Result<(), TrainError>;
    /// Sets the parameters to those of a folder that [`save_model`](Self::save_model) wrote.
    fn load_model(&mut self, folder: &Path) -> Result<(), TrainError>;
    /// Names of the encoders that are trained, they themselves, and the optimizer's state.
    fn optimized(&mut self) -> (Vec<&'static str>, Vec<&mut dyn Engine>, &mut OptimizerState);
    /// The state of losses and regularizers.
    fn objective(&self) -> Value;
    /// Sets that state and the number of steps.
    fn go_on(&mut self, steps: u64, objective: &Value) -> Result<(), TrainError>;
}

/// What a checkpoint is written from.
pub(super) struct Parts<'a> {
    pub(super) stepper: &'a mut dyn Continued,
    pub(super) state: &'a TrainerState,
    pub(super) due: Due,
    pub(super) window: &'a Window,
    pub(super) training: &'a TrainingConfig,
    /// How the model is used ([`model_use`]).
    pub(super) model_use: Value,
    pub(super) settings: &'a Value,
    pub(super) samples: usize,
    pub(super) data_offset: u64,
}

/// Writes the checkpoint of the step that was made last, and gives its folder.
pub(super) fn write(parts: Parts<'_>) -> Result<PathBuf, TrainError> {
    let Parts { stepper, state, due, window, training, settings, samples, data_offset, .. } = parts;
    let target = folder::path(&training.output_dir, stepper.steps());
    let partial = folder::begin(&target)?;
    stepper.save_model(&partial)?;
    if !training.save_only_model {
        optimizer::write(&partial.join(OPTIMIZER), stepper)?;
    }
    let run = RunState {
        version: VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        seed: training.seed,
        global_step: stepper.steps(),
        samples,
        data_offset,
        updates: stepper.optimized().2.step,
        objective: stepper.objective(),
        window: window.clone(),
        settings: settings.clone(),
    };
    let mut ours = parts.model_use;
    ours["run"] = serde_json::to_value(&run).expect("a state is JSON: this is a bug");
    for (name, text) in
        [(OURS, pretty(&ours)), (STATE, state.to_json(due)), (SETTINGS, pretty(settings))]
    {
        let path = partial.join(name);
        std::fs::write(&path, text).map_err(TrainError::io(&path))?;
    }
    folder::finish(&target)?;
    Ok(target)
}

/// How a trained model is used, for whoever loads it.
pub(super) fn model_use(config: &Config, towers: &Towers) -> Value {
    let regularizers = &config.training.regularizers;
    let lambda = |side: &Option<crate::config::RegularizerConfig>| side.as_ref().map(|r| r.lambda);
    json!({
        "agg": super::outputs::pooling_name(config.model.agg),
        "max_length": config.model.max_length,
        "shared": towers.query.is_none(),
        "activation": super::outputs::saturation_name(config.model.saturation),
        "lambdas": { "query": lambda(&regularizers.query), "doc": lambda(&regularizers.doc) },
    })
}

/// The state of a checkpoint, whose settings are those of this run.
pub(super) fn read(checkpoint: &Path, settings: &Value) -> Result<RunState, TrainError> {
    let bad = |message: String| TrainError::Checkpoint { path: checkpoint.into(), message };
    if !checkpoint.join(OURS).is_file() {
        let what = match checkpoint.join("optimizer.pt").is_file() {
            true => "this is a checkpoint of the Python library: its optimizer cannot be continued",
            false => "this is no checkpoint: it has no light_splade.json",
        };
        return Err(bad(format!(
            "{what}\nhint: to begin anew from its weights, give the folder as \
             model.model_name_or_path"
        )));
    }
    let path = checkpoint.join(OURS);
    let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
    let mut value: Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let run = value["run"].take();
    if let Some(version) = run["version"].as_u64().filter(|version| *version != VERSION) {
        return Err(bad(format!("it has version {version}, this program reads {VERSION}")));
    }
    let run: RunState =
        serde_json::from_value(run).map_err(|error| bad(format!("run: {error}")))?;
    if !checkpoint.join(OPTIMIZER).is_file() {
        let message = "it has no optimizer.safetensors, as save_only_model leaves it: it cannot be \
                       continued\nhint: to begin anew from its weights, give the folder as \
                       model.model_name_or_path";
        return Err(bad(message.into()));
    }
    let differences = differences(&run.settings, settings);
    if !differences.is_empty() {
        return Err(bad(format!(
            "it was made with other settings, and would not go on as the same run:\n{}\n\
             hint: give the settings of the checkpoint, or begin in another output_dir",
            differences.join("\n")
        )));
    }
    Ok(run)
}

/// Sets steps, optimizer, objective and parameters to those of a checkpoint.
pub(super) fn restore(
    checkpoint: &Path,
    run: &RunState,
    stepper: &mut dyn Continued,
) -> Result<(), TrainError> {
    stepper.load_model(checkpoint)?;
    optimizer::read(&checkpoint.join(OPTIMIZER), run.updates, stepper)?;
    stepper.go_on(run.global_step, &run.objective)
}

/// The path of a checkpoint's `trainer_state.json`.
pub(super) fn state_path(checkpoint: &Path) -> PathBuf {
    checkpoint.join(STATE)
}

/// The checkpoint to continue: the folder that was named, or the last one of the output folder,
/// if there is any.
///
/// # Errors
/// If the folder cannot be read, or the one that was named does not exist.
pub fn checkpoint_to_resume(
    output: &Path,
    from: &ResumeFrom,
) -> Result<Option<PathBuf>, TrainError> {
    match from {
        ResumeFrom::Last => {
            tidy(output)?;
            Ok(checkpoints(output)?.pop().map(|(_, path)| path))
        }
        ResumeFrom::Folder(path) if path.is_dir() => Ok(Some(path.clone())),
        ResumeFrom::Folder(path) => Err(TrainError::Config {
            at: "training.resume_from_checkpoint".into(),
            message: format!("{} is no folder", path.display()),
        }),
    }
}

/// Deletes the checkpoints that are too many.
pub(super) fn rotate(
    output: &Path,
    limit: Option<usize>,
    best: Option<&str>,
) -> Result<(), TrainError> {
    let all = checkpoints(output)?;
    let steps: Vec<u64> = all.iter().map(|(step, _)| *step).collect();
    let best = all.iter().find(|(_, path)| best.is_some_and(|best| Path::new(best) == path));
    for step in retention::to_delete(&steps, limit, best.map(|(step, _)| *step)) {
        folder::delete(&folder::path(output, step))?;
    }
    Ok(())
}
