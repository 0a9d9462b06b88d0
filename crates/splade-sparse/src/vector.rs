//! The sparse vector of a text.

use std::fmt;

/// An entry of a model's vocabulary, the dimension of a sparse vector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TermId(pub u32);

impl fmt::Display for TermId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Weights of the terms that a text activates: terms ascending and unique, weights finite and
/// above zero.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SparseVector {
    /// Ascending, no term twice.
    terms: Vec<TermId>,
    /// As long as `terms`; finite and above zero.
    weights: Vec<f32>,
}

/// Why numbers are no sparse vector.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// Terms and weights differ in number.
    #[error("{terms} terms but {weights} weights")]
    Lengths {
        /// Number of terms.
        terms: usize,
        /// Number of weights.
        weights: usize,
    },
    /// A term stands twice or after a larger one.
    #[error("term {term} is there twice or out of order")]
    Order {
        /// The term.
        term: TermId,
    },
    /// A weight is zero, negative, infinite or not a number.
    #[error("term {term} has weight {weight}; weights are finite and above zero")]
    Weight {
        /// The term.
        term: TermId,
        /// Its weight.
        weight: f32,
    },
}

impl SparseVector {
    /// A vector of ascending terms and their weights.
    ///
    /// # Errors
    /// If terms are out of order, or a weight is not finite and above zero.
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

    /// A vector of terms in any order.
    ///
    /// # Errors
    /// If a term stands twice, or a weight is not finite and above zero.
    pub fn from_pairs(mut pairs: Vec<(TermId, f32)>) -> Result<Self, VectorError> {
        pairs.sort_by_key(|(term, _)| *term);
        let (terms, weights) = pairs.into_iter().unzip();
        Self::new(terms, weights)
    }

    /// Number of terms.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether there is no term.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms, ascending.
    pub fn terms(&self) -> &[TermId] {
        &self.terms
    }

    /// The weights in the order of the terms.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Terms and weights, terms ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TermId, f32)> + '_ {
        self.terms.iter().copied().zip(self.weights.iter().copied())
    }

    /// The weight of a term; 0 where the text does not activate it.
    pub fn weight(&self, term: TermId) -> f32 {
        self.terms.binary_search(&term).map_or(0.0, |at| self.weights[at])
    }

    /// The score of two texts: the sum of the products of their weights, terms ascending, added up
    /// in f64 and rounded once.
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

    /// Terms and weights, weights descending, equal ones by term.
    pub fn by_weight(&self) -> Vec<(TermId, f32)> {
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        pairs
    }

    /// The `count` terms of the largest weights; of equal ones those with the lower term.
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

    /// The terms whose weight is at least `threshold`.
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
            (&[1, 1], &[1.0, 1.0], "term 1 is there twice or out of order"),
            (&[2, 1], &[1.0, 1.0], "term 1 is there twice or out of order"),
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
