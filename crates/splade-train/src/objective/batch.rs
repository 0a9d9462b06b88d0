//! The vectors of a batch and the gradients by their weights.

use crate::engine::Terms;

/// The vectors of a batch of `B` queries with `n` negatives each.
#[derive(Debug, Clone, Copy)]
pub struct BatchVectors<'a> {
    /// Terms of the vocabulary.
    pub vocab: usize,
    /// `B`
    pub queries: &'a [Terms],
    /// `B`, a query's positive at its own place.
    pub positives: &'a [Terms],
    /// `B · n`, those of a query together.
    pub negatives: &'a [Terms],
    /// `(B, 1 + n)`, the positive's first. Only distillation needs them.
    pub teacher_scores: Option<&'a [f32]>,
}

/// The gradients of the loss, aligned with the weights of the vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorGradients {
    /// `B`
    pub queries: Vec<Vec<f32>>,
    /// `B`
    pub positives: Vec<Vec<f32>>,
    /// `B · n`, in the order of the batch's.
    pub negatives: Vec<Vec<f32>>,
}
