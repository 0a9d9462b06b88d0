//! Compares what a search engine found with the scores that it has to give.

/// Sums of f32 differ by this share: some hundred roundings of 2^-24 each at the most.
const ROUNDING: f64 = 1e-5;

/// What was found for all queries.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Hits that there should be.
    wanted: usize,
    /// Hits that are among the best.
    shared: usize,
    /// Queries with too few hits, with one that is none of the best, or in another order.
    ranked_wrong: usize,
    /// Expected and found scores of hits.
    scores: Vec<(f64, f64)>,
}

impl Comparison {
    /// Adds the hits of a query, given as places of documents, against the scores of all.
    pub(super) fn add(&mut self, expected: &[f64], hits: &[(usize, f64)], k: usize) {
        let mut best: Vec<usize> = (0..expected.len()).filter(|&d| expected[d] > 0.0).collect();
        best.sort_by(|&a, &b| expected[b].total_cmp(&expected[a]).then(a.cmp(&b)));
        best.truncate(k);
        let least = best.last().map_or(0.0, |&last| expected[last]) * (1.0 - ROUNDING);
        let good = hits.iter().filter(|&&(d, _)| expected[d] > 0.0 && expected[d] >= least).count();
        let ordered = hits.is_sorted_by(|a, b| a.1 >= b.1);
        self.wanted += best.len();
        self.shared += good;
        self.ranked_wrong += usize::from(good != best.len() || good != hits.len() || !ordered);
        self.scores.extend(hits.iter().map(|&(document, score)| (expected[document], score)));
    }

    /// The share of the best documents that was found; equal ones stand for each other.
    pub(super) fn overlap(&self) -> f64 {
        self.shared as f64 / self.wanted.max(1) as f64
    }

    /// The largest share that a score is off by.
    pub(super) fn largest_error(&self) -> f64 {
        self.errors().map(f64::abs).fold(0.0, f64::max)
    }

    /// What is wrong and the likely reason; nothing if all is as it has to be.
    pub(super) fn problem(&self) -> Option<(String, &'static str)> {
        let wrong = self.errors().filter(|error| error.abs() > ROUNDING).count();
        if wrong == 0 && self.ranked_wrong == 0 {
            return None;
        }
        let what = format!(
            "{wrong} of {} scores are wrong, by {:.3} % at the most; {} rankings are wrong",
            self.scores.len(),
            self.largest_error() * 100.0,
            self.ranked_wrong
        );
        let least = self.errors().fold(f64::INFINITY, f64::min);
        let most = self.errors().fold(f64::NEG_INFINITY, f64::max);
        let hint = match () {
            () if wrong == 0 => "documents are left out: is the search an approximate one?",
            () if most - least <= 2.0 * ROUNDING * (1.0 + most) => {
                "all scores are off by one factor: look for a boost in the query or the mapping"
            }
            () if most <= ROUNDING => {
                "scores are too small: terms of queries are left out, or weights cut off; look for \
                 token pruning, and for limits on the number of terms"
            }
            () => {
                "scores are off both ways: look for an ingest pipeline or a plugin that changes \
                 weights, and for another type of the field"
            }
        };
        Some((what, hint))
    }

    /// By what share each score is off.
    fn errors(&self) -> impl Iterator<Item = f64> + '_ {
        self.scores.iter().map(|&(expected, found)| match expected > 0.0 {
            true => (found - expected) / expected,
            false => f64::INFINITY,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten documents with scores 10, 9, … 1, of which three are found with changed scores.
    fn compare(change: impl Fn(usize, f64) -> f64, documents: [usize; 3]) -> Comparison {
        let expected: Vec<f64> = (0..10).map(|d| 10.0 - f64::from(d)).collect();
        let hits: Vec<_> = documents.iter().map(|&d| (d, change(d, expected[d]))).collect();
        let mut comparison = Comparison::default();
        comparison.add(&expected, &hits, 3);
        comparison
    }

    fn hint(comparison: &Comparison) -> &'static str {
        comparison.problem().expect("a problem").1
    }

    #[test]
    fn rounding_is_no_problem_and_all_else_is_one_with_its_hint() {
        let best = [0, 1, 2];
        let sound = compare(|d, s| s * (1.0 - d as f64 * 4e-6), best);
        assert!(sound.problem().is_none());
        assert!((sound.largest_error() - 8e-6).abs() < 1e-12);
        assert_eq!(sound.overlap(), 1.0);
        assert!(hint(&compare(|_, s| s * 1.1, best)).contains("one factor"));
        assert!(hint(&compare(|_, s| s * 0.9, best)).contains("one factor"));
        let pruned = compare(|d, s| if d == 1 { s - 0.5 } else { s }, best);
        assert!(hint(&pruned).contains("pruning"));
        assert!(hint(&compare(|d, s| s + 0.5 - d as f64 * 0.5, best)).contains("both ways"));
        let left_out = compare(|_, s| s, [0, 1, 3]);
        assert!(hint(&left_out).contains("approximate"));
        assert!((left_out.overlap() - 2.0 / 3.0).abs() < 1e-12);
        assert!(compare(|_, s| s, [1, 0, 2]).problem().is_some(), "another order");
    }

    #[test]
    fn hits_are_the_documents_that_score() {
        let problem = |hits: &[(usize, f64)]| {
            let mut comparison = Comparison::default();
            comparison.add(&[3.0, 2.0, 2.0, 0.0], hits, 2);
            comparison.problem()
        };
        assert!(problem(&[(0, 3.0)]).is_some(), "too few");
        assert!(problem(&[(0, 3.0), (1, 2.0)]).is_none());
        assert!(problem(&[(0, 3.0), (2, 2.0)]).is_none(), "equal ones in any order");
        assert!(problem(&[(0, 3.0), (3, 2.0)]).is_some(), "one that shares no term");
    }
}
