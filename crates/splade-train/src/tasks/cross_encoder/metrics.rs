//! How well one query's documents are ranked.
//!
//! The numbers are those of sentence-transformers' `CrossEncoderRerankingEvaluator`, but for equal
//! scores, where positives come last here, so that a model that cannot tell anything apart gets
//! nothing for it.

/// The ranks that count.
const CUTOFF: usize = 10;

/// A metric that cross-encoders are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RerankMetric {
    /// One over the rank of the first positive, up to rank 10.
    Mrr,
    /// Discounted cumulative gain up to rank 10, as a share of the best.
    Ndcg,
    /// Mean average precision.
    Map,
}

impl RerankMetric {
    /// All metrics.
    pub(super) const ALL: [Self; 3] = [Self::Mrr, Self::Ndcg, Self::Map];

    /// Returns the name in the config and in logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mrr => "mrr@10",
            Self::Ndcg => "ndcg@10",
            Self::Map => "map",
        }
    }
}

/// The metrics of a query, or their means over several.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RerankMetrics {
    /// Mean average precision.
    pub(super) map: f64,
    /// One over the rank of the first positive, up to rank 10.
    pub(super) mrr: f64,
    /// Discounted cumulative gain up to rank 10, as a share of the best.
    pub(super) ndcg: f64,
}

impl RerankMetrics {
    /// Returns a metric.
    pub(super) fn get(&self, metric: RerankMetric) -> f64 {
        match metric {
            RerankMetric::Mrr => self.mrr,
            RerankMetric::Ndcg => self.ndcg,
            RerankMetric::Map => self.map,
        }
    }

    /// Computes the metrics of a query whose first documents are the positives; without a positive they
    /// are 0.
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

    /// Values of sentence-transformers 5.1.0 (`scripts/reference/teacher.py`).
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
            for metric in RerankMetric::ALL {
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
