//! The pace of a run: what it tells about the time that is left. No number of the training depends
//! on it.

use std::time::Duration;

/// The time, tokens and steps of this process, evaluations and checkpoints left out.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seconds: f64,
    tokens: usize,
    steps: u64,
}

impl Pace {
    /// Counts a step.
    pub(super) fn add(&mut self, time: Duration, tokens: usize) {
        self.seconds += time.as_secs_f64();
        self.tokens += tokens;
        self.steps += 1;
    }

    /// Returns the tokens a second so far.
    pub(super) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(1e-9)
    }

    /// Estimates the seconds that so many more steps take.
    pub(super) fn seconds_left(&self, steps: u64) -> f64 {
        self.seconds / self.steps.max(1) as f64 * steps as f64
    }
}
