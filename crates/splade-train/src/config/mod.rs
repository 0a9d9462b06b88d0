//! The configuration of a training run, composed as Hydra does and then read into typed structs.

mod pretrain;
mod schema;
mod typed;

pub use pretrain::{NewArchitecture, NewModel, PretrainConfig, PretrainData, PretrainModel, Start};
pub use schema::{
    Compat, Config, Initialization, IntervalStrategy, LossConfig, LossKind, ModelConfig, Optimizer,
    QueryEncoder, RegularizerConfig, RegularizerKind, Regularizers, ReportTo, ResumeFrom,
    SchedulerKind, TrainingConfig,
};
pub(crate) use typed::fields::Fields;
pub(crate) use typed::names;
pub use typed::{ignored_settings, redact};
