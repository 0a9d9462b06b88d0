//! BM25 as sparse vectors: the baseline that every sparse model is held against.
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
//! | symbol | is |
//! |---|---|
//! | `tf(t, d)`, `qf(t)` | how often `t` stands in the document, in the query |
//! | `df(t)`, `N` | documents that have `t`; all documents |
//! | `\|d\|`, `avgdl` | tokens of the document; their mean over all documents |
//! | `k1`, `b` | how soon more of a term adds nothing; how much longer documents lose |
//!
//! That is a dot product of the counts of the query and of weights of the document, so that the
//! index that serves SPLADE serves BM25 too, exactly if it keeps weights in 32 bits.

use std::collections::HashMap;

use splade_sparse::{SparseVector, TermId};

/// The constants of BM25.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25Options {
    /// `k1`, at least 0.
    pub k1: f64,
    /// `b`, from 0 to 1.
    pub b: f64,
}

impl Default for Bm25Options {
    /// `k1` .9 and `b` .4, as Anserini and Pyserini.
    fn default() -> Self {
        Self { k1: 0.9, b: 0.4 }
    }
}

/// How often each token stands in a text: the vector of a query, and what [`Bm25`] makes the vector
/// of a document of. Exact up to 16,777,216 of one token.
pub fn token_counts(ids: &[u32]) -> SparseVector {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let runs = ids.chunk_by(|a, b| a == b);
    let (terms, counts) = runs.map(|run| (TermId(run[0]), run.len() as f32)).unzip();
    SparseVector::new(terms, counts).expect("runs ascend and none is empty: this is a bug")
}

/// What BM25 knows of a collection.
#[derive(Debug, Clone)]
pub struct Bm25 {
    options: Bm25Options,
    /// `N`.
    documents: u64,
    /// Tokens of all documents.
    tokens: f64,
    /// `df(t)`, where it is not 0.
    frequencies: HashMap<TermId, u64>,
}

impl Bm25 {
    /// A collection without documents.
    pub fn new(options: Bm25Options) -> Self {
        Self { options, documents: 0, tokens: 0.0, frequencies: HashMap::new() }
    }

    /// Counts a document, given by its [`token_counts`].
    pub fn add(&mut self, counts: &SparseVector) {
        self.documents += 1;
        self.tokens += length(counts);
        for term in counts.terms() {
            *self.frequencies.entry(*term).or_default() += 1;
        }
    }

    /// The vector of a document, once all documents are counted. A term that no counted document
    /// has is weighted as if `df` were 0.
    pub fn document(&self, counts: &SparseVector) -> SparseVector {
        let Bm25Options { k1, b } = self.options;
        let mean = self.tokens / self.documents.max(1) as f64;
        // Without any token there is no term whose weight it could enter.
        let relative = if mean > 0.0 { length(counts) / mean } else { 0.0 };
        let damping = k1 * (1.0 - b + b * relative);
        let weight = |(term, count): (TermId, f32)| {
            let tf = f64::from(count);
            (self.idf(term) * tf / (tf + damping)) as f32
        };
        let weights = counts.iter().map(weight).collect();
        SparseVector::new(counts.terms().to_vec(), weights)
            .expect("idf and tf are above zero: this is a bug")
    }

    fn idf(&self, term: TermId) -> f64 {
        let df = self.frequencies.get(&term).copied().unwrap_or(0) as f64;
        // A document may be weighted that was not counted.
        let others = (self.documents as f64 - df).max(0.0);
        (1.0 + (others + 0.5) / (df + 0.5)).ln()
    }
}

/// `|d|`.
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

    /// Worked out by hand: three documents of 4, 2 and 0 tokens, so that avgdl is 2. Term 7 stands
    /// twice in the first and once in the second: idf = ln(1 + 1.5 / 2.5) = .470004. Term 5 stands
    /// in the first alone: idf = ln(1 + 2.5 / 1.5) = .980829.
    ///
    /// The first has k1 (1 - b + b 4/2) = .9 (.6 + .8) = 1.26, the second .9 (.6 + .4) = .9:
    /// 7 in the first .470004 · 2 / 3.26 = .288346, 5 in it .980829 / 2.26 = .433995,
    /// 7 in the second .470004 / 1.9 = .247370.
    #[test]
    fn weights_of_three_documents() {
        let documents = [vec![7, 5, 7, 9], vec![8, 7], vec![]];
        let vectors = vectors(&documents, Bm25Options::default());
        let close = |got: f32, want: f32| assert!((got - want).abs() < 1e-6, "{got} {want}");
        close(vectors[0].weight(TermId(7)), 0.288_346);
        close(vectors[0].weight(TermId(5)), 0.433_995);
        close(vectors[1].weight(TermId(7)), 0.247_370);
        assert!(vectors[2].is_empty());
        // A term twice in the query counts twice.
        close(token_counts(&[7, 5, 7]).dot(&vectors[0]), 2.0 * 0.288_346 + 0.433_995);
        // A text that was never counted, in a collection of nothing.
        let stray = Bm25::new(Bm25Options::default()).document(&token_counts(&[1]));
        close(stray.weight(TermId(1)), 2f32.ln() / (1.0 + 0.9 * 0.6));
    }

    /// The formula, read token by token.
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
