//! How sparse vectors are, and what it costs to search them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use splade_sparse::{SparseVector, TermId};

use crate::EvalError;

/// Popular tokens that a summary lists, as light-splade does.
const POPULAR: usize = 20;

/// Counts of the terms of many vectors. One number a term of the vocabulary, whatever the vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorStatistics {
    texts: u64,
    /// Vectors that have a term, by term.
    documents: Vec<u64>,
    /// Vectors by their number of terms.
    lengths: BTreeMap<usize, u64>,
}

/// What counts say about vectors.
///
/// Named and defined as light-splade's `SparseIndexer.stats`, but of all vectors instead of 20,000
/// random ones, not rounded, and with tokens as popular as one another by term.
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticsSummary {
    /// Number of vectors.
    pub texts: u64,
    /// Terms a vector, on average.
    pub avg_nnz: f64,
    /// The share of the vocabulary that a vector does not have, on average.
    pub avg_sparsity: f64,
    /// Terms that any vector has.
    pub num_unique_tokens: usize,
    /// Those of them whose token begins with `##`, as pieces inside a word do in WordPiece.
    pub num_unique_subtokens: usize,
    /// The 20 terms that most vectors have, with the share of the vectors, from 0 to 1.
    pub top_popular_tokens: Vec<(String, f64)>,
    /// The share of the vectors that have the most popular term.
    pub most_popular_appear_in_docs: f64,
    /// Vectors by their number of terms.
    pub terms_per_text: BTreeMap<usize, u64>,
}

impl VectorStatistics {
    /// No vectors yet, of a vocabulary of `vocab` terms.
    pub fn new(vocab: usize) -> Self {
        Self { texts: 0, documents: vec![0; vocab], lengths: BTreeMap::new() }
    }

    /// Counts a vector.
    ///
    /// # Errors
    /// If a term lies outside the vocabulary; nothing is counted then.
    pub fn add(&mut self, vector: &SparseVector) -> Result<(), EvalError> {
        // Terms ascend: the last one is the largest.
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

    /// Number of vectors.
    pub fn texts(&self) -> u64 {
        self.texts
    }

    /// The share of the vectors that have a term; 0 without vectors.
    pub fn share(&self, term: TermId) -> f64 {
        let documents = self.documents.get(term.0 as usize).copied().unwrap_or(0);
        documents as f64 / self.texts.max(1) as f64
    }

    /// What the counts say. `token` names a term; one without a name is shown by its number.
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

/// The FLOPS metric: the multiplications that a query and a document take on average.
///
/// `Σ p_q(t) · p_d(t)` over the terms, with the shares of the queries and documents that have the
/// term (SPLADE, arXiv 2107.05720, section 4, after Paria et al., arXiv 2004.05665). It is the
/// mean over all pairs of the number of terms that the two have in common.
pub fn expected_flops(queries: &VectorStatistics, documents: &VectorStatistics) -> f64 {
    let common = queries.documents.iter().zip(&documents.documents);
    let pairs: f64 = common.map(|(q, d)| *q as f64 * *d as f64).sum();
    pairs / (queries.texts.max(1) as f64 * documents.texts.max(1) as f64)
}

impl StatisticsSummary {
    /// An object with a member a field; popular tokens are pairs of token and share.
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
        assert_eq!(
            error,
            "term 5 is outside the vocabulary of 5 terms; is this the model's vector?"
        );
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
