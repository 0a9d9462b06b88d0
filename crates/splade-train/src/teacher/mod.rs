//! The teacher: a cross-encoder that is trained on pairs of a query and a document, and scores the
//! pairs that students learn from.
//!
//! ```text
//! pairs or lists ─► trainer ─► folder of a cross-encoder ─► predict ─► scores ─► ensemble
//! ```
//!
//! Settings are those of the Python library's YAML files, with some of our own. [`TeacherData`] reads
//! what is trained on, [`prepare`] looks at the folders of a run, [`TeacherTrainer`] is the loop,
//! [`RerankMetrics`] what it is measured by, [`predict()`] scores the pairs of a file and [`ensemble()`]
//! joins the scores of several teachers.

mod config;
mod data;
mod engine;
mod ensemble;
mod evaluation;
mod losses;
mod outputs;
mod pickle;
mod predict;
mod start;
mod trainer;

pub use config::{PairLimits, PredictConfig, TeacherConfig};
pub use data::TeacherData;
pub use engine::TeacherEngine;
pub use ensemble::{EnsembleOptions, EnsembleReport, ensemble};
pub use evaluation::RerankMetrics;
pub use outputs::{TeacherBeginning, prepare};
pub use predict::{PredictOptions, Prediction, Shard, Watcher, predict};
pub use start::started;
pub use trainer::{TeacherEvent, TeacherOutcome, TeacherTrainer, TeacherWatch};
