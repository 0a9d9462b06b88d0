//! Warnings about runs that go wrong without an error: vectors without terms, and vectors that stay
//! dense.

use crate::run::StepReport;

/// The number of steps before a warning about dense vectors, even if the regularizers reach their
/// full λ earlier.
const SETTLING: f64 = 100.0;

/// The state of the warnings; each is given once.
#[derive(Debug, Clone)]
pub(super) struct Watchdog {
    vocab: usize,
    /// The number of steps until both regularizers have reached their full λ, at least
    /// [`SETTLING`].
    full_strength: f64,
    said_empty: bool,
    said_dense: bool,
}

impl Watchdog {
    pub(super) fn new(vocab: usize, full_strength: f64) -> Self {
        Self {
            vocab,
            full_strength: full_strength.max(SETTLING),
            said_empty: false,
            said_dense: false,
        }
    }

    /// Returns a warning about a step, if there is a reason for one.
    pub(super) fn look(&mut self, report: &StepReport) -> Option<String> {
        let step = report.step;
        for batch in &report.batches {
            for (side, terms) in
                [("query", &batch.query_terms), ("document", &batch.document_terms)]
            {
                if !self.said_empty && !terms.is_empty() && terms.iter().all(|count| *count == 0) {
                    self.said_empty = true;
                    return Some(format!(
                        "step {step}: every {side} of a batch has an empty vector, and empty \
                         vectors get no gradient\nhint: start a new run with a smaller \
                         training.regularizers.*.lambda_ or learning_rate, or a larger T"
                    ));
                }
            }
        }
        if self.said_dense || (step as f64) < self.full_strength {
            return None;
        }
        let counts = report.batches.iter().flat_map(|batch| &batch.document_terms);
        let mut counts: Vec<usize> = counts.copied().collect();
        counts.sort_unstable();
        let median = *counts.get(counts.len() / 2)?;
        self.said_dense = median > self.vocab / 4;
        self.said_dense.then(|| {
            format!(
                "step {step}: the median document has {median} of {} terms although the \
                 regularizers have their full strength\nhint: raise \
                 training.regularizers.*.lambda_; for a model that is not yet a SPLADE model, \
                 set model.init.target_terms",
                self.vocab
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::BatchReport;

    fn report(step: u64, query_terms: &[usize], document_terms: &[usize]) -> StepReport {
        let batch = BatchReport {
            query_terms: query_terms.to_vec(),
            document_terms: document_terms.to_vec(),
            ..BatchReport::default()
        };
        StepReport { step, batches: vec![batch], ..StepReport::default() }
    }

    #[test]
    fn says_each_thing_once() {
        let mut watchdog = Watchdog::new(100, 200.0);
        assert_eq!(watchdog.look(&report(0, &[0, 1], &[90, 90])), None);
        assert_eq!(watchdog.look(&report(200, &[1, 1], &[90, 3, 25])), None);
        let dense = watchdog.look(&report(200, &[1, 1], &[3, 26, 90])).expect("dense");
        assert!(dense.contains("26 of 100 terms"), "{dense}");
        assert_eq!(watchdog.look(&report(201, &[1, 1], &[90, 90])), None);
        let empty = watchdog.look(&report(202, &[1], &[0, 0])).expect("empty");
        assert!(empty.starts_with("step 202: every document of a batch"), "{empty}");
        assert_eq!(watchdog.look(&report(203, &[0], &[0, 0])), None);
    }
}
