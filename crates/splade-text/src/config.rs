//! `tokenizer_config.json`: typed access to what tokenizers read of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::TextError;

/// One object of a JSON file; `null` counts as absent.
#[derive(Debug, Clone)]
pub(crate) struct TokenizerConfig {
    path: PathBuf,
    value: Value,
}

/// An entry of `added_tokens_decoder`.
#[derive(Debug, Clone)]
pub(crate) struct AddedToken {
    pub(crate) id: u32,
    pub(crate) content: String,
    pub(crate) single_word: bool,
    pub(crate) lstrip: bool,
    pub(crate) rstrip: bool,
    pub(crate) normalized: bool,
    pub(crate) special: bool,
}

impl TokenizerConfig {
    /// Reads a file; an absent one is an empty object.
    pub(crate) fn read(path: &Path) -> Result<Self, TextError> {
        let path = path.to_path_buf();
        let value = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Value::Null,
            Err(source) => return Err(TextError::Io { path, source }),
            Ok(text) => match serde_json::from_str(&text) {
                Ok(value) => value,
                Err(source) => return Err(TextError::Json { path, source }),
            },
        };
        Ok(Self { path, value })
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// The object under a key, or an empty one.
    pub(crate) fn object(&self, key: &str) -> Result<Self, TextError> {
        match self.value(key) {
            None => Ok(Self { path: self.path.clone(), value: Value::Null }),
            Some(value) if value.is_object() => {
                Ok(Self { path: self.path.clone(), value: value.clone() })
            }
            Some(_) => Err(self.unsupported(key, "an object")),
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, TextError> {
        match self.value(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.unsupported(key, "true and false")),
        }
    }

    pub(crate) fn text(&self, key: &str, default: &str) -> Result<String, TextError> {
        match self.value(key) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.unsupported(key, "a text")),
        }
    }

    /// The token of a role such as `cls_token`: a text, or an object with `content`.
    pub(crate) fn token(&self, role: &str) -> Option<String> {
        let value = self.value(role)?;
        value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
    }

    /// Fails if the key is there with any other value.
    pub(crate) fn only(&self, key: &str, implemented: &[Value]) -> Result<(), TextError> {
        match self.value(key) {
            Some(value) if !implemented.contains(value) => {
                let known: Vec<String> = implemented.iter().map(Value::to_string).collect();
                Err(self.unsupported(key, &known.join(" and ")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn unsupported(&self, key: &str, known: &str) -> TextError {
        let value = self.value.get(key).map_or_else(|| "absent".to_owned(), Value::to_string);
        let (path, key, known) = (self.path.clone(), key.to_owned(), known.to_owned());
        TextError::Unsupported { path, key, value, known }
    }

    /// The tokens of `added_tokens_decoder`, by id.
    pub(crate) fn added(&self) -> Vec<AddedToken> {
        let Some(Value::Object(added)) = self.value("added_tokens_decoder") else {
            return Vec::new();
        };
        let mut tokens: Vec<AddedToken> = added
            .iter()
            .filter_map(|(id, token)| {
                let flag = |key: &str| token.get(key).and_then(Value::as_bool);
                Some(AddedToken {
                    id: id.parse().ok()?,
                    content: token.get("content")?.as_str()?.to_owned(),
                    single_word: flag("single_word").unwrap_or(false),
                    lstrip: flag("lstrip").unwrap_or(false),
                    rstrip: flag("rstrip").unwrap_or(false),
                    normalized: flag("normalized").unwrap_or(true),
                    special: flag("special").unwrap_or(false),
                })
            })
            .collect();
        tokens.sort_by_key(|token| token.id);
        tokens
    }

    pub(crate) fn added_id(&self, content: &str) -> Option<u32> {
        self.added().into_iter().find(|token| token.content == content).map(|token| token.id)
    }

    /// `model_max_length`, where it is a length and not transformers' "very large".
    pub(crate) fn max_length(&self) -> Option<usize> {
        let length = self.value("model_max_length")?.as_f64()?;
        (1.0..1e9).contains(&length).then_some(length as usize)
    }
}
