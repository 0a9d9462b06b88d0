//! The tokenizer of a model folder.

use std::fmt;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::config::TokenizerConfig;
use crate::error::TextError;
use crate::hugging_face::HuggingFace;
use crate::japanese::BertJapanese;

/// Settings of [`Tokenizer::from_dir`].
#[derive(Debug, Clone, Default)]
pub struct TokenizerOptions {
    /// A compiled MeCab dictionary in UTF-8, in place of the one that a Japanese model names.
    pub mecab_dicdir: Option<PathBuf>,
}

/// The ids of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Special tokens included.
    pub ids: Vec<u32>,
    /// Whether tokens were cut off.
    pub truncated: bool,
}

/// Text to token ids, as transformers 4.56 gives them for the same folder.
pub struct Tokenizer {
    inner: Inner,
    /// Ids before and after every text.
    around: (Vec<u32>, Vec<u32>),
    /// By id; empty where there is no token.
    tokens: Vec<String>,
    ids: FxHashMap<String, u32>,
    special_ids: Vec<u32>,
    model_max_length: Option<usize>,
}

enum Inner {
    HuggingFace(Box<HuggingFace>),
    Japanese(Box<BertJapanese>),
}

impl Tokenizer {
    /// Loads the tokenizer of a model folder: `BertJapaneseTokenizer` where the config names it,
    /// else `tokenizer.json`, else a BERT `vocab.txt`.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the tokenizer is of a kind that is not implemented.
    pub fn from_dir(dir: &Path, options: &TokenizerOptions) -> Result<Self, TextError> {
        let config = TokenizerConfig::read(&dir.join("tokenizer_config.json"))?;
        let model = TokenizerConfig::read(&dir.join("config.json"))?;
        let class = config.text("tokenizer_class", &model.text("tokenizer_class", "")?)?;
        let json = dir.join("tokenizer.json");
        let vocab = dir.join("vocab.txt");
        let inner = if class.trim_end_matches("Fast") == "BertJapaneseTokenizer" {
            let dicdir = options.mecab_dicdir.as_deref();
            Inner::Japanese(Box::new(BertJapanese::load(dir, &config, dicdir)?))
        } else if json.is_file() {
            let class = match (class.as_str(), model.text("model_type", "")?.as_str()) {
                ("", "bert") => "BertTokenizer".to_owned(),
                ("", "distilbert") => "DistilBertTokenizer".to_owned(),
                ("", "electra") => "ElectraTokenizer".to_owned(),
                _ => class,
            };
            Inner::HuggingFace(Box::new(HuggingFace::read(&json, &config, &class)?))
        } else if vocab.is_file() {
            Inner::HuggingFace(Box::new(HuggingFace::from_vocab(&vocab, &config)?))
        } else {
            return Err(no_tokenizer(dir));
        };
        let (around, named, special_ids) = match &inner {
            Inner::HuggingFace(inner) => (inner.around(), inner.tokens(), inner.special_ids()),
            Inner::Japanese(inner) => (inner.around(), inner.tokens(), inner.special_ids()),
        };
        let len = named.keys().max().map_or(0, |id| *id as usize + 1);
        let mut tokens = vec![String::new(); len];
        for (id, token) in named {
            tokens[id as usize] = token;
        }
        let ids = tokens.iter().enumerate().filter(|(_, token)| !token.is_empty());
        let ids = ids.map(|(id, token)| (token.clone(), id as u32)).collect();
        let model_max_length = config.max_length();
        Ok(Self { inner, around, tokens, ids, special_ids, model_max_length })
    }

    /// Ids of a text with special tokens; at most `max_tokens` of them, those of the text cut off
    /// at its end.
    ///
    /// # Errors
    /// If the tokenizer fails on the text.
    pub fn encode(&self, text: &str, max_tokens: Option<usize>) -> Result<Encoding, TextError> {
        let content = self.encode_plain(text)?;
        let (before, after) = &self.around;
        let room =
            max_tokens.map_or(usize::MAX, |max| max.saturating_sub(before.len() + after.len()));
        let kept = &content[..content.len().min(room)];
        let ids = [before, kept, after].concat();
        Ok(Encoding { ids, truncated: kept.len() < content.len() })
    }

    /// Ids of a text alone, without special tokens around it: for queries that are looked up.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, TextError> {
        match &self.inner {
            Inner::HuggingFace(inner) => inner.encode(text),
            Inner::Japanese(inner) => Ok(inner.encode(text)),
        }
    }

    /// The token of an id; none where the vocabulary has a gap or ends.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str).filter(|token| !token.is_empty())
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// One more than the largest id.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Ids of special tokens.
    pub fn special_ids(&self) -> &[u32] {
        &self.special_ids
    }

    /// `model_max_length` of the config, if it is one.
    pub fn model_max_length(&self) -> Option<usize> {
        self.model_max_length
    }

    /// What kind of tokenizer it is, for people.
    pub fn kind(&self) -> String {
        match &self.inner {
            Inner::HuggingFace(inner) => inner.kind(),
            Inner::Japanese(inner) => inner.kind(),
        }
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({}, {} tokens)", self.kind(), self.len())
    }
}

fn no_tokenizer(dir: &Path) -> TextError {
    let there = |name: &str| dir.join(name).is_file();
    let pieces = ["spm.model", "sentencepiece.bpe.model", "spiece.model", "vocab.json"];
    let message = match pieces.iter().find(|name| there(name)) {
        Some(name) => format!(
            "there is {name} but no tokenizer.json; make one with \
             python -c \"from transformers import AutoTokenizer as T; \
             T.from_pretrained('{0}').save_pretrained('{0}')\"",
            dir.display()
        ),
        None => "there is no tokenizer: tokenizer.json or vocab.txt is expected".to_owned(),
    };
    TextError::NoTokenizer { path: dir.to_path_buf(), message }
}
