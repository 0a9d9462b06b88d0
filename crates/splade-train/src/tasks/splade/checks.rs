//! The checks of the evaluations in a SPLADE run.

use splade_data::{TrainingData, ValidationData};
use splade_logs::Series;

use crate::config::{Config, IntervalStrategy, QueryEncoder, Strength};
use crate::error::TrainError;
use crate::run::Plan;
use crate::run::checks::wrong;

use super::evaluation::{AVG_QUERY_TERMS, metrics};

/// Checks that the requested evaluations are possible, and that checkpoints exist if the best one
/// is wanted (`TrainingArguments.__post_init__` of transformers 4.56).
pub(super) fn check_evaluation(
    config: &Config,
    plan: &Plan,
    data: &TrainingData,
    validation: Option<&ValidationData>,
) -> Result<(), TrainError> {
    let training = &config.training;
    let evaluates = training.eval_strategy != IntervalStrategy::No || training.eval_on_start;
    if evaluates && validation.is_none() && data.held_out() == 0 {
        return Err(wrong(
            "eval_strategy",
            "there is nothing to evaluate on: set data.validation_* or data.eval_loss_size, or \
             set it to no",
        ));
    }
    let best = training.save_strategy == IntervalStrategy::Best;
    if training.load_best_model_at_end && !best {
        if training.save_strategy != training.eval_strategy {
            return Err(wrong(
                "load_best_model_at_end",
                "save_strategy must be best or equal to eval_strategy",
            ));
        }
        if let (Some(save), Some(eval)) = (plan.save.every, plan.evaluate.every)
            && !save.is_multiple_of(eval)
        {
            return Err(wrong(
                "load_best_model_at_end",
                &format!("save_steps ({save}) must be a multiple of eval_steps ({eval})"),
            ));
        }
    }
    let wanted = best_metric(config);
    if best && wanted.is_none() {
        return Err(wrong("save_strategy", "best needs metric_for_best_model"));
    }
    let Some((name, _)) = wanted.filter(|_| training.eval_strategy != IntervalStrategy::No) else {
        return Ok(());
    };
    let mut known = Vec::new();
    if data.held_out() > 0 {
        known.push(Series::EVAL_LOSS.to_owned());
    }
    if validation.is_some() {
        known.extend(metrics(config)?.into_iter().map(|(name, _)| format!("eval_{name}")));
        known.extend(Series::EVAL_STATISTICS.map(str::to_owned));
        known.push(AVG_QUERY_TERMS.to_owned());
    }
    match known.contains(&name) {
        true => Ok(()),
        false => Err(wrong(
            "metric_for_best_model",
            &format!("evaluations do not compute {name}; they compute {}", known.join(", ")),
        )),
    }
}

/// Checks that the regularizers with a budget can reach it at all.
pub(super) fn check_budgets(config: &Config, vocab: usize) -> Result<(), TrainError> {
    let table = match &config.model.query_encoder {
        QueryEncoder::Table(table) => Some(table),
        QueryEncoder::Model => None,
    };
    let regularizers = &config.training.regularizers;
    for (name, side, is_frozen) in [
        ("doc", &regularizers.doc, config.model.freeze_d_model),
        ("query", &regularizers.query, table.is_some_and(|table| table.freeze)),
    ] {
        let Some(Strength::Budget { target_terms, .. }) = side.as_ref().map(|side| side.strength)
        else {
            continue;
        };
        let at = format!("regularizers.{name}.target_terms");
        if target_terms > vocab as f64 {
            let rule = format!("{target_terms} is more than the {vocab} terms of the vocabulary");
            return Err(wrong(&at, &rule));
        }
        if is_frozen {
            return Err(wrong(&at, "the encoder is frozen, so no λ changes its number of terms"));
        }
    }
    Ok(())
}

/// Returns the metric's name with `eval_`, and whether greater is better. Returns `None` if no best
/// model is wanted.
pub(super) fn best_metric(config: &Config) -> Option<(String, bool)> {
    let training = &config.training;
    let loss = || training.load_best_model_at_end.then(|| "loss".to_owned());
    let name = training.metric_for_best_model.clone().or_else(loss)?;
    let greater = training.greater_is_better.unwrap_or(!name.ends_with("loss"));
    let name = if name.starts_with("eval_") { name } else { format!("eval_{name}") };
    Some((name, greater))
}
