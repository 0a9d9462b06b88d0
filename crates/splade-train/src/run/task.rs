//! The trait between the training loop and the tasks: SPLADE, masked language modelling and
//! cross-encoders.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::{Observer, Problem};
use splade_logs::{Expansion, LogOptions, RunInfo};

use crate::engine::Parameters;
use crate::error::TrainError;
use crate::optimizer::OptimizerState;

use super::checkpoint::record::{Saved, Snapshot};
use super::plan::Plan;
use super::report::StepReport;
use super::results::Results;
use super::state::TrainerState;
use super::window::Window;

/// Named numbers, in the order in which they are logged.
pub(crate) type Values = Vec<(String, f64)>;

/// A kind of training. [`Run`](super::Run) calls the methods in the order of their declarations.
pub(crate) trait Task {
    /// A batch of a step.
    type Batch;

    // The first methods begin or resume a run.

    /// Checks that the checkpoints and models of the steps after `done` fit into the `free` bytes
    /// of the disk; `None` means that the system does not report the free space.
    fn check_space(&mut self, plan: &Plan, done: u64, free: Option<u64>) -> Result<(), TrainError>;

    /// Reads the records of a checkpoint, and refuses the checkpoint of another run. The history
    /// and the best model so far are read into `state`.
    fn read_records(&self, folder: &Path, state: &mut TrainerState) -> Result<Saved, TrainError>;

    /// Sets the parameters to those of a folder that [`save_model`](Self::save_model) wrote.
    fn load_model(&mut self, folder: &Path) -> Result<(), TrainError>;

    /// Continues after `steps` steps with the state of losses and regularizers from a checkpoint.
    fn go_on(&mut self, steps: u64, objective: &Value) -> Result<(), TrainError>;

    // The next methods make a step.

    /// Prepares the source of batches; called once, before the first step of this process.
    fn begin(&mut self, _plan: &Plan) -> Result<(), TrainError> {
        Ok(())
    }

    /// Returns the batches of the next step.
    fn batches(&mut self, plan: &Plan) -> Result<Vec<Self::Batch>, TrainError>;

    /// Makes a step: forward pass, losses, backward pass, clipping and update.
    fn step(&mut self, batches: &[Self::Batch]) -> Result<StepReport, TrainError>;

    /// Returns the number of steps that were made, including those of earlier processes.
    fn steps(&self) -> u64;

    /// Returns the number of epochs after `done` steps, as a fraction.
    fn epoch(&self, plan: &Plan, done: u64) -> f64 {
        plan.epoch(done)
    }

    /// Checks whether the run goes wrong, and returns a warning if it does.
    fn warning(&mut self, _report: &StepReport) -> Option<Problem> {
        None
    }

    // The next methods serve logs and evaluations.

    /// Takes the means of the window, and returns the values to log.
    fn logged(&self, window: &mut Window) -> Values;

    /// Returns logged values in the form that the history holds.
    fn remembered(&self, values: Values) -> Values {
        values
    }

    /// Returns the λ values that the history and the results contain, if any.
    fn strengths(&self) -> Values {
        Values::new()
    }

    /// Evaluates the current model. Returns `None` if `stop` returned true during the evaluation.
    fn evaluate(&self, stop: &mut dyn FnMut() -> bool) -> Result<Option<Evaluation>, TrainError>;

    /// Saves the model, which is the best so far, if the task has its own folder for the best
    /// model.
    fn keep_best(&mut self) -> Result<(), TrainError> {
        Ok(())
    }

    // The next methods serve checkpoints.

    /// Writes a model folder.
    fn save_model(&mut self, folder: &Path) -> Result<(), TrainError>;

    /// Returns the trained engines with their names, and the optimizer's state.
    fn optimized(&mut self) -> Optimized<'_>;

    /// Returns the files of a checkpoint other than the model and the moments, each with its name.
    fn records(&self, snapshot: &Snapshot<'_>) -> Vec<(&'static str, String)>;

    // The last methods end a run.

    /// Returns the number of samples of an evaluation, if the results contain it.
    fn evaluated_samples(&self) -> Option<usize> {
        None
    }

    /// Writes the final model and the results.
    fn finish(
        &mut self,
        ending: &Ending<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError>;
}

/// The rules of a run, which do not change during the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// The folder for checkpoints.
    pub(crate) output: PathBuf,
    /// The maximum number of checkpoints to keep. `None` keeps all.
    pub(crate) keep: Option<usize>,
    /// Whether a checkpoint holds the optimizer's moments. It cannot be resumed without them.
    pub(crate) save_optimizer: bool,
    /// Whether a resumed run restarts the epoch of the checkpoint.
    pub(crate) begin_epoch_anew: bool,
    /// Whether the model is evaluated before the first step.
    pub(crate) evaluate_first: bool,
    /// Whether the results contain the metrics of the final model.
    pub(crate) evaluate_result: bool,
    /// The metric that selects the best model, and whether a greater value is better.
    pub(crate) best: Option<(String, bool)>,
    /// Whether the checkpoint of the best model is kept beside the last one.
    pub(crate) keep_best: bool,
    /// Whether a checkpoint is written after each evaluation that gives a new best model.
    pub(crate) save_best: bool,
    /// Whether the final model is the best one and not the last.
    pub(crate) load_best: bool,
    /// The length of the run, from which the speed in the results is computed. `None` for runs
    /// whose results contain neither the speed nor the mean loss.
    pub(crate) summary: Option<Length>,
    /// What is trained, for the logs; the loop adds the version and the number of steps.
    pub(crate) info: RunInfo,
    /// The options of the logs.
    pub(crate) logs: LogOptions,
    /// The settings as a text for the logs.
    pub(crate) settings: Option<String>,
}

/// The length of a run, in the unit in which the config gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Length {
    /// The length is given as a number of steps.
    Steps,
    /// The length is given as this number of epochs, which may be a fraction.
    Epochs(f64),
}

/// The numbers of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Evaluation {
    /// The metrics; their names begin with `eval_`.
    pub(crate) values: Values,
    /// The expansions of some sample texts, for tasks that log them.
    pub(crate) expansions: Option<Vec<Expansion>>,
}

impl Evaluation {
    /// Returns a metric by its name.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
    }
}

/// The engines that the optimizer updates, and its state.
pub(crate) struct Optimized<'a> {
    /// The name of each engine in files of moments.
    pub(crate) names: Vec<&'static str>,
    /// The trained engines, in the order of their names.
    pub(crate) engines: Vec<&'a mut dyn Parameters>,
    /// The state of the optimizer.
    pub(crate) optimizer: &'a mut OptimizerState,
}

/// The end of a run, as a task sees it.
pub(crate) struct Ending<'a> {
    /// The results of the run.
    pub(crate) results: &'a Results,
    /// The state of the run after its last step.
    pub(crate) snapshot: &'a Snapshot<'a>,
}
