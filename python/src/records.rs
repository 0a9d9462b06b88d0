//! Documents from a Python iterator, read some at a time.

use std::sync::{Arc, Mutex, PoisonError};

use light_splade::Error;
use light_splade::input::Record;
use pyo3::prelude::*;
use pyo3::types::PyIterator;

/// The number of texts that are taken from Python at a time.
const AT_A_TIME: usize = 256;

/// A record as Python hands it over: its id, its title, which may be empty, and its text.
type Triple = (String, String, String);

/// Records of an iterator over triples of an id, a title and a text. When the iterator raises, the records end, and what was
/// raised is kept for [`Raised::take`].
pub(crate) struct PyRecords {
    iterator: Py<PyIterator>,
    ready: std::vec::IntoIter<Triple>,
    raised: Raised,
    ended: bool,
}

/// What an iterator raised.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// Whether there is something.
    pub(crate) fn has(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes it, if there is something.
    pub(crate) fn take(&self) -> Option<PyErr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl PyRecords {
    /// Begins to read.
    pub(crate) fn new(iterator: Py<PyIterator>) -> (Self, Raised) {
        let raised = Raised::default();
        let this =
            Self { iterator, ready: Vec::new().into_iter(), raised: raised.clone(), ended: false };
        (this, raised)
    }

    fn fetch(&mut self) {
        let (mut triples, iterator) = (Vec::with_capacity(AT_A_TIME), &self.iterator);
        let more = Python::attach(|py| -> PyResult<bool> {
            let mut iterator = iterator.bind(py).clone();
            while triples.len() < AT_A_TIME {
                match iterator.next() {
                    Some(item) => triples.push(item?.extract()?),
                    None => return Ok(false),
                }
            }
            Ok(true)
        });
        match more {
            Ok(more) => self.ended = !more,
            Err(error) => {
                self.ended = true;
                *self.raised.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
        self.ready = triples.into_iter();
    }
}

impl Iterator for PyRecords {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.len() == 0 && !self.ended {
            self.fetch();
        }
        self.ready.next().map(|(id, title, text)| Ok(Record::titled(id, &title, text)))
    }
}
