//! The regularizers, which keep the vectors sparse.
//!
//! | kind | value for the `B` texts of a column with weights `w(i, t)` |
//! |---|---|
//! | `L1` | `1/B Σ_i Σ_t abs w(i, t)` |
//! | `FLOPS` | `Σ_t (1/B Σ_i abs w(i, t))²` (arXiv 2004.05665, equation 4) |
//! | `FLOPS` with `threshold` | the same; texts of at most so many terms add nothing, but count in `B` (arXiv 2504.14839) |
//! | `DF_FLOPS` | `Σ_t (a_t/B Σ_i abs w(i, t))²`, where `a_t` grows with the document frequency of `t` (arXiv 2505.15070) |

use hydra_compose::settings::SettingError;
use serde_json::{Value, json};
use splade_io::Problem;

use super::budget::{Budget, BudgetReport, Pace};
use super::document_frequency::DocumentFrequency;
use crate::config::{RegularizerConfig, RegularizerKind, Strength};
use crate::engine::Terms;
use crate::error::TrainError;

/// What to do with a checkpoint whose regularizers are not those of the run.
pub(super) const OTHER_REGULARIZERS: &str = "resume with the regularizers of the checkpoint";

/// The regularizer of the queries or of the documents.
#[derive(Debug, Clone)]
pub(super) struct Side {
    config: RegularizerConfig,
    /// The document frequencies of DF-FLOPS; `None` for the other kinds.
    frequency: Option<DocumentFrequency>,
    /// The controller of λ; `None` if λ has a schedule.
    budget: Option<Budget>,
}

/// The penalties of all columns of a side together.
#[derive(Debug)]
pub(super) struct Penalties {
    /// The mean penalty over the columns, times λ.
    pub(super) value: f64,
    /// The number of terms of a text above which its weights have a derivative.
    threshold: usize,
    /// The derivative with respect to `abs w` for each column, times λ over the number of columns.
    slopes: Vec<Slope>,
}

#[derive(Debug)]
enum Slope {
    Constant(f64),
    Terms(Vec<f64>),
}

impl Side {
    /// Creates the regularizer of the side `name`; a budget follows `pace`.
    ///
    /// # Errors
    /// Returns an error if a number is out of its range.
    pub(super) fn new(
        name: &str,
        config: &RegularizerConfig,
        pace: &Pace,
    ) -> Result<Self, TrainError> {
        let check = |holds: bool, field: &str, got: f64, wanted: &str| {
            if holds {
                return Ok(());
            }
            let at = format!("training.regularizers.{name}.{field}");
            Err(SettingError::new(at, format!("{got} is not {wanted}")))
        };
        let not_negative = |x: f64| x.is_finite() && x >= 0.0;
        let check_steps =
            |steps: f64| check(not_negative(steps), "T", steps, "a number of steps, or 0");
        let mut budget = None;
        match config.strength {
            Strength::Schedule { lambda, steps } => {
                check(not_negative(lambda), "lambda_", lambda, "a number of at least 0")?;
                check_steps(steps)?;
            }
            Strength::Budget { target_terms, lambda, steps } => {
                let is_target = target_terms.is_finite() && target_terms >= 1.0;
                check(is_target, "target_terms", target_terms, "a number of at least 1")?;
                let above_zero = |x: f64| x.is_finite() && x > 0.0;
                lambda
                    .map_or(Ok(()), |x| check(above_zero(x), "lambda_", x, "a number above 0"))?;
                steps.map_or(Ok(()), check_steps)?;
                budget = Some(Budget::new(target_terms, lambda, steps, pace));
            }
        }
        let mut frequency = None;
        if let RegularizerKind::DfFlops { alpha, beta, interval } = config.kind {
            check(alpha > 0.0 && alpha < 1.0, "df_alpha", alpha, "between 0 and 1")?;
            check(beta.is_finite() && beta > 0.0, "df_beta", beta, "a number above 0")?;
            check(interval > 0, "df_interval", 0.0, "a number of steps of at least 1")?;
            frequency = Some(DocumentFrequency::new(alpha, beta, interval));
        }
        Ok(Self { config: config.clone(), frequency, budget })
    }

    pub(super) fn lambda(&self, step: u64) -> f64 {
        let (lambda, steps) = match (self.config.strength, &self.budget) {
            (Strength::Schedule { lambda, steps }, _) => (lambda, steps),
            (Strength::Budget { .. }, budget) => {
                return budget.as_ref().map_or(0.0, Budget::lambda);
            }
        };
        if steps == 0.0 {
            return lambda;
        }
        let share = step as f64 / steps;
        lambda.min(lambda * (share * share))
    }

    /// Computes the penalties of all columns of a batch. `loss` is the loss of the batch without
    /// regularizers, from which a budget derives its first λ.
    ///
    /// # Errors
    /// Returns an error if the size of the vocabulary differs from that of earlier calls.
    pub(super) fn penalties(
        &mut self,
        columns: &[Vec<&Terms>],
        vocab: usize,
        step: u64,
        loss: f64,
    ) -> Result<Penalties, TrainError> {
        let activations = match &mut self.frequency {
            Some(frequency) => Some(frequency.observe(columns, vocab, step)?),
            None => None,
        };
        let threshold = match self.config.kind {
            RegularizerKind::ThresholdedFlops { threshold } => threshold,
            _ => 0,
        };
        let kind = self.config.kind;
        let penalty = |column: &[&Terms]| match kind {
            RegularizerKind::L1 => l1(column),
            _ => flops(column, vocab, threshold, activations),
        };
        let parts: Vec<(f64, Slope)> = columns.iter().map(|column| penalty(column)).collect();
        if let Some(budget) = &mut self.budget {
            let sum: f64 = parts.iter().map(|(penalty, _)| penalty).sum();
            budget.weigh(loss, sum / columns.len() as f64);
        }
        let factor = self.lambda(step) / columns.len() as f64;
        let value = parts.iter().map(|(penalty, _)| factor * penalty).sum();
        let slopes = parts.into_iter().map(|(_, slope)| slope.times(factor)).collect();
        Ok(Penalties { value, threshold, slopes })
    }

    /// Returns whether the budget, if there is one, wants to know the number of terms without
    /// dropout.
    pub(super) fn wants_probe(&self) -> bool {
        self.budget.as_ref().is_some_and(Budget::wants_probe)
    }

    /// Takes the mean numbers of terms of the same texts with and without dropout.
    pub(super) fn probe(&mut self, with: f64, without: f64) {
        if let Some(budget) = &mut self.budget {
            budget.probe(with, without);
        }
    }

    /// Takes the mean number of terms of a step's texts, from which a budget sets the next λ.
    pub(super) fn observe(&mut self, step: u64, terms: f64) {
        if let Some(budget) = &mut self.budget {
            budget.observe(step, terms);
        }
    }

    /// Returns what the budget has reached, if there is one.
    pub(super) fn budget(&self) -> Option<BudgetReport> {
        self.budget.as_ref().map(Budget::report)
    }

    pub(super) fn state(&self) -> Value {
        let frequency = self.frequency.as_ref().map_or(Value::Null, DocumentFrequency::state);
        match &self.budget {
            Some(budget) => json!({ "budget": budget.state(), "frequency": frequency }),
            None => frequency,
        }
    }

    pub(super) fn restored(&self, name: &str, state: &Value) -> Result<Self, TrainError> {
        let other = || {
            let what = format!("its `{name}` regularizer is of another kind");
            TrainError::State(Problem::new(what).with_remedy(OTHER_REGULARIZERS))
        };
        let (budget, state) = match &self.budget {
            Some(budget) => {
                let restored = budget.restored(&state["budget"]).ok_or_else(other)?;
                (Some(restored), &state["frequency"])
            }
            None => (None, state),
        };
        let frequency = match (&self.frequency, state) {
            (None, Value::Null) => None,
            (Some(frequency), Value::Object(_)) => Some(frequency.restored(name, state)?),
            (None, _) | (Some(_), _) => return Err(other()),
        };
        Ok(Self { config: self.config.clone(), frequency, budget })
    }
}

/// A regularizer of texts without queries, used beside a loss that does not depend on sparse
/// vectors.
#[derive(Debug, Clone)]
pub(crate) struct TextRegularizer(Side);

impl TextRegularizer {
    /// Creates the regularizer `training.regularizer`.
    ///
    /// # Errors
    /// Returns an error if a number is out of its range.
    pub(crate) fn new(config: &RegularizerConfig, pace: &Pace) -> Result<Self, TrainError> {
        Side::new("doc", config, pace).map(Self)
    }

    /// Returns λ in optimizer step `step`, counted from 0.
    pub(crate) fn lambda(&self, step: u64) -> f64 {
        self.0.lambda(step)
    }

    /// Returns the penalty of the texts of a batch times λ, and the gradients with respect to their
    /// weights. `loss` is the loss of the batch without the penalty.
    pub(crate) fn compute(
        &mut self,
        texts: &[Terms],
        vocab: usize,
        step: u64,
        loss: f64,
    ) -> Result<(f64, Vec<Vec<f32>>), TrainError> {
        let penalties = self.0.penalties(&[texts.iter().collect()], vocab, step, loss)?;
        let of_text = |text: &Terms| -> Vec<f32> {
            let terms = text.terms.iter().zip(&text.weights);
            terms.map(|(term, weight)| penalties.slope(0, text, *term, *weight) as f32).collect()
        };
        Ok((penalties.value, texts.iter().map(of_text).collect()))
    }

    /// Returns whether a budget wants to know the number of terms without dropout.
    pub(crate) fn wants_probe(&self) -> bool {
        self.0.wants_probe()
    }

    /// Takes the mean numbers of terms of the same texts with and without dropout.
    pub(crate) fn probe(&mut self, with: f64, without: f64) {
        self.0.probe(with, without);
    }

    /// Takes the mean number of terms of a step's texts, from which a budget sets the next λ.
    pub(crate) fn observe(&mut self, step: u64, terms: f64) {
        self.0.observe(step, terms);
    }

    /// Returns what the budget has reached, if there is one.
    pub(crate) fn budget(&self) -> Option<BudgetReport> {
        self.0.budget()
    }

    /// Returns the state that a checkpoint must hold; it is null for all kinds except DF-FLOPS and
    /// budgets.
    pub(crate) fn state(&self) -> Value {
        self.0.state()
    }

    /// Restores a [`state`](Self::state) that was saved with the same settings.
    pub(crate) fn restore(&mut self, state: &Value) -> Result<(), TrainError> {
        self.0 = self.0.restored("doc", state)?;
        Ok(())
    }
}

impl Penalties {
    /// Returns the derivative with respect to one weight of a text of a column.
    pub(super) fn slope(&self, column: usize, text: &Terms, term: u32, weight: f32) -> f64 {
        if text.terms.len() <= self.threshold || weight == 0.0 {
            return 0.0;
        }
        let slope = match &self.slopes[column] {
            Slope::Constant(slope) => *slope,
            Slope::Terms(slopes) => slopes[term as usize],
        };
        slope.copysign(f64::from(weight))
    }
}

impl Slope {
    fn times(self, factor: f64) -> Self {
        match self {
            Self::Constant(slope) => Self::Constant(slope * factor),
            Self::Terms(mut slopes) => {
                slopes.iter_mut().for_each(|slope| *slope *= factor);
                Self::Terms(slopes)
            }
        }
    }
}

/// Returns the penalty of a column without λ, and its derivative.
fn l1(texts: &[&Terms]) -> (f64, Slope) {
    let batch = texts.len() as f64;
    let norm = |text: &&Terms| text.weights.iter().map(|&w| f64::from(w.abs())).sum::<f64>();
    (texts.iter().map(norm).sum::<f64>() / batch, Slope::Constant(1.0 / batch))
}

/// Returns the penalty of a column without λ, and its derivatives.
fn flops(
    texts: &[&Terms],
    vocab: usize,
    threshold: usize,
    activations: Option<&[f64]>,
) -> (f64, Slope) {
    let batch = texts.len() as f64;
    let mut sums = vec![0.0; vocab];
    for text in texts.iter().filter(|text| text.terms.len() > threshold) {
        for (&term, &weight) in text.terms.iter().zip(&text.weights) {
            sums[term as usize] += f64::from(weight.abs());
        }
    }
    let mut value = 0.0;
    for (term, sum) in sums.iter_mut().enumerate() {
        let activation = activations.map_or(1.0, |activations| activations[term]);
        let mean = activation * *sum / batch;
        value += mean * mean;
        *sum = 2.0 * activation * mean / batch;
    }
    (value, Slope::Terms(sums))
}
