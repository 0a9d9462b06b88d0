//! Reports the progress of a conversion and checks whether it should stop.

use splade_io::{Event, Observer, Progress};

use crate::error::DataError;

/// The observer of a conversion, with the methods that its loops call.
pub(super) struct Steps<'a>(pub(super) &'a mut dyn Observer);

impl Steps<'_> {
    /// The number of items between two events.
    const EVERY: usize = 1 << 16;

    /// Reports progress. `what` is a phrase such as `triples read`.
    ///
    /// # Errors
    /// Returns [`DataError::Stopped`] if the observer asks to stop.
    pub(super) fn at(
        &mut self,
        what: &'static str,
        done: usize,
        total: impl Into<Option<usize>>,
    ) -> Result<(), DataError> {
        let total = total.into().map(|total| total as u64);
        let progress = Progress {
            doing: "converting",
            unit: what,
            done: done as u64,
            total,
            ..Progress::default()
        };
        self.0.event(Event::Progress(progress));
        match self.0.stop() {
            false => Ok(()),
            true => Err(DataError::Stopped),
        }
    }

    /// Reports progress in a loop over single items; only every [`Self::EVERY`]th call has an
    /// effect.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        done: usize,
        total: impl Into<Option<usize>>,
    ) -> Result<(), DataError> {
        match done % Self::EVERY {
            0 => self.at(what, done, total),
            _ => Ok(()),
        }
    }
}
