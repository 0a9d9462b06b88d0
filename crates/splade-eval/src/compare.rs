//! Compares two runs query by query: which is better, how significant the difference is, and for
//! which queries they differ.
//!
//! ```
//! use splade_eval::compare::{CompareOptions, compare};
//! use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
//!
//! let qrels = Qrels::read("q1 0 d1 1\nq2 0 d1 1\n".as_bytes(), "qrels")?;
//! let report = |run: &str| {
//!     let run = Run::read(run.as_bytes(), "run")?;
//!     evaluate(&qrels, &run, &["Hit@1".parse()?], &EvaluateOptions::default())
//! };
//! let baseline = report("q1 Q0 d1 1 9 x\nq2 Q0 d2 1 9 x\n")?;
//! let other = report("q1 Q0 d1 1 9 x\nq2 Q0 d1 1 9 x\n")?;
//! let comparison = compare(&baseline, &other, &CompareOptions::default())?;
//! assert_eq!((comparison.metrics[0].wins, comparison.metrics[0].ties), (1, 1));
//! # Ok::<(), splade_eval::EvalError>(())
//! ```

use std::fmt::Write as _;

use serde_json::{Value, json};
use splade_io::columns;

use super::metrics::Metric;
use super::report::{Report, csv_field};
use super::significance::{Randomisation, TTest, randomisation_test, t_test};
use crate::EvalError;

/// Options for comparing two runs.
///
/// ```
/// use splade_eval::compare::{CompareOptions, compare};
/// use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 1\nq2 0 d1 1\n".as_bytes(), "qrels")?;
/// let run = Run::read("q1 Q0 d1 1 9 x\n".as_bytes(), "run")?;
/// let report = evaluate(&qrels, &run, &["Hit@1".parse()?], &EvaluateOptions::default())?;
/// // More patterns tell small values of p apart, and take longer.
/// let options = CompareOptions { samples: 1_000_000, seed: 7 };
/// assert_eq!(compare(&report, &report, &options)?.metrics[0].randomisation.p, 1.0);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompareOptions {
    /// The number of random sign patterns in the randomisation test. If there are no more patterns
    /// than this, all of them are used.
    pub samples: u64,
    /// The seed for the random sign patterns.
    pub seed: u64,
}

impl Default for CompareOptions {
    /// Returns 100,000 samples, as in Smucker, Allan and Carterette (CIKM 2007), and seed 0.
    fn default() -> Self {
        Self { samples: 100_000, seed: 0 }
    }
}

/// The result of comparing two runs.
///
/// ```
/// use splade_eval::compare::{CompareOptions, compare};
/// use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 1\n".as_bytes(), "qrels")?;
/// let run = Run::read("q1 Q0 d1 1 9 x\n".as_bytes(), "run")?;
/// let report = evaluate(&qrels, &run, &["Hit@1".parse()?], &EvaluateOptions::default())?;
/// let comparison = compare(&report, &report, &CompareOptions::default())?;
/// assert_eq!(comparison.to_json()["metrics"]["Hit@1"]["baseline"], 1.0);
/// assert!(comparison.to_table().starts_with("metric"));
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The comparison by each metric, in the order of the reports.
    pub metrics: Vec<ComparedMetric>,
    /// The number of compared queries.
    pub queries: usize,
}

/// The comparison of two runs by one metric.
///
/// ```
/// use splade_eval::compare::{CompareOptions, compare};
/// use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 1\nq2 0 d1 1\n".as_bytes(), "qrels")?;
/// let report = |run: &str| {
///     let run = Run::read(run.as_bytes(), "run")?;
///     evaluate(&qrels, &run, &["Hit@1".parse()?], &EvaluateOptions::default())
/// };
/// let (baseline, other) = (report("q1 Q0 d1 1 9 x\n")?, report("q1 Q0 d2 1 9 x\n")?);
/// let comparison = compare(&baseline, &other, &CompareOptions::default())?;
/// let hit = &comparison.metrics[0];
/// assert_eq!((hit.baseline, hit.other, hit.losses), (0.5, 0.0, 1));
/// // One query that changed cannot show that a run is worse.
/// assert_eq!(hit.randomisation.p, 1.0);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedMetric {
    /// The metric that the runs are compared by.
    pub metric: Metric,
    /// The mean of the baseline.
    pub baseline: f64,
    /// The mean of the other run.
    pub other: f64,
    /// The number of queries for which the other run is better.
    pub wins: usize,
    /// The number of queries for which the other run is worse.
    pub losses: usize,
    /// The number of queries for which both runs are equal.
    pub ties: usize,
    /// The result of the randomisation test.
    pub randomisation: Randomisation,
    /// The result of the t-test; `None` if t is undefined.
    pub t_test: Option<TTest>,
    /// All queries, sorted by descending absolute change and then by id.
    pub changes: Vec<QueryChange>,
}

/// The values of one query in two runs.
///
/// ```
/// use splade_eval::compare::{CompareOptions, compare};
/// use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 1\nq2 0 d1 1\n".as_bytes(), "qrels")?;
/// let report = |run: &str| {
///     let run = Run::read(run.as_bytes(), "run")?;
///     evaluate(&qrels, &run, &["Hit@1".parse()?], &EvaluateOptions::default())
/// };
/// let baseline = report("q1 Q0 d1 1 9 x\nq2 Q0 d2 1 9 x\n")?;
/// let other = report("q1 Q0 d1 1 9 x\nq2 Q0 d1 1 9 x\n")?;
/// // The query that changed most comes first.
/// let change = &compare(&baseline, &other, &CompareOptions::default())?.metrics[0].changes[0];
/// assert_eq!((change.query.as_str(), change.difference()), ("q2", 1.0));
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct QueryChange {
    /// The id of the query.
    pub query: String,
    /// The value in the baseline.
    pub baseline: f64,
    /// The value in the other run.
    pub other: f64,
}

impl QueryChange {
    /// Returns the other run's value minus the baseline's, or 0 if the difference is below 1e-12
    /// and therefore a rounding error.
    pub fn difference(&self) -> f64 {
        let difference = self.other - self.baseline;
        if difference.abs() < 1e-12 { 0.0 } else { difference }
    }
}

/// Compares a run with a baseline over the queries that both reports have.
///
/// Each test applies to one metric only: the more metrics or runs are compared, the more often a
/// small `p` occurs by chance.
///
/// ```
/// use splade_eval::compare::{CompareOptions, compare};
/// use splade_eval::{EvaluateOptions, Qrels, Run, evaluate};
///
/// let qrels = Qrels::read("q1 0 d1 1\n".as_bytes(), "qrels")?;
/// let run = Run::read("q1 Q0 d1 1 9 x\n".as_bytes(), "run")?;
/// let report = |metric: &str| evaluate(&qrels, &run, &[metric.parse()?], &EvaluateOptions::default());
/// let options = CompareOptions::default();
/// assert_eq!(compare(&report("Hit@1")?, &report("Hit@1")?, &options)?.queries, 1);
/// assert!(compare(&report("Hit@1")?, &report("MRR@10")?, &options).is_err());
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
///
/// # Errors
/// Returns an error if the reports have different metrics or no query in common.
pub fn compare(
    baseline: &Report,
    other: &Report,
    options: &CompareOptions,
) -> Result<Comparison, EvalError> {
    if baseline.metrics != other.metrics {
        return Err(EvalError::OtherMetrics);
    }
    let metrics: Vec<_> = (0..baseline.metrics.len())
        .map(|index| compare_metric(baseline, other, index, options))
        .collect();
    match metrics.first().map(|metric| metric.changes.len()) {
        None | Some(0) => Err(EvalError::NothingInCommon),
        Some(queries) => Ok(Comparison { metrics, queries }),
    }
}

fn compare_metric(
    baseline: &Report,
    other: &Report,
    index: usize,
    options: &CompareOptions,
) -> ComparedMetric {
    let others = other.values(index);
    let mut changes: Vec<_> = baseline
        .values(index)
        .into_iter()
        .filter_map(|(query, baseline)| {
            let other = *others.get(query)?;
            Some(QueryChange { query: query.to_owned(), baseline, other })
        })
        .collect();
    let differences: Vec<f64> = changes.iter().map(QueryChange::difference).collect();
    let count = changes.len() as f64;
    let mean = |value: fn(&QueryChange) -> f64| changes.iter().map(value).sum::<f64>() / count;
    let (mean_baseline, mean_other) = (mean(|change| change.baseline), mean(|change| change.other));
    let wins = differences.iter().filter(|difference| **difference > 0.0).count();
    let losses = differences.iter().filter(|difference| **difference < 0.0).count();
    // The sort is stable: equal changes keep the order of their ids.
    changes.sort_by(|a, b| b.difference().abs().total_cmp(&a.difference().abs()));
    ComparedMetric {
        metric: baseline.metrics[index],
        baseline: mean_baseline,
        other: mean_other,
        wins,
        losses,
        ties: differences.len() - wins - losses,
        randomisation: randomisation_test(&differences, options.samples, options.seed),
        t_test: t_test(&differences),
        changes,
    }
}

impl Comparison {
    /// Returns a table for people to read, with one line for each metric.
    pub fn to_table(&self) -> String {
        columns(&self.rows(), &Self::RIGHT)
    }

    /// The columns of the table that are numbers, for [`columns`].
    pub const RIGHT: [bool; 7] = [false, true, true, true, true, true, true];

    /// Returns the rows of the table, the first of which names the columns: the metric, both means,
    /// the change, wins/losses/ties, and the p-values of the randomisation test and of the t-test.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let names = ["metric", "baseline", "run", "change", "w/l/t", "p", "p (t)"];
        let row = |m: &ComparedMetric| {
            vec![
                m.metric.to_string(),
                format!("{:.4}", m.baseline),
                format!("{:.4}", m.other),
                format!("{:+.4}", m.other - m.baseline),
                format!("{}/{}/{}", m.wins, m.losses, m.ties),
                format!("{:.4}", m.randomisation.p),
                m.t_test.map_or("-".to_owned(), |test| format!("{:.4}", test.p)),
            ]
        };
        let names = names.map(str::to_owned).to_vec();
        [names].into_iter().chain(self.metrics.iter().map(row)).collect()
    }

    /// Returns the comparison as JSON without the single queries: `{"queries": 3, "metrics":
    /// {"nDCG@10": {"baseline": …}}}`.
    pub fn to_json(&self) -> Value {
        let metric = |m: &ComparedMetric| {
            json!({
                "baseline": m.baseline,
                "run": m.other,
                "change": m.other - m.baseline,
                "wins": m.wins,
                "losses": m.losses,
                "ties": m.ties,
                "randomisation_test": {
                    "p": m.randomisation.p,
                    "samples": m.randomisation.samples,
                    "exact": m.randomisation.exact,
                },
                "t_test": m.t_test.map(|test| json!({
                    "p": test.p,
                    "t": test.t,
                    "degrees_of_freedom": test.degrees_of_freedom,
                })),
            })
        };
        let metrics: serde_json::Map<String, Value> =
            self.metrics.iter().map(|m| (m.metric.to_string(), metric(m))).collect();
        json!({"queries": self.queries, "metrics": metrics})
    }

    /// Returns the values as CSV, with one row for each metric and query; the greatest changes of a
    /// metric come first.
    pub fn to_csv(&self) -> String {
        let mut csv = "metric,query,baseline,run,change\n".to_owned();
        for metric in &self.metrics {
            for change in &metric.changes {
                let (name, query) = (metric.metric, csv_field(&change.query));
                let QueryChange { baseline, other, .. } = change;
                let _ = writeln!(csv, "{name},{query},{baseline},{other},{}", change.difference());
            }
        }
        csv
    }
}
