//! The records of a checkpoint about its run: the step, the losses that are not logged yet, and the
//! settings that decide whether another run may resume from it.
//!
//! A run with transformers' settings writes three records into a checkpoint: `trainer_state.json`
//! ([`TrainerState`]), `training_args.json` (the settings), and `light_splade.json` (how the model
//! is used, and a [`RunState`] under `run`).

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use splade_io::Problem;

use crate::config::TrainingConfig;
use crate::error::TrainError;
use crate::json::pretty;
use crate::run::plan::Due;
use crate::run::state::TrainerState;
use crate::run::window::Window;

use super::OPTIMIZER;
use super::differences::differences;
use super::folder::OURS;

const STATE: &str = "trainer_state.json";
/// The file of the settings.
pub(crate) const SETTINGS: &str = "training_args.json";
/// The version of [`RunState`].
const VERSION: u64 = 1;

/// The state of a run at the time of a checkpoint, without parameters and moments.
pub(crate) struct Snapshot<'a> {
    /// The number of steps that were made.
    pub(crate) step: u64,
    /// The step after which the model was last evaluated.
    pub(crate) measured: u64,
    /// The number of updates that the optimizer has made.
    pub(crate) updates: u64,
    /// The number of steps whose data was skipped because of `ignore_data_skip`.
    pub(crate) data_offset: u64,
    /// What is due after this step.
    pub(crate) due: Due,
    /// The sums over the steps since the last log.
    pub(crate) window: &'a Window,
    /// The history and the best model.
    pub(crate) state: &'a TrainerState,
}

/// The state of a run as a checkpoint holds it; the counterpart of [`Snapshot`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Saved {
    /// The number of steps that were made.
    pub(crate) step: u64,
    /// The step after which the model was last evaluated.
    pub(crate) measured: u64,
    /// The number of updates that the optimizer has made.
    pub(crate) updates: u64,
    /// The number of steps whose data was skipped.
    pub(crate) data_offset: u64,
    /// The state of the losses and regularizers.
    pub(crate) objective: Value,
    /// The sums over the steps since the last log.
    pub(crate) window: Window,
}

/// The value of `run` in `light_splade.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunState {
    version: u64,
    /// The version of the program that wrote the record.
    program: String,
    seed: u64,
    global_step: u64,
    /// The number of samples in the training set.
    pub(crate) samples: usize,
    /// The hashes of the training data; null in checkpoints of earlier versions.
    #[serde(default)]
    pub(crate) data: Value,
    /// The number of steps whose data was skipped.
    data_offset: u64,
    /// The number of updates that the optimizer has made.
    updates: u64,
    /// The state of the losses and regularizers.
    objective: Value,
    /// The sums over the steps since the last log.
    window: Window,
    settings: Value,
}

/// The parts of a record that depend on the task.
pub(crate) struct RecordParts<'a> {
    /// The settings of the training.
    pub(crate) training: &'a TrainingConfig,
    /// All settings, in the form in which they are compared with those of a resumed run.
    pub(crate) settings: &'a Value,
    /// How the model is used.
    pub(crate) model_use: Value,
    /// The number of samples in the training set.
    pub(crate) samples: usize,
    /// The hashes of the training data, or null if the objective has its fingerprint.
    pub(crate) data: Value,
    /// The state of the losses and regularizers.
    pub(crate) objective: Value,
}

/// Returns whether a checkpoint was written by a version of the program that did not record what
/// its training data was.
pub(crate) fn lacks_data(checkpoint: &Path) -> bool {
    let text = std::fs::read(checkpoint.join(OURS)).unwrap_or_default();
    let record: Value = serde_json::from_slice(&text).unwrap_or_default();
    record["run"].is_object() && record["run"]["data"].is_null()
}

/// Returns the records of a checkpoint, each with the name of its file.
pub(crate) fn texts(
    parts: RecordParts<'_>,
    snapshot: &Snapshot<'_>,
) -> Vec<(&'static str, String)> {
    let RecordParts { training, settings, model_use, samples, data, objective } = parts;
    let run = RunState {
        version: VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        seed: training.seed,
        global_step: snapshot.step,
        samples,
        data,
        data_offset: snapshot.data_offset,
        updates: snapshot.updates,
        objective,
        window: snapshot.window.clone(),
        settings: settings.clone(),
    };
    let mut ours = model_use;
    ours["run"] =
        serde_json::to_value(&run).expect("the state cannot be written as JSON: this is a bug");
    vec![
        (OURS, pretty(&ours)),
        (STATE, snapshot.state.to_json(snapshot.due)),
        (SETTINGS, pretty(settings)),
    ]
}

/// What to do with a folder that has weights but cannot be resumed.
const NEW_RUN: &str =
    "to start a new run from its weights, set the folder as model.model_name_or_path";

/// Reads the record of a checkpoint, and checks that its settings give the same numbers as
/// `settings`. The history of the run is read into `state`.
///
/// # Errors
/// Returns an error if the folder is not a checkpoint that can be resumed, or if it belongs to
/// another run.
pub(crate) fn read(
    checkpoint: &Path,
    settings: &Value,
    state: &mut TrainerState,
) -> Result<(RunState, Saved), TrainError> {
    let bad = |problem: Problem| TrainError::checkpoint(checkpoint, problem);
    if !checkpoint.join(OURS).is_file() {
        let what = match checkpoint.join("optimizer.pt").is_file() {
            true => {
                "this is a checkpoint of the Python library, whose optimizer state cannot be read"
            }
            false => "this is not a checkpoint: light_splade.json is missing",
        };
        return Err(bad(Problem::new(what).with_remedy(NEW_RUN)));
    }
    let path = checkpoint.join(OURS);
    let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
    let mut value: Value =
        serde_json::from_str(&text).map_err(|error| bad(error.to_string().into()))?;
    let run = value["run"].take();
    if let Some(version) = run["version"].as_u64().filter(|version| *version != VERSION) {
        let what =
            format!("its format has version {version}, but this program reads version {VERSION}");
        return Err(bad(what.into()));
    }
    let run: RunState =
        serde_json::from_value(run).map_err(|error| bad(format!("run: {error}").into()))?;
    if !checkpoint.join(OPTIMIZER).is_file() {
        let what = "it has no optimizer.safetensors, as save_only_model leaves it: it cannot be \
                    continued";
        return Err(bad(Problem::new(what).with_remedy(NEW_RUN)));
    }
    let differences = differences(&run.settings, settings);
    if !differences.is_empty() {
        let what = format!(
            "it was made with other settings and cannot be resumed with these:\n{}",
            differences.join("\n")
        );
        return Err(bad(Problem::new(what).with_remedy(
            "use the settings of the checkpoint, or start a new run in another output_dir",
        )));
    }
    state.continue_from(&checkpoint.join(STATE))?;
    let saved = Saved {
        step: run.global_step,
        measured: run.global_step,
        updates: run.updates,
        data_offset: run.data_offset,
        objective: run.objective.clone(),
        window: run.window.clone(),
    };
    Ok((run, saved))
}
