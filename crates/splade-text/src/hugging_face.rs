//! Tokenizers of the `tokenizers` crate: from a `tokenizer.json`, or from one that is built from
//! BERT's `vocab.txt`.
//!
//! Padding and truncation stored in the file are training settings and are dropped. As in
//! transformers, `tokenizer_config.json` overrides the file's lower-casing, accent and Chinese
//! character settings (BERT's classes), its leading blank (byte-level models) and its added tokens.

use std::path::Path;

use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pipeline::{EncodeOptions, PipelineToken, PipelineTokenizer};

use crate::added::{self, AddedToken, Base};
use crate::config::Config;
use crate::error::TextError;
use crate::pair::PairTemplate;
use crate::places::Pieces;
use crate::vocab::{Vocab, ids_end};

/// The classes that transformers' BERT tokenizer serves.
const BERT_CLASSES: [&str; 3] = ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"];
/// The tokens of BERT's roles, which apply if the config names no others.
pub(crate) const BERT_ROLES: [(&str, &str); 5] = [
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

/// The parts of a `tokenizer.json`.
const PARTS: [&str; 9] = [
    "version",
    "truncation",
    "padding",
    "added_tokens",
    "normalizer",
    "pre_tokenizer",
    "post_processor",
    "decoder",
    "model",
];

/// Returns whether a class is BERT's, so that a `vocab.txt` is enough for it.
pub(crate) fn is_bert(class: &str) -> bool {
    BERT_CLASSES.contains(&class)
}

/// A tokenizer of the `tokenizers` crate.
pub(crate) struct HuggingFace {
    tokenizer: PipelineTokenizer,
    /// The options to encode without special tokens.
    plain: EncodeOptions,
    /// The special ids before and after every text.
    pub(crate) around: (Vec<u32>, Vec<u32>),
    pub(crate) special_ids: Vec<u32>,
    /// Whether the file truncates texts at their start, which the config may override.
    pub(crate) truncates_left: bool,
    /// The description of the tokenizer for users.
    pub(crate) kind: String,
    /// What the strings of tokens consist of.
    pub(crate) pieces: Pieces,
    /// The normalizer, if the tokens are pieces of words as BERT splits a text into them.
    pub(crate) words: Option<BertNormalizer>,
}

/// A tokenizer with its token strings by id.
type Loaded = (HuggingFace, FxHashMap<u32, String>);

impl HuggingFace {
    /// Reads a `tokenizer.json` in the way of the transformers class that would load it.
    pub(crate) fn read(path: &Path, config: &Config, class: &str) -> Result<Loaded, TextError> {
        let text = config
            .files()
            .read_to_string(path)
            .map_err(|source| TextError::Io { path: path.to_path_buf(), source })?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|source| TextError::Json { path: path.to_path_buf(), source })?;
        let file = Config::of(config.files(), path, value);
        file.refuse_unknown(&[&PARTS])?;
        let value = file.into_value();
        if value["model"]["dropout"].as_f64().is_some_and(|rate| rate > 0.0) {
            let model = Config::of(config.files(), path, value["model"].clone());
            return Err(
                model.unsupported("dropout", "null, as a text must always give the same tokens")
            );
        }
        let model = value["model"]["type"].as_str().unwrap_or("unnamed model");
        let kind = format!("tokenizer.json ({model})");
        Self::build(path, value, config, class, kind)
    }

    /// Builds a BERT tokenizer from its vocabulary.
    pub(crate) fn from_vocab(path: &Path, config: &Config) -> Result<Loaded, TextError> {
        let value = Self::of_vocab(path, config)?;
        Self::build(path, value, config, BERT_CLASSES[0], "BERT vocab.txt".to_owned())
    }

    /// Returns the `tokenizer.json` that BERT's vocabulary and its config represent.
    pub(crate) fn vocab_json(path: &Path, config: &Config) -> Result<Value, TextError> {
        let mut value = Self::of_vocab(path, config)?;
        override_components(&mut value, config, BERT_CLASSES[0])?;
        let tokens = model_tokens(&value);
        let added = added_tokens(path, &mut value, config, BERT_CLASSES[0], &tokens)?;
        value["added_tokens"] = added.iter().map(AddedToken::to_json).collect();
        Ok(value)
    }

    /// Returns the `tokenizer.json` of a vocabulary before the config overrides anything.
    fn of_vocab(path: &Path, config: &Config) -> Result<Value, TextError> {
        let vocab = Vocab::read(config.files(), path)?;
        let role = |role: &str, default: &str| -> Result<(String, u32), TextError> {
            let token = config.value(role).map(|token| token.get("content").unwrap_or(token));
            let token = match token {
                None => default,
                Some(token) => token.as_str().ok_or_else(|| config.unsupported(role, "a token"))?,
            };
            let id = vocab.id(token).ok_or_else(|| vocab.missing(role, token))?;
            Ok((token.to_owned(), id))
        };
        let (unk, _) = role("unk_token", "[UNK]")?;
        let (cls, sep) = (role("cls_token", "[CLS]")?, role("sep_token", "[SEP]")?);
        let words: serde_json::Map<String, Value> =
            vocab.iter().map(|(token, id)| (token.to_owned(), id.into())).collect();
        let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
        let single = [special(&cls.0), text("A"), special(&sep.0)];
        let second = |kind: &str, id: &str| json!({kind: {"id": id, "type_id": 1}});
        let pair = [second("Sequence", "B"), second("SpecialToken", &sep.0)];
        let pair = [&single[..], &pair].concat();
        let mut names = serde_json::Map::new();
        for (token, id) in [&cls, &sep] {
            names.insert(token.clone(), json!({"id": token, "ids": [id], "tokens": [token]}));
        }
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": {"type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing", "single": single,
                "pair": pair, "special_tokens": names},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": words},
        }))
    }

    /// Builds the tokenizer from a `tokenizer.json`, applying the overrides of the config.
    fn build(
        path: &Path,
        mut value: Value,
        config: &Config,
        class: &str,
        kind: String,
    ) -> Result<Loaded, TextError> {
        let invalid = |message: String| TextError::Invalid { path: path.to_path_buf(), message };
        if !value.is_object() {
            return Err(invalid("expected a JSON object".to_owned()));
        }
        let truncates_left = value["truncation"]["direction"] == "Left";
        value["padding"] = Value::Null;
        value["truncation"] = Value::Null;
        override_components(&mut value, config, class)?;
        let (pieces, words) = (pieces(&value), word_normalizer(&value));
        let mut tokens = model_tokens(&value);
        let mut added = added_tokens(path, &mut value, config, class, &tokens)?;
        let special_ids = added.iter().filter(|token| token.special).map(|token| token.id);
        let special_ids = special_ids.collect();
        // A sequence of one pre-tokenizer is replaced by that pre-tokenizer, since the `tokenizers`
        // crate knows some of them only on their own.
        if let Some([only]) = value["pre_tokenizer"]["pretokenizers"].as_array().map(Vec::as_slice)
        {
            value["pre_tokenizer"] = only.clone();
        }
        // The `tokenizers` crate does not support a leading blank as a part of ByteLevel, so a
        // normalizer adds it.
        if value["pre_tokenizer"]["type"] == "ByteLevel"
            && value["pre_tokenizer"]["add_prefix_space"] == true
        {
            value["pre_tokenizer"]["add_prefix_space"] = false.into();
            let prefix = json!({"type": "Replace", "pattern": {"Regex": r"\A(?=[^ ])"},
                                "content": " "});
            value["normalizer"] = match value["normalizer"].take() {
                Value::Null => prefix,
                first => json!({"type": "Sequence", "normalizers": [first, prefix]}),
            };
        }
        // The `tokenizers` crate turns Metaspace into a part of the normalizer, which would give a
        // special token that is matched in normalized text a blank of its own. Such tokens are
        // therefore matched in the raw text.
        if value["pre_tokenizer"]["type"] == "Metaspace" {
            for token in added.iter_mut().filter(|token| token.special) {
                token.normalized = false;
            }
        }
        value["added_tokens"] = added.iter().map(AddedToken::to_json).collect();
        tokens.extend(added.into_iter().map(|token| (token.id, token.content)));
        // The `tokenizers` crate panics or exhausts the memory if ids are out of range.
        ids_end(&tokens, path)?;
        let text = tokenizers::canonicalize_str(&value.to_string())
            .map_err(|error| invalid(error.to_string()))?;
        let tokenizer = tokenizers::from_json(&text).map_err(|error| invalid(error.to_string()))?;
        let (plain, around) = (EncodeOptions::no_specials(), Default::default());
        let mut this =
            Self { tokenizer, plain, around, special_ids, truncates_left, kind, pieces, words };
        this.around = this.find_around().map_err(|error| invalid(error.to_string()))?;
        Ok((this, tokens))
    }

    /// Returns the ids that the post-processor puts around a text, found by encoding sample texts.
    fn find_around(&self) -> Result<(Vec<u32>, Vec<u32>), TextError> {
        for probe in ["a", "0", "あ", "."] {
            let content = self.encode(probe)?;
            let all = self.run(probe, &EncodeOptions::default())?;
            let at = all.windows(content.len().max(1)).position(|window| window == content);
            if let Some(at) = at.filter(|_| !content.is_empty()) {
                return Ok((all[..at].to_vec(), all[at + content.len()..].to_vec()));
            }
        }
        Err(TextError::Encode("the tokenizer gives no tokens for any sample text".to_owned()))
    }

    /// Returns the template of a pair of texts from the post-processor.
    pub(crate) fn pair(&self) -> PairTemplate {
        let template = &self.tokenizer.get_post_processor().pair;
        let run = |run: &[(PipelineToken, u8)]| -> Vec<(u32, u8)> {
            run.iter().map(|(token, kind)| (token.id(), *kind)).collect()
        };
        PairTemplate {
            prefix: run(&template.prefix),
            infix: run(&template.infix),
            suffix: run(&template.suffix),
            types: (template.a_type_id, template.b_type_id.unwrap_or(0)),
        }
    }

    /// Returns the text of ids, or an empty one if the decoder of the file refuses them.
    pub(crate) fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, false).unwrap_or_default()
    }

    /// Returns the ids of a text without special tokens around it.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        self.run(text, &self.plain)
    }

    fn run(&self, text: &str, options: &EncodeOptions) -> Result<Vec<u32>, TextError> {
        let mut ids = Vec::new();
        self.tokenizer
            .encode_into(text, options, &mut ids)
            .map_err(|error| TextError::Encode(error.to_string()))?;
        Ok(ids.iter().map(|token| token.id()).collect())
    }
}

/// Applies the overrides that transformers' classes apply to a `tokenizer.json` when they load it.
fn override_components(value: &mut Value, config: &Config, class: &str) -> Result<(), TextError> {
    if is_bert(class) && value["normalizer"]["type"] == "BertNormalizer" {
        let strip_accents = match config.value("strip_accents") {
            None => Value::Null,
            Some(_) => config.flag("strip_accents", false)?.into(),
        };
        let normalizer = &mut value["normalizer"];
        normalizer["strip_accents"] = strip_accents;
        normalizer["lowercase"] = config.flag("do_lower_case", true)?.into();
        normalizer["handle_chinese_chars"] = config.flag("tokenize_chinese_chars", true)?.into();
    }
    if value["pre_tokenizer"]["type"] == "ByteLevel" {
        value["pre_tokenizer"]["add_prefix_space"] = config.flag("add_prefix_space", false)?.into();
    }
    Ok(())
}

/// Removes the added tokens from a `tokenizer.json` and returns them together with those of the
/// config.
fn added_tokens(
    path: &Path,
    value: &mut Value,
    config: &Config,
    class: &str,
    tokens: &FxHashMap<u32, String>,
) -> Result<Vec<AddedToken>, TextError> {
    let ids: FxHashMap<&str, u32> = tokens.iter().map(|(id, t)| (t.as_str(), *id)).collect();
    let present = json!({"added_tokens": value["added_tokens"].take()});
    let present = added::of_tokenizer_json(&Config::of(config.files(), path, present))?;
    let defaults: &[_] = if is_bert(class) { &BERT_ROLES } else { &[] };
    let id = |token: &str| ids.get(token).copied();
    let base = Base { id: &id, len: ids.len(), keep_ids: false };
    let mut added = added::resolve(config, present, defaults, &base)?;
    added.sort_by_key(|token| token.id);
    Ok(added)
}

/// Returns what the strings of tokens consist of.
fn pieces(value: &Value) -> Pieces {
    let is_byte_level = |part: &Value| part["type"] == "ByteLevel";
    let parts = value["pre_tokenizer"]["pretokenizers"].as_array();
    let parts = parts.into_iter().flatten().chain([&value["pre_tokenizer"], &value["decoder"]]);
    if parts.into_iter().any(is_byte_level) {
        return Pieces::Bytes;
    }
    let prefix = value["model"]["continuing_subword_prefix"].as_str().unwrap_or_default();
    Pieces::Characters { prefix: prefix.to_owned() }
}

/// Returns the normalizer of BERT's WordPiece, or `None` if the tokenizer is of another kind.
fn word_normalizer(value: &Value) -> Option<BertNormalizer> {
    let is = |part: &str, kind: &str| value[part]["type"] == kind;
    let is_bert = is("model", "WordPiece")
        && value["model"]["continuing_subword_prefix"] == "##"
        && is("normalizer", "BertNormalizer")
        && is("pre_tokenizer", "BertPreTokenizer");
    let flag = |key: &str, default| value["normalizer"][key].as_bool().unwrap_or(default);
    is_bert.then(|| {
        let accents = value["normalizer"]["strip_accents"].as_bool();
        let (clean, chinese) = (flag("clean_text", true), flag("handle_chinese_chars", true));
        BertNormalizer::new(clean, chinese, accents, flag("lowercase", true))
    })
}

/// Returns the token strings of the model by id.
fn model_tokens(value: &Value) -> FxHashMap<u32, String> {
    match &value["model"]["vocab"] {
        Value::Object(vocab) => {
            let id = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
            vocab.iter().filter_map(|(token, value)| Some((id(value)?, token.clone()))).collect()
        }
        Value::Array(vocab) => {
            let token = |entry: &Value| entry.get(0)?.as_str().map(str::to_owned);
            let tokens = vocab.iter().enumerate();
            tokens.filter_map(|(id, entry)| Some((id as u32, token(entry)?))).collect()
        }
        _ => FxHashMap::default(),
    }
}
