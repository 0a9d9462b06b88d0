//! Reads and writes the settings under `training.*`: transformers' `TrainingArguments` with its
//! defaults and checks, the fields of the Python library, and the settings that only light-splade
//! has.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::schema::{
    Compat, IntervalStrategy, Optimizer, ReportTo, ResumeFrom, SchedulerKind, TrainingConfig,
};
use super::fields::{Fields, wrong_type};
use super::names::Names;
use super::words::word;
use super::{objective, transformers};
use crate::error::TrainError;
use crate::json::number;
use splade_data::DataConfig;

const POSITIVE: &str = "a number of at least 0";
const SHARE: &str = "a number from 0 to 1";
const DECAY: &str = "a number of at least 0 and below 1";

/// The words of `logging_strategy` and `eval_strategy`.
const STRATEGIES: [(&str, IntervalStrategy); 3] = [
    ("no", IntervalStrategy::No),
    ("steps", IntervalStrategy::Steps),
    ("epoch", IntervalStrategy::Epoch),
];

/// The words of `save_strategy`.
const SAVE_STRATEGIES: [(&str, IntervalStrategy); 4] = [
    ("no", IntervalStrategy::No),
    ("steps", IntervalStrategy::Steps),
    ("epoch", IntervalStrategy::Epoch),
    ("best", IntervalStrategy::Best),
];

/// The words of `optim`. Of two words for one optimizer, the first is written.
const OPTIMIZERS: [(&str, Optimizer); 5] = [
    ("adamw_torch", Optimizer::AdamW),
    ("adamw_torch_fused", Optimizer::AdamW),
    ("sgd", Optimizer::Sgd),
    ("adagrad", Optimizer::Adagrad),
    ("rmsprop", Optimizer::RmsProp),
];

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

/// The names in `compat`, in the order in which they are written.
const COMPAT: [&str; 5] =
    ["identical_ids", "long_queries", "zero_scores", "linear_schedule", "frozen_dropout"];

/// The kind of training; some settings belong to only one kind.
#[derive(Clone, Copy)]
pub(super) enum Task<'a> {
    /// SPLADE training, with its data settings.
    Retrieval(&'a DataConfig),
    /// Masked language modelling; it has no queries and no validation set.
    Masked,
}

/// How a setting of `training` is read and written. Its type and meaning are documented in
/// [`TrainingConfig`], and its default is in `TrainingConfig::default`.
struct Setting {
    name: &'static str,
    scope: Scope,
    /// Replaces the value if the config contains the setting.
    read: fn(&mut Fields<'_>, Task<'_>, &mut TrainingConfig) -> Result<(), TrainError>,
    write: fn(&TrainingConfig) -> Value,
}

/// The kinds of training that have a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Retrieval,
    Masked,
}

impl Scope {
    fn has(self, task: Task<'_>) -> bool {
        self == Self::All || self == task.scope()
    }
}

impl Task<'_> {
    fn scope(self) -> Scope {
        match self {
            Task::Retrieval(_) => Scope::Retrieval,
            Task::Masked => Scope::Masked,
        }
    }
}

/// Returns the names of the settings that one kind of training has, with those of transformers.
pub(super) fn names(scope: Scope) -> Names {
    let has = |setting: &&Setting| setting.scope == Scope::All || setting.scope == scope;
    let own = SETTINGS.iter().filter(has).map(|setting| setting.name);
    let names = Names::of(own.chain(transformers::names()));
    match scope {
        Scope::Masked => names.with("regularizer", objective::regularizer_names()),
        _ => names
            .with("loss_weights", objective::loss_names())
            .with("temperatures", objective::loss_names())
            .with("regularizers", objective::regularizers_names()),
    }
}

/// Declares a setting with the same name as its field: `of(fields, name, default)` reads it, and
/// `to(value)` writes it.
macro_rules! setting {
    ($scope:ident $name:ident, $of:expr, $to:expr) => {
        Setting {
            name: stringify!($name),
            scope: Scope::$scope,
            read: |f, _, t| {
                t.$name = $of(f, stringify!($name), t.$name.clone())?;
                Ok(())
            },
            write: |t| $to(&t.$name),
        }
    };
}

macro_rules! count {
    ($name:ident, $least:expr) => {
        setting!(
            All $name,
            |f: &mut Fields<'_>, name, default| f
                .count(name, default as u64, $least)
                .map(|n| n as _),
            |value| json!(value)
        )
    };
}

macro_rules! decimal {
    ($name:ident, $range:expr, $expected:expr) => {
        setting!(
            All $name,
            |f: &mut Fields<'_>, name, default| f.number(name, default, $range, $expected),
            |value| json!(value)
        )
    };
}

/// Declares a setting that is a number of steps, or a share of all steps.
macro_rules! steps {
    ($name:ident) => {
        setting!(
            All $name,
            |f: &mut Fields<'_>, name, default| f.number(name, default, 0.0.., POSITIVE),
            |value: &f64| number(*value)
        )
    };
}

macro_rules! flag {
    ($scope:ident $name:ident) => {
        setting!($scope $name, Fields::flag, |value| json!(value))
    };
}

macro_rules! choice {
    ($name:ident, $table:expr) => {
        setting!(
            All $name,
            |f: &mut Fields<'_>, name, default| f.choice(name, default, $table),
            |value| json!(word(&SAVE_STRATEGIES, value))
        )
    };
}

macro_rules! path {
    ($name:ident) => {
        setting!(
            All $name,
            |f: &mut Fields<'_>, name, _: Option<PathBuf>| f
                .text(name)
                .map(|path| path.map(PathBuf::from)),
            |value| json!(value)
        )
    };
}

/// Declares a setting with its own read function, which returns `None` to keep the default.
macro_rules! own {
    ($scope:ident $name:ident, $of:expr, $to:expr) => {
        setting!($scope $name, |f: &mut Fields<'_>, _, _| $of(f), $to)
    };
}

/// All settings of `training`, in the order in which they are written.
const SETTINGS: &[Setting] = &[
    setting!(
        All output_dir,
        |f: &mut Fields<'_>, name, default| f
            .text(name)
            .map(|path| path.map_or(default, PathBuf::from)),
        |value| json!(value)
    ),
    path!(final_output_dir),
    path!(logging_dir),
    // The three settings of the losses are read together and written one by one.
    Setting {
        name: "training_loss",
        scope: Scope::Retrieval,
        read: |f, task, t| {
            if let Task::Retrieval(data) = task {
                t.losses = objective::losses(f, data)?;
            }
            Ok(())
        },
        write: |t| json!(objective::names(&t.losses)),
    },
    Setting {
        name: "loss_weights",
        scope: Scope::Retrieval,
        read: |_, _, _| Ok(()),
        write: |t| objective::weights(&t.losses),
    },
    Setting {
        name: "temperatures",
        scope: Scope::Retrieval,
        read: |_, _, _| Ok(()),
        write: |t| objective::temperatures(&t.losses),
    },
    own!(Retrieval regularizers, objective::regularizers, objective::write_regularizers),
    setting!(Retrieval validation_metrics, metrics, |value| json!(value)),
    count!(per_device_train_batch_size, 1),
    count!(per_device_eval_batch_size, 1),
    count!(gradient_accumulation_steps, 1),
    decimal!(max_grad_norm, 0.0.., POSITIVE),
    decimal!(num_train_epochs, 0.0.., POSITIVE),
    own!(All max_steps, max_steps, |steps: &Option<u64>| {
        steps.map_or(json!(-1), |steps| json!(steps))
    }),
    decimal!(learning_rate, 0.0.., POSITIVE),
    decimal!(weight_decay, 0.0.., POSITIVE),
    decimal!(adam_beta1, 0.0..1.0, DECAY),
    decimal!(adam_beta2, 0.0..1.0, DECAY),
    decimal!(adam_epsilon, 0.0.., POSITIVE),
    setting!(All optim, optimizer, |value| json!(word(&OPTIMIZERS, value))),
    setting!(All lr_scheduler_type, scheduler, |kind: &SchedulerKind| json!(scheduler_name(*kind))),
    Setting {
        name: "lr_scheduler_kwargs",
        scope: Scope::All,
        read: |f, _, t| {
            t.lr_scheduler_kwargs = scheduler_settings(f, t.lr_scheduler_type)?;
            Ok(())
        },
        write: |t| {
            let pairs = t.lr_scheduler_kwargs.iter();
            Value::Object(pairs.map(|(name, value)| (name.clone(), number(*value))).collect())
        },
    },
    Setting {
        name: "warmup_steps",
        scope: Scope::All,
        // As in transformers 5, a value below 1 is a share of all steps.
        read: |f, _, t| {
            let expected = "a whole number of steps, or a share of all steps below 1";
            let steps = f.number("warmup_steps", t.warmup_steps as f64, 0.0..9e15, expected)?;
            match steps < 1.0 {
                true if steps > 0.0 => t.warmup_ratio = steps,
                true => t.warmup_steps = 0,
                false if steps.fract() == 0.0 => t.warmup_steps = steps as u64,
                false => {
                    let message = format!("expected {expected}, got {steps}");
                    return Err(f.error("warmup_steps", message));
                }
            }
            Ok(())
        },
        write: |t| json!(t.warmup_steps),
    },
    decimal!(warmup_ratio, 0.0..=1.0, SHARE),
    count!(seed, 0),
    own!(All data_seed, |f: &mut Fields<'_>| f.optional_count("data_seed", 0), |value| json!(value)),
    flag!(All dataloader_drop_last),
    own!(
        Retrieval gradient_cache_tokens,
        |f: &mut Fields<'_>| f
            .optional_count("gradient_cache_tokens", 1)
            .map(|tokens| tokens.map(|tokens| tokens as usize)),
        |value| json!(value)
    ),
    own!(Retrieval compat, compat, |value| json!(compat_names(value))),
    choice!(logging_strategy, &STRATEGIES),
    steps!(logging_steps),
    flag!(All logging_first_step),
    Setting {
        name: "save_strategy",
        scope: Scope::All,
        read: |f, task, t| {
            let words = match task {
                Task::Retrieval(_) => &SAVE_STRATEGIES[..],
                Task::Masked => &STRATEGIES,
            };
            t.save_strategy = f.choice("save_strategy", t.save_strategy, words)?;
            Ok(())
        },
        write: |t| json!(word(&SAVE_STRATEGIES, &t.save_strategy)),
    },
    steps!(save_steps),
    own!(
        All save_total_limit,
        // transformers keeps all checkpoints if the limit is 0.
        |f: &mut Fields<'_>| f.optional_count("save_total_limit", 0).map(|limit| limit
            .filter(|limit| *limit > 0)
            .map(|limit| limit as usize)),
        |value| json!(value)
    ),
    flag!(All save_only_model),
    Setting {
        name: "do_eval",
        scope: Scope::All,
        // An evaluation strategy other than `no` turns evaluation on, whatever `do_eval` says.
        read: |f, _, t| {
            let wanted = f.flag("do_eval", t.do_eval)?;
            t.do_eval = wanted || t.eval_strategy != IntervalStrategy::No;
            Ok(())
        },
        write: |t| json!(t.do_eval),
    },
    choice!(eval_strategy, &STRATEGIES),
    own!(
        All eval_steps,
        |f: &mut Fields<'_>| f
            .optional_number("eval_steps", 0.0.., POSITIVE)
            .map(|steps| steps.filter(|steps| *steps > 0.0)),
        |value: &Option<f64>| json!(value.map(number))
    ),
    steps!(eval_delay),
    flag!(All eval_on_start),
    flag!(Retrieval load_best_model_at_end),
    own!(
        Retrieval metric_for_best_model,
        |f: &mut Fields<'_>| f.text("metric_for_best_model"),
        |value| json!(value)
    ),
    own!(
        Retrieval greater_is_better,
        |f: &mut Fields<'_>| f.optional_flag("greater_is_better"),
        |value| json!(value)
    ),
    own!(All resume_from_checkpoint, resume, |value: &Option<ResumeFrom>| match value {
        None => Value::Null,
        Some(ResumeFrom::Last) => json!(true),
        Some(ResumeFrom::Folder(path)) => json!(path),
    }),
    flag!(Retrieval ignore_data_skip),
    setting!(All report_to, report_to, |value: &ReportTo| {
        json!(if value.tensorboard { vec!["tensorboard"] } else { vec![] })
    }),
    own!(All run_name, |f: &mut Fields<'_>| f.text("run_name"), |value| json!(value)),
    setting!(
        All disable_tqdm,
        |f: &mut Fields<'_>, name, default| f
            .optional_flag(name)
            .map(|flag| flag.unwrap_or(default)),
        |value| json!(value)
    ),
    flag!(All fp16),
    flag!(All bf16),
    Setting {
        name: "regularizer",
        scope: Scope::Masked,
        read: |f, _, t| {
            t.regularizers = objective::regularizer(f)?;
            Ok(())
        },
        write: |t| t.regularizers.doc.as_ref().map_or(Value::Null, objective::write_regularizer),
    },
];

/// The settings that are read first, because others depend on them.
const FIRST: [&str; 6] = [
    "training_loss",
    "regularizers",
    "regularizer",
    "lr_scheduler_type",
    "logging_steps",
    "eval_strategy",
];
/// The settings that are read last.
const LAST: [&str; 3] = ["warmup_steps", "gradient_cache_tokens", "compat"];

/// Returns all settings in the order in which they are read; errors are reported in this order,
/// too.
fn in_reading_order() -> impl Iterator<Item = &'static Setting> {
    let named = |name: &'static str| SETTINGS.iter().filter(move |setting| setting.name == name);
    let rest = |setting: &&Setting| !FIRST.contains(&setting.name) && !LAST.contains(&setting.name);
    let first = FIRST.into_iter().flat_map(named);
    first.chain(SETTINGS.iter().filter(rest)).chain(LAST.into_iter().flat_map(named))
}

/// Reads the value of `training` for one kind of training.
pub(super) fn read(
    value: Option<&Value>,
    task: Task<'_>,
    notes: &mut Vec<String>,
) -> Result<TrainingConfig, TrainError> {
    let mut fields = Fields::new("training", value)?;
    let mut config = TrainingConfig::default();
    if matches!(task, Task::Masked) {
        (config.losses, config.validation_metrics) = (Vec::new(), Vec::new());
    }
    for setting in in_reading_order().filter(|setting| setting.scope.has(task)) {
        (setting.read)(&mut fields, task, &mut config)?;
    }
    let config = with_best_metric(config);
    check(&fields, &config)?;
    if config.fp16 || config.bf16 {
        let name = if config.fp16 { "fp16" } else { "bf16" };
        notes.push(transformers::precision_note(name));
    }
    transformers::read(&mut fields, notes)?;
    fields.finish()?;
    Ok(config)
}

/// Returns the value of `training` for one kind of training.
pub(super) fn write(config: &TrainingConfig, task: Task<'_>) -> Value {
    let settings = SETTINGS.iter().filter(|setting| setting.scope.has(task));
    let pairs = settings.map(|setting| (setting.name.to_owned(), (setting.write)(config)));
    Value::Object(pairs.collect())
}

/// Reads `max_steps`; `-1` and `0` mean that the number of epochs decides.
fn max_steps(f: &mut Fields<'_>) -> Result<Option<u64>, TrainError> {
    let steps =
        f.number("max_steps", -1.0, ..9e15, "a whole number of steps, or -1 for num_train_epochs")?;
    if steps.fract() != 0.0 {
        return Err(f.error("max_steps", format!("expected a whole number, got {steps}")));
    }
    Ok((steps > 0.0).then_some(steps as u64))
}

fn optimizer(
    f: &mut Fields<'_>,
    at: &'static str,
    default: Optimizer,
) -> Result<Optimizer, TrainError> {
    let Some(name) = f.text(at)? else { return Ok(default) };
    if name == "adamw_hf" {
        return Err(
            f.error("optim", "`adamw_hf` was removed from transformers; hint: use adamw_torch")
        );
    }
    OPTIMIZERS.iter().find(|(word, _)| *word == name).map(|(_, optimizer)| *optimizer).ok_or_else(
        || {
            let names = OPTIMIZERS.map(|(word, _)| word).join(", ");
            f.error("optim", format!("`{name}` is not implemented; use one of {names}"))
        },
    )
}

fn scheduler_name(kind: SchedulerKind) -> &'static str {
    SCHEDULERS
        .iter()
        .find(|(_, of, _)| *of == kind)
        .map(|(word, ..)| *word)
        .expect("the table lacks a scheduler: this is a bug")
}

fn scheduler(
    f: &mut Fields<'_>,
    at: &'static str,
    default: SchedulerKind,
) -> Result<SchedulerKind, TrainError> {
    let Some(name) = f.text(at)? else { return Ok(default) };
    SCHEDULERS.iter().find(|(word, ..)| *word == name).map(|(_, kind, _)| *kind).ok_or_else(|| {
        let names = SCHEDULERS.map(|(word, ..)| word).join(", ");
        f.error("lr_scheduler_type", format!("`{name}` is not implemented; use one of {names}"))
    })
}

fn scheduler_settings(
    f: &mut Fields<'_>,
    kind: SchedulerKind,
) -> Result<Vec<(String, f64)>, TrainError> {
    let (scheduler, _, names) = SCHEDULERS
        .iter()
        .find(|(_, of, _)| *of == kind)
        .expect("the table lacks a scheduler: this is a bug");
    let settings = f.fields("lr_scheduler_kwargs")?;
    let mut list = Vec::new();
    for (name, value) in settings.names() {
        if value.is_null() {
            continue;
        }
        if !names.contains(&name) {
            let there = match names {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            return Err(settings.error(
                name,
                format!(
                    "the scheduler {scheduler} does not have this setting; its settings: {there}"
                ),
            ));
        }
        let number = value
            .as_f64()
            .filter(|n| n.is_finite())
            .ok_or_else(|| wrong_type(&settings.path(name), value, "a number"))?;
        list.push((name.to_owned(), number));
    }
    Ok(list)
}

fn metrics(
    f: &mut Fields<'_>,
    at: &'static str,
    default: Vec<String>,
) -> Result<Vec<String>, TrainError> {
    const KINDS: [&str; 5] = ["mrr", "ndcg", "map", "recall", "precision"];
    let Some(metrics) = f.texts(at)? else { return Ok(default) };
    if metrics.is_empty() {
        return Err(f.error("validation_metrics", "At least one metric must be provided!"));
    }
    for metric in &metrics {
        let fits = metric.split_once('@').is_some_and(|(kind, depth)| {
            KINDS.contains(&kind.to_ascii_lowercase().as_str())
                && depth.parse::<u32>().is_ok_and(|depth| depth > 0)
        });
        if !fits {
            return Err(f.error(
                "validation_metrics",
                format!(
                    "unknown metric `{metric}`; use mrr, ndcg, map, recall or precision with a \
                     cut-off, such as MRR@10"
                ),
            ));
        }
    }
    Ok(metrics)
}

fn resume(f: &mut Fields<'_>) -> Result<Option<ResumeFrom>, TrainError> {
    Ok(match f.value("resume_from_checkpoint") {
        None | Some(Value::Bool(false)) => None,
        Some(Value::Bool(true)) => Some(ResumeFrom::Last),
        Some(Value::String(path)) if !path.is_empty() => {
            Some(ResumeFrom::Folder(PathBuf::from(path)))
        }
        Some(other) => {
            let at = f.path("resume_from_checkpoint");
            return Err(wrong_type(&at, other, "true, false or the folder of a checkpoint"));
        }
    })
}

fn report_to(
    f: &mut Fields<'_>,
    at: &'static str,
    default: ReportTo,
) -> Result<ReportTo, TrainError> {
    // YAML reads `no` without quotes as false.
    if let Some(Value::Bool(false)) = f.value(at) {
        return Ok(ReportTo { tensorboard: false });
    }
    let Some(names) = f.texts(at)? else { return Ok(default) };
    let mut tensorboard = false;
    for name in names {
        match name.as_str() {
            "all" | "tensorboard" => tensorboard = true,
            "none" | "no" => {}
            other => {
                return Err(f.error(
                    "report_to",
                    format!("`{other}` is not implemented; use tensorboard, all or none"),
                ));
            }
        }
    }
    Ok(ReportTo { tensorboard })
}

fn compat(f: &mut Fields<'_>) -> Result<Compat, TrainError> {
    if let Some(Value::Bool(all)) = f.value("compat") {
        return Ok(Compat {
            identical_ids: *all,
            long_queries: *all,
            zero_scores: *all,
            linear_schedule: *all,
            frozen_dropout: *all,
        });
    }
    let mut compat = Compat::default();
    for name in f.texts("compat")?.unwrap_or_default() {
        match name.as_str() {
            "identical_ids" => compat.identical_ids = true,
            "long_queries" => compat.long_queries = true,
            "zero_scores" => compat.zero_scores = true,
            "linear_schedule" => compat.linear_schedule = true,
            "frozen_dropout" => compat.frozen_dropout = true,
            other => {
                return Err(f.error(
                    "compat",
                    format!(
                        "`{other}` is not a known defect of the Python library; use {}, or true \
                         for all",
                        COMPAT.join(", ")
                    ),
                ));
            }
        }
    }
    Ok(compat)
}

/// Returns the names of the defects that the run repeats.
fn compat_names(c: &Compat) -> Vec<&'static str> {
    let Compat { identical_ids, long_queries, zero_scores, linear_schedule, frozen_dropout } = *c;
    let on = [identical_ids, long_queries, zero_scores, linear_schedule, frozen_dropout];
    COMPAT.iter().zip(on).filter(|(_, on)| *on).map(|(name, _)| *name).collect()
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
fn check(f: &Fields<'_>, config: &TrainingConfig) -> Result<(), TrainError> {
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
        return Err(f.error(
            "metric_for_best_model",
            "save_strategy: best needs a metric; hint: set one, such as eval_MRR@10",
        ));
    }
    if config.max_steps.is_none() && config.num_train_epochs == 0.0 {
        return Err(f.error("num_train_epochs", "must be above 0 if max_steps is not set"));
    }
    if config.load_best_model_at_end && config.save_strategy != Best {
        let at = "load_best_model_at_end";
        if config.eval_strategy != config.save_strategy {
            return Err(f.error(
                at,
                "save_strategy and eval_strategy must be equal for this setting; hint: set both to \
                 steps or epoch",
            ));
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
            return Err(
                f.error(at, "the model is never evaluated; hint: set eval_strategy to steps")
            );
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
