//! Evaluates rankings: qrels, runs, metrics, significance tests and the data sets behind them.
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
//!
//! Each module covers one step: [`dataset`] and [`check`] read and check the data, [`statistics`]
//! describes vectors, [`fuse`] makes one run of several, [`report`] evaluates one run, [`compare`] and [`significance`] compare two
//! runs, and [`EvaluationPage`] shows both to people.

mod error;
mod lines;

mod table;

mod qrels;

pub mod dataset;

pub mod check;
mod run;

pub mod fuse;

mod metrics;
pub mod statistics;

pub mod report;
pub mod significance;

pub mod compare;

mod board;

mod evidence;
mod page;

pub use board::Board;
pub use dataset::{Dataset, Text};
pub use error::EvalError;
pub use metrics::{Metric, MetricKind};
pub use page::{EvaluationPage, System};
pub use qrels::Qrels;
pub use report::{EvaluateOptions, Report, Section, evaluate};
pub use run::{Run, Scored, check_trec_id};
pub use statistics::VectorStatistics;
