//! The records of a run other than numbers and texts.

use serde::{Deserialize, Serialize};

/// What is trained, as a run says it at its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The command: `train`, `pretrain` or `cross-encoder train`.
    pub command: String,
    /// The name of the config, if the run has one.
    pub config: Option<String>,
    /// The model that the run starts from.
    pub model: String,
    /// The data that it is trained on.
    pub data: String,
    /// The version of light-splade.
    pub version: String,
    /// The number of steps of the whole run.
    pub steps: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndKind {
    /// All steps were made, and all results are written.
    Finished,
    /// The run was asked to stop. It can be resumed.
    Stopped,
    /// The run ended with an error.
    Failed,
}

/// The end of a run. A run that was killed has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// Whether the run was finished, stopped or failed.
    pub outcome: EndKind,
    /// The last step that the run made.
    pub step: u64,
    /// The best value of the metric that selects the best model.
    pub best: Option<BestValue>,
    /// The error of a run that failed.
    pub message: Option<String>,
}

/// The best value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestValue {
    /// The name of the metric, such as `eval_MRR@10`.
    pub metric: String,
    /// The value of the metric after that step.
    pub value: f64,
    /// The step after which it was measured.
    pub step: u64,
}

/// The progress of a run, for the live page.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Status {
    /// The current activity: `training`, `evaluating` or `saving`.
    pub phase: &'static str,
    /// The last completed step.
    pub step: u64,
    /// The number of steps of the whole run.
    pub total: u64,
    /// The loss of the last step.
    pub loss: Option<f64>,
    /// The number of tokens per second that pass through the encoders.
    pub tokens_per_second: Option<f64>,
    /// The estimated number of seconds until the run ends.
    pub seconds_left: Option<f64>,
}

/// The expansion of a text by the model at some step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expansion {
    /// The side of the text: `query` or `document`.
    pub side: &'static str,
    /// The text that is expanded.
    pub text: String,
    /// The terms with their weights, highest weight first.
    pub terms: Vec<(String, f32)>,
}
