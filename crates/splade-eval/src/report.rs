//! Evaluates a run: the values of every query, their means, and the formats of the report.
//!
//! ```
//! use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
//!
//! let qrels = Qrels::read("q1 0 d1 2\n".as_bytes(), "qrels")?;
//! let run = Run::read("q1 Q0 d2 1 9.5 x\nq1 Q0 d1 2 8.5 x\n".as_bytes(), "run")?;
//! let report = evaluate(&qrels, &run, &["MRR@10".parse()?], &EvaluateOptions::default())?;
//! assert_eq!(report.to_json()["metrics"]["MRR@10"], 0.5);
//! # Ok::<(), splade_eval::EvalError>(())
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroUsize;

use serde_json::{Map, Value, json};
use splade_io::{columns, counted};

use super::metrics::{Metric, MetricKind};
use super::qrels::Qrels;
use super::run::{Run, Scored};
use super::statistics::StatisticsSummary;
use crate::EvalError;

/// The cut-offs in the plot of a metric, up to the depth of the run.
const CURVE: [usize; 11] = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];

/// The set of queries that a mean covers.
///
/// ```
/// use splade_eval::report::Averaging;
/// use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 1\nq2 0 d1 1\n".as_bytes(), "qrels")?;
/// // The run has found nothing for q2.
/// let run = Run::read("q1 Q0 d1 1 9.5 x\n".as_bytes(), "run")?;
/// let mean = |averaging| -> Result<f64, splade_eval::EvalError> {
///     let options = EvaluateOptions { averaging, ..EvaluateOptions::default() };
///     Ok(evaluate(&qrels, &run, &["Recall@10".parse()?], &options)?.means[0])
/// };
/// assert_eq!(mean(Averaging::Judged)?, 0.5);
/// assert_eq!(mean(Averaging::JudgedAndFound)?, 1.0);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Averaging {
    /// All queries of the qrels; a query that is not in the run counts as 0. This equals `trec_eval
    /// -c` and ir-measures: a run does not improve by leaving out hard queries.
    #[default]
    Judged,
    /// The queries that are in both the qrels and the run. This equals trec_eval without `-c`,
    /// pytrec_eval, and BEIR for all metrics but MRR, whose sum over these queries BEIR divides by
    /// the number of judged queries.
    JudgedAndFound,
}

/// Options for evaluating a run. The default counts all judged queries and all documents.
///
/// ```
/// use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
///
/// // The queries are documents themselves, and each finds itself first.
/// let qrels = Qrels::read("d1 0 d2 1\n".as_bytes(), "qrels")?;
/// let run = Run::read("d1 Q0 d1 1 9 x\nd1 Q0 d2 2 8 x\n".as_bytes(), "run")?;
/// let options = EvaluateOptions { ignore_identical_ids: true, ..EvaluateOptions::default() };
/// assert_eq!(evaluate(&qrels, &run, &["MRR@10".parse()?], &options)?.means, [1.0]);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// The set of queries that the means cover.
    pub averaging: Averaging,
    /// Whether a document is dropped from the ranking of the query with the same id, as in BEIR and
    /// in light-splade's Python program. This is right for data whose queries are documents;
    /// otherwise it may drop a relevant document.
    pub ignore_identical_ids: bool,
}

/// The result of evaluating a run.
///
/// ```
/// use splade_eval::{EvaluateOptions, Metric, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 1\nq2 0 d1 1\n".as_bytes(), "qrels")?;
/// let run = Run::read("q1 Q0 d1 1 9 x\n".as_bytes(), "run")?;
/// let metric: Metric = "Recall@10".parse()?;
/// let report = evaluate(&qrels, &run, &[metric], &EvaluateOptions::default())?;
/// assert_eq!(report.mean(metric), Some(0.5));
/// assert_eq!(report.missing, ["q2"]);
/// assert_eq!(report.to_csv().lines().next(), Some("query,Recall@10"));
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The metrics in the order of the request, without repetition.
    pub metrics: Vec<Metric>,
    /// The means of the metrics over `queries`.
    pub means: Vec<f64>,
    /// The queries that the means cover, sorted by id.
    pub queries: Vec<QueryValues>,
    /// The ids of the queries of the qrels that are not in the run.
    pub missing: Vec<String>,
    /// The ids of the queries of the run that are not in the qrels; they are never counted.
    pub unjudged: Vec<String>,
    /// The statistics of the vectors, each with a name such as `documents`. [`evaluate`] leaves the
    /// list empty.
    pub statistics: Vec<(String, StatisticsSummary)>,
    /// The value of [`expected_flops`](super::statistics::expected_flops), if it is known.
    /// [`evaluate`] sets it to `None`.
    pub flops: Option<f64>,
    pub(super) curves: Vec<Curve>,
}

/// A section of a report for people: a heading and a table below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The line above the table, without styles.
    pub heading: String,
    /// The rows of the table. The first cell of a row says what the others are.
    pub rows: Vec<Vec<String>>,
}

impl Section {
    /// The columns of a table that are numbers, for [`splade_io::columns`].
    pub const RIGHT: [bool; 3] = [false, true, true];
}

fn cells<const N: usize>(cells: [String; N]) -> Vec<String> {
    cells.to_vec()
}

/// The values of one query by all metrics.
///
/// ```
/// use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 1\nq2 0 d1 1\n".as_bytes(), "qrels")?;
/// let run = Run::read("q1 Q0 d1 1 9 x\nq2 Q0 d2 1 9 x\n".as_bytes(), "run")?;
/// let report = evaluate(&qrels, &run, &["Hit@1".parse()?], &EvaluateOptions::default())?;
/// let failed = report.queries.iter().find(|values| values.values[0] == 0.0);
/// assert_eq!(failed.map(|values| values.query.as_str()), Some("q2"));
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct QueryValues {
    /// The id of the query.
    pub query: String,
    /// One value for each metric, in the order of [`Report::metrics`].
    pub values: Vec<f64>,
}

/// The means of a kind of metric at increasing cut-offs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    pub(super) kind: MetricKind,
    /// The length of the longest ranking. A ranking is measured at deeper cut-offs as if the
    /// documents that it lacks were not relevant.
    pub(super) depth: usize,
    /// Pairs of a cut-off and the mean at this cut-off.
    pub(super) points: Vec<(usize, f64)>,
}

/// Evaluates a run against qrels.
///
/// ```
/// use splade_eval::{EvaluateOptions, Metric, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 2\nq1 0 d2 1\n".as_bytes(), "qrels")?;
/// let run = Run::read("q1 Q0 d1 1 9.5 x\nq1 Q0 d2 2 8.5 x\n".as_bytes(), "run")?;
/// let metrics: [Metric; 2] = ["nDCG@10".parse()?, "P@1".parse()?];
/// let report = evaluate(&qrels, &run, &metrics, &EvaluateOptions::default())?;
/// assert_eq!(report.means, [1.0, 1.0]);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
///
/// # Errors
/// Returns an error if `metrics` is empty, or if the qrels and the run have no query in common.
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
        for Curve { kind, points, .. } in &mut curves {
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

/// Returns a curve for every kind of metric, with means that are still zero.
fn curves_of(metrics: &[Metric], run: &Run) -> Vec<Curve> {
    let depth = run.iter().map(|(_, ranking)| ranking.len()).max().unwrap_or(0);
    let points = CURVE.map(|k| (k, 0.0)).to_vec();
    let mut curves: Vec<Curve> = Vec::new();
    for metric in metrics {
        if curves.iter().all(|curve| curve.kind != metric.kind()) {
            curves.push(Curve { kind: metric.kind(), depth, points: points.clone() });
        }
    }
    curves
}

impl Report {
    /// Returns the mean of a metric; `None` if the metric was not requested.
    pub fn mean(&self, metric: Metric) -> Option<f64> {
        self.metrics.iter().position(|m| *m == metric).map(|i| self.means[i])
    }

    /// Returns the report for people to read, in sections with headings: means of four decimals, and
    /// the statistics of the vectors.
    pub fn to_table(&self) -> String {
        let sections = self.sections().into_iter().map(|section| {
            format!("{}\n{}", section.heading, columns(&section.rows, &Section::RIGHT))
        });
        sections.collect::<Vec<_>>().join("\n")
    }

    /// Returns the sections of the report for people.
    pub fn sections(&self) -> Vec<Section> {
        let means = self.metrics.iter().zip(&self.means);
        let mut quality: Vec<Vec<String>> =
            means.map(|(metric, mean)| cells([metric.to_string(), format!("{mean:.4}")])).collect();
        for (what, queries) in
            [("judged, not in the run", &self.missing), ("in the run, not judged", &self.unjudged)]
        {
            if !queries.is_empty() {
                quality.push(cells([what.to_owned(), queries.len().to_string()]));
            }
        }
        let heading = format!("Quality, mean of {}", counted(self.queries.len(), "queries"));
        let mut sections = vec![Section { heading, rows: quality }];
        if !self.statistics.is_empty() {
            let of_all = |name: &str, value: fn(&StatisticsSummary) -> String| {
                let values = self.statistics.iter().map(|(_, summary)| value(summary));
                [name.to_owned()].into_iter().chain(values).collect::<Vec<String>>()
            };
            let names = self.statistics.iter().map(|(name, _)| name.clone());
            let mut rows = vec![
                [String::new()].into_iter().chain(names).collect(),
                of_all("texts", |summary| summary.texts.to_string()),
                of_all("terms a text", |summary| format!("{:.1}", summary.avg_nnz)),
                of_all("sparsity", |summary| format!("{:.4}", summary.avg_sparsity)),
                of_all("unique tokens", |summary| summary.num_unique_tokens.to_string()),
            ];
            rows.extend(self.flops.map(|flops| cells(["FLOPS".to_owned(), format!("{flops:.3}")])));
            sections.push(Section { heading: "Vectors".to_owned(), rows });
        }
        sections
    }

    /// Returns the report as JSON without the values of each query: `{"metrics": {"nDCG@10": 0.5,
    /// …}, "queries": 3, …}`.
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

    /// Returns the values as CSV, with a row for each query and a column for each metric; the last
    /// row, `all`, contains the means.
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

    /// Returns the values of a metric by query.
    pub(super) fn values(&self, metric: usize) -> BTreeMap<&str, f64> {
        self.queries.iter().map(|query| (query.query.as_str(), query.values[metric])).collect()
    }
}

/// Returns a field of a CSV file, quoted if necessary (RFC 4180). Spreadsheets calculate a field that
/// begins with one of `=+-@`, a tab or a carriage return; an apostrophe before it, as OWASP advises,
/// keeps it a text. A number stays as it is.
pub(super) fn csv_field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula && text.parse::<f64>().is_err() {
        return quoted(&format!("'{text}"));
    }
    quoted(text)
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_csv_are_texts() {
        let cases = [
            ("q1", "q1"),
            ("東京, a", "\"東京, a\""),
            ("a\"b", "\"a\"\"b\""),
            ("-12.5", "-12.5"),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+x", "'+x"),
            ("-2+3", "'-2+3"),
            ("\tx", "'\tx"),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
        ];
        for (text, field) in cases {
            assert_eq!(csv_field(text), field);
        }
    }
}
