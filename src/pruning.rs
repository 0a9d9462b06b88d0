//! Which weights of a vector are kept.

use splade_sparse::SparseVector;

/// Drops the small weights of a vector: those below a threshold, then all but the largest.
///
/// ```
/// use light_splade::encode::Pruning;
/// use light_splade::{SparseVector, TermId};
///
/// let vector = SparseVector::new(vec![TermId(1), TermId(5)], vec![0.2, 1.5])?;
/// let pruning = Pruning { top_k: Some(1), threshold: None };
/// assert_eq!(pruning.apply(vector).terms(), [TermId(5)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pruning {
    /// Keeps so many of the largest weights; all if none is given.
    pub top_k: Option<usize>,
    /// Keeps weights of at least this; all if none is given.
    pub threshold: Option<f32>,
}

impl Pruning {
    /// Returns the vector without the weights that are not kept.
    pub fn apply(&self, mut vector: SparseVector) -> SparseVector {
        if let Some(threshold) = self.threshold {
            vector = vector.at_least(threshold);
        }
        if let Some(count) = self.top_k {
            vector = vector.top_k(count);
        }
        vector
    }
}
