//! What a step is made of: which samples, when it logs, evaluates and saves.
//!
//! As transformers 4.56 counts (`trainer.py`: `set_initial_training_values`, `_inner_training_loop`;
//! `trainer_callback.py`: `DefaultFlowCallback`): an epoch is `ceil(batches / accumulation)` steps,
//! its last step has the batches that are left. All of it follows from the number of the step, so
//! that a checkpoint holds no position.

use std::ops::Range;

use crate::config::{IntervalStrategy, TrainingConfig};
use crate::error::TrainError;

/// Batches and steps of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Samples of an epoch.
    pub samples: usize,
    /// Samples of a batch.
    pub batch: usize,
    /// Batches of an epoch.
    pub batches: usize,
    /// Batches of a step.
    pub accumulation: usize,
    /// Steps of an epoch.
    pub epoch_steps: u64,
    /// Steps of the run.
    pub total: u64,
    /// Epochs that are begun.
    pub epochs: u64,
    /// Steps between two logs, evaluations and checkpoints; none: never by steps.
    pub logging_steps: Option<u64>,
    /// As `logging_steps`.
    pub eval_steps: Option<u64>,
    /// As `logging_steps`.
    pub save_steps: Option<u64>,
    /// Steps whose data was not gone over: a run that was continued with `ignore_data_skip` began
    /// its epoch anew.
    pub offset: u64,
}

/// A batch of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedBatch {
    /// From 0.
    pub epoch: u64,
    /// Positions in the shuffled epoch.
    pub samples: Range<usize>,
}

/// What is due after a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// Log the losses since the last log.
    pub log: bool,
    /// Evaluate.
    pub evaluate: bool,
    /// Write a checkpoint.
    pub save: bool,
}

impl Plan {
    /// Counts.
    ///
    /// # Errors
    /// If there are no samples, or not one full batch where others are left out.
    pub fn new(training: &TrainingConfig, samples: usize) -> Result<Self, TrainError> {
        let batch = training.per_device_train_batch_size.max(1);
        let accumulation = training.gradient_accumulation_steps.max(1);
        let batches = match training.dataloader_drop_last {
            true => samples / batch,
            false => samples.div_ceil(batch),
        };
        if batches == 0 {
            let hint = match samples {
                0 => "hint: data.eval_loss_size holds some back, see that it leaves others",
                _ => "hint: training.dataloader_drop_last leaves out a batch that is not full",
            };
            return Err(TrainError::Data(format!(
                "{samples} samples give no batch of {batch} to train on\n{hint}"
            )));
        }
        let epoch_steps = batches.div_ceil(accumulation) as u64;
        let total = match training.max_steps {
            Some(steps) => steps,
            None => (training.num_train_epochs * epoch_steps as f64).ceil().max(0.0) as u64,
        };
        let interval = |strategy: IntervalStrategy, steps: f64| {
            let steps = if steps < 1.0 { (steps * total as f64).ceil() } else { steps };
            (strategy == IntervalStrategy::Steps && steps >= 1.0).then_some(steps as u64)
        };
        let eval_steps = training.eval_steps.filter(|steps| *steps > 0.0);
        Ok(Self {
            samples,
            batch,
            batches,
            accumulation,
            epoch_steps,
            total,
            epochs: total.div_ceil(epoch_steps),
            logging_steps: interval(training.logging_strategy, training.logging_steps),
            eval_steps: interval(
                training.eval_strategy,
                eval_steps.unwrap_or(training.logging_steps),
            ),
            save_steps: interval(training.save_strategy, training.save_steps),
            offset: 0,
        })
    }

    /// Begins the epoch of step `done` anew.
    pub fn begin_epoch_anew(&mut self, done: u64) {
        self.offset += (done - self.offset) % self.epoch_steps;
    }

    /// The batches of step `step`, from 0.
    pub fn batches_of(&self, step: u64) -> Vec<PlannedBatch> {
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

    /// Epochs after `done` steps.
    pub fn epoch(&self, done: u64) -> f64 {
        let Some(last) = (done - self.offset).checked_sub(1) else { return 0.0 };
        let (epoch, within) = (last / self.epoch_steps, (last % self.epoch_steps) as usize);
        let batches = ((within + 1) * self.accumulation).min(self.batches);
        epoch as f64 + batches as f64 / self.batches as f64
    }

    /// Whether an epoch, or the run, ends with step number `done`, from 1.
    pub fn ends_epoch(&self, done: u64) -> bool {
        (done - self.offset).is_multiple_of(self.epoch_steps) || done >= self.total
    }

    /// Checkpoints that are written after `done` steps, at most.
    pub fn saves_after(&self, training: &TrainingConfig, done: u64) -> u64 {
        let left = self.total.saturating_sub(done);
        match training.save_strategy {
            IntervalStrategy::No => 0,
            IntervalStrategy::Steps => self.save_steps.map_or(1, |steps| left / steps + 1),
            IntervalStrategy::Epoch => left.div_ceil(self.epoch_steps),
            // Each better than all before: few.
            IntervalStrategy::Best => left.min(3),
        }
    }

    /// What is due by the number of steps after `done` of them.
    pub fn due(&self, training: &TrainingConfig, done: u64) -> Due {
        let every = |steps: Option<u64>| steps.is_some_and(|steps| done.is_multiple_of(steps));
        let by_steps = training.save_strategy == IntervalStrategy::Steps;
        Due {
            log: (done == 1 && training.logging_first_step) || every(self.logging_steps),
            evaluate: every(self.eval_steps) && training.eval_delay <= done as f64,
            save: every(self.save_steps) || (by_steps && done >= self.total),
        }
    }

    /// What is due at the end of the epoch that ends after `done` steps.
    pub fn due_at_epoch(&self, training: &TrainingConfig, done: u64) -> Due {
        let by_epoch = |strategy: IntervalStrategy| strategy == IntervalStrategy::Epoch;
        Due {
            log: by_epoch(training.logging_strategy),
            evaluate: by_epoch(training.eval_strategy) && training.eval_delay <= self.epoch(done),
            save: by_epoch(training.save_strategy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::tests::training;

    fn plan(samples: usize, change: impl Fn(&mut TrainingConfig)) -> Plan {
        let mut training = training();
        training.per_device_train_batch_size = 4;
        change(&mut training);
        Plan::new(&training, samples).expect("a plan")
    }

    /// Counted by hand after `set_initial_training_values`: 30 samples are 8 batches of 4 (the last
    /// of 2), 3 batches a step are 3 steps an epoch (the last of 2 batches).
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
        let message = Plan::new(&training, 7).expect_err("no batch").to_string();
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
        let mut training = training();
        set(&mut training);
        let when = |is: fn(Due) -> bool| -> Vec<u64> {
            (1..=25).filter(|done| is(plan.due(&training, *done))).collect()
        };
        assert_eq!(when(|due| due.log), [1, 3, 6, 9, 12, 15, 18, 21, 24]);
        assert_eq!(when(|due| due.evaluate), [9, 12, 15, 18, 21, 24]);
        assert_eq!(when(|due| due.save), [10, 20, 25]);
        assert_eq!(plan.due_at_epoch(&training, 25), Due::default());
        assert_eq!((plan.saves_after(&training, 0), plan.saves_after(&training, 20)), (3, 1));
        training.eval_strategy = IntervalStrategy::Epoch;
        training.eval_delay = 2.0;
        assert!(!plan.due_at_epoch(&training, 10).evaluate);
        assert!(plan.due_at_epoch(&training, 20).evaluate);
    }
}
