//! The losses as functions of the scores: values and derivatives.
//!
//! | loss | value for a query with scores `s`, the positive's first, and teacher scores `t` |
//! |---|---|
//! | `in_batch_negatives` | `-log softmax(s / τ)[0]` over its own documents and all other positives (SPLADE v2, arXiv 2109.10086, section 3.1) |
//! | `pairwise_contrastive` | the same over its own documents only |
//! | `kldiv` | `Σ p_t (log p_t - log p_s)` with `p_t = softmax(t / τ)`, `p_s = softmax(s / τ)` (arXiv 2010.11386) |
//! | `margin_mse` | mean over all pairs `a < b` of its own documents of `((s_a - s_b) - (t_a - t_b))²` (arXiv 2010.02666) |
//! | `in_batch_kldiv` | that of `kldiv`, over all documents of the batch: its own, and the positives and negatives of all other queries; `t` are similarities of the teacher's vectors |
//!
//! Before its use, `t` may be standardized (mean 0, standard deviation 1 over the documents of a
//! query; all 0 if they are equal), and is divided by the teacher's temperature, which is `τ` unless
//! it is set, and 1 in `margin_mse`.
//!
//! A loss is the mean over the queries. `kldiv` is not multiplied by `τ²`, unlike in
//! sentence-transformers; `loss_weights` can do that. With one negative and `τ = 1`, all losses
//! equal those of the Python library.

use std::collections::HashSet;

use hydra_compose::settings::SettingError;
use splade_io::Problem;

use super::batch::BatchVectors;
use super::scores::{Others, Scores};
use crate::config::{LossConfig, LossKind};
use crate::error::TrainError;

/// Returns the name by which the Python library logs a loss.
pub(super) fn name(kind: LossKind) -> &'static str {
    match kind {
        LossKind::InBatchNegatives => "in_batch_negatives_loss",
        LossKind::PairwiseContrastive => "pairwise_contrastive_loss",
        LossKind::KlDiv => "kldiv_loss",
        LossKind::MarginMse => "margin_mse_loss",
        LossKind::InBatchKlDiv => "in_batch_kldiv_loss",
    }
}

/// Returns the name of a loss in configs.
fn field(kind: LossKind) -> &'static str {
    name(kind).strip_suffix("_loss").expect("a name does not end in _loss: this is a bug")
}

/// Returns which documents of other queries the losses use.
pub(super) fn others(losses: &[LossConfig]) -> Others {
    let uses = |loss: &LossConfig| match loss.kind {
        LossKind::InBatchKlDiv => Others::Documents,
        LossKind::InBatchNegatives => Others::Positives,
        _ => Others::None,
    };
    losses.iter().map(uses).max().unwrap_or_default()
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
        for (name, temperature) in [
            ("temperatures", config.temperature),
            ("teacher_temperatures", config.teacher_temperature.unwrap_or(1.0)),
        ] {
            if !(temperature.is_finite() && temperature > 0.0) {
                let at = format!("training.{name}.{field}");
                return fail(at, format!("{temperature} is not a number above 0"));
            }
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
    if kind.needs_scores() && batch.teacher_scores.is_none() {
        let problem = Problem::new(format!("`{field}` needs teacher scores"));
        return Err(TrainError::Data(problem.with_remedy("set data.hard_negative_scores")));
    }
    if kind.needs_vectors() && batch.teacher_similarities.is_none() {
        let problem = Problem::new(format!("`{field}` needs the vectors of a teacher"));
        return Err(TrainError::Data(problem.with_remedy("set model.teacher.model_name_or_path")));
    }
    let is_across = matches!(kind, LossKind::InBatchNegatives | LossKind::InBatchKlDiv);
    if !is_across && batch.negatives.is_empty() {
        let what = format!("`{field}` needs a negative for every query");
        return Err(TrainError::Data(what.into()));
    }
    Ok(())
}

/// What the teacher says about the documents of a batch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TeacherNumbers<'a> {
    /// The scores of a query's own documents, with the shape of `Scores::own`.
    pub(super) scores: Option<&'a [f64]>,
    /// The similarities of a query and all documents of the batch, positives first, shape
    /// `(queries, documents)`.
    pub(super) similarities: Option<&'a [f64]>,
}

/// Returns the loss without its weight, and adds its derivatives times its weight.
pub(super) fn add(
    config: &LossConfig,
    scores: &Scores,
    teacher: TeacherNumbers<'_>,
    derivatives: &mut Scores,
) -> f64 {
    let (columns, width) = (scores.columns, scores.width());
    let queries = scores.own.len() / columns;
    let share = config.weight / queries as f64;
    let mut sum = 0.0;
    for query in 0..queries {
        let of_query = query * columns..(query + 1) * columns;
        let own = &scores.own[of_query.clone()];
        let teacher_own = || {
            let all = teacher.scores.expect("the batch has no teacher scores: this is a bug");
            scaled(config, &all[of_query.clone()])
        };
        let by_own = &mut derivatives.own[of_query.clone()];
        sum += match config.kind {
            LossKind::InBatchNegatives => {
                let row = query * width..query * width + queries;
                let (others, by_others) =
                    (&scores.others[row.clone()], &mut derivatives.others[row]);
                in_batch_negatives(own, others, query, config.temperature, share, by_own, by_others)
            }
            LossKind::PairwiseContrastive => {
                let log_p = log_softmax(own, config.temperature);
                add_cross_entropy(&log_p, share / config.temperature, by_own.iter_mut())
            }
            LossKind::KlDiv => {
                let teacher = log_softmax(&teacher_own(), 1.0);
                kldiv(own, &teacher, config.temperature, share, by_own)
            }
            LossKind::MarginMse => margin_mse(own, &teacher_own(), share, by_own),
            LossKind::InBatchKlDiv => {
                let all = teacher.similarities;
                let all = all.expect("the batch has no similarities: this is a bug");
                let teacher = &all[query * width..(query + 1) * width];
                let teacher = log_softmax(&scaled(config, teacher), 1.0);
                let row = scores.row(query);
                let mut by_row = vec![0.0; row.len()];
                let value = kldiv(&row, &teacher, config.temperature, share, &mut by_row);
                derivatives.add_row(query, &by_row);
                value
            }
        };
    }
    sum / queries as f64
}

/// Returns a query's teacher scores as the loss uses them.
fn scaled(config: &LossConfig, scores: &[f64]) -> Vec<f64> {
    let default = if config.kind == LossKind::MarginMse { 1.0 } else { config.temperature };
    let temperature = config.teacher_temperature.unwrap_or(default);
    if !config.standardize {
        return scores.iter().map(|score| score / temperature).collect();
    }
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt();
    let standard = |score: &f64| if deviation > 0.0 { (score - mean) / deviation } else { 0.0 };
    scores.iter().map(|score| standard(score) / temperature).collect()
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

/// Returns the Kullback-Leibler divergence from a teacher's distribution, given as logarithms, and
/// adds its derivatives times `share` to `by_own`.
pub(crate) fn kldiv(
    own: &[f64],
    teacher: &[f64],
    temperature: f64,
    share: f64,
    by_own: &mut [f64],
) -> f64 {
    let student = log_softmax(own, temperature);
    let mut sum = 0.0;
    for ((by, student), teacher) in by_own.iter_mut().zip(&student).zip(teacher) {
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
