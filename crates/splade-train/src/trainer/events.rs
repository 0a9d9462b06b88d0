//! What a run tells while it is made, and how it is asked to stop.

use std::net::SocketAddr;
use std::path::Path;

use super::plan::Plan;

/// Whoever looks on.
pub trait Watch {
    /// Something happened.
    fn event(&mut self, event: Event<'_>);

    /// Whether to stop after this step, with a checkpoint.
    fn stop(&mut self) -> bool {
        false
    }
}

/// Looks away.
impl Watch for () {
    fn event(&mut self, _: Event<'_>) {}
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins, or goes on after some steps.
    Begin {
        /// Its batches and steps.
        plan: &'a Plan,
        /// Steps that were made before.
        done: u64,
        /// Where the live page is.
        dashboard: Option<SocketAddr>,
    },
    /// A step was made.
    Step(Progress),
    /// Numbers were logged.
    Logged {
        /// Steps that were made.
        step: u64,
        /// By name.
        values: &'a [(String, f64)],
    },
    /// An evaluation begins.
    Evaluating,
    /// An evaluation ended.
    Evaluated {
        /// Steps that were made.
        step: u64,
        /// By name.
        values: &'a [(String, f64)],
    },
    /// A checkpoint was written.
    Saved(&'a Path),
    /// The run does not go well, and what to change.
    Warning(&'a str),
    /// Worth a line.
    Note(&'a str),
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Steps that were made.
    pub step: u64,
    /// Steps of the run.
    pub total: u64,
    /// Of this step.
    pub loss: f64,
    /// Of this step.
    pub lambda_q: f64,
    /// Of this step.
    pub lambda_d: f64,
    /// Of a query of this step, on average.
    pub query_terms: f64,
    /// Of a document of this step, on average.
    pub document_terms: f64,
    /// Of masked language modelling: the share of hidden tokens that were found.
    pub accuracy: Option<f64>,
    /// Since the run began or went on, without evaluations and checkpoints.
    pub tokens_per_second: f64,
    /// Until the last step, at the pace so far.
    pub seconds_left: f64,
}
