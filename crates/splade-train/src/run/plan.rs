//! The plan of a run: which samples a step consists of, and after which steps the run logs,
//! evaluates and saves.
//!
//! The counts are those of transformers 4.56 (`trainer.py`: `set_initial_training_values`,
//! `_inner_training_loop`; `trainer_callback.py`: `DefaultFlowCallback`). An epoch has
//! `ceil(batches / accumulation)` steps, and its last step has the remaining batches. Everything
//! follows from the number of the step, so a checkpoint holds no position in the data.

use std::ops::Range;

use splade_io::Problem;

use crate::config::{IntervalStrategy, TrainingConfig};
use crate::error::TrainError;

/// The batches and steps of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// The number of samples in an epoch.
    pub(crate) samples: usize,
    /// The number of samples in a batch.
    pub(crate) batch: usize,
    /// The number of batches in an epoch.
    pub(crate) batches: usize,
    /// The number of batches in a step.
    pub(crate) accumulation: usize,
    /// The number of steps in an epoch.
    pub(crate) epoch_steps: u64,
    /// The number of steps in the run.
    pub(crate) total: u64,
    /// The number of epochs in the run, where a partial epoch counts as one.
    pub(crate) epochs: u64,
    /// When losses are logged.
    pub(crate) log: Interval,
    /// When the model is evaluated.
    pub(crate) evaluate: Interval,
    /// When a checkpoint is written.
    pub(crate) save: Interval,
    /// The number of steps whose data was skipped because a run that was resumed with
    /// `ignore_data_skip` restarted its epoch.
    pub(crate) offset: u64,
}

/// The steps after which an action is due.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Interval {
    /// The number of steps between two actions.
    pub(crate) every: Option<u64>,
    /// Whether the action is due at the end of each epoch.
    pub(crate) epochs: bool,
    /// Whether the action is due after the first step.
    pub(crate) first: bool,
    /// Whether the action is due after the last step of the run, whatever the other fields say.
    /// `None` leaves the decision to them.
    pub(crate) last: Option<bool>,
    /// The number of steps before the first action, or of epochs if the action is due by epochs.
    pub(crate) delay: f64,
}

/// A batch of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedBatch {
    /// The number of the epoch, counted from 0.
    pub(crate) epoch: u64,
    /// The positions of the batch's samples in the shuffled epoch.
    pub(crate) samples: Range<usize>,
}

/// The actions that are due after a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// Whether the losses since the last log are logged.
    pub(crate) log: bool,
    /// Whether the model is evaluated.
    pub(crate) evaluate: bool,
    /// Whether a checkpoint is written.
    pub(crate) save: bool,
}

impl Plan {
    /// Computes the batches and steps of a run with `training` on `samples` samples.
    ///
    /// # Errors
    /// Returns an error if there are no samples, or if there is no full batch and partial batches
    /// are dropped.
    pub(crate) fn new(training: &TrainingConfig, samples: usize) -> Result<Self, TrainError> {
        let batch = training.per_device_train_batch_size.max(1);
        let accumulation = training.gradient_accumulation_steps.max(1);
        let batches = match training.dataloader_drop_last {
            true => samples / batch,
            false => samples.div_ceil(batch),
        };
        if batches == 0 {
            let remedy = match samples {
                0 => "lower data.eval_loss_size, which holds samples out of the training",
                _ => "set training.dataloader_drop_last to false, so that a partial batch is used",
            };
            let what = format!("{samples} samples are not enough for a batch of {batch}");
            return Err(TrainError::Data(Problem::new(what).with_remedy(remedy)));
        }
        let epoch_steps = batches.div_ceil(accumulation) as u64;
        let total = match training.max_steps {
            Some(steps) => steps,
            None => (training.num_train_epochs * epoch_steps as f64).ceil().max(0.0) as u64,
        };
        let interval = |strategy: IntervalStrategy, steps: f64| {
            let steps = if steps < 1.0 { (steps * total as f64).ceil() } else { steps };
            let by_steps = strategy == IntervalStrategy::Steps;
            Interval {
                every: (by_steps && steps >= 1.0).then_some(steps as u64),
                epochs: strategy == IntervalStrategy::Epoch,
                ..Interval::default()
            }
        };
        let eval_steps = training.eval_steps.filter(|steps| *steps > 0.0);
        let eval_steps = eval_steps.unwrap_or(training.logging_steps);
        let saves_by_steps = training.save_strategy == IntervalStrategy::Steps;
        Ok(Self {
            samples,
            batch,
            batches,
            accumulation,
            epoch_steps,
            total,
            epochs: total.div_ceil(epoch_steps),
            log: Interval {
                first: training.logging_first_step,
                ..interval(training.logging_strategy, training.logging_steps)
            },
            evaluate: Interval {
                delay: training.eval_delay,
                ..interval(training.eval_strategy, eval_steps)
            },
            save: Interval {
                last: saves_by_steps.then_some(true),
                ..interval(training.save_strategy, training.save_steps)
            },
            offset: 0,
        })
    }

    /// Restarts the epoch of step `done` from its beginning.
    pub(crate) fn begin_epoch_anew(&mut self, done: u64) {
        self.offset += (done - self.offset) % self.epoch_steps;
    }

    /// Returns the batches of step `step`, counted from 0.
    pub(crate) fn batches_of(&self, step: u64) -> Vec<PlannedBatch> {
        let step = step - self.offset;
        let (epoch, within) = (step / self.epoch_steps, (step % self.epoch_steps) as usize);
        let first = within * self.accumulation;
        let last = (first + self.accumulation).min(self.batches);
        let samples = |batch: usize| {
            let start = batch * self.batch;
            start..(start + self.batch).min(self.samples)
        };
        (first..last).map(|batch| PlannedBatch { epoch, samples: samples(batch) }).collect()
    }

    /// Returns the number of epochs after `done` steps, as a fraction.
    pub(crate) fn epoch(&self, done: u64) -> f64 {
        let Some(last) = (done - self.offset).checked_sub(1) else { return 0.0 };
        let (epoch, within) = (last / self.epoch_steps, (last % self.epoch_steps) as usize);
        let batches = ((within + 1) * self.accumulation).min(self.batches);
        epoch as f64 + batches as f64 / self.batches as f64
    }

    /// Returns whether an epoch, or the run, ends with step number `done`, counted from 1.
    pub(crate) fn ends_epoch(&self, done: u64) -> bool {
        (done - self.offset).is_multiple_of(self.epoch_steps) || done >= self.total
    }

    /// Returns the actions that are due after `done` steps.
    pub(crate) fn due(&self, done: u64) -> Due {
        Due {
            log: self.is_due(&self.log, done),
            evaluate: self.is_due(&self.evaluate, done),
            save: self.is_due(&self.save, done),
        }
    }

    fn is_due(&self, interval: &Interval, done: u64) -> bool {
        if let Some(last) = interval.last.filter(|_| done >= self.total) {
            return last;
        }
        let by_steps = interval.every.is_some_and(|steps| done.is_multiple_of(steps));
        (interval.first && done == 1)
            || (by_steps && interval.delay <= done as f64)
            || (interval.epochs && self.ends_epoch(done) && interval.delay <= self.epoch(done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::splade::tests::training;

    fn plan(samples: usize, change: impl Fn(&mut TrainingConfig)) -> Plan {
        let mut training = training();
        training.per_device_train_batch_size = 4;
        change(&mut training);
        Plan::new(&training, samples).expect("a plan")
    }

    /// The expected values were counted by hand after `set_initial_training_values`: 30 samples
    /// give 8 batches of 4 (the last has 2), and 3 batches a step give 3 steps an epoch (the last
    /// has 2 batches).
    #[test]
    fn counts_batches_and_steps() {
        let plan = plan(30, |training| {
            training.gradient_accumulation_steps = 3;
            training.max_steps = None;
            training.num_train_epochs = 2.5;
        });
        assert_eq!((plan.batches, plan.epoch_steps, plan.total, plan.epochs), (8, 3, 8, 3));
        let ranges = |step| -> Vec<_> {
            plan.batches_of(step).into_iter().map(|b| (b.epoch, b.samples)).collect()
        };
        assert_eq!(ranges(0), [(0, 0..4), (0, 4..8), (0, 8..12)]);
        assert_eq!(ranges(2), [(0, 24..28), (0, 28..30)]);
        assert_eq!(ranges(3), [(1, 0..4), (1, 4..8), (1, 8..12)]);
        let epochs: Vec<f64> = (0..=8).map(|done| plan.epoch(done)).collect();
        assert_eq!(epochs, [0.0, 0.375, 0.75, 1.0, 1.375, 1.75, 2.0, 2.375, 2.75]);
        let ends: Vec<u64> = (1..=8).filter(|done| plan.ends_epoch(*done)).collect();
        assert_eq!(ends, [3, 6, 8]);
    }

    #[test]
    fn every_sample_once_an_epoch() {
        for (samples, accumulation, drop) in [(30, 3, false), (30, 3, true), (4, 9, false)] {
            let plan = plan(samples, |training| {
                training.gradient_accumulation_steps = accumulation;
                training.dataloader_drop_last = drop;
            });
            let steps = plan.epoch_steps..2 * plan.epoch_steps;
            let seen: Vec<usize> =
                steps.flat_map(|step| plan.batches_of(step)).flat_map(|b| b.samples).collect();
            let want = if drop { samples / 4 * 4 } else { samples };
            assert_eq!(seen, (0..want).collect::<Vec<_>>());
        }
        let mut training = training();
        training.dataloader_drop_last = true;
        training.per_device_train_batch_size = 8;
        let message = Plan::new(&training, 7).expect_err("no batch").said();
        assert!(message.contains("drop_last"), "{message}");
    }

    #[test]
    fn an_epoch_can_begin_anew() {
        let mut plan = plan(12, |_| ());
        assert_eq!(plan.batches_of(4)[0].samples, 4..8);
        plan.begin_epoch_anew(4);
        assert_eq!(plan.batches_of(4)[0], PlannedBatch { epoch: 1, samples: 0..4 });
        assert_eq!((plan.epoch(6), plan.epoch(7)), (1.0 + 2.0 / 3.0, 2.0));
        assert!(plan.ends_epoch(7) && !plan.ends_epoch(6));
    }

    #[test]
    fn shares_of_all_steps_and_delays() {
        let set = |training: &mut TrainingConfig| {
            training.max_steps = Some(25);
            training.logging_strategy = IntervalStrategy::Steps;
            training.logging_steps = 0.1;
            training.logging_first_step = true;
            training.eval_strategy = IntervalStrategy::Steps;
            training.eval_steps = None;
            training.eval_delay = 9.0;
            training.save_strategy = IntervalStrategy::Steps;
            training.save_steps = 10.0;
        };
        let plan = plan(40, set);
        let when = |is: fn(Due) -> bool| -> Vec<u64> {
            (1..=25).filter(|done| is(plan.due(*done))).collect()
        };
        assert_eq!(when(|due| due.log), [1, 3, 6, 9, 12, 15, 18, 21, 24]);
        assert_eq!(when(|due| due.evaluate), [9, 12, 15, 18, 21, 24]);
        assert_eq!(when(|due| due.save), [10, 20, 25]);
        let plan = super::tests::plan(40, |training| {
            set(training);
            training.logging_strategy = IntervalStrategy::No;
            training.logging_first_step = false;
            training.save_strategy = IntervalStrategy::No;
            training.eval_strategy = IntervalStrategy::Epoch;
            training.eval_delay = 2.0;
        });
        // An epoch has ten steps.
        assert_eq!(plan.due(10), Due::default());
        assert!(plan.due(20).evaluate);
    }

    #[test]
    fn the_last_step_may_be_an_exception() {
        let mut plan = plan(40, |training| {
            training.max_steps = Some(25);
            training.save_strategy = IntervalStrategy::Steps;
            training.save_steps = 5.0;
        });
        let saves =
            |plan: &Plan| -> Vec<u64> { (1..=25).filter(|done| plan.due(*done).save).collect() };
        plan.save.last = Some(false);
        assert_eq!(saves(&plan), [5, 10, 15, 20]);
    }
}
