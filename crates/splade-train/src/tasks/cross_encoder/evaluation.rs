//! Evaluation: a cross-encoder ranks the positives and negatives of queries by its scores.

use rayon::prelude::*;
use splade_model::cross_encoder::PairTokenizer;

use crate::error::TrainError;

use super::data::CrossEncoderData;
use super::engine::CrossEncoderEngine;
use super::metrics::RerankMetrics;

/// Ranks the documents of all queries of the evaluation, `batch` pairs at a time. Returns `None` if
/// `stop`, which is called between batches, returns true.
///
/// # Errors
/// Returns an error if a text cannot be read or tokenized.
pub(super) fn rerank(
    engine: &CrossEncoderEngine,
    tokenizer: &PairTokenizer,
    data: &CrossEncoderData,
    batch: usize,
    stop: &mut dyn FnMut() -> bool,
) -> Result<Option<RerankMetrics>, TrainError> {
    let mut sum = RerankMetrics::default();
    let count = data.rerank_queries();
    let mut next = 0;
    while next < count {
        if stop() {
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
