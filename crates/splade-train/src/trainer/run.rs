//! A whole run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::{Config, IntervalStrategy, TrainingConfig};
use crate::error::TrainError;
use crate::json::pretty;
use splade_data::{TrainingData, ValidationData};
use splade_io::free_bytes;
use splade_logs::{LogOptions, Logs, Status, default_logging_dir, names};

use super::batch::Tokenization;
use super::checkpoint::{self, Parts};
use super::checks::{best_metric, check_evaluation, check_outputs, check_space};
use super::evaluation::{Evaluation, held_out_loss, retrieval, rounded};
use super::events::{Event, Progress, Watch};
use super::feed::Feed;
use super::outputs::{self, Results};
use super::plan::{Due, Plan};
use super::state::TrainerState;
use super::step::{StepReport, Stepper};
use super::towers::Towers;
use super::watchdog::Watchdog;
use super::window::Window;

/// What a run is made of. Data is opened and models are loaded before, so that what is wrong with
/// either is known before anything is written.
#[derive(Debug)]
pub struct TrainerOptions {
    /// All settings.
    pub config: Config,
    /// The same as they are written beside models and compared when a run goes on.
    pub settings: Value,
    /// The encoders, as they start.
    pub towers: Towers,
    /// How texts become tokens.
    pub tokenization: Tokenization,
    /// What is trained on.
    pub data: TrainingData,
    /// What is searched in evaluations.
    pub validation: Option<ValidationData>,
    /// The checkpoint to continue ([`checkpoint_to_resume`](super::checkpoint_to_resume)).
    pub resume: Option<PathBuf>,
    /// A port for the live page, 0 for any.
    pub dashboard: Option<u16>,
}

/// A run.
#[derive(Debug)]
pub struct Trainer {
    config: Config,
    settings: Value,
    plan: Plan,
    stepper: Stepper,
    tokenization: Tokenization,
    data: Arc<TrainingData>,
    validation: Option<ValidationData>,
    logs: Logs,
    state: TrainerState,
    window: Window,
    watchdog: Watchdog,
    /// The step whose checkpoint is there.
    saved: Option<u64>,
    /// Of the step it was made after.
    evaluated: Option<(u64, Evaluation)>,
    pace: Pace,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All steps were made and everything is written.
    Finished(Results),
    /// It was asked to stop; this checkpoint continues it.
    Stopped(PathBuf),
}

/// Time that steps took, to tell what is left. No number of the training depends on it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seconds: f64,
    tokens: usize,
    steps: u64,
}

impl Trainer {
    /// Checks everything and prepares the run, or continues it.
    ///
    /// # Errors
    /// If the settings ask for what the data does not give, an output would be overwritten, or the
    /// checkpoint cannot be continued.
    pub fn new(options: TrainerOptions) -> Result<Self, TrainError> {
        let TrainerOptions {
            config,
            settings,
            towers,
            tokenization,
            data,
            validation,
            resume,
            dashboard,
        } = options;
        let training = &config.training;
        let mut plan = Plan::new(training, data.len())?;
        check_evaluation(&config, &plan, &data, validation.as_ref())?;
        check_outputs(training, training.resume_from_checkpoint.is_some() || resume.is_some())?;
        let vocab = towers.vocab();
        let mut stepper = Stepper::new(towers, &config, plan.total)?;
        let mut state = TrainerState::begin(&plan, training);
        let mut window = Window::default();
        if let Some(folder) = &resume {
            let run = checkpoint::read(folder, &settings)?;
            if run.samples != data.len() {
                return Err(TrainError::Checkpoint {
                    path: folder.clone(),
                    message: format!(
                        "it was trained on {} samples, the data has {} now\nhint: continue with \
                         the data of the run, or begin in another output_dir",
                        run.samples,
                        data.len()
                    ),
                });
            }
            checkpoint::restore(folder, &run, &mut stepper)?;
            state.continue_from(&checkpoint::state_path(folder))?;
            plan.offset = run.data_offset;
            if training.ignore_data_skip {
                plan.begin_epoch_anew(stepper.steps());
            }
            window = run.window;
        }
        checkpoint::tidy(&training.output_dir)?;
        let (bytes, free) = (stepper.checkpoint_bytes(), free_bytes(&training.output_dir));
        check_space(training, &plan, stepper.steps(), bytes, free)?;
        let done = resume.as_ref().map(|_| stepper.steps());
        let logs = open_logs(training, dashboard, done, &state, &settings)?;
        let sides = [&training.regularizers.query, &training.regularizers.doc];
        let full_strength = sides.into_iter().flatten().map(|side| side.steps).fold(0.0, f64::max);
        Ok(Self {
            watchdog: Watchdog::new(vocab, full_strength),
            plan,
            stepper,
            tokenization,
            data: Arc::new(data),
            validation,
            logs,
            state,
            window,
            saved: done,
            evaluated: None,
            pace: Pace::default(),
            config,
            settings,
        })
    }

    /// Batches and steps of the run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes all steps that are left, unless `watch` asks to stop.
    ///
    /// # Errors
    /// If a file cannot be written, or the loss is not finite. Checkpoints stay whole.
    pub fn run(&mut self, watch: &mut dyn Watch) -> Result<Outcome, TrainError> {
        let start = Instant::now();
        let done = self.stepper.steps();
        watch.event(Event::Begin {
            plan: &self.plan,
            done,
            dashboard: self.logs.dashboard_address(),
        });
        if self.config.training.eval_on_start && done == 0 {
            self.evaluate(watch)?;
        }
        let (data, tokenization) = (Arc::clone(&self.data), self.tokenization.clone());
        let mut feed = Feed::start(self.plan.clone(), data, tokenization, done)?;
        while self.stepper.steps() < self.plan.total {
            let step_start = Instant::now();
            let batches = feed.next()?;
            let report = self
                .stepper
                .step(&batches)
                .map_err(|error| explain(error, &self.config.training.output_dir, self.saved))?;
            self.pace.add(step_start.elapsed(), &report);
            self.after_step(&report, watch)?;
            if watch.stop() && self.stepper.steps() < self.plan.total {
                let folder = self.save(Due::default(), watch)?;
                self.logs.flush()?;
                return Ok(Outcome::Stopped(folder));
            }
        }
        drop(feed);
        self.finish(start, watch)
    }

    /// Logs, evaluates and saves what is due.
    fn after_step(&mut self, report: &StepReport, watch: &mut dyn Watch) -> Result<(), TrainError> {
        let done = self.stepper.steps();
        self.window.add(report);
        (self.state.global_step, self.state.epoch) = (done, self.plan.epoch(done));
        self.tell(report, watch);
        if let Some(warning) = self.watchdog.look(report) {
            watch.event(Event::Warning(&warning));
        }
        let training = &self.config.training;
        let mut due = self.plan.due(training, done);
        if self.plan.ends_epoch(done) {
            let epoch = self.plan.due_at_epoch(training, done);
            due.log |= epoch.log;
            due.evaluate |= epoch.evaluate;
            due.save |= epoch.save;
        }
        // The evaluation of the results: also part of the last checkpoint.
        due.evaluate |= done == self.plan.total && self.evaluates_result();
        if due.log && !self.window.is_empty() {
            self.log(watch)?;
        }
        if due.evaluate {
            let is_best = self.evaluate(watch)?;
            due.save |= is_best && self.config.training.save_strategy == IntervalStrategy::Best;
        }
        if due.save {
            self.save(due, watch)?;
        }
        Ok(())
    }

    fn evaluates_result(&self) -> bool {
        let training = &self.config.training;
        let wanted = training.do_eval || training.eval_strategy != IntervalStrategy::No;
        wanted && (self.validation.is_some() || self.data.held_out() > 0)
    }

    fn log(&mut self, watch: &mut dyn Watch) -> Result<(), TrainError> {
        let regularizer = match self.data.has_teacher() {
            true => names::FLOPS,
            false => names::REGULARIZER,
        };
        let values = self.window.take(regularizer, self.stepper.lambdas());
        let (step, epoch) = (self.state.global_step, self.state.epoch);
        self.logs.train(step, epoch, &borrowed(&values))?;
        watch.event(Event::Logged { step, values: &values });
        // transformers rounds the loss in its history.
        let rounded = values.iter().map(|(name, value)| match name == names::LOSS {
            true => (name.clone(), rounded(*value, 4)),
            false => (name.clone(), *value),
        });
        self.state.remember(rounded.collect());
        Ok(())
    }

    /// Evaluates, and tells whether it is the best so far.
    fn evaluate(&mut self, watch: &mut dyn Watch) -> Result<bool, TrainError> {
        watch.event(Event::Evaluating);
        self.logs.status(self.status("evaluating"));
        let step = self.stepper.steps();
        let evaluation = self.evaluation()?;
        self.logs.eval(step, self.state.epoch, &borrowed(&evaluation.values))?;
        self.logs.expansions(step, evaluation.expansions.clone())?;
        watch.event(Event::Evaluated { step, values: &evaluation.values });
        let (lambda_q, lambda_d) = self.stepper.lambdas();
        let mut values = evaluation.values.clone();
        values.push((names::LAMBDA_Q.to_owned(), lambda_q));
        values.push((names::LAMBDA_D.to_owned(), lambda_d));
        self.state.remember(values);
        let is_best = self.compare_with_best(&evaluation);
        self.evaluated = Some((step, evaluation));
        Ok(is_best)
    }

    /// The values of the encoders as they are.
    fn evaluation(&self) -> Result<Evaluation, TrainError> {
        let training = &self.config.training;
        let batch = training.per_device_eval_batch_size;
        let loss = held_out_loss(&self.stepper, &self.data, &self.tokenization, batch)?;
        let mut evaluation = match &self.validation {
            Some(validation) => {
                let folder = training.output_dir.join("evaluation.partial");
                let towers = self.stepper.towers();
                retrieval(towers, &self.tokenization, validation, &self.config, &folder)?
            }
            None => Evaluation::default(),
        };
        if let Some(loss) = loss {
            evaluation.values.insert(0, (names::EVAL_LOSS.to_owned(), loss));
        }
        Ok(evaluation)
    }

    /// As `_determine_best_metric` of transformers.
    fn compare_with_best(&mut self, evaluation: &Evaluation) -> bool {
        let Some((name, greater)) = best_metric(&self.config) else { return false };
        let Some(value) = evaluation.get(&name) else { return false };
        let better = match self.state.best_metric {
            None => !value.is_nan(),
            Some(best) if greater => value > best,
            Some(best) => value < best,
        };
        if better {
            self.state.best_metric = Some(value);
            self.state.best_global_step = Some(self.stepper.steps());
        }
        better
    }

    /// Writes a checkpoint, unless that of this step is there.
    fn save(&mut self, due: Due, watch: &mut dyn Watch) -> Result<PathBuf, TrainError> {
        let output = &self.config.training.output_dir;
        let step = self.stepper.steps();
        let folder = checkpoint::path(output, step);
        if self.saved == Some(step) {
            return Ok(folder);
        }
        self.logs.status(self.status("saving"));
        // Records of this step must outlive the process, if the checkpoint does.
        self.logs.flush()?;
        if let Some(best) = self.state.best_global_step {
            let best_folder = checkpoint::path(output, best);
            if best == step || best_folder.is_dir() {
                self.state.best_model_checkpoint = Some(best_folder.display().to_string());
            }
        }
        let model_use = checkpoint::model_use(&self.config, self.stepper.towers());
        checkpoint::write(Parts {
            stepper: &mut self.stepper,
            state: &self.state,
            due,
            window: &self.window,
            training: &self.config.training,
            model_use,
            settings: &self.settings,
            samples: self.data.len(),
            data_offset: self.plan.offset,
        })?;
        self.saved = Some(step);
        self.rotate()?;
        watch.event(Event::Saved(&folder));
        Ok(folder)
    }

    fn rotate(&self) -> Result<(), TrainError> {
        let training = &self.config.training;
        let best = self.state.best_model_checkpoint.as_deref();
        checkpoint::rotate(&training.output_dir, training.save_total_limit, best)
    }

    /// The best model, if it is wanted, the results, and the final model.
    fn finish(&mut self, start: Instant, watch: &mut dyn Watch) -> Result<Outcome, TrainError> {
        // A process that was killed may have left more than it should.
        self.rotate()?;
        let training = &self.config.training;
        if let Some(best) = self.state.best_model_checkpoint.clone()
            && training.load_best_model_at_end
        {
            checkpoint::load_weights(Path::new(&best), self.stepper.towers_mut())?;
            if self.state.best_global_step != Some(self.stepper.steps()) {
                self.evaluated = None;
            }
            watch.event(Event::Note(&format!("the final model is that of {best}")));
        }
        let train = self.summary(start.elapsed().as_secs_f64());
        self.logs.summary(self.state.global_step, &borrowed(&train))?;
        self.state.remember(train.clone());
        let eval = match self.evaluated.take() {
            _ if !self.evaluates_result() => None,
            Some((step, evaluation)) if step == self.stepper.steps() => Some(evaluation.values),
            _ => Some(self.evaluation()?.values),
        };
        let eval = eval.map(|values| self.with_sample_count(values));
        let results = Results { train, eval };
        let state = self.state.to_json(Due::default());
        let towers = self.stepper.towers_mut();
        outputs::write(&self.config, &self.settings, towers, &results, &state)?;
        self.logs.flush()?;
        Ok(Outcome::Finished(results))
    }

    fn summary(&self, seconds: f64) -> Vec<(String, f64)> {
        let (lambda_q, lambda_d) = self.stepper.lambdas();
        let mut values = summary(&self.plan, &self.config.training, &self.window, seconds);
        values.extend([
            ("epoch".to_owned(), self.state.epoch),
            (names::LAMBDA_Q.to_owned(), lambda_q),
            (names::LAMBDA_D.to_owned(), lambda_d),
        ]);
        values
    }

    fn with_sample_count(&self, mut values: Vec<(String, f64)>) -> Vec<(String, f64)> {
        let samples = match &self.validation {
            Some(validation) => validation.queries.len(),
            None => self.data.held_out(),
        };
        let (lambda_q, lambda_d) = self.stepper.lambdas();
        for (name, value) in [
            ("epoch", self.state.epoch),
            (names::LAMBDA_Q, lambda_q),
            (names::LAMBDA_D, lambda_d),
            ("eval_samples", samples as f64),
        ] {
            values.push((name.to_owned(), value));
        }
        values
    }

    fn tell(&mut self, report: &StepReport, watch: &mut dyn Watch) {
        let done = self.stepper.steps();
        let progress = Progress {
            step: done,
            total: self.plan.total,
            loss: report.loss,
            lambda_q: report.lambda_q,
            lambda_d: report.lambda_d,
            query_terms: report.query_terms,
            document_terms: report.document_terms,
            accuracy: None,
            tokens_per_second: self.pace.tokens_per_second(),
            seconds_left: self.pace.seconds_left(self.plan.total - done),
        };
        let status = Status { loss: Some(report.loss), ..self.status("training") };
        self.logs.status(status);
        watch.event(Event::Step(progress));
    }

    fn status(&self, phase: &'static str) -> Status {
        let done = self.stepper.steps();
        Status {
            phase,
            step: done,
            total: self.plan.total,
            loss: None,
            tokens_per_second: Some(self.pace.tokens_per_second()),
            seconds_left: Some(self.pace.seconds_left(self.plan.total - done)),
        }
    }
}

/// Opens the logs of a run that begins, or goes on after `done` steps.
pub(super) fn open_logs(
    training: &TrainingConfig,
    dashboard: Option<u16>,
    done: Option<u64>,
    state: &TrainerState,
    settings: &Value,
) -> Result<Logs, TrainError> {
    let tensorboard = training.report_to.tensorboard.then(|| {
        let default = || default_logging_dir(&training.output_dir);
        training.logging_dir.clone().unwrap_or_else(default)
    });
    let mut logs = Logs::open(&LogOptions {
        tensorboard,
        json: training.output_dir.join("log.jsonl"),
        dashboard,
        resumed_step: done,
    })?;
    logs.continue_at(state.epoch);
    logs.text("args", &pretty(settings));
    Ok(logs)
}

/// `speed_metrics` of transformers, then the mean loss of all steps.
pub(super) fn summary(
    plan: &Plan,
    training: &TrainingConfig,
    window: &Window,
    seconds: f64,
) -> Vec<(String, f64)> {
    let steps = plan.total as f64;
    let samples = match training.max_steps {
        Some(_) => steps * (plan.batch * plan.accumulation) as f64,
        None => plan.samples as f64 * training.num_train_epochs,
    };
    let per_second = |count: f64| rounded(count / seconds.max(1e-9), 3);
    let values = [
        ("train_runtime", rounded(seconds, 4)),
        ("train_samples_per_second", per_second(samples)),
        ("train_steps_per_second", per_second(steps)),
        ("train_loss", window.total_loss / steps.max(1.0)),
    ];
    values.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// Says what can be done about a step that failed; `saved` is the step of the last checkpoint.
pub(super) fn explain(error: TrainError, output: &Path, saved: Option<u64>) -> TrainError {
    let TrainError::Run(message) = error else { return error };
    let last = match saved {
        Some(step) => {
            format!("the last checkpoint is {}", checkpoint::path(output, step).display())
        }
        None => "there is no checkpoint yet".to_owned(),
    };
    TrainError::Run(format!(
        "{message}; {last}\nhint: a smaller training.learning_rate, a longer warm-up, or a \
         smaller training.max_grad_norm"
    ))
}

impl Pace {
    pub(super) fn add(&mut self, time: Duration, report: &StepReport) {
        self.seconds += time.as_secs_f64();
        self.tokens += report.tokens;
        self.steps += 1;
    }

    pub(super) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(1e-9)
    }

    pub(super) fn seconds_left(&self, steps: u64) -> f64 {
        self.seconds / self.steps.max(1) as f64 * steps as f64
    }
}

pub(super) fn borrowed(values: &[(String, f64)]) -> Vec<(&str, f64)> {
    values.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}
