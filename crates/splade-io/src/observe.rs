//! How long work tells of its progress, and how it is asked to stop.

use std::path::Path;

/// Receives what long work tells, and can ask it to stop.
///
/// Every function of this project that may take longer than a second takes an observer. `&mut ()`
/// is one that hears nothing and never stops.
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

    /// Returns whether the work should stop at the next point where nothing is lost. It is asked
    /// between batches or steps.
    fn stop(&mut self) -> bool {
        false
    }
}

impl Observer for () {
    fn event(&mut self, _: Event<'_>) {}
}

/// Something that long work tells.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A sentence that a person may want to read.
    Note(&'a str),
    /// A sentence that a person should read: the result may be worse than expected.
    Warning(&'a str),
    /// Items are being worked off. The first event comes before the first item is done; the last one
    /// says that it is the last.
    Progress(Progress<'a>),
    /// A file or folder is complete.
    Saved(&'a Path),
    /// A training run begins, or goes on after some steps.
    RunBegins {
        /// Samples of an epoch.
        samples: usize,
        /// Batches of an epoch.
        batches: usize,
        /// The steps that were made before, by an earlier process.
        done: u64,
        /// The steps of the whole run.
        total: u64,
        /// The address of the live page, `http://…`, where one is served.
        dashboard: Option<&'a str>,
    },
    /// A training step was made.
    Step(StepProgress),
    /// Numbers were written to the logs.
    Logged {
        /// The number of steps that were made.
        step: u64,
        /// The numbers by name.
        values: &'a [(String, f64)],
    },
    /// An evaluation of the model that is being trained begins.
    Evaluating,
    /// An evaluation ended.
    Evaluated {
        /// The number of steps that were made.
        step: u64,
        /// The metrics by name.
        values: &'a [(String, f64)],
        /// Whether the model is the best of the run so far.
        best: bool,
    },
}

/// How far a piece of work is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress<'a> {
    /// What is done, as a phrase: `encoding documents`.
    pub doing: &'a str,
    /// What is counted, as a plural: `texts`.
    pub unit: &'a str,
    /// The number of items that are done.
    pub done: u64,
    /// The number of all items, where it is known.
    pub total: Option<u64>,
    /// The number of tokens of the items that are done; 0 where none are counted.
    pub tokens: u64,
    /// The share of the input that has been read, from 0 to 1, where its size is known.
    pub share: Option<f64>,
    /// Whether this is the last event of the work: everything is done, or the work was stopped.
    pub finished: bool,
}

/// How far a training run is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepProgress {
    /// The number of steps that were made.
    pub step: u64,
    /// The steps of the whole run.
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
    /// The share of hidden tokens that were predicted, in masked language modelling.
    pub accuracy: Option<f64>,
    /// Tokens per second since the process began, evaluations and checkpoints left out.
    pub tokens_per_second: f64,
    /// The estimated seconds until the last step.
    pub seconds_left: f64,
}
