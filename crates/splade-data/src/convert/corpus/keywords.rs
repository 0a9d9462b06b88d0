//! Keywords of a document: the words with the largest `tf · idf`, in the order in which the text has them, as people
//! type them into a search box.
//!
//! Texts with kana or Chinese characters are split by MeCab, others at blanks and punctuation. The counts of all words
//! of the corpus are in memory, 12 bytes and some for each different word: words are kept by their hashes.

use rustc_hash::FxHashMap;
use splade_io::ContentHash;
use splade_text::{WordCounts, WordKind, WordSplitter};

use crate::error::DataError;
use crate::random::Random;

/// The least and the greatest number of keywords of a query.
const KEYWORDS: (usize, usize) = (2, 5);
/// The share of documents of which a word that more of them contain is no keyword. Such words are articles and
/// particles.
const COMMON_SHARE: f64 = 0.1;

/// Splits texts of both languages into words.
#[derive(Debug)]
pub(super) struct Words {
    japanese: WordSplitter,
    other: WordSplitter,
}

impl Words {
    pub(super) fn new() -> Result<Self, DataError> {
        let splitter = |kind| WordSplitter::new(kind, true);
        Ok(Self { japanese: splitter(WordKind::Mecab)?, other: splitter(WordKind::Bert)? })
    }

    /// The words of a text that can be keywords, with their counts.
    fn of(&self, text: &str) -> Result<Vec<(String, u64)>, DataError> {
        let mut counts = WordCounts::default();
        let is_japanese = text.chars().any(|c| ('\u{3040}'..='\u{30ff}').contains(&c));
        let splitter = if is_japanese { &self.japanese } else { &self.other };
        splitter.count(text, &mut counts)?;
        Ok(counts.into_iter().filter(|(word, _)| can_be_keyword(word)).collect())
    }
}

/// Single letters and numbers say too little; a single Chinese character is a word.
fn can_be_keyword(word: &str) -> bool {
    let is_long = word.chars().count() >= 2 || word.chars().any(|c| c >= '\u{3400}');
    is_long && word.chars().any(char::is_alphabetic)
}

/// The words of a corpus, with the number of documents that contain each.
#[derive(Debug)]
pub(super) struct Keywords {
    words: Words,
    documents: u64,
    frequencies: FxHashMap<u64, u32>,
}

impl Keywords {
    pub(super) fn new(words: Words) -> Self {
        Self { words, documents: 0, frequencies: FxHashMap::default() }
    }

    /// Counts the words of a document.
    pub(super) fn add(&mut self, text: &str) -> Result<(), DataError> {
        self.documents += 1;
        for (word, _) in self.words.of(text)? {
            *self.frequencies.entry(hash(&word)).or_default() += 1;
        }
        Ok(())
    }

    /// The keywords of a document; none if it has too few. How many they are is drawn from `random`.
    pub(super) fn of(&self, text: &str, random: &mut Random) -> Result<Option<String>, DataError> {
        let (least, most) = KEYWORDS;
        let count = least + random.below(most - least + 1);
        let mut found: Vec<(f64, String)> = Vec::new();
        for (word, tf) in self.words.of(text)? {
            let df = f64::from(self.frequencies.get(&hash(&word)).copied().unwrap_or(1));
            let documents = self.documents.max(1) as f64;
            // In a corpus of a few documents every word is in a large share of them.
            if df > 1.0 && df > documents * COMMON_SHARE {
                continue;
            }
            found.push((tf as f64 * (1.0 + documents / df).ln(), word));
        }
        // Equal weights are ordered by the words, so that the order of a hash map reaches nothing.
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        found.truncate(count);
        if found.len() < least {
            return Ok(None);
        }
        let lower = text.to_lowercase();
        let place = |word: &str| lower.find(word).unwrap_or(usize::MAX);
        let mut words: Vec<(usize, String)> =
            found.into_iter().map(|(_, word)| (place(&word), word)).collect();
        words.sort();
        let words: Vec<String> = words.into_iter().map(|(_, word)| word).collect();
        Ok(Some(words.join(" ")))
    }
}

/// The first half of a word's hash. Two words with the same half share their count, which changes a keyword once in
/// billions.
fn hash(word: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = ContentHash::of(word.as_bytes()).to_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(documents: &[&str]) -> Keywords {
        let mut keywords = Keywords::new(Words::new().expect("the dictionary"));
        documents.iter().for_each(|document| keywords.add(document).expect("counted"));
        keywords
    }

    #[test]
    fn rare_words_of_a_document_are_its_keywords() {
        let filler = (0..40).map(|n| format!("the a of 東京 は の fill{n}")).collect::<Vec<_>>();
        let mut documents: Vec<&str> = filler.iter().map(String::as_str).collect();
        let english = "The sleeper train of the night: a sleeper to Vienna, 2025.";
        let japanese = "東京の夜行列車は夜行列車の復活です。車掌がいます。";
        documents.extend([english, japanese]);
        let keywords = keywords(&documents);
        let of = |text: &str, seed| {
            keywords.of(text, &mut Random::new(&[seed])).expect("words").unwrap_or_default()
        };
        for seed in 0..20 {
            let (english, japanese) = (of(english, seed), of(japanese, seed));
            let words: Vec<&str> = english.split(' ').collect();
            assert!((2..=5).contains(&words.len()) && words.contains(&"sleeper"), "{english}");
            assert!(!words.contains(&"the") && !english.contains("2025"), "{english}");
            assert!(japanese.contains("夜行") && !japanese.contains("東京"), "{japanese}");
        }
        // The order is that of the text.
        let longest = (0..20).map(|seed| of(english, seed)).max_by_key(String::len);
        assert_eq!(longest.expect("some"), "sleeper train night to vienna");
        assert_eq!(keywords.of("the a of", &mut Random::new(&[1])).expect("words"), None);
    }
}
