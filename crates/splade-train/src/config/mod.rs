//! The configuration of a training run.

mod schema;

pub use schema::{
    Compat, Config, DataConfig, Initialization, IntervalStrategy, LossConfig, LossKind,
    ModelConfig, Optimizer, QueryEncoder, RegularizerConfig, RegularizerKind, Regularizers,
    ReportTo, ResumeFrom, SchedulerKind, TrainingConfig,
};
