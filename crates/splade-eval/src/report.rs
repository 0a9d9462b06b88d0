//! The evaluation of a run: values of every query, their means, and how they are shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroUsize;

use serde_json::{Map, Value, json};

use super::metrics::{Metric, MetricKind};
use super::qrels::Qrels;
use super::run::{Run, Scored};
use super::statistics::StatisticsSummary;
use crate::EvalError;

/// Cut-offs of the plot of a metric by `k`, as far as the run goes.
const CURVE: [usize; 11] = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];

/// Which queries a mean is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Averaging {
    /// All queries of the qrels; one that is not in the run counts 0. This is `trec_eval -c` and
    /// ir-measures: leaving hard queries out of a run does not make it better.
    #[default]
    Judged,
    /// Queries both of the qrels and of the run: trec_eval without `-c`, pytrec_eval, and BEIR for
    /// all but MRR, whose sum over these queries it divides by the number of judged ones.
    JudgedAndFound,
}

/// How a run is evaluated. The default counts all judged queries and all documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Which queries the means are over.
    pub averaging: Averaging,
    /// Drops a document from the ranking of the query with the same id, as BEIR does and with it
    /// light-splade's Python program. That serves data whose queries are documents; elsewhere it
    /// may drop the answer.
    pub ignore_identical_ids: bool,
}

/// The evaluation of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The metrics, in the order asked for, each once.
    pub metrics: Vec<Metric>,
    /// Their means over `queries`.
    pub means: Vec<f64>,
    /// The queries that count, by id.
    pub queries: Vec<QueryValues>,
    /// Queries of the qrels that are not in the run.
    pub missing: Vec<String>,
    /// Queries of the run that are not in the qrels; they never count.
    pub unjudged: Vec<String>,
    /// What is known of the vectors, under a name such as `documents`. Empty at first.
    pub statistics: Vec<(String, StatisticsSummary)>,
    /// [`expected_flops`](super::statistics::expected_flops), where it is known. None at first.
    pub flops: Option<f64>,
    pub(super) curves: Vec<Curve>,
}

/// The values of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryValues {
    /// The query's id.
    pub query: String,
    /// A value a metric, in the order of [`Report::metrics`].
    pub values: Vec<f64>,
}

/// Means of a kind of metric at growing cut-offs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    pub(super) kind: MetricKind,
    /// Cut-off and mean.
    pub(super) points: Vec<(usize, f64)>,
}

/// Evaluates a run.
///
/// # Errors
/// If no metric is asked for, or qrels and run have no query in common.
pub fn evaluate(
    qrels: &Qrels,
    run: &Run,
    metrics: &[Metric],
    options: &EvaluateOptions,
) -> Result<Report, EvalError> {
    let mut unique: Vec<Metric> = Vec::new();
    for metric in metrics {
        if !unique.contains(metric) {
            unique.push(*metric);
        }
    }
    check_input(qrels, run, &unique)?;
    let mut curves = curves_of(&unique, run);
    let mut queries = Vec::new();
    let mut missing = Vec::new();
    for (query, grades) in qrels.iter() {
        let ranking = run.get(query);
        if ranking.is_none() {
            missing.push(query.to_owned());
            if options.averaging == Averaging::JudgedAndFound {
                continue;
            }
        }
        let ranking = ranking.unwrap_or_default().iter();
        let counts = |scored: &&Scored| !(options.ignore_identical_ids && scored.document == query);
        let grade = |scored: &Scored| grades.get(&scored.document).copied().unwrap_or(0);
        let ranked: Vec<i32> = ranking.filter(counts).map(grade).collect();
        let mut ideal: Vec<i32> = grades.values().copied().filter(|grade| *grade > 0).collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let values = unique.iter().map(|metric| metric.value(&ranked, &ideal)).collect();
        for Curve { kind, points } in &mut curves {
            for (cutoff, sum) in points {
                let metric = NonZeroUsize::new(*cutoff).map(|cutoff| Metric::at(*kind, cutoff));
                *sum += metric.map_or(0.0, |metric| metric.value(&ranked, &ideal));
            }
        }
        queries.push(QueryValues { query: query.to_owned(), values });
    }
    let count = queries.len() as f64;
    for (_, sum) in curves.iter_mut().flat_map(|curve| &mut curve.points) {
        *sum /= count;
    }
    let mean = |i: usize| queries.iter().map(|query| query.values[i]).sum::<f64>() / count;
    let unjudged = run.iter().map(|(query, _)| query).filter(|query| qrels.get(query).is_none());
    Ok(Report {
        means: (0..unique.len()).map(mean).collect(),
        metrics: unique,
        missing,
        unjudged: unjudged.map(str::to_owned).collect(),
        queries,
        statistics: Vec::new(),
        flops: None,
        curves,
    })
}

fn check_input(qrels: &Qrels, run: &Run, metrics: &[Metric]) -> Result<(), EvalError> {
    if metrics.is_empty() {
        return Err(EvalError::NoMetric);
    }
    let (Some((judged, _)), Some((found, _))) = (qrels.iter().next(), run.iter().next()) else {
        let what = if qrels.is_empty() { "qrels" } else { "run" };
        return Err(EvalError::NoQuery { what });
    };
    if !run.iter().any(|(query, _)| qrels.get(query).is_some()) {
        let (found, judged) = (found.to_owned(), judged.to_owned());
        return Err(EvalError::OtherQueries { found, judged });
    }
    Ok(())
}

/// A curve for every kind of metric, its means still zero.
fn curves_of(metrics: &[Metric], run: &Run) -> Vec<Curve> {
    let depth = run.iter().map(|(_, ranking)| ranking.len()).max().unwrap_or(0);
    let points: Vec<_> = CURVE.into_iter().filter(|k| *k <= depth).map(|k| (k, 0.0)).collect();
    let mut curves: Vec<Curve> = Vec::new();
    for metric in metrics {
        if curves.iter().all(|curve| curve.kind != metric.kind()) {
            curves.push(Curve { kind: metric.kind(), points: points.clone() });
        }
    }
    curves
}

impl Report {
    /// The mean of a metric; none if it was not asked for.
    pub fn mean(&self, metric: Metric) -> Option<f64> {
        self.metrics.iter().position(|m| *m == metric).map(|i| self.means[i])
    }

    /// Means with four decimals, and what is known of the vectors, to be read by people.
    pub fn to_table(&self) -> String {
        let mut rows: Vec<(String, String)> = self
            .metrics
            .iter()
            .zip(&self.means)
            .map(|(m, mean)| row(m, format!("{mean:.4}")))
            .collect();
        rows.push(row("queries", self.queries.len()));
        if !self.missing.is_empty() {
            rows.push(row("judged, not in the run", self.missing.len()));
        }
        if !self.unjudged.is_empty() {
            rows.push(row("in the run, not judged", self.unjudged.len()));
        }
        for (name, summary) in &self.statistics {
            rows.push(row(name, summary.texts));
            rows.push(row("  terms a text", format!("{:.1}", summary.avg_nnz)));
            rows.push(row("  sparsity", format!("{:.4}", summary.avg_sparsity)));
            rows.push(row("  unique tokens", summary.num_unique_tokens));
        }
        rows.extend(self.flops.map(|flops| row("FLOPS", format!("{flops:.3}"))));
        let width = |cell: fn(&(String, String)) -> &String| {
            rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or(0)
        };
        let (left, right) = (width(|row| &row.0), width(|row| &row.1));
        rows.iter().map(|(name, value)| format!("{name:left$}  {value:>right$}\n")).collect()
    }

    /// `{"metrics": {"nDCG@10": 0.5, …}, "queries": 3, …}`, without the values of each query.
    pub fn to_json(&self) -> Value {
        let metrics: Map<String, Value> = self
            .metrics
            .iter()
            .zip(&self.means)
            .map(|(m, mean)| (m.to_string(), json!(mean)))
            .collect();
        let mut json = json!({
            "metrics": metrics,
            "queries": self.queries.len(),
            "missing_queries": self.missing.len(),
            "unjudged_queries": self.unjudged.len(),
        });
        if !self.statistics.is_empty() {
            let statistics: Map<String, Value> =
                self.statistics.iter().map(|(name, s)| (name.clone(), s.to_json())).collect();
            json["statistics"] = statistics.into();
        }
        if let Some(flops) = self.flops {
            json["flops"] = flops.into();
        }
        json
    }

    /// A row a query and a column a metric; the last row, `all`, has the means.
    pub fn to_csv(&self) -> String {
        let mut csv = "query".to_owned();
        for metric in &self.metrics {
            let _ = write!(csv, ",{metric}");
        }
        let rows = self.queries.iter().map(|query| (query.query.as_str(), &query.values));
        for (query, values) in rows.chain([("all", &self.means)]) {
            csv += "\n";
            csv += &csv_field(query);
            for value in values {
                let _ = write!(csv, ",{value}");
            }
        }
        csv + "\n"
    }

    /// The values of a metric by query.
    pub(super) fn values(&self, metric: usize) -> BTreeMap<&str, f64> {
        self.queries.iter().map(|query| (query.query.as_str(), query.values[metric])).collect()
    }
}

fn row(name: impl ToString, value: impl ToString) -> (String, String) {
    (name.to_string(), value.to_string())
}

/// A field of RFC 4180.
pub(super) fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
