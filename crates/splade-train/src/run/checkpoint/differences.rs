//! Compares the settings of a checkpoint with those of the run that would resume from it.

use serde_json::Value;

/// The settings that do not change the numbers of a step. A run can be made longer or shorter, and
/// its logs, evaluations and checkpoints can change; the schedule then follows the new length.
const FREE: [&str; 32] = [
    "data.validation_doc_master",
    "data.validation_positives",
    "data.validation_query_master",
    "training.bf16",
    "training.disable_tqdm",
    "training.do_eval",
    "training.eval_delay",
    "training.eval_on_start",
    "training.eval_steps",
    "training.eval_strategy",
    "training.final_output_dir",
    "training.fp16",
    "training.greater_is_better",
    "training.ignore_data_skip",
    "training.load_best_model_at_end",
    "training.logging_dir",
    "training.logging_first_step",
    "training.logging_steps",
    "training.logging_strategy",
    "training.max_steps",
    "training.metric_for_best_model",
    "training.num_train_epochs",
    "training.output_dir",
    "training.per_device_eval_batch_size",
    "training.report_to",
    "training.resume_from_checkpoint",
    "training.run_name",
    "training.save_only_model",
    "training.save_steps",
    "training.save_strategy",
    "training.save_total_limit",
    "training.validation_metrics",
];

/// Returns the settings that differ and change the numbers of a step, one line for each.
pub(crate) fn differences(checkpoint: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", checkpoint, now, &mut found);
    found
}

fn compare(path: &str, was: &Value, is: &Value, found: &mut Vec<String>) {
    if FREE.contains(&path) || was == is {
        return;
    }
    match (was, is) {
        (Value::Object(a), Value::Object(b)) => {
            let new = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(new) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, &was[key], &is[key], found);
            }
        }
        // The integer 1 and the float 1.0 are the same number.
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        _ => found.push(format!("  {path} was {was}, is {is}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_decides_numbers_counts() {
        let was = json!({
            "model": { "agg": "max" },
            "training": { "seed": 1, "max_steps": 10, "save_steps": 5, "learning_rate": 1.0 },
        });
        let is = json!({
            "model": { "agg": "sum" },
            "training": { "seed": 1.0, "max_steps": 20, "learning_rate": 0.5, "optim": "sgd" },
        });
        let want = [
            "  model.agg was \"max\", is \"sum\"",
            "  training.learning_rate was 1.0, is 0.5",
            "  training.optim was null, is \"sgd\"",
        ];
        assert_eq!(differences(&was, &is), want);
        assert!(differences(&was, &was).is_empty());
        let mut sorted = FREE;
        sorted.sort_unstable();
        assert_eq!(sorted, FREE);
    }
}
