//! Statistics of sparse vectors: how sparse they are, and what a search with them costs.
//!
//! ```
//! use splade_eval::statistics::expected_flops;
//! use splade_eval::VectorStatistics;
//! use splade_sparse::{SparseVector, TermId};
//!
//! let vector = |terms: &[u32]| {
//!     SparseVector::new(terms.iter().copied().map(TermId).collect(), vec![1.0; terms.len()])
//! };
//! let (mut queries, mut documents) = (VectorStatistics::new(100), VectorStatistics::new(100));
//! queries.add(&vector(&[3, 7])?)?;
//! documents.add(&vector(&[7, 8, 9])?)?;
//! documents.add(&vector(&[8])?)?;
//! assert_eq!(documents.summary(|_| None).avg_nnz, 2.0);
//! // The query has a term in common with one document of two.
//! assert_eq!(expected_flops(&queries, &documents), 0.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use splade_sparse::{SparseVector, TermId};

use crate::EvalError;

/// The number of popular tokens in a summary, as in light-splade.
const POPULAR: usize = 20;

/// Counts of the terms of many vectors. The memory is one number for each term of the vocabulary,
/// independent of the number of vectors.
///
/// ```
/// use splade_eval::VectorStatistics;
/// use splade_sparse::{SparseVector, TermId};
///
/// let mut statistics = VectorStatistics::new(100);
/// statistics.add(&SparseVector::new(vec![TermId(3), TermId(7)], vec![0.5, 1.5])?)?;
/// statistics.add(&SparseVector::new(vec![TermId(7)], vec![2.0])?)?;
/// assert_eq!(statistics.share(TermId(3)), 0.5);
/// // A vector of another vocabulary is an error.
/// assert!(statistics.add(&SparseVector::new(vec![TermId(100)], vec![1.0])?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorStatistics {
    texts: u64,
    /// For each term, the number of vectors that contain it.
    documents: Vec<u64>,
    /// The number of vectors for each number of terms.
    lengths: BTreeMap<usize, u64>,
}

/// The statistics of a set of vectors.
///
/// Names and definitions are those of light-splade's `SparseIndexer.stats`. However, all vectors
/// are counted instead of 20,000 random ones, numbers are not rounded, and equally popular tokens
/// are sorted by term id.
///
/// ```
/// use splade_eval::VectorStatistics;
/// use splade_sparse::{SparseVector, TermId};
///
/// let vocabulary = ["[PAD]", "night", "##s", "train"];
/// let mut statistics = VectorStatistics::new(vocabulary.len());
/// statistics.add(&SparseVector::new(vec![TermId(1), TermId(2)], vec![1.5, 0.5])?)?;
/// statistics.add(&SparseVector::new(vec![TermId(1)], vec![2.0])?)?;
/// let summary = statistics.summary(|term| vocabulary.get(term.0 as usize).copied());
/// assert_eq!(summary.top_popular_tokens[0], ("night".to_owned(), 1.0));
/// assert_eq!((summary.avg_nnz, summary.num_unique_subtokens), (1.5, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticsSummary {
    /// The number of vectors.
    pub texts: u64,
    /// The mean number of terms in a vector.
    pub avg_nnz: f64,
    /// The mean share of the vocabulary that a vector does not contain.
    pub avg_sparsity: f64,
    /// The number of terms that occur in at least one vector.
    pub num_unique_tokens: usize,
    /// The number of these terms whose token begins with `##`, which marks pieces inside a word in
    /// WordPiece.
    pub num_unique_subtokens: usize,
    /// The 20 most frequent terms, with the share of the vectors that contain them, from 0 to 1.
    pub top_popular_tokens: Vec<(String, f64)>,
    /// The share of the vectors that contain the most frequent term.
    pub most_popular_appear_in_docs: f64,
    /// The number of vectors for each number of terms.
    pub terms_per_text: BTreeMap<usize, u64>,
}

impl VectorStatistics {
    /// Creates empty counts for a vocabulary of `vocab` terms.
    pub fn new(vocab: usize) -> Self {
        Self { texts: 0, documents: vec![0; vocab], lengths: BTreeMap::new() }
    }

    /// Adds the terms of a vector to the counts.
    ///
    /// # Errors
    /// Returns an error if a term lies outside the vocabulary; the vector is not counted then.
    pub fn add(&mut self, vector: &SparseVector) -> Result<(), EvalError> {
        // The terms are in ascending order, so the last one is the largest.
        if let Some(term) = vector.terms().last().filter(|t| t.0 as usize >= self.documents.len()) {
            return Err(EvalError::Term { term: *term, vocab: self.documents.len() });
        }
        self.texts += 1;
        *self.lengths.entry(vector.len()).or_default() += 1;
        for term in vector.terms() {
            self.documents[term.0 as usize] += 1;
        }
        Ok(())
    }

    /// Returns the number of vectors.
    pub fn texts(&self) -> u64 {
        self.texts
    }

    /// Returns the share of the vectors that contain a term; 0 if there are no vectors.
    pub fn share(&self, term: TermId) -> f64 {
        let documents = self.documents.get(term.0 as usize).copied().unwrap_or(0);
        documents as f64 / self.texts.max(1) as f64
    }

    /// Returns the statistics. `token` returns the name of a term; a term without a name is shown
    /// by its number.
    pub fn summary<'a>(&self, token: impl Fn(TermId) -> Option<&'a str>) -> StatisticsSummary {
        let texts = self.texts.max(1) as f64;
        let terms: u64 = self.documents.iter().sum();
        let avg_nnz = terms as f64 / texts;
        let ids = (0..).map(TermId);
        let mut used: Vec<_> = ids.zip(&self.documents).filter(|(_, n)| **n > 0).collect();
        let is_subtoken = |term| token(term).is_some_and(|token| token.starts_with("##"));
        let num_unique_subtokens = used.iter().filter(|(term, _)| is_subtoken(*term)).count();
        used.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(&b.0)));
        let popular = used.iter().take(POPULAR).map(|(term, documents)| {
            let name = token(*term).map_or_else(|| term.to_string(), str::to_owned);
            (name, **documents as f64 / texts)
        });
        StatisticsSummary {
            texts: self.texts,
            avg_nnz,
            avg_sparsity: 1.0 - avg_nnz / self.documents.len().max(1) as f64,
            num_unique_tokens: used.len(),
            num_unique_subtokens,
            top_popular_tokens: popular.collect(),
            most_popular_appear_in_docs: used.first().map_or(0.0, |(_, n)| **n as f64 / texts),
            terms_per_text: self.lengths.clone(),
        }
    }
}

/// Returns the FLOPS metric: the mean number of multiplications for a query and a document.
///
/// The metric is `Σ p_q(t) · p_d(t)` over the terms, where `p_q(t)` and `p_d(t)` are the shares of
/// the queries and documents that contain the term (SPLADE, arXiv 2107.05720, section 4, after
/// Paria et al., arXiv 2004.05665). It equals the mean, over all pairs, of the number of terms that
/// the two have in common.
///
/// ```
/// use splade_eval::VectorStatistics;
/// use splade_eval::statistics::expected_flops;
/// use splade_sparse::{SparseVector, TermId};
///
/// let (mut queries, mut documents) = (VectorStatistics::new(100), VectorStatistics::new(100));
/// queries.add(&SparseVector::new(vec![TermId(3), TermId(7)], vec![1.0, 1.0])?)?;
/// documents.add(&SparseVector::new(vec![TermId(7), TermId(9)], vec![1.0, 1.0])?)?;
/// assert_eq!(expected_flops(&queries, &documents), 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn expected_flops(queries: &VectorStatistics, documents: &VectorStatistics) -> f64 {
    let common = queries.documents.iter().zip(&documents.documents);
    let pairs: f64 = common.map(|(q, d)| *q as f64 * *d as f64).sum();
    pairs / (queries.texts.max(1) as f64 * documents.texts.max(1) as f64)
}

impl StatisticsSummary {
    /// Returns a JSON object with a member for each field; popular tokens are pairs of token and
    /// share.
    pub fn to_json(&self) -> Value {
        let lengths: Map<String, Value> =
            self.terms_per_text.iter().map(|(n, texts)| (n.to_string(), json!(texts))).collect();
        json!({
            "texts": self.texts,
            "avg_nnz": self.avg_nnz,
            "avg_sparsity": self.avg_sparsity,
            "num_unique_tokens": self.num_unique_tokens,
            "num_unique_subtokens": self.num_unique_subtokens,
            "top_popular_tokens": self.top_popular_tokens,
            "most_popular_appear_in_docs": self.most_popular_appear_in_docs,
            "terms_per_text": lengths,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(terms: &[u32]) -> SparseVector {
        let pairs = terms.iter().map(|term| (TermId(*term), 0.5)).collect();
        SparseVector::from_pairs(pairs).expect("a vector")
    }

    fn count(vocab: usize, texts: &[Vec<u32>]) -> VectorStatistics {
        let mut statistics = VectorStatistics::new(vocab);
        for terms in texts {
            statistics.add(&vector(terms)).expect("terms of the vocabulary");
        }
        statistics
    }

    #[test]
    fn summarises_three_vectors() {
        let mut statistics = count(5, &[vec![3, 1], vec![3, 2, 1], vec![]]);
        let error = statistics.add(&vector(&[1, 5])).expect_err("outside").to_string();
        assert_eq!(error, "term 5 is outside the vocabulary of 5 terms");
        let summary = statistics.summary(|term| ["a", "b", "##c"].get(term.0 as usize).copied());
        let name = str::to_owned;
        let want = StatisticsSummary {
            texts: 3,
            avg_nnz: 5.0 / 3.0,
            avg_sparsity: 1.0 - 5.0 / 3.0 / 5.0,
            num_unique_tokens: 3,
            num_unique_subtokens: 1,
            top_popular_tokens: vec![
                (name("b"), 2.0 / 3.0),
                (name("3"), 2.0 / 3.0),
                (name("##c"), 1.0 / 3.0),
            ],
            most_popular_appear_in_docs: 2.0 / 3.0,
            terms_per_text: [(0, 1), (2, 1), (3, 1)].into(),
        };
        assert_eq!(summary, want);
        assert_eq!(statistics.share(TermId(1)), 2.0 / 3.0);
        assert_eq!(statistics.share(TermId(9)), 0.0);
        assert_eq!(summary.to_json()["terms_per_text"]["3"], 1);
        let none = VectorStatistics::new(0).summary(|_| None);
        assert_eq!((none.texts, none.avg_nnz, none.most_popular_appear_in_docs), (0, 0.0, 0.0));
    }

    fn texts() -> impl Strategy<Value = Vec<Vec<u32>>> {
        let terms = proptest::collection::btree_set(0..12u32, 0..9);
        proptest::collection::vec(terms.prop_map(|terms| terms.into_iter().collect()), 1..8)
    }

    proptest! {
        #[test]
        fn flops_are_the_common_terms_of_all_pairs(queries in texts(), documents in texts()) {
            let pairs = queries.iter().flat_map(|q| documents.iter().map(move |d| (q, d)));
            let common: usize = pairs.map(|(q, d)| q.iter().filter(|t| d.contains(t)).count()).sum();
            let want = common as f64 / (queries.len() * documents.len()) as f64;
            let flops = expected_flops(&count(12, &queries), &count(12, &documents));
            prop_assert!((flops - want).abs() < 1e-12, "{flops} {want}");
        }
    }
}
