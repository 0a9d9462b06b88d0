//! Cross-encoders, the teachers of distillation. They are trained on pairs of a query and a
//! document, and score the pairs from which SPLADE models learn.
//!
//! ```text
//! pairs or lists ─► train ─► folder of a cross-encoder ─► predict ─► scores ─► ensemble
//! ```
//!
//! [`train()`] trains as sentence-transformers' `CrossEncoder.fit` does for the Python library,
//! [`predict()`] scores the pairs of a file, and [`ensemble()`] combines the scores of several
//! cross-encoders. The settings are those of the Python library's YAML files, with some additions.

mod metrics;
mod pairs;

mod config;
mod predict_config;

mod pickle;

mod data;

mod engine;
mod losses;
mod start;

mod evaluation;
mod outputs;

mod lines;

mod ensemble;
mod predict;

mod task;
mod train;

pub use config::CrossEncoderConfig;
pub use ensemble::{EnsembleOptions, EnsembleReport, ensemble};
pub use pairs::{PairLimits, PairSettings, QueryLimit};
pub use predict::{PredictOptions, Prediction, Shard, predict};
pub use predict_config::{PredictCompat, PredictConfig};
pub use train::{TrainOptions, train};
