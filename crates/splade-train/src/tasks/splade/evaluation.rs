//! Evaluation during a run: the loss on the held-out samples, and retrieval over the validation
//! set, with the names and the rounding of the Python library (`evaluator/evaluator.py`).
//!
//! The search is exact, and documents with equal scores are in the order of their file. The Python
//! library also ranks documents that share no term with the query, in an undefined order. With
//! `compat.zero_scores` these documents come at the end, the last of the file first.

use std::path::Path;

use hydra_compose::settings::SettingError;
use splade_eval::{EvalError, EvaluateOptions, Metric, Run, Scored, VectorStatistics, evaluate};
use splade_index::{
    Hit, Index, IndexOptions, IndexWriter, SearchOptions, WeightFormat, WriterOptions,
};
use splade_io::NewFolder;
use splade_sparse::{SparseVector, TermId};

use crate::config::Config;
use crate::engine::Terms;
use crate::error::TrainError;
use crate::run::{Evaluation, rounded};
use splade_data::{DataError, Texts, TrainingData, ValidationData};
use splade_logs::{Expansion, Series};

use super::batch::Tokenization;
use super::step::Stepper;
use super::teacher::TeacherVectors;
use super::towers::Towers;

/// The number of texts that are encoded at a time; it does not change their vectors.
const WINDOW: usize = 256;
/// The number of texts of each side whose expansions are logged, and the number of terms in each.
const SHOWN: (usize, usize) = (3, 12);

/// Returns the mean loss over batches of the held-out samples, or `None` if there are none. As in
/// Python, a smaller last batch counts as much as the others.
///
/// # Errors
/// Returns an error if a text is missing.
pub(crate) fn held_out_loss(
    stepper: &Stepper,
    data: &TrainingData,
    tokenization: &Tokenization,
    teacher: Option<&dyn TeacherVectors>,
    batch: usize,
) -> Result<Option<f64>, TrainError> {
    let (count, batch) = (data.held_out(), batch.max(1));
    let mut sum = 0.0;
    for start in (0..count).step_by(batch) {
        let samples: Vec<_> =
            (start..(start + batch).min(count)).map(|i| data.held_out_sample(i)).collect();
        sum += stepper.loss(&tokenization.batch(data, &samples, teacher)?)?;
    }
    Ok((count > 0).then(|| sum / count.div_ceil(batch) as f64))
}

/// Encodes the validation set and searches it. The index is in a temporary folder beside `folder`,
/// which is removed at the end.
///
/// # Errors
/// Returns an error if a text cannot be encoded or the index cannot be written.
pub(crate) fn retrieval(
    towers: &Towers,
    tokenization: &Tokenization,
    validation: &ValidationData,
    config: &Config,
    folder: &Path,
) -> Result<Evaluation, TrainError> {
    let metrics = metrics(config)?;
    let depth = metrics.iter().filter_map(|(_, metric)| metric.cutoff()).max();
    let depth = depth.map_or(1000, std::num::NonZeroUsize::get);
    let long = config.training.compat.long_queries;
    let length = if long { tokenization.model_length } else { tokenization.max_length };

    let documents = |texts: &[Vec<u32>]| towers.encode_documents(texts);
    let queries = |texts: &[Vec<u32>]| towers.encode_queries(texts);
    let vocab = towers.vocab();
    let (mut shown_documents, mut shown_queries) = (Vec::new(), Vec::new());
    let mut document_statistics = VectorStatistics::new(vocab);
    let mut query_statistics = VectorStatistics::new(vocab);

    let temporary = NewFolder::create_unlocked(folder)?;
    let folder = temporary.path();
    let options = IndexOptions { weights: WeightFormat::F32, ..IndexOptions::default() };
    let mut writer = IndexWriter::create(folder, options, WriterOptions::default())?;
    let ids = |text: &str| tokenization.document(text);
    each_vector(&validation.docs, &ids, &documents, &mut |row, id, vector| {
        document_statistics.add(&vector)?;
        writer.put(&id.to_string(), &vector)?;
        show(&mut shown_documents, "document", &validation.docs, row, &vector, tokenization);
        Ok(())
    })?;
    writer.commit()?;
    drop(writer);

    let opened = Index::open(folder)?;
    let mut run = Run::default();
    let (mut query_ids, mut vectors) = (Vec::new(), Vec::new());
    let ids = |text: &str| tokenization.query(text, length);
    each_vector(&validation.queries, &ids, &queries, &mut |row, id, vector| {
        query_statistics.add(&vector)?;
        show(&mut shown_queries, "query", &validation.queries, row, &vector, tokenization);
        query_ids.push(id);
        vectors.push(vector);
        Ok(())
    })?;
    let options = SearchOptions { k: depth, ..SearchOptions::default() };
    let found = opened.search_all(&vectors, &options, None)?;
    for (id, hits) in query_ids.iter().zip(found) {
        let mut ranked: Vec<String> = hits.into_iter().map(|hit: Hit| hit.id).collect();
        if config.training.compat.zero_scores {
            add_others(&mut ranked, &validation.docs, depth);
        }
        // The scores are derived from the ranks, so that documents with equal scores keep their
        // order.
        let scored = ranked
            .into_iter()
            .enumerate()
            .map(|(rank, document)| Scored { document, score: (depth - rank) as f32 });
        run.insert(&id.to_string(), scored.collect())?;
    }
    drop(opened);
    drop(temporary);

    let options = EvaluateOptions {
        ignore_identical_ids: config.training.compat.identical_ids,
        ..EvaluateOptions::default()
    };
    let kinds: Vec<Metric> = metrics.iter().map(|(_, metric)| *metric).collect();
    let report = evaluate(&validation.positives, &run, &kinds, &options)?;
    let mean = |metric: &Metric| {
        let at = report.metrics.iter().position(|found| found == metric);
        at.map_or(0.0, |at| rounded(report.means[at], 5))
    };
    let mut values: Vec<(String, f64)> =
        metrics.iter().map(|(name, metric)| (format!("eval_{name}"), mean(metric))).collect();
    let token = |term: TermId| tokenization.tokenizer.token(term.0);
    let summary = document_statistics.summary(token);
    let tokens = tokenization.tokenizer.len().max(1) as f64;
    let statistics = [
        summary.avg_nnz.floor(),
        1.0 - summary.avg_nnz / tokens,
        summary.num_unique_tokens as f64,
        summary.num_unique_subtokens as f64,
        rounded(summary.most_popular_appear_in_docs, 2),
    ];
    values.extend(Series::EVAL_STATISTICS.map(str::to_owned).into_iter().zip(statistics));
    values.push((AVG_QUERY_TERMS.to_owned(), query_statistics.summary(token).avg_nnz));
    let expansions = shown_queries.into_iter().chain(shown_documents).collect();
    Ok(Evaluation { values, expansions: Some(expansions) })
}

/// The mean number of terms in a validation query (light-splade only).
pub(crate) const AVG_QUERY_TERMS: &str = "eval_avg_query_nnz";

/// Returns the metrics of the config, each with the name that it has there.
///
/// # Errors
/// Returns an error if a metric is not known.
pub(super) fn metrics(config: &Config) -> Result<Vec<(String, Metric)>, TrainError> {
    let parse = |name: &String| {
        let metric =
            name.parse().map_err(TrainError::failed::<EvalError>("training.validation_metrics"))?;
        Ok((name.clone(), metric))
    };
    let metrics: Vec<_> =
        config.training.validation_metrics.iter().map(parse).collect::<Result<_, TrainError>>()?;
    if metrics.is_empty() {
        let rule = "At least one metric must be provided!";
        return Err(SettingError::new("training.validation_metrics", rule).into());
    }
    Ok(metrics)
}

/// Calls `each` with the row, the id and the vector of every text.
fn each_vector(
    texts: &Texts,
    ids: &dyn Fn(&str) -> Result<Vec<u32>, TrainError>,
    encode: &dyn Fn(&[Vec<u32>]) -> Vec<Terms>,
    each: &mut dyn FnMut(usize, i64, SparseVector) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let all: Vec<i64> = texts.ids().collect();
    for start in (0..all.len()).step_by(WINDOW) {
        let rows = start..(start + WINDOW).min(all.len());
        let tokens = rows.clone().map(|row| {
            let gone = || {
                TrainError::Training(DataError::Changed {
                    what: format!("the text of {} is missing", all[row]),
                })
            };
            ids(&texts.text_at(row).ok_or_else(gone)?)
        });
        let tokens: Vec<Vec<u32>> = tokens.collect::<Result<_, TrainError>>()?;
        for (row, Terms { terms, weights }) in rows.zip(encode(&tokens)) {
            let terms = terms.into_iter().map(TermId).collect();
            let vector = SparseVector::new(terms, weights)
                .map_err(|source| TrainError::Vector { id: all[row], source })?;
            each(row, all[row], vector)?;
        }
    }
    Ok(())
}

/// Appends documents that share no term with the query, the last of the file first.
fn add_others(ranked: &mut Vec<String>, docs: &Texts, depth: usize) {
    if ranked.len() >= depth {
        return;
    }
    let found: std::collections::HashSet<String> = ranked.iter().cloned().collect();
    let all: Vec<i64> = docs.ids().collect();
    let others = all.into_iter().rev().map(|id| id.to_string()).filter(|id| !found.contains(id));
    ranked.extend(others.take(depth - ranked.len()));
}

fn show(
    shown: &mut Vec<Expansion>,
    side: &'static str,
    texts: &Texts,
    row: usize,
    vector: &SparseVector,
    tokenization: &Tokenization,
) {
    if shown.len() >= SHOWN.0 {
        return;
    }
    let name = |term: TermId| match tokenization.tokenizer.token(term.0) {
        Some(token) => token.to_owned(),
        None => format!("[{}]", term.0),
    };
    let terms = vector.by_weight().into_iter().take(SHOWN.1);
    shown.push(Expansion {
        side,
        text: texts.text_at(row).unwrap_or_default().into_owned(),
        terms: terms.map(|(term, weight)| (name(term), weight)).collect(),
    });
}
