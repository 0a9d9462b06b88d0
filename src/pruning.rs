//! Which weights of a vector are kept.
//!
//! The four rules are the types of pruning that OpenSearch's `sparse_encoding` processor and `neural_sparse` query have,
//! under the same names and with the same results (`PruneUtils` of its plugin neural-search, 2.19 and 3.x).

use serde_json::{Value, json};
use splade_sparse::SparseVector;

use crate::error::{Error, advised};

/// Drops the small weights of a vector.
///
/// Several rules apply one after another in the order of the fields, each to what the one before it has left.
/// OpenSearch applies one. Of equal weights, those of smaller term ids count as larger.
///
/// ```
/// use light_splade::encode::Pruning;
/// use light_splade::{SparseVector, TermId};
///
/// let vector = SparseVector::new(vec![TermId(1), TermId(5), TermId(7)], vec![0.2, 1.5, 0.5])?;
/// let kept = |pruning: Pruning| pruning.apply(vector.clone()).terms().to_vec();
/// let top_k = Pruning { top_k: Some(1), ..Pruning::default() };
/// assert_eq!(kept(top_k), [TermId(5)]);
/// let max_ratio = Pruning { max_ratio: Some(0.3), ..Pruning::default() };
/// assert_eq!(kept(max_ratio), [TermId(5), TermId(7)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pruning {
    /// Keeps weights of at least this: OpenSearch's `abs_value`.
    pub threshold: Option<f32>,
    /// Keeps weights of at least this share of the largest weight.
    pub max_ratio: Option<f32>,
    /// Keeps the largest weights as long as their sum is at most this share of the sum of all. Where the largest weight
    /// alone is more, nothing is kept.
    pub alpha_mass: Option<f32>,
    /// Keeps so many of the largest weights.
    pub top_k: Option<usize>,
}

impl Pruning {
    /// Refuses numbers that OpenSearch refuses, too.
    ///
    /// # Errors
    /// If the threshold is below zero, a share is not from 0 to 1 exclusive, or no weight is to be kept.
    pub fn check(&self) -> Result<(), Error> {
        let least = |name: &str, value: Option<f32>| match value {
            Some(value) if !(value.is_finite() && value >= 0.0) => Err(advised(
                format!("{name} is {value}"),
                format!("{name} is a weight: a number of at least 0"),
            )),
            _ => Ok(()),
        };
        let share = |name: &str, value: Option<f32>| match value {
            Some(value) if !(0.0..1.0).contains(&value) => Err(advised(
                format!("{name} is {value}"),
                format!("{name} is a share: at least 0 and less than 1"),
            )),
            _ => Ok(()),
        };
        least("the threshold (abs_value)", self.threshold)?;
        share("max_ratio", self.max_ratio)?;
        share("alpha_mass", self.alpha_mass)?;
        match self.top_k {
            Some(0) => Err(advised("top_k is 0", "top_k is a number of terms: at least 1")),
            _ => Ok(()),
        }
    }

    /// Returns the vector without the weights that are not kept.
    pub fn apply(&self, mut vector: SparseVector) -> SparseVector {
        if let Some(threshold) = self.threshold {
            vector = vector.at_least(threshold);
        }
        if let Some(share) = self.max_ratio {
            let largest = vector.weights().iter().copied().fold(0.0, f32::max);
            vector = vector.at_least(share * largest);
        }
        if let Some(share) = self.alpha_mass {
            vector = vector.top_k(within_mass(&vector, share));
        }
        if let Some(count) = self.top_k {
            vector = vector.top_k(count);
        }
        vector
    }

    /// The rules that apply, by their names: the keys under which settings of vectors and indexes have them.
    pub(crate) fn named(&self) -> [(&'static str, Option<Value>); 4] {
        [
            ("top_k", self.top_k.map(|count| json!(count))),
            ("threshold", self.threshold.map(|number| json!(number))),
            ("max_ratio", self.max_ratio.map(|number| json!(number))),
            ("alpha_mass", self.alpha_mass.map(|number| json!(number))),
        ]
    }

    /// Reads what [`named`](Self::named) gave out of settings.
    pub(crate) fn from_json(settings: &Value) -> Self {
        let number = |key: &str| settings[key].as_f64().map(|number| number as f32);
        Self {
            threshold: number("threshold"),
            max_ratio: number("max_ratio"),
            alpha_mass: number("alpha_mass"),
            top_k: settings["top_k"].as_u64().and_then(|count| usize::try_from(count).ok()),
        }
    }
}

/// The number of the largest weights whose sum is at most a share of the sum of all. The sums are those of OpenSearch:
/// of all weights in double precision, of the largest in single.
fn within_mass(vector: &SparseVector, share: f32) -> usize {
    let sum = vector.weights().iter().map(|weight| f64::from(*weight)).sum::<f64>() as f32;
    let mut largest: Vec<f32> = vector.weights().to_vec();
    largest.sort_by(|a, b| b.total_cmp(a));
    let mut mass = 0.0;
    let fits = |weight: &&f32| {
        mass += **weight;
        mass <= share * sum
    };
    largest.iter().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use splade_sparse::TermId;

    use super::*;

    fn vector(weights: &[f32]) -> SparseVector {
        let pairs = weights.iter().enumerate().map(|(term, weight)| (TermId(term as u32), *weight));
        SparseVector::from_pairs(pairs.collect()).expect("a vector")
    }

    fn kept(pruning: Pruning, weights: &[f32]) -> Vec<u32> {
        assert!(pruning.check().is_ok());
        pruning.apply(vector(weights)).terms().iter().map(|term| term.0).collect()
    }

    /// The expected terms are computed by hand from the definitions of OpenSearch.
    #[test]
    fn the_rules_are_those_of_opensearch() {
        let none = Pruning::default();
        let weights = [1.0, 4.0, 2.0, 0.5, 2.5];
        let ratio = |share| Pruning { max_ratio: Some(share), ..none };
        assert_eq!(kept(ratio(0.5), &weights), [1, 2, 4]);
        assert_eq!(kept(ratio(0.51), &weights), [1, 4]);
        assert_eq!(kept(ratio(0.0), &weights), [0, 1, 2, 3, 4]);
        let threshold = |weight| Pruning { threshold: Some(weight), ..none };
        assert_eq!(kept(threshold(2.0), &weights), [1, 2, 4]);
        assert_eq!(kept(threshold(0.0), &weights).len(), 5);
        // The sum is 10. The largest are 4, 2.5, 2 and 1, whose sums are 4, 6.5, 8.5 and 9.5.
        let mass = |share| Pruning { alpha_mass: Some(share), ..none };
        assert_eq!(kept(mass(0.85), &weights), [1, 2, 4]);
        assert_eq!(kept(mass(0.84), &weights), [1, 4]);
        assert_eq!(kept(mass(0.4), &weights), [1]);
        assert_eq!(kept(mass(0.39), &weights), [0; 0]);
        assert_eq!(kept(mass(0.95), &weights), [0, 1, 2, 4]);
        let top = |count| Pruning { top_k: Some(count), ..none };
        assert_eq!(kept(top(2), &weights), [1, 4]);
        // Equal weights: the smaller terms stay.
        assert_eq!(kept(top(1), &[3.0, 3.0]), [0]);
        assert_eq!(kept(mass(0.5), &[3.0, 3.0]), [0]);
        for pruning in [ratio(0.9), threshold(9.0), mass(0.9), top(3), none] {
            assert!(kept(pruning, &[]).is_empty());
        }
        // One after another: 4, 2.5, 2 are left, then 4 and 2.5 (of 8.5), then 4.
        let all = Pruning {
            threshold: Some(1.5),
            max_ratio: Some(0.5),
            alpha_mass: Some(0.8),
            top_k: Some(1),
        };
        assert_eq!(kept(all, &weights), [1]);
        assert_eq!(kept(Pruning { top_k: None, ..all }, &weights), [1, 4]);
    }

    #[test]
    fn settings_come_back() {
        let all = Pruning {
            threshold: Some(0.1),
            max_ratio: Some(0.3),
            alpha_mass: Some(0.7),
            top_k: Some(9),
        };
        for pruning in
            [all, Pruning::default(), Pruning { max_ratio: Some(0.2), ..Pruning::default() }]
        {
            let mut settings = json!({});
            for (key, value) in pruning.named() {
                settings[key] = json!(value);
            }
            assert_eq!(Pruning::from_json(&settings), pruning);
        }
    }

    #[test]
    fn numbers_that_prune_nothing_sensible_are_refused() {
        let none = Pruning::default();
        for (pruning, message) in [
            (Pruning { threshold: Some(-1.0), ..none }, "the threshold (abs_value) is -1"),
            (Pruning { threshold: Some(f32::NAN), ..none }, "the threshold (abs_value) is NaN"),
            (Pruning { max_ratio: Some(1.0), ..none }, "max_ratio is 1"),
            (Pruning { alpha_mass: Some(-0.1), ..none }, "alpha_mass is -0.1"),
            (Pruning { top_k: Some(0), ..none }, "top_k is 0"),
        ] {
            let error = pruning.check().expect_err("refused");
            assert_eq!(error.to_string(), message);
            assert!(error.hint().is_some());
        }
    }
}
