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
//! section 3.3), or is steered by a budget of terms. All sums are computed in f64, in an order that does not depend on the number of
//! threads, and rounded once.
//!
//! `scores` computes the dot products, `losses` the losses and `regularizers` the penalties;
//! `document_frequency` holds the counts that DF-FLOPS keeps between steps, and `budget` steers λ. This module does not
//! create or encode batches.

mod batch;
mod budget;
mod document_frequency;

mod regularizers;

mod scores;

pub(crate) mod losses;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};
use splade_io::Problem;

use crate::config::{LossConfig, RegularizerConfig, TrainingConfig};
use crate::engine::Terms;
use crate::error::TrainError;
pub use batch::{BatchVectors, VectorGradients};
pub(crate) use budget::{BudgetReport, PROBED_TEXTS, Pace};
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
    /// Creates the objective from the losses and regularizers of a run of `total_steps` steps.
    ///
    /// # Errors
    /// Returns an error if there is no loss, if a loss occurs twice, or if a number is out of its
    /// range.
    pub fn new(training: &TrainingConfig, total_steps: u64) -> Result<Self, TrainError> {
        losses::check(&training.losses)?;
        let pace = Pace::new(training, total_steps)?;
        let side = |name: &str, config: &Option<RegularizerConfig>| {
            config.as_ref().map(|config| Side::new(name, config, &pace)).transpose()
        };
        Ok(Self {
            losses: training.losses.clone(),
            query: side("query", &training.regularizers.query)?,
            doc: side("doc", &training.regularizers.doc)?,
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
        let scores = scores::scores(batch, losses::others(&self.losses));
        let in_f64 = |numbers: &[f32]| -> Vec<f64> {
            numbers.iter().map(|&number| f64::from(number)).collect()
        };
        let teacher = [batch.teacher_scores, batch.teacher_similarities].map(|n| n.map(in_f64));
        let [teacher_scores, similarities] = &teacher;
        let teacher = losses::TeacherNumbers {
            scores: teacher_scores.as_deref(),
            similarities: similarities.as_deref(),
        };
        let mut by_scores = scores.zeros();
        let mut loss = 0.0;
        let mut components = Vec::with_capacity(self.losses.len());
        for config in &self.losses {
            let value = losses::add(config, &scores, teacher, &mut by_scores);
            loss += config.weight * value;
            components.push((losses::name(config.kind), value));
        }

        let (lambda_q, lambda_d) = self.lambdas(step);
        let penalties = |side: &mut Option<Side>, columns: &[Vec<&Terms>]| {
            side.as_mut().map(|side| side.penalties(columns, batch.vocab, step, loss)).transpose()
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

    /// Returns whether the budgets of queries and of documents want to know the number of terms
    /// without dropout before this step ends.
    pub(crate) fn wants_probes(&self) -> (bool, bool) {
        let wants = |side: &Option<Side>| side.as_ref().is_some_and(Side::wants_probe);
        (wants(&self.query), wants(&self.doc))
    }

    /// Takes the mean numbers of terms of the same queries, or documents, with and without dropout.
    pub(crate) fn probe(&mut self, is_query: bool, with: f64, without: f64) {
        let side = if is_query { &mut self.query } else { &mut self.doc };
        if let Some(side) = side {
            side.probe(with, without);
        }
    }

    /// Takes the mean numbers of terms in the queries and documents of optimizer step `step`, from
    /// which budgets set the λ of the next step.
    pub(crate) fn observe(&mut self, step: u64, query_terms: f64, document_terms: f64) {
        for (side, terms) in [(&mut self.query, query_terms), (&mut self.doc, document_terms)] {
            if let Some(side) = side {
                side.observe(step, terms);
            }
        }
    }

    /// Returns what the budgets of queries and of documents have reached.
    pub(crate) fn budgets(&self) -> (Option<BudgetReport>, Option<BudgetReport>) {
        let budget = |side: &Option<Side>| side.as_ref().and_then(Side::budget);
        (budget(&self.query), budget(&self.doc))
    }

    /// Returns the state that a checkpoint must hold; it is null for all regularizers except
    /// DF-FLOPS and those with a budget.
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
        if let Some(similarities) = self.teacher_similarities
            && similarities.len() != queries * wanted
        {
            return fail(format!(
                "a batch of {queries} queries and {wanted} documents has {} similarities of the \
                 teacher",
                similarities.len()
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
