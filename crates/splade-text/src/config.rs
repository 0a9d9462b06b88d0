//! Typed access to the keys of a JSON file next to a tokenizer, such as `tokenizer_config.json`.
//!
//! A value of the wrong type, or one that is not implemented, is an error that names the file, the
//! key and the value. Nothing is skipped silently.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::TextError;
use crate::files::ModelFiles;
use crate::keys::{shown_value, unknown_key};

/// A JSON object with the path of its file.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    files: ModelFiles,
    path: PathBuf,
    value: Value,
}

impl Config {
    /// Reads a file; an absent one is an empty object.
    pub(crate) fn read(files: &ModelFiles, path: &Path) -> Result<Self, TextError> {
        let path = path.to_path_buf();
        let value = match files.read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Value::Null,
            Err(source) => return Err(TextError::Io { path, source }),
            Ok(text) => match serde_json::from_str(&text) {
                Ok(value @ Value::Object(_)) => value,
                Ok(_) => {
                    let message = "expected a JSON object".to_owned();
                    return Err(TextError::Invalid { path, message });
                }
                Err(source) => return Err(TextError::Json { path, source }),
            },
        };
        Ok(Self { files: files.clone(), path, value })
    }

    /// An object that stands in the file `path`.
    pub(crate) fn of(files: &ModelFiles, path: &Path, value: Value) -> Self {
        Self { files: files.clone(), path: path.to_path_buf(), value }
    }

    /// Returns the object itself.
    pub(crate) fn into_value(self) -> Value {
        self.value
    }

    /// The files of the model that this one belongs to.
    pub(crate) fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// Reads the file of the given name in the same folder.
    pub(crate) fn beside(&self, name: &str) -> Result<Self, TextError> {
        Self::read(&self.files, &self.path.with_file_name(name))
    }

    /// Returns the value of a key; `null` counts as absent.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// Returns whether the key is present with the value `null`.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.value.get(key).is_some_and(Value::is_null)
    }

    /// Returns the keys and values in the order of the file.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.value.as_object().into_iter().flatten()
    }

    /// Returns the object under a key, or an empty one if the key is absent.
    pub(crate) fn object(&self, key: &str) -> Result<Self, TextError> {
        match self.value(key) {
            None => Ok(Self::of(&self.files, &self.path, Value::Null)),
            Some(value) if value.is_object() => {
                Ok(Self::of(&self.files, &self.path, value.clone()))
            }
            Some(_) => Err(self.unsupported(key, "an object")),
        }
    }

    /// Returns the boolean under a key, or `default` if the key is absent.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, TextError> {
        match self.value(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.unsupported(key, "true and false")),
        }
    }

    /// Returns the string under a key, or `default` if the key is absent.
    pub(crate) fn text(&self, key: &str, default: &str) -> Result<String, TextError> {
        match self.value(key) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.unsupported(key, "a string")),
        }
    }

    /// Returns the list of strings under a key, or an empty one if the key is absent.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, TextError> {
        let wrong = || self.unsupported(key, "a list of strings");
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let texts = value.as_array().ok_or_else(wrong)?.iter();
        texts.map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    /// Returns an error unless the key is absent or has one of the implemented values.
    pub(crate) fn only(&self, key: &str, implemented: &[Value]) -> Result<(), TextError> {
        match self.value(key) {
            Some(value) if !implemented.contains(value) => {
                let known: Vec<String> = implemented.iter().map(Value::to_string).collect();
                Err(self.unsupported(key, &known.join(" and ")))
            }
            _ => Ok(()),
        }
    }

    /// Returns an error if the file has a key that is in none of the lists of known keys.
    pub(crate) fn refuse_unknown(&self, known: &[&[&str]]) -> Result<(), TextError> {
        let Some((key, value)) = unknown_key(&self.value, known) else { return Ok(()) };
        let (path, key, value) = (self.path.clone(), key.to_owned(), shown_value(value));
        Err(TextError::UnknownKey { path, key, value })
    }

    /// Returns the error for a value that is not implemented.
    pub(crate) fn unsupported(&self, key: &str, known: &str) -> TextError {
        let value = self.value.get(key).map_or_else(|| "absent".to_owned(), Value::to_string);
        let (path, key, known) = (self.path.clone(), key.to_owned(), known.to_owned());
        TextError::Unsupported { path, key, value, known }
    }

    /// Returns `model_max_length`, or `None` if it is absent or transformers' "very large" number
    /// (1e30).
    pub(crate) fn max_length(&self) -> Result<Option<usize>, TextError> {
        // `max_len` is the name of before transformers 3.
        let key = ["model_max_length", "max_len"].into_iter().find(|key| self.value(key).is_some());
        let Some((key, value)) = key.and_then(|key| Some((key, self.value(key)?))) else {
            return Ok(None);
        };
        let length = value.as_f64().ok_or_else(|| self.unsupported(key, "a number"))?;
        Ok((1.0..1e9).contains(&length).then_some(length as usize))
    }
}
