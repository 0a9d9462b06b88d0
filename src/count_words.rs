//! Counts the words of many texts on all threads.

use rayon::prelude::*;
use splade_io::Observer;
use splade_text::{Tokenizer, WordCounts};

use crate::error::Error;
use crate::stream::Counts;
use crate::texts::Texts;

/// The number of bytes of texts whose words are counted at once.
const WINDOW: usize = 4 << 20;

/// Adds the words of a text to counts.
pub(crate) type AddWords<'a> = dyn Fn(&str, &mut WordCounts) -> Result<(), Error> + Sync + 'a;

/// Counts the words of all texts.
///
/// # Errors
/// If a text cannot be read or split, or the observer asks to stop.
pub(crate) fn count_words(
    texts: Texts,
    observer: &mut dyn Observer,
    add: &AddWords<'_>,
) -> Result<WordCounts, Error> {
    let position = texts.position();
    let mut counts = WordCounts::default();
    let mut progress = Counts::new("texts", position.share());
    position.tell(observer);
    observer.event(progress.event(false));
    let (mut window, mut bytes) = (Vec::new(), 0);
    let mut texts = texts.peekable();
    while let Some(record) = texts.next() {
        let text = record?.text;
        bytes += text.len();
        window.push(text);
        if bytes < WINDOW && texts.peek().is_some() {
            continue;
        }
        let part = window.len().div_ceil(rayon::current_num_threads()).max(1);
        let parts: Vec<WordCounts> = window
            .par_chunks(part)
            .map(|texts| words_of(texts, add))
            .collect::<Result<_, Error>>()?;
        parts.into_iter().for_each(|part| counts.merge(part));
        progress.add(window.len(), 0, position.share());
        observer.event(progress.event(false));
        if observer.stop() {
            return Err(stopped());
        }
        window.clear();
        bytes = 0;
    }
    observer.event(progress.event(true));
    position.tell(observer);
    Ok(counts)
}

/// Counts the words of all texts as a tokenizer splits them.
///
/// # Errors
/// Returns an error in the same cases as [`count_words`].
pub(crate) fn count_words_of(
    tokenizer: &Tokenizer,
    texts: Texts,
    observer: &mut dyn Observer,
) -> Result<WordCounts, Error> {
    count_words(texts, observer, &|text, counts| {
        tokenizer.words(text)?.iter().for_each(|word| counts.add(word));
        Ok(())
    })
}

fn words_of(texts: &[String], add: &AddWords<'_>) -> Result<WordCounts, Error> {
    let mut counts = WordCounts::default();
    for text in texts {
        add(text, &mut counts)?;
    }
    Ok(counts)
}

/// The error of a vocabulary that is not written because the observer asked to stop.
pub(crate) fn stopped() -> Error {
    Error::Stopped { kept: "nothing was written".to_owned() }
}
