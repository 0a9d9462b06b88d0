//! JSON files of a model folder: reading them, and typed access to the keys of `config.json`.
//!
//! Every value that changes the numbers is read; one that is not implemented is an error that
//! names the key and the value. What the keys of an architecture mean stands with the architecture.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_nn::Activation;
use splade_text::ModelFiles;

use crate::error::ModelError;

/// Larger sizes than any model has would overflow the products of sizes.
const MAX_SIZE: u64 = 1 << 28;
/// More layers than any model has: each is looked up in the weights by its names.
const MAX_LAYERS: usize = 1024;

/// Reads a JSON file that must be there.
pub(crate) fn read(files: &ModelFiles, path: &Path) -> Result<Value, ModelError> {
    let text = files
        .read_to_string(path)
        .map_err(|source| ModelError::Io { path: path.to_path_buf(), source })?;
    serde_json::from_str(&text)
        .map_err(|source| ModelError::Json { path: path.to_path_buf(), source })
}

/// Reads a JSON file, if it is there.
pub(crate) fn read_if_any(files: &ModelFiles, path: &Path) -> Result<Option<Value>, ModelError> {
    match read(files, path) {
        Err(ModelError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// Reads a JSON file of a folder on the disk, if it is there.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>, ModelError> {
    read_if_any(&path.into(), path)
}

/// Typed access to the keys of one JSON object; `null` counts as absent.
pub(crate) struct Keys<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: &'a Path,
}

impl Keys<'_> {
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
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
        ModelError::Config { path: self.path(), message }
    }

    /// Fails if the key is there with any other value.
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

    /// A number of layers.
    pub(crate) fn layers(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        match self.size(key, default)? {
            n if n <= MAX_LAYERS => Ok(n),
            _ => Err(self.wrong_type(key, "at most 1024 layers")),
        }
    }

    /// A size where the config may say "none" with a number below one.
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

    /// A share below 1.
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

    /// Names of transformers' `ACT2FN`.
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
