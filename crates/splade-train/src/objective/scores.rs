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
    /// The scores of a query and documents of other queries, shape `(queries, width)`: no document,
    /// the positives of all queries, or these and then all negatives; see [`Others`]. The places of a
    /// query's own documents hold zeros.
    pub(super) others: Vec<f64>,
}

/// The documents of other queries that losses use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Others {
    /// No other document: a query has its own documents alone.
    #[default]
    None,
    /// The positives of the other queries.
    Positives,
    /// The positives and the negatives.
    Documents,
}

impl Scores {
    /// Returns the number of columns of [`others`](Self::others).
    pub(super) fn width(&self) -> usize {
        self.others.len() / (self.own.len() / self.columns)
    }

    /// Returns the places in a row of `others` that stand for a query's own documents, in their
    /// order.
    fn own_places(&self, query: usize) -> impl Iterator<Item = usize> + use<> {
        let (queries, negatives) = (self.own.len() / self.columns, self.columns - 1);
        std::iter::once(query)
            .chain((0..negatives).map(move |column| queries + query * negatives + column))
    }

    /// Returns the scores of a query and all documents of the batch, positives first. `others` must
    /// have the negatives.
    pub(super) fn row(&self, query: usize) -> Vec<f64> {
        let width = self.width();
        let mut row = self.others[query * width..(query + 1) * width].to_vec();
        let own = &self.own[query * self.columns..(query + 1) * self.columns];
        self.own_places(query).zip(own).for_each(|(place, score)| row[place] = *score);
        row
    }

    /// Adds to the numbers of a [`row`](Self::row).
    pub(super) fn add_row(&mut self, query: usize, row: &[f64]) {
        let width = self.width();
        let start = query * self.columns;
        let others = &mut self.others[query * width..(query + 1) * width];
        others.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        for (column, place) in self.own_places(query).enumerate() {
            self.own[start + column] += row[place];
            self.others[query * width + place] = 0.0;
        }
    }

    /// Returns zeros of the same shape.
    pub(super) fn zeros(&self) -> Self {
        let zeros = |values: &[f64]| vec![0.0; values.len()];
        Self { columns: self.columns, own: zeros(&self.own), others: zeros(&self.others) }
    }
}

/// Returns the scores of a batch, with those of `others`.
pub(super) fn scores(batch: &BatchVectors<'_>, others: Others) -> Scores {
    let negatives = batch.negatives_per_query();
    let others: [&[Terms]; 2] = match others {
        Others::None => [&[], &[]],
        Others::Positives => [batch.positives, &[]],
        Others::Documents => [batch.positives, batch.negatives],
    };
    let rows: Vec<(Vec<f64>, Vec<f64>)> =
        (0..batch.queries.len())
            .into_par_iter()
            .map_init(
                || vec![0.0; batch.vocab],
                |dense, query| {
                    let terms = &batch.queries[query];
                    add(dense, terms, 1.0);
                    let own = batch.documents(query).map(|document| dot(dense, document)).collect();
                    let of_other =
                        |is_own: bool, document| if is_own { 0.0 } else { dot(dense, document) };
                    let positives = others[0].iter().enumerate();
                    let positives =
                        positives.map(|(other, document)| of_other(other == query, document));
                    let others =
                        positives.chain(others[1].iter().enumerate().map(|(index, document)| {
                            of_other(index / negatives == query, document)
                        }));
                    let others = others.collect();
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
    let width = by_scores.width();
    let by_own = |query: usize, column: usize| by_scores.own[query * columns + column];
    let by_other = |query: usize, other: usize| {
        // Without a column for the document, no loss uses it; a query's own documents have 0.
        if other < width { by_scores.others[query * width + other] } else { 0.0 }
    };
    let of_query = |dense: &mut Vec<f64>, q: usize| {
        for (column, document) in batch.documents(q).enumerate() {
            add(dense, document, by_own(q, column));
        }
        for (other, document) in batch.positives.iter().chain(batch.negatives).enumerate() {
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
        for (other, terms) in batch.queries.iter().enumerate() {
            add(dense, terms, by_other(other, queries + index));
        }
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
