//! The names of the values that a training run logs.
//!
//! Those of transformers and of the Python library are theirs, so that curves of both lie in one
//! plot of TensorBoard. A name of `train` and `summary` becomes the tag `train/<name>`, a name
//! `eval_<x>` becomes `eval/<x>`.
//!
//! - A logging step, in Python's order: [`LOSS`], [`GRAD_NORM`], [`LEARNING_RATE`], the epoch, one
//!   [`loss_name`] for each loss of the sum, [`FLOPS`] or [`REGULARIZER`], [`LAMBDA_Q`],
//!   [`LAMBDA_D`]; then ours.
//! - An evaluation: [`EVAL_LOSS`], `eval_` with each of `validation_metrics` as it is spelled in
//!   the config (`eval_MRR@10`), then the statistics of the documents' vectors
//!   ([`EVAL_STATISTICS`]); Python also logs the two lambdas here, which are `train/` tags.
//! - The end of the run: [`SUMMARY`].

/// Mean over the steps since the last logging step.
pub const LOSS: &str = "loss";
/// The norm of the last step's gradients before clipping.
pub const GRAD_NORM: &str = "grad_norm";
/// The learning rate of the last step: transformers 4.56 reads it before the scheduler's step.
pub const LEARNING_RATE: &str = "learning_rate";
/// Weighted sum of the regularizers in distillation runs, mean since the last logging step. It is
/// called so in Python whatever the regularizers are.
pub const FLOPS: &str = "flops";
/// The name of [`FLOPS`] in triplet runs.
pub const REGULARIZER: &str = "regularizer";
/// Strength of the queries' regularizer.
pub const LAMBDA_Q: &str = "lambda_q";
/// Strength of the documents' regularizer.
pub const LAMBDA_D: &str = "lambda_d";

/// Ours: mean number of terms of a query since the last logging step.
pub const QUERY_TERMS: &str = "query_terms";
/// Ours: mean number of terms of a document, positive or negative.
pub const DOC_TERMS: &str = "doc_terms";
/// Ours: tokens that went through the encoders, a second.
pub const TOKENS_PER_SECOND: &str = "tokens_per_second";

/// In masked language modelling: the mean cross-entropy of the hidden tokens, and the share of them whose
/// own id has the largest logit, since the last logging step.
pub const MASKED_LOSS: &str = "masked_loss";
/// The share of hidden tokens that were predicted; see [`MASKED_LOSS`].
pub const ACCURACY: &str = "accuracy";
/// [`ACCURACY`] on the texts that are held out.
pub const EVAL_ACCURACY: &str = "eval_accuracy";

/// Mean loss over the samples held out for it.
pub const EVAL_LOSS: &str = "eval_loss";
/// Statistics of the vectors of the validation documents.
pub const EVAL_STATISTICS: [&str; 5] = [
    "eval_avg_nnz",
    "eval_avg_sparsity",
    "eval_num_unique_tokens",
    "eval_num_unique_subtokens",
    "eval_most_popular_appear_in_docs",
];

/// At the end of a run: seconds, samples and steps a second, floating-point operations, mean loss.
pub const SUMMARY: [&str; 5] = [
    "train_runtime",
    "train_samples_per_second",
    "train_steps_per_second",
    "total_flos",
    "train_loss",
];

/// The name of one loss of a sum, such as `kldiv_loss`, from its name in the config.
pub fn loss_name(training_loss: &str) -> String {
    format!("{training_loss}_loss")
}

/// TensorBoard's tag, as transformers' `rewrite_logs` makes it.
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
