//! The dot products of the vectors of a batch, and the gradients of the weights from the
//! derivatives of the scores.
//!
//! One vector at a time is laid out over the whole vocabulary, and the other vectors look up their
//! terms in it. There is never a matrix of shape (texts, vocab). Every number is computed by one
//! thread in a fixed order.

use rayon::prelude::*;

use super::batch::{BatchVectors, VectorGradients};
use super::regularizers::Penalties;
use crate::engine::Terms;

/// The scores of a batch, or the derivatives of a loss with respect to them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scores {
    /// The number of documents of a query: its positive and its negatives, in this order.
    pub(super) columns: usize,
    /// The scores of a query's own documents, shape `(queries, columns)`.
    pub(super) own: Vec<f64>,
    /// The scores of a query and the positives of other queries, shape `(queries, queries)`, with
    /// zeros on the diagonal. Empty if no loss uses them.
    pub(super) others: Vec<f64>,
}

impl Scores {
    /// Returns zeros of the same shape.
    pub(super) fn zeros(&self) -> Self {
        let zeros = |values: &[f64]| vec![0.0; values.len()];
        Self { columns: self.columns, own: zeros(&self.own), others: zeros(&self.others) }
    }
}

/// Returns the scores of a batch. With `across`, the positives of other queries are included.
pub(super) fn scores(batch: &BatchVectors<'_>, across: bool) -> Scores {
    let rows: Vec<(Vec<f64>, Vec<f64>)> = (0..batch.queries.len())
        .into_par_iter()
        .map_init(
            || vec![0.0; batch.vocab],
            |dense, query| {
                let terms = &batch.queries[query];
                add(dense, terms, 1.0);
                let own = batch.documents(query).map(|document| dot(dense, document)).collect();
                let others = if across { batch.positives } else { &[] };
                let score =
                    |(other, document)| if other == query { 0.0 } else { dot(dense, document) };
                let others = others.iter().enumerate().map(score).collect();
                clear(dense, terms);
                (own, others)
            },
        )
        .collect();
    let mut scores = Scores {
        columns: 1 + batch.negatives_per_query(),
        own: Vec::with_capacity(batch.positives.len() + batch.negatives.len()),
        others: Vec::new(),
    };
    for (own, others) in rows {
        scores.own.extend(own);
        scores.others.extend(others);
    }
    scores
}

/// Returns the gradients with respect to the weights of the vectors, from the derivatives of the
/// scores and the penalties.
pub(super) fn gradients(
    batch: &BatchVectors<'_>,
    by_scores: &Scores,
    query: Option<&Penalties>,
    doc: Option<&Penalties>,
) -> VectorGradients {
    let (queries, columns) = (batch.queries.len(), by_scores.columns);
    let by_own = |query: usize, column: usize| by_scores.own[query * columns + column];
    let by_other = |query: usize, other: usize| {
        // The list is empty if no loss uses the positives of other queries; the diagonal is 0.
        by_scores.others.get(query * queries + other).copied().unwrap_or(0.0)
    };
    let of_query = |dense: &mut Vec<f64>, q: usize| {
        for (column, document) in batch.documents(q).enumerate() {
            add(dense, document, by_own(q, column));
        }
        for (other, document) in batch.positives.iter().enumerate() {
            add(dense, document, by_other(q, other));
        }
        take(dense, &batch.queries[q], query, 0)
    };
    let of_positive = |dense: &mut Vec<f64>, q: usize| {
        add(dense, &batch.queries[q], by_own(q, 0));
        for (other, terms) in batch.queries.iter().enumerate() {
            add(dense, terms, by_other(other, q));
        }
        take(dense, &batch.positives[q], doc, 0)
    };
    let of_negative = |dense: &mut Vec<f64>, index: usize| {
        let (q, column) = (index / (columns - 1), 1 + index % (columns - 1));
        add(dense, &batch.queries[q], by_own(q, column));
        take(dense, &batch.negatives[index], doc, column)
    };
    VectorGradients {
        queries: each(queries, batch.vocab, of_query),
        positives: each(queries, batch.vocab, of_positive),
        negatives: each(batch.negatives.len(), batch.vocab, of_negative),
    }
}

/// Calls `gradient` for `0..count` with a buffer of zeros over the vocabulary, which `gradient`
/// must leave zeroed.
fn each(
    count: usize,
    vocab: usize,
    gradient: impl Fn(&mut Vec<f64>, usize) -> Vec<f32> + Sync + Send,
) -> Vec<Vec<f32>> {
    (0..count).into_par_iter().map_init(|| vec![0.0; vocab], gradient).collect()
}

/// Returns the sum at each term of the vector plus the slope of its penalty, and clears the sum.
fn take(dense: &mut [f64], of: &Terms, penalties: Option<&Penalties>, column: usize) -> Vec<f32> {
    let gradient = of
        .terms
        .iter()
        .zip(&of.weights)
        .map(|(&term, &weight)| {
            let slope = penalties.map_or(0.0, |p| p.slope(column, of, term, weight));
            (dense[term as usize] + slope) as f32
        })
        .collect();
    dense.fill(0.0);
    gradient
}

fn add(dense: &mut [f64], terms: &Terms, factor: f64) {
    if factor == 0.0 {
        return;
    }
    for (&term, &weight) in terms.terms.iter().zip(&terms.weights) {
        dense[term as usize] += factor * f64::from(weight);
    }
}

fn clear(dense: &mut [f64], terms: &Terms) {
    for &term in &terms.terms {
        dense[term as usize] = 0.0;
    }
}

fn dot(dense: &[f64], terms: &Terms) -> f64 {
    let products = terms.terms.iter().zip(&terms.weights);
    products.map(|(&term, &weight)| dense[term as usize] * f64::from(weight)).sum()
}
