//! How well a teacher ranks: the positives and negatives of queries by its scores.
//!
//! The numbers are those of sentence-transformers' `CrossEncoderRerankingEvaluator`, but for equal
//! scores, where positives come last here, so that a model that cannot tell anything apart gets
//! nothing for it.

use rayon::prelude::*;

use super::data::TeacherData;
use super::engine::TeacherEngine;
use crate::error::TrainError;
use splade_model::cross_encoder::PairTokenizer;

/// Ranks that count.
const CUTOFF: usize = 10;

/// A number by which teachers are compared.
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
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Mrr, Self::Ndcg, Self::Map];

    /// As in the config and in logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mrr => "mrr@10",
            Self::Ndcg => "ndcg@10",
            Self::Map => "map",
        }
    }
}

/// Means over all queries.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RerankMetrics {
    /// Mean average precision.
    pub map: f64,
    /// One over the rank of the first positive, up to rank 10.
    pub mrr: f64,
    /// Discounted cumulative gain up to rank 10, as a share of the best.
    pub ndcg: f64,
}

impl RerankMetrics {
    /// One of them.
    pub(super) fn get(&self, metric: RerankMetric) -> f64 {
        match metric {
            RerankMetric::Mrr => self.mrr,
            RerankMetric::Ndcg => self.ndcg,
            RerankMetric::Map => self.map,
        }
    }

    /// Of one query; without a positive they are 0.
    fn of(scores: &[f32], positives: usize) -> Self {
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

/// Ranks the documents of all queries to measure on, `batch` pairs at a time. `keep_on` is asked in
/// between; none if it says no.
///
/// # Errors
/// If a text cannot be read or tokenized.
pub(super) fn rerank(
    engine: &TeacherEngine,
    tokenizer: &PairTokenizer,
    data: &TeacherData,
    batch: usize,
    keep_on: &mut dyn FnMut() -> bool,
) -> Result<Option<RerankMetrics>, TrainError> {
    let mut sum = RerankMetrics::default();
    let count = data.rerank_queries();
    let mut next = 0;
    while next < count {
        if !keep_on() {
            return Ok(None);
        }
        let (mut queries, mut pairs) = (Vec::new(), Vec::new());
        while next < count && pairs.len() < batch {
            let query = data.rerank(next)?;
            queries.push((query.documents.len(), query.positives));
            let of_query = query.documents.into_iter().map(|doc| (query.query.clone(), doc));
            pairs.extend(of_query);
            next += 1;
        }
        let scores = engine.model.score(&tokenizer.encode(&pairs)?)?;
        let mut start = 0;
        let ranges: Vec<_> = queries
            .into_iter()
            .map(|(documents, positives)| {
                start += documents;
                (start - documents..start, positives)
            })
            .collect();
        let metrics: Vec<RerankMetrics> = ranges
            .into_par_iter()
            .map(|(range, positives)| RerankMetrics::of(&scores[range], positives))
            .collect();
        for metrics in metrics {
            sum.map += metrics.map;
            sum.mrr += metrics.mrr;
            sum.ndcg += metrics.ndcg;
        }
    }
    let mean = |sum: f64| sum / count.max(1) as f64;
    Ok(Some(RerankMetrics { map: mean(sum.map), mrr: mean(sum.mrr), ndcg: mean(sum.ndcg) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of sentence-transformers 5.1.0 (`scripts/reference/teacher.py`).
    #[test]
    fn metrics_are_those_of_sentence_transformers() {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/teacher/metrics.json"))
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
