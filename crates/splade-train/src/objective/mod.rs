//! The objective of training: losses on the scores of a batch, regularizers on its vectors, and the
//! gradients of both with respect to the weights of the vectors.
//!
//! ```text
//! loss = Σ weight · loss(scores) + λ_q R(queries) + λ_d mean over c of R(documents of column c)
//! ```
//!
//! The documents of a query are its positive and its `n` negatives, which gives `1 + n` columns.
//! With one negative, the positives and the negatives count one half each, as in the Python
//! library. λ grows with the square of the step: `λ min(1, (step / T)²)` (SPLADE, arXiv 2107.05720,
//! section 3.3). All sums are computed in f64, in an order that does not depend on the number of
//! threads, and rounded once.
//!
//! `scores` computes the dot products, `losses` the losses and `regularizers` the penalties;
//! `document_frequency` holds the counts that DF-FLOPS keeps between steps. This module does not
//! create or encode batches.

mod batch;
mod document_frequency;

mod regularizers;

mod scores;

pub(crate) mod losses;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};
use splade_io::Problem;

use crate::config::{LossConfig, RegularizerConfig, Regularizers, TrainingConfig};
use crate::engine::Terms;
use crate::error::TrainError;
pub use batch::{BatchVectors, VectorGradients};
pub(crate) use regularizers::TextRegularizer;
use regularizers::{OTHER_REGULARIZERS, Side};

/// The value of the objective for a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveValue {
    /// The total loss that training minimises.
    pub loss: f64,
    /// The value of each loss without its weight, under the name that the Python library logs
    /// (`kldiv_loss`).
    pub components: Vec<(&'static str, f64)>,
    /// The sum of the regularizers times their λ; it is part of `loss`.
    pub regularizer: f64,
    /// The λ of the queries in this step.
    pub lambda_q: f64,
    /// The λ of the documents in this step.
    pub lambda_d: f64,
    /// The gradients with respect to every weight of every vector.
    pub gradients: VectorGradients,
}

/// The losses and regularizers of a run, with the counts of DF-FLOPS so far.
#[derive(Debug, Clone)]
pub struct Objective {
    losses: Vec<LossConfig>,
    query: Option<Side>,
    doc: Option<Side>,
}

impl Objective {
    /// Creates the objective from the losses and regularizers of a run.
    ///
    /// # Errors
    /// Returns an error if there is no loss, if a loss occurs twice, or if a number is out of its
    /// range.
    pub fn new(training: &TrainingConfig) -> Result<Self, TrainError> {
        Self::of(&training.losses, &training.regularizers)
    }

    fn of(losses: &[LossConfig], regularizers: &Regularizers) -> Result<Self, TrainError> {
        losses::check(losses)?;
        let side = |name: &str, config: &Option<RegularizerConfig>| {
            config.as_ref().map(|config| Side::new(name, config)).transpose()
        };
        Ok(Self {
            losses: losses.to_vec(),
            query: side("query", &regularizers.query)?,
            doc: side("doc", &regularizers.doc)?,
        })
    }

    /// Returns the λ of queries and documents in optimizer step `step`, counted from 0.
    pub fn lambdas(&self, step: u64) -> (f64, f64) {
        let lambda = |side: &Option<Side>| side.as_ref().map_or(0.0, |side| side.lambda(step));
        (lambda(&self.query), lambda(&self.doc))
    }

    /// Returns the loss of a batch and its gradients in optimizer step `step`, counted from 0.
    /// DF-FLOPS counts the vectors.
    ///
    /// # Errors
    /// Returns [`TrainError::Data`] if the parts of the batch do not fit together, or if it lacks
    /// the teacher scores or negatives that a loss needs.
    pub fn compute(
        &mut self,
        batch: &BatchVectors<'_>,
        step: u64,
    ) -> Result<ObjectiveValue, TrainError> {
        batch.check(&self.losses)?;
        let scores = scores::scores(batch, losses::across(&self.losses));
        let teacher: Option<Vec<f64>> =
            batch.teacher_scores.map(|scores| scores.iter().map(|&s| f64::from(s)).collect());
        let mut by_scores = scores.zeros();
        let mut loss = 0.0;
        let mut components = Vec::with_capacity(self.losses.len());
        for config in &self.losses {
            let value = losses::add(config, &scores, teacher.as_deref(), &mut by_scores);
            loss += config.weight * value;
            components.push((losses::name(config.kind), value));
        }

        let (lambda_q, lambda_d) = self.lambdas(step);
        let penalties = |side: &mut Option<Side>, columns: &[Vec<&Terms>]| {
            side.as_mut().map(|side| side.penalties(columns, batch.vocab, step)).transpose()
        };
        let query = penalties(&mut self.query, &[batch.queries.iter().collect()])?;
        let doc = penalties(&mut self.doc, &batch.document_columns())?;
        let regularizer = query.as_ref().map_or(0.0, |penalties| penalties.value)
            + doc.as_ref().map_or(0.0, |penalties| penalties.value);
        Ok(ObjectiveValue {
            loss: loss + regularizer,
            components,
            regularizer,
            lambda_q,
            lambda_d,
            gradients: scores::gradients(batch, &by_scores, query.as_ref(), doc.as_ref()),
        })
    }

    /// Returns the loss for an evaluation, as [`compute`](Objective::compute) does, but without
    /// counting the vectors.
    ///
    /// # Errors
    /// Returns the same errors as `compute`.
    pub fn evaluate(
        &self,
        batch: &BatchVectors<'_>,
        step: u64,
    ) -> Result<ObjectiveValue, TrainError> {
        self.clone().compute(batch, step)
    }

    /// Returns the state that a checkpoint must hold; it is null for all regularizers except
    /// DF-FLOPS.
    pub fn state(&self) -> Value {
        let state = |side: &Option<Side>| side.as_ref().map_or(Value::Null, Side::state);
        json!({ "query": state(&self.query), "doc": state(&self.doc) })
    }

    /// Restores a [`state`](Objective::state) that was saved with the same settings.
    ///
    /// # Errors
    /// Returns [`TrainError::State`] if the state belongs to other settings or is incomplete.
    /// Nothing is changed in this case.
    pub fn restore(&mut self, state: &Value) -> Result<(), TrainError> {
        let restored = |name: &str, side: &Option<Side>| match (side, &state[name]) {
            (Some(side), state) => side.restored(name, state).map(Some),
            (None, Value::Null) => Ok(None),
            (None, _) => {
                let what = format!(
                    "it counts the terms of a `{name}` regularizer that this run does not have"
                );
                Err(TrainError::State(Problem::new(what).with_remedy(OTHER_REGULARIZERS)))
            }
        };
        let (query, doc) = (restored("query", &self.query)?, restored("doc", &self.doc)?);
        (self.query, self.doc) = (query, doc);
        Ok(())
    }
}

impl<'a> BatchVectors<'a> {
    /// Returns the number of negatives of each query.
    fn negatives_per_query(&self) -> usize {
        self.negatives.len() / self.queries.len()
    }

    /// Returns the documents of a query, the positive first.
    fn documents(&self, query: usize) -> impl Iterator<Item = &'a Terms> {
        let n = self.negatives_per_query();
        std::iter::once(&self.positives[query]).chain(&self.negatives[query * n..(query + 1) * n])
    }

    /// Returns the columns: the positives, then the first negatives of all queries, then the second
    /// ones, and so on.
    fn document_columns(&self) -> Vec<Vec<&'a Terms>> {
        let n = self.negatives_per_query();
        let negatives = (0..n).map(|c| self.negatives.iter().skip(c).step_by(n).collect());
        std::iter::once(self.positives.iter().collect()).chain(negatives).collect()
    }

    fn check(&self, losses: &[LossConfig]) -> Result<(), TrainError> {
        let fail = |message: String| Err(TrainError::Data(message.into()));
        let queries = self.queries.len();
        if queries == 0 {
            return fail("a batch without queries".into());
        }
        if self.positives.len() != queries || !self.negatives.len().is_multiple_of(queries) {
            return fail(format!(
                "a batch of {queries} queries has {} positives and {} negatives; there must be one \
                 positive and the same number of negatives for each",
                self.positives.len(),
                self.negatives.len()
            ));
        }
        let wanted = queries + self.negatives.len();
        if let Some(scores) = self.teacher_scores
            && scores.len() != wanted
        {
            return fail(format!(
                "a batch of {wanted} documents has {} teacher scores",
                scores.len()
            ));
        }
        for terms in self.queries.iter().chain(self.positives).chain(self.negatives) {
            if terms.terms.len() != terms.weights.len() {
                return fail(format!(
                    "a vector of {} terms has {} weights",
                    terms.terms.len(),
                    terms.weights.len()
                ));
            }
            if let Some(term) = terms.terms.iter().find(|&&term| term as usize >= self.vocab) {
                return fail(format!("term {term} is outside of a vocabulary of {}", self.vocab));
            }
        }
        for config in losses {
            losses::check_batch(config.kind, self)?;
        }
        Ok(())
    }
}
