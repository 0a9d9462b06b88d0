//! BM25 as sparse vectors: the baseline with which every sparse model is compared.
//!
//! The score of a document `d` for a query `q`, over terms `t` (Robertson and Zaragoza, "The
//! Probabilistic Relevance Framework", 2009, section 3; the variant of Lucene from version 8 on, as
//! Kamphuis et al., ECIR 2020, name it, but with lengths that are not rounded to a byte):
//!
//! ```text
//! score(q, d) = Σ qf(t) · idf(t) · tf(t, d) / (tf(t, d) + k1 · (1 - b + b · |d| / avgdl))
//! idf(t)      = ln(1 + (N - df(t) + .5) / (df(t) + .5))
//! ```
//!
//! | symbol | meaning |
//! |---|---|
//! | `tf(t, d)`, `qf(t)` | number of occurrences of `t` in the document, in the query |
//! | `df(t)`, `N` | number of documents that contain `t`; number of all documents |
//! | `\|d\|`, `avgdl` | number of tokens of the document; its mean over all documents |
//! | `k1`, `b` | saturation of the term frequency; strength of the length normalization |
//!
//! The score is a dot product of the query's counts and the document's weights. The index for
//! SPLADE vectors therefore serves BM25 too, and its scores are exact with weights of 32 bits.

use std::collections::HashMap;

use splade_sparse::{SparseVector, TermId};

/// The parameters of BM25.
///
/// ```
/// use splade_index::bm25::{Bm25Options, token_counts};
/// use splade_sparse::TermId;
///
/// // With a `k1` of 0, only a term's presence counts.
/// let counts = token_counts(&[7, 7, 7, 9]);
/// let weight = |k1| Bm25Options { k1, b: 0.4 }.saturated(&counts, 4.0).weight(TermId(7));
/// assert_eq!(weight(0.0), 1.0);
/// assert!(weight(2.0) < weight(0.9));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25Options {
    /// The saturation of the term frequency, at least 0. With 0, only a term's presence counts.
    pub k1: f64,
    /// The strength of the length normalization, from 0 (none) to 1 (full).
    pub b: f64,
}

impl Default for Bm25Options {
    /// Returns `k1` 0.9 and `b` 0.4, the defaults of Anserini and Pyserini.
    fn default() -> Self {
        Self { k1: 0.9, b: 0.4 }
    }
}

impl Bm25Options {
    /// Returns `tf / (tf + k1 · (1 - b + b · |d| / avgdl))` of every term of a document, given as its
    /// [`token_counts`]: its weights without `idf`, which do not change when other documents come
    /// or go. With an `avgdl` of 0 the length has no influence.
    pub fn saturated(&self, counts: &SparseVector, avgdl: f64) -> SparseVector {
        let damping = self.damping(counts, avgdl);
        weighted(counts, |_, tf| tf / (tf + damping))
    }

    /// Returns `k1 · (1 - b + b · |d| / avgdl)` of a document.
    fn damping(&self, counts: &SparseVector, avgdl: f64) -> f64 {
        let relative = if avgdl > 0.0 { length(counts) / avgdl } else { 0.0 };
        self.k1 * (1.0 - self.b + self.b * relative)
    }
}

/// Returns `idf(t)` of a term that `frequency` of `documents` documents contain. It is always above
/// zero.
///
/// ```
/// use splade_index::bm25::idf;
///
/// // A rare word tells more than one that most documents have.
/// assert!(idf(1000, 3) > 5.0);
/// assert!(idf(1000, 900) < 0.2);
/// ```
pub fn idf(documents: u64, frequency: u64) -> f64 {
    let others = documents.saturating_sub(frequency) as f64;
    (1.0 + (others + 0.5) / (frequency as f64 + 0.5)).ln()
}

/// Returns the vector of a text's terms with weights that depend on the term and its count.
fn weighted(counts: &SparseVector, weight: impl Fn(TermId, f64) -> f64) -> SparseVector {
    let weight = |(term, count): (TermId, f32)| weight(term, f64::from(count)) as f32;
    let weights = counts.iter().map(weight).collect();
    SparseVector::new(counts.terms().to_vec(), weights)
        .expect("idf and tf are above zero: this is a bug")
}

/// Counts the occurrences of each token in a text. The counts are the BM25 vector of a query, and
/// the input of [`Bm25::add`] and [`Bm25::document`]. They are exact up to 16,777,216 occurrences
/// of one token.
///
/// ```
/// use splade_index::bm25::token_counts;
/// use splade_sparse::TermId;
///
/// let counts = token_counts(&[9, 7, 7]);
/// assert_eq!(counts.iter().collect::<Vec<_>>(), [(TermId(7), 2.0), (TermId(9), 1.0)]);
/// ```
pub fn token_counts(ids: &[u32]) -> SparseVector {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let runs = ids.chunk_by(|a, b| a == b);
    let (terms, counts) = runs.map(|run| (TermId(run[0]), run.len() as f32)).unzip();
    SparseVector::new(terms, counts).expect("runs ascend and none is empty: this is a bug")
}

/// The statistics of a collection from which BM25 computes the weights of documents.
///
/// ```
/// use splade_index::bm25::{Bm25, Bm25Options, token_counts};
/// use splade_sparse::TermId;
///
/// let mut bm25 = Bm25::new(Bm25Options::default());
/// for ids in [[3, 7], [3, 9], [3, 4]] {
///     bm25.add(&token_counts(&ids));
/// }
/// let document = bm25.document(&token_counts(&[3, 7]));
/// assert!(document.weight(TermId(7)) > document.weight(TermId(3)), "7 is rarer");
/// ```
#[derive(Debug, Clone)]
pub struct Bm25 {
    options: Bm25Options,
    /// `N`, the number of documents counted so far.
    documents: u64,
    /// The number of tokens of all documents together.
    tokens: f64,
    /// `df(t)` of every term for which it is not 0.
    frequencies: HashMap<TermId, u64>,
}

impl Bm25 {
    /// Returns the statistics of a collection without documents.
    pub fn new(options: Bm25Options) -> Self {
        Self { options, documents: 0, tokens: 0.0, frequencies: HashMap::new() }
    }

    /// Adds a document, given as its [`token_counts`], to the statistics.
    pub fn add(&mut self, counts: &SparseVector) {
        self.documents += 1;
        self.tokens += length(counts);
        for term in counts.terms() {
            *self.frequencies.entry(*term).or_default() += 1;
        }
    }

    /// Returns the vector of a document. Call it after [`add`](Self::add) for every document of the
    /// collection. A term that occurs in no added document is weighted with a `df` of 0.
    pub fn document(&self, counts: &SparseVector) -> SparseVector {
        // With a mean of 0 every added document is empty, so its length has no meaning here.
        let mean = self.tokens / self.documents.max(1) as f64;
        let damping = self.options.damping(counts, mean);
        let frequency = |term| self.frequencies.get(&term).copied().unwrap_or(0);
        weighted(counts, |term, tf| idf(self.documents, frequency(term)) * tf / (tf + damping))
    }
}

/// Returns the query's vector from its [`token_counts`]: `qf(t) · idf(t)` of every term of which
/// `frequency` is not 0. Together with [`Bm25Options::saturated`] it gives the scores of [`Bm25`].
///
/// ```
/// use splade_index::bm25::{idf, query, token_counts};
/// use splade_sparse::TermId;
///
/// // Of 1,000 documents three have term 7, and none has term 9.
/// let frequency = |term: TermId| if term == TermId(7) { 3 } else { 0 };
/// let vector = query(&token_counts(&[7, 9, 7]), 1000, frequency);
/// assert_eq!(vector.terms(), [TermId(7)]);
/// assert_eq!(vector.weights(), [2.0 * idf(1000, 3) as f32]);
/// ```
pub fn query(
    counts: &SparseVector,
    documents: u64,
    frequency: impl Fn(TermId) -> u64,
) -> SparseVector {
    let weight = |(term, count): (TermId, f32)| match frequency(term) {
        0 => None,
        found => Some((term, (f64::from(count) * idf(documents, found)) as f32)),
    };
    SparseVector::from_pairs(counts.iter().filter_map(weight).collect())
        .expect("counts and idf are above zero: this is a bug")
}

/// Returns `|d|`, the number of tokens of a document.
fn length(counts: &SparseVector) -> f64 {
    counts.weights().iter().map(|count| f64::from(*count)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vectors(documents: &[Vec<u32>], options: Bm25Options) -> Vec<SparseVector> {
        let counts: Vec<_> = documents.iter().map(|ids| token_counts(ids)).collect();
        let mut bm25 = Bm25::new(options);
        counts.iter().for_each(|counts| bm25.add(counts));
        counts.iter().map(|counts| bm25.document(counts)).collect()
    }

    /// Compares with weights computed by hand for three documents of 4, 2 and 0 tokens, so that
    /// avgdl is 2. Term 7 occurs twice in the first and once in the second document, so its idf is
    /// ln(1 + 1.5 / 2.5) = .470004. Term 5 occurs only in the first, so its idf is
    /// ln(1 + 2.5 / 1.5) = .980829.
    ///
    /// The length term k1 (1 - b + b |d| / avgdl) is .9 (.6 + .8) = 1.26 for the first document and
    /// .9 (.6 + .4) = .9 for the second. The weights are therefore .470004 · 2 / 3.26 = .288346 for
    /// term 7 and .980829 / 2.26 = .433995 for term 5 in the first document, and
    /// .470004 / 1.9 = .247370 for term 7 in the second.
    #[test]
    fn weights_of_three_documents() {
        let documents = [vec![7, 5, 7, 9], vec![8, 7], vec![]];
        let vectors = vectors(&documents, Bm25Options::default());
        let close = |got: f32, want: f32| assert!((got - want).abs() < 1e-6, "{got} {want}");
        close(vectors[0].weight(TermId(7)), 0.288_346);
        close(vectors[0].weight(TermId(5)), 0.433_995);
        close(vectors[1].weight(TermId(7)), 0.247_370);
        assert!(vectors[2].is_empty());
        // A term that occurs twice in the query counts twice.
        close(token_counts(&[7, 5, 7]).dot(&vectors[0]), 2.0 * 0.288_346 + 0.433_995);
        // A text that was never added can be weighted, even in an empty collection.
        let stray = Bm25::new(Bm25Options::default()).document(&token_counts(&[1]));
        close(stray.weight(TermId(1)), 2f32.ln() / (1.0 + 0.9 * 0.6));
    }

    /// Computes the score of a document directly from the formula, token by token.
    fn slow(query: &[u32], documents: &[Vec<u32>], at: usize, k1: f64, b: f64) -> f64 {
        let n = documents.len() as f64;
        let avgdl = documents.iter().map(Vec::len).sum::<usize>() as f64 / n;
        let mut score = 0.0;
        for token in query {
            let tf = documents[at].iter().filter(|t| *t == token).count() as f64;
            if tf > 0.0 {
                let df = documents.iter().filter(|d| d.contains(token)).count() as f64;
                let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
                score += idf * tf / (tf + k1 * (1.0 - b + b * documents[at].len() as f64 / avgdl));
            }
        }
        score
    }

    proptest! {
        #[test]
        fn dot_products_are_the_formula(
            documents in proptest::collection::vec(proptest::collection::vec(0..9u32, 0..20), 1..8),
            query in proptest::collection::vec(0..10u32, 0..6),
            (k1, b) in (0.0..3.0f64, 0.0..=1.0f64),
        ) {
            let vectors = vectors(&documents, Bm25Options { k1, b });
            let query_vector = token_counts(&query);
            for (at, vector) in vectors.iter().enumerate() {
                let want = slow(&query, &documents, at, k1, b);
                // Each weight is rounded to f32 once, and the sum once more.
                let got = f64::from(query_vector.dot(vector));
                prop_assert!((got - want).abs() <= 2e-7 * want, "{got} {want}");
            }
        }
    }
}
