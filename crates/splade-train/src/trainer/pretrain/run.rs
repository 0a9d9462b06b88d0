//! A whole run of masked language modelling.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use splade_model::training::CrossEntropy;

use crate::config::PretrainConfig;
use crate::cpu::CpuEngine;
use crate::engine::Engine;
use crate::error::TrainError;
use crate::trainer::checkpoint::{self, Continued, Parts};
use crate::trainer::checks::{check_outputs, check_space, final_folder};
use crate::trainer::events::{Event, Progress, Watch};
use crate::trainer::outputs::{Results, write_results};
use crate::trainer::plan::{Due, Plan, PlannedBatch};
use crate::trainer::run::{Outcome, Pace, borrowed, explain, open_logs, summary};
use crate::trainer::state::TrainerState;
use crate::trainer::step::StepReport;
use crate::trainer::window::Window;
use splade_data::random::MASK;
use splade_data::{Corpus, Masking};
use splade_io::free_bytes;
use splade_logs::{Logs, Status, names};

use super::step::{MaskedBatch, Stepper};

/// What a run is made of.
#[derive(Debug)]
pub struct PretrainerOptions {
    /// All settings.
    pub config: PretrainConfig,
    /// The encoder, as it starts.
    pub engine: CpuEngine,
    /// What is trained on.
    pub corpus: Corpus,
    /// What is to be predicted.
    pub masking: Masking,
    /// The checkpoint to continue
    /// ([`checkpoint_to_resume`](crate::trainer::checkpoint_to_resume)).
    pub resume: Option<PathBuf>,
    /// A port for the live page, 0 for any.
    pub dashboard: Option<u16>,
}

/// A run.
#[derive(Debug)]
pub struct Pretrainer {
    config: PretrainConfig,
    settings: Value,
    plan: Plan,
    stepper: Stepper,
    corpus: Corpus,
    masking: Masking,
    logs: Logs,
    state: TrainerState,
    window: Window,
    /// The step whose checkpoint is there.
    saved: Option<u64>,
    /// With the step it was made after.
    evaluated: Option<(u64, Vec<(String, f64)>)>,
    pace: Pace,
}

impl Pretrainer {
    /// Checks everything and prepares the run, or continues it.
    ///
    /// # Errors
    /// If the settings ask for what the data does not give, an output would be overwritten, or the
    /// checkpoint cannot be continued.
    pub fn new(options: PretrainerOptions) -> Result<Self, TrainError> {
        let PretrainerOptions { config, engine, corpus, masking, resume, dashboard } = options;
        let (training, settings) = (&config.training, config.to_value());
        let plan = Plan::new(training, corpus.len())?;
        if (training.do_eval || training.eval_on_start) && corpus.held_out() == 0 {
            return Err(TrainError::Config {
                at: "data.eval_share".into(),
                message: "no document is held out to evaluate on\nhint: raise it, or set \
                          training.eval_strategy to no, and eval_on_start to false"
                    .into(),
            });
        }
        check_outputs(training, training.resume_from_checkpoint.is_some() || resume.is_some())?;
        let mut stepper = Stepper::new(engine, training, plan.total, corpus.fingerprint())?;
        let mut state = TrainerState::begin(&plan, training);
        let mut window = Window::default();
        if let Some(folder) = &resume {
            let run = checkpoint::read(folder, &settings)?;
            checkpoint::restore(folder, &run, &mut stepper)?;
            state.continue_from(&checkpoint::state_path(folder))?;
            window = run.window;
        }
        checkpoint::tidy(&training.output_dir)?;
        let (bytes, free) = (stepper.checkpoint_bytes(), free_bytes(&training.output_dir));
        check_space(training, &plan, stepper.steps(), bytes, free)?;
        let saved = resume.as_ref().map(|_| stepper.steps());
        let logs = open_logs(training, dashboard, saved, &state, &settings)?;
        let (evaluated, pace) = (None, Pace::default());
        Ok(Self {
            config,
            settings,
            plan,
            stepper,
            corpus,
            masking,
            logs,
            state,
            window,
            saved,
            evaluated,
            pace,
        })
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
        while self.stepper.steps() < self.plan.total {
            let step_start = Instant::now();
            let planned = self.plan.batches_of(self.stepper.steps());
            let batches: Vec<_> = planned.iter().map(|batch| self.batch(batch)).collect();
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
        self.finish(start, watch)
    }

    /// The sequences of a batch, hidden by the seed, the epoch and their number in it.
    fn batch(&self, planned: &PlannedBatch) -> MaskedBatch {
        let (seed, epoch) = (self.config.training.seed, planned.epoch);
        let mut batch = MaskedBatch::default();
        for position in planned.samples.clone() {
            let (index, mut ids) = self.corpus.sequence(epoch, position);
            let hidden = self.masking.hide(&mut ids, &[seed, MASK, epoch, index as u64]);
            batch.add(ids, &hidden);
        }
        batch
    }

    /// Logs, evaluates and saves what is due.
    fn after_step(&mut self, report: &StepReport, watch: &mut dyn Watch) -> Result<(), TrainError> {
        let done = self.stepper.steps();
        self.window.add(report);
        (self.state.global_step, self.state.epoch) = (done, self.plan.epoch(done));
        self.tell(report, watch);
        let training = &self.config.training;
        let mut due = self.plan.due(training, done);
        if self.plan.ends_epoch(done) {
            let epoch = self.plan.due_at_epoch(training, done);
            due.log |= epoch.log;
            due.evaluate |= epoch.evaluate;
            due.save |= epoch.save;
        }
        // The evaluation of the results: also part of the last checkpoint.
        due.evaluate |= done == self.plan.total && training.do_eval;
        if due.log && !self.window.is_empty() {
            self.log(watch)?;
        }
        if due.evaluate {
            self.evaluate(watch)?;
        }
        if due.save {
            self.save(due, watch)?;
        }
        Ok(())
    }

    fn log(&mut self, watch: &mut dyn Watch) -> Result<(), TrainError> {
        let mut values = self.window.take(names::REGULARIZER, (0.0, self.stepper.lambda()));
        // There are no queries, and without a regularizer no vectors.
        let mut unused = vec![names::LAMBDA_Q, names::QUERY_TERMS];
        if self.config.training.regularizers.doc.is_none() {
            unused.extend([names::REGULARIZER, names::LAMBDA_D, names::DOC_TERMS]);
        }
        values.retain(|(name, _)| !unused.contains(&name.as_str()));
        let (step, epoch) = (self.state.global_step, self.state.epoch);
        self.logs.train(step, epoch, &borrowed(&values))?;
        watch.event(Event::Logged { step, values: &values });
        self.state.remember(values);
        Ok(())
    }

    fn evaluate(&mut self, watch: &mut dyn Watch) -> Result<(), TrainError> {
        watch.event(Event::Evaluating);
        self.logs.status(self.status("evaluating", None));
        let step = self.stepper.steps();
        let values = self.evaluation();
        self.logs.eval(step, self.state.epoch, &borrowed(&values))?;
        watch.event(Event::Evaluated { step, values: &values });
        self.state.remember(values.clone());
        self.evaluated = Some((step, values));
        Ok(())
    }

    /// Loss and accuracy of the texts that are held out, hidden the same way each time.
    fn evaluation(&self) -> Vec<(String, f64)> {
        let (mut found, mut count) = (CrossEntropy::default(), 0);
        let size = self.config.training.per_device_eval_batch_size;
        let all: Vec<usize> = (0..self.corpus.held_out()).collect();
        for indices in all.chunks(size) {
            let mut batch = MaskedBatch::default();
            for index in indices {
                let mut ids = self.corpus.held_out_sequence(*index);
                let key = [self.config.training.seed, MASK, *index as u64];
                let hidden = self.masking.hide(&mut ids, &key);
                batch.add(ids, &hidden);
            }
            let (loss, tokens) = self.stepper.evaluate(&batch);
            found.add(loss);
            count += tokens;
        }
        let count = count.max(1) as f64;
        vec![
            (names::EVAL_LOSS.to_owned(), found.loss / count),
            (names::EVAL_ACCURACY.to_owned(), found.correct as f64 / count),
        ]
    }

    /// Writes a checkpoint, unless that of this step is there.
    fn save(&mut self, due: Due, watch: &mut dyn Watch) -> Result<PathBuf, TrainError> {
        let training = &self.config.training;
        let step = self.stepper.steps();
        let folder = checkpoint::path(&training.output_dir, step);
        if self.saved == Some(step) {
            return Ok(folder);
        }
        self.logs.status(self.status("saving", None));
        // Records of this step must outlive the process, if the checkpoint does.
        self.logs.flush()?;
        checkpoint::write(Parts {
            stepper: &mut self.stepper,
            state: &self.state,
            due,
            window: &self.window,
            training,
            model_use: json!({ "agg": "max", "max_length": self.config.model.max_length }),
            settings: &self.settings,
            samples: self.corpus.len(),
            data_offset: 0,
        })?;
        self.saved = Some(step);
        checkpoint::rotate(&training.output_dir, training.save_total_limit, None)?;
        watch.event(Event::Saved(&folder));
        Ok(folder)
    }

    /// The results and the final model.
    fn finish(&mut self, start: Instant, watch: &mut dyn Watch) -> Result<Outcome, TrainError> {
        let training = &self.config.training;
        // A process that was killed may have left more than it should.
        checkpoint::rotate(&training.output_dir, training.save_total_limit, None)?;
        let seconds = start.elapsed().as_secs_f64();
        let mut train = summary(&self.plan, training, &self.window, seconds);
        train.push(("epoch".to_owned(), self.state.epoch));
        self.logs.summary(self.state.global_step, &borrowed(&train))?;
        self.state.remember(train.clone());
        let eval = match self.evaluated.take() {
            _ if !training.do_eval => None,
            Some((step, values)) if step == self.stepper.steps() => Some(values),
            _ => Some(self.evaluation()),
        };
        let results = Results { train, eval };
        let folder = final_folder(training);
        let target = folder.join("model");
        let partial = checkpoint::begin(&target)?;
        self.stepper.engine.save(&partial)?;
        checkpoint::finish(&target)?;
        let state = self.state.to_json(Due::default());
        write_results(folder, &self.settings, &results, &state)?;
        watch.event(Event::Saved(&target));
        self.logs.flush()?;
        Ok(Outcome::Finished(results))
    }

    fn tell(&mut self, report: &StepReport, watch: &mut dyn Watch) {
        let accuracy = report.components.iter().find(|(name, _)| *name == names::ACCURACY);
        let status = self.status("training", Some(report.loss));
        let progress = Progress {
            step: status.step,
            total: status.total,
            loss: report.loss,
            lambda_d: report.lambda_d,
            document_terms: report.document_terms,
            accuracy: accuracy.map(|(_, value)| *value),
            tokens_per_second: self.pace.tokens_per_second(),
            seconds_left: self.pace.seconds_left(self.plan.total - status.step),
            ..Progress::default()
        };
        self.logs.status(status);
        watch.event(Event::Step(progress));
    }

    fn status(&self, phase: &'static str, loss: Option<f64>) -> Status {
        let done = self.stepper.steps();
        Status {
            phase,
            step: done,
            total: self.plan.total,
            loss,
            tokens_per_second: Some(self.pace.tokens_per_second()),
            seconds_left: Some(self.pace.seconds_left(self.plan.total - done)),
        }
    }
}
