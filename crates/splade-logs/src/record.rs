//! The records of a run other than numbers and texts.

use serde::Serialize;

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
