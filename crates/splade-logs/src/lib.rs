//! The logs of a training run: TensorBoard event files, runs of MLflow's file store, offline runs of
//! Weights & Biases, a log of JSON lines, and a live page.
//!
//! [`Logs`] passes each record to all of them. [`Series`] has the names of logged values, the
//! format of the JSON log is described in `json_lines.rs`, and that of the page's server in
//! `dashboard`.
//!
//! ```
//! use splade_logs::{LogOptions, Logs};
//!
//! let folder = tempfile::tempdir()?;
//! let json = folder.path().join("log.jsonl");
//! let mut logs = Logs::open(&LogOptions { json: json.clone(), ..LogOptions::default() })?;
//! logs.train(1, 0.5, &[("loss", 2.0), ("learning_rate", 1e-4)])?;
//! logs.flush()?;
//! assert!(std::fs::read_to_string(&json)?.contains("\"loss\""));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod crc32c;
mod error;
mod names;
mod protobuf;
mod record;

mod json_lines;
mod mlflow;
mod tensorboard;
mod wandb;

mod page;

mod dashboard;

mod logs;

pub use error::LogError;
pub use logs::{LogOptions, Logs, default_logging_dir};
pub use mlflow::MlflowOptions;
pub use names::Series;
pub use page::{CURVES_SCRIPT, LoggedRun, curves, report_html};
pub use record::{BestValue, EndKind, Expansion, RunEnd, RunInfo, Status};
pub use tensorboard::host_name;
pub use wandb::WandbOptions;
