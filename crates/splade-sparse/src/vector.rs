//! The type of a sparse vector and its operations.

use std::fmt;

/// The id of a term: its position in the model's vocabulary, counted from 0. It is a dimension of
/// sparse vectors.
///
/// ```
/// use splade_sparse::{SparseVector, TermId};
///
/// let vector = SparseVector::new(vec![TermId(7)], vec![1.5])?;
/// assert_eq!(vector.terms()[0].to_string(), "7");
/// # Ok::<(), splade_sparse::VectorError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TermId(pub u32);

impl fmt::Display for TermId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The sparse vector of a text. The terms are ascending and unique, and the weights are finite and
/// above zero.
///
/// ```
/// use splade_sparse::{SparseVector, TermId};
///
/// let query = SparseVector::new(vec![TermId(7), TermId(9)], vec![1.5, 0.5])?;
/// let document = SparseVector::new(vec![TermId(2), TermId(9)], vec![1.0, 2.0])?;
/// assert_eq!(query.dot(&document), 1.0);
/// # Ok::<(), splade_sparse::VectorError>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SparseVector {
    /// The terms, ascending and unique.
    terms: Vec<TermId>,
    /// The weights in the order of `terms`, finite and above zero.
    weights: Vec<f32>,
}

/// The reason why terms and weights do not form a sparse vector.
///
/// ```
/// use splade_sparse::{SparseVector, TermId, VectorError};
///
/// let refused = SparseVector::new(vec![TermId(7), TermId(3)], vec![1.0, 0.5]);
/// assert_eq!(refused, Err(VectorError::Order { term: TermId(3) }));
/// // The pairs of a vector may come in any order.
/// let vector = SparseVector::from_pairs(vec![(TermId(7), 1.0), (TermId(3), 0.5)])?;
/// assert_eq!(vector.terms(), [TermId(3), TermId(7)]);
/// # Ok::<(), VectorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// The numbers of terms and weights differ.
    #[error("{terms} terms but {weights} weights")]
    Lengths {
        /// The number of terms.
        terms: usize,
        /// The number of weights.
        weights: usize,
    },
    /// A term occurs twice, or follows a larger one.
    #[error("term {term} occurs twice or is out of order")]
    Order {
        /// The second of the two terms that are equal or in the wrong order.
        term: TermId,
    },
    /// A weight is zero, negative, infinite or not a number.
    #[error("term {term} has weight {weight}; weights are finite and above zero")]
    Weight {
        /// The first term with an invalid weight.
        term: TermId,
        /// The invalid weight.
        weight: f32,
    },
}

impl SparseVector {
    /// Makes a vector of ascending terms and their weights.
    ///
    /// # Errors
    /// Returns an error if the numbers of terms and weights differ, if a term occurs twice or is
    /// out of order, or if a weight is not finite and above zero.
    pub fn new(terms: Vec<TermId>, weights: Vec<f32>) -> Result<Self, VectorError> {
        if terms.len() != weights.len() {
            return Err(VectorError::Lengths { terms: terms.len(), weights: weights.len() });
        }
        if let Some(pair) = terms.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(VectorError::Order { term: pair[1] });
        }
        for (term, weight) in terms.iter().zip(&weights) {
            if !(weight.is_finite() && *weight > 0.0) {
                return Err(VectorError::Weight { term: *term, weight: *weight });
            }
        }
        Ok(Self { terms, weights })
    }

    /// Makes a vector of terms and weights in any order.
    ///
    /// # Errors
    /// Returns an error if a term occurs twice, or if a weight is not finite and above zero.
    pub fn from_pairs(mut pairs: Vec<(TermId, f32)>) -> Result<Self, VectorError> {
        pairs.sort_by_key(|(term, _)| *term);
        let (terms, weights) = pairs.into_iter().unzip();
        Self::new(terms, weights)
    }

    /// Returns the number of terms.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Returns whether the vector has no terms.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns the terms in ascending order.
    pub fn terms(&self) -> &[TermId] {
        &self.terms
    }

    /// Returns the weights in the order of the terms.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Returns the terms and their weights in ascending order of terms.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TermId, f32)> + '_ {
        self.terms.iter().copied().zip(self.weights.iter().copied())
    }

    /// Returns the weight of a term, or 0 if the vector does not have the term.
    pub fn weight(&self, term: TermId) -> f32 {
        self.terms.binary_search(&term).map_or(0.0, |at| self.weights[at])
    }

    /// Returns the dot product of two vectors, which is the score of their texts. The products are
    /// summed in ascending order of terms and in f64, and the sum is rounded once.
    pub fn dot(&self, other: &SparseVector) -> f32 {
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        let mut sum = 0.0;
        while let (Some((term_a, x)), Some((term_b, y))) = (a.peek(), b.peek()) {
            match term_a.cmp(term_b) {
                std::cmp::Ordering::Less => _ = a.next(),
                std::cmp::Ordering::Greater => _ = b.next(),
                std::cmp::Ordering::Equal => {
                    sum += f64::from(*x) * f64::from(*y);
                    a.next();
                    b.next();
                }
            }
        }
        sum as f32
    }

    /// Returns the terms and their weights in descending order of weights. Equal weights are in
    /// ascending order of terms.
    pub fn by_weight(&self) -> Vec<(TermId, f32)> {
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        pairs
    }

    /// Returns the vector of the `count` terms with the largest weights. Of equal weights, the one
    /// of the lower term counts as larger.
    #[must_use]
    pub fn top_k(&self, count: usize) -> Self {
        if count >= self.len() {
            return self.clone();
        }
        let mut pairs = self.by_weight();
        pairs.truncate(count);
        pairs.sort_by_key(|(term, _)| *term);
        let (terms, weights) = pairs.into_iter().unzip();
        Self { terms, weights }
    }

    /// Returns the vector of the terms whose weight is at least `threshold`.
    #[must_use]
    pub fn at_least(&self, threshold: f32) -> Self {
        let (terms, weights) = self.iter().filter(|(_, weight)| *weight >= threshold).unzip();
        Self { terms, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn vector(pairs: &[(u32, f32)]) -> SparseVector {
        let pairs = pairs.iter().map(|(term, weight)| (TermId(*term), *weight));
        SparseVector::from_pairs(pairs.collect()).expect("a valid vector")
    }

    #[test]
    fn refuses_what_is_no_vector() {
        let new = |terms: &[u32], weights: &[f32]| {
            let terms = terms.iter().map(|term| TermId(*term)).collect();
            SparseVector::new(terms, weights.to_vec()).map_err(|error| error.to_string())
        };
        assert!(new(&[], &[]).is_ok());
        let cases: [(&[u32], &[f32], &str); 7] = [
            (&[1], &[], "1 terms but 0 weights"),
            (&[1, 1], &[1.0, 1.0], "term 1 occurs twice or is out of order"),
            (&[2, 1], &[1.0, 1.0], "term 1 occurs twice or is out of order"),
            (&[1], &[0.0], "term 1 has weight 0; weights are finite and above zero"),
            (&[1], &[-1.0], "term 1 has weight -1; weights are finite and above zero"),
            (&[1], &[f32::NAN], "term 1 has weight NaN; weights are finite and above zero"),
            (&[1], &[f32::INFINITY], "term 1 has weight inf; weights are finite and above zero"),
        ];
        for (terms, weights, message) in cases {
            assert_eq!(new(terms, weights), Err(message.to_owned()));
        }
    }

    #[test]
    fn ties_go_to_the_lower_term() {
        let v = vector(&[(5, 1.0), (3, 1.0), (9, 2.0), (1, 0.5)]);
        assert_eq!(v.top_k(2), vector(&[(3, 1.0), (9, 2.0)]));
        assert_eq!(v.by_weight()[1], (TermId(3), 1.0));
        assert_eq!(v.at_least(1.0), vector(&[(3, 1.0), (5, 1.0), (9, 2.0)]));
        assert_eq!(v.weight(TermId(9)), 2.0);
        assert_eq!(v.weight(TermId(8)), 0.0);
    }

    fn pairs() -> impl Strategy<Value = BTreeMap<u32, f32>> {
        proptest::collection::btree_map(0..60u32, 1e-6f32..10.0, 0..40)
    }

    proptest! {
        #[test]
        fn dot_is_the_sum_over_all_terms(a in pairs(), b in pairs()) {
            let expected: f64 = (0..60)
                .map(|t| f64::from(*a.get(&t).unwrap_or(&0.0)) * f64::from(*b.get(&t).unwrap_or(&0.0)))
                .sum();
            let make = |m: &BTreeMap<u32, f32>| vector(&m.iter().map(|(t, w)| (*t, *w)).collect::<Vec<_>>());
            prop_assert_eq!(make(&a).dot(&make(&b)), expected as f32);
            prop_assert_eq!(make(&b).dot(&make(&a)), expected as f32);
        }

        #[test]
        fn top_k_keeps_the_largest(a in pairs(), k in 0..50usize) {
            let v = vector(&a.iter().map(|(t, w)| (*t, *w)).collect::<Vec<_>>());
            let top = v.top_k(k);
            prop_assert_eq!(top.len(), k.min(v.len()));
            let smallest = top.weights().iter().copied().fold(f32::INFINITY, f32::min);
            for (term, weight) in v.iter() {
                prop_assert!(top.weight(term) == weight || weight <= smallest);
            }
        }
    }
}
