//! The interface through which long work reports its progress and is asked to stop.

use std::path::Path;

/// Receives the events of long work and can ask it to stop.
///
/// Every function of this project that may take longer than a second takes an observer. `&mut ()`
/// is an observer that ignores all events and never stops the work.
///
/// ```
/// use splade_io::{Event, Observer};
///
/// /// Stops after a number of events.
/// struct Patience(usize);
///
/// impl Observer for Patience {
///     fn event(&mut self, _: Event<'_>) {
///         self.0 = self.0.saturating_sub(1);
///     }
///     fn stop(&mut self) -> bool {
///         self.0 == 0
///     }
/// }
/// let mut patience = Patience(1);
/// patience.event(Event::Note("1,000 documents"));
/// assert!(patience.stop());
/// ```
pub trait Observer {
    /// Receives an event. The work waits for the call, so it should return soon.
    fn event(&mut self, event: Event<'_>);

    /// Returns whether the work should stop at the next point where no result is lost. The work
    /// calls this method between batches or steps.
    fn stop(&mut self) -> bool {
        false
    }
}

impl Observer for () {
    fn event(&mut self, _: Event<'_>) {}
}

/// An event of long work.
///
/// ```
/// use splade_io::{Event, Observer};
///
/// /// Prints what is said, and leaves progress out.
/// struct Quiet;
///
/// impl Observer for Quiet {
///     fn event(&mut self, event: Event<'_>) {
///         match event {
///             Event::Note(text) => println!("{text}"),
///             Event::Warning(text) => println!("warning: {text}"),
///             Event::Hint(text) => println!("hint: {text}"),
///             _ => {}
///         }
///     }
/// }
/// Quiet.event(Event::Warning("a text is empty"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A sentence that the user may want to read.
    Note(&'a str),
    /// A step on the way to a result begins, such as `encoding queries`. The progress that follows is
    /// of this step.
    Begins(&'a str),
    /// A sentence that only a user reads who wants to know more, such as the time of a step.
    Detail(&'a str),
    /// A sentence that the user should read: the result may be worse than expected.
    Warning(&'a str),
    /// What a person can do about the warning before it.
    Hint(&'a str),
    /// The progress of work on a number of items. The first event comes before the first item is
    /// done; the last event has `finished` set.
    Progress(Progress<'a>),
    /// A file or folder is complete.
    Saved(&'a Path),
    /// A training run begins, or resumes after some steps.
    RunBegins {
        /// The number of samples in an epoch.
        samples: usize,
        /// The number of batches in an epoch.
        batches: usize,
        /// The number of steps that an earlier process has completed.
        done: u64,
        /// The number of steps in the whole training run.
        total: u64,
        /// The address of the live page, `http://…`, if one is served.
        dashboard: Option<&'a str>,
    },
    /// A training step was completed.
    Step(StepProgress),
    /// Values were written to the logs.
    Logged {
        /// The number of completed steps.
        step: u64,
        /// The values with their names.
        values: &'a [(String, f64)],
    },
    /// An evaluation of the model in training begins.
    Evaluating,
    /// An evaluation of the model in training ended.
    Evaluated {
        /// The number of completed steps.
        step: u64,
        /// The metrics with their names.
        values: &'a [(String, f64)],
        /// Whether the model is the best of the training run so far.
        best: bool,
    },
}

/// The progress of a piece of work.
///
/// ```
/// use splade_io::{Event, Progress};
///
/// let progress = Progress { unit: "texts", done: 50, total: Some(200), ..Progress::default() };
/// if let Event::Progress(Progress { done, total: Some(total), unit, .. }) = Event::Progress(progress) {
///     assert_eq!(format!("{done} of {total} {unit}"), "50 of 200 texts");
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress<'a> {
    /// The current work as a phrase, such as `encoding documents`.
    pub doing: &'a str,
    /// The unit of the items in the plural, such as `texts`.
    pub unit: &'a str,
    /// The number of completed items.
    pub done: u64,
    /// The total number of items, if it is known.
    pub total: Option<u64>,
    /// The number of tokens in the completed items; 0 if tokens are not counted.
    pub tokens: u64,
    /// The share of the input that has been read, from 0 to 1, if the size of the input is known.
    pub share: Option<f64>,
    /// Whether this is the last event of the work, which is complete or was stopped.
    pub finished: bool,
}

/// The progress of a training run.
///
/// ```
/// use splade_io::{Event, StepProgress};
///
/// let progress = StepProgress { step: 10, total: 300, loss: 0.25, ..StepProgress::default() };
/// if let Event::Step(StepProgress { step, total, loss, .. }) = Event::Step(progress) {
///     assert_eq!(format!("step {step} of {total}: {loss}"), "step 10 of 300: 0.25");
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepProgress {
    /// The number of completed steps.
    pub step: u64,
    /// The number of steps in the whole training run.
    pub total: u64,
    /// The loss of this step.
    pub loss: f64,
    /// The regularization strength for queries that this step used.
    pub lambda_q: f64,
    /// The regularization strength for documents that this step used.
    pub lambda_d: f64,
    /// The mean number of terms in a query vector of this step.
    pub query_terms: f64,
    /// The mean number of terms in a document vector of this step.
    pub document_terms: f64,
    /// The share of masked tokens that were predicted correctly; only in masked language modelling.
    pub accuracy: Option<f64>,
    /// The tokens per second since the process began, without the time of evaluations and
    /// checkpoints.
    pub tokens_per_second: f64,
    /// The estimated time until the last step, in seconds.
    pub seconds_left: f64,
}
