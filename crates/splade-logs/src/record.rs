//! What a run tells besides numbers and texts.

use serde::Serialize;

/// How far a run is, for the live page.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Status {
    /// What is done now: `training`, `evaluating`, `saving`.
    pub phase: &'static str,
    /// The last step that was done.
    pub step: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// The loss of the last step.
    pub loss: Option<f64>,
    /// Tokens that went through the encoders, a second.
    pub tokens_per_second: Option<f64>,
    /// Estimated seconds until the run ends.
    pub seconds_left: Option<f64>,
}

/// What a text is expanded to at some step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expansion {
    /// `query` or `document`.
    pub side: &'static str,
    /// The text.
    pub text: String,
    /// Terms with weights, the highest first.
    pub terms: Vec<(String, f32)>,
}
