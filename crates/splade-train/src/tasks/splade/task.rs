//! The task of SPLADE training.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use splade_data::{TrainingData, ValidationData};
use splade_io::{Observer, Problem};
use splade_logs::{RunInfo, Series};

use crate::config::{Config, IntervalStrategy, Strength};
use crate::error::TrainError;
use crate::objective::BudgetReport;
use crate::run::checkpoint::differences::differences;
use crate::run::checkpoint::record::{self, RecordParts, Saved, Snapshot};
use crate::run::checks::{check_outputs, check_space};
use crate::run::{
    Due, Ending, Evaluation, Optimized, Plan, Rules, Run, StepReport, Task, TrainerState, Values,
    Window, rounded,
};
use crate::tasks::prepare::rules;

use super::batch::{TokenBatch, Tokenization};
use super::checks::{best_metric, check_budgets, check_evaluation};
use super::evaluation::{held_out_loss, retrieval};
use super::feed::Feed;
use super::outputs;
use super::step::Stepper;
use super::teacher::TeacherVectors;
use super::towers::Towers;
use super::watchdog::Watchdog;

/// The opened parts of a run. Data and models are opened before anything is written, so that their
/// errors come first.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The settings of the run.
    pub(crate) config: Config,
    /// The settings in the form that is written beside models and compared when a run resumes.
    pub(crate) settings: Value,
    /// The encoders before the first step.
    pub(crate) towers: Towers,
    /// The tokenization of both sides.
    pub(crate) tokenization: Tokenization,
    /// The samples for training.
    pub(crate) data: TrainingData,
    /// The teacher whose vectors a loss compares.
    pub(crate) teacher: Option<Arc<dyn TeacherVectors>>,
    /// The hashes of the data and of the tokenizer, by which a resumed run is recognised.
    pub(crate) content: Value,
    /// The documents and queries that evaluations search.
    pub(crate) validation: Option<ValidationData>,
    /// The checkpoint from which the run resumes.
    pub(crate) resume: Option<PathBuf>,
    /// What is trained, for the logs.
    pub(crate) info: RunInfo,
    /// The port of the live page; 0 chooses a free port.
    pub(crate) dashboard: Option<u16>,
}

impl Parts {
    /// Checks the settings, and prepares the run or resumes it.
    ///
    /// # Errors
    /// Returns an error if the settings need data that is not there, if an output would be
    /// overwritten, or if the checkpoint cannot be resumed.
    pub(crate) fn run(self) -> Result<Run<Splade>, TrainError> {
        let Self {
            config,
            settings,
            towers,
            tokenization,
            data,
            teacher,
            content,
            validation,
            resume,
            info,
            dashboard,
        } = self;
        let training = &config.training;
        let mut plan = Plan::new(training, data.len())?;
        check_evaluation(&config, &plan, &data, validation.as_ref())?;
        check_outputs(training, training.resume_from_checkpoint.is_some() || resume.is_some())?;
        let can_evaluate = validation.is_some() || data.held_out() > 0;
        let wanted = training.do_eval || training.eval_strategy != IntervalStrategy::No;
        let evaluate_result = wanted && can_evaluate;
        // The evaluation for the results is also part of the last checkpoint.
        plan.evaluate.last = evaluate_result.then_some(true);
        check_budgets(&config, towers.vocab())?;
        let sides = [&training.regularizers.query, &training.regularizers.doc];
        let full_strength = sides.into_iter().flatten().map(|side| match side.strength {
            Strength::Schedule { steps, .. } => steps,
            Strength::Budget { steps, .. } => steps.unwrap_or(plan.total as f64),
        });
        let full_strength = full_strength.fold(0.0, f64::max);
        let rules = Rules {
            evaluate_result,
            best: best_metric(&config),
            keep_best: true,
            save_best: training.save_strategy == IntervalStrategy::Best,
            load_best: training.load_best_model_at_end,
            info,
            ..rules(training, &settings, dashboard)
        };
        let state = TrainerState::begin(&plan, training);
        let task = Splade {
            watchdog: Watchdog::new(towers.vocab(), full_strength),
            stepper: Stepper::new(towers, &config, plan.total)?,
            tokenization,
            data: Arc::new(data),
            teacher,
            content,
            validation,
            feed: None,
            config,
            settings,
        };
        Run::new(task, plan, rules, state, resume.as_deref())
    }
}

/// The task of training encoders of queries and documents.
#[derive(Debug)]
pub(crate) struct Splade {
    config: Config,
    settings: Value,
    stepper: Stepper,
    tokenization: Tokenization,
    data: Arc<TrainingData>,
    teacher: Option<Arc<dyn TeacherVectors>>,
    content: Value,
    validation: Option<ValidationData>,
    watchdog: Watchdog,
    /// The thread that prepares batches; `None` before the run begins.
    feed: Option<Feed>,
}

impl Splade {
    /// Returns how the model is used, for programs that load it.
    fn model_use(&self) -> Value {
        let budgets = self.stepper.budgets().map(|(_, budget)| budget);
        outputs::model_use(&self.config, self.stepper.towers(), budgets)
    }
}

impl Task for Splade {
    type Batch = TokenBatch;

    fn check_space(&mut self, plan: &Plan, done: u64, free: Option<u64>) -> Result<(), TrainError> {
        let bytes = self.stepper.checkpoint_bytes();
        check_space(&self.config.training, plan, done, bytes, free)
    }

    fn read_records(&self, folder: &Path, state: &mut TrainerState) -> Result<Saved, TrainError> {
        let (run, saved) = record::read(folder, &self.settings, state)?;
        if run.samples != self.data.len() {
            let what = format!(
                "it was trained on {} samples, but the data now has {}",
                run.samples,
                self.data.len()
            );
            let problem = Problem::new(what)
                .with_remedy("resume with the data of the run, or begin in another output_dir");
            return Err(TrainError::checkpoint(folder, problem));
        }
        if !run.data.is_null()
            && let Some(changed) = differences(&run.data, &self.content).first()
        {
            let what = format!(
                "it was trained on other data: the content of {} has changed",
                changed.split_whitespace().next().unwrap_or_default()
            );
            let problem = Problem::new(what)
                .with_remedy("resume with the data of the run, or begin in another output_dir");
            return Err(TrainError::checkpoint(folder, problem));
        }
        Ok(saved)
    }

    fn load_model(&mut self, folder: &Path) -> Result<(), TrainError> {
        self.stepper.towers_mut().load(folder)
    }

    fn go_on(&mut self, steps: u64, objective: &Value) -> Result<(), TrainError> {
        self.stepper.go_on(steps, objective)
    }

    fn begin(&mut self, plan: &Plan) -> Result<(), TrainError> {
        let (data, tokenization) = (Arc::clone(&self.data), self.tokenization.clone());
        let (plan, teacher) = (plan.clone(), self.teacher.clone());
        self.feed = Some(Feed::start(plan, data, tokenization, teacher, self.steps())?);
        Ok(())
    }

    fn batches(&mut self, _plan: &Plan) -> Result<Vec<TokenBatch>, TrainError> {
        self.feed.as_mut().expect("the run has not begun: this is a bug").next()
    }

    fn step(&mut self, batches: &[TokenBatch]) -> Result<StepReport, TrainError> {
        self.stepper.step(batches)
    }

    fn steps(&self) -> u64 {
        self.stepper.steps()
    }

    fn warning(&mut self, report: &StepReport) -> Option<Problem> {
        self.watchdog.look(report, &self.stepper.budgets())
    }

    fn logged(&self, window: &mut Window) -> Values {
        let regularizer = match self.data.has_teacher() {
            true => Series::FLOPS,
            false => Series::REGULARIZER,
        };
        let mut values = window.take(regularizer, self.stepper.lambdas());
        let steered = self.stepper.budgets().into_iter().zip(Series::STEERED_TERMS);
        let value = |((_, budget), name): ((_, Option<BudgetReport>), &str)| {
            budget.map(|budget| (name.to_owned(), budget.terms))
        };
        values.extend(steered.filter_map(value));
        values
    }

    /// Rounds the loss, as transformers does in its history.
    fn remembered(&self, mut values: Values) -> Values {
        let loss = values.iter_mut().filter(|(name, _)| name == Series::LOSS);
        loss.for_each(|(_, value)| *value = rounded(*value, 4));
        values
    }

    fn strengths(&self) -> Values {
        let (lambda_q, lambda_d) = self.stepper.lambdas();
        vec![(Series::LAMBDA_Q.to_owned(), lambda_q), (Series::LAMBDA_D.to_owned(), lambda_d)]
    }

    /// Evaluates the model. The evaluation is not interrupted by `_stop`.
    fn evaluate(&self, _stop: &mut dyn FnMut() -> bool) -> Result<Option<Evaluation>, TrainError> {
        let training = &self.config.training;
        let batch = training.per_device_eval_batch_size;
        let loss = held_out_loss(
            &self.stepper,
            &self.data,
            &self.tokenization,
            self.teacher.as_deref(),
            batch,
        )?;
        let mut evaluation = match &self.validation {
            Some(validation) => {
                let folder = training.output_dir.join("evaluation");
                let towers = self.stepper.towers();
                retrieval(towers, &self.tokenization, validation, &self.config, &folder)?
            }
            None => Evaluation { expansions: Some(Vec::new()), ..Evaluation::default() },
        };
        if let Some(loss) = loss {
            evaluation.values.insert(0, (Series::EVAL_LOSS.to_owned(), loss));
        }
        Ok(Some(evaluation))
    }

    fn save_model(&mut self, folder: &Path) -> Result<(), TrainError> {
        self.stepper.towers_mut().save(folder)
    }

    fn optimized(&mut self) -> Optimized<'_> {
        self.stepper.optimized()
    }

    fn records(&self, snapshot: &Snapshot<'_>) -> Vec<(&'static str, String)> {
        let parts = RecordParts {
            training: &self.config.training,
            settings: &self.settings,
            model_use: self.model_use(),
            samples: self.data.len(),
            data: self.content.clone(),
            objective: self.stepper.objective_state(),
        };
        record::texts(parts, snapshot)
    }

    fn evaluated_samples(&self) -> Option<usize> {
        Some(match &self.validation {
            Some(validation) => validation.queries.len(),
            None => self.data.held_out(),
        })
    }

    fn finish(
        &mut self,
        ending: &Ending<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        self.feed = None;
        for (side, budget) in self.stepper.budgets() {
            if let Some(budget) = budget {
                budget.tell(&format!("training.regularizers.{side}"), observer);
            }
        }
        let state = ending.snapshot.state.to_json(Due::default());
        let model_use = self.model_use();
        let towers = self.stepper.towers_mut();
        outputs::write(&self.config, &self.settings, towers, &model_use, ending.results, &state)
    }
}
