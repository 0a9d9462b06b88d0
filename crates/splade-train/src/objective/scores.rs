//! Dot products of the vectors of a batch, and the way back from their derivatives.
//!
//! One vector at a time is laid out over the whole vocabulary and the others look their terms up;
//! nothing of (texts, vocab) exists. Every number is made by one thread in one order.

use rayon::prelude::*;

use super::batch::{BatchVectors, VectorGradients};
use super::regularizers::Penalties;
use crate::engine::Terms;

/// Scores of a batch, or a loss's derivatives by them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scores {
    /// Documents of a query: its positive, then its negatives.
    pub(super) columns: usize,
    /// `(queries, columns)`
    pub(super) own: Vec<f64>,
    /// `(queries, queries)`, by the positives of others; zero on the diagonal. Empty where no loss
    /// asks for them.
    pub(super) others: Vec<f64>,
}

impl Scores {
    /// Zeros of the same shape.
    pub(super) fn zeros(&self) -> Self {
        let zeros = |values: &[f64]| vec![0.0; values.len()];
        Self { columns: self.columns, own: zeros(&self.own), others: zeros(&self.others) }
    }
}

/// The scores of a batch; with `across` also by the positives of other queries.
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

/// The gradients by the weights of the vectors, from the derivatives by scores and the penalties.
pub(super) fn gradients(
    batch: &BatchVectors<'_>,
    by_scores: &Scores,
    query: Option<&Penalties>,
    doc: Option<&Penalties>,
) -> VectorGradients {
    let (queries, columns) = (batch.queries.len(), by_scores.columns);
    let by_own = |query: usize, column: usize| by_scores.own[query * columns + column];
    let by_other = |query: usize, other: usize| {
        // Empty where no loss looks at other queries' positives; 0 on the diagonal.
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

/// Runs `gradient` for `0..count` with a vocabulary of zeros, that it has to leave as zeros.
fn each(
    count: usize,
    vocab: usize,
    gradient: impl Fn(&mut Vec<f64>, usize) -> Vec<f32> + Sync + Send,
) -> Vec<Vec<f32>> {
    (0..count).into_par_iter().map_init(|| vec![0.0; vocab], gradient).collect()
}

/// The sum at the vector's terms, with the slope of its penalty; the sum is cleared.
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
