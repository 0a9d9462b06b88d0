//! The settings under `training.*`: transformers' `TrainingArguments` (4.56) with its defaults and
//! checks, the fields of the Python library, and the settings that only light-splade has.

use std::path::PathBuf;

use hydra_compose::settings;
use hydra_compose::settings::{
    Fields, Names, SettingError, Settings, choice, count, flag, number, optional, own, text, texts,
};
use serde_json::{Value, json};
use splade_nn::Isa;

use super::objective::{LossConfig, Losses, Regularizers, RegularizersOf};
use super::scope::{MASKED, RETRIEVAL};
use super::transformers;
use crate::error::TrainError;
use crate::json;

const POSITIVE: &str = "a number of at least 0";
const SHARE: &str = "a number from 0 to 1";
const DECAY: &str = "a number of at least 0 and below 1";

settings! {
    /// The settings under `training.*`. The documentation of a field says "light-splade only" if
    /// neither transformers nor the Python library has the setting.
    pub struct TrainingConfig {
        /// The folder for checkpoints and logs.
        pub output_dir: PathBuf = text().or("trainer_output".into());
        /// The folder for the final model and the results. `None` uses `output_dir`.
        pub final_output_dir: Option<PathBuf> = optional(text());
        /// The folder for TensorBoard event files. `None` uses `output_dir/runs/...`, as
        /// transformers does.
        pub logging_dir: Option<PathBuf> = optional(text());
        /// The losses. `kldiv` and `margin_mse` need teacher scores. The Python library takes only
        /// one loss: one of the first two for triplets, one of the last two for scores.
        pub losses as "training_loss" in RETRIEVAL: Vec<LossConfig> = Losses;
        /// The regularizers of queries and documents (`regularizers.*`); in masked language
        /// modelling, that of the texts (`regularizer`, in `doc`).
        pub regularizers: Regularizers = RegularizersOf;
        /// The metrics of an evaluation: `mrr`, `ndcg`, `map`, `recall` and `precision`, each with a
        /// cut-off, such as `MRR@10`.
        pub validation_metrics in RETRIEVAL: Vec<String> = own(metrics, |value| json!(value));

        /// The number of samples in a batch. A batch has (1 + 1 + negatives) times as many texts.
        pub per_device_train_batch_size: usize = count(1).or(8);
        /// The number of samples in a batch of an evaluation.
        pub per_device_eval_batch_size: usize = count(1).or(8);
        /// The number of batches in a step, whose gradients are accumulated.
        pub gradient_accumulation_steps: usize = count(1).or(1);
        /// The norm at which the gradients of all parameters together are clipped; 0 turns clipping
        /// off.
        pub max_grad_norm: f64 = number(0.0.., POSITIVE).or(1.0);
        /// The number of epochs of a run without `max_steps`; it may be a fraction.
        pub num_train_epochs: f64 = number(0.0.., POSITIVE).or(3.0);
        /// The number of steps of the run. With -1 or 0, `num_train_epochs` decides.
        pub max_steps: Option<u64> = own(max_steps, |steps| steps.map_or(json!(-1), Value::from));
        /// The highest learning rate of the schedule.
        pub learning_rate: f64 = number(0.0.., POSITIVE).or(5e-5);
        /// The weight decay. It applies to all parameters, as in the Python library.
        pub weight_decay: f64 = number(0.0.., POSITIVE).or(0.0);
        /// The decay rate of Adam's running mean of gradients (β1).
        pub adam_beta1: f64 = number(0.0..1.0, DECAY).or(0.9);
        /// The decay rate of Adam's running mean of squared gradients (β2).
        pub adam_beta2: f64 = number(0.0..1.0, DECAY).or(0.999);
        /// The number that Adam adds to the denominator for numerical stability (ε).
        pub adam_epsilon: f64 = number(0.0.., POSITIVE).or(1e-8);
        /// The optimizer: `adamw_torch`, `adamw_torch_fused`, `sgd`, `adagrad` or `rmsprop`.
        pub optim: Optimizer = own(optimizer, |value| json!(value.name()));
        /// The form of the learning-rate schedule after the warm-up: `linear`, `cosine`,
        /// `cosine_with_restarts`, `polynomial`, `constant`, `constant_with_warmup` or
        /// `inverse_sqrt`.
        pub lr_scheduler_type: SchedulerKind = own(scheduler, |kind| json!(kind.name()));
        /// The settings of the scheduler: `num_cycles` for the cosines, `lr_end` and `power` for
        /// `polynomial`, `timescale` for `inverse_sqrt`.
        pub lr_scheduler_kwargs: Vec<(String, f64)> = own(scheduler_settings, |settings| {
            let pairs = settings.iter();
            Value::Object(pairs.map(|(name, value)| (name.clone(), json::number(*value))).collect())
        });
        /// The number of warm-up steps. A value above 0 overrides `warmup_ratio`; as in transformers
        /// 5, a value below 1 is a share of all steps, and is read as `warmup_ratio`.
        pub warmup_steps: u64 = own(
            |fields, _| Ok(warmup_steps(fields)?.trunc() as u64),
            |steps| json!(steps),
        );
        /// The share of all steps that belongs to the warm-up, from 0 to 1.
        pub warmup_ratio: f64 = own(
            |fields, name| {
                let ratio = fields.read(name, &number(0.0..=1.0, SHARE).or(0.0))?;
                let steps = warmup_steps(fields)?;
                Ok(if steps > 0.0 && steps < 1.0 { steps } else { ratio })
            },
            |ratio| json!(ratio),
        );
        /// The seed of all random choices.
        pub seed: u64 = count(0).or(42);
        /// The seed of the sampling. `None` uses `seed`.
        pub data_seed: Option<u64> = optional(count(0));
        /// Whether an incomplete last batch of an epoch is dropped.
        pub dataloader_drop_last: bool = flag().or(false);
        /// The maximum number of tokens whose activations are held at once (light-splade only). A
        /// larger batch goes through the encoder twice (GradCache, arXiv 2101.06983). `None` holds
        /// the whole batch.
        pub gradient_cache_tokens in RETRIEVAL: Option<usize> = optional(count(1));
        /// The defects of the Python library that the run repeats (light-splade only); `true`
        /// stands for all of them.
        pub compat in RETRIEVAL: Compat = own(compat, |compat| json!(compat.names()));

        /// When losses are logged: never, every `logging_steps` steps or after each epoch.
        pub logging_strategy: IntervalStrategy =
            choice(STRATEGIES).or(IntervalStrategy::Steps);
        /// The number of steps between two log records; a value below 1 is a share of all steps.
        pub logging_steps: f64 = number(0.0.., POSITIVE).plain().or(500.0);
        /// Whether the first step is logged as well.
        pub logging_first_step: bool = flag().or(false);
        /// When checkpoints are written: `no`, `steps`, `epoch`, or `best`, which is after each
        /// evaluation whose metric is the best so far.
        pub save_strategy: IntervalStrategy = own(save_strategy, |value| json!(value.name()));
        /// The number of steps between two checkpoints, in the same form as `logging_steps`.
        pub save_steps: f64 = number(0.0.., POSITIVE).plain().or(500.0);
        /// The maximum number of checkpoints to keep. `None` keeps all, and so does 0, as in
        /// transformers.
        pub save_total_limit: Option<usize> = own(
            |fields, name| {
                let limit: Option<usize> = fields.read(name, &optional(count(0)))?;
                Ok(limit.filter(|limit| *limit > 0))
            },
            |value| json!(value),
        );
        /// Whether checkpoints omit the optimizer's state. Such checkpoints cannot be resumed.
        pub save_only_model: bool = flag().or(false);
        /// Whether the final model is evaluated. An evaluation strategy other than `no` turns this
        /// on.
        pub do_eval: bool = flag().or(false);
        /// When the model is evaluated.
        pub eval_strategy: IntervalStrategy = choice(STRATEGIES).or(IntervalStrategy::No);
        /// The number of steps between two evaluations, in the same form as `logging_steps`. `None`
        /// uses `logging_steps`, and so does 0.
        pub eval_steps: Option<f64> = own(
            |fields, name| {
                let steps: Option<f64> = fields.read(name, &optional(number(0.0.., POSITIVE)))?;
                Ok(steps.filter(|steps| *steps > 0.0))
            },
            |value| value.map_or(Value::Null, json::number),
        );
        /// The number of steps or epochs before the first evaluation.
        pub eval_delay: f64 = number(0.0.., POSITIVE).plain().or(0.0);
        /// Whether the model is also evaluated before the first step.
        pub eval_on_start: bool = flag().or(false);
        /// Whether the final model is the best checkpoint and not the last one.
        pub load_best_model_at_end in RETRIEVAL: bool = flag().or(false);
        /// The metric that selects the best model, such as `eval_MRR@10` or `loss`.
        pub metric_for_best_model in RETRIEVAL: Option<String> = optional(text());
        /// Whether a greater value of the metric is better. `None` decides by the metric's name.
        pub greater_is_better in RETRIEVAL: Option<bool> = optional(flag());
        /// The checkpoint from which the run resumes: a folder, or `true` for the last one in
        /// `output_dir`.
        pub resume_from_checkpoint: Option<ResumeFrom> = own(resume, |value| match value {
            None => Value::Null,
            Some(ResumeFrom::Last) => json!(true),
            Some(ResumeFrom::Folder(path)) => json!(path),
        });
        /// Whether a resumed run restarts its epoch from the beginning.
        pub ignore_data_skip in RETRIEVAL: bool = flag().or(false);
        /// The destinations of the logs besides `log.jsonl`: `tensorboard`, `mlflow`, `wandb`, `all` (TensorBoard
        /// alone) or `none`.
        pub report_to: ReportTo = own(report_to, |value| {
            let named = [
                (value.tensorboard, "tensorboard"),
                (value.mlflow.is_some(), "mlflow"),
                (value.wandb.is_some(), "wandb"),
            ];
            named.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect()
        });
        /// The name of the run in the logs.
        pub run_name: Option<String> = optional(text());
        /// Whether the progress bar is hidden.
        pub disable_tqdm: bool = own(
            |fields, name| {
                let hidden: Option<bool> = fields.read(name, &optional(flag()))?;
                Ok(hidden.unwrap_or(false))
            },
            |value| json!(value),
        );
        /// Requests 16-bit floats (fp16). The run computes in 32 bits and prints a note about it.
        pub fp16: bool = flag().or(false);
        /// Rounds the operands of matrix products to bfloat16 where the CPU has AMX, which makes a step about twice as
        /// fast. Weights, gradients and sums stay in 32 bits. Elsewhere the run computes in 32 bits and prints a note.
        pub bf16: bool = flag().or(false);
    }
}

/// The optimizers (`optim`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimizer {
    /// `adamw_torch` or `adamw_torch_fused`: Adam with decoupled weight decay.
    AdamW,
    /// `sgd`: stochastic gradient descent without momentum.
    Sgd,
    /// `adagrad`: Adagrad.
    Adagrad,
    /// `rmsprop`: RMSprop.
    RmsProp,
}

/// The words of `optim`. Of two words for one optimizer, the first is written.
const OPTIMIZERS: [(&str, Optimizer); 5] = [
    ("adamw_torch", Optimizer::AdamW),
    ("adamw_torch_fused", Optimizer::AdamW),
    ("sgd", Optimizer::Sgd),
    ("adagrad", Optimizer::Adagrad),
    ("rmsprop", Optimizer::RmsProp),
];

impl Optimizer {
    fn name(self) -> &'static str {
        let word = OPTIMIZERS.iter().find(|(_, of)| *of == self).map(|(word, _)| *word);
        word.expect("the table lacks an optimizer: this is a bug")
    }
}

/// The forms of the learning-rate schedule (`lr_scheduler_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerKind {
    /// `linear`: falls in a line to 0 at the last step.
    Linear,
    /// `cosine`: falls along a cosine.
    Cosine,
    /// `cosine_with_restarts`: falls along a cosine that starts again `num_cycles` times.
    CosineWithRestarts,
    /// `polynomial`: falls to `lr_end` with the power `power`.
    Polynomial,
    /// `constant`: stays the same and has no warm-up.
    Constant,
    /// `constant_with_warmup`: stays the same after the warm-up.
    ConstantWithWarmup,
    /// `inverse_sqrt`: falls with the inverse square root of the step.
    InverseSqrt,
}

/// The words of `lr_scheduler_type`, each with the names of `lr_scheduler_kwargs` that it accepts.
const SCHEDULERS: [(&str, SchedulerKind, &[&str]); 7] = [
    ("linear", SchedulerKind::Linear, &[]),
    ("cosine", SchedulerKind::Cosine, &["num_cycles"]),
    ("cosine_with_restarts", SchedulerKind::CosineWithRestarts, &["num_cycles"]),
    ("polynomial", SchedulerKind::Polynomial, &["lr_end", "power"]),
    ("constant", SchedulerKind::Constant, &[]),
    ("constant_with_warmup", SchedulerKind::ConstantWithWarmup, &[]),
    ("inverse_sqrt", SchedulerKind::InverseSqrt, &["timescale"]),
];

impl SchedulerKind {
    fn entry(self) -> &'static (&'static str, Self, &'static [&'static str]) {
        let entry = SCHEDULERS.iter().find(|(_, of, _)| *of == self);
        entry.expect("the table lacks a scheduler: this is a bug")
    }

    fn name(self) -> &'static str {
        self.entry().0
    }
}

/// When an action is due (`logging_strategy`, `save_strategy`, `eval_strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalStrategy {
    /// `no`: never.
    No,
    /// `steps`: every so many steps.
    Steps,
    /// `epoch`: at the end of each epoch.
    Epoch,
    /// `best`, in `save_strategy` only: after each evaluation whose metric is the best so far.
    Best,
}

/// The words of `save_strategy`; the other strategies have all but the last.
const SAVE_STRATEGIES: &[(&str, IntervalStrategy)] = &[
    ("no", IntervalStrategy::No),
    ("steps", IntervalStrategy::Steps),
    ("epoch", IntervalStrategy::Epoch),
    ("best", IntervalStrategy::Best),
];

const STRATEGIES: &[(&str, IntervalStrategy)] = SAVE_STRATEGIES.split_at(3).0;

impl IntervalStrategy {
    fn name(self) -> &'static str {
        let word = SAVE_STRATEGIES.iter().find(|(_, of)| *of == self).map(|(word, _)| *word);
        word.expect("the table lacks a strategy: this is a bug")
    }
}

/// The destinations of the logs (`report_to`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTo {
    /// Whether TensorBoard event files are written. The JSON-lines log is always written.
    pub tensorboard: bool,
    /// The file store of MLflow into which the run is written: the folder in `MLFLOW_TRACKING_URI`,
    /// or else `mlruns`.
    pub mlflow: Option<PathBuf>,
    /// The folder into which an offline run of Weights & Biases is written: `wandb` in the folder of
    /// `WANDB_DIR`, or else in the working directory.
    pub wandb: Option<PathBuf>,
}

/// The checkpoint from which a run resumes (`resume_from_checkpoint`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeFrom {
    /// `true`: the last checkpoint in `output_dir`.
    Last,
    /// The checkpoint in this folder.
    Folder(PathBuf),
}

/// The defects of the Python library that are repeated on request: `compat: true` for all, or a
/// list of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compat {
    /// `identical_ids`: a document with the same id as the query does not count in metrics.
    pub identical_ids: bool,
    /// `long_queries`: queries of an evaluation are truncated at the model's limit, not at
    /// `max_length`.
    pub long_queries: bool,
    /// `zero_scores`: documents that share no term with the query are ranked as well.
    pub zero_scores: bool,
    /// `linear_schedule`: `optim`, `lr_scheduler_type` and `warmup_ratio` are ignored.
    pub linear_schedule: bool,
    /// `frozen_dropout`: a frozen document encoder has dropout.
    pub frozen_dropout: bool,
}

impl Compat {
    /// Returns every defect by name, in the order in which they are written.
    fn by_name(&mut self) -> [(&'static str, &mut bool); 5] {
        [
            ("identical_ids", &mut self.identical_ids),
            ("long_queries", &mut self.long_queries),
            ("zero_scores", &mut self.zero_scores),
            ("linear_schedule", &mut self.linear_schedule),
            ("frozen_dropout", &mut self.frozen_dropout),
        ]
    }

    /// Returns the names of the defects that the run repeats.
    fn names(mut self) -> Vec<&'static str> {
        self.by_name().into_iter().filter(|(_, on)| **on).map(|(name, _)| name).collect()
    }
}

impl TrainingConfig {
    /// Reads the settings of `training` for the scope of the fields, and adds a note for each
    /// setting that has no effect.
    pub(super) fn from_fields(
        mut fields: Fields<'_>,
        notes: &mut Vec<String>,
    ) -> Result<Self, TrainError> {
        let mut config = Self::read(&mut fields)?;
        if fields.scope() == MASKED {
            (config.losses, config.validation_metrics) = (Vec::new(), Vec::new());
        }
        config.do_eval |= config.eval_strategy != IntervalStrategy::No;
        let config = with_best_metric(config);
        check(&fields, &config)?;
        if config.fp16 {
            notes.push(transformers::precision_note("fp16"));
        } else if config.bf16 && Isa::bf16().is_none() {
            notes.push(
                "training.bf16: this CPU has no products of bfloat16 (AMX), so this run computes in 32 bits"
                    .to_owned(),
            );
        }
        fields.pass_over(transformers::old_names("training"));
        transformers::read(&mut fields, notes)?;
        fields.finish()?;
        Ok(config)
    }

    /// Returns the instruction set of the run, which rounds the operands of products to bfloat16 if `bf16` is set and
    /// the CPU can.
    pub(crate) fn kernels(&self) -> Isa {
        let bf16 = if self.bf16 { Isa::bf16() } else { None };
        bf16.unwrap_or_else(Isa::detect)
    }
}

/// Returns the names of the settings of a scope, with those of transformers.
pub(super) fn names(scope: &'static str) -> Names {
    TrainingConfig::names(scope).with_names(transformers::names())
}

/// Reads `warmup_steps`: a whole number of steps, or a share of all steps.
fn warmup_steps(f: &mut Fields<'_>) -> Result<f64, SettingError> {
    let expected = "a whole number of steps, or a share of all steps below 1";
    let steps = f.read("warmup_steps", &number(0.0..9e15, expected).or(0.0))?;
    if steps > 1.0 && steps.fract() != 0.0 {
        return Err(f.error("warmup_steps", format!("expected {expected}, got {steps}")));
    }
    Ok(steps)
}

/// Reads `max_steps`; `-1` and `0` mean that the number of epochs decides.
fn max_steps(f: &mut Fields<'_>, name: &'static str) -> Result<Option<u64>, SettingError> {
    let expected = "a whole number of steps, or -1 for num_train_epochs";
    let steps = f.read(name, &number(..9e15, expected).or(-1.0))?;
    if steps.fract() != 0.0 {
        return Err(f.error(name, format!("expected a whole number, got {steps}")));
    }
    Ok((steps > 0.0).then_some(steps as u64))
}

fn optimizer(f: &mut Fields<'_>, name: &'static str) -> Result<Optimizer, SettingError> {
    let word: String = f.read(name, &text().or(Optimizer::AdamW.name().to_owned()))?;
    if let Some((_, optimizer)) = OPTIMIZERS.iter().find(|(known, _)| *known == word) {
        return Ok(*optimizer);
    }
    if word == "adamw_hf" {
        return Err(f
            .error(name, "`adamw_hf` is not implemented: it was removed from transformers")
            .with_remedy("use adamw_torch"));
    }
    let names = OPTIMIZERS.map(|(word, _)| word).join(", ");
    Err(f
        .error(name, format!("`{word}` is not implemented"))
        .with_remedy(format!("use one of {names}")))
}

fn scheduler(f: &mut Fields<'_>, name: &'static str) -> Result<SchedulerKind, SettingError> {
    let word: String = f.read(name, &text().or(SchedulerKind::Linear.name().to_owned()))?;
    let known = SCHEDULERS.iter().find(|(known, ..)| *known == word);
    known.map(|(_, kind, _)| *kind).ok_or_else(|| {
        let names = SCHEDULERS.map(|(word, ..)| word).join(", ");
        f.error(name, format!("`{word}` is not implemented"))
            .with_remedy(format!("use one of {names}"))
    })
}

fn scheduler_settings(
    f: &mut Fields<'_>,
    at: &'static str,
) -> Result<Vec<(String, f64)>, SettingError> {
    let (scheduler, _, known) = scheduler(f, "lr_scheduler_type")?.entry();
    let settings = f.fields(at)?;
    let mut list = Vec::new();
    for (name, value) in settings.entries().filter(|(_, value)| !value.is_null()) {
        if !known.contains(&name) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let rule = format!(
                "the scheduler {scheduler} does not have this setting; its settings: {known}"
            );
            return Err(settings.error(name, rule));
        }
        let number = value.as_f64().filter(|n| n.is_finite());
        let number = number.ok_or_else(|| settings.wrong_type(name, value, "a number"))?;
        list.push((name.to_owned(), number));
    }
    Ok(list)
}

fn metrics(f: &mut Fields<'_>, name: &'static str) -> Result<Vec<String>, SettingError> {
    const KINDS: [&str; 5] = ["mrr", "ndcg", "map", "recall", "precision"];
    let default = vec!["MRR@10".to_owned(), "recall@10".to_owned()];
    let metrics = f.read(name, &texts().or(default))?;
    if metrics.is_empty() {
        return Err(f.error(name, "At least one metric must be provided!"));
    }
    for metric in &metrics {
        let fits = metric.split_once('@').is_some_and(|(kind, depth)| {
            KINDS.contains(&kind.to_ascii_lowercase().as_str())
                && depth.parse::<u32>().is_ok_and(|depth| depth > 0)
        });
        if !fits {
            return Err(f.error(name, format!("unknown metric `{metric}`")).with_remedy(
                "use mrr, ndcg, map, recall or precision with a cut-off, such as MRR@10",
            ));
        }
    }
    Ok(metrics)
}

/// Reads `save_strategy`; only SPLADE training has a metric by which a model is the best.
fn save_strategy(f: &mut Fields<'_>, name: &'static str) -> Result<IntervalStrategy, SettingError> {
    let words = if f.scope() == MASKED { STRATEGIES } else { SAVE_STRATEGIES };
    f.read(name, &choice(words).or(IntervalStrategy::Steps))
}

fn resume(f: &mut Fields<'_>, name: &'static str) -> Result<Option<ResumeFrom>, SettingError> {
    match f.value(name) {
        None | Some(Value::Bool(false)) => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(ResumeFrom::Last)),
        Some(Value::String(path)) if !path.is_empty() => {
            Ok(Some(ResumeFrom::Folder(PathBuf::from(path))))
        }
        Some(other) => Err(f.wrong_type(name, other, "true, false or the folder of a checkpoint")),
    }
}

/// Returns the folder of a tracking URI of MLflow; `None` for servers and databases.
fn mlflow_store(uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix("file://").or_else(|| uri.strip_prefix("file:")).unwrap_or(uri);
    match path {
        "" => Some("mlruns".into()),
        path => (!path.contains("://")).then(|| path.into()),
    }
}

fn report_to(f: &mut Fields<'_>, at: &'static str) -> Result<ReportTo, SettingError> {
    // YAML reads `no` without quotes as false.
    if let Some(Value::Bool(false)) = f.value(at) {
        return Ok(ReportTo { tensorboard: false, mlflow: None, wandb: None });
    }
    let names: Vec<String> = f.read(at, &texts().or(vec!["tensorboard".to_owned()]))?;
    let mut to = ReportTo { tensorboard: false, mlflow: None, wandb: None };
    for name in names {
        match name.as_str() {
            // transformers' `all` is what is installed; runs of MLflow and of Weights & Biases are not made unasked.
            "all" | "tensorboard" => to.tensorboard = true,
            "mlflow" => {
                let uri = std::env::var("MLFLOW_TRACKING_URI").unwrap_or_default();
                to.mlflow = Some(mlflow_store(&uri).ok_or_else(|| {
                    f.error(at, format!("runs of mlflow are written into a folder, not to {uri}"))
                        .with_remedy(
                            "set MLFLOW_TRACKING_URI to a folder such as mlruns, and move the run with \
                             mlflow migrate-filestore",
                        )
                })?);
            }
            "wandb" => {
                to.wandb = Some(
                    PathBuf::from(std::env::var_os("WANDB_DIR").unwrap_or_default()).join("wandb"),
                );
            }
            "none" | "no" => {}
            other => {
                return Err(f
                    .error(at, format!("`{other}` is not implemented"))
                    .with_remedy("use tensorboard, mlflow, wandb, all or none"));
            }
        }
    }
    Ok(to)
}

fn compat(f: &mut Fields<'_>, at: &'static str) -> Result<Compat, SettingError> {
    let mut compat = Compat::default();
    if let Some(Value::Bool(all)) = f.value(at) {
        compat.by_name().into_iter().for_each(|(_, on)| *on = *all);
        return Ok(compat);
    }
    for name in f.read::<Vec<String>>(at, &texts().or(Vec::new()))? {
        match compat.by_name().into_iter().find(|(known, _)| *known == name) {
            Some((_, on)) => *on = true,
            None => {
                let known = Compat::default().by_name().map(|(name, _)| name).join(", ");
                return Err(f
                    .error(at, format!("`{name}` is not a known defect of the Python library"))
                    .with_remedy(format!("use {known}, or true for all")));
            }
        }
    }
    Ok(compat)
}

/// Fills in the defaults of transformers: the loss as the metric, and the direction of the metric
/// by its name.
fn with_best_metric(mut config: TrainingConfig) -> TrainingConfig {
    if config.load_best_model_at_end && config.metric_for_best_model.is_none() {
        config.metric_for_best_model = Some("loss".to_owned());
    }
    if config.greater_is_better.is_none() {
        config.greater_is_better =
            config.metric_for_best_model.as_deref().map(|metric| !metric.ends_with("loss"));
    }
    config
}

/// Makes the checks that `TrainingArguments` makes after all fields are read.
fn check(f: &Fields<'_>, config: &TrainingConfig) -> Result<(), SettingError> {
    use IntervalStrategy::{Best, No, Steps};
    let logging =
        (config.logging_strategy == Steps).then_some(("logging_steps", config.logging_steps));
    let eval_steps = config.eval_steps.unwrap_or(config.logging_steps);
    let eval = (config.eval_strategy == Steps).then_some(("eval_steps", eval_steps));
    let save = (config.save_strategy == Steps).then_some(("save_steps", config.save_steps));
    for (name, steps) in [logging, eval, save].into_iter().flatten() {
        if steps == 0.0 {
            let message = format!("the strategy `steps` needs {name} above 0");
            return Err(f.error(name, message));
        }
        if steps > 1.0 && steps.fract() != 0.0 {
            let message = format!("{name} must be a whole number if it is above 1, got {steps}");
            return Err(f.error(name, message));
        }
    }
    if config.fp16 && config.bf16 {
        return Err(f.error("fp16", "At most one of fp16 and bf16 can be True, but not both"));
    }
    if config.save_strategy == Best && config.metric_for_best_model.is_none() {
        return Err(f
            .error("metric_for_best_model", "save_strategy: best needs a metric")
            .with_remedy("set one, such as eval_MRR@10"));
    }
    if config.max_steps.is_none() && config.num_train_epochs == 0.0 {
        return Err(f.error("num_train_epochs", "must be above 0 if max_steps is not set"));
    }
    if config.load_best_model_at_end && config.save_strategy != Best {
        let at = "load_best_model_at_end";
        if config.eval_strategy != config.save_strategy {
            let rule = "save_strategy and eval_strategy must be equal for this setting";
            return Err(f.error(at, rule).with_remedy("set both to steps or epoch"));
        }
        if config.eval_strategy == Steps && !is_multiple(config.save_steps, eval_steps) {
            return Err(f.error(
                at,
                format!(
                    "save_steps must be a multiple of eval_steps for this setting, but {} is not a \
                     multiple of {eval_steps}",
                    config.save_steps
                ),
            ));
        }
        if config.eval_strategy == No {
            return Err(f
                .error(at, "the model is never evaluated")
                .with_remedy("set eval_strategy to steps"));
        }
    }
    Ok(())
}

/// Returns whether `save` is a multiple of `eval`; both are numbers of steps, or both are shares of
/// all steps.
fn is_multiple(save: f64, eval: f64) -> bool {
    // transformers multiplies shares by a million before it compares them. The same is done here,
    // with rounding.
    let scale = |x: f64| if x < 1.0 { (x * 1e6).round() } else { x };
    (save < 1.0) == (eval < 1.0) && scale(save) % scale(eval) == 0.0
}
