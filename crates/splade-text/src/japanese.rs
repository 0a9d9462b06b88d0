//! `BertJapaneseTokenizer`: MeCab, followed by WordPiece or characters.
//!
//! The steps and their order are those of transformers 4.56. With `do_lower_case`, the text is
//! lower-cased character by character except for special tokens. Added tokens are cut out. NFKC and
//! MeCab follow. With `do_lower_case`, the words are lower-cased again. Each word is split into
//! pieces of the vocabulary. Other word tokenizers (`basic`, Sudachi, Juman++) and SentencePiece
//! subwords are not implemented.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::added::{self, AddedToken, Base};
use crate::config::Config;
use crate::error::TextError;
use crate::hugging_face::BERT_ROLES;
use crate::mecab::{Dictionary, Lattice, cache, compiled};
use crate::places::Pieces;
use crate::vocab::Vocab;
use crate::wordpiece::{WordPiece, python_space};

/// The packed dictionary of unidic-lite 1.0.8, if this build contains it.
#[cfg(feature = "unidic-lite")]
static UNIDIC_LITE: Option<&[u8]> = Some(splade_unidic::UNIDIC_LITE);
#[cfg(not(feature = "unidic-lite"))]
static UNIDIC_LITE: Option<&[u8]> = None;

/// A tokenizer for Japanese text.
#[derive(Debug)]
pub(crate) struct BertJapanese {
    pieces: WordPiece,
    subwords: Subwords,
    words: Words,
    /// The tokens that are not lower-cased in a text, or `None` without `do_lower_case`.
    lower: Option<AhoCorasick>,
    /// The words that are not lower-cased.
    never_split: FxHashSet<String>,
    added: Vec<AddedToken>,
    /// The automaton that finds the `added` tokens; pattern numbers are indices of `added`.
    finder: AhoCorasick,
    cls: u32,
    sep: u32,
    dictionary_name: String,
}

/// The word tokenizer.
#[derive(Debug)]
enum Words {
    Mecab {
        dictionary: Box<Dictionary>,
        normalize: bool,
    },
    /// The whole text is one word (`do_word_tokenize: false`).
    Whole,
}

/// The subword tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subwords {
    WordPiece,
    Character,
    /// The whole word is one piece (`do_subword_tokenize: false`).
    Whole,
}

// The buffers of the lattice search, reused by the thread.
thread_local! {
    pub(crate) static LATTICE: RefCell<Lattice> = RefCell::default();
}

impl BertJapanese {
    /// Loads the tokenizer of a folder whose config names `BertJapaneseTokenizer`, together with
    /// its token strings. If `dictionary` is given, it replaces the dictionary that the config
    /// names.
    pub(crate) fn load(
        config: &Config,
        dictionary: Option<&Path>,
    ) -> Result<(Self, FxHashMap<u32, String>), TextError> {
        let subwords = match config.flag("do_subword_tokenize", true)? {
            false => Subwords::Whole,
            true => match config.text("subword_tokenizer_type", "wordpiece")?.as_str() {
                "wordpiece" => Subwords::WordPiece,
                "character" => Subwords::Character,
                _ => {
                    let known = "wordpiece and character";
                    return Err(config.unsupported("subword_tokenizer_type", known));
                }
            },
        };
        let vocab = Vocab::read(config.files(), &config.files().root().join("vocab.txt"))?;
        let id = |token: &str| vocab.id(token);
        let base = Base { id: &id, len: vocab.len(), keep_ids: true };
        let added = added::resolve(config, Vec::new(), &BERT_ROLES, &base)?;
        if added.iter().any(|token| token.single_word || token.lstrip || token.rstrip) {
            let known = "tokens without single_word, lstrip and rstrip";
            return Err(config.unsupported("added_tokens_decoder", known));
        }
        let declared = added::declared(config)?;
        for token in &added {
            vocab.check_id(&token.content, token.id)?;
        }
        let role = |role: &str, default: &str| -> Result<u32, TextError> {
            let token = config.value(role).map(|token| token.get("content").unwrap_or(token));
            let token = token.and_then(Value::as_str).unwrap_or(default);
            let known = added.iter().find(|known| known.content == token).map(|known| known.id);
            // A token that no file has would get a new id after those of the vocabulary.
            let known = known.filter(|_| vocab.id(token).is_some() || declared.contains(token));
            known.ok_or_else(|| vocab.missing(role, token))
        };
        let (cls, sep) = (role("cls_token", "[CLS]")?, role("sep_token", "[SEP]")?);
        let unk = role("unk_token", "[UNK]")?;
        let special = |token: &&AddedToken| token.special;
        let mut never_split: FxHashSet<String> = config.texts("never_split")?.into_iter().collect();
        never_split.extend(added.iter().filter(special).map(|token| token.content.clone()));
        let lower = match config.flag("do_lower_case", false)? {
            false => None,
            true => {
                // The first match wins, as with the alternatives of a regular expression.
                let kept = added.iter().filter(special);
                let kept = kept.chain(added.iter().filter(|t| !t.special && t.normalized));
                Some(finder(config, kept, MatchKind::LeftmostFirst)?)
            }
        };
        let (words, dictionary_name) = words(config, dictionary)?;
        let mut tokens = vocab.tokens();
        tokens.extend(added.iter().map(|token| (token.id, token.content.clone())));
        let finder = finder(config, added.iter(), MatchKind::LeftmostLongest)?;
        let pieces = WordPiece::new(vocab, unk);
        let this = Self {
            pieces,
            subwords,
            words,
            lower,
            never_split,
            added,
            finder,
            cls,
            sep,
            dictionary_name,
        };
        Ok((this, tokens))
    }

    /// Returns the ids of a text without special tokens around it.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let text = &*self.lowered(text);
        let mut ids = Vec::new();
        let mut start = 0;
        for found in self.finder.find_iter(text) {
            self.encode_plain(&text[start..found.start()], &mut ids);
            ids.push(self.added[found.pattern().as_usize()].id);
            start = found.end();
        }
        self.encode_plain(&text[start..], &mut ids);
        ids
    }

    /// Returns the text as the tokenizer takes it: in lower case, if the model wants that.
    fn lowered<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.lower {
            None => text.into(),
            Some(kept) => lower(text, kept).into(),
        }
    }

    /// Appends the ids of a text without added tokens.
    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) {
        self.each_word(text, &mut |word| self.encode_word(word, ids));
    }

    /// Hands over the words of a text without added tokens.
    fn each_word(&self, text: &str, take: &mut dyn FnMut(&str)) {
        if text.is_empty() {
            return;
        }
        match &self.words {
            Words::Whole => take(text),
            Words::Mecab { dictionary, normalize } => LATTICE.with_borrow_mut(|lattice| {
                let normal = if *normalize { nfkc(text) } else { text.into() };
                for word in lattice.words(dictionary, &normal) {
                    let word = &normal[word.clone()];
                    match self.lower.is_some() && !self.never_split.contains(word) {
                        true => take(&word.to_lowercase()),
                        false => take(word),
                    }
                }
                lattice.shrink();
            }),
        }
    }

    /// Returns the words whose pieces the tokens are, or `None` if the tokens are not pieces of MeCab's words.
    pub(crate) fn words(&self, text: &str) -> Option<Vec<String>> {
        let Words::Mecab { .. } = self.words else { return None };
        if self.subwords != Subwords::WordPiece {
            return None;
        }
        let text = &*self.lowered(text);
        let mut words = Vec::new();
        let mut take = |word: &str| {
            let parts = word.split(python_space).filter(|part| !part.is_empty());
            words.extend(parts.map(str::to_owned));
        };
        let mut start = 0;
        for found in self.finder.find_iter(text) {
            self.each_word(&text[start..found.start()], &mut take);
            start = found.end();
        }
        self.each_word(&text[start..], &mut take);
        Some(words)
    }

    /// Appends the pieces of a word.
    pub(crate) fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        match self.subwords {
            Subwords::Whole => ids.push(self.pieces.whole(word)),
            Subwords::Character => {
                let mut buffer = [0; 4];
                let characters = nfkc(word);
                let characters = characters.chars();
                ids.extend(characters.map(|c| self.pieces.whole(c.encode_utf8(&mut buffer))));
            }
            Subwords::WordPiece => self.pieces.encode(word, ids),
        }
    }

    /// Returns the ids before and after every text.
    pub(crate) fn around(&self) -> (Vec<u32>, Vec<u32>) {
        (vec![self.cls], vec![self.sep])
    }

    pub(crate) fn special_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> =
            self.added.iter().filter(|token| token.special).map(|token| token.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Returns what the strings of tokens consist of.
    pub(crate) fn pieces(&self) -> Pieces {
        let prefix = if self.subwords == Subwords::WordPiece { "##" } else { "" };
        Pieces::Characters { prefix: prefix.to_owned() }
    }

    /// Returns a description of the tokenizer for users.
    pub(crate) fn kind(&self) -> String {
        let pieces = match self.subwords {
            Subwords::WordPiece => "WordPiece",
            Subwords::Character => "characters",
            Subwords::Whole => "whole words",
        };
        format!("BertJapanese: {}, then {pieces}", self.dictionary_name)
    }
}

/// Returns the word tokenizer that a config asks for, with its name.
fn words(config: &Config, dictionary: Option<&Path>) -> Result<(Words, String), TextError> {
    if !config.flag("do_word_tokenize", true)? {
        return Ok((Words::Whole, "no words".to_owned()));
    }
    if config.text("word_tokenizer_type", "basic")? != "mecab" {
        return Err(config.unsupported("word_tokenizer_type", "mecab"));
    }
    let mecab = config.object("mecab_kwargs")?;
    for (key, _) in mecab.entries() {
        if !["mecab_dic", "mecab_option", "normalize_text"].contains(&key.as_str()) {
            let known = "mecab_dic, mecab_option and normalize_text among mecab_kwargs";
            return Err(mecab.unsupported(key, known));
        }
    }
    // Options could select another dictionary or change what MeCab finds, so none is allowed.
    mecab.only("mecab_option", &["".into()])?;
    let normalize = mecab.flag("normalize_text", true)?;
    if let Some(path) = dictionary {
        let dictionary = open_dictionary(path)?;
        return Ok((
            Words::Mecab { dictionary: Box::new(dictionary), normalize },
            format!("MeCab with {}", path.display()),
        ));
    }
    // A missing key means unidic_lite; null means the dictionary that MeCab is installed with.
    let wanted = mecab.text("mecab_dic", "unidic_lite")?;
    if let Some(dictionary) = brought(config, &wanted)? {
        let dictionary = Box::new(dictionary);
        return Ok((Words::Mecab { dictionary, normalize }, format!("MeCab with {wanted}")));
    }
    let packed = UNIDIC_LITE.filter(|_| wanted == "unidic_lite" && !mecab.is_null("mecab_dic"));
    let packed = packed.ok_or_else(|| {
        let known = match UNIDIC_LITE {
            Some(_) => "unidic_lite, which is built in, and any other dictionary by its folder",
            None => "any dictionary by its folder; this program was built without unidic_lite",
        };
        mecab.unsupported("mecab_dic", &format!("{known} (--mecab-dicdir)"))
    })?;
    let dictionary = built_in(packed)?;
    let dictionary = Box::new(dictionary);
    Ok((Words::Mecab { dictionary, normalize }, "MeCab with unidic-lite".to_owned()))
}

/// Returns the dictionary that a model in memory brings with it, as a packed file with the name of
/// the dictionary and `.mecab`. Where programs are sent to, as to browsers, none is built in.
fn brought(config: &Config, name: &str) -> Result<Option<Dictionary>, TextError> {
    let files = config.files();
    let path = files.root().join(format!("{name}.mecab"));
    if !files.is_memory() || !files.is_file(&path) {
        return Ok(None);
    }
    let read = || {
        let file = files.open(&path)?;
        let mut packed = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
        file.read_at(&mut packed, 0)?;
        Ok(packed)
    };
    let packed: Vec<u8> = match read() {
        Ok(packed) => packed,
        Err(source) => return Err(TextError::Io { path, source }),
    };
    match cache::open(&packed, None) {
        Ok(dictionary) => Ok(Some(dictionary)),
        Err(message) => Err(TextError::Invalid { path, message }),
    }
}

/// Returns the built-in dictionary.
pub(crate) fn unidic_lite() -> Result<Dictionary, TextError> {
    let missing = "this program was built without the dictionary unidic-lite";
    built_in(UNIDIC_LITE.ok_or_else(|| TextError::Dictionary(missing.to_owned()))?)
}

fn built_in(packed: &[u8]) -> Result<Dictionary, TextError> {
    let dictionary = cache::open(packed, cache::default_folder().as_deref());
    let path = PathBuf::from("the built-in dictionary");
    dictionary.map_err(|message| TextError::Invalid { path, message })
}

/// Opens a compiled dictionary (a folder) or a packed one (a file).
fn open_dictionary(path: &Path) -> Result<Dictionary, TextError> {
    if path.is_dir() {
        return Ok(Dictionary::build(compiled::read(path)?));
    }
    let path = path.to_path_buf();
    let packed = match std::fs::read(&path) {
        Ok(packed) => packed,
        Err(source) => return Err(TextError::Io { path, source }),
    };
    cache::open(&packed, cache::default_folder().as_deref())
        .map_err(|message| TextError::Invalid { path, message })
}

/// Builds the automaton that finds some tokens in a text.
fn finder<'a>(
    config: &Config,
    tokens: impl Iterator<Item = &'a AddedToken>,
    kind: MatchKind,
) -> Result<AhoCorasick, TextError> {
    let finder = AhoCorasick::builder().match_kind(kind).build(tokens.map(|token| &token.content));
    finder.map_err(|_| config.unsupported("added_tokens_decoder", "fewer tokens"))
}

/// Lower-cases a text character by character, except within the tokens that `kept` finds.
fn lower(text: &str, kept: &AhoCorasick) -> String {
    let mut lowered = String::with_capacity(text.len());
    let mut start = 0;
    for found in kept.find_iter(text) {
        lowered.extend(text[start..found.start()].chars().flat_map(char::to_lowercase));
        lowered.push_str(&text[found.range()]);
        start = found.end();
    }
    lowered.extend(text[start..].chars().flat_map(char::to_lowercase));
    lowered
}

/// Returns the text in the Unicode normalization form NFKC.
pub(crate) fn nfkc(text: &str) -> std::borrow::Cow<'_, str> {
    match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        _ => text.nfkc().collect::<String>().into(),
    }
}
