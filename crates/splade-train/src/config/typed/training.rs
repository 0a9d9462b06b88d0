//! Reads `training.*`: transformers' `TrainingArguments` with its defaults and checks, the Python
//! library's fields, and ours.

use std::path::PathBuf;

use serde_json::Value;

use super::super::schema::{
    Compat, IntervalStrategy, Optimizer, ReportTo, ResumeFrom, SchedulerKind, TrainingConfig,
};
use super::fields::{Fields, wrong_type};
use super::{objective, transformers};
use crate::error::TrainError;
use splade_data::DataConfig;

const POSITIVE: &str = "a number of at least 0";
const SHARE: &str = "a number from 0 to 1";
const DECAY: &str = "a number of at least 0 and below 1";

/// `logging_strategy` and `eval_strategy`
pub(super) const STRATEGIES: [(&str, IntervalStrategy); 3] = [
    ("no", IntervalStrategy::No),
    ("steps", IntervalStrategy::Steps),
    ("epoch", IntervalStrategy::Epoch),
];

/// `save_strategy`
pub(super) const SAVE_STRATEGIES: [(&str, IntervalStrategy); 4] = [
    ("no", IntervalStrategy::No),
    ("steps", IntervalStrategy::Steps),
    ("epoch", IntervalStrategy::Epoch),
    ("best", IntervalStrategy::Best),
];

/// `optim`, the name to write first
pub(super) const OPTIMIZERS: [(&str, Optimizer); 5] = [
    ("adamw_torch", Optimizer::AdamW),
    ("adamw_torch_fused", Optimizer::AdamW),
    ("sgd", Optimizer::Sgd),
    ("adagrad", Optimizer::Adagrad),
    ("rmsprop", Optimizer::RmsProp),
];

/// `lr_scheduler_type`, with the names of `lr_scheduler_kwargs` that each one takes.
pub(super) const SCHEDULERS: [(&str, SchedulerKind, &[&str]); 7] = [
    ("linear", SchedulerKind::Linear, &[]),
    ("cosine", SchedulerKind::Cosine, &["num_cycles"]),
    ("cosine_with_restarts", SchedulerKind::CosineWithRestarts, &["num_cycles"]),
    ("polynomial", SchedulerKind::Polynomial, &["lr_end", "power"]),
    ("constant", SchedulerKind::Constant, &[]),
    ("constant_with_warmup", SchedulerKind::ConstantWithWarmup, &[]),
    ("inverse_sqrt", SchedulerKind::InverseSqrt, &["timescale"]),
];

/// `compat`
pub(super) const COMPAT: [&str; 5] =
    ["identical_ids", "long_queries", "zero_scores", "linear_schedule", "frozen_dropout"];

/// What is trained: some settings belong to one of them alone.
#[derive(Clone, Copy)]
pub(super) enum Task<'a> {
    /// SPLADE, on these data.
    Retrieval(&'a DataConfig),
    /// Masked language modelling.
    Masked,
}

impl Default for TrainingConfig {
    /// The settings of a config that gives none: the defaults of transformers and the Python library.
    fn default() -> Self {
        let (data, mut notes) = (DataConfig::default(), Vec::new());
        read(None, Task::Retrieval(&data), &mut notes).expect("defaults are sound: this is a bug")
    }
}

/// Reads `training.*`. Each default of [`TrainingConfig`] is written here and nowhere else.
pub(super) fn read(
    value: Option<&Value>,
    task: Task<'_>,
    notes: &mut Vec<String>,
) -> Result<TrainingConfig, TrainError> {
    let mut fields = Fields::new("training", value)?;
    let f = &mut fields;
    let retrieval = matches!(task, Task::Retrieval(_));
    let (losses, regularizers) = match task {
        Task::Retrieval(data) => (objective::losses(f, data)?, objective::regularizers(f)?),
        Task::Masked => (Vec::new(), objective::regularizer(f)?),
    };
    let save_strategies = if retrieval { &SAVE_STRATEGIES[..] } else { &STRATEGIES };
    let lr_scheduler_type = scheduler(f)?;
    let logging_steps = f.number("logging_steps", 500.0, 0.0.., POSITIVE)?;
    let eval_strategy = f.choice("eval_strategy", IntervalStrategy::No, &STRATEGIES)?;
    let config = TrainingConfig {
        output_dir: f.text("output_dir")?.unwrap_or_else(|| "trainer_output".to_owned()).into(),
        final_output_dir: f.text("final_output_dir")?.map(PathBuf::from),
        logging_dir: f.text("logging_dir")?.map(PathBuf::from),
        losses,
        regularizers,
        validation_metrics: if retrieval { metrics(f)? } else { Vec::new() },
        per_device_train_batch_size: f.count("per_device_train_batch_size", 8, 1)? as usize,
        per_device_eval_batch_size: f.count("per_device_eval_batch_size", 8, 1)? as usize,
        gradient_accumulation_steps: f.count("gradient_accumulation_steps", 1, 1)? as usize,
        max_grad_norm: f.number("max_grad_norm", 1.0, 0.0.., POSITIVE)?,
        num_train_epochs: f.number("num_train_epochs", 3.0, 0.0.., POSITIVE)?,
        max_steps: max_steps(f)?,
        learning_rate: f.number("learning_rate", 5e-5, 0.0.., POSITIVE)?,
        weight_decay: f.number("weight_decay", 0.0, 0.0.., POSITIVE)?,
        adam_beta1: f.number("adam_beta1", 0.9, 0.0..1.0, DECAY)?,
        adam_beta2: f.number("adam_beta2", 0.999, 0.0..1.0, DECAY)?,
        adam_epsilon: f.number("adam_epsilon", 1e-8, 0.0.., POSITIVE)?,
        optim: optimizer(f)?,
        lr_scheduler_type,
        lr_scheduler_kwargs: scheduler_settings(f, lr_scheduler_type)?,
        warmup_steps: f.count("warmup_steps", 0, 0)?,
        warmup_ratio: f.number("warmup_ratio", 0.0, 0.0..=1.0, SHARE)?,
        seed: f.count("seed", 42, 0)?,
        data_seed: f.optional_count("data_seed", 0)?,
        dataloader_drop_last: f.flag("dataloader_drop_last", false)?,
        logging_strategy: f.choice("logging_strategy", IntervalStrategy::Steps, &STRATEGIES)?,
        logging_steps,
        logging_first_step: f.flag("logging_first_step", false)?,
        save_strategy: f.choice("save_strategy", IntervalStrategy::Steps, save_strategies)?,
        save_steps: f.number("save_steps", 500.0, 0.0.., POSITIVE)?,
        save_total_limit: f.optional_count("save_total_limit", 0)?.and_then(|limit| {
            // transformers keeps all with 0
            (limit > 0).then_some(limit as usize)
        }),
        save_only_model: f.flag("save_only_model", false)?,
        // an evaluation strategy evaluates whatever this says
        do_eval: f.flag("do_eval", false)? || eval_strategy != IntervalStrategy::No,
        eval_strategy,
        eval_steps: f.optional_number("eval_steps", 0.0.., POSITIVE)?.filter(|steps| *steps > 0.0),
        eval_delay: f.number("eval_delay", 0.0, 0.0.., POSITIVE)?,
        eval_on_start: f.flag("eval_on_start", false)?,
        load_best_model_at_end: retrieval && f.flag("load_best_model_at_end", false)?,
        metric_for_best_model: if retrieval { f.text("metric_for_best_model")? } else { None },
        greater_is_better: if retrieval { f.optional_flag("greater_is_better")? } else { None },
        resume_from_checkpoint: resume(f)?,
        ignore_data_skip: retrieval && f.flag("ignore_data_skip", false)?,
        report_to: report_to(f)?,
        run_name: f.text("run_name")?,
        disable_tqdm: f.optional_flag("disable_tqdm")?.unwrap_or(false),
        fp16: f.flag("fp16", false)?,
        bf16: f.flag("bf16", false)?,
        gradient_cache_tokens: match retrieval {
            true => f.optional_count("gradient_cache_tokens", 1)?.map(|tokens| tokens as usize),
            false => None,
        },
        compat: if retrieval { compat(f)? } else { Compat::default() },
    };
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

/// `-1` and `0` mean: by epochs.
fn max_steps(f: &mut Fields<'_>) -> Result<Option<u64>, TrainError> {
    let steps =
        f.number("max_steps", -1.0, ..9e15, "a whole number of steps, or -1 for num_train_epochs")?;
    if steps.fract() != 0.0 {
        return Err(f.error("max_steps", format!("expected a whole number, got {steps}")));
    }
    Ok((steps > 0.0).then_some(steps as u64))
}

fn optimizer(f: &mut Fields<'_>) -> Result<Optimizer, TrainError> {
    let name = f.text("optim")?.unwrap_or_else(|| "adamw_torch".to_owned());
    if name == "adamw_hf" {
        return Err(f.error("optim", "`adamw_hf` was removed; hint: write adamw_torch"));
    }
    OPTIMIZERS.iter().find(|(word, _)| *word == name).map(|(_, optimizer)| *optimizer).ok_or_else(
        || {
            let names = OPTIMIZERS.map(|(word, _)| word).join(", ");
            f.error("optim", format!("`{name}` is not implemented; there are {names}"))
        },
    )
}

fn scheduler(f: &mut Fields<'_>) -> Result<SchedulerKind, TrainError> {
    let name = f.text("lr_scheduler_type")?.unwrap_or_else(|| "linear".to_owned());
    SCHEDULERS.iter().find(|(word, ..)| *word == name).map(|(_, kind, _)| *kind).ok_or_else(|| {
        let names = SCHEDULERS.map(|(word, ..)| word).join(", ");
        f.error("lr_scheduler_type", format!("`{name}` is not implemented; there are {names}"))
    })
}

fn scheduler_settings(
    f: &mut Fields<'_>,
    kind: SchedulerKind,
) -> Result<Vec<(String, f64)>, TrainError> {
    let (scheduler, _, names) = SCHEDULERS
        .iter()
        .find(|(_, of, _)| *of == kind)
        .expect("the table has every scheduler: this is a bug");
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
                format!("the scheduler {scheduler} has no such setting; it has {there}"),
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

fn metrics(f: &mut Fields<'_>) -> Result<Vec<String>, TrainError> {
    const KINDS: [&str; 5] = ["mrr", "ndcg", "map", "recall", "precision"];
    let Some(metrics) = f.texts("validation_metrics")? else {
        return Ok(vec!["MRR@10".to_owned(), "recall@10".to_owned()]);
    };
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
                    "`{metric}` is no metric; there are mrr, ndcg, map, recall and precision, \
                     each with a depth: MRR@10"
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

fn report_to(f: &mut Fields<'_>) -> Result<ReportTo, TrainError> {
    let names = f.texts("report_to")?.unwrap_or_else(|| vec!["all".to_owned()]);
    let mut tensorboard = false;
    for name in names {
        match name.as_str() {
            "all" | "tensorboard" => tensorboard = true,
            "none" => {}
            other => {
                return Err(f.error(
                    "report_to",
                    format!("`{other}` is not implemented; there are tensorboard, all and none"),
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
                        "`{other}` is no defect of the Python library that can be repeated; \
                         there are {}, and true for all",
                        COMPAT.join(", ")
                    ),
                ));
            }
        }
    }
    Ok(compat)
}

/// transformers compares by the loss where nothing is said, and by the name whether more is better.
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

/// What `TrainingArguments` checks once all fields are there.
fn check(f: &Fields<'_>, config: &TrainingConfig) -> Result<(), TrainError> {
    use IntervalStrategy::{Best, No, Steps};
    let logging =
        (config.logging_strategy == Steps).then_some(("logging_steps", config.logging_steps));
    let eval_steps = config.eval_steps.unwrap_or(config.logging_steps);
    let eval = (config.eval_strategy == Steps).then_some(("eval_steps", eval_steps));
    let save = (config.save_strategy == Steps).then_some(("save_steps", config.save_steps));
    for (name, steps) in [logging, eval, save].into_iter().flatten() {
        if steps == 0.0 {
            let message = format!("a strategy of steps needs {name} above 0");
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
            "save_strategy: best needs a metric, such as eval_MRR@10",
        ));
    }
    if config.max_steps.is_none() && config.num_train_epochs == 0.0 {
        return Err(f.error("num_train_epochs", "there is nothing to train in 0 epochs"));
    }
    if config.load_best_model_at_end && config.save_strategy != Best {
        let at = "load_best_model_at_end";
        if config.eval_strategy != config.save_strategy {
            return Err(f.error(
                at,
                "it needs save_strategy and eval_strategy to be the same; hint: set both to steps \
                 or epoch",
            ));
        }
        if config.eval_strategy == Steps && !is_multiple(config.save_steps, eval_steps) {
            return Err(f.error(
                at,
                format!(
                    "it needs save_steps to be a multiple of eval_steps, but {} is none of \
                     {eval_steps}",
                    config.save_steps
                ),
            ));
        }
        if config.eval_strategy == No {
            return Err(f.error(at, "nothing is evaluated; hint: eval_strategy: steps"));
        }
    }
    Ok(())
}

/// Both are numbers of steps, or both are shares of all steps.
fn is_multiple(save: f64, eval: f64) -> bool {
    // transformers multiplies shares with a million and compares those; so do we, rounded
    let scale = |x: f64| if x < 1.0 { (x * 1e6).round() } else { x };
    (save < 1.0) == (eval < 1.0) && scale(save) % scale(eval) == 0.0
}
