//! The configuration of a run: composed as Hydra does, then read into types.

mod hydra;
mod nearest;
mod pretrain;
mod schema;
mod typed;

pub use hydra::{ComposeOptions, Composed, compose, sweep};
pub use pretrain::{NewArchitecture, NewModel, PretrainConfig, PretrainData, PretrainModel, Start};
pub use schema::{
    Compat, Config, DataConfig, Initialization, IntervalStrategy, LossConfig, LossKind,
    ModelConfig, Optimizer, QueryEncoder, RegularizerConfig, RegularizerKind, Regularizers,
    ReportTo, ResumeFrom, SchedulerKind, TrainingConfig,
};
pub(crate) use typed::fields::Fields;
pub use typed::{ignored_settings, redact};
