//! Two runs query by query: which is better, how sure that is, and where they differ.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::metrics::Metric;
use super::report::{Report, csv_field};
use super::significance::{Randomisation, TTest, randomisation_test, t_test};
use crate::EvalError;

/// How two runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompareOptions {
    /// Patterns of signs of the randomisation test: all if there are no more, else this many random
    /// ones.
    pub samples: u64,
    /// Which random ones.
    pub seed: u64,
}

impl Default for CompareOptions {
    /// 100,000 samples, as Smucker, Allan and Carterette (CIKM 2007); seed 0.
    fn default() -> Self {
        Self { samples: 100_000, seed: 0 }
    }
}

/// Two runs compared, metric by metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// In the order of the reports.
    pub metrics: Vec<ComparedMetric>,
    /// Queries that were compared.
    pub queries: usize,
}

/// Two runs compared by one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedMetric {
    /// The metric.
    pub metric: Metric,
    /// Mean of the run that is compared with.
    pub baseline: f64,
    /// Mean of the other run.
    pub other: f64,
    /// Queries for which the other run is better.
    pub wins: usize,
    /// Queries for which it is worse.
    pub losses: usize,
    /// Queries for which the two are equal.
    pub ties: usize,
    /// Whether chance explains the difference.
    pub randomisation: Randomisation,
    /// The same by the t-test; none where t is not defined.
    pub t_test: Option<TTest>,
    /// Every query, the greatest change first; equal ones by id.
    pub changes: Vec<QueryChange>,
}

/// A query in two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryChange {
    /// The query's id.
    pub query: String,
    /// Its value in the run that is compared with.
    pub baseline: f64,
    /// Its value in the other run.
    pub other: f64,
}

impl QueryChange {
    /// The other run's value less the baseline's; zero below 1e-12, where only rounding differs.
    pub fn difference(&self) -> f64 {
        let difference = self.other - self.baseline;
        if difference.abs() < 1e-12 { 0.0 } else { difference }
    }
}

/// Compares a run with a baseline over the queries that both reports have.
///
/// The tests are of one metric each; who looks at many metrics or runs finds small `p` by chance.
///
/// # Errors
/// If the reports have different metrics, or no query in common.
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
    // Stable: equal changes stay in the order of their ids.
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
    /// A line a metric, to be read by people.
    pub fn to_table(&self) -> String {
        let mut table = format!(
            "{:12}  {:>8}  {:>8}  {:>8}  {:>6}  {:>6}  {:>6}  {:>10}  {:>10}\n",
            "metric",
            "baseline",
            "run",
            "change",
            "wins",
            "losses",
            "ties",
            "p (random)",
            "p (t-test)"
        );
        for m in &self.metrics {
            let t_test = m.t_test.map_or("-".to_owned(), |test| format!("{:.4}", test.p));
            let _ = writeln!(
                table,
                "{:12}  {:>8.4}  {:>8.4}  {:>+8.4}  {:>6}  {:>6}  {:>6}  {:>10.4}  {:>10}",
                m.metric,
                m.baseline,
                m.other,
                m.other - m.baseline,
                m.wins,
                m.losses,
                m.ties,
                m.randomisation.p,
                t_test
            );
        }
        table
    }

    /// Everything but the queries: `{"queries": 3, "metrics": {"nDCG@10": {"baseline": …}}}`.
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

    /// A row a metric and query with both values, the greatest changes of a metric first.
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
