//! The tokenizer of a model folder.

use std::fmt;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::config::Config;
use crate::error::TextError;
use crate::files::ModelFiles;
use crate::hugging_face::{HuggingFace, is_bert};
use crate::japanese::BertJapanese;
use crate::pair::{PairEncoding, PairTemplate, Shares};
use crate::vocab::ids_end;

/// Settings of [`Tokenizer::from_dir`].
#[derive(Debug, Clone, Default)]
pub struct TokenizerOptions {
    /// A MeCab dictionary in place of the one that a Japanese model names: a compiled one in UTF-8
    /// (a folder), or one that [`pack_dictionary`](crate::pack_dictionary) made (a file).
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
///
/// One tokenizer serves any number of threads.
pub struct Tokenizer {
    inner: Inner,
    /// Ids before and after every text.
    around: (Vec<u32>, Vec<u32>),
    pair: PairTemplate,
    /// By id; empty where there is no token.
    tokens: Vec<String>,
    ids: FxHashMap<String, u32>,
    special_ids: Vec<u32>,
    model_max_length: Option<usize>,
    /// Whether texts that are too long lose their start, not their end.
    truncates_left: bool,
    kind: String,
}

enum Inner {
    HuggingFace(Box<HuggingFace>),
    Japanese(Box<BertJapanese>),
}

/// The `tokenizer.json` that stands for the `vocab.txt` of BERT in a folder without that file, for
/// readers that know no other form; none where there is one, or no such form (Japanese).
///
/// # Errors
/// If a file is damaged.
pub fn tokenizer_json_of_vocab(dir: &Path) -> Result<Option<String>, TextError> {
    let config = Config::read(&dir.into(), &dir.join("tokenizer_config.json"))?;
    let class = class(&config)?;
    let vocab = dir.join("vocab.txt");
    let is_wanted = (is_bert(&class) || class.is_empty())
        && vocab.is_file()
        && !dir.join("tokenizer.json").is_file();
    match is_wanted {
        true => Ok(Some(format!("{:#}\n", HuggingFace::vocab_json(&vocab, &config)?))),
        false => Ok(None),
    }
}

impl Tokenizer {
    /// Loads the tokenizer of a model folder: `BertJapaneseTokenizer` where the config names it,
    /// else `tokenizer.json`, else a BERT `vocab.txt`.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the tokenizer is of a kind that is not implemented.
    pub fn from_dir(dir: &Path, options: &TokenizerOptions) -> Result<Self, TextError> {
        Self::from_files(&dir.into(), options)
    }

    /// Loads the tokenizer of a model's files, as [`from_dir`](Self::from_dir) does of a folder.
    ///
    /// # Errors
    /// As `from_dir`.
    pub fn from_files(files: &ModelFiles, options: &TokenizerOptions) -> Result<Self, TextError> {
        let dir = files.root();
        let config = Config::read(files, &dir.join("tokenizer_config.json"))?;
        let class = class(&config)?;
        config.only("split_special_tokens", &[false.into()])?;
        let (json, vocab) = (dir.join("tokenizer.json"), dir.join("vocab.txt"));
        let (inner, tokens) = if class == "BertJapaneseTokenizer" {
            let dictionary = options.mecab_dicdir.as_deref();
            let (inner, tokens) = BertJapanese::load(&config, dictionary)?;
            (Inner::Japanese(Box::new(inner)), tokens)
        } else if files.is_file(&json) {
            let (inner, tokens) = HuggingFace::read(&json, &config, &class)?;
            (Inner::HuggingFace(Box::new(inner)), tokens)
        } else if files.is_file(&vocab) && (is_bert(&class) || class.is_empty()) {
            let (inner, tokens) = HuggingFace::from_vocab(&vocab, &config)?;
            (Inner::HuggingFace(Box::new(inner)), tokens)
        } else {
            return Err(no_tokenizer(files, &class));
        };
        let (around, mut pair, special_ids, left, kind) = match &inner {
            Inner::HuggingFace(inner) => {
                let HuggingFace { around, special_ids, truncates_left, kind, .. } = &**inner;
                let pair = inner.pair();
                (around.clone(), pair, special_ids.clone(), *truncates_left, kind.clone())
            }
            Inner::Japanese(inner) => {
                let pair = PairTemplate::bert(&inner.around());
                (inner.around(), pair, inner.special_ids(), false, inner.kind())
            }
        };
        if !gives_types(&config, &class)? {
            pair.clear_types();
        }
        config.only("truncation_side", &["right".into(), "left".into()])?;
        let truncates_left = match config.text("truncation_side", "")?.as_str() {
            "" => left,
            side => side == "left",
        };
        let len = ids_end(&tokens, dir)?;
        // What stands around texts has its ids from a file too.
        let special = around.0.iter().chain(&around.1).copied().chain(pair.ids());
        if let Some(id) = special.into_iter().find(|id| *id as usize >= len) {
            let message = format!("a special token has the id {id} among {len} tokens");
            return Err(TextError::Invalid { path: dir.to_path_buf(), message });
        }
        let ids = tokens.iter().map(|(id, token)| (token.clone(), *id)).collect();
        let mut named = vec![String::new(); len];
        for (id, token) in tokens {
            named[id as usize] = token;
        }
        let model_max_length = config.max_length();
        let tokens = named;
        let this = Self {
            inner,
            around,
            pair,
            tokens,
            ids,
            special_ids,
            model_max_length,
            truncates_left,
            kind,
        };
        Ok(this)
    }

    /// Ids of a text with special tokens; at most `max_tokens` of them, those of the text cut off
    /// at its end (at its start where the config's `truncation_side` says so).
    ///
    /// # Errors
    /// If `max_tokens` is less than the special tokens alone, or the text of over 4 GB.
    pub fn encode(&self, text: &str, max_tokens: Option<usize>) -> Result<Encoding, TextError> {
        let (before, after) = &self.around;
        let special = before.len() + after.len();
        let room = match max_tokens {
            None => usize::MAX,
            Some(max) => max.checked_sub(special).ok_or_else(|| {
                TextError::Encode(format!("{max} tokens have no room for {special} special ones"))
            })?,
        };
        let content = self.encode_plain(text)?;
        let kept = match self.truncates_left {
            true => &content[content.len().saturating_sub(room)..],
            false => &content[..content.len().min(room)],
        };
        let ids = [before, kept, after].concat();
        Ok(Encoding { ids, truncated: kept.len() < content.len() })
    }

    /// Ids and token types of two texts as one; at most `max_tokens` of them, cut off by
    /// transformers' strategy `longest_first`: the longer text is shortened until both are as long.
    ///
    /// # Errors
    /// If `max_tokens` is less than the special tokens alone, or a text of over 4 GB.
    pub fn encode_pair(
        &self,
        texts: (&str, &str),
        max_tokens: Option<usize>,
    ) -> Result<PairEncoding, TextError> {
        let special = self.pair.special();
        let room = match max_tokens {
            None => usize::MAX,
            Some(max) => max.checked_sub(special).ok_or_else(|| {
                TextError::Encode(format!("{max} tokens have no room for {special} special ones"))
            })?,
        };
        let (a, b) = (self.encode_plain(texts.0)?, self.encode_plain(texts.1)?);
        let shares = match self.inner {
            Inner::HuggingFace(_) => Shares::LongerHasMore,
            Inner::Japanese(_) => Shares::FirstHasMore,
        };
        let (kept_a, kept_b) = shares.of((a.len(), b.len()), room);
        let kept = |ids: &[u32], count: usize| match self.truncates_left {
            true => ids[ids.len() - count..].to_vec(),
            false => ids[..count].to_vec(),
        };
        let truncated = kept_a < a.len() || kept_b < b.len();
        Ok(self.pair.apply(&kept(&a, kept_a), &kept(&b, kept_b), truncated))
    }

    /// The largest token type that [`encode_pair`](Self::encode_pair) gives.
    pub fn max_token_type(&self) -> u8 {
        self.pair.max_type()
    }

    /// Ids of a text alone, without special tokens around it: for queries that are looked up.
    ///
    /// # Errors
    /// If the text is of over 4 GB.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, TextError> {
        // Places in a text are kept in 32 bits.
        if u32::try_from(text.len()).is_err() {
            return Err(TextError::Encode(format!("{} bytes; split it", text.len())));
        }
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

    /// Ids that stand before and after every text.
    pub fn around(&self) -> (&[u32], &[u32]) {
        (&self.around.0, &self.around.1)
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
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({}, {} tokens)", self.kind(), self.len())
    }
}

/// The class of transformers that the folder asks for, without `Fast`: named in
/// `tokenizer_config.json` or `config.json`, else that of the model's type; empty where neither is.
fn class(config: &Config) -> Result<String, TextError> {
    let model = config.beside("config.json")?;
    let named = config.text("tokenizer_class", "")?;
    let (named, file) = match named.is_empty() {
        true => (model.text("tokenizer_class", "")?, &model),
        false => (named, config),
    };
    // Code in a folder: `[slow, fast]`. What comes with a fast class has a tokenizer.json.
    let own = file.value("auto_map").map(|map| map.get("AutoTokenizer").unwrap_or(map));
    if own.and_then(serde_json::Value::as_array).is_some_and(|own| {
        own.first().is_some_and(serde_json::Value::is_string)
            && !own.get(1).is_some_and(serde_json::Value::is_string)
    }) {
        let known = "tokenizers without code of their own; save the model with a tokenizer.json";
        return Err(file.unsupported("auto_map", known));
    }
    let class = named.strip_suffix("Fast").unwrap_or(&named);
    let model_type = model.text("model_type", "")?;
    Ok(match (class, model_type.as_str()) {
        ("", "bert") => "BertTokenizer",
        ("", "distilbert") => "DistilBertTokenizer",
        ("", "electra") => "ElectraTokenizer",
        ("", other) => other,
        _ => class,
    }
    .to_owned())
}

/// Whether transformers' tokenizer of a class gives models the types of tokens.
fn gives_types(config: &Config, class: &str) -> Result<bool, TextError> {
    let names = config.texts("model_input_names")?;
    let without = [
        "RobertaTokenizer",
        "XLMRobertaTokenizer",
        "CamembertTokenizer",
        "DistilBertTokenizer",
        "roberta",
        "xlm-roberta",
        "camembert",
        "modernbert",
    ];
    Ok(match names.is_empty() {
        true => !without.contains(&class),
        false => names.iter().any(|name| name == "token_type_ids"),
    })
}

fn no_tokenizer(files: &ModelFiles, class: &str) -> TextError {
    let dir = files.root();
    let there = |name: &&str| files.is_file(&dir.join(name));
    let names = [
        "spm.model",
        "sentencepiece.bpe.model",
        "spiece.model",
        "tokenizer.model",
        "vocab.json",
        "vocab.txt",
    ];
    let message = match names.into_iter().find(there) {
        Some(name) => format!(
            "there is {name} of {class} but no tokenizer.json; make one with \
             python -c \"from transformers import AutoTokenizer as T; \
             T.from_pretrained('{0}').save_pretrained('{0}')\"",
            dir.display(),
            class = if class.is_empty() { "an unnamed class" } else { class },
        ),
        None => "there is no tokenizer: tokenizer.json or vocab.txt is expected".to_owned(),
    };
    TextError::NoTokenizer { path: dir.to_path_buf(), message }
}
