//! The quantisation of weights by search engines, and its effect on scores.
//!
//! Lucene's `FeatureField` stores the upper 17 bits of a weight's f32 without the sign: 8 bits of
//! exponent and 9 significant bits, of which one is implicit. The other bits are cut off.
//! OpenSearch's Seismic stores `round(255 · min(weight, ceiling) / ceiling)` and takes ids modulo
//! 2^15. This module computes the same values, so that the effect is known before documents are
//! loaded.

use std::collections::BTreeMap;
use std::fmt;

use splade_io::Problem;
use splade_sparse::{SparseVector, TermId};

/// The way in which a search engine rounds the weights of documents and queries.
///
/// ```
/// use splade_export::Quantisation;
/// use splade_sparse::{SparseVector, TermId};
///
/// let vector = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?;
/// // Anserini's impacts: the weights times 100, rounded.
/// let impacts = Quantisation::Integers { documents: 100.0, queries: None };
/// let small = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.256, 0.004])?;
/// assert_eq!(impacts.document(&small).weights(), [1.26], "the second term is left out");
/// assert_eq!(impacts.query(&vector), vector);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantisation {
    /// Weights are stored exactly, as 32-bit floats.
    Exact,
    /// Weights are stored as `round(weight · scale)`, with halves rounded up. A term whose integer
    /// is 0 is omitted.
    Integers {
        /// The scale of documents.
        documents: f32,
        /// The scale of queries, or `None` if queries are exact.
        queries: Option<f32>,
    },
    /// Weights of documents are stored in Lucene's `FeatureField`; queries are exact.
    FeatureField,
    /// Weights are stored as bytes. Of terms with equal ids modulo 32,768, the one with the largest
    /// weight is stored.
    SeismicBytes {
        /// The weight in a document that is stored as 255; larger weights are stored as 255 too.
        documents: f32,
        /// The weight in a query that is sent as 255; larger weights are sent as 255 too.
        queries: f32,
    },
}

/// The number of terms that OpenSearch's Seismic distinguishes.
pub(crate) const SEISMIC_TERMS: u32 = 1 << 15;

impl Quantisation {
    /// Returns the vector of a document after quantisation, in the unit of the original weights.
    #[must_use]
    pub fn document(&self, vector: &SparseVector) -> SparseVector {
        match *self {
            Self::Exact => vector.clone(),
            Self::Integers { documents, .. } => integers(vector, documents),
            Self::FeatureField => {
                map(vector, |weight| f32::from_bits(weight.to_bits() >> 15 << 15))
            }
            Self::SeismicBytes { documents, .. } => bytes(vector, documents),
        }
    }

    /// Returns the vector of a query after quantisation, in the unit of the original weights.
    #[must_use]
    pub fn query(&self, vector: &SparseVector) -> SparseVector {
        match *self {
            Self::Integers { queries: Some(scale), .. } => integers(vector, scale),
            Self::SeismicBytes { queries, .. } => bytes(vector, queries),
            Self::Exact | Self::FeatureField | Self::Integers { queries: None, .. } => {
                vector.clone()
            }
        }
    }
}

impl fmt::Display for Quantisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("weights are kept as they are"),
            Self::Integers { documents, queries: None } => {
                write!(f, "weights of documents become integers, {documents} times as large")
            }
            Self::Integers { documents, queries: Some(queries) } => write!(
                f,
                "weights become integers, {documents} times as large in documents and {queries} \
                 times as large in queries"
            ),
            Self::FeatureField => {
                f.write_str("the search engine stores 9 significant bits of weights of documents")
            }
            Self::SeismicBytes { documents, queries } => write!(
                f,
                "the search engine stores weights as bytes: 255 means {documents} in documents and \
                 {queries} in queries"
            ),
        }
    }
}

/// Returns `round(weight · scale)`, with halves rounded up.
pub(crate) fn integer(weight: f32, scale: f32) -> u64 {
    (f64::from(weight) * f64::from(scale) + 0.5).floor() as u64
}

/// Returns the terms with their impacts, without those that are 0.
///
/// # Errors
/// Returns a message if an impact is larger than [`i32::MAX`].
pub(crate) fn impacts(vector: &SparseVector, scale: f32) -> Result<Vec<(TermId, u64)>, Problem> {
    let mut impacts = Vec::with_capacity(vector.len());
    for (term, weight) in vector.iter() {
        let impact = integer(weight, scale);
        if impact > i32::MAX as u64 {
            let what = format!(
                "term {term} has the weight {weight}, and {scale} times this is more than {}",
                i32::MAX
            );
            return Err(Problem::new(what).with_remedy("give a smaller scale"));
        }
        if impact > 0 {
            impacts.push((term, impact));
        }
    }
    Ok(impacts)
}

/// Quantises weights by [`Quantisation::Integers`].
fn integers(vector: &SparseVector, scale: f32) -> SparseVector {
    map(vector, |weight| integer(weight, scale) as f32 / scale)
}

/// Quantises weights by [`Quantisation::SeismicBytes`].
fn bytes(vector: &SparseVector, ceiling: f32) -> SparseVector {
    let mut folded: BTreeMap<u32, f32> = BTreeMap::new();
    for (term, weight) in vector.iter() {
        let byte = (weight.min(ceiling) * 255.0 / ceiling + 0.5).floor();
        let largest = folded.entry(term.0 % SEISMIC_TERMS).or_default();
        *largest = largest.max(byte);
    }
    let pairs = folded.into_iter().map(|(term, byte)| (TermId(term), byte * ceiling / 255.0));
    SparseVector::from_pairs(pairs.filter(|(_, weight)| *weight > 0.0).collect())
        .expect("terms of a map are different: this is a bug")
}

/// Replaces each weight by the result of a function. Weights that become 0 are omitted.
fn map(vector: &SparseVector, weight: impl Fn(f32) -> f32) -> SparseVector {
    let pairs = vector.iter().map(|(term, w)| (term, weight(w))).filter(|(_, w)| *w > 0.0);
    SparseVector::from_pairs(pairs.collect()).expect("terms stay different: this is a bug")
}

/// A random sample of a stream of vectors, in which each has the same chance (Vitter's algorithm
/// R). The sample is the same in every execution.
///
/// ```
/// use splade_export::Sample;
/// use splade_sparse::{SparseVector, TermId};
///
/// let mut sample = Sample::new(10);
/// for number in 1..=1000 {
///     sample.offer(&SparseVector::new(vec![TermId(7)], vec![number as f32])?);
/// }
/// assert_eq!(sample.vectors().len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sample {
    vectors: Vec<SparseVector>,
    /// The maximum number of vectors.
    size: usize,
    /// The number of vectors in the stream so far.
    offered: u64,
}

impl Sample {
    /// Makes an empty sample of at most `size` vectors.
    pub fn new(size: usize) -> Self {
        Self { vectors: Vec::new(), size, offered: 0 }
    }

    /// Takes the next vector of the stream, which may replace another one in the sample.
    pub fn offer(&mut self, vector: &SparseVector) {
        self.offered += 1;
        if self.vectors.len() < self.size {
            self.vectors.push(vector.clone());
            return;
        }
        let place = mix(self.offered) % self.offered;
        if let Some(vector_of_place) = self.vectors.get_mut(place as usize) {
            vector_of_place.clone_from(vector);
        }
    }

    /// Returns the vectors of the sample.
    pub fn vectors(&self) -> &[SparseVector] {
        &self.vectors
    }
}

/// Returns a pseudo-random number that depends only on `number` (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The effect of quantisation on the ten best documents of a set of queries.
///
/// ```
/// use splade_export::{Effect, Quantisation};
/// use splade_sparse::{SparseVector, TermId};
///
/// let vectors = [1.0, 1.004, 2.0].map(|weight| SparseVector::new(vec![TermId(7)], vec![weight]));
/// let vectors = vectors.into_iter().collect::<Result<Vec<_>, _>>()?;
/// let quantisation = Quantisation::Integers { documents: 10.0, queries: None };
/// let effect = Effect::measure(&quantisation, &[], &vectors).expect("scores above zero");
/// assert!(effect.largest > 0.0 && effect.largest < 0.01, "{effect}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The number of queries that have a document with a score above zero.
    pub queries: usize,
    /// The number of documents that were scored for each query.
    pub documents: usize,
    /// The largest relative error of a score.
    pub largest: f64,
    /// The mean relative error of a score.
    pub mean: f64,
    /// The share of the ten best documents that are among the ten best after quantisation.
    pub overlap: f64,
}

/// The number of documents of a ranking that are compared.
const BEST: usize = 10;

impl Effect {
    /// Measures the effect by scoring every document for at most 100 queries, with exact and with
    /// quantised weights. Without queries, each document is a query for the others. Returns `None`
    /// if no score is above zero.
    pub fn measure(
        quantisation: &Quantisation,
        queries: &[SparseVector],
        documents: &[SparseVector],
    ) -> Option<Self> {
        let themselves = queries.is_empty();
        let queries = if themselves { documents } else { queries };
        let kept: Vec<_> = documents.iter().map(|vector| quantisation.document(vector)).collect();
        let (mut counted, mut scores) = (0, 0);
        let (mut largest, mut sum, mut same, mut best_of_all) = (0.0f64, 0.0, 0, 0);
        for (place, query) in queries.iter().enumerate().take(QUERIES) {
            let kept_query = quantisation.query(query);
            let skip = themselves.then_some(place);
            let exact = scores_of(query, documents, skip);
            let quantised = scores_of(&kept_query, &kept, skip);
            let (best, best_now) = (best(&exact), best(&quantised));
            if best.is_empty() {
                continue;
            }
            counted += 1;
            best_of_all += best.len();
            same += best.iter().filter(|document| best_now.contains(document)).count();
            for &document in &best {
                let (want, got) = (f64::from(exact[document]), f64::from(quantised[document]));
                let error = (got - want).abs() / want;
                largest = largest.max(error);
                sum += error;
                scores += 1;
            }
        }
        (counted > 0).then(|| Self {
            queries: counted,
            documents: documents.len(),
            largest,
            mean: sum / scores as f64,
            overlap: same as f64 / best_of_all as f64,
        })
    }
}

/// The maximum number of queries that are scored.
const QUERIES: usize = 100;

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queries, documents, largest, mean, overlap } = self;
        write!(
            f,
            "scores of the 10 best of {documents} documents for {queries} queries: relative error \
             {:.3} % at most, {:.3} % on average; {:.1} % of the 10 best stay",
            largest * 100.0,
            mean * 100.0,
            overlap * 100.0
        )
    }
}

/// Returns the score of each document. The document at `skip` gets 0.
fn scores_of(query: &SparseVector, documents: &[SparseVector], skip: Option<usize>) -> Vec<f32> {
    let score = |(place, document)| match skip == Some(place) {
        true => 0.0,
        false => query.dot(document),
    };
    documents.iter().enumerate().map(score).collect()
}

/// Returns the places of the ten best scores above zero. Of equal scores, the first counts as
/// better.
fn best(scores: &[f32]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).filter(|&place| scores[place] > 0.0).collect();
    places.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    places.truncate(BEST);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(pairs: &[(u32, f32)]) -> SparseVector {
        let pairs = pairs.iter().map(|(term, weight)| (TermId(*term), *weight));
        SparseVector::from_pairs(pairs.collect()).expect("a vector")
    }

    #[test]
    fn weights_become_what_engines_keep() {
        let v = vector(&[(1, 1.0), (2, 1.2345), (3, 0.004), (32_769, 2.0)]);
        let integers = Quantisation::Integers { documents: 100.0, queries: None };
        assert_eq!(integers.document(&v), vector(&[(1, 1.0), (2, 1.23), (32_769, 2.0)]));
        assert_eq!(integers.query(&v), v);
        // 1.2345 is 0x3F9E0419, and its nine significant bits are 0x3F9E0000, which is 1.234375.
        let nine = Quantisation::FeatureField.document(&v);
        assert_eq!(nine.weight(TermId(2)), 1.234_375);
        assert_eq!(nine.weight(TermId(1)), 1.0);
        let bytes = Quantisation::SeismicBytes { documents: 1.5, queries: 3.0 };
        // Term 32,769 is stored as term 1. The larger weight is kept, limited to the ceiling.
        let want = [(1, 1.5), (2, 210.0 * 1.5 / 255.0), (3, 1.5 / 255.0)];
        assert_eq!(bytes.document(&v), vector(&want));
        assert_eq!(bytes.query(&v).weight(TermId(1)), 170.0 * 3.0 / 255.0);
    }

    #[test]
    fn the_effect_is_that_on_scores() {
        let documents = [vector(&[(1, 1.004), (2, 2.0)]), vector(&[(1, 1.0)]), vector(&[(5, 1.0)])];
        let queries = [vector(&[(1, 1.0)])];
        let effect = |quantisation| Effect::measure(quantisation, &queries, &documents);
        let exact = effect(&Quantisation::Exact).expect("scores");
        assert_eq!((exact.largest, exact.mean, exact.overlap), (0.0, 0.0, 1.0));
        assert_eq!((exact.queries, exact.documents), (1, 3));
        let rough = Quantisation::Integers { documents: 100.0, queries: Some(100.0) };
        let rough = effect(&rough).expect("scores");
        // Of the two scores, 1.004 becomes 1.00, and the other stays the same.
        assert!((rough.largest - 0.004 / 1.004).abs() < 1e-6, "{rough:?}");
        assert!((rough.mean - 0.002 / 1.004).abs() < 1e-6, "{rough:?}");
        assert_eq!(rough.overlap, 1.0);
        // Documents take the place of queries, and no document is scored for itself.
        let own = Effect::measure(&Quantisation::Exact, &[], &documents).expect("scores");
        assert_eq!(own.queries, 2);
        assert_eq!(Effect::measure(&Quantisation::Exact, &[], &documents[2..]), None);
    }

    #[test]
    fn a_sample_is_of_all_that_was_offered() {
        let mut sample = Sample::new(100);
        for term in 0..10_000 {
            sample.offer(&vector(&[(term, 1.0)]));
        }
        let terms: Vec<u32> = sample.vectors().iter().map(|v| v.terms()[0].0).collect();
        assert_eq!(terms.len(), 100);
        // The mean of a hundred random terms below 10,000 is 5,000 with a standard deviation of
        // 289.
        let mean = terms.iter().sum::<u32>() / 100;
        assert!((3_800..6_200).contains(&mean), "{mean}");
    }
}
