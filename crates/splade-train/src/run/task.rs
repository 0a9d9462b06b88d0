//! What a run trains: the one trait between the loop and SPLADE, masked language modelling and
//! cross-encoders.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::Observer;
use splade_logs::{Expansion, LogOptions};

use crate::engine::Parameters;
use crate::error::TrainError;
use crate::optimizer::OptimizerState;

use super::checkpoint::record::{Saved, Snapshot};
use super::plan::Plan;
use super::report::StepReport;
use super::results::Results;
use super::state::TrainerState;
use super::window::Window;

/// Numbers by name, in the order in which they are logged.
pub(crate) type Values = Vec<(String, f64)>;

/// A kind of training. [`Run`](super::Run) calls the methods in the order in which they stand here.
pub(crate) trait Task {
    /// What a step is made of.
    type Batch;

    // Beginning and resuming.

    /// Checks that the checkpoints and models of the steps after `done` fit into the `free` bytes of
    /// the disk; `None` where the system does not tell.
    fn check_space(&mut self, plan: &Plan, done: u64, free: Option<u64>) -> Result<(), TrainError>;

    /// Reads the records of a checkpoint, and refuses that of another run. `state` takes the history
    /// and the best model so far.
    fn read_records(&self, folder: &Path, state: &mut TrainerState) -> Result<Saved, TrainError>;

    /// Sets the parameters to those of a folder that [`save_model`](Self::save_model) wrote.
    fn load_model(&mut self, folder: &Path) -> Result<(), TrainError>;

    /// Goes on after `steps` steps with the state of losses and regularizers of a checkpoint.
    fn go_on(&mut self, steps: u64, objective: &Value) -> Result<(), TrainError>;

    // A step.

    /// Prepares what makes batches; it is called once, before the first step of this process.
    fn begin(&mut self, _plan: &Plan) -> Result<(), TrainError> {
        Ok(())
    }

    /// Returns the batches of the next step.
    fn batches(&mut self, plan: &Plan) -> Result<Vec<Self::Batch>, TrainError>;

    /// Makes a step: forward, losses, backward, clipping, update.
    fn step(&mut self, batches: &[Self::Batch]) -> Result<StepReport, TrainError>;

    /// Returns the steps that were made, those of earlier processes included.
    fn steps(&self) -> u64;

    /// Returns the epochs after `done` steps.
    fn epoch(&self, plan: &Plan, done: u64) -> f64 {
        plan.epoch(done)
    }

    /// Looks for signs that the run goes wrong, and returns what to tell.
    fn warning(&mut self, _report: &StepReport) -> Option<String> {
        None
    }

    // Logs and evaluations.

    /// Takes the means of the window, and returns those that are logged.
    fn logged(&self, window: &mut Window) -> Values;

    /// Returns logged values as they stand in the history.
    fn remembered(&self, values: Values) -> Values {
        values
    }

    /// Returns the strengths of the regularizers where the history and the results have them.
    fn strengths(&self) -> Values {
        Values::new()
    }

    /// Evaluates the model as it is; `None` if `stop` returned true in between.
    fn evaluate(&self, stop: &mut dyn FnMut() -> bool) -> Result<Option<Evaluation>, TrainError>;

    /// Keeps the model, which is the best so far, where the task has a place of its own for it.
    fn keep_best(&mut self) -> Result<(), TrainError> {
        Ok(())
    }

    // Checkpoints.

    /// Writes a model folder.
    fn save_model(&mut self, folder: &Path) -> Result<(), TrainError>;

    /// Returns the trained engines with their names, and the optimizer's state.
    fn optimized(&mut self) -> Optimized<'_>;

    /// Returns the files of a checkpoint beside model and moments, each with its name.
    fn records(&self, snapshot: &Snapshot<'_>) -> Vec<(&'static str, String)>;

    // The end.

    /// Returns the number of samples of an evaluation, where the results have it.
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

/// The rules of a run that do not change while it is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// The folder for checkpoints.
    pub(crate) output: PathBuf,
    /// The checkpoints that are kept; all if `None`.
    pub(crate) keep: Option<usize>,
    /// Whether a checkpoint has the optimizer's moments, without which it cannot be continued.
    pub(crate) save_optimizer: bool,
    /// Whether the epoch of a checkpoint begins anew when it is continued.
    pub(crate) begin_epoch_anew: bool,
    /// Whether the model is evaluated before the first step.
    pub(crate) evaluate_first: bool,
    /// Whether the results have the metrics of the final model.
    pub(crate) evaluate_result: bool,
    /// The metric that models are chosen by, and whether more is better.
    pub(crate) best: Option<(String, bool)>,
    /// Whether the checkpoint of the best model is kept beside the last one.
    pub(crate) keep_best: bool,
    /// Whether a checkpoint is written of each model that is the best so far.
    pub(crate) save_best: bool,
    /// Whether the final model is the best one, not the last.
    pub(crate) load_best: bool,
    /// How long the run is, for its speed in the results; `None` for runs whose results have neither
    /// speed nor mean loss.
    pub(crate) summary: Option<Length>,
    /// The logs.
    pub(crate) logs: LogOptions,
    /// The settings as a text for the logs.
    pub(crate) settings: Option<String>,
}

/// How the length of a run was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Length {
    /// In steps.
    Steps,
    /// In epochs, or a fraction of one.
    Epochs(f64),
}

/// The numbers of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Evaluation {
    /// The metrics; their names begin with `eval_`.
    pub(crate) values: Values,
    /// What some texts are expanded to, for tasks whose logs have that.
    pub(crate) expansions: Option<Vec<Expansion>>,
}

impl Evaluation {
    /// Returns a metric by its name.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
    }
}

/// What the optimizer changes.
pub(crate) struct Optimized<'a> {
    /// The name of each engine in files of moments.
    pub(crate) names: Vec<&'static str>,
    /// The engines that are trained, one a name.
    pub(crate) engines: Vec<&'a mut dyn Parameters>,
    /// The moments.
    pub(crate) optimizer: &'a mut OptimizerState,
}

/// What a run has come to.
pub(crate) struct Ending<'a> {
    /// The results.
    pub(crate) results: &'a Results,
    /// The state of the run after its last step.
    pub(crate) snapshot: &'a Snapshot<'a>,
}
