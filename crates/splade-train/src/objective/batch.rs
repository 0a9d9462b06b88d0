//! The vectors of a batch, and the gradients with respect to their weights.

use crate::engine::Terms;

/// The vectors of a batch of `B` queries with `n` negatives each.
#[derive(Debug, Clone, Copy)]
pub struct BatchVectors<'a> {
    /// The number of terms in the vocabulary.
    pub vocab: usize,
    /// The vectors of the queries, shape `(B)`.
    pub queries: &'a [Terms],
    /// The vectors of the positives, shape `(B)`, in the order of their queries.
    pub positives: &'a [Terms],
    /// The vectors of the negatives, shape `(B · n)`; those of one query are adjacent.
    pub negatives: &'a [Terms],
    /// The teacher scores, shape `(B, 1 + n)`, with the positive's score first. Only distillation
    /// needs them.
    pub teacher_scores: Option<&'a [f32]>,
    /// The similarities of the teacher's vectors of every query and every document of the batch,
    /// shape `(B, B (1 + n))`: all positives and then all negatives. Only losses that compare with
    /// a teacher's vectors need them.
    pub teacher_similarities: Option<&'a [f32]>,
}

/// The gradients of the loss, aligned with the weights of the vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorGradients {
    /// The gradients of the queries, shape `(B)`.
    pub queries: Vec<Vec<f32>>,
    /// The gradients of the positives, shape `(B)`.
    pub positives: Vec<Vec<f32>>,
    /// The gradients of the negatives, shape `(B · n)`, in the order of the batch.
    pub negatives: Vec<Vec<f32>>,
}
