//! `tokenizer.json` by the `tokenizers` crate, and the same made of a BERT `vocab.txt`.
//!
//! Padding and truncation stored in the file are training settings and are dropped. As in
//! transformers, `tokenizer_config.json` has the last word on lower-casing, accents and Chinese
//! characters (BERT's classes) and on the leading blank (RoBERTa's).

use std::path::Path;

use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use tokenizers::pipeline::{EncodeOptions, PipelineTokenizer};

use crate::config::TokenizerConfig;
use crate::error::TextError;
use crate::vocab::Vocab;

/// A tokenizer of the `tokenizers` crate.
pub(crate) struct HuggingFace {
    tokenizer: PipelineTokenizer,
    plain: EncodeOptions,
    /// Ids before and after every text.
    around: (Vec<u32>, Vec<u32>),
    tokens: FxHashMap<u32, String>,
    special_ids: Vec<u32>,
    kind: String,
}

impl HuggingFace {
    /// Reads a `tokenizer.json`.
    pub(crate) fn read(
        path: &Path,
        config: &TokenizerConfig,
        class: &str,
    ) -> Result<Self, TextError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TextError::Io { path: path.to_path_buf(), source })?;
        let mut value: Value = serde_json::from_str(&text)
            .map_err(|source| TextError::Json { path: path.to_path_buf(), source })?;
        apply_config(&mut value, config, class)?;
        let model = value["model"]["type"].as_str().unwrap_or("unnamed").to_owned();
        Self::build(path, value, format!("tokenizer.json ({model})"))
    }

    /// Makes a BERT tokenizer of its vocabulary.
    pub(crate) fn from_vocab(path: &Path, config: &TokenizerConfig) -> Result<Self, TextError> {
        let vocab = Vocab::read(path)?;
        let roles = [
            ("unk_token", "[UNK]"),
            ("sep_token", "[SEP]"),
            ("pad_token", "[PAD]"),
            ("cls_token", "[CLS]"),
            ("mask_token", "[MASK]"),
        ];
        let mut specials = Vec::new();
        for (role, default) in roles {
            let token = config.token(role).unwrap_or_else(|| default.to_owned());
            let id = vocab.id(&token).ok_or_else(|| TextError::Invalid {
                path: path.to_path_buf(),
                message: format!("the {role} {token} is not in the vocabulary"),
            })?;
            specials.push((token, id));
        }
        let (unk, sep, cls) = (&specials[0], &specials[1], &specials[3]);
        let mut added: Vec<Value> = specials
            .iter()
            .map(|(token, id)| {
                json!({"id": id, "content": token, "single_word": false, "lstrip": false,
                       "rstrip": false, "normalized": false, "special": true})
            })
            .collect();
        added.sort_by_key(|token| token["id"].as_u64());
        let words: serde_json::Map<String, Value> =
            vocab.iter().map(|(token, id)| (token.to_owned(), id.into())).collect();
        let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
        let single = [special(&cls.0), text("A"), special(&sep.0)];
        let pair = [&single[..], &[text("B"), special(&sep.0)]].concat();
        let mut names = serde_json::Map::new();
        for (token, id) in [cls, sep] {
            names.insert(token.clone(), json!({"id": token, "ids": [id], "tokens": [token]}));
        }
        let mut value = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": {"type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing", "single": single,
                "pair": pair, "special_tokens": names},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": unk.0, "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": words},
        });
        apply_config(&mut value, config, "BertTokenizer")?;
        Self::build(path, value, "BERT vocab.txt".to_owned())
    }

    fn build(path: &Path, mut value: Value, kind: String) -> Result<Self, TextError> {
        let invalid = |message: String| TextError::Invalid { path: path.to_path_buf(), message };
        // A sequence of one is that one; the reader knows some components only on their own.
        if let Some([only]) = value["pre_tokenizer"]["pretokenizers"].as_array().map(Vec::as_slice)
        {
            value["pre_tokenizer"] = only.clone();
        }
        // The reader makes Metaspace a part of the normalizer, so that a special token looked for
        // in normalized text would get a blank of its own: it is cut out of the raw text instead.
        if value["pre_tokenizer"]["type"] == "Metaspace" {
            for token in value["added_tokens"].as_array_mut().into_iter().flatten() {
                if token["special"] == true {
                    token["normalized"] = false.into();
                }
            }
        }
        value["padding"] = Value::Null;
        value["truncation"] = Value::Null;
        let (tokens, special_ids) = read_tokens(&value);
        let text = tokenizers::canonicalize_str(&value.to_string())
            .map_err(|error| invalid(error.to_string()))?;
        let tokenizer = tokenizers::from_json(&text).map_err(|error| invalid(error.to_string()))?;
        let plain = EncodeOptions::no_specials();
        let mut this =
            Self { tokenizer, plain, around: Default::default(), tokens, special_ids, kind };
        this.around = this.find_around().map_err(|error| invalid(error.to_string()))?;
        Ok(this)
    }

    /// What the post-processor puts around a text, seen on one.
    fn find_around(&self) -> Result<(Vec<u32>, Vec<u32>), TextError> {
        for probe in ["a", "0", "あ", "."] {
            let content = self.encode(probe)?;
            let all = self.run(probe, &EncodeOptions::default())?;
            let at = all.windows(content.len().max(1)).position(|window| window == content);
            if let Some(at) = at.filter(|_| !content.is_empty()) {
                return Ok((all[..at].to_vec(), all[at + content.len()..].to_vec()));
            }
        }
        Err(TextError::Encode("no text gives any token".to_owned()))
    }

    /// Ids of a text without special tokens around it.
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

    pub(crate) fn around(&self) -> (Vec<u32>, Vec<u32>) {
        self.around.clone()
    }

    pub(crate) fn tokens(&self) -> FxHashMap<u32, String> {
        self.tokens.clone()
    }

    pub(crate) fn special_ids(&self) -> Vec<u32> {
        self.special_ids.clone()
    }

    pub(crate) fn kind(&self) -> String {
        self.kind.clone()
    }
}

/// Overrides what transformers' tokenizer classes override on loading.
fn apply_config(value: &mut Value, config: &TokenizerConfig, class: &str) -> Result<(), TextError> {
    let class = class.trim_end_matches("Fast");
    if ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"].contains(&class)
        && value["normalizer"]["type"] == "BertNormalizer"
    {
        let normalizer = &mut value["normalizer"];
        normalizer["lowercase"] = config.flag("do_lower_case", true)?.into();
        normalizer["strip_accents"] = config.value("strip_accents").cloned().unwrap_or_default();
        normalizer["handle_chinese_chars"] = config.flag("tokenize_chinese_chars", true)?.into();
    }
    if class == "RobertaTokenizer" && value["pre_tokenizer"]["type"] == "ByteLevel" {
        value["pre_tokenizer"]["add_prefix_space"] = config.flag("add_prefix_space", false)?.into();
    }
    let Some(added) = value["added_tokens"].as_array_mut() else { return Ok(()) };
    for token in config.added() {
        if !added.iter().any(|known| known["content"] == token.content.as_str()) {
            added.push(json!({"id": token.id, "content": token.content,
                "single_word": token.single_word, "lstrip": token.lstrip, "rstrip": token.rstrip,
                "normalized": token.normalized, "special": token.special}));
        }
    }
    Ok(())
}

/// Token strings by id, and the ids of special tokens.
fn read_tokens(value: &Value) -> (FxHashMap<u32, String>, Vec<u32>) {
    let mut tokens = FxHashMap::default();
    match &value["model"]["vocab"] {
        Value::Object(vocab) => {
            for (token, id) in vocab {
                if let Some(id) = id.as_u64() {
                    tokens.insert(id as u32, token.clone());
                }
            }
        }
        Value::Array(vocab) => {
            for (id, entry) in vocab.iter().enumerate() {
                if let Some(token) = entry[0].as_str() {
                    tokens.insert(id as u32, token.to_owned());
                }
            }
        }
        _ => {}
    }
    let mut special_ids = Vec::new();
    for token in value["added_tokens"].as_array().into_iter().flatten() {
        if let (Some(id), Some(content)) = (token["id"].as_u64(), token["content"].as_str()) {
            tokens.insert(id as u32, content.to_owned());
            if token["special"] == true {
                special_ids.push(id as u32);
            }
        }
    }
    (tokens, special_ids)
}
