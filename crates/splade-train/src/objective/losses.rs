//! The losses as functions of the scores: values and derivatives.
//!
//! | loss | value for a query with scores `s`, the positive's first, and teacher scores `t` |
//! |---|---|
//! | `in_batch_negatives` | `-log softmax(s / τ)[0]` over its own documents and all other positives (SPLADE v2, arXiv 2109.10086, section 3.1) |
//! | `pairwise_contrastive` | the same over its own documents only |
//! | `kldiv` | `Σ p_t (log p_t - log p_s)` with `p_t = softmax(t / τ)`, `p_s = softmax(s / τ)` (arXiv 2010.11386) |
//! | `margin_mse` | mean over all pairs `a < b` of its own documents of `((s_a - s_b) - (t_a - t_b))²` (arXiv 2010.02666) |
//!
//! A loss is the mean over the queries. `kldiv` is not multiplied by `τ²`, unlike in
//! sentence-transformers; `loss_weights` can do that. With one negative and `τ = 1`, all losses
//! equal those of the Python library.

use std::collections::HashSet;

use hydra_compose::settings::SettingError;
use splade_io::Problem;

use super::batch::BatchVectors;
use super::scores::Scores;
use crate::config::{LossConfig, LossKind};
use crate::error::TrainError;

/// Returns the name by which the Python library logs a loss.
pub(super) fn name(kind: LossKind) -> &'static str {
    match kind {
        LossKind::InBatchNegatives => "in_batch_negatives_loss",
        LossKind::PairwiseContrastive => "pairwise_contrastive_loss",
        LossKind::KlDiv => "kldiv_loss",
        LossKind::MarginMse => "margin_mse_loss",
    }
}

/// Returns the name of a loss in configs.
fn field(kind: LossKind) -> &'static str {
    name(kind).strip_suffix("_loss").expect("a name does not end in _loss: this is a bug")
}

/// Returns whether a loss uses the positives of other queries.
pub(super) fn across(losses: &[LossConfig]) -> bool {
    losses.iter().any(|loss| loss.kind == LossKind::InBatchNegatives)
}

/// Checks the list of losses.
///
/// # Errors
/// Returns an error if the list is empty, if a loss occurs twice, or if a number is out of its
/// range.
pub(super) fn check(losses: &[LossConfig]) -> Result<(), TrainError> {
    let fail = |at: String, rule: String| Err(SettingError::new(at, rule).into());
    let at = "training.training_loss";
    if losses.is_empty() {
        return fail(at.into(), "at least one loss is required".into());
    }
    let mut seen = HashSet::new();
    for config in losses {
        let field = field(config.kind);
        if !seen.insert(field) {
            return fail(at.into(), format!("`{field}` is given twice"));
        }
        if !config.weight.is_finite() {
            let at = format!("training.loss_weights.{field}");
            return fail(at, format!("{} is not a finite number", config.weight));
        }
        if !(config.temperature.is_finite() && config.temperature > 0.0) {
            let at = format!("training.temperatures.{field}");
            return fail(at, format!("{} is not a number above 0", config.temperature));
        }
    }
    Ok(())
}

/// Checks that a batch has what a loss needs.
///
/// # Errors
/// Returns an error if teacher scores or negatives are missing.
pub(super) fn check_batch(kind: LossKind, batch: &BatchVectors<'_>) -> Result<(), TrainError> {
    let field = field(kind);
    let distils = matches!(kind, LossKind::KlDiv | LossKind::MarginMse);
    if distils && batch.teacher_scores.is_none() {
        let problem = Problem::new(format!("`{field}` needs teacher scores"));
        return Err(TrainError::Data(problem.with_remedy("set data.hard_negative_scores")));
    }
    if kind != LossKind::InBatchNegatives && batch.negatives.is_empty() {
        let what = format!("`{field}` needs a negative for every query");
        return Err(TrainError::Data(what.into()));
    }
    Ok(())
}

/// Returns the loss without its weight, and adds its derivatives times its weight. `teacher` has
/// the shape of `scores.own`.
pub(super) fn add(
    config: &LossConfig,
    scores: &Scores,
    teacher: Option<&[f64]>,
    derivatives: &mut Scores,
) -> f64 {
    let columns = scores.columns;
    let queries = scores.own.len() / columns;
    let share = config.weight / queries as f64;
    let mut sum = 0.0;
    for query in 0..queries {
        let of_query = query * columns..(query + 1) * columns;
        let own = &scores.own[of_query.clone()];
        let by_own = &mut derivatives.own[of_query.clone()];
        let teacher =
            || &teacher.expect("the batch has no teacher scores: this is a bug")[of_query.clone()];
        sum += match config.kind {
            LossKind::InBatchNegatives => {
                let row = query * queries..(query + 1) * queries;
                let (others, by_others) =
                    (&scores.others[row.clone()], &mut derivatives.others[row]);
                in_batch_negatives(own, others, query, config.temperature, share, by_own, by_others)
            }
            LossKind::PairwiseContrastive => {
                let log_p = log_softmax(own, config.temperature);
                add_cross_entropy(&log_p, share / config.temperature, by_own.iter_mut())
            }
            LossKind::KlDiv => kldiv(own, teacher(), config.temperature, share, by_own),
            LossKind::MarginMse => margin_mse(own, teacher(), share, by_own),
        };
    }
    sum / queries as f64
}

fn in_batch_negatives(
    own: &[f64],
    others: &[f64],
    query: usize,
    temperature: f64,
    share: f64,
    by_own: &mut [f64],
    by_others: &mut [f64],
) -> f64 {
    let other = |&(column, _): &(usize, &f64)| column != query;
    let others = others.iter().enumerate().filter(other).map(|(_, &score)| score);
    let row: Vec<f64> = own.iter().copied().chain(others).collect();
    let by_others =
        by_others.iter_mut().enumerate().filter(|(column, _)| *column != query).map(|(_, by)| by);
    let log_p = log_softmax(&row, temperature);
    add_cross_entropy(&log_p, share / temperature, by_own.iter_mut().chain(by_others))
}

/// Returns the negative first entry of a log softmax, and adds its derivatives times `factor`.
fn add_cross_entropy<'a>(
    log_p: &[f64],
    factor: f64,
    derivatives: impl Iterator<Item = &'a mut f64>,
) -> f64 {
    for (column, (by, log_p)) in derivatives.zip(log_p).enumerate() {
        // exp_m1 keeps the digits of the difference to 1 when a probability is near 1.
        *by += factor * if column == 0 { libm::expm1(*log_p) } else { libm::exp(*log_p) };
    }
    -log_p[0]
}

/// Returns the Kullback-Leibler divergence, and adds its derivatives times `share` to `by_own`.
pub(crate) fn kldiv(
    own: &[f64],
    teacher: &[f64],
    temperature: f64,
    share: f64,
    by_own: &mut [f64],
) -> f64 {
    let (student, teacher) = (log_softmax(own, temperature), log_softmax(teacher, temperature));
    let mut sum = 0.0;
    for ((by, student), teacher) in by_own.iter_mut().zip(&student).zip(&teacher) {
        let p = libm::exp(*teacher);
        sum += p * (teacher - student);
        *by += share / temperature * (libm::exp(*student) - p);
    }
    sum
}

/// Returns the margin loss, and adds its derivatives times `share` to `by_own`. With `d = s - t`,
/// the sum over pairs of `(d_a - d_b)²` is `m Σ (d - mean d)²` for `m` documents.
pub(crate) fn margin_mse(own: &[f64], teacher: &[f64], share: f64, by_own: &mut [f64]) -> f64 {
    let documents = own.len() as f64;
    let difference: Vec<f64> = own.iter().zip(teacher).map(|(s, t)| s - t).collect();
    let mean = difference.iter().sum::<f64>() / documents;
    // The factor is m divided by the number of pairs, m (m - 1) / 2.
    let factor = 2.0 / (documents - 1.0);
    let mut sum = 0.0;
    for (by, d) in by_own.iter_mut().zip(&difference) {
        sum += factor * (d - mean) * (d - mean);
        *by += share * 2.0 * factor * (d - mean);
    }
    sum
}

pub(crate) fn log_softmax(scores: &[f64], temperature: f64) -> Vec<f64> {
    let scaled = scores.iter().map(|score| score / temperature);
    let largest = scaled.clone().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = libm::log(scaled.clone().map(|s| libm::exp(s - largest)).sum::<f64>());
    scaled.map(|s| s - largest - log_sum).collect()
}
