//! The regularizers, which keep the vectors sparse.
//!
//! | kind | value for the `B` texts of a column with weights `w(i, t)` |
//! |---|---|
//! | `L1` | `1/B Σ_i Σ_t abs w(i, t)` |
//! | `FLOPS` | `Σ_t (1/B Σ_i abs w(i, t))²` (arXiv 2004.05665, equation 4) |
//! | `FLOPS` with `threshold` | the same; texts of at most so many terms add nothing, but count in `B` (arXiv 2504.14839) |
//! | `DF_FLOPS` | `Σ_t (a_t/B Σ_i abs w(i, t))²`, where `a_t` grows with the document frequency of `t` (arXiv 2505.15070) |

use hydra_compose::settings::SettingError;
use serde_json::Value;
use splade_io::Problem;

use super::document_frequency::DocumentFrequency;
use crate::config::{RegularizerConfig, RegularizerKind};
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
    /// Creates the regularizer of the side `name`.
    ///
    /// # Errors
    /// Returns an error if a number is out of its range.
    pub(super) fn new(name: &str, config: &RegularizerConfig) -> Result<Self, TrainError> {
        let check = |holds: bool, field: &str, got: f64, wanted: &str| {
            if holds {
                return Ok(());
            }
            let at = format!("training.regularizers.{name}.{field}");
            Err(SettingError::new(at, format!("{got} is not {wanted}")))
        };
        let not_negative = |x: f64| x.is_finite() && x >= 0.0;
        check(not_negative(config.lambda), "lambda_", config.lambda, "a number of at least 0")?;
        check(not_negative(config.steps), "T", config.steps, "a number of steps, or 0")?;
        let mut frequency = None;
        if let RegularizerKind::DfFlops { alpha, beta, interval } = config.kind {
            check(alpha > 0.0 && alpha < 1.0, "df_alpha", alpha, "between 0 and 1")?;
            check(beta.is_finite() && beta > 0.0, "df_beta", beta, "a number above 0")?;
            check(interval > 0, "df_interval", 0.0, "a number of steps of at least 1")?;
            frequency = Some(DocumentFrequency::new(alpha, beta, interval));
        }
        Ok(Self { config: config.clone(), frequency })
    }

    pub(super) fn lambda(&self, step: u64) -> f64 {
        let RegularizerConfig { lambda, steps, .. } = self.config;
        if steps == 0.0 {
            return lambda;
        }
        let share = step as f64 / steps;
        lambda.min(lambda * (share * share))
    }

    /// Computes the penalties of all columns of a batch.
    ///
    /// # Errors
    /// Returns an error if the size of the vocabulary differs from that of earlier calls.
    pub(super) fn penalties(
        &mut self,
        columns: &[Vec<&Terms>],
        vocab: usize,
        step: u64,
    ) -> Result<Penalties, TrainError> {
        let factor = self.lambda(step) / columns.len() as f64;
        let activations = match &mut self.frequency {
            Some(frequency) => Some(frequency.observe(columns, vocab, step)?),
            None => None,
        };
        let threshold = match self.config.kind {
            RegularizerKind::ThresholdedFlops { threshold } => threshold,
            _ => 0,
        };
        let mut value = 0.0;
        let mut slopes = Vec::with_capacity(columns.len());
        for column in columns {
            let (penalty, slope) = match self.config.kind {
                RegularizerKind::L1 => l1(column, factor),
                _ => flops(column, vocab, threshold, activations, factor),
            };
            value += factor * penalty;
            slopes.push(slope);
        }
        Ok(Penalties { value, threshold, slopes })
    }

    pub(super) fn state(&self) -> Value {
        self.frequency.as_ref().map_or(Value::Null, DocumentFrequency::state)
    }

    pub(super) fn restored(&self, name: &str, state: &Value) -> Result<Self, TrainError> {
        let frequency = match (&self.frequency, state) {
            (None, Value::Null) => None,
            (Some(frequency), Value::Object(_)) => Some(frequency.restored(name, state)?),
            (None, _) | (Some(_), _) => {
                let what = format!("its `{name}` regularizer is of another kind");
                return Err(TrainError::State(Problem::new(what).with_remedy(OTHER_REGULARIZERS)));
            }
        };
        Ok(Self { config: self.config.clone(), frequency })
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
    pub(crate) fn new(config: &RegularizerConfig) -> Result<Self, TrainError> {
        Side::new("doc", config).map(Self)
    }

    /// Returns λ in optimizer step `step`, counted from 0.
    pub(crate) fn lambda(&self, step: u64) -> f64 {
        self.0.lambda(step)
    }

    /// Returns the penalty of the texts of a batch times λ, and the gradients with respect to their
    /// weights.
    pub(crate) fn compute(
        &mut self,
        texts: &[Terms],
        vocab: usize,
        step: u64,
    ) -> Result<(f64, Vec<Vec<f32>>), TrainError> {
        let penalties = self.0.penalties(&[texts.iter().collect()], vocab, step)?;
        let of_text = |text: &Terms| -> Vec<f32> {
            let terms = text.terms.iter().zip(&text.weights);
            terms.map(|(term, weight)| penalties.slope(0, text, *term, *weight) as f32).collect()
        };
        Ok((penalties.value, texts.iter().map(of_text).collect()))
    }

    /// Returns the state that a checkpoint must hold; it is null for all kinds except DF-FLOPS.
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

fn l1(texts: &[&Terms], factor: f64) -> (f64, Slope) {
    let batch = texts.len() as f64;
    let norm = |text: &&Terms| text.weights.iter().map(|&w| f64::from(w.abs())).sum::<f64>();
    (texts.iter().map(norm).sum::<f64>() / batch, Slope::Constant(factor / batch))
}

fn flops(
    texts: &[&Terms],
    vocab: usize,
    threshold: usize,
    activations: Option<&[f64]>,
    factor: f64,
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
        *sum = factor * 2.0 * activation * mean / batch;
    }
    (value, Slope::Terms(sums))
}
