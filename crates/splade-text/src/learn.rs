//! Learns a WordPiece vocabulary from word counts.
//!
//! The algorithm is that of Hugging Face's `WordPieceTrainer`. It starts with the characters, where
//! a character inside a word is written `##c`. Then it repeatedly joins the most frequent pair of
//! neighbouring pieces (byte-pair encoding, Sennrich et al., arXiv 1508.07909; not the likelihood
//! of arXiv 1609.08144). Unlike the original, it is deterministic: among equally frequent pairs, it
//! joins the one whose pieces were made first. Words with a character outside of the alphabet are
//! skipped, since the tokenizer will not know them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::json;

use crate::config::Config;
use crate::error::TextError;
use crate::hugging_face::HuggingFace;
use crate::wordpiece::MAX_WORD_CHARS;
use crate::words::{WordCounts, WordKind, WordSplitter};

/// The first tokens of a vocabulary, in the order of cl-tohoku's vocabularies.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The settings for learning a vocabulary.
///
/// ```
/// use splade_text::{Vocabulary, VocabularyOptions, WordCounts};
///
/// let mut counts = WordCounts::default();
/// ["night", "night", "nights"].iter().for_each(|word| counts.add(word));
/// let learn = |size| {
///     Vocabulary::learn(&counts, &VocabularyOptions { size, alphabet: 100, min_frequency: 1 })
/// };
/// assert!(learn(10).is_err(), "the characters alone need more");
/// assert!(learn(100)?.tokens.contains(&"nights".to_owned()));
/// # Ok::<(), splade_text::TextError>(())
/// ```
#[derive(Debug, Clone)]
pub struct VocabularyOptions {
    /// The number of tokens including special ones. The result has fewer if no pairs are left to
    /// join.
    pub size: usize,
    /// The number of characters to keep, most frequent first.
    pub alphabet: usize,
    /// The frequency below which a pair is not joined.
    pub min_frequency: u64,
}

/// A learned vocabulary.
///
/// ```
/// use splade_text::{Tokenizer, TokenizerOptions, Vocabulary, VocabularyOptions};
/// use splade_text::{WordCounts, WordKind, WordSplitter};
///
/// let splitter = WordSplitter::new(WordKind::Bert, true)?;
/// let mut counts = WordCounts::default();
/// for text in ["The night train", "A night in the garden", "The train!"] {
///     splitter.count(text, &mut counts)?;
/// }
/// let options = VocabularyOptions { size: 60, alphabet: 40, min_frequency: 2 };
/// let vocabulary = Vocabulary::learn(&counts, &options)?;
/// # let folder = tempfile::tempdir()?;
/// vocabulary.save(folder.path(), &splitter, 512)?;
///
/// let tokenizer = Tokenizer::from_dir(folder.path(), &TokenizerOptions::default())?;
/// assert_eq!(tokenizer.encode_plain("Night train")?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// The token strings by id.
    pub tokens: Vec<String>,
    /// The number of distinct words that were skipped because they are too long or have a character
    /// outside of the alphabet.
    pub left_out: usize,
}

/// A word as a sequence of pieces, with the number of its occurrences.
struct Word {
    pieces: Vec<u32>,
    count: u64,
}

type Pair = (u32, u32);

impl Vocabulary {
    /// Learns a vocabulary from word counts.
    ///
    /// # Errors
    ///
    /// Returns an error if the characters alone are more than the requested size.
    pub fn learn(counts: &WordCounts, options: &VocabularyOptions) -> Result<Self, TextError> {
        let mut words: Vec<(&str, u64)> = counts.0.iter().map(|(w, c)| (w.as_str(), *c)).collect();
        // The order of a hash map is arbitrary, so the words are sorted.
        words.sort_unstable();
        let all = words.len();
        let alphabet = alphabet(&words, options.alphabet);
        words.retain(|(word, _)| word.chars().all(|c| alphabet.contains(&c)));
        words.retain(|(word, _)| word.chars().count() <= MAX_WORD_CHARS);
        let left_out = all - words.len();
        let mut pieces = Pieces::default();
        SPECIAL.iter().for_each(|token| _ = pieces.id((*token).to_owned()));
        alphabet.iter().for_each(|c| _ = pieces.id(c.to_string()));
        let inside: BTreeSet<char> =
            words.iter().flat_map(|(word, _)| word.chars().skip(1)).collect();
        inside.iter().for_each(|c| _ = pieces.id(format!("##{c}")));
        if pieces.tokens.len() > options.size {
            return Err(TextError::VocabularySize {
                characters: alphabet.len(),
                tokens: pieces.tokens.len(),
                size: options.size,
            });
        }
        let split = |(word, count): &(&str, u64)| {
            let piece = |(i, c): (usize, char)| match i {
                0 => pieces.ids[c.to_string().as_str()],
                _ => pieces.ids[format!("##{c}").as_str()],
            };
            Word { pieces: word.chars().enumerate().map(piece).collect(), count: *count }
        };
        let words: Vec<Word> = words.iter().map(split).collect();
        join(words, &mut pieces, options);
        Ok(Self { tokens: pieces.tokens, left_out })
    }

    /// Writes `vocab.txt`, `tokenizer_config.json` and, for `BertTokenizer`, `tokenizer.json` into
    /// a folder, which is created if it is missing. `max_length` is the maximum number of tokens in
    /// a text.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written.
    pub fn save(
        &self,
        folder: &Path,
        splitter: &WordSplitter,
        max_length: usize,
    ) -> Result<(), TextError> {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| TextError::Io { path, source })
        };
        std::fs::create_dir_all(folder)
            .map_err(|source| TextError::Io { path: folder.to_path_buf(), source })?;
        write("vocab.txt", self.tokens.iter().map(|token| format!("{token}\n")).collect())?;
        let mut config = json!({
            "do_lower_case": splitter.lowercase(),
            "model_max_length": max_length,
            "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]",
            "sep_token": "[SEP]", "mask_token": "[MASK]",
        });
        match splitter.kind() {
            WordKind::Mecab => {
                config["tokenizer_class"] = "BertJapaneseTokenizer".into();
                config["do_word_tokenize"] = true.into();
                config["do_subword_tokenize"] = true.into();
                config["word_tokenizer_type"] = "mecab".into();
                config["subword_tokenizer_type"] = "wordpiece".into();
                config["mecab_kwargs"] = json!({ "mecab_dic": "unidic_lite" });
            }
            WordKind::Bert => {
                config["tokenizer_class"] = "BertTokenizer".into();
                config["tokenize_chinese_chars"] = true.into();
                config["strip_accents"] = serde_json::Value::Null;
            }
        }
        write("tokenizer_config.json", format!("{config:#}\n"))?;
        if splitter.kind() == WordKind::Bert {
            let config = Config::read(&folder.into(), &folder.join("tokenizer_config.json"))?;
            let json = HuggingFace::vocab_json(&folder.join("vocab.txt"), &config)?;
            write("tokenizer.json", format!("{json:#}\n"))?;
        }
        Ok(())
    }
}

/// Returns the most frequent characters in ascending order. Of equally frequent ones, the smaller
/// one is preferred.
fn alphabet(words: &[(&str, u64)], limit: usize) -> BTreeSet<char> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in words {
        word.chars().for_each(|c| *counts.entry(c).or_default() += count);
    }
    let mut order: Vec<(Reverse<u64>, char)> =
        counts.into_iter().map(|(c, count)| (Reverse(count), c)).collect();
    order.sort_unstable();
    order.into_iter().take(limit).map(|(_, c)| c).collect()
}

/// The pieces with their ids.
#[derive(Default)]
struct Pieces {
    tokens: Vec<String>,
    ids: FxHashMap<String, u32>,
}

impl Pieces {
    /// Returns the id of a piece, which is added if it is new.
    fn id(&mut self, token: String) -> u32 {
        if let Some(id) = self.ids.get(&token) {
            return *id;
        }
        let id = self.tokens.len() as u32;
        self.tokens.push(token.clone());
        self.ids.insert(token, id);
        id
    }

    /// Returns the id of the piece that joins two neighbours.
    fn joined(&mut self, (left, right): Pair) -> u32 {
        let right = &self.tokens[right as usize];
        let right = right.strip_prefix("##").unwrap_or(right);
        self.id(format!("{}{right}", self.tokens[left as usize]))
    }
}

/// Joins the most frequent pair repeatedly until there are enough pieces.
fn join(mut words: Vec<Word>, pieces: &mut Pieces, options: &VocabularyOptions) {
    let mut counts: FxHashMap<Pair, u64> = FxHashMap::default();
    let mut places: FxHashMap<Pair, FxHashSet<usize>> = FxHashMap::default();
    for (index, word) in words.iter().enumerate() {
        for pair in pairs(&word.pieces) {
            *counts.entry(pair).or_default() += word.count;
            places.entry(pair).or_default().insert(index);
        }
    }
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> =
        counts.iter().map(|(pair, count)| (*count, Reverse(*pair))).collect();
    while pieces.tokens.len() < options.size {
        let Some((count, Reverse(pair))) = queue.pop() else { return };
        if count < options.min_frequency.max(1) {
            return;
        }
        // The entry may be outdated: the count may have changed since it was queued.
        let now = counts.get(&pair).copied().unwrap_or(0);
        if now != count {
            if now > 0 {
                queue.push((now, Reverse(pair)));
            }
            continue;
        }
        let new = pieces.joined(pair);
        let mut grown = BTreeSet::new();
        for index in places.remove(&pair).unwrap_or_default() {
            let word = &mut words[index];
            for old in pairs(&word.pieces) {
                if let Some(count) = counts.get_mut(&old) {
                    *count -= word.count;
                }
            }
            word.join(pair, new);
            for pair in pairs(&word.pieces) {
                *counts.entry(pair).or_default() += word.count;
                places.entry(pair).or_default().insert(index);
                if pair.0 == new || pair.1 == new {
                    grown.insert(pair);
                }
            }
        }
        counts.remove(&pair);
        queue.extend(grown.into_iter().map(|pair| (counts[&pair], Reverse(pair))));
    }
}

impl Word {
    /// Joins all occurrences of a pair, from left to right.
    fn join(&mut self, (left, right): Pair, new: u32) {
        let mut joined = Vec::with_capacity(self.pieces.len());
        let mut at = 0;
        while at < self.pieces.len() {
            let is_pair = self.pieces[at] == left && self.pieces.get(at + 1) == Some(&right);
            joined.push(if is_pair { new } else { self.pieces[at] });
            at += if is_pair { 2 } else { 1 };
        }
        self.pieces = joined;
    }
}

/// Returns the pairs of neighbouring pieces.
fn pairs(pieces: &[u32]) -> impl Iterator<Item = Pair> {
    pieces.windows(2).map(|pair| (pair[0], pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learns a vocabulary by recounting all pairs for every new piece.
    fn slow(counts: &WordCounts, options: &VocabularyOptions) -> Vec<String> {
        let first = VocabularyOptions { min_frequency: u64::MAX, ..options.clone() };
        let mut tokens = Vocabulary::learn(counts, &first).expect("characters").tokens;
        let mut words: Vec<(Vec<String>, u64)> = counts
            .0
            .iter()
            .filter(|(word, _)| word.chars().all(|c| tokens.contains(&c.to_string())))
            .map(|(word, count)| {
                let piece = |(i, c): (usize, char)| match i {
                    0 => c.to_string(),
                    _ => format!("##{c}"),
                };
                (word.chars().enumerate().map(piece).collect(), *count)
            })
            .collect();
        while tokens.len() < options.size {
            let id = |token: &String| tokens.iter().position(|t| t == token).expect("known");
            let mut seen: BTreeMap<(usize, usize), u64> = BTreeMap::new();
            for (pieces, count) in &words {
                for pair in pieces.windows(2) {
                    *seen.entry((id(&pair[0]), id(&pair[1]))).or_default() += count;
                }
            }
            let best = seen.iter().max_by_key(|(pair, count)| (**count, Reverse(**pair)));
            let Some((pair, count)) = best else { break };
            if *count < options.min_frequency {
                break;
            }
            let (left, right) = (tokens[pair.0].clone(), tokens[pair.1].clone());
            let new = format!("{left}{}", right.strip_prefix("##").unwrap_or(&right));
            for (pieces, _) in &mut words {
                let mut at = 0;
                while at + 1 < pieces.len() {
                    if pieces[at] == left && pieces[at + 1] == right {
                        pieces[at] = new.clone();
                        pieces.remove(at + 1);
                    }
                    at += 1;
                }
            }
            if !tokens.contains(&new) {
                tokens.push(new);
            }
        }
        tokens
    }

    fn counts(kind: WordKind, lowercase: bool, texts: &[&str]) -> WordCounts {
        let splitter = WordSplitter::new(kind, lowercase).expect("a splitter");
        let mut counts = WordCounts::default();
        for text in texts {
            splitter.count(text, &mut counts).expect("words");
        }
        counts
    }

    const TEXTS: [&str; 5] = [
        "The night train crosses the old bridge before dawn; trains return at night. aaaa aaa aa",
        "Bakers bake bread, the baker's breads are baked at night, banana bananas nananana",
        "夜行列車は夜明け前に古い橋を渡り、朝の列車は駅に止まる。",
        "パン屋のパンは朝に焼かれ、夜のパン屋は閉まっている。ﾊﾟﾝ",
        "ABC Trains in 2025: Ｔｒａｉｎ ÉCOLE école",
    ];

    #[test]
    fn joins_what_recounting_joins() {
        let mut different = Vec::new();
        for (lowercase, size, alphabet, min_frequency) in
            [(true, 400, 100, 2), (false, 130, 60, 1), (true, 160, 30, 3), (false, 999, 999, 1)]
        {
            let counts = counts(WordKind::Bert, lowercase, &TEXTS);
            let options = VocabularyOptions { size, alphabet, min_frequency };
            let learned = Vocabulary::learn(&counts, &options).expect("a vocabulary");
            assert!(learned.tokens.len() <= size);
            if learned.tokens != slow(&counts, &options) {
                different.push(format!("{size} {alphabet}: {:?}", learned.tokens));
            }
        }
        assert!(different.is_empty(), "{}", different.join("\n"));
    }

    #[test]
    fn a_size_without_room_for_characters_is_refused() {
        let counts = counts(WordKind::Bert, true, &TEXTS);
        let options = VocabularyOptions { size: 20, alphabet: 40, min_frequency: 1 };
        let error = Vocabulary::learn(&counts, &options).expect_err("too small");
        assert!(error.hint().is_some_and(|hint| hint.contains("a larger size")), "{error}");
    }

    /// The tokenizer of the written folder must know every word that was counted and split texts
    /// into these words.
    #[test]
    #[cfg(feature = "unidic-lite")]
    fn folders_load_and_know_their_words() {
        use crate::{Tokenizer, TokenizerOptions};
        for (kind, lowercase) in [
            (WordKind::Bert, true),
            (WordKind::Bert, false),
            (WordKind::Mecab, false),
            (WordKind::Mecab, true),
        ] {
            let splitter = WordSplitter::new(kind, lowercase).expect("a splitter");
            let counts = counts(kind, lowercase, &TEXTS);
            let options = VocabularyOptions { size: 2000, alphabet: 500, min_frequency: 1 };
            let learned = Vocabulary::learn(&counts, &options).expect("a vocabulary");
            let dir = tempfile::tempdir().expect("a folder");
            learned.save(dir.path(), &splitter, 64).expect("written");
            let tokenizer = Tokenizer::from_dir(dir.path(), &TokenizerOptions::default());
            let tokenizer = tokenizer.expect("a tokenizer");
            assert_eq!(tokenizer.len(), learned.tokens.len());
            assert_eq!(tokenizer.model_max_length(), Some(64));
            let mut seen = WordCounts::default();
            for text in TEXTS {
                // With every pair joined, each word is a single token.
                for id in tokenizer.encode_plain(text).expect("ids") {
                    let token = tokenizer.token(id).expect("a token").to_owned();
                    *seen.0.entry(token).or_default() += 1;
                }
            }
            assert_eq!(seen, counts, "{kind:?} {lowercase}");
        }
    }
}
