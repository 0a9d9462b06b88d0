//! λ by a budget: a controller that steers the λ of a regularizer so that the mean number of terms of
//! a text settles at a target.
//!
//! All quantities are logarithms, because a factor of λ changes the number of terms by about the same
//! factor whatever λ and the number are. In each step `s`,
//!
//! ```text
//! y = the running mean of ln(mean number of terms of the step's texts)
//! r = ln(start) + (ln(target) - ln(start)) min(1, t / T)
//! e = y - r, limited to ±1
//! ln λ += P (e - e before) + I / T · dt · e, limited to ±0.1
//! λ ≤ 2 · running mean of the loss / running mean of the penalty without λ
//! ```
//!
//! which is a proportional-integral controller in its incremental form, so nothing winds up while a
//! limit holds. The last limit keeps the penalty from outweighing the loss: the number of terms falls
//! only some time after the weights do, so a λ that waits for it would grow until, with the momentum
//! of the optimizer, it empties the vectors. The time `t` is the sum of `dt`, the learning rates of the steps divided by the
//! highest one: a model changes in proportion to its learning rate, so a warm-up and a decay neither
//! outrun the target nor shake λ. The number of terms is that of encoding, without dropout, although
//! training counts terms with dropout: a [`probe`](Budget::probe) of some texts, encoded both ways,
//! gives the factor between the two.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use splade_io::{Event, Observer};

use crate::config::TrainingConfig;
use crate::error::TrainError;
use crate::schedule::Schedule;

/// The change of ln λ for a change of the error: it damps, since the number of terms follows λ only
/// after a while.
const PROPORTIONAL: f64 = 10.0;
/// The change of ln λ in the time `T` for an error of 1.
const INTEGRAL: f64 = 30.0;
/// The most by which ln λ falls and rises in a step. Both are equal: the noise of the number of terms would
/// otherwise drive λ to one side.
const MOST_CHANGE: f64 = 0.1;
/// The most that the penalty may be, as a multiple of the loss.
const MOST_PENALTY: f64 = 2.0;
/// The least loss that the penalty is compared with, as a share of the first: a loss may come near 0.
const LEAST_LOSS: f64 = 0.1;
/// The weight of a batch in the running means of loss and penalty.
const NEW_BATCH: f64 = 0.1;
/// The error that counts at most.
const MOST_ERROR: f64 = 1.0;
/// The factor by which λ may leave its first value in either direction.
const RANGE: f64 = 1e6;
/// The share of the loss that the regularizer has in the first step if no λ is given. The shipped
/// configs and those of the SPLADE papers have about that share.
const FIRST_SHARE: f64 = 0.01;
/// λ of the first step if the loss or the penalty of the first batch is zero.
const FALLBACK: f64 = 1e-3;
/// The share of `T` over which the number of terms is averaged, and the least number of steps.
const AVERAGED: (f64, f64) = (0.07, 10.0);
/// The share of the run in which the target is approached if no `T` is given. The rest is for settling,
/// in which the learning rate and with it the reach of λ get smaller.
const APPROACH: f64 = 0.5;
/// The number of steps between two probes.
const PROBED: u64 = 8;
/// The most texts of a side that are encoded without dropout in a probe.
pub(crate) const PROBED_TEXTS: usize = 16;
/// The relative distance from the target that counts as reached.
const TOLERANCE: f64 = 0.05;

/// The time of a run, in steps of the highest learning rate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pace {
    schedule: Schedule,
    highest: f64,
    total: u64,
}

impl Pace {
    /// Returns the time of a run of `total` steps.
    ///
    /// # Errors
    /// Returns an error if the settings of the schedule are wrong.
    pub(crate) fn new(training: &TrainingConfig, total: u64) -> Result<Self, TrainError> {
        Ok(Self {
            schedule: Schedule::new(training, total)?,
            highest: training.learning_rate,
            total,
        })
    }

    /// Returns the time that a step takes, from 0 to 1.
    fn of_step(&self, step: u64) -> f64 {
        match self.highest > 0.0 {
            true => self.schedule.learning_rate(step) / self.highest,
            false => 0.0,
        }
    }

    /// Returns the time of the first `steps` steps.
    fn until(&self, steps: f64) -> f64 {
        (0..steps.min(self.total as f64).ceil() as u64).map(|step| self.of_step(step)).sum()
    }
}

/// The controller of one side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Budget {
    target: f64,
    given: Option<f64>,
    pace: Pace,
    /// The time until the target is to be reached, at least 1.
    approach: f64,
    state: State,
}

/// What changes from step to step; a checkpoint holds it exactly.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// λ of the next step; `None` before the first batch.
    lambda: Option<f64>,
    /// λ of the first step.
    first: f64,
    /// The loss of the first batch, without penalties.
    first_loss: f64,
    /// The running mean of the loss of a batch, without penalties.
    loss: f64,
    /// The running mean of the penalty of a batch, without λ.
    penalty: f64,
    /// The time so far.
    time: f64,
    /// The number of steps so far.
    steps: u64,
    /// ln of the mean number of terms in the first step.
    start: f64,
    /// The running mean of ln of the number of terms.
    terms: f64,
    /// The error of the last step.
    error: f64,
    /// ln of the number of terms without dropout, divided by that with dropout.
    dropout: f64,
    /// The number of probes so far.
    probes: u64,
}

/// What a budget has reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BudgetReport {
    /// The mean number of terms that is to be reached.
    pub(crate) target: f64,
    /// The running mean of the number of terms, without dropout.
    pub(crate) terms: f64,
    /// λ of the next step.
    pub(crate) lambda: f64,
    /// Whether the target should be reached by now.
    pub(crate) is_due: bool,
    /// Whether λ is at the end of its range.
    pub(crate) is_exhausted: bool,
}

impl BudgetReport {
    /// Returns whether the number of terms is as near to the target as it has to be.
    pub(crate) fn is_reached(&self) -> bool {
        (self.terms / self.target - 1.0).abs() <= TOLERANCE
    }

    /// Tells at the end of a run how many terms texts have. `setting` is the path of the regularizer.
    pub(crate) fn tell(&self, setting: &str, observer: &mut dyn Observer) {
        let Self { target, terms, lambda, .. } = self;
        let reached = format!(
            "{setting}.target_terms is {target}: at the end, texts have {terms:.1} terms on average, \
             with λ {lambda:.3e}"
        );
        match self.is_reached() {
            true => observer.event(Event::Note(&reached)),
            false => {
                observer.event(Event::Warning(&format!("the target was not reached: {reached}")));
                observer.event(Event::Hint(&self.remedy(setting)));
            }
        }
    }

    /// Returns what to do about a target that is not reached. `setting` is the path of the
    /// regularizer.
    pub(crate) fn remedy(&self, setting: &str) -> String {
        match (self.is_due, self.is_exhausted, self.terms < self.target) {
            (false, ..) => format!("train for more steps, or set a smaller {setting}.T"),
            (true, true, true) => format!(
                "these texts do not get more terms even with hardly any regularizer: lower \
                 {setting}.target_terms"
            ),
            (true, true, false) => format!(
                "no λ removes terms quickly enough: raise {setting}.target_terms or \
                 training.learning_rate, or train for more steps"
            ),
            (true, false, _) => format!(
                "train for more steps, or raise {setting}.T so that the number of terms changes \
                 more slowly"
            ),
        }
    }
}

impl Budget {
    pub(super) fn new(target: f64, given: Option<f64>, steps: Option<f64>, pace: &Pace) -> Self {
        let steps = steps.unwrap_or(pace.total as f64 * APPROACH);
        let approach = pace.until(steps).max(1.0);
        Self { target, given, pace: pace.clone(), approach, state: State::default() }
    }

    /// Returns λ of the next step, which is 0 before the first batch.
    pub(super) fn lambda(&self) -> f64 {
        self.state.lambda.unwrap_or(0.0)
    }

    /// Takes the loss and the penalty (without λ) of a batch. The first batch gives the first λ.
    pub(super) fn weigh(&mut self, loss: f64, penalty: f64) {
        let state = &mut self.state;
        let loss = loss.abs();
        if state.lambda.is_some() {
            state.loss += NEW_BATCH * (loss - state.loss);
            state.penalty += NEW_BATCH * (penalty - state.penalty);
            return;
        }
        (state.first_loss, state.loss, state.penalty) = (loss, loss, penalty);
        let share = FIRST_SHARE * loss / penalty;
        let derived = if share.is_finite() && share > 0.0 { share } else { FALLBACK };
        state.first = self.given.unwrap_or(derived);
        state.lambda = Some(state.first);
    }

    /// Returns whether a probe is due in this step.
    pub(super) fn wants_probe(&self) -> bool {
        self.state.steps.is_multiple_of(PROBED)
    }

    /// Takes the mean numbers of terms that the same texts have with and without dropout.
    pub(super) fn probe(&mut self, with: f64, without: f64) {
        if with > 0.0 && without > 0.0 {
            self.state.probes += 1;
            // A mean over the last probes, and at first over all of them.
            let weight = (1.0 / self.state.probes as f64).max(0.125);
            self.state.dropout += weight * (libm::log(without / with) - self.state.dropout);
        }
    }

    /// Takes the mean number of terms in the texts of a step, with dropout, and sets λ of the next
    /// step.
    pub(super) fn observe(&mut self, step: u64, terms: f64) {
        let state = &mut self.state;
        // A text without terms has no logarithm; what counts as half a term is far from any target.
        let seen = libm::log(terms.max(0.5)) + state.dropout;
        if state.steps == 0 {
            (state.start, state.terms) = (seen, seen);
        }
        state.steps += 1;
        let window = (AVERAGED.0 * self.approach).max(AVERAGED.1).min(state.steps as f64);
        state.terms += (seen - state.terms) / window;
        let dt = self.pace.of_step(step);
        state.time += dt;
        let share = (state.time / self.approach).min(1.0);
        let wanted = state.start + (libm::log(self.target) - state.start) * share;
        let error = (state.terms - wanted).clamp(-MOST_ERROR, MOST_ERROR);
        let change = PROPORTIONAL * (error - state.error) + INTEGRAL / self.approach * dt * error;
        state.error = error;
        let lambda = state.lambda.unwrap_or(FALLBACK);
        let mut next = lambda * libm::exp(change.clamp(-MOST_CHANGE, MOST_CHANGE));
        let loss = state.loss.max(LEAST_LOSS * state.first_loss);
        let most = MOST_PENALTY * loss / state.penalty;
        if most.is_finite() {
            next = next.min(most);
        }
        state.lambda = Some(next.clamp(state.first / RANGE, state.first * RANGE));
    }

    pub(super) fn report(&self) -> BudgetReport {
        let State { first, time, terms, .. } = self.state;
        let lambda = self.lambda();
        BudgetReport {
            target: self.target,
            terms: libm::exp(terms),
            lambda,
            is_due: time >= self.approach,
            is_exhausted: lambda <= first / RANGE || lambda >= first * RANGE,
        }
    }

    pub(super) fn state(&self) -> Value {
        json!(self.state)
    }

    /// Returns a copy with a [`state`](Self::state), or `None` if it cannot be read.
    pub(super) fn restored(&self, state: &Value) -> Option<Self> {
        let state = serde_json::from_value(state.clone()).ok()?;
        Some(Self { state, ..self.clone() })
    }
}
