//! The loop: steps, evaluations, the best and the last model, checkpoints.
//!
//! It does what sentence-transformers' `CrossEncoder.fit` does for the Python library: AdamW whose
//! learning rate warms up and falls on lines, gradients clipped, evaluations every so many steps and
//! at the end of each epoch, the best model in `output_path`. A step takes its groups through the
//! model a few thousand tokens at a time, which changes nothing but rounding. Everything random
//! follows from the seed and the step, so a checkpoint is parameters, moments and the step.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use splade_model::cross_encoder::PairTokenizer;
use splade_text::PairEncoding;

use super::config::{TeacherConfig, TeacherLoss};
use super::data::{Group, TeacherData};
use super::engine::TeacherEngine;
use super::evaluation::{RerankMetric, RerankMetrics, rerank};
use super::losses;
use super::outputs::{check_space, delete_checkpoints, differences, identity};
use crate::config::Optimizer;
use crate::engine::Parameters;
use crate::error::TrainError;
use crate::optimizer::{OptimizerState, UpdateOptions, clip_coefficient, gradient_norm};
use crate::schedule::Schedule;
use crate::trainer::checkpoint::optimizer::{load, read_moments, write_moments};
use crate::trainer::checkpoint::{OPTIMIZER, OURS, folder};
use splade_data::random::hash;
use splade_io::free_bytes;
use splade_logs::{LogOptions, Logs};

/// Tokens of a part of a step; one group more at most.
const PART_TOKENS: usize = 4096;
/// What keys of dropout are for.
const NOISE: u64 = 14;
/// Steps between two logs.
const LOG_EVERY: u64 = 10;
/// Parts of the names of parameters that do not decay, as sentence-transformers has them.
const UNDECAYED: &[&str] = &["bias", "LayerNorm.bias", "LayerNorm.weight"];
/// Of the state in a checkpoint.
const VERSION: u64 = 1;

/// Whoever looks on.
pub trait TeacherWatch {
    /// Something happened.
    fn event(&mut self, event: TeacherEvent<'_>);

    /// Whether to stop, with a checkpoint.
    fn stop(&mut self) -> bool {
        false
    }
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum TeacherEvent<'a> {
    /// The run begins, or goes on after some steps.
    Begin {
        /// Groups of an epoch.
        groups: usize,
        /// Steps of the run.
        steps: u64,
        /// Steps that were made before.
        done: u64,
    },
    /// A step was made.
    Step {
        /// Steps that were made.
        step: u64,
        /// Steps of the run.
        steps: u64,
        /// Of this step.
        loss: f64,
        /// Since the run began or went on.
        tokens_per_second: f64,
        /// Until the last step, at the pace so far.
        seconds_left: f64,
    },
    /// An evaluation ended.
    Evaluated {
        /// Steps that were made.
        step: u64,
        /// What came out.
        metrics: RerankMetrics,
        /// Whether this is the best model so far, which was written.
        best: bool,
    },
    /// A folder was written.
    Saved(&'a Path),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TeacherOutcome {
    /// With the last step.
    Finished {
        /// Steps of the run.
        steps: u64,
        /// The best value of `metric_for_best_model` and its step, where something was measured.
        best: Option<(f64, u64)>,
    },
    /// It was asked to stop: the checkpoint to go on from.
    Stopped(PathBuf),
}

/// A run.
#[derive(Debug)]
pub struct TeacherTrainer {
    config: TeacherConfig,
    data: TeacherData,
    tokenizer: PairTokenizer,
    engine: TeacherEngine,
    /// What the run is, for its checkpoints and its last model.
    identity: Value,
    optimizer: OptimizerState,
    schedule: Schedule,
    steps_an_epoch: u64,
    step: u64,
    /// The last step after which the model was measured.
    measured: u64,
    /// Sum and number of the losses that were not logged yet.
    unlogged: (f64, u64),
    /// The best value so far and its step.
    best: Option<(f64, u64)>,
}

impl TeacherTrainer {
    /// Begins a run, or continues the last checkpoint in `output_path` if `resume`.
    ///
    /// # Errors
    /// If the parts do not fit together, or the checkpoint not this run, or if there is no room for
    /// what it writes.
    pub fn new(
        config: TeacherConfig,
        data: TeacherData,
        tokenizer: PairTokenizer,
        mut engine: TeacherEngine,
        resume: bool,
    ) -> Result<Self, TrainError> {
        let steps_an_epoch = data.len().div_ceil(config.train_batch_size) as u64;
        let total = steps_an_epoch * config.num_epochs;
        let mut numbers = 0;
        engine.parameters(&mut |parameter| numbers += parameter.values.len() as u64);
        check_space(&config, numbers, resume, free_bytes(&config.output_path))?;
        let mut trainer = Self {
            identity: identity(&config)?,
            schedule: Schedule::linear(config.learning_rate, config.warmup_steps, total),
            optimizer: OptimizerState::new(Optimizer::AdamW),
            steps_an_epoch,
            step: 0,
            measured: 0,
            unlogged: (0.0, 0),
            best: None,
            config,
            data,
            tokenizer,
            engine,
        };
        if resume {
            folder::tidy(&trainer.config.output_path)?;
            // What a kill left of a best model.
            _ = std::fs::remove_dir_all(trainer.config.output_path.join("best.partial"));
            let last = folder::checkpoints(&trainer.config.output_path)?.pop();
            if let Some((_, checkpoint)) = last {
                trainer.restore(&checkpoint)?;
            }
        }
        Ok(trainer)
    }

    /// Steps of the run.
    pub fn steps(&self) -> u64 {
        self.steps_an_epoch * self.config.num_epochs
    }

    /// Makes the steps that are left.
    ///
    /// # Errors
    /// If a file cannot be read or written, or a loss is not finite.
    pub fn run(&mut self, watch: &mut dyn TeacherWatch) -> Result<TeacherOutcome, TrainError> {
        let (total, groups) = (self.steps(), self.data.len());
        let mut logs = Logs::open(&LogOptions {
            json: self.config.output_path.join("log.jsonl"),
            tensorboard: Some(self.config.output_path.join("runs")),
            resumed_step: (self.step > 0).then_some(self.step),
            ..LogOptions::default()
        })?;
        watch.event(TeacherEvent::Begin { groups, steps: total, done: self.step });
        // A run that was stopped while it was measured goes on with that.
        if !self.measure_if_due(&mut logs, watch)? {
            return self.stopped(&mut logs, watch);
        }
        let (begin, done, mut tokens) = (Instant::now(), self.step, 0);
        while self.step < total {
            let report = self.make_step()?;
            tokens += report.tokens;
            let step = self.step;
            let seconds = begin.elapsed().as_secs_f64().max(1e-9);
            watch.event(TeacherEvent::Step {
                step,
                steps: total,
                loss: report.loss,
                tokens_per_second: tokens as f64 / seconds,
                seconds_left: seconds / (step - done) as f64 * (total - step) as f64,
            });
            self.log(&report, &mut logs)?;
            if !self.measure_if_due(&mut logs, watch)? || step < total && watch.stop() {
                return self.stopped(&mut logs, watch);
            }
            let save = self.config.save_steps;
            if step < total && save > 0 && step.is_multiple_of(save) {
                self.save_checkpoint(&mut logs, watch)?;
            }
        }
        logs.flush()?;
        // The last model says that the run has ended: all else is there before it, and what could
        // be gone on from goes after it.
        if self.best.is_none() {
            self.save_best()?;
        }
        // Of a bare name, too, there must be a parent.
        let last = Path::new(".").join(&self.config.final_output_path);
        let partial = folder::begin(&last)?;
        self.save_model(&partial)?;
        self.save_state(&partial)?;
        folder::finish(&last)?;
        watch.event(TeacherEvent::Saved(&self.config.final_output_path));
        delete_checkpoints(&self.config.output_path)?;
        Ok(TeacherOutcome::Finished { steps: total, best: self.best })
    }
}

struct StepReport {
    loss: f64,
    learning_rate: f64,
    gradient_norm: f64,
    tokens: usize,
}

impl TeacherTrainer {
    fn epoch(&self) -> f64 {
        self.step as f64 / self.steps_an_epoch as f64
    }

    fn log(&mut self, report: &StepReport, logs: &mut Logs) -> Result<(), TrainError> {
        self.unlogged = (self.unlogged.0 + report.loss, self.unlogged.1 + 1);
        if !self.step.is_multiple_of(LOG_EVERY) && self.step < self.steps() {
            return Ok(());
        }
        let (sum, count) = std::mem::take(&mut self.unlogged);
        let values = [
            ("loss", sum / count as f64),
            ("grad_norm", report.gradient_norm),
            ("learning_rate", report.learning_rate),
        ];
        Ok(logs.train(self.step, self.epoch(), &values)?)
    }

    fn make_step(&mut self) -> Result<StepReport, TrainError> {
        let groups = self.groups()?;
        let pairs: Vec<Vec<PairEncoding>> = groups
            .iter()
            .map(|group| Ok(self.tokenizer.encode(&group.pairs)?))
            .collect::<Result<_, TrainError>>()?;
        let count = |pairs: &[PairEncoding]| pairs.iter().map(|p| p.ids.len()).sum::<usize>();
        let (mut loss, mut start) = (0.0, 0);
        while start < groups.len() {
            let (mut end, mut tokens) = (start, 0);
            while end < groups.len() && tokens < PART_TOKENS {
                tokens += count(&pairs[end]);
                end += 1;
            }
            loss += self.part(&groups[start..end], &pairs[start..end], start, groups.len());
            start = end;
        }
        loss /= groups.len() as f64;
        let norm = gradient_norm(&mut [&mut self.engine]);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(TrainError::Run(format!(
                "step {}: the loss is {loss}, the norm of the gradients {norm}\nhint: lower \
                 learning_rate",
                self.step
            )));
        }
        let learning_rate = self.schedule.learning_rate(self.step);
        let options = UpdateOptions {
            learning_rate,
            engine_rates: Vec::new(),
            weight_decay: self.config.weight_decay,
            undecayed: UNDECAYED,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        let scale = clip_coefficient(norm, self.config.max_grad_norm);
        self.optimizer.update(&mut [&mut self.engine], &options, scale);
        self.step += 1;
        let tokens = pairs.iter().map(|pairs| count(pairs)).sum();
        Ok(StepReport { loss, learning_rate, gradient_norm: norm, tokens })
    }

    /// The groups of the next step.
    fn groups(&self) -> Result<Vec<Group>, TrainError> {
        let (epoch, batch) = (self.step / self.steps_an_epoch, self.step % self.steps_an_epoch);
        let first = batch as usize * self.config.train_batch_size;
        let end = (first + self.config.train_batch_size).min(self.data.len());
        (first..end).map(|position| self.data.group(epoch, position, &self.config)).collect()
    }

    /// Forward and backward of some groups of a step of `all`; the sum of their losses.
    fn part(
        &mut self,
        groups: &[Group],
        pairs: &[Vec<PairEncoding>],
        first: usize,
        all: usize,
    ) -> f64 {
        let refs: Vec<&PairEncoding> = pairs.iter().flatten().collect();
        let key = |group: usize, pair: usize| {
            hash(&[self.config.seed, NOISE, self.step, (first + group) as u64, pair as u64])
        };
        let keys: Vec<u64> = (pairs.iter().enumerate())
            .flat_map(|(group, pairs)| (0..pairs.len()).map(move |pair| (group, pair)))
            .map(|(group, pair)| key(group, pair))
            .collect();
        let logits = self.engine.model.forward(&refs, &keys);
        let (labels, loss) = (self.engine.labels(), self.config.loss);
        let (mut sum, mut by_logits, mut rest) = (0.0, Vec::new(), &logits[..]);
        for (group, pairs) in groups.iter().zip(pairs) {
            let (own, others) = rest.split_at(pairs.len() * labels);
            rest = others;
            let (temperature, share) = (self.config.temperature, 1.0 / all as f64);
            let (value, by) = losses::group(loss, own, &group.targets, temperature, share);
            sum += value;
            by_logits.extend(by);
        }
        self.engine.model.backward(&by_logits);
        sum
    }

    /// Measures where that is due, and writes the model if it is the best so far. Whether it was
    /// not stopped.
    fn measure_if_due(
        &mut self,
        logs: &mut Logs,
        watch: &mut dyn TeacherWatch,
    ) -> Result<bool, TrainError> {
        let every = self.config.evaluation_steps;
        let due = self.step.is_multiple_of(self.steps_an_epoch)
            || every > 0 && self.step.is_multiple_of(every);
        if !due || self.measured == self.step || self.data.rerank_queries() == 0 {
            return Ok(true);
        }
        let batch = self.config.eval_batch_size;
        let mut keep_on = || !watch.stop();
        let metrics = rerank(&self.engine, &self.tokenizer, &self.data, batch, &mut keep_on)?;
        let Some(metrics) = metrics else { return Ok(false) };
        let value = metrics.get(self.config.best_by);
        let best = self.best.is_none_or(|(best, _)| value > best);
        let named = RerankMetric::ALL.map(|m| (format!("eval_{}", m.name()), metrics.get(m)));
        let values: Vec<(&str, f64)> = named.iter().map(|(name, x)| (&**name, *x)).collect();
        logs.eval(self.step, self.epoch(), &values)?;
        self.measured = self.step;
        if best {
            self.best = Some((value, self.step));
            self.save_best()?;
        }
        watch.event(TeacherEvent::Evaluated { step: self.step, metrics, best });
        Ok(true)
    }

    fn stopped(
        &mut self,
        logs: &mut Logs,
        watch: &mut dyn TeacherWatch,
    ) -> Result<TeacherOutcome, TrainError> {
        Ok(TeacherOutcome::Stopped(self.save_checkpoint(logs, watch)?))
    }

    /// Writes a folder of the model as it is.
    fn save_model(&mut self, to: &Path) -> Result<(), TrainError> {
        let sigmoid = self.config.loss == TeacherLoss::Bce;
        Ok(self.engine.model.save(to, self.config.limits.max_token_len, sigmoid)?)
    }

    /// The best model goes into `output_path` itself, where other files are: each file is written
    /// aside, synced to disk and renamed, and of those that are there already only the weights
    /// differ.
    fn save_best(&mut self) -> Result<(), TrainError> {
        let output = self.config.output_path.clone();
        let aside = folder::begin(&output.join("best"))?;
        self.save_model(&aside)?;
        let sync = |path: &Path| {
            File::open(path).and_then(|file| file.sync_all()).map_err(TrainError::io(path))
        };
        for entry in std::fs::read_dir(&aside).map_err(TrainError::io(&aside))? {
            let path = entry.map_err(TrainError::io(&aside))?.path();
            sync(&path)?;
            let to = output.join(path.file_name().unwrap_or_default());
            std::fs::rename(&path, &to).map_err(TrainError::io(&to))?;
        }
        std::fs::remove_dir(&aside).map_err(TrainError::io(&aside))?;
        sync(&output)
    }

    /// Writes which run a folder is of, and where it is in it.
    fn save_state(&self, to: &Path) -> Result<(), TrainError> {
        let state = json!({"run": {
            "version": VERSION,
            "kind": "cross-encoder",
            "step": self.step,
            "measured": self.measured,
            "unlogged": [self.unlogged.0, self.unlogged.1],
            "updates": self.optimizer.step,
            "best": self.best.map(|(best, _)| best),
            "best_step": self.best.map(|(_, step)| step),
            "groups": self.data.len(),
            "data": self.identity["data"],
            "settings": self.identity["settings"],
        }});
        let path = to.join(OURS);
        std::fs::write(&path, format!("{state:#}\n")).map_err(TrainError::io(&path))
    }

    fn save_checkpoint(
        &mut self,
        logs: &mut Logs,
        watch: &mut dyn TeacherWatch,
    ) -> Result<PathBuf, TrainError> {
        logs.flush()?;
        let target = folder::path(&self.config.output_path, self.step);
        let partial = folder::begin(&target)?;
        self.save_model(&partial)?;
        write_moments(&partial.join(OPTIMIZER), &[("teacher", &self.engine)], &self.optimizer)?;
        self.save_state(&partial)?;
        folder::finish(&target)?;
        for (step, earlier) in folder::checkpoints(&self.config.output_path)? {
            if step != self.step {
                folder::delete(&earlier)?;
            }
        }
        watch.event(TeacherEvent::Saved(&target));
        Ok(target)
    }

    fn restore(&mut self, checkpoint: &Path) -> Result<(), TrainError> {
        let bad = |message: String| TrainError::Checkpoint { path: checkpoint.into(), message };
        let path = checkpoint.join(OURS);
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let state: Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let run = &state["run"];
        let number = |name: &str| {
            run[name].as_u64().ok_or_else(|| bad(format!("its light_splade.json has no {name}")))
        };
        if run["kind"] != "cross-encoder" || number("version")? != VERSION {
            return Err(bad("it is no checkpoint of a cross-encoder of this version".into()));
        }
        let differences = differences(run, &self.identity);
        if !differences.is_empty() {
            return Err(bad(format!(
                "it was made with other settings or data, and would not go on as the same \
                 run:\n{}\nhint: give the settings and files of the checkpoint, or another \
                 output_path",
                differences.join("\n")
            )));
        }
        if number("groups")? != self.data.len() as u64 {
            return Err(bad("it was made with other data".into()));
        }
        load(checkpoint, &mut self.engine)?;
        let (kind, updates) = (self.optimizer.kind, number("updates")?);
        let moments = checkpoint.join(OPTIMIZER);
        let engines = &mut [&mut self.engine];
        self.optimizer = read_moments(&moments, &["teacher"], engines, kind, updates)?;
        (self.step, self.measured) = (number("step")?, number("measured")?);
        let unlogged = run["unlogged"][0].as_f64().zip(run["unlogged"][1].as_u64());
        self.unlogged = unlogged.unwrap_or_default();
        self.best = run["best"].as_f64().zip(run["best_step"].as_u64());
        Ok(())
    }
}
