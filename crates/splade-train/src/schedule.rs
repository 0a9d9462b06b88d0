//! The learning rate of every step, as the schedulers of transformers 4.56 compute it
//! (`get_scheduler`), in the same f64 arithmetic.

use std::f64::consts::PI;

use hydra_compose::settings::SettingError;

use crate::config::{SchedulerKind, TrainingConfig};
use crate::error::TrainError;

/// The learning rate as a function of the step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schedule {
    learning_rate: f64,
    warmup: f64,
    total: f64,
    decay: Decay,
}

/// The form of the schedule after the warm-up.
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
    /// A constant rate, without a warm-up.
    Constant,
    ConstantWithWarmup,
    InverseSqrt {
        timescale: f64,
    },
}

impl Schedule {
    /// Creates the schedule of a run of `total_steps`. The warm-up has `warmup_steps` steps; if
    /// that is 0, it has the share `warmup_ratio` of all steps, rounded up. With
    /// `compat.linear_schedule` the schedule is linear after `warmup_steps`, whatever the other
    /// settings say.
    ///
    /// # Errors
    /// Returns an error if `lr_scheduler_kwargs` has a name that the scheduler does not know, or a
    /// number out of its range.
    pub(crate) fn new(training: &TrainingConfig, total_steps: u64) -> Result<Self, TrainError> {
        if training.compat.linear_schedule {
            let (rate, warmup) = (training.learning_rate, training.warmup_steps);
            return Ok(Self::linear(rate, warmup, total_steps));
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

    /// Creates a schedule that rises in a line to `learning_rate` over `warmup` steps, and falls in
    /// a line to 0 at the last step.
    pub(crate) fn linear(learning_rate: f64, warmup: u64, total_steps: u64) -> Self {
        let (warmup, total) = (warmup as f64, total_steps as f64);
        Self { learning_rate, warmup, total, decay: Decay::Linear }
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
                    let rule = format!(
                        "{learning_rate} is not above {end}, the final rate of the polynomial \
                         schedule"
                    );
                    return Err(SettingError::new("training.learning_rate", rule)
                        .with_remedy("set training.lr_scheduler_kwargs.lr_end")
                        .into());
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

    /// Returns the learning rate of the update that follows `step` updates; the first update is
    /// step 0.
    pub(crate) fn learning_rate(&self, step: u64) -> f64 {
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
                (0.5 * (1.0 + libm::cos(PI * cycles * 2.0 * progress))).max(0.0)
            }
            Decay::CosineWithRestarts { .. } if progress >= 1.0 => 0.0,
            Decay::CosineWithRestarts { cycles } => {
                (0.5 * (1.0 + libm::cos(PI * ((cycles * progress) % 1.0)))).max(0.0)
            }
            Decay::Polynomial { end, power } => {
                let decayed = if step > total || total <= warmup {
                    end
                } else {
                    let left = 1.0 - (step - warmup) / (total - warmup);
                    (self.learning_rate - end) * libm::pow(left, power) + end
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

/// The values of `lr_scheduler_kwargs`, read by name, so that unread names can be refused.
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
        SettingError::new(format!("training.lr_scheduler_kwargs.{name}"), message).into()
    }

    /// Checks that all values are read and finite.
    ///
    /// # Errors
    /// Returns an error if a name is not known to the scheduler, or if a number is not finite.
    fn finish(self) -> Result<(), TrainError> {
        for (name, value) in self.given {
            if !self.known.contains(&name.as_str()) {
                let known = match &self.known[..] {
                    [] => "this scheduler has no settings".into(),
                    known => format!("this scheduler has only the settings {}", known.join(", ")),
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn kind(name: &str) -> SchedulerKind {
        match name {
            "linear" => SchedulerKind::Linear,
            "cosine" => SchedulerKind::Cosine,
            "cosine_with_restarts" => SchedulerKind::CosineWithRestarts,
            "polynomial" => SchedulerKind::Polynomial,
            "constant" => SchedulerKind::Constant,
            "constant_with_warmup" => SchedulerKind::ConstantWithWarmup,
            "inverse_sqrt" => SchedulerKind::InverseSqrt,
            other => panic!("{other}"),
        }
    }

    /// Both sides do the same operations on f64; only the cosine and the power come from different
    /// libraries.
    #[test]
    fn rates_are_those_of_transformers() {
        let fixture: Value =
            serde_json::from_str(include_str!("../tests/fixtures/objective.json")).unwrap();
        let cases = fixture["schedules"].as_array().unwrap();
        assert_eq!(cases.len(), 31);
        for case in cases {
            let kwargs = case["kwargs"].as_object().unwrap().iter();
            let kwargs: Vec<(String, f64)> =
                kwargs.map(|(name, value)| (name.clone(), value.as_f64().unwrap())).collect();
            let number = |name: &str| case[name].as_u64().unwrap();
            let rate = case["rate"].as_f64().unwrap();
            let kind = kind(case["kind"].as_str().unwrap());
            let schedule =
                Schedule::of(kind, rate, &kwargs, number("warmup"), number("total")).unwrap();
            let expected = case["rates"].as_array().unwrap();
            assert!(expected.len() >= 20, "{kind:?}");
            for (step, expected) in expected.iter().enumerate() {
                let (got, expected) =
                    (schedule.learning_rate(step as u64), expected.as_f64().unwrap());
                let near = (got - expected).abs() <= 1e-15 * rate + 1e-14 * expected.abs();
                assert!(near, "{kind:?} {kwargs:?}, step {step}: {got}, not {expected}");
            }
        }
    }

    #[test]
    fn warm_up_is_steps_or_a_share_of_them() {
        let mut training = training();
        let first = |training: &TrainingConfig, total| {
            let schedule = Schedule::new(training, total).unwrap();
            (0..total).find(|&step| schedule.learning_rate(step) == training.learning_rate)
        };
        assert_eq!(first(&training, 95), Some(10));
        training.warmup_steps = 4;
        assert_eq!(first(&training, 95), Some(4));
        // In the middle of the decay, the cosine and the line are both one half; after that they
        // differ.
        let at = |training: &TrainingConfig| {
            Schedule::new(training, 44).unwrap().learning_rate(34) / training.learning_rate
        };
        assert!((at(&training) - 0.5 * (1.0 + (0.75 * PI).cos())).abs() < 1e-12);
        training.compat.linear_schedule = true;
        assert!((at(&training) - 0.25).abs() < 1e-12);
        training.warmup_steps = 0;
        assert_eq!(first(&training, 95), Some(0));
    }

    fn training() -> TrainingConfig {
        TrainingConfig {
            lr_scheduler_type: SchedulerKind::Cosine,
            learning_rate: 3e-4,
            warmup_ratio: 0.1,
            ..TrainingConfig::default()
        }
    }

    #[test]
    fn no_schedule_divides_by_zero() {
        for name in ["linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt"] {
            for (warmup, total) in [(0, 0), (3, 3), (5, 3), (0, 1)] {
                let schedule = Schedule::of(kind(name), 1e-3, &[], warmup, total).unwrap();
                for step in 0..8 {
                    let rate = schedule.learning_rate(step);
                    assert!((0.0..=1e-3).contains(&rate), "{name} {warmup} {total} {step}: {rate}");
                }
            }
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        let one = |name: &str, value: f64| vec![(name.to_string(), value)];
        for (name, kwargs, expected) in [
            ("linear", one("power", 2.0), "power: this scheduler has no settings"),
            ("cosine", one("power", 2.0), "power: this scheduler has only the settings num_cycles"),
            (
                "polynomial",
                one("cycles", 2.0),
                "cycles: this scheduler has only the settings lr_end, power",
            ),
            ("cosine", one("num_cycles", f64::NAN), "num_cycles: must be a finite number"),
            ("inverse_sqrt", one("timescale", 0.0), "timescale: must be above 0"),
        ] {
            let error = Schedule::of(kind(name), 1e-3, &kwargs, 0, 9).unwrap_err().to_string();
            assert_eq!(error, format!("training.lr_scheduler_kwargs.{expected}"));
        }
        let error = Schedule::of(SchedulerKind::Polynomial, 1e-7, &[], 0, 9).unwrap_err();
        assert!(error.to_string().starts_with("training.learning_rate: 0.0000001 is not above"));
    }
}
