//! The metrics for the ranking of one query's documents.
//!
//! The values are those of sentence-transformers' `CrossEncoderRerankingEvaluator`, except for
//! equal scores: positives come last here, so that a model that gives all documents the same score
//! gets no credit for it.

/// The cut-off of MRR and nDCG.
const CUTOFF: usize = 10;

/// A metric that can select the best cross-encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RerankMetric {
    /// The reciprocal rank of the first positive, with cut-off 10.
    Mrr,
    /// The normalised discounted cumulative gain with cut-off 10.
    Ndcg,
    /// The mean average precision, without a cut-off.
    Map,
}

impl RerankMetric {
    /// The names in configs and logs, in the order in which messages list them.
    pub(super) const NAMES: [(&str, Self); 3] =
        [("mrr@10", Self::Mrr), ("ndcg@10", Self::Ndcg), ("map", Self::Map)];

    /// Returns the name in configs and logs.
    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, metric)| *metric == self).map_or("", |(name, _)| name)
    }
}

/// The metrics of a query, or their means over several queries.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RerankMetrics {
    /// The mean average precision, without a cut-off.
    pub(super) map: f64,
    /// The reciprocal rank of the first positive, with cut-off 10.
    pub(super) mrr: f64,
    /// The normalised discounted cumulative gain with cut-off 10.
    pub(super) ndcg: f64,
}

impl RerankMetrics {
    /// Returns the value of one metric.
    pub(super) fn get(&self, metric: RerankMetric) -> f64 {
        match metric {
            RerankMetric::Mrr => self.mrr,
            RerankMetric::Ndcg => self.ndcg,
            RerankMetric::Map => self.map,
        }
    }

    /// Computes the metrics of a query whose first `positives` documents are the positives. Without
    /// a positive, all metrics are 0.
    pub(super) fn of(scores: &[f32], positives: usize) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(b.cmp(a)));
        let relevant: Vec<bool> = order.iter().map(|at| *at < positives).collect();
        let ranks = || relevant.iter().enumerate().filter(|(_, relevant)| **relevant);
        let discount = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
        let gain: f64 = ranks().take_while(|(r, _)| *r < CUTOFF).map(|(r, _)| discount(r)).sum();
        let best: f64 = (0..positives.min(CUTOFF)).map(discount).sum();
        let first = ranks().next().map(|(rank, _)| rank).filter(|rank| *rank < CUTOFF);
        let precisions =
            ranks().enumerate().map(|(i, (rank, _))| (i + 1) as f64 / (rank + 1) as f64);
        match positives {
            0 => Self::default(),
            _ => Self {
                map: precisions.sum::<f64>() / positives as f64,
                mrr: first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
                ndcg: gain / best,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of sentence-transformers 5.1.0
    /// (`scripts/reference/teacher.py`).
    #[test]
    fn metrics_are_those_of_sentence_transformers() {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/teacher/metrics.json"))
                .expect("JSON");
        let cases = cases.as_array().expect("cases");
        assert!(cases.len() >= 20);
        for case in cases {
            let scores: Vec<f32> = serde_json::from_value(case["scores"].clone()).expect("numbers");
            let positives = case["positives"].as_u64().expect("a number") as usize;
            let got = RerankMetrics::of(&scores, positives);
            for (_, metric) in RerankMetric::NAMES {
                let want = case[metric.name()].as_f64().expect("a number");
                assert!((got.get(metric) - want).abs() < 1e-12, "{} of {case}", metric.name());
            }
        }
    }

    #[test]
    fn what_is_equal_is_ranked_against_the_model() {
        let got = RerankMetrics::of(&[1.0; 4], 1);
        assert_eq!((got.mrr, got.map), (0.25, 0.25));
        assert_eq!(RerankMetrics::of(&[1.0; 4], 0), RerankMetrics::default());
        assert_eq!(RerankMetrics::of(&[], 0), RerankMetrics::default());
    }
}
