//! The batches of the steps, prepared ahead of time on a thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::error::TrainError;
use crate::run::{Plan, PlannedBatch};
use splade_data::{Sample, TrainingData};

use super::batch::{TokenBatch, Tokenization};
use super::teacher::TeacherVectors;

/// The number of steps whose batches are prepared in advance.
const AHEAD: usize = 2;

/// The batches of one step after another.
#[derive(Debug)]
pub(super) struct Feed {
    /// The receiver of the batches; `None` after the drop, which ends the thread.
    steps: Option<Receiver<Result<Vec<TokenBatch>, TrainError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Starts the thread; `first` is the first step, counted from 0.
    pub(super) fn start(
        plan: Plan,
        data: Arc<TrainingData>,
        tokenization: Tokenization,
        teacher: Option<Arc<dyn TeacherVectors>>,
        first: u64,
    ) -> Result<Self, TrainError> {
        let (sender, steps) = sync_channel(AHEAD);
        let make = move || {
            for step in first..plan.total {
                let batches = batches(&plan, &data, &tokenization, teacher.as_deref(), step);
                let failed = batches.is_err();
                if sender.send(batches).is_err() || failed {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("batches".into()).spawn(make);
        let thread = thread.map_err(TrainError::Threads)?;
        Ok(Self { steps: Some(steps), thread: Some(thread) })
    }

    pub(super) fn next(&mut self) -> Result<Vec<TokenBatch>, TrainError> {
        let steps = self.steps.as_ref().expect("the receiver was dropped: this is a bug");
        steps.recv().expect("more steps were requested than planned: this is a bug")
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.steps = None;
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

/// Returns the batches of a step.
fn batches(
    plan: &Plan,
    data: &TrainingData,
    tokenization: &Tokenization,
    teacher: Option<&dyn TeacherVectors>,
    step: u64,
) -> Result<Vec<TokenBatch>, TrainError> {
    let batch = |planned: PlannedBatch| {
        let sample = |position| data.sample(planned.epoch, position);
        let samples: Vec<Sample> = planned.samples.clone().map(sample).collect();
        tokenization.batch(data, &samples, teacher)
    };
    plan.batches_of(step).into_iter().map(batch).collect()
}
