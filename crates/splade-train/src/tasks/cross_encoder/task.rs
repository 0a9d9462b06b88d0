//! The task of training a cross-encoder.
//!
//! It does what sentence-transformers' `CrossEncoder.fit` does for the Python library: AdamW with a
//! linear warm-up and a linear decay of the learning rate, clipped gradients, evaluations every
//! `evaluation_steps` steps and at the end of each epoch, and the best model in `output_path`. A
//! step takes its groups through the model a few thousand tokens at a time, which changes only the
//! rounding. All random choices follow from the seed and the step, so a checkpoint consists of
//! parameters, moments and the step.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use splade_data::random::hash;
use splade_io::{Event, Observer, Problem};
use splade_logs::{LogOptions, RunInfo, Series};
use splade_model::cross_encoder::PairTokenizer;
use splade_text::PairEncoding;

use crate::config::Optimizer;
use crate::error::TrainError;
use crate::json::pretty;
use crate::optimizer::{OptimizerState, UpdateOptions, clip_coefficient, gradient_norm};
use crate::run::checkpoint::folder::{self, OURS};
use crate::run::checkpoint::moments::load;
use crate::run::checkpoint::record::{Saved, Snapshot};
use crate::run::results::text;
use crate::run::{
    Ending, Evaluation, Interval, Optimized, Plan, Rules, Run, StepReport, Task, TrainerState,
    Values, Window,
};
use crate::schedule::Schedule;

use super::config::{CrossEncoderConfig, CrossEncoderLoss};
use super::data::{CrossEncoderData, Group};
use super::engine::CrossEncoderEngine;
use super::evaluation::rerank;
use super::losses;
use super::metrics::RerankMetric;
use super::outputs::{LOG, check_space, delete_checkpoints, differences, identity};

/// The number of tokens in a part of a step; the last group of a part may exceed it.
const PART_TOKENS: usize = 4096;
/// The number that keeps dropout independent of other random choices.
const NOISE: u64 = 14;
/// The number of steps between two logs.
const LOG_EVERY: u64 = 10;
/// Parts of the names of parameters without weight decay, as in sentence-transformers.
const UNDECAYED: &[&str] = &["bias", "LayerNorm.bias", "LayerNorm.weight"];
/// The version of [`RunRecord`].
const VERSION: u64 = 1;
/// The kind of run in a [`RunRecord`].
const KIND: &str = "cross-encoder";

/// The opened parts of a run.
#[derive(Debug)]
pub(super) struct Parts {
    /// The settings of the run.
    pub(super) config: CrossEncoderConfig,
    /// The pairs or lists for training and evaluation.
    pub(super) data: CrossEncoderData,
    /// The tokenizer of pairs.
    pub(super) tokenizer: PairTokenizer,
    /// The model before the first step.
    pub(super) engine: CrossEncoderEngine,
    /// The checkpoint from which the run resumes.
    pub(super) resume: Option<PathBuf>,
    /// What is trained, for the logs.
    pub(super) info: RunInfo,
}

impl Parts {
    /// Prepares the run, or resumes it.
    ///
    /// # Errors
    /// Returns an error if the parts do not fit together, if the checkpoint belongs to another run,
    /// or if the disk has too little space for the outputs.
    pub(super) fn run(self) -> Result<Run<CrossEncoder>, TrainError> {
        let Self { config, data, tokenizer, engine, resume, info } = self;
        let plan = plan(&config, &data);
        let identity = identity(&config)?;
        let rules = Rules {
            output: config.output_path.clone(),
            keep: Some(1),
            save_optimizer: true,
            best: Some((eval_name(config.best_by), true)),
            info,
            settings: Some(pretty(&identity["settings"])),
            logs: LogOptions {
                json: config.output_path.join(LOG),
                tensorboard: Some(config.output_path.join("runs")),
                ..LogOptions::default()
            },
            ..Rules::default()
        };
        let task = CrossEncoder {
            identity,
            schedule: Schedule::linear(config.learning_rate, config.warmup_steps, plan.total),
            optimizer: OptimizerState::new(Optimizer::AdamW),
            resumed: resume.is_some(),
            step: 0,
            config,
            data,
            tokenizer,
            engine,
        };
        Run::new(task, plan, rules, TrainerState::default(), resume.as_deref())
    }
}

/// Returns the plan of the Python library: logs every ten steps, evaluations also at the end of
/// each epoch, and no checkpoint after the last step, because the last model is written then.
fn plan(config: &CrossEncoderConfig, data: &CrossEncoderData) -> Plan {
    let samples = data.len();
    let batches = samples.div_ceil(config.train_batch_size);
    let every = |steps: u64| (steps > 0).then_some(steps);
    let evaluate = match data.rerank_queries() {
        0 => Interval::default(),
        _ => {
            let every = every(config.evaluation_steps);
            Interval { every, epochs: true, ..Interval::default() }
        }
    };
    let save =
        Interval { last: Some(false), every: every(config.save_steps), ..Interval::default() };
    Plan {
        samples,
        batch: config.train_batch_size,
        batches,
        accumulation: 1,
        epoch_steps: batches as u64,
        total: batches as u64 * config.num_epochs,
        epochs: config.num_epochs,
        log: Interval { every: Some(LOG_EVERY), last: Some(true), ..Interval::default() },
        evaluate,
        save,
        offset: 0,
    }
}

fn eval_name(metric: RerankMetric) -> String {
    format!("eval_{}", metric.name())
}

/// The task of training a model to score pairs.
#[derive(Debug)]
pub(super) struct CrossEncoder {
    config: CrossEncoderConfig,
    data: CrossEncoderData,
    tokenizer: PairTokenizer,
    engine: CrossEncoderEngine,
    /// The fingerprint of the run, which its checkpoints and its last model record.
    identity: Value,
    optimizer: OptimizerState,
    schedule: Schedule,
    /// Whether this process resumed from a checkpoint.
    resumed: bool,
    step: u64,
}

/// The value of `run` in `light_splade.json`.
#[derive(Debug, Serialize, Deserialize)]
struct RunRecord {
    version: u64,
    kind: String,
    step: u64,
    /// The step after which the model was last evaluated.
    measured: u64,
    /// The sum and the number of the losses that are not logged yet.
    #[serde(default)]
    unlogged: (f64, u64),
    /// The number of updates that the optimizer has made.
    updates: u64,
    /// The best value of the metric so far.
    best: Option<f64>,
    /// The step after which the best value was measured.
    best_step: Option<u64>,
    /// The number of groups in an epoch.
    groups: u64,
    /// The sizes and modification times of the data files; null in checkpoints of early versions.
    #[serde(default)]
    data: Value,
    settings: Value,
}

impl CrossEncoder {
    /// Computes the forward and backward pass of some groups of a step, and returns the sum of
    /// their losses. `first` is the position of the first of them in the step, and `all` the number
    /// of groups in the step.
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

    /// Returns the record of the run and of its position as JSON.
    fn record(&self, snapshot: &Snapshot<'_>) -> String {
        let run = RunRecord {
            version: VERSION,
            kind: KIND.to_owned(),
            step: snapshot.step,
            measured: snapshot.measured,
            unlogged: snapshot.window.losses(),
            updates: snapshot.updates,
            best: snapshot.state.best_metric,
            best_step: snapshot.state.best_global_step,
            groups: self.data.len() as u64,
            data: self.identity["data"].clone(),
            settings: self.identity["settings"].clone(),
        };
        format!("{:#}\n", serde_json::json!({ "run": run }))
    }
}

impl Task for CrossEncoder {
    /// The groups of one batch.
    type Batch = Vec<Group>;

    fn check_space(
        &mut self,
        _plan: &Plan,
        _done: u64,
        free: Option<u64>,
    ) -> Result<(), TrainError> {
        check_space(&self.config, self.engine.numbers(), self.resumed, free)
    }

    fn read_records(&self, folder: &Path, state: &mut TrainerState) -> Result<Saved, TrainError> {
        let bad = |problem: Problem| TrainError::checkpoint(folder, problem);
        let path = folder.join(OURS);
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let mut value: Value =
            serde_json::from_str(&text).map_err(|error| bad(error.to_string().into()))?;
        let run = value["run"].take();
        let version = run["version"].as_u64();
        if run["kind"] != KIND || version.is_some_and(|version| version != VERSION) {
            return Err(bad(
                "it is not a checkpoint of a cross-encoder in the format of this version".into(),
            ));
        }
        let run: RunRecord =
            serde_json::from_value(run).map_err(|error| bad(format!("run: {error}").into()))?;
        let was = serde_json::json!({ "data": run.data, "settings": run.settings });
        let differences = differences(&was, &self.identity);
        if !differences.is_empty() {
            let what = format!(
                "it was made with other settings or data and cannot be resumed with these:\n{}",
                differences.join("\n")
            );
            let remedy = "use the settings and files of the checkpoint, or another output_path";
            return Err(bad(Problem::new(what).with_remedy(remedy)));
        }
        if run.groups != self.data.len() as u64 {
            return Err(bad(Problem::new("it was made with other data")
                .with_remedy("use the files of the checkpoint")));
        }
        (state.global_step, state.epoch) = (run.step, 0.0);
        (state.best_metric, state.best_global_step) = (run.best, run.best_step);
        Ok(Saved {
            step: run.step,
            measured: run.measured,
            updates: run.updates,
            window: Window::of_losses(run.unlogged),
            ..Saved::default()
        })
    }

    fn load_model(&mut self, folder: &Path) -> Result<(), TrainError> {
        load(folder, &mut self.engine)
    }

    fn go_on(&mut self, steps: u64, _objective: &Value) -> Result<(), TrainError> {
        self.step = steps;
        Ok(())
    }

    fn batches(&mut self, plan: &Plan) -> Result<Vec<Vec<Group>>, TrainError> {
        let batches = plan.batches_of(self.step).into_iter().map(|planned| {
            let group = |position| self.data.group(planned.epoch, position, &self.config);
            planned.samples.clone().map(group).collect()
        });
        batches.collect()
    }

    fn step(&mut self, batches: &[Vec<Group>]) -> Result<StepReport, TrainError> {
        let groups = &batches[0];
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
            let (what, value) = match loss.is_finite() {
                true => ("the norm of the gradients", norm),
                false => ("the loss", loss),
            };
            return Err(TrainError::NotFinite { step: self.step, what, value, last: None });
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
        Ok(StepReport {
            step: self.step - 1,
            loss,
            learning_rate,
            gradient_norm: norm,
            tokens: pairs.iter().map(|pairs| count(pairs)).sum(),
            ..StepReport::default()
        })
    }

    fn steps(&self) -> u64 {
        self.step
    }

    /// A single division keeps the last bit the same as in earlier logs.
    fn epoch(&self, plan: &Plan, done: u64) -> f64 {
        done as f64 / plan.epoch_steps as f64
    }

    fn logged(&self, window: &mut Window) -> Values {
        let mut values = window.take(Series::REGULARIZER, (0.0, 0.0));
        let logged = [Series::LOSS, Series::GRAD_NORM, Series::LEARNING_RATE];
        values.retain(|(name, _)| logged.contains(&name.as_str()));
        values
    }

    fn evaluate(&self, stop: &mut dyn FnMut() -> bool) -> Result<Option<Evaluation>, TrainError> {
        let batch = self.config.eval_batch_size;
        let metrics = rerank(&self.engine, &self.tokenizer, &self.data, batch, stop)?;
        Ok(metrics.map(|metrics| {
            let values =
                RerankMetric::NAMES.map(|(_, metric)| (eval_name(metric), metrics.get(metric)));
            Evaluation { values: values.to_vec(), expansions: None }
        }))
    }

    /// Writes the best model directly into `output_path`, which also holds other files. Each file
    /// is written under a temporary name, synced to disk and renamed. After the first time, only
    /// the weights differ.
    fn keep_best(&mut self) -> Result<(), TrainError> {
        let output = self.config.output_path.clone();
        let temporary = folder::begin(&output.join("best"))?;
        let aside = temporary.path();
        self.save_model(aside)?;
        let sync = |path: &Path| {
            File::open(path).and_then(|file| file.sync_all()).map_err(TrainError::io(path))
        };
        for entry in std::fs::read_dir(aside).map_err(TrainError::io(aside))? {
            let path = entry.map_err(TrainError::io(aside))?.path();
            sync(&path)?;
            let to = output.join(path.file_name().unwrap_or_default());
            std::fs::rename(&path, &to).map_err(TrainError::io(&to))?;
        }
        sync(&output)
    }

    fn save_model(&mut self, folder: &Path) -> Result<(), TrainError> {
        let sigmoid = self.config.loss == CrossEncoderLoss::Bce;
        Ok(self.engine.model.save(folder, self.config.pairs.max_token_len, sigmoid)?)
    }

    fn optimized(&mut self) -> Optimized<'_> {
        Optimized {
            names: vec!["teacher"],
            engines: vec![&mut self.engine],
            optimizer: &mut self.optimizer,
        }
    }

    fn records(&self, snapshot: &Snapshot<'_>) -> Vec<(&'static str, String)> {
        vec![(OURS, self.record(snapshot))]
    }

    /// Writes the last model, which marks the end of the run: everything else is on disk before it,
    /// and the checkpoints are deleted after it.
    fn finish(
        &mut self,
        ending: &Ending<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if ending.results.best.is_none() {
            self.keep_best()?;
        }
        // A bare file name needs a parent folder, too.
        let last = Path::new(".").join(&self.config.final_output_path);
        let partial = folder::begin(&last)?;
        self.save_model(partial.path())?;
        text(&partial.path().join(OURS), &self.record(ending.snapshot))?;
        folder::finish_model(partial)?;
        observer.event(Event::Saved(&self.config.final_output_path));
        delete_checkpoints(&self.config.output_path)
    }
}
