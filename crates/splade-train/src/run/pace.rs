//! The speed of a run, which gives the estimate of the remaining time. No number of the training
//! depends on it.

use std::time::Duration;

/// The time, tokens and steps of this process, without evaluations and checkpoints.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seconds: f64,
    tokens: usize,
    steps: u64,
}

impl Pace {
    /// Adds the time and the tokens of one step.
    pub(super) fn add(&mut self, time: Duration, tokens: usize) {
        self.seconds += time.as_secs_f64();
        self.tokens += tokens;
        self.steps += 1;
    }

    /// Returns the mean number of tokens per second so far.
    pub(super) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(1e-9)
    }

    /// Returns the estimated number of seconds for `steps` more steps.
    pub(super) fn seconds_left(&self, steps: u64) -> f64 {
        self.seconds / self.steps.max(1) as f64 * steps as f64
    }
}
