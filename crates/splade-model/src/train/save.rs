//! Writes model folders that transformers and this crate can load.

use std::path::Path;

use serde_json::{Value, json};

use super::Trainable;
use crate::arch::family;
use crate::config::{read, read_json};
use crate::error::ModelError;
use crate::parameter::Parameter;
use crate::weights::{FloatType, WeightsWriter};

/// The names of the tokenizer's files in a model folder.
const TOKENIZER_FILES: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
];

impl Trainable {
    /// Writes `config.json`, `model.safetensors` and the tokenizer's files into a folder, which is
    /// created if it does not exist.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn save(&mut self, folder: &Path) -> Result<(), ModelError> {
        let write = |path: &Path, source| ModelError::Write { path: path.into(), source };
        std::fs::create_dir_all(folder).map_err(|source| write(folder, source))?;
        write_json(
            &folder.join("config.json"),
            &config_json(&self.folder, "MaskedLM", FloatType::F32)?,
        )?;
        copy_tokenizer(&self.folder, folder)?;
        self.save_weights(&folder.join("model.safetensors"))
    }

    fn save_weights(&mut self, path: &Path) -> Result<(), ModelError> {
        let decoder = self.tied_decoder();
        let parameters = self.network.model.parameters(&self.config);
        write_weights(path, &parameters, decoder)
    }

    /// Returns the name under which readers expect the decoder although it is tied to the word
    /// embeddings.
    fn tied_decoder(&self) -> Option<&'static str> {
        let (architecture, head) = (&self.config.0, self.config.0.word_head());
        (architecture.repeats_decoder() && head.tied).then_some(head.decoder)
    }
}

/// Writes the tensors of parameters. The first parameter, the word embeddings, is written a second
/// time under the name `again` if there is one.
pub(super) fn write_weights(
    path: &Path,
    parameters: &[Parameter<'_>],
    again: Option<&str>,
) -> Result<(), ModelError> {
    let tensors = |parameter: &Parameter<'_>| {
        let (names, shape) = (parameter.layout().names(), parameter.layout().shape());
        names.iter().map(|name| (name.clone(), shape.to_vec())).collect::<Vec<_>>()
    };
    let mut announced: Vec<_> = parameters.iter().flat_map(tensors).collect();
    if let Some(name) = again {
        let shape = announced[0].1.clone();
        announced.push((name.to_owned(), shape));
    }
    let mut file = WeightsWriter::create(path, &announced)?;
    for parameter in parameters.iter().chain(again.and(parameters.first())) {
        for tensor in parameter.layout().to_tensors(parameter.numbers) {
            file.write(&tensor.numbers)?;
        }
    }
    file.finish()
}

/// Writes an indented JSON file.
pub(super) fn write_json(path: &Path, value: &Value) -> Result<(), ModelError> {
    std::fs::write(path, format!("{value:#}\n"))
        .map_err(|source| ModelError::Write { path: path.to_path_buf(), source })
}

/// Returns the config of `folder` for weights that are written in the type `dtype`. `head` is the
/// end of the name of the transformers class, such as `MaskedLM`.
pub(crate) fn config_json(
    folder: &Path,
    head: &str,
    dtype: FloatType,
) -> Result<Value, ModelError> {
    let path = folder.join("config.json");
    let mut config = read(&folder.into(), &path)?;
    let class = config["model_type"].as_str().and_then(family);
    let class = class.map_or("ModernBert", |family| family.class);
    config["architectures"] = Value::from(vec![format!("{class}For{head}")]);
    config["torch_dtype"] = Value::from(dtype.torch_name());
    if let Some(config) = config.as_object_mut() {
        // The code that these keys refer to is not copied, and the path is only valid on the
        // machine where the folder was made.
        for key in ["dtype", "auto_map", "_name_or_path"] {
            config.remove(key);
        }
    }
    Ok(config)
}

/// Copies a tokenizer to a folder without a model. The config of the tokenizer must name its class
/// there.
///
/// ```
/// use splade_model::training::copy_tokenizer_alone;
/// use splade_text::{Tokenizer, TokenizerOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let folder = tempfile::tempdir()?;
/// copy_tokenizer_alone(&model, folder.path())?;
/// assert!(!folder.path().join("config.json").exists());
/// Tokenizer::from_dir(folder.path(), &TokenizerOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn copy_tokenizer_alone(from: &Path, to: &Path) -> Result<(), ModelError> {
    copy_tokenizer(from, to)?;
    let settings = read_json(&from.join("tokenizer_config.json"))?;
    let mut settings = settings.filter(Value::is_object).unwrap_or(json!({}));
    if settings["tokenizer_class"].is_null() {
        let config = read_json(&from.join("config.json"))?.unwrap_or_default();
        settings["tokenizer_class"] = match (&config["tokenizer_class"], &config["model_type"]) {
            (class @ Value::String(_), _) => class.clone(),
            (_, model) => {
                let class = model.as_str().and_then(family).map(|family| family.tokenizer_class);
                Value::from(class.unwrap_or("PreTrainedTokenizerFast"))
            }
        };
        let path = to.join("tokenizer_config.json");
        std::fs::write(&path, format!("{settings:#}\n"))
            .map_err(|source| ModelError::Write { path, source })?;
    }
    Ok(())
}

/// Copies the tokenizer's files from one folder to another.
pub(crate) fn copy_tokenizer(from: &Path, to: &Path) -> Result<(), ModelError> {
    for name in TOKENIZER_FILES {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_file() && from != to {
            std::fs::copy(&from, &to)
                .map_err(|source| ModelError::Write { path: to.clone(), source })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokenizer_alone_tells_its_class() {
        let dir = tempfile::tempdir().expect("a folder");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for (config, settings, class) in [
            (json!({"model_type": "distilbert"}), Some(json!({})), "DistilBertTokenizer"),
            (json!({"model_type": "modernbert"}), None, "PreTrainedTokenizerFast"),
            (json!({"tokenizer_class": "A", "model_type": "bert"}), Some(json!({})), "A"),
            (json!({"model_type": "bert"}), Some(json!({"tokenizer_class": "B"})), "B"),
        ] {
            for folder in [&from, &to] {
                _ = std::fs::remove_dir_all(folder);
                std::fs::create_dir(folder).expect("made");
            }
            std::fs::write(from.join("config.json"), config.to_string()).expect("written");
            if let Some(settings) = settings {
                let path = from.join("tokenizer_config.json");
                std::fs::write(path, settings.to_string()).expect("written");
            }
            copy_tokenizer_alone(&from, &to).expect("copied");
            let copy = read_json(&to.join("tokenizer_config.json")).expect("JSON").expect("there");
            assert_eq!(copy["tokenizer_class"], class);
            assert!(!to.join("config.json").exists());
        }
    }
}
