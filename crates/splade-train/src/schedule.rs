//! The learning rate of every step, as the schedulers of transformers 4.56 give it
//! (`get_scheduler`), in the same f64 arithmetic.

use std::f64::consts::PI;

use crate::config::{SchedulerKind, TrainingConfig};
use crate::error::TrainError;

/// Learning rates by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    learning_rate: f64,
    warmup: f64,
    total: f64,
    decay: Decay,
}

/// What comes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Decay {
    Linear,
    Cosine {
        cycles: f64,
    },
    CosineWithRestarts {
        cycles: f64,
    },
    Polynomial {
        end: f64,
        power: f64,
    },
    /// Without a warm-up.
    Constant,
    ConstantWithWarmup,
    InverseSqrt {
        timescale: f64,
    },
}

impl Schedule {
    /// The schedule of a run of `total_steps`. The warm-up has `warmup_steps`, or the share
    /// `warmup_ratio` of all steps, rounded up, where these are 0. With `compat.linear_schedule`
    /// it is linear after `warmup_steps`, whatever else is set.
    ///
    /// # Errors
    /// If `lr_scheduler_kwargs` has a name that the scheduler does not know, or a number that it
    /// cannot work with.
    pub fn new(training: &TrainingConfig, total_steps: u64) -> Result<Self, TrainError> {
        if training.compat.linear_schedule {
            let (rate, warmup) = (training.learning_rate, training.warmup_steps);
            return Self::of(SchedulerKind::Linear, rate, &[], warmup, total_steps);
        }
        let warmup = match training.warmup_steps {
            0 => (total_steps as f64 * training.warmup_ratio).ceil() as u64,
            steps => steps,
        };
        Self::of(
            training.lr_scheduler_type,
            training.learning_rate,
            &training.lr_scheduler_kwargs,
            warmup,
            total_steps,
        )
    }

    fn of(
        kind: SchedulerKind,
        learning_rate: f64,
        kwargs: &[(String, f64)],
        warmup: u64,
        total: u64,
    ) -> Result<Self, TrainError> {
        let warmup = warmup as f64;
        let mut kwargs = Arguments::new(kwargs);
        let decay = match kind {
            SchedulerKind::Linear => Decay::Linear,
            SchedulerKind::Cosine => Decay::Cosine { cycles: kwargs.take("num_cycles", 0.5) },
            SchedulerKind::CosineWithRestarts => {
                Decay::CosineWithRestarts { cycles: kwargs.take("num_cycles", 1.0) }
            }
            SchedulerKind::Polynomial => {
                let end = kwargs.take("lr_end", 1e-7);
                if learning_rate <= end {
                    return Err(TrainError::Config {
                        at: "training.learning_rate".into(),
                        message: format!(
                            "{learning_rate} is not above the polynomial schedule's end, {end}\n\
                             hint: set `training.lr_scheduler_kwargs.lr_end`"
                        ),
                    });
                }
                Decay::Polynomial { end, power: kwargs.take("power", 1.0) }
            }
            SchedulerKind::Constant => Decay::Constant,
            SchedulerKind::ConstantWithWarmup => Decay::ConstantWithWarmup,
            SchedulerKind::InverseSqrt => {
                let default = if warmup > 0.0 { warmup } else { 10_000.0 };
                let timescale = kwargs.take("timescale", default);
                if timescale <= 0.0 {
                    return Err(kwargs.error("timescale", "must be above 0"));
                }
                Decay::InverseSqrt { timescale }
            }
        };
        kwargs.finish()?;
        Ok(Self { learning_rate, warmup, total: total as f64, decay })
    }

    /// Of the update that follows `step` updates: the first is that of step 0.
    pub fn learning_rate(&self, step: u64) -> f64 {
        self.learning_rate * self.factor(step as f64)
    }

    fn factor(&self, step: f64) -> f64 {
        let Self { warmup, total, .. } = *self;
        if step < warmup && self.decay != Decay::Constant {
            return step / warmup;
        }
        let progress = (step - warmup) / (total - warmup).max(1.0);
        match self.decay {
            Decay::Linear => ((total - step) / (total - warmup).max(1.0)).max(0.0),
            Decay::Cosine { cycles } => {
                (0.5 * (1.0 + (PI * cycles * 2.0 * progress).cos())).max(0.0)
            }
            Decay::CosineWithRestarts { .. } if progress >= 1.0 => 0.0,
            Decay::CosineWithRestarts { cycles } => {
                (0.5 * (1.0 + (PI * ((cycles * progress) % 1.0)).cos())).max(0.0)
            }
            Decay::Polynomial { end, power } => {
                let decayed = if step > total || total <= warmup {
                    end
                } else {
                    let left = 1.0 - (step - warmup) / (total - warmup);
                    (self.learning_rate - end) * left.powf(power) + end
                };
                decayed / self.learning_rate
            }
            Decay::Constant | Decay::ConstantWithWarmup => 1.0,
            Decay::InverseSqrt { timescale } => {
                1.0 / ((step + (timescale - warmup)) / timescale).sqrt()
            }
        }
    }
}

/// `lr_scheduler_kwargs`, read by name, so that what is left over can be refused.
struct Arguments<'a> {
    given: &'a [(String, f64)],
    known: Vec<&'static str>,
}

impl<'a> Arguments<'a> {
    fn new(given: &'a [(String, f64)]) -> Self {
        Self { given, known: Vec::new() }
    }

    fn take(&mut self, name: &'static str, default: f64) -> f64 {
        self.known.push(name);
        let given = self.given.iter().find(|(given, _)| given == name);
        given.map_or(default, |(_, value)| *value)
    }

    fn error(&self, name: &str, message: &str) -> TrainError {
        let at = format!("training.lr_scheduler_kwargs.{name}");
        TrainError::Config { at, message: message.into() }
    }

    /// # Errors
    /// If a name is not known, or a number not finite.
    fn finish(self) -> Result<(), TrainError> {
        for (name, value) in self.given {
            if !self.known.contains(&name.as_str()) {
                let known = match &self.known[..] {
                    [] => "this scheduler has no settings".into(),
                    known => format!("this scheduler has only: {}", known.join(", ")),
                };
                return Err(self.error(name, &known));
            }
            if !value.is_finite() {
                return Err(self.error(name, "must be a finite number"));
            }
        }
        Ok(())
    }
}
