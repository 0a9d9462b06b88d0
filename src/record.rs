//! Texts with their ids, and how far their source has been read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use splade_io::{Event, Observer};

use crate::error::Error;

/// A text and its id.
///
/// ```
/// use light_splade::input::Record;
/// use light_splade::{Index, IndexOptions, SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let mut index = Index::create(folder.path().join("index"), &encoder, &IndexOptions::default())?;
/// let record = Record::titled("tokyo", "東京", "日本の首都です。");
/// assert_eq!(index.upsert(&encoder, [record], &mut ())?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The id of the text; unique in a collection.
    pub id: String,
    /// The text, after its title where the record has one: what is encoded.
    pub text: String,
    /// The title, with which the text begins; empty if there is none.
    pub title: String,
}

impl Record {
    /// A text without a title.
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { id: id.into(), text: text.into(), title: String::new() }
    }

    /// A text with a title, which is put before it, with a blank between them. An empty title is
    /// none.
    ///
    /// ```
    /// use light_splade::input::Record;
    ///
    /// assert_eq!(Record::titled("1", "Tokyo", "The capital.").text, "Tokyo The capital.");
    /// ```
    pub fn titled(id: impl Into<String>, title: &str, text: impl Into<String>) -> Self {
        let text = titled(title, text.into());
        Self { id: id.into(), text, title: title.trim().to_owned() }
    }
}

/// A text after its title, if it has one.
pub(crate) fn titled(title: &str, text: String) -> String {
    match title {
        "" => text,
        title => format!("{title} {text}").trim().to_owned(),
    }
}

/// Something that is a text with an id: a [`Record`], a pair, or the result of reading one.
///
/// ```
/// use light_splade::input::IntoRecord;
///
/// // What every function takes as a document: an id and a text, or only a text.
/// let record = ("tokyo", "日本の首都").into_record()?;
/// assert_eq!((record.id.as_str(), record.text.as_str()), ("tokyo", "日本の首都"));
/// # Ok::<(), light_splade::Error>(())
/// ```
pub trait IntoRecord {
    /// Returns the record, or why it could not be read.
    ///
    /// # Errors
    /// If it could not be read.
    fn into_record(self) -> Result<Record, Error>;
}

impl IntoRecord for Record {
    fn into_record(self) -> Result<Record, Error> {
        Ok(self)
    }
}

impl IntoRecord for Result<Record, Error> {
    fn into_record(self) -> Result<Record, Error> {
        self
    }
}

impl<I: Into<String>, T: Into<String>> IntoRecord for (I, T) {
    fn into_record(self) -> Result<Record, Error> {
        Ok(Record::new(self.0, self.1))
    }
}

/// How far inputs have been read, in bytes of their files or by another count, and what there is to
/// say about them.
///
/// ```
/// use light_splade::input::Position;
///
/// let position = Position::of(200);
/// position.read(50);
/// assert_eq!(position.share(), Some(0.25));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Position {
    pub(crate) read: Arc<AtomicU64>,
    /// None where standard input or a pipe is among them.
    pub(crate) total: Option<u64>,
    remarks: Arc<Mutex<Vec<Remark>>>,
}

/// Something to say about inputs.
#[derive(Debug)]
#[cfg_attr(not(feature = "tools"), expect(dead_code, reason = "only files have remarks"))]
pub(crate) enum Remark {
    Note(String),
    Warning(String),
}

impl Position {
    /// Of inputs that are counted by [`Position::read`].
    pub fn of(total: u64) -> Self {
        Self { total: Some(total), ..Self::default() }
    }

    /// Counts what has been read.
    pub fn read(&self, count: u64) {
        self.read.fetch_add(count, Ordering::Relaxed);
    }

    /// The share that has been read, where it is known.
    pub fn share(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.read.load(Ordering::Relaxed) as f64 / total as f64).min(1.0))
    }

    /// Tells an observer what there is to say about the inputs since the last call.
    pub fn tell(&self, observer: &mut dyn Observer) {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        for remark in remarks.drain(..) {
            observer.event(match &remark {
                Remark::Note(text) => Event::Note(text),
                Remark::Warning(text) => Event::Warning(text),
            });
        }
    }

    #[cfg(feature = "tools")]
    pub(crate) fn remark(&self, remark: Remark) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push(remark);
    }
}
