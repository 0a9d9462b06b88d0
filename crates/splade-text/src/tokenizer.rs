//! The tokenizer of a model folder.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::config::Config;
use crate::error::TextError;
use crate::files::ModelFiles;
use crate::hugging_face::{HuggingFace, is_bert};
use crate::japanese::BertJapanese;
use crate::pair::{PairEncoding, PairTemplate, Shares};
use crate::vocab::ids_end;
use crate::words::bert_words;

/// The settings of [`Tokenizer::from_dir`].
///
/// ```
/// use splade_text::{Tokenizer, TokenizerOptions};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ja-wordpiece");
/// // A Japanese model segments with the dictionary of this crate, unless another one is named.
/// let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default())?;
/// assert!(!tokenizer.encode_plain("夜の列車")?.is_empty());
/// let options = TokenizerOptions { mecab_dicdir: Some("/no/dictionary".into()) };
/// assert!(Tokenizer::from_dir(&folder, &options).is_err());
/// # Ok::<(), splade_text::TextError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TokenizerOptions {
    /// A MeCab dictionary that replaces the one that a Japanese model names: a folder with a
    /// compiled dictionary in UTF-8, or a file that [`pack_dictionary`](crate::pack_dictionary)
    /// made.
    pub mecab_dicdir: Option<PathBuf>,
}

/// The ids of a text.
///
/// ```
/// use splade_text::{Tokenizer, TokenizerOptions};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
/// let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default())?;
/// let encoding = tokenizer.encode("The night train", Some(4))?;
/// assert!(encoding.truncated);
/// assert_eq!(tokenizer.decode(&encoding.ids, false), "[CLS] the night [SEP]");
/// # Ok::<(), splade_text::TextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// The ids, including those of special tokens.
    pub ids: Vec<u32>,
    /// Whether tokens were cut off.
    pub truncated: bool,
}

/// A token and its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedToken {
    /// The id of the token.
    pub id: u32,
    /// The bytes of the text that read as the token does, in whole characters. It is `None` for an
    /// unknown token and for one that is only a blank.
    pub range: Option<Range<usize>>,
}

/// Converts text to the token ids that transformers 4.56 gives for the same folder.
///
/// A tokenizer can be shared by any number of threads.
///
/// ```
/// use splade_text::{Tokenizer, TokenizerOptions};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
/// let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default())?;
/// let ids = tokenizer.encode("The night trains", None)?.ids;
/// assert_eq!(tokenizer.token(ids[1]), Some("the"));
/// assert_eq!(tokenizer.decode(&ids, true), "the night trains");
/// # Ok::<(), splade_text::TextError>(())
/// ```
pub struct Tokenizer {
    inner: Inner,
    /// The special ids before and after every text.
    around: (Vec<u32>, Vec<u32>),
    pair: PairTemplate,
    /// The token strings by id; empty for ids without a token.
    tokens: Vec<String>,
    ids: FxHashMap<String, u32>,
    special_ids: Vec<u32>,
    model_max_length: Option<usize>,
    /// Whether texts that are too long are cut at their start instead of their end.
    truncates_left: bool,
    kind: String,
}

/// The keys of `tokenizer_config.json` that this crate follows, for the classes that read them in
/// transformers. A key that ends in `_token` is a special token.
#[rustfmt::skip]
const FOLLOWED: &[&str] = &[
    "tokenizer_class", "auto_map", "model_max_length", "max_len", "truncation_side",
    "split_special_tokens", "model_input_names", "added_tokens_decoder",
    "additional_special_tokens", "extra_special_tokens", "*_token",
    // BERT's classes and byte-level models.
    "do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space",
    // BertJapaneseTokenizer.
    "do_word_tokenize", "word_tokenizer_type", "mecab_kwargs", "do_subword_tokenize",
    "subword_tokenizer_type", "never_split",
];

/// The keys of `tokenizer_config.json` on which no token depends, in transformers 4.57 and 5.24:
/// settings of padding, of decoding and of single calls, names of files, and notes.
#[rustfmt::skip]
const WITHOUT_INFLUENCE: &[&str] = &[
    "_*", "name_or_path", "processor_class", "init_inputs", "verbose", "backend", "use_fast",
    "from_slow", "legacy", "legacy_behaviour", "files_loaded", "is_local", "local_files_only",
    "tokenizer_file", "vocab_file", "merges_file", "full_tokenizer_file", "special_tokens_map_file",
    "spm_file", "gguf_file", "tokenizer_type", "model_type", "vocab_size", "language",
    // Padding, and arguments that are given again with every call.
    "padding", "padding_side", "pad_to_multiple_of", "pad_token_type_id", "pad_token_id",
    "truncation", "truncation_strategy", "max_length", "stride", "return_*",
    // Decoding and chats.
    "clean_up_tokenization_spaces*", "spaces_between_special_tokens", "errors", "trim_offsets",
    "chat_template", "chat_control_tokens", "response_*",
    // Settings that only build a tokenizer.json, or that only other word tokenizers read.
    "do_basic_tokenize", "wordpieces_prefix", "clean_text", "keep_accents", "remove_space",
    "split_by_punct", "vocab_type", "unk_id", "sp_model_kwargs", "sudachi_kwargs", "jumanpp_kwargs",
    "add_bos_token", "add_eos_token", "fix_mistral_regex",
    // Settings of a download or of a model that old versions wrote into the file.
    "cache_dir", "subfolder", "revision", "token", "use_auth_token", "trust_remote_code", "proxies",
    "force_download", "resume_download", "device_map", "torch_dtype", "dtype", "transformers_version",
];

enum Inner {
    HuggingFace(Box<HuggingFace>),
    Japanese(Box<BertJapanese>),
}

/// Returns the `tokenizer.json` that is equivalent to a folder's BERT `vocab.txt`, for programs
/// that read no other format. It is `None` if the folder has a `tokenizer.json` or if its tokenizer
/// has no such format (Japanese).
///
/// ```
/// use splade_text::{ModelFiles, Tokenizer, TokenizerOptions, tokenizer_json_of_vocab};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
/// let json = tokenizer_json_of_vocab(&folder)?.expect("the folder has a vocab.txt");
/// let options = TokenizerOptions::default();
/// let same = ModelFiles::memory("same", [("tokenizer.json", json.into_bytes())]);
/// let ids = |tokenizer: Tokenizer| Ok::<_, splade_text::TextError>(tokenizer.encode("Night trains", None)?.ids);
/// assert_eq!(ids(Tokenizer::from_files(&same, &options)?)?, ids(Tokenizer::from_dir(&folder, &options)?)?);
/// # Ok::<(), splade_text::TextError>(())
/// ```
///
/// # Errors
///
/// Returns an error if a file is damaged.
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
    /// Loads the tokenizer of a model folder: `BertJapaneseTokenizer` if the config names it, else
    /// `tokenizer.json`, else a BERT `vocab.txt`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file is missing or damaged, or if the kind of tokenizer is not
    /// implemented.
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
        config.refuse_unknown(&[FOLLOWED, WITHOUT_INFLUENCE])?;
        let (json, vocab) = (dir.join("tokenizer.json"), dir.join("vocab.txt"));
        let (inner, tokens) = if class == "BertJapaneseTokenizer" {
            let dictionary = options.mecab_dicdir.as_deref();
            let (inner, tokens) = BertJapanese::load(&config, dictionary)?;
            (Inner::Japanese(Box::new(inner)), tokens)
        } else if files.is_file(&json) {
            let (inner, tokens) = HuggingFace::read(&json, &config, &class)?;
            (Inner::HuggingFace(Box::new(inner)), tokens)
        } else if files.is_file(&vocab) && (is_bert(&class) || class.is_empty()) {
            config.only("do_basic_tokenize", &[true.into()])?;
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
        // The special ids around texts come from a file too and may be out of range.
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
        let model_max_length = config.max_length()?;
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

    /// Returns the ids of a text with special tokens, at most `max_tokens` in total. A text that is
    /// too long is cut at its end, or at its start if the config's `truncation_side` says so.
    ///
    /// # Errors
    ///
    /// Returns an error if `max_tokens` is less than the number of special tokens, or if the text
    /// has more than 4 GB.
    pub fn encode(&self, text: &str, max_tokens: Option<usize>) -> Result<Encoding, TextError> {
        let (before, after) = &self.around;
        let special = before.len() + after.len();
        let room = match max_tokens {
            None => usize::MAX,
            Some(max) => max.checked_sub(special).ok_or_else(|| {
                TextError::Encode(format!(
                    "a maximum of {max} tokens has no room for {special} special tokens"
                ))
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

    /// Returns the ids and the token types of two texts joined into one, at most `max_tokens` in
    /// total. Texts are truncated by transformers' strategy `longest_first`: the longer text is
    /// shortened until both are equally long, then both are.
    ///
    /// # Errors
    ///
    /// Returns an error if `max_tokens` is less than the number of special tokens, or if a text has
    /// more than 4 GB.
    pub fn encode_pair(
        &self,
        texts: (&str, &str),
        max_tokens: Option<usize>,
    ) -> Result<PairEncoding, TextError> {
        let special = self.pair.special();
        let room = match max_tokens {
            None => usize::MAX,
            Some(max) => max.checked_sub(special).ok_or_else(|| {
                TextError::Encode(format!(
                    "a maximum of {max} tokens has no room for {special} special tokens"
                ))
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

    /// Returns the largest token type that [`encode_pair`](Self::encode_pair) gives.
    pub fn max_token_type(&self) -> u8 {
        self.pair.max_type()
    }

    /// Returns the ids of a text without special tokens around it, for queries whose terms are
    /// looked up.
    ///
    /// # Errors
    ///
    /// Returns an error if the text has more than 4 GB.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, TextError> {
        // Positions in a text are stored in 32 bits.
        if u32::try_from(text.len()).is_err() {
            return Err(TextError::Encode(format!(
                "it has {} bytes, but the limit is 4 GB; split it",
                text.len()
            )));
        }
        match &self.inner {
            Inner::HuggingFace(inner) => inner.encode(text),
            Inner::Japanese(inner) => Ok(inner.encode(text)),
        }
    }

    /// Returns the tokens of a text without special tokens around it, each with its place in the text.
    ///
    /// A place is found by comparing the string of the token with the text, not by the tokenizer's
    /// own steps, so in texts with many unknown words a token may be placed a little too far to the
    /// right. The text always reads there as the token does, but for case, accents and width.
    ///
    /// ```
    /// use splade_text::{Tokenizer, TokenizerOptions};
    ///
    /// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
    /// let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default())?;
    /// let tokens = tokenizer.encode_places("The Night Train")?;
    /// assert_eq!(tokenizer.token(tokens[1].id), Some("night"));
    /// assert_eq!(tokens[1].range, Some(4..9));
    /// # Ok::<(), splade_text::TextError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the text has more than 4 GB.
    pub fn encode_places(&self, text: &str) -> Result<Vec<PlacedToken>, TextError> {
        let ids = self.encode_plain(text)?;
        let pieces = match &self.inner {
            Inner::HuggingFace(inner) => &inner.pieces,
            Inner::Japanese(inner) => &inner.pieces(),
        };
        let places = pieces.places(text, ids.iter().map(|id| self.token(*id).unwrap_or_default()));
        Ok(ids.iter().zip(places).map(|(id, range)| PlacedToken { id: *id, range }).collect())
    }

    /// Returns the text of token ids, as transformers' `decode` without cleaning up spaces. Ids that
    /// the vocabulary does not have are left out.
    ///
    /// ```
    /// use splade_text::{Tokenizer, TokenizerOptions};
    ///
    /// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
    /// let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default())?;
    /// let ids = tokenizer.encode("The night train", None)?.ids;
    /// assert_eq!(tokenizer.decode(&ids, true), "the night train");
    /// assert_eq!(tokenizer.decode(&ids, false), "[CLS] the night train [SEP]");
    /// # Ok::<(), splade_text::TextError>(())
    /// ```
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> String {
        let is_kept = |id: &&u32| {
            self.token(**id).is_some() && !(skip_special_tokens && self.special_ids.contains(id))
        };
        let kept: Vec<u32> = ids.iter().filter(is_kept).copied().collect();
        match &self.inner {
            Inner::HuggingFace(inner) => inner.decode(&kept),
            Inner::Japanese(_) => {
                let tokens: Vec<&str> = kept.iter().filter_map(|id| self.token(*id)).collect();
                tokens.join(" ").replace(" ##", "").trim().to_owned()
            }
        }
    }

    /// Returns the words of a text, of which a WordPiece vocabulary has the pieces, as the tokenizer normalizes them.
    ///
    /// ```
    /// use splade_text::{Tokenizer, TokenizerOptions};
    ///
    /// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
    /// let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default())?;
    /// assert_eq!(tokenizer.words("The Night-Train")?, ["the", "night", "-", "train"]);
    /// # Ok::<(), splade_text::TextError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the tokenizer is not of WordPiece, or if the text cannot be normalized.
    pub fn words(&self, text: &str) -> Result<Vec<String>, TextError> {
        let words = match &self.inner {
            Inner::Japanese(inner) => inner.words(text),
            Inner::HuggingFace(inner) => match &inner.words {
                None => None,
                Some(normalizer) => {
                    let mut words = Vec::new();
                    bert_words(normalizer, text, &mut |word| words.push(word.to_owned()))?;
                    Some(words)
                }
            },
        };
        words.ok_or_else(|| TextError::NoWords { kind: self.kind.clone() })
    }

    /// Returns the ids of the pieces of one word, which [`words`](Self::words) returned.
    ///
    /// # Errors
    ///
    /// Returns an error if the word has more than 4 GB.
    pub fn pieces_of(&self, word: &str) -> Result<Vec<u32>, TextError> {
        match &self.inner {
            Inner::HuggingFace(_) => self.encode_plain(word),
            Inner::Japanese(inner) => {
                let mut ids = Vec::new();
                inner.encode_word(word, &mut ids);
                Ok(ids)
            }
        }
    }

    /// Returns the token string of an id, or `None` if the vocabulary has no such id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str).filter(|token| !token.is_empty())
    }

    /// Returns the id of a token string.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// Returns the size of the vocabulary: one more than the largest id.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Returns whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Returns the special ids before and after every text.
    pub fn around(&self) -> (&[u32], &[u32]) {
        (&self.around.0, &self.around.1)
    }

    /// Returns the ids of all special tokens.
    pub fn special_ids(&self) -> &[u32] {
        &self.special_ids
    }

    /// Returns whether a text that is too long loses its start instead of its end.
    pub fn truncates_left(&self) -> bool {
        self.truncates_left
    }

    /// Returns `model_max_length` of the config, or `None` if it is absent or not a real limit.
    pub fn model_max_length(&self) -> Option<usize> {
        self.model_max_length
    }

    /// Returns a description of the tokenizer for users.
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({}, {} tokens)", self.kind(), self.len())
    }
}

/// Returns the transformers class that the folder asks for, without the suffix `Fast`. It is named
/// in `tokenizer_config.json` or `config.json`, or else follows from the model's type; it is empty
/// if neither is given.
fn class(config: &Config) -> Result<String, TextError> {
    let model = config.beside("config.json")?;
    let named = config.text("tokenizer_class", "")?;
    let (named, file) = match named.is_empty() {
        true => (model.text("tokenizer_class", "")?, &model),
        false => (named, config),
    };
    // The entry of custom code is `[slow, fast]`. A folder with a fast class also has a
    // tokenizer.json.
    let own = file.value("auto_map").map(|map| map.get("AutoTokenizer").unwrap_or(map));
    if own.and_then(serde_json::Value::as_array).is_some_and(|own| {
        own.first().is_some_and(serde_json::Value::is_string)
            && !own.get(1).is_some_and(serde_json::Value::is_string)
    }) {
        let known = "tokenizers without custom code; save the model with a tokenizer.json";
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

/// Returns whether the transformers tokenizer of a class gives token types to models.
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
            "the folder has {name} of {class} but no tokenizer.json; make one with \
             python -c \"from transformers import AutoTokenizer as T; \
             T.from_pretrained('{0}').save_pretrained('{0}')\"",
            dir.display(),
            class = if class.is_empty() { "an unnamed class" } else { class },
        ),
        None => "the folder has no tokenizer (expected tokenizer.json or vocab.txt)".to_owned(),
    };
    TextError::NoTokenizer { path: dir.to_path_buf(), message }
}
