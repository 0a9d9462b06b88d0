//! How often each word stands in texts, as the tokenizer that is to be made would split them.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pipeline::{Normalizer, PreTokenizer, PreTokenizerScratch, Span};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use crate::error::TextError;
use crate::japanese::{LATTICE, nfkc, unidic_lite};
use crate::mecab::Dictionary;
use crate::wordpiece::python_space;

/// What makes words of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordKind {
    /// MeCab with unidic-lite, after NFKC: `BertJapaneseTokenizer`.
    Mecab,
    /// Blanks, punctuation and single Chinese characters: `BertTokenizer`.
    Bert,
}

/// Splits texts into words; one serves any number of threads.
#[derive(Debug)]
pub struct WordSplitter {
    kind: WordKind,
    lowercase: bool,
    dictionary: Option<Dictionary>,
    normalizer: BertNormalizer,
}

/// Words and how often they were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordCounts(pub(crate) FxHashMap<String, u64>);

thread_local! {
    static SCRATCH: RefCell<(PreTokenizerScratch, Vec<Span>)> = RefCell::default();
}

impl WordSplitter {
    /// Lower-cases texts if `lowercase`; `BertTokenizer` strips their accents then, too.
    ///
    /// # Errors
    /// If this program was built without MeCab's dictionary.
    pub fn new(kind: WordKind, lowercase: bool) -> Result<Self, TextError> {
        let dictionary = (kind == WordKind::Mecab).then(unidic_lite).transpose()?;
        let normalizer = BertNormalizer::new(true, true, None, lowercase);
        Ok(Self { kind, lowercase, dictionary, normalizer })
    }

    /// What it makes words with.
    pub fn kind(&self) -> WordKind {
        self.kind
    }

    /// Whether texts are lower-cased.
    pub fn lowercase(&self) -> bool {
        self.lowercase
    }

    /// Counts the words of a text.
    ///
    /// # Errors
    /// If the text is of over 4 GB.
    pub fn count(&self, text: &str, counts: &mut WordCounts) -> Result<(), TextError> {
        if u32::try_from(text.len()).is_err() {
            return Err(TextError::Encode(format!("{} bytes; split it", text.len())));
        }
        let mut add = |word: &str| match counts.0.get_mut(word) {
            Some(count) => *count += 1,
            None => {
                counts.0.insert(word.to_owned(), 1);
            }
        };
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
        let wrong = |error: tokenizers::Error| TextError::Encode(error.to_string());
        let normal = self.normalizer.normalize(text, 0).map_err(wrong)?;
        SCRATCH.with_borrow_mut(|(scratch, spans)| {
            spans.clear();
            BertPreTokenizer.pre_tokenize(&normal, scratch, spans).map_err(wrong)?;
            for span in spans.iter() {
                add(&normal[span.start as usize..span.end as usize]);
            }
            Ok(())
        })
    }
}

impl WordCounts {
    /// Adds the counts of other texts.
    pub fn merge(&mut self, other: Self) {
        for (word, count) in other.0 {
            *self.0.entry(word).or_default() += count;
        }
    }

    /// Different words.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
