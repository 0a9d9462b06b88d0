//! Counts the words of texts, split in the same way as by the tokenizer whose vocabulary is
//! learned.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pipeline::{Normalizer, PreTokenizer, PreTokenizerScratch, Span};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use crate::error::TextError;
use crate::japanese::{LATTICE, nfkc, unidic_lite};
use crate::mecab::Dictionary;
use crate::wordpiece::python_space;

/// The rule that splits a text into words.
///
/// ```
/// use splade_text::{WordCounts, WordKind, WordSplitter};
///
/// let words = |kind| -> Result<Vec<String>, splade_text::TextError> {
///     let mut counts = WordCounts::default();
///     WordSplitter::new(kind, true)?.count("夜の列車", &mut counts)?;
///     let mut words: Vec<String> = counts.into_iter().map(|(word, _)| word).collect();
///     words.sort();
///     Ok(words)
/// };
/// assert_eq!(words(WordKind::Mecab)?, ["の", "列車", "夜"]);
/// assert_eq!(words(WordKind::Bert)?, ["の", "列", "夜", "車"]);
/// # Ok::<(), splade_text::TextError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordKind {
    /// NFKC and MeCab with unidic-lite, as in `BertJapaneseTokenizer`.
    Mecab,
    /// Whitespace, punctuation and single Chinese characters, as in `BertTokenizer`.
    Bert,
}

/// Splits texts into words. It can be shared by any number of threads.
///
/// ```
/// use splade_text::{WordCounts, WordKind, WordSplitter};
///
/// let splitter = WordSplitter::new(WordKind::Bert, true)?;
/// let mut counts = WordCounts::default();
/// splitter.count("The Café, the café.", &mut counts)?;
/// let cafe = counts.into_iter().find(|(word, _)| word == "cafe");
/// assert_eq!(cafe, Some(("cafe".to_owned(), 2)));
/// # Ok::<(), splade_text::TextError>(())
/// ```
#[derive(Debug)]
pub struct WordSplitter {
    kind: WordKind,
    lowercase: bool,
    dictionary: Option<Dictionary>,
    normalizer: BertNormalizer,
}

/// Words with the numbers of their occurrences.
///
/// ```
/// use splade_text::WordCounts;
///
/// // Two threads count, and their counts are added.
/// let (mut counts, mut others) = (WordCounts::default(), WordCounts::default());
/// counts.add("night");
/// ["night", "train"].iter().for_each(|word| others.add(word));
/// counts.merge(others);
/// assert_eq!(counts.len(), 2);
/// assert!(counts.into_iter().any(|(word, count)| word == "night" && count == 2));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordCounts(pub(crate) FxHashMap<String, u64>);

thread_local! {
    static SCRATCH: RefCell<(PreTokenizerScratch, Vec<Span>)> = RefCell::default();
}

impl WordSplitter {
    /// Returns a splitter that lower-cases texts if `lowercase` is set. `BertTokenizer` then also
    /// strips accents.
    ///
    /// # Errors
    ///
    /// Returns an error if the program was built without MeCab's dictionary.
    pub fn new(kind: WordKind, lowercase: bool) -> Result<Self, TextError> {
        let dictionary = (kind == WordKind::Mecab).then(unidic_lite).transpose()?;
        let normalizer = BertNormalizer::new(true, true, None, lowercase);
        Ok(Self { kind, lowercase, dictionary, normalizer })
    }

    /// Returns the rule that splits a text into words.
    pub fn kind(&self) -> WordKind {
        self.kind
    }

    /// Returns whether texts are lower-cased.
    pub fn lowercase(&self) -> bool {
        self.lowercase
    }

    /// Counts the words of a text.
    ///
    /// # Errors
    ///
    /// Returns an error if the text has more than 4 GB.
    pub fn count(&self, text: &str, counts: &mut WordCounts) -> Result<(), TextError> {
        if u32::try_from(text.len()).is_err() {
            return Err(TextError::Encode(format!(
                "it has {} bytes, but the limit is 4 GB; split it",
                text.len()
            )));
        }
        let mut add = |word: &str| counts.add(word);
        match &self.dictionary {
            Some(dictionary) => self.mecab_words(dictionary, text, &mut add),
            None => self.bert_words(text, &mut add)?,
        }
        Ok(())
    }

    fn mecab_words(&self, dictionary: &Dictionary, text: &str, add: &mut dyn FnMut(&str)) {
        let lowered: String;
        let text = match self.lowercase {
            false => text,
            true => {
                lowered = text.chars().flat_map(char::to_lowercase).collect();
                &lowered
            }
        };
        let normal = nfkc(text);
        LATTICE.with_borrow_mut(|lattice| {
            for word in lattice.words(dictionary, &normal) {
                let word = &normal[word.clone()];
                let lowered = self.lowercase.then(|| word.to_lowercase());
                let parts = lowered.as_deref().unwrap_or(word).split(python_space);
                parts.filter(|part| !part.is_empty()).for_each(&mut *add);
            }
            lattice.shrink();
        });
    }

    fn bert_words(&self, text: &str, add: &mut dyn FnMut(&str)) -> Result<(), TextError> {
        bert_words(&self.normalizer, text, add)
    }
}

/// Hands over the words of a text as BERT's normalizer and pre-tokenizer split it.
pub(crate) fn bert_words(
    normalizer: &BertNormalizer,
    text: &str,
    add: &mut dyn FnMut(&str),
) -> Result<(), TextError> {
    let wrong = |error: tokenizers::Error| TextError::Encode(error.to_string());
    let normal = normalizer.normalize(text, 0).map_err(wrong)?;
    SCRATCH.with_borrow_mut(|(scratch, spans)| {
        spans.clear();
        BertPreTokenizer.pre_tokenize(&normal, scratch, spans).map_err(wrong)?;
        for span in spans.iter() {
            add(&normal[span.start as usize..span.end as usize]);
        }
        Ok(())
    })
}

impl WordCounts {
    /// Counts an occurrence of a word.
    pub fn add(&mut self, word: &str) {
        match self.0.get_mut(word) {
            Some(count) => *count += 1,
            None => _ = self.0.insert(word.to_owned(), 1),
        }
    }

    /// Adds the counts of other texts.
    pub fn merge(&mut self, other: Self) {
        for (word, count) in other.0 {
            *self.0.entry(word).or_default() += count;
        }
    }

    /// Returns the number of distinct words.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether no words have been counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The words with their counts, in no order.
impl IntoIterator for WordCounts {
    type Item = (String, u64);
    type IntoIter = std::collections::hash_map::IntoIter<String, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
