//! The training loop of all tasks: steps, logs, evaluations, checkpoints and results.

mod pace;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod state;
pub(crate) mod window;

pub(crate) mod checkpoint;
pub(crate) mod checks;
pub(crate) mod folders;
pub(crate) mod results;
pub(crate) mod task;

use std::path::{Path, PathBuf};
use std::time::Instant;

use splade_io::{Event, Observer, StepProgress, free_bytes};
use splade_logs::{BestValue, EndKind, Logs, RunEnd, RunInfo, Series, Status};

use crate::engine::Parameters;
use crate::error::TrainError;

use checkpoint::record::Snapshot;
use checkpoint::{OPTIMIZER, folder, moments, rotate};
use pace::Pace;
pub(crate) use plan::{Due, Interval, Plan, PlannedBatch};
pub(crate) use report::{BatchReport, StepReport};
pub use results::Results;
pub(crate) use state::TrainerState;
pub(crate) use task::{Ending, Evaluation, Length, Optimized, Rules, Task, Values};
pub(crate) use window::Window;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// All steps were made, and all outputs are written.
    Finished(Results),
    /// The observer asked to stop. The run can be resumed from this checkpoint.
    Stopped(PathBuf),
    /// An earlier run with the same settings has already made all steps.
    UpToDate,
}

/// A training run of a task.
#[derive(Debug)]
pub(crate) struct Run<T> {
    task: T,
    plan: Plan,
    rules: Rules,
    logs: Logs,
    state: TrainerState,
    window: Window,
    pace: Pace,
    /// The number of steps that earlier processes made.
    done_before: u64,
    /// The step of the last checkpoint on disk.
    saved: Option<u64>,
    /// The step after which the model was last evaluated.
    measured: u64,
    /// The step and the metrics of this process's last evaluation.
    evaluated: Option<(u64, Values)>,
}

/// Whether a run continues after an action.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl<T: Task> Run<T> {
    /// Begins a run, or resumes from the checkpoint `resume`.
    ///
    /// # Errors
    /// Returns an error if the checkpoint is damaged or belongs to another run, if the disk has too
    /// little space, or if the logs cannot be opened.
    pub(crate) fn new(
        mut task: T,
        mut plan: Plan,
        rules: Rules,
        mut state: TrainerState,
        resume: Option<&Path>,
    ) -> Result<Self, TrainError> {
        let (mut window, mut measured) = (Window::default(), 0);
        if let Some(checkpoint) = resume {
            folder::check(checkpoint)?;
            let saved = task.read_records(checkpoint, &mut state)?;
            task.load_model(checkpoint)?;
            let Optimized { names, mut engines, optimizer } = task.optimized();
            let file = checkpoint.join(OPTIMIZER);
            let kind = optimizer.kind;
            *optimizer = moments::read_moments(&file, &names, &mut engines, kind, saved.updates)?;
            task.go_on(saved.step, &saved.objective)?;
            plan.offset = saved.data_offset;
            if rules.begin_epoch_anew {
                plan.begin_epoch_anew(saved.step);
            }
            (window, measured) = (saved.window, saved.measured);
        }
        let done = task.steps();
        task.check_space(&plan, done, free_bytes(&rules.output))?;
        let saved = resume.map(|_| done);
        let mut log_options = rules.logs.clone();
        log_options.resumed_step = saved;
        let mut logs = Logs::open(&log_options)?;
        logs.continue_at(state.epoch);
        logs.run(&RunInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            steps: plan.total,
            ..rules.info.clone()
        });
        if let Some(settings) = &rules.settings {
            logs.text("args", settings);
        }
        Ok(Self {
            task,
            plan,
            rules,
            logs,
            state,
            window,
            pace: Pace::default(),
            done_before: done,
            saved,
            measured,
            evaluated: None,
        })
    }

    /// Returns the batches and steps of the run.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes all remaining steps, unless `observer` asks to stop, and logs how the run ended.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written or the loss is not finite. Checkpoints on disk
    /// stay complete.
    pub(crate) fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let outcome = self.make_steps(observer);
        let end = self.end(&outcome);
        let logged = self.logs.end(&end);
        // The error of the run comes first.
        let outcome = outcome?;
        logged?;
        Ok(outcome)
    }

    /// Returns how the run ended.
    fn end(&self, outcome: &Result<Outcome, TrainError>) -> RunEnd {
        let (kind, message) = match outcome {
            Ok(Outcome::Finished(_) | Outcome::UpToDate) => (EndKind::Finished, None),
            Ok(Outcome::Stopped(_)) => (EndKind::Stopped, None),
            Err(error) => (EndKind::Failed, Some(with_causes(error))),
        };
        let best = self.state.best_metric.zip(self.state.best_global_step);
        let best = self.rules.best.as_ref().zip(best);
        RunEnd {
            outcome: kind,
            step: self.task.steps(),
            best: best.map(|((metric, _), (value, step))| BestValue {
                metric: metric.clone(),
                value,
                step,
            }),
            message,
        }
    }

    fn make_steps(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let start = Instant::now();
        self.tell_beginning(observer);
        if self.first_evaluation(observer)? == Next::Stop {
            return self.stop(observer);
        }
        self.task.begin(&self.plan)?;
        while self.task.steps() < self.plan.total {
            let report = self.step()?;
            self.tell_step(&report, observer);
            if self.after_step(observer)? == Next::Stop {
                return self.stop(observer);
            }
        }
        self.finish(start, observer)
    }

    /// Evaluates before the first step, or after the step at which an earlier process stopped
    /// before the evaluation was finished.
    fn first_evaluation(&mut self, observer: &mut dyn Observer) -> Result<Next, TrainError> {
        let done = self.task.steps();
        let wanted = self.rules.evaluate_first && done == 0;
        let owed = self.measured != done && self.plan.due(done).evaluate;
        if owed {
            self.state.epoch = self.task.epoch(&self.plan, done);
        }
        match wanted || owed {
            true => Ok(self.evaluate(observer)?.map_or(Next::Stop, |_| Next::GoOn)),
            false => Ok(Next::GoOn),
        }
    }

    /// Makes a step and counts it.
    fn step(&mut self) -> Result<StepReport, TrainError> {
        let start = Instant::now();
        let batches = self.task.batches(&self.plan)?;
        let report = self.task.step(&batches).map_err(|error| self.with_checkpoint(error))?;
        self.pace.add(start.elapsed(), report.tokens);
        self.window.add(&report);
        let done = self.task.steps();
        (self.state.global_step, self.state.epoch) = (done, self.task.epoch(&self.plan, done));
        Ok(report)
    }

    /// Logs, evaluates and saves whatever is due after the last step.
    fn after_step(&mut self, observer: &mut dyn Observer) -> Result<Next, TrainError> {
        let done = self.task.steps();
        let mut due = self.plan.due(done);
        if due.log && !self.window.is_empty() {
            self.log(observer)?;
        }
        if due.evaluate {
            let Some(best) = self.evaluate(observer)? else { return Ok(Next::Stop) };
            due.save |= best && self.rules.save_best;
        }
        if due.save {
            self.save(due, observer)?;
        }
        match observer.stop() && done < self.plan.total {
            true => Ok(Next::Stop),
            false => Ok(Next::GoOn),
        }
    }

    /// Logs the means since the last log.
    fn log(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let values = self.task.logged(&mut self.window);
        let (step, epoch) = (self.state.global_step, self.state.epoch);
        self.logs.train(step, epoch, &borrowed(&values))?;
        observer.event(Event::Logged { step, values: &values });
        self.state.remember(self.task.remembered(values));
        Ok(())
    }

    /// Evaluates the model, and returns whether it is the best so far. Returns `None` if the
    /// observer asked to stop during the evaluation.
    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<Option<bool>, TrainError> {
        observer.event(Event::Evaluating);
        self.logs.status(self.status("evaluating"));
        let step = self.task.steps();
        let Some(evaluation) = self.task.evaluate(&mut || observer.stop())? else {
            return Ok(None);
        };
        self.logs.eval(step, self.state.epoch, &borrowed(&evaluation.values))?;
        if let Some(expansions) = evaluation.expansions.clone() {
            self.logs.expansions(step, expansions)?;
        }
        let best = self.compare_with_best(&evaluation);
        self.measured = step;
        if best {
            self.task.keep_best()?;
        }
        let Evaluation { values, .. } = evaluation;
        observer.event(Event::Evaluated { step, values: &values, best });
        let strengths = self.task.strengths();
        self.state.remember(values.iter().cloned().chain(strengths).collect());
        self.evaluated = Some((step, values));
        Ok(Some(best))
    }

    /// Compares the evaluation with the best one so far, as `_determine_best_metric` of
    /// transformers does.
    fn compare_with_best(&mut self, evaluation: &Evaluation) -> bool {
        let Some((name, greater)) = &self.rules.best else { return false };
        let Some(value) = evaluation.get(name) else { return false };
        let better = match self.state.best_metric {
            None => !value.is_nan(),
            Some(best) if *greater => value > best,
            Some(best) => value < best,
        };
        if better {
            self.state.best_metric = Some(value);
            self.state.best_global_step = Some(self.task.steps());
        }
        better
    }

    /// Writes a checkpoint, unless there already is one of this step, and returns its folder.
    fn save(&mut self, due: Due, observer: &mut dyn Observer) -> Result<PathBuf, TrainError> {
        let step = self.task.steps();
        let target = folder::path(&self.rules.output, step);
        if self.saved == Some(step) {
            return Ok(target);
        }
        self.logs.status(self.status("saving"));
        // If the checkpoint survives a crash, the log records up to its step must survive, too.
        self.logs.flush()?;
        if let Some(best) = self.state.best_global_step.filter(|_| self.rules.keep_best) {
            let best_folder = folder::path(&self.rules.output, best);
            if best == step || best_folder.is_dir() {
                self.state.best_model_checkpoint = Some(best_folder.display().to_string());
            }
        }
        let partial = folder::begin(&target)?;
        self.task.save_model(partial.path())?;
        let Optimized { names, engines, optimizer } = self.task.optimized();
        if self.rules.save_optimizer {
            let engines = names.iter().zip(&engines);
            let engines: Vec<(&str, &dyn Parameters)> =
                engines.map(|(name, engine)| (*name, &**engine)).collect();
            moments::write_moments(&partial.path().join(OPTIMIZER), &engines, optimizer)?;
        }
        let updates = optimizer.step;
        for (name, text) in self.task.records(&self.snapshot(due, updates)) {
            results::text(&partial.path().join(name), &text)?;
        }
        folder::finish_checkpoint(partial)?;
        self.saved = Some(step);
        self.rotate()?;
        observer.event(Event::Saved(&target));
        Ok(target)
    }

    /// Writes the checkpoint from which the run can be resumed.
    fn stop(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        let folder = self.save(Due::default(), observer)?;
        self.logs.flush()?;
        Ok(Outcome::Stopped(folder))
    }

    /// Writes the results and the final model, which is the best one if the rules say so.
    fn finish(
        &mut self,
        start: Instant,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        // A killed process may have left more checkpoints than the limit allows.
        self.rotate()?;
        self.load_best(observer)?;
        let train = self.summary(start.elapsed().as_secs_f64())?;
        let results = Results {
            steps: self.plan.total,
            best: self.state.best_metric.zip(self.state.best_global_step),
            train,
            eval: self.result_metrics()?,
        };
        // The final model marks the end of the run, so everything else is on disk before it.
        self.logs.flush()?;
        let updates = self.task.optimized().optimizer.step;
        let snapshot = Snapshot {
            step: self.task.steps(),
            measured: self.measured,
            updates,
            data_offset: self.plan.offset,
            due: Due::default(),
            window: &self.window,
            state: &self.state,
        };
        self.task.finish(&Ending { results: &results, snapshot: &snapshot }, observer)?;
        Ok(Outcome::Finished(results))
    }

    fn load_best(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let best = self.state.best_model_checkpoint.clone().filter(|_| self.rules.load_best);
        let Some(best) = best else { return Ok(()) };
        folder::check(Path::new(&best))?;
        self.task.load_model(Path::new(&best))?;
        if self.state.best_global_step != Some(self.task.steps()) {
            self.evaluated = None;
        }
        observer.event(Event::Note(&format!("the final model is that of {best}")));
        Ok(())
    }

    /// Logs the speed and the mean loss of the run, as `speed_metrics` of transformers does. Only
    /// the work of this process counts.
    fn summary(&mut self, seconds: f64) -> Result<Values, TrainError> {
        let Some(length) = self.rules.summary else { return Ok(Values::new()) };
        let plan = &self.plan;
        let (all, made) = (plan.total as f64, plan.total.saturating_sub(self.done_before) as f64);
        let samples = match length {
            Length::Steps => made * (plan.batch * plan.accumulation) as f64,
            Length::Epochs(epochs) if self.done_before == 0 => plan.samples as f64 * epochs,
            Length::Epochs(epochs) => plan.samples as f64 * epochs * made / all.max(1.0),
        };
        let per_second = |count: f64| rounded(count / seconds.max(1e-9), 3);
        let mut values: Values = [
            ("train_runtime", rounded(seconds, 4)),
            ("train_samples_per_second", per_second(samples)),
            ("train_steps_per_second", per_second(made)),
            ("train_loss", self.window.total_loss / all.max(1.0)),
            ("epoch", self.state.epoch),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        values.extend(self.task.strengths());
        self.logs.summary(self.state.global_step, &borrowed(&values))?;
        self.state.remember(values.clone());
        Ok(values)
    }

    /// Returns the metrics of the final model.
    fn result_metrics(&mut self) -> Result<Option<Values>, TrainError> {
        if !self.rules.evaluate_result {
            return Ok(None);
        }
        let mut values = match self.evaluated.take() {
            Some((step, values)) if step == self.task.steps() => values,
            // At the end of a run, an evaluation can no longer be stopped.
            _ => match self.task.evaluate(&mut || false)? {
                Some(evaluation) => evaluation.values,
                None => return Ok(None),
            },
        };
        if let Some(samples) = self.task.evaluated_samples() {
            values.push(("epoch".to_owned(), self.state.epoch));
            values.extend(self.task.strengths());
            values.push(("eval_samples".to_owned(), samples as f64));
        }
        Ok(Some(values))
    }

    fn rotate(&self) -> Result<(), TrainError> {
        let best = self.state.best_model_checkpoint.as_deref();
        rotate(&self.rules.output, self.rules.keep, best)
    }

    fn snapshot(&self, due: Due, updates: u64) -> Snapshot<'_> {
        Snapshot {
            step: self.task.steps(),
            measured: self.measured,
            updates,
            data_offset: self.plan.offset,
            due,
            window: &self.window,
            state: &self.state,
        }
    }

    fn tell_beginning(&self, observer: &mut dyn Observer) {
        let page = self.logs.dashboard_address().map(|address| format!("http://{address}/"));
        observer.event(Event::RunBegins {
            samples: self.plan.samples,
            batches: self.plan.batches,
            done: self.task.steps(),
            total: self.plan.total,
            dashboard: page.as_deref(),
        });
    }

    fn tell_step(&mut self, report: &StepReport, observer: &mut dyn Observer) {
        let status = Status { loss: Some(report.loss), ..self.status("training") };
        let accuracy = report.components.iter().find(|(name, _)| *name == Series::ACCURACY);
        let progress = StepProgress {
            step: status.step,
            total: status.total,
            loss: report.loss,
            lambda_q: report.lambda_q,
            lambda_d: report.lambda_d,
            query_terms: report.query_terms,
            document_terms: report.document_terms,
            accuracy: accuracy.map(|(_, value)| *value),
            tokens_per_second: status.tokens_per_second.unwrap_or_default(),
            seconds_left: status.seconds_left.unwrap_or_default(),
        };
        self.logs.status(status);
        observer.event(Event::Step(progress));
        if let Some(warning) = self.task.warning(report) {
            let step = self.task.steps();
            self.logs.warning(step, &warning.to_string(), warning.hint());
            observer.event(Event::Warning(&warning.to_string()));
            if let Some(hint) = warning.hint() {
                observer.event(Event::Hint(hint));
            }
        }
    }

    fn status(&self, phase: &'static str) -> Status {
        let done = self.task.steps();
        Status {
            phase,
            step: done,
            total: self.plan.total,
            loss: None,
            tokens_per_second: Some(self.pace.tokens_per_second()),
            seconds_left: Some(self.pace.seconds_left(self.plan.total - done)),
        }
    }

    /// Adds the last checkpoint to the error of a failed step.
    fn with_checkpoint(&self, error: TrainError) -> TrainError {
        match error {
            TrainError::NotFinite { step, what, value, .. } => {
                let last = match self.saved {
                    Some(step) => {
                        let folder = folder::path(&self.rules.output, step);
                        format!("the last checkpoint is {}", folder.display())
                    }
                    None => "there is no checkpoint yet".to_owned(),
                };
                TrainError::NotFinite { step, what, value, last: Some(last) }
            }
            other => other,
        }
    }
}

/// Returns an error with its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn borrowed(values: &[(String, f64)]) -> Vec<(&str, f64)> {
    values.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

/// Rounds to `digits` decimal places, as Python's `round` does.
pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round_ties_even() / scale
}
