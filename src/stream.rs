//! Texts into vectors, a window at a time, so that memory stays bounded however many texts there are.

use std::time::{Duration, Instant};

use splade_io::{Event, Observer, Progress, counted};
use splade_model::Encoder;
use splade_sparse::SparseVector;

use crate::error::Error;
use crate::record::{Position, Record};

/// Records one after another, and how far their input has been read.
pub(crate) struct Records<'a> {
    records: Box<dyn Iterator<Item = Result<Record, Error>> + 'a>,
    position: Position,
}

impl<'a> Records<'a> {
    /// Records whose input counts by itself how far it has been read.
    pub(crate) fn new(
        records: impl Iterator<Item = Result<Record, Error>> + 'a,
        position: Position,
    ) -> Self {
        Self { records: Box::new(records), position }
    }

    /// Records whose number is known.
    #[cfg(feature = "tools")]
    pub(crate) fn counted(
        records: impl Iterator<Item = Result<Record, Error>> + 'a,
        count: u64,
    ) -> Self {
        let position = Position::of(count);
        let read = position.clone();
        Self { records: Box::new(records.inspect(move |_| read.read(1))), position }
    }

    /// The records whose ids pass a test.
    pub(crate) fn filtered(self, pass: impl Fn(&str) -> bool + 'a) -> Self {
        let passes =
            move |record: &Result<Record, Error>| record.as_ref().map_or(true, |r| pass(&r.id));
        Self { records: Box::new(self.records.filter(passes)), position: self.position }
    }

    /// How far the input has been read.
    pub(crate) fn share(&self) -> Option<f64> {
        self.position.share()
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next()
    }
}

/// How a stream of texts ended.
///
/// ```
/// use light_splade::encode::{Ended, Side};
/// use light_splade::input::Position;
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let (texts, position) = ([("1", "東京")], Position::default());
/// let ended = encoder.encode_each(Side::Query, texts, position, &mut (), |id, vector| {
///     assert!(id == "1" && !vector.is_empty());
///     Ok::<(), light_splade::Error>(())
/// })?;
/// assert_eq!(ended, Ended::Whole);
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All texts are done.
    Whole,
    /// The observer asked to stop; the texts so far are done.
    Stopped,
}

impl Ended {
    /// An error where the stream was stopped, for work of which nothing is kept.
    #[cfg(feature = "tools")]
    pub(crate) fn or_nothing(self) -> Result<(), Error> {
        match self {
            Self::Whole => Ok(()),
            Self::Stopped => Err(Error::stopped()),
        }
    }
}

/// Encodes all records and hands over each one with its vector in order.
pub(crate) fn encode<E: From<Error>>(
    encoder: &Encoder,
    records: &mut Records<'_>,
    observer: &mut dyn Observer,
    mut take: impl FnMut(&Record, SparseVector) -> Result<(), E>,
) -> Result<Ended, E> {
    let mut done = Counts::new("texts", records.share());
    records.position.tell(observer);
    observer.event(done.event(false));
    let (mut truncated, mut texts) = (0, FIRST_WINDOW);
    let mut ended = Ended::Whole;
    loop {
        let window = match window(records, texts) {
            // Waiting for a pipe was stopped.
            Err(Error::Stopped { .. }) => {
                ended = Ended::Stopped;
                break;
            }
            window => window?,
        };
        if window.is_empty() {
            break;
        }
        let start = Instant::now();
        let window_texts: Vec<&str> = window.iter().map(|record| record.text.as_str()).collect();
        let encoded = encoder.encode_batch(&window_texts).map_err(Error::from)?;
        truncated += encoded.truncated;
        for (record, vector) in window.iter().zip(encoded.vectors) {
            take(record, vector)?;
        }
        done.add(window.len(), encoded.tokens, records.share());
        observer.event(done.event(false));
        texts = next_window(texts, start.elapsed());
        if observer.stop() {
            ended = Ended::Stopped;
            break;
        }
    }
    observer.event(done.event(true));
    records.position.tell(observer);
    if truncated > 0 {
        let limit = encoder.max_length();
        observer.event(Event::Note(&format!(
            "cut off {} at {limit} tokens",
            counted(truncated, "texts")
        )));
    }
    Ok(ended)
}

/// Items and tokens that are done.
pub(crate) struct Counts {
    unit: &'static str,
    items: u64,
    tokens: u64,
    share: Option<f64>,
}

impl Counts {
    /// Begins to count; `unit` is what is counted, as a plural.
    pub(crate) fn new(unit: &'static str, share: Option<f64>) -> Self {
        Self { unit, items: 0, tokens: 0, share }
    }

    /// Counts items; `tokens` is 0 where no text is tokenized.
    pub(crate) fn add(&mut self, items: usize, tokens: usize, share: Option<f64>) {
        self.items += items as u64;
        self.tokens += tokens as u64;
        self.share = share;
    }

    /// The event that tells the counts.
    pub(crate) fn event(&self, finished: bool) -> Event<'static> {
        Event::Progress(Progress {
            doing: "",
            unit: self.unit,
            done: self.items,
            total: None,
            tokens: self.tokens,
            share: self.share,
            finished,
        })
    }
}

/// The number of texts of the first window. Texts that are encoded together are shared by the
/// threads in equal parts: more are better, as long as progress and stopping do not wait for them.
const FIRST_WINDOW: usize = 64;
const LARGEST_WINDOW: usize = 4096;
/// The bytes of text after which a window ends.
const WINDOW_BYTES: usize = 4 << 20;

/// The next records, at most `texts` of them; empty at the end.
fn window(records: &mut Records<'_>, texts: usize) -> Result<Vec<Record>, Error> {
    let (mut window, mut bytes) = (Vec::new(), 0);
    while window.len() < texts && bytes < WINDOW_BYTES {
        let Some(record) = records.next().transpose()? else { break };
        bytes += record.text.len();
        window.push(record);
    }
    Ok(window)
}

/// The number of texts of the next window, by the time that this one took.
fn next_window(texts: usize, took: Duration) -> usize {
    match took.as_secs_f64() {
        ..1.0 => (texts * 2).min(LARGEST_WINDOW),
        3.0.. => (texts / 2).max(16),
        _ => texts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_take_one_to_three_seconds() {
        let next = |texts, seconds| next_window(texts, Duration::from_secs_f64(seconds));
        assert_eq!(next(64, 0.1), 128);
        assert_eq!(next(LARGEST_WINDOW, 0.1), LARGEST_WINDOW);
        assert_eq!(next(64, 2.0), 64);
        assert_eq!(next(64, 3.5), 32);
        assert_eq!(next(16, 60.0), 16);
    }
}
