//! Judging rankings: qrels, runs, metrics, significance, and the data behind them.
//!
//! ```
//! use splade_eval::{EvaluateOptions, Metric, Qrels, Run, evaluate};
//!
//! let qrels = Qrels::read("q1 0 d1 2\nq1 0 d2 1\n".as_bytes(), "qrels")?;
//! let run = Run::read("q1 Q0 d2 1 9.5 tag\nq1 Q0 d1 2 8.5 tag\n".as_bytes(), "run")?;
//! let metrics: Vec<Metric> = vec!["nDCG@10".parse()?, "MRR@10".parse()?];
//! let report = evaluate(&qrels, &run, &metrics, &EvaluateOptions::default())?;
//! assert_eq!(report.means[1], 1.0);
//! assert!((report.means[0] - 0.8597).abs() < 1e-4);
//! # Ok::<(), splade_eval::EvalError>(())
//! ```

mod error;
mod lines;

mod dataset;
mod qrels;

mod check;
mod run;

mod metrics;
mod statistics;

mod report;
mod significance;

mod compare;
pub mod page;

mod html;

pub use check::{Check, Finding, check};
pub use compare::{CompareOptions, ComparedMetric, Comparison, QueryChange, compare};
pub use dataset::{Dataset, Text, Texts};
pub use error::EvalError;
pub use metrics::{Metric, MetricKind};
pub use qrels::Qrels;
pub use report::{Averaging, EvaluateOptions, QueryValues, Report, evaluate};
pub use run::{Run, Scored};
pub use significance::{Randomisation, TTest, randomisation_test, t_test};
pub use statistics::{StatisticsSummary, VectorStatistics, expected_flops};
