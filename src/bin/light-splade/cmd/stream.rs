//! Texts into vectors, a window at a time, with progress and Ctrl-C.

use std::time::{Duration, Instant};

use anyhow::Result;
use splade_model::Encoder;
use splade_sparse::SparseVector;

use super::Records;
use crate::input::{Position, Record};
use crate::interrupt;
use crate::progress::{Progress, say};

/// How a stream of documents ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All are done.
    Whole,
    /// Ctrl-C was pressed; those so far are done.
    Interrupted,
}

/// Encodes all records and hands over each id and vector in order.
pub(crate) fn encode(
    encoder: &Encoder,
    records: &mut Records,
    position: Position,
    mut take: impl FnMut(&str, SparseVector) -> Result<()>,
) -> Result<Ended> {
    let mut progress = Progress::start(position, "texts");
    let (mut truncated, mut texts) = (0, FIRST_WINDOW);
    let mut ended = Ended::Whole;
    loop {
        let window = window(records, texts)?;
        if window.is_empty() {
            break;
        }
        let start = Instant::now();
        let window_texts: Vec<&str> = window.iter().map(|record| record.text.as_str()).collect();
        let encoded = encoder.encode_batch(&window_texts)?;
        truncated += encoded.truncated;
        for (record, vector) in window.iter().zip(encoded.vectors) {
            take(&record.id, vector)?;
        }
        progress.add(window.len(), encoded.tokens);
        texts = next_window(texts, start.elapsed());
        if interrupt::asked() {
            ended = Ended::Interrupted;
            break;
        }
    }
    progress.finish();
    if truncated > 0 {
        say(&format!("{truncated} texts were cut off at {} tokens", encoder.max_length()));
    }
    Ok(ended)
}

/// Texts of the first window. Texts that are encoded together are shared by the threads in equal
/// parts: more are better, as long as progress and Ctrl-C do not wait for them.
const FIRST_WINDOW: usize = 64;
const LARGEST_WINDOW: usize = 4096;
/// Bytes of text after which a window ends.
const WINDOW_BYTES: usize = 4 << 20;

/// The next records, at most `texts` of them; empty at the end.
fn window(records: &mut Records, texts: usize) -> Result<Vec<Record>> {
    let (mut window, mut bytes) = (Vec::new(), 0);
    while window.len() < texts && bytes < WINDOW_BYTES {
        let Some(record) = records.next().transpose()? else { break };
        bytes += record.text.len();
        window.push(record);
    }
    Ok(window)
}

/// The texts of the next window, by the time that this one took.
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
