//! Reads the JSON files of a model folder and gives typed access to the keys of `config.json`.
//!
//! Every key that changes the numbers is read. A value that is not implemented is an error that
//! names the key and the value. The modules of [`arch`](crate::arch) say what the keys of each
//! architecture mean.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_nn::Activation;
use splade_text::{ModelFiles, shown_value, unknown_key};

use crate::error::ModelError;

/// The limit for sizes in a config: 2^28. No model has larger sizes, and products of larger sizes
/// would overflow.
const MAX_SIZE: u64 = 1 << 28;
/// The limit for the number of layers. No model has more, and a loader looks up the tensors of
/// every layer by name, so a damaged config must not name billions of layers.
const MAX_LAYERS: usize = 1024;

/// Reads a JSON file and fails if it does not exist.
pub(crate) fn read(files: &ModelFiles, path: &Path) -> Result<Value, ModelError> {
    let text = files
        .read_to_string(path)
        .map_err(|source| ModelError::Io { path: path.to_path_buf(), source })?;
    serde_json::from_str(&text)
        .map_err(|source| ModelError::Json { path: path.to_path_buf(), source })
}

/// Reads a JSON file, or returns `None` if it does not exist.
pub(crate) fn read_if_any(files: &ModelFiles, path: &Path) -> Result<Option<Value>, ModelError> {
    match read(files, path) {
        Err(ModelError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// Reads a JSON file on the disk, or returns `None` if it does not exist.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>, ModelError> {
    read_if_any(&path.into(), path)
}

/// Typed access to the keys of one JSON object. A key with the value `null` counts as absent.
pub(crate) struct Keys<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: &'a Path,
    /// The keys that were asked for.
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(value: &'a Value, path: &'a Path) -> Self {
        Self { value, path, asked: RefCell::default() }
    }
}

impl Keys<'_> {
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// Fails if the object has a key that nothing asked for and that is not in one of the lists of
    /// keys without influence on vectors.
    pub(crate) fn refuse_unknown(&self, without_influence: &[&[&str]]) -> Result<(), ModelError> {
        let asked = self.asked.borrow();
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let known = [&[&asked[..]], without_influence].concat();
        match unknown_key(self.value, &known) {
            None => Ok(()),
            Some((key, value)) => Err(ModelError::UnknownKey {
                path: self.path(),
                key: key.to_owned(),
                value: shown_value(value),
            }),
        }
    }

    /// Returns the keys of the object under a key, or `None` if the key is absent.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Keys<'_>>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) if value.is_object() => Ok(Some(Keys::new(value, self.path))),
            Some(_) => Err(self.wrong_type(key, "an object")),
        }
    }

    fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    pub(crate) fn unsupported(&self, key: &str, known: &str) -> ModelError {
        let value = self.value.get(key).map_or_else(|| "absent".to_owned(), Value::to_string);
        ModelError::UnsupportedConfig {
            path: self.path(),
            key: key.to_owned(),
            value,
            known: known.to_owned(),
        }
    }

    pub(crate) fn wrong_type(&self, key: &str, expected: &str) -> ModelError {
        let got = self.value.get(key).unwrap_or(&Value::Null);
        let message = format!("\"{key}\" is {got} where {expected} is expected");
        ModelError::Config { path: self.path(), problem: message.into() }
    }

    /// Fails if the key is present with a value other than `implemented`.
    pub(crate) fn only(&self, key: &str, implemented: &Value) -> Result<(), ModelError> {
        match self.get(key) {
            Some(value) if value != implemented => {
                Err(self.unsupported(key, &implemented.to_string()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn size_or_zero(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => match value.as_u64() {
                Some(n) if n < MAX_SIZE => Ok(n as usize),
                _ => Err(self.wrong_type(key, "a whole number below 2^28")),
            },
        }
    }

    /// Returns a number of layers, from 1 to [`MAX_LAYERS`].
    pub(crate) fn layers(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.size(key, default)? {
            n if n <= MAX_LAYERS => Ok(n),
            _ => Err(self.wrong_type(key, "at most 1024 layers")),
        }
    }

    /// Returns a size, or `None` if the key is absent or its value is below one, which some configs
    /// write for "none".
    pub(crate) fn size_if_any(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.number(key, -1.0)? {
            n if n < 1.0 => Ok(None),
            n if n < MAX_SIZE as f64 && n.fract() == 0.0 => Ok(Some(n as usize)),
            _ => Err(self.wrong_type(key, "a whole number below 2^28")),
        }
    }

    pub(crate) fn size(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.size_or_zero(key, default)? {
            0 => Err(self.wrong_type(key, "a number above zero")),
            n => Ok(n),
        }
    }

    pub(crate) fn number(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong_type(key, "a number")),
        }
    }

    /// Returns what is added to a variance, so that its root is not zero.
    pub(crate) fn epsilon(&self, key: &str, default: f64) -> Result<f32, ModelError> {
        match self.number(key, default)? {
            epsilon if (0.0..1.0).contains(&epsilon) => Ok(epsilon as f32),
            _ => Err(self.wrong_type(key, "a number from 0 to below 1")),
        }
    }

    /// Returns a rate from 0 to below 1.
    pub(crate) fn rate(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        match self.number(key, default)? {
            rate if (0.0..1.0).contains(&rate) => Ok(rate),
            _ => Err(self.wrong_type(key, "a share from 0 to below 1")),
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong_type(key, "true or false")),
        }
    }

    pub(crate) fn text(&self, key: &str, default: &str) -> Result<String, ModelError> {
        match self.get(key) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.wrong_type(key, "a text")),
        }
    }

    /// Returns a list of texts, or `None` if the key is absent.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts = value.as_array().and_then(|values| values.iter().map(text).collect());
        texts.map(Some).ok_or_else(|| self.wrong_type(key, "a list of texts"))
    }

    /// Returns the base of rotary positions, from `rope_theta` or from the `rope_parameters` that
    /// transformers 5 writes, which may have no scale.
    pub(crate) fn rope_theta(&self, default: f64) -> Result<f64, ModelError> {
        let mut theta = self.number("rope_theta", default)?;
        if let Some(parameters) = self.object("rope_parameters")? {
            parameters.only("rope_type", &Value::from("default"))?;
            theta = parameters.number("rope_theta", theta)?;
            parameters.refuse_unknown(&[])?;
        }
        Ok(theta)
    }

    /// Returns the value that the word under a key stands for, or the first value if the key is
    /// absent.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        words: [(&str, T); 2],
    ) -> Result<T, ModelError> {
        let found = match self.get(key) {
            None => words.first(),
            Some(value) => words.iter().find(|(word, _)| value == word),
        };
        found
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| self.unsupported(key, &words.map(|(word, _)| word).join(", ")))
    }

    /// Returns the activation function. The names are those of transformers' `ACT2FN`.
    pub(crate) fn activation(&self, key: &str, default: &str) -> Result<Activation, ModelError> {
        match self.text(key, default)?.as_str() {
            "gelu" | "gelu_python" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_python_tanh" => {
                Ok(Activation::GeluTanh)
            }
            "relu" => Ok(Activation::Relu),
            "silu" | "swish" => Ok(Activation::Silu),
            "tanh" => Ok(Activation::Tanh),
            _ => Err(self.unsupported(key, "gelu, gelu_new, gelu_pytorch_tanh, relu, silu, tanh")),
        }
    }
}
