//! An [`Observer`] where a library below asks for a callback of its own.

use splade_export::push::Watcher;
use splade_io::{Event, Observer};

/// Passes the notes of a client on, and asks the observer whether its waits should end.
pub(crate) struct Watching<'a>(pub(crate) &'a mut dyn Observer);

impl Watcher for Watching<'_> {
    fn note(&mut self, message: &str) {
        self.0.event(Event::Note(message));
    }

    fn stopped(&mut self) -> bool {
        self.0.stop()
    }
}
