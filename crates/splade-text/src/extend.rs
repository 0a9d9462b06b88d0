//! Adds words to the vocabulary of a WordPiece tokenizer, for texts of a field whose words it splits into many pieces.
//!
//! Only whole words are added, never pieces that continue a word. WordPiece takes the longest piece that a word begins
//! with, so a word that begins with none of the new words keeps its pieces. A longer word that begins with a new one is
//! split into the new one and the rest; it stays a known word, because a vocabulary is refused in which a character can
//! stand inside of a word only together with others.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;
use serde_json::Value;

use crate::config::Config;
use crate::error::TextError;
use crate::tokenizer::{Tokenizer, TokenizerOptions};
use crate::wordpiece::MAX_WORD_CHARS;
use crate::words::WordCounts;

/// The prefix of pieces that continue a word.
pub(crate) const INSIDE: &str = "##";

/// A tokenizer whose vocabulary can be extended.
///
/// ```
/// use splade_text::{ExtensibleVocabulary, TokenizerOptions, WordCounts};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
/// let vocabulary = ExtensibleVocabulary::open(&folder, &TokenizerOptions::default())?;
/// let mut counts = WordCounts::default();
/// for text in ["The baker is in the tram.", "Trams and trains!", "A tram at night."] {
///     vocabulary.tokenizer().words(text)?.iter().for_each(|word| counts.add(word));
/// }
/// let words = vocabulary.choose(counts, 100, 2)?;
/// assert_eq!((words[0].word.as_str(), words[0].count), ("tram", 2));
/// # let out = tempfile::tempdir()?;
/// # std::fs::copy(folder.join("vocab.txt"), out.path().join("vocab.txt"))?;
/// vocabulary.save(&words, out.path())?;
/// assert!(std::fs::read_to_string(out.path().join("vocab.txt"))?.ends_with("\ntram\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExtensibleVocabulary {
    folder: PathBuf,
    tokenizer: Tokenizer,
}

/// A word that is added to a vocabulary.
///
/// ```
/// use splade_text::{ExtensibleVocabulary, TokenizerOptions, WordCounts};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
/// let vocabulary = ExtensibleVocabulary::open(&folder, &TokenizerOptions::default())?;
/// let mut counts = WordCounts::default();
/// ["tram", "tram", "night"].iter().for_each(|word| counts.add(word));
/// for new in vocabulary.choose(counts, 100, 2)? {
///     // Each occurrence of the word takes one token where it took several.
///     let saved = new.count * (new.pieces.len() as u64 - 1);
///     assert_eq!((new.word.as_str(), saved), ("tram", 6));
/// }
/// # Ok::<(), splade_text::TextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWord {
    /// The word, as the tokenizer normalizes it.
    pub word: String,
    /// The ids of the pieces into which the vocabulary splits it so far.
    pub pieces: Vec<u32>,
    /// The number of its occurrences in the texts.
    pub count: u64,
}

impl ExtensibleVocabulary {
    /// Opens the tokenizer of a folder: `BertJapaneseTokenizer` with WordPiece, or BERT's `tokenizer.json` or
    /// `vocab.txt`.
    ///
    /// # Errors
    /// Returns an error if the tokenizer cannot be read, is of another kind, or has a vocabulary in which a new word
    /// could make other words unknown.
    pub fn open(folder: &Path, options: &TokenizerOptions) -> Result<Self, TextError> {
        let tokenizer = Tokenizer::from_dir(folder, options)?;
        let this = Self { folder: folder.to_path_buf(), tokenizer };
        this.tokenizer.words("")?;
        this.check()?;
        Ok(this)
    }

    /// Returns the tokenizer without the new words.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn refuse(&self, reason: String) -> TextError {
        TextError::NotExtensible { path: self.folder.clone(), reason }
    }

    /// Refuses a vocabulary whose ids have gaps, and one that lacks single characters inside of words.
    fn check(&self) -> Result<(), TextError> {
        let tokens = (0..self.tokenizer.len() as u32).map(|id| self.tokenizer.token(id));
        let mut inside = FxHashSet::default();
        for (id, token) in tokens.clone().enumerate() {
            let token = token.ok_or_else(|| self.refuse(format!("no token has the id {id}")))?;
            inside.extend(token.strip_prefix(INSIDE));
        }
        let vocab = self.folder.join("vocab.txt");
        if vocab.is_file() {
            let lines = read(&vocab)?.lines().count();
            if lines != self.tokenizer.len() {
                return Err(self.refuse(format!(
                    "vocab.txt has {lines} tokens, but other files add some behind them, up to {}",
                    self.tokenizer.len()
                )));
            }
        }
        for piece in &inside {
            let mut buffer = [0; 4];
            let lacking = piece.chars().find(|c| !inside.contains(&*c.encode_utf8(&mut buffer)));
            if let Some(c) = lacking {
                return Err(self.refuse(format!(
                    "it has the piece {INSIDE}{piece} but not {INSIDE}{c}, so that a new word could make other words \
                     unknown"
                )));
            }
        }
        Ok(())
    }

    /// Chooses at most `most` words of texts: those whose single token saves the most tokens, which occur at least
    /// `min_count` times and have at least two characters, one of them a letter.
    ///
    /// # Errors
    /// Returns an error if a word cannot be tokenized.
    pub fn choose(
        &self,
        counts: WordCounts,
        most: usize,
        min_count: u64,
    ) -> Result<Vec<NewWord>, TextError> {
        let mut words = Vec::new();
        for (word, count) in counts {
            if count < min_count || !can_be_added(&word) || self.tokenizer.id(&word).is_some() {
                continue;
            }
            let pieces = self.tokenizer.pieces_of(&word)?;
            // A word with an unknown character has one token: the unknown one.
            if pieces.len() > 1 {
                words.push(NewWord { word, pieces, count });
            }
        }
        let saved = |word: &NewWord| word.count * (word.pieces.len() as u64 - 1);
        words.sort_by(|a, b| saved(b).cmp(&saved(a)).then_with(|| a.word.cmp(&b.word)));
        words.truncate(most);
        Ok(words)
    }

    /// Writes the files of the tokenizer with the new words into a folder that has the others: `vocab.txt` and
    /// `tokenizer.json`, as far as the folder has them. The first new word gets the id that follows the last one.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn save(&self, words: &[NewWord], out: &Path) -> Result<(), TextError> {
        let first = self.tokenizer.len();
        let vocab = self.folder.join("vocab.txt");
        if vocab.is_file() {
            let mut text = read(&vocab)?;
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            for NewWord { word, .. } in words {
                text += word;
                text.push('\n');
            }
            write(&out.join("vocab.txt"), &text)?;
        }
        let json = self.folder.join("tokenizer.json");
        if json.is_file() {
            let config = Config::read(&self.folder.as_path().into(), &json)?;
            let mut value = config.into_value();
            if let Some(vocab) = value["model"]["vocab"].as_object_mut() {
                for (place, NewWord { word, .. }) in words.iter().enumerate() {
                    vocab.insert(word.clone(), Value::from(first + place));
                }
            }
            write(&out.join("tokenizer.json"), &format!("{value:#}\n"))?;
        }
        Ok(())
    }
}

pub(crate) fn read(path: &Path) -> Result<String, TextError> {
    std::fs::read_to_string(path)
        .map_err(|source| TextError::Io { path: path.to_path_buf(), source })
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), TextError> {
    std::fs::write(path, text).map_err(|source| TextError::Io { path: path.to_path_buf(), source })
}

/// Whether a word is one that a vocabulary gains from: numbers and single characters are not.
fn can_be_added(word: &str) -> bool {
    let characters = word.chars().count();
    (2..=MAX_WORD_CHARS).contains(&characters)
        && word.chars().any(char::is_alphabetic)
        && !word.starts_with(INSIDE)
        && !word.chars().any(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// A folder with BERT's tokenizer of some tokens.
    fn folder(tokens: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let lines: String =
            special.iter().chain(tokens).map(|token| format!("{token}\n")).collect();
        fs::write(dir.path().join("vocab.txt"), lines).expect("written");
        let config = serde_json::json!({"tokenizer_class": "BertTokenizer", "do_lower_case": true});
        fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).expect("written");
        dir
    }

    fn open(dir: &Path) -> Result<ExtensibleVocabulary, TextError> {
        ExtensibleVocabulary::open(dir, &TokenizerOptions::default())
    }

    fn counts(vocabulary: &ExtensibleVocabulary, text: &str) -> WordCounts {
        let mut counts = WordCounts::default();
        for word in vocabulary.tokenizer().words(text).expect("words") {
            counts.add(&word);
        }
        counts
    }

    const TOKENS: [&str; 12] =
        ["a", "b", "c", "##a", "##b", "##c", "ab", "##ab", "cab", "##bc", "!", "1"];

    #[test]
    fn words_that_save_most_tokens_are_chosen() {
        let dir = folder(&TOKENS);
        let vocabulary = open(dir.path()).expect("WordPiece");
        let text = "Cabba cabba cabba! abc abc abc abc ab ab ab ab ab zab zab c 1 111 bc";
        let chosen = vocabulary.choose(counts(&vocabulary, text), 9, 2).expect("chosen");
        // cabba: cab ##b ##a, three times, saves six tokens; abc: ab ##c, four times, saves four. The rest is in the
        // vocabulary, unknown, too rare, a number or a single character.
        let words: Vec<(&str, u64)> = chosen.iter().map(|w| (w.word.as_str(), w.count)).collect();
        assert_eq!(words, [("cabba", 3), ("abc", 4)]);
        let token = |id: &u32| vocabulary.tokenizer().token(*id).expect("a token");
        assert_eq!(chosen[0].pieces.iter().map(token).collect::<Vec<_>>(), ["cab", "##b", "##a"]);
        let one = vocabulary.choose(counts(&vocabulary, text), 1, 1).expect("chosen");
        assert_eq!(one.len(), 1);
    }

    /// All words of up to five characters: those that begin with no new word keep their pieces, and none becomes
    /// unknown.
    #[test]
    fn other_words_keep_their_tokens() {
        for with_json in [false, true] {
            let dir = folder(&TOKENS);
            if with_json {
                let json =
                    crate::tokenizer_json_of_vocab(dir.path()).expect("built").expect("BERT");
                fs::write(dir.path().join("tokenizer.json"), json).expect("written");
            }
            let vocabulary = open(dir.path()).expect("WordPiece");
            let new = ["cabba", "abc", "ba"];
            let word = |word: &&str| NewWord {
                word: (*word).to_owned(),
                pieces: vocabulary.tokenizer().pieces_of(word).expect("pieces"),
                count: 1,
            };
            let words: Vec<NewWord> = new.iter().map(word).collect();
            let out = tempfile::tempdir().expect("a folder");
            fs::copy(
                dir.path().join("tokenizer_config.json"),
                out.path().join("tokenizer_config.json"),
            )
            .expect("copied");
            vocabulary.save(&words, out.path()).expect("saved");
            let extended =
                Tokenizer::from_dir(out.path(), &TokenizerOptions::default()).expect("opened");
            let (before, len) = (vocabulary.tokenizer(), vocabulary.tokenizer().len() as u32);
            assert_eq!(extended.len() as u32, len + 3);
            let unknown = before.id("[UNK]").expect("a role");
            let mut all = vec![String::new()];
            for _ in 0..5 {
                let longer =
                    all.iter().flat_map(|word| ["a", "b", "c"].map(|c| format!("{word}{c}")));
                all = longer.chain([String::new()]).collect();
            }
            let mut changed = BTreeSet::new();
            for word in all.iter().filter(|word| !word.is_empty()) {
                let [was, is] = [before, &extended].map(|t| t.encode_plain(word).expect("tokens"));
                assert!(!is.contains(&unknown), "{word}");
                match new.iter().any(|new| word.starts_with(new)) {
                    false => assert_eq!(was, is, "{word}"),
                    true if was != is => _ = changed.insert(word.as_str()),
                    true => {}
                }
            }
            for (place, word) in new.iter().enumerate() {
                assert_eq!(extended.encode_plain(word).expect("tokens"), [len + place as u32]);
                assert!(changed.contains(word));
            }
            // A longer word that begins with a new one is split anew.
            assert!(changed.contains("abcab"), "{changed:?}");
        }
    }

    #[test]
    fn what_cannot_be_extended_is_named() {
        let error = |dir: &Path| open(dir).expect_err("refused").to_string();
        let dir = folder(&["a", "##a", "##ab"]);
        assert!(error(dir.path()).contains("##ab but not ##b"), "{}", error(dir.path()));
        let dir = folder(&TOKENS);
        let config = serde_json::json!({
            "tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab",
            "subword_tokenizer_type": "character",
        });
        fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).expect("written");
        let character = error(dir.path());
        assert!(character.contains("then characters, not of WordPiece"), "{character}");
        let config = serde_json::json!({
            "tokenizer_class": "BertTokenizer", "additional_special_tokens": ["<extra>"],
        });
        fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).expect("written");
        assert!(error(dir.path()).contains("other files add some behind them"));
    }
}
