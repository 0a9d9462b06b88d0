//! The names of the values that a training run logs.

use std::path::Path;

/// Returns the name of a run for MLflow and Weights & Biases: the one that is given, or else that of the folder of its
/// log.
pub(crate) fn run(given: Option<&str>, log: &Path) -> String {
    let outputs = log.parent().and_then(Path::file_name).unwrap_or_default();
    given.map_or_else(|| outputs.to_string_lossy().into_owned(), str::to_owned)
}

/// The names of the values that a training run logs.
///
/// ```
/// use splade_logs::{LogOptions, Logs, Series};
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { json, ..LogOptions::default() })?;
/// let kl = Series::of_loss("kldiv");
/// logs.train(1, 0.5, &[(Series::LOSS, 2.5), (&kl, 2.0), (Series::LEARNING_RATE, 1e-4)])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Where transformers or the Python library log the same value, the name is theirs, so that the
/// curves of both appear in one TensorBoard plot. A name of a `train` or `summary` record becomes
/// the tag `train/<name>`, and a name `eval_<x>` becomes `eval/<x>`.
///
/// - A logging step, in Python's order: [`LOSS`](Self::LOSS), [`GRAD_NORM`](Self::GRAD_NORM), [`LEARNING_RATE`](Self::LEARNING_RATE), the epoch, one
///   [`of_loss`](Self::of_loss) for each loss of the sum, [`FLOPS`](Self::FLOPS) or [`REGULARIZER`](Self::REGULARIZER), [`LAMBDA_Q`](Self::LAMBDA_Q),
///   [`LAMBDA_D`](Self::LAMBDA_D), followed by values that Python does not log.
/// - An evaluation: [`EVAL_LOSS`](Self::EVAL_LOSS), `eval_` with each of `validation_metrics` as spelled in the
///   config (`eval_MRR@10`), then the statistics of the documents' vectors ([`EVAL_STATISTICS`](Self::EVAL_STATISTICS)).
///   Python also logs the two lambdas here, under `train/` tags.
/// - The end of the run: [`SUMMARY`](Self::SUMMARY).
#[derive(Debug)]
pub enum Series {}

impl Series {
    /// The mean loss over the steps since the last logging step.
    pub const LOSS: &str = "loss";
    /// The gradient norm of the last step before clipping.
    pub const GRAD_NORM: &str = "grad_norm";
    /// The learning rate of the last step, since transformers 4.56 reads it before the scheduler's
    /// step.
    pub const LEARNING_RATE: &str = "learning_rate";
    /// The weighted sum of the regularizers in distillation runs, as a mean since the last logging
    /// step. Python uses this name for every regularizer.
    pub const FLOPS: &str = "flops";
    /// The weighted sum of the regularizers in triplet runs, as a mean since the last logging step.
    pub const REGULARIZER: &str = "regularizer";
    /// The strength of the queries' regularizer.
    pub const LAMBDA_Q: &str = "lambda_q";
    /// The strength of the documents' regularizer.
    pub const LAMBDA_D: &str = "lambda_d";

    /// The mean number of terms per query since the last logging step. Python does not log it.
    pub const QUERY_TERMS: &str = "query_terms";
    /// The mean number of terms per document, positive or negative, since the last logging step. Python
    /// does not log it.
    pub const DOC_TERMS: &str = "doc_terms";
    /// The running mean of the number of terms of a query and of a document, without dropout, which a
    /// regularizer with `target_terms` steers. Python does not log it.
    pub const STEERED_TERMS: [&str; 2] = ["query_terms_steered", "doc_terms_steered"];
    /// The number of tokens per second that pass through the encoders. Python does not log it.
    pub const TOKENS_PER_SECOND: &str = "tokens_per_second";

    /// The mean cross-entropy of the masked tokens since the last logging step, for masked language
    /// modelling.
    pub const MASKED_LOSS: &str = "masked_loss";
    /// The fraction of masked tokens whose own id has the largest logit, since the last logging step.
    pub const ACCURACY: &str = "accuracy";
    /// The fraction of masked tokens whose own id has the largest logit, over the held-out texts.
    pub const EVAL_ACCURACY: &str = "eval_accuracy";

    /// The mean loss over the held-out samples.
    pub const EVAL_LOSS: &str = "eval_loss";
    /// The statistics of the vectors of the validation documents.
    pub const EVAL_STATISTICS: [&str; 5] = [
        "eval_avg_nnz",
        "eval_avg_sparsity",
        "eval_num_unique_tokens",
        "eval_num_unique_subtokens",
        "eval_most_popular_appear_in_docs",
    ];

    /// The values at the end of a run: seconds, samples per second, steps per second, floating-point
    /// operations, and mean loss.
    pub const SUMMARY: [&str; 5] = [
        "train_runtime",
        "train_samples_per_second",
        "train_steps_per_second",
        "total_flos",
        "train_loss",
    ];

    /// Returns the name of one loss of a sum, such as `kldiv_loss`, from its name in the config.
    pub fn of_loss(training_loss: &str) -> String {
        format!("{training_loss}_loss")
    }
}

/// Returns TensorBoard's tag of a value, as transformers' `rewrite_logs` does.
pub(super) fn tag(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("eval_") {
        format!("eval/{rest}")
    } else if let Some(rest) = name.strip_prefix("test_") {
        format!("test/{rest}")
    } else {
        format!("train/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_transformers() {
        for (name, expected) in [
            ("loss", "train/loss"),
            ("eval_loss", "eval/loss"),
            ("eval_MRR@10", "eval/MRR@10"),
            ("test_loss", "test/loss"),
            ("train_loss", "train/train_loss"),
            ("evaluation", "train/evaluation"),
        ] {
            assert_eq!(tag(name), expected);
        }
    }
}
