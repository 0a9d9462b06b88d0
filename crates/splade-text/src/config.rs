//! A JSON file beside a tokenizer, such as `tokenizer_config.json`: typed access to its keys.
//!
//! A value of another type, or one that is not implemented, is an error that names the file, the
//! key and the value: nothing is skipped.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::TextError;
use crate::files::ModelFiles;

/// One JSON object.
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
                    let message = "a JSON object is expected".to_owned();
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

    /// The files of the model that this one belongs to.
    pub(crate) fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// The file of that name in the same folder.
    pub(crate) fn beside(&self, name: &str) -> Result<Self, TextError> {
        Self::read(&self.files, &self.path.with_file_name(name))
    }

    /// The value of a key; `null` counts as absent.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key stands there with `null`.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.value.get(key).is_some_and(Value::is_null)
    }

    /// Keys and values, in the file's order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.value.as_object().into_iter().flatten()
    }

    /// The object under a key, or an empty one.
    pub(crate) fn object(&self, key: &str) -> Result<Self, TextError> {
        match self.value(key) {
            None => Ok(Self::of(&self.files, &self.path, Value::Null)),
            Some(value) if value.is_object() => {
                Ok(Self::of(&self.files, &self.path, value.clone()))
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

    /// A list of texts, or an empty one.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, TextError> {
        let wrong = || self.unsupported(key, "a list of texts");
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let texts = value.as_array().ok_or_else(wrong)?.iter();
        texts.map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
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

    /// The error for a value that is not implemented.
    pub(crate) fn unsupported(&self, key: &str, known: &str) -> TextError {
        let value = self.value.get(key).map_or_else(|| "absent".to_owned(), Value::to_string);
        let (path, key, known) = (self.path.clone(), key.to_owned(), known.to_owned());
        TextError::Unsupported { path, key, value, known }
    }

    /// `model_max_length`, where it is a length and not transformers' "very large" (1e30).
    pub(crate) fn max_length(&self) -> Option<usize> {
        let length = self.value("model_max_length")?.as_f64()?;
        (1.0..1e9).contains(&length).then_some(length as usize)
    }
}
