//! What is checked before anything takes long.

use std::path::Path;

use crate::config::{Config, IntervalStrategy, TrainingConfig};
use crate::error::TrainError;
use splade_data::{TrainingData, ValidationData};
use splade_logs::names;

use super::checkpoint::checkpoints;
use super::evaluation::{AVG_QUERY_TERMS, metrics};
use super::plan::Plan;

/// Checks that the folders of a run can be written, and that a run that begins anew overwrites
/// no other.
///
/// # Errors
/// If they cannot, or it would.
pub fn check_outputs(training: &TrainingConfig, resumes: bool) -> Result<(), TrainError> {
    let output = &training.output_dir;
    if output.as_os_str().is_empty() {
        return Err(wrong("output_dir", "there is none: name the folder for checkpoints"));
    }
    let found = checkpoints(output)?;
    if let Some((_, last)) = found.last().filter(|_| !resumes) {
        return Err(TrainError::Run(format!(
            "{} has checkpoints of an earlier run, the last is {}\nhint: --resume continues it; \
             for a new run name another training.output_dir or remove them",
            output.display(),
            last.file_name().unwrap_or_default().to_string_lossy()
        )));
    }
    let results = final_folder(training);
    let model = results.join("model");
    if model.exists() && !resumes {
        return Err(TrainError::Run(format!(
            "{} is there already\nhint: for a new run name another training.final_output_dir or \
             remove it",
            model.display()
        )));
    }
    for folder in [output.as_path(), results] {
        super::towers::create(folder)?;
        tempfile::tempfile_in(folder).map_err(TrainError::io(folder))?;
    }
    Ok(())
}

/// Checks that the checkpoints of the steps after `done` fit on the disk. `bytes` is one's size.
pub(super) fn check_space(
    training: &TrainingConfig,
    plan: &Plan,
    done: u64,
    bytes: u64,
    free: Option<u64>,
) -> Result<(), TrainError> {
    let saves = plan.saves_after(training, done);
    let limit = training.save_total_limit.filter(|limit| *limit > 0);
    // One is written before another goes, and the final model is one more.
    let kept = limit.map_or(saves, |limit| saves.min(limit as u64 + 1)) + 1;
    let needed = bytes.saturating_mul(kept);
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    match free.filter(|free| *free < needed) {
        None => Ok(()),
        Some(free) => Err(TrainError::Run(format!(
            "{} has {:.1} GB left, {kept} checkpoints and models of {:.1} GB need {:.1} GB\nhint: \
             give a training.save_total_limit, save more seldom, or choose another output_dir",
            training.output_dir.display(),
            gigabytes(free),
            gigabytes(bytes),
            gigabytes(needed)
        ))),
    }
}

/// Where the final model and the results go.
pub(super) fn final_folder(training: &TrainingConfig) -> &Path {
    training.final_output_dir.as_deref().unwrap_or(&training.output_dir)
}

/// Checks that the evaluations that are asked for can be made, and that checkpoints are there when
/// the best of them is wanted (`TrainingArguments.__post_init__` of transformers 4.56).
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
            "there is nothing to evaluate on: give data.validation_* or data.eval_loss_size, or \
             set it to no",
        ));
    }
    let best = training.save_strategy == IntervalStrategy::Best;
    if training.load_best_model_at_end && !best {
        if training.save_strategy != training.eval_strategy {
            return Err(wrong(
                "load_best_model_at_end",
                "it needs the same save_strategy and eval_strategy, or save_strategy: best",
            ));
        }
        if let (Some(save), Some(eval)) = (plan.save_steps, plan.eval_steps)
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
        known.push(names::EVAL_LOSS.to_owned());
    }
    if validation.is_some() {
        known.extend(metrics(config)?.into_iter().map(|(name, _)| format!("eval_{name}")));
        known.extend(names::EVAL_STATISTICS.map(str::to_owned));
        known.push(AVG_QUERY_TERMS.to_owned());
    }
    match known.contains(&name) {
        true => Ok(()),
        false => Err(wrong(
            "metric_for_best_model",
            &format!("evaluations have no {name}; they have {}", known.join(", ")),
        )),
    }
}

/// The name with `eval_`, and whether greater is better; none where no best model is looked for.
pub(super) fn best_metric(config: &Config) -> Option<(String, bool)> {
    let training = &config.training;
    let loss = || training.load_best_model_at_end.then(|| "loss".to_owned());
    let name = training.metric_for_best_model.clone().or_else(loss)?;
    let greater = training.greater_is_better.unwrap_or(!name.ends_with("loss"));
    let name = if name.starts_with("eval_") { name } else { format!("eval_{name}") };
    Some((name, greater))
}

fn wrong(field: &str, message: &str) -> TrainError {
    TrainError::Config { at: format!("training.{field}"), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::tests::training;

    #[test]
    fn checkpoints_must_fit() {
        let mut training = training();
        training.save_steps = 2.0;
        let plan = Plan::new(&training, 100).expect("a plan");
        let fits =
            |training: &TrainingConfig, free| check_space(training, &plan, 0, 1_000, Some(free));
        // Ten steps: at 2, 4, 6, 8 and 10, one to spare for a last one, and the model.
        assert!(fits(&training, 7_000).is_ok());
        let message = fits(&training, 6_999).expect_err("too few").to_string();
        assert!(message.contains("save_total_limit"), "{message}");
        training.save_total_limit = Some(2);
        assert!(fits(&training, 4_000).is_ok() && fits(&training, 3_999).is_err());
        assert!(check_space(&training, &plan, 0, u64::MAX, None).is_ok());
    }
}
