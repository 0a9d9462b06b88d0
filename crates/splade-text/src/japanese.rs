//! `BertJapaneseTokenizer`: MeCab, then WordPiece or characters.
//!
//! The steps of transformers 4.56, in its order: special tokens are cut out of the raw text; with
//! `do_lower_case` the rest is lowered, character by character; NFKC; MeCab; with `do_lower_case`
//! the words are lowered again; each word is split into pieces of the vocabulary.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use serde_json::Value;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::config::TokenizerConfig;
use crate::error::TextError;
use crate::mecab::{Dictionary, Lattice, cache, compiled};
use crate::vocab::Vocab;

/// unidic-lite 1.0.8 (UniDic 2.1.2), packed; see `dictionary/README.md`.
#[cfg(feature = "unidic-lite")]
const UNIDIC_LITE: Option<&[u8]> = Some(include_bytes!("../dictionary/unidic-lite.mecab"));
#[cfg(not(feature = "unidic-lite"))]
const UNIDIC_LITE: Option<&[u8]> = None;

/// A word of more characters than this is unknown.
const MAX_WORD_CHARS: usize = 100;

/// A tokenizer for Japanese text.
#[derive(Debug)]
pub(crate) struct BertJapanese {
    vocab: Vocab,
    /// Special tokens and their ids.
    specials: Vec<(String, u32)>,
    unk: u32,
    cls: u32,
    sep: u32,
    lower_case: bool,
    words: Words,
    pieces: Pieces,
    /// Bytes of the longest entry of the vocabulary.
    longest: usize,
    dictionary_name: String,
}

/// How a text becomes words.
#[derive(Debug)]
enum Words {
    Mecab {
        dictionary: Dictionary,
        normalize: bool,
    },
    /// `do_word_tokenize: false`
    Whole,
}

/// How a word becomes pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pieces {
    WordPiece,
    Character,
    /// `do_subword_tokenize: false`
    Whole,
}

thread_local! {
    static LATTICE: RefCell<Lattice> = RefCell::default();
}

impl BertJapanese {
    /// Loads the tokenizer of a folder whose config names `BertJapaneseTokenizer`.
    pub(crate) fn load(
        dir: &Path,
        config: &TokenizerConfig,
        mecab_dicdir: Option<&Path>,
    ) -> Result<Self, TextError> {
        let vocab = Vocab::read(&dir.join("vocab.txt"))?;
        let special = |role: &str, default: &str| -> Result<(String, u32), TextError> {
            let token = config.token(role).unwrap_or_else(|| default.to_owned());
            match vocab.id(&token).or_else(|| config.added_id(&token)) {
                Some(id) => Ok((token, id)),
                None => Err(TextError::Invalid {
                    path: vocab.path().to_path_buf(),
                    message: format!("the {role} {token} is not in the vocabulary"),
                }),
            }
        };
        let (unk, sep) = (special("unk_token", "[UNK]")?, special("sep_token", "[SEP]")?);
        let (pad, cls) = (special("pad_token", "[PAD]")?, special("cls_token", "[CLS]")?);
        let mask = special("mask_token", "[MASK]")?;
        let ids = (unk.1, cls.1, sep.1);
        let mut specials = vec![unk, sep, pad, cls, mask];
        for added in config.added() {
            if added.single_word || added.lstrip || added.rstrip {
                return Err(config.unsupported(
                    "added_tokens_decoder",
                    "tokens without single_word, lstrip and rstrip",
                ));
            }
            if !specials.iter().any(|(token, _)| *token == added.content) {
                specials.push((added.content, added.id));
            }
        }
        // Longer tokens first: of two that start at one place the longer one is cut out.
        specials.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
        config.only("never_split", &[Value::Null, Value::Array(Vec::new())])?;
        let (words, dictionary_name) = Self::words(config, mecab_dicdir)?;
        let pieces = match config.flag("do_subword_tokenize", true)? {
            false => Pieces::Whole,
            true => match config.text("subword_tokenizer_type", "wordpiece")?.as_str() {
                "wordpiece" => Pieces::WordPiece,
                "character" => Pieces::Character,
                _ => {
                    return Err(
                        config.unsupported("subword_tokenizer_type", "wordpiece and character")
                    );
                }
            },
        };
        Ok(Self {
            longest: vocab.longest(),
            vocab,
            specials,
            unk: ids.0,
            cls: ids.1,
            sep: ids.2,
            lower_case: config.flag("do_lower_case", false)?,
            words,
            pieces,
            dictionary_name,
        })
    }

    fn words(
        config: &TokenizerConfig,
        mecab_dicdir: Option<&Path>,
    ) -> Result<(Words, String), TextError> {
        if !config.flag("do_word_tokenize", true)? {
            return Ok((Words::Whole, "no words".to_owned()));
        }
        if config.text("word_tokenizer_type", "basic")? != "mecab" {
            let known = "mecab; convert models for Sudachi, Juman++ or basic words with a \
                         tokenizer.json of their own";
            return Err(config.unsupported("word_tokenizer_type", known));
        }
        let mecab = config.object("mecab_kwargs")?;
        mecab.only("mecab_option", &[Value::Null, Value::from("")])?;
        mecab.only("never_split", &[Value::Null, Value::Array(Vec::new())])?;
        mecab.only("do_lower_case", &[Value::Null, Value::Bool(false)])?;
        let normalize = mecab.flag("normalize_text", true)?;
        if let Some(dir) = mecab_dicdir {
            let dictionary = Dictionary::build(&compiled::read(dir)?);
            let name = format!("MeCab with {}", dir.display());
            return Ok((Words::Mecab { dictionary, normalize }, name));
        }
        let wanted = match mecab.value("mecab_dic") {
            None => "unidic_lite".to_owned(),
            Some(Value::String(name)) => name.clone(),
            Some(other) => other.to_string(),
        };
        let packed = UNIDIC_LITE.filter(|_| wanted == "unidic_lite").ok_or_else(|| {
            mecab.unsupported(
                "mecab_dic",
                "unidic_lite, which is built in; name the folder of any other dictionary with \
                 --mecab-dicdir",
            )
        })?;
        let folder: Option<PathBuf> = cache::default_folder();
        let dictionary = cache::open(packed, folder.as_deref()).map_err(|message| {
            TextError::Invalid { path: PathBuf::from("the built-in dictionary"), message }
        })?;
        Ok((Words::Mecab { dictionary, normalize }, "MeCab with unidic-lite".to_owned()))
    }

    /// Ids of a text without special tokens around it.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some((at, length, id)) = self.next_special(rest) {
            self.encode_plain(&rest[..at], &mut ids);
            ids.push(id);
            rest = &rest[at + length..];
        }
        self.encode_plain(rest, &mut ids);
        ids
    }

    /// Where the first special token stands, its length and id.
    fn next_special(&self, text: &str) -> Option<(usize, usize, u32)> {
        let found = self.specials.iter().filter(|(token, _)| !token.is_empty());
        let found =
            found.filter_map(|(token, id)| Some((text.find(token.as_str())?, token.len(), *id)));
        found.min_by_key(|(at, length, _)| (*at, std::cmp::Reverse(*length)))
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) {
        let lowered;
        let mut text = text;
        if self.lower_case {
            lowered = text.chars().flat_map(char::to_lowercase).collect::<String>();
            text = &lowered;
        }
        match &self.words {
            Words::Whole => self.encode_word(text, ids),
            Words::Mecab { dictionary, normalize } => LATTICE.with_borrow_mut(|lattice| {
                let normal = if *normalize { nfkc(text) } else { text.into() };
                for word in lattice.words(dictionary, &normal) {
                    let word = &normal[word.clone()];
                    match self.lower_case {
                        true => self.encode_word(&word.to_lowercase(), ids),
                        false => self.encode_word(word, ids),
                    }
                }
            }),
        }
    }

    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        match self.pieces {
            Pieces::Whole => ids.push(self.vocab.id(word).unwrap_or(self.unk)),
            Pieces::Character => {
                let mut buffer = [0; 4];
                for c in nfkc(word).chars() {
                    ids.push(self.vocab.id(c.encode_utf8(&mut buffer)).unwrap_or(self.unk));
                }
            }
            Pieces::WordPiece => {
                for part in word.split(python_space).filter(|part| !part.is_empty()) {
                    self.word_piece(part, ids);
                }
            }
        }
    }

    /// The longest piece of the vocabulary at each place (Wu et al. 2016); one unknown token for
    /// the word if any part has none.
    fn word_piece(&self, word: &str, ids: &mut Vec<u32>) {
        if let Some(id) = self.vocab.id(word) {
            return ids.push(id);
        }
        if word.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS {
            return ids.push(self.unk);
        }
        let first = ids.len();
        let mut key = String::new();
        let mut start = 0;
        while start < word.len() {
            let mut end = word.len().min(start + self.longest);
            while !word.is_char_boundary(end) {
                end -= 1;
            }
            key.clear();
            if start > 0 {
                key.push_str("##");
            }
            key.push_str(&word[start..end]);
            let id = loop {
                if end == start {
                    break None;
                }
                if let Some(id) = self.vocab.id(&key) {
                    break Some(id);
                }
                end -= key.pop().map_or(0, char::len_utf8);
            };
            match id {
                Some(id) => ids.push(id),
                None => {
                    ids.truncate(first);
                    return ids.push(self.unk);
                }
            }
            start = end;
        }
    }

    /// Ids before and after every text.
    pub(crate) fn around(&self) -> (Vec<u32>, Vec<u32>) {
        (vec![self.cls], vec![self.sep])
    }

    /// Token strings by id.
    pub(crate) fn tokens(&self) -> FxHashMap<u32, String> {
        let mut tokens = self.vocab.tokens();
        tokens.extend(self.specials.iter().map(|(token, id)| (*id, token.clone())));
        tokens
    }

    pub(crate) fn special_ids(&self) -> Vec<u32> {
        self.specials.iter().map(|(_, id)| *id).collect()
    }

    /// For people.
    pub(crate) fn kind(&self) -> String {
        let pieces = match self.pieces {
            Pieces::WordPiece => "WordPiece",
            Pieces::Character => "characters",
            Pieces::Whole => "whole words",
        };
        format!("BertJapanese: {}, then {pieces}", self.dictionary_name)
    }
}

fn nfkc(text: &str) -> std::borrow::Cow<'_, str> {
    match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        _ => text.nfkc().collect::<String>().into(),
    }
}

/// What Python's `str.split()` splits on.
fn python_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
