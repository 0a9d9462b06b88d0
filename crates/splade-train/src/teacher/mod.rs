//! The teacher: a cross-encoder that is trained on pairs of a query and a document, and scores the
//! pairs that students learn from.
//!
//! ```text
//! pairs or lists ─► trainer ─► folder of a cross-encoder ─► predict ─► scores ─► ensemble
//! ```
//!
//! Settings are those of the Python library's YAML files, with some of our own. [`TeacherData`] reads
//! what is trained on, [`TeacherTrainer`] is the loop, [`rerank`] what it is measured by, [`predict()`]
//! scores the pairs of a file and [`ensemble()`] joins the scores of several teachers.

mod config;
mod data;
mod engine;
mod ensemble;
mod evaluation;
mod losses;
mod pickle;
mod predict;
mod start;
mod trainer;

pub use config::{PairLimits, PredictConfig, SetFiles, TeacherConfig, TeacherLoss, TeacherSource};
pub use data::{Group, Rerank, TeacherData};
pub use engine::TeacherEngine;
pub use ensemble::{EnsembleOptions, EnsembleReport, ensemble};
pub use evaluation::{RerankMetric, RerankMetrics, rerank};
pub use predict::{PredictOptions, Prediction, Shard, Watcher, predict};
pub use start::started;
pub use trainer::{TeacherEvent, TeacherOutcome, TeacherTrainer, TeacherWatch};
