//! What a model folder holds: the layout, its towers and how they pool.
//!
//! | layout | sign |
//! |---|---|
//! | two towers of light-splade | `query_model/` |
//! | sentence-transformers sparse encoder | `modules.json` |
//! | plain masked language model | `config.json` alone |

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_nn::{Pooling, Saturation};

use crate::error::ModelError;

/// How a folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A Hugging Face masked language model.
    MaskedLm,
    /// A sentence-transformers sparse encoder.
    SentenceTransformers,
    /// light-splade's folder with an encoder of its own for queries.
    TwoTower,
}

/// An encoder of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tower {
    /// Where its config, weights and tokenizer are.
    pub dir: PathBuf,
    /// Over the tokens of a text.
    pub pooling: Pooling,
    /// From logits to weights.
    pub saturation: Saturation,
    /// The longest text in tokens, where the folder says so.
    pub max_seq_length: Option<usize>,
    /// Put before every text; often empty.
    pub prompt: String,
}

/// A model folder.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// How it is laid out.
    pub layout: Layout,
    /// Encodes documents.
    pub document: Tower,
    /// Encodes queries; the same folder as the document's where they share an encoder.
    pub query: Tower,
}

impl ModelFolder {
    /// Finds out what a folder is.
    ///
    /// # Errors
    /// If it is no model, or of a layout or with a module that is not implemented.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let no_model = |message: &str| ModelError::NoModel {
            path: path.to_path_buf(),
            message: message.to_owned(),
        };
        if !path.is_dir() {
            return Err(no_model("there is no such folder"));
        }
        let plain = Tower {
            dir: path.to_path_buf(),
            pooling: Pooling::Max,
            saturation: Saturation::Log1pRelu,
            max_seq_length: None,
            prompt: String::new(),
        };
        let modules = read_json(&path.join("modules.json"))?;
        if let Some(modules) = modules {
            return sentence_transformers(path, &modules, plain);
        }
        if !path.join("config.json").is_file() {
            return Err(no_model(
                "there is no config.json; a masked language model, a sentence-transformers sparse \
                 encoder or a light-splade folder is expected",
            ));
        }
        let query_dir = path.join("query_model");
        let (layout, query) = match query_dir.is_dir() {
            true => (Layout::TwoTower, Tower { dir: query_dir, ..plain.clone() }),
            false => (Layout::MaskedLm, plain.clone()),
        };
        Ok(Self { path: path.to_path_buf(), layout, document: plain, query })
    }

    /// Whether queries and documents go through the same weights.
    pub fn shares_towers(&self) -> bool {
        self.document.dir == self.query.dir
    }
}

/// The form of sentence-transformers 5.0 to 5.3, and that since 5.4.
fn sentence_transformers(
    path: &Path,
    modules: &Value,
    plain: Tower,
) -> Result<ModelFolder, ModelError> {
    let file = path.join("modules.json");
    let invalid = |message: String| ModelError::Config { path: file.clone(), message };
    let modules = modules.as_array().ok_or_else(|| invalid("a list is expected".to_owned()))?;
    let mut tower = Tower { ..plain };
    let mut seen = (false, false);
    for module in modules {
        let kind = module["type"].as_str().unwrap_or_default();
        let dir = path.join(module["path"].as_str().unwrap_or_default());
        match kind.rsplit('.').next().unwrap_or_default() {
            "MLMTransformer" | "Transformer" => {
                seen.0 = true;
                if let Some(config) = read_json(&dir.join("sentence_bert_config.json"))? {
                    tower.max_seq_length = config["max_seq_length"].as_u64().map(|n| n as usize);
                    if config["do_lower_case"] == true {
                        return Err(invalid(
                            "\"do_lower_case\" is true, which is not implemented".to_owned(),
                        ));
                    }
                }
                tower.dir = dir;
            }
            "SpladePooling" => {
                seen.1 = true;
                let config = read_json(&dir.join("config.json"))?.unwrap_or_default();
                let text = |key: &str, default| config[key].as_str().unwrap_or(default).to_owned();
                tower.pooling = match text("pooling_strategy", "max").as_str() {
                    "max" => Pooling::Max,
                    "sum" => Pooling::Sum,
                    other => {
                        return Err(invalid(format!(
                            "\"pooling_strategy\" is \"{other}\"; implemented: max, sum"
                        )));
                    }
                };
                tower.saturation = match text("activation_function", "relu").as_str() {
                    "relu" => Saturation::Log1pRelu,
                    "log1p_relu" => Saturation::Log1pLog1pRelu,
                    other => {
                        return Err(invalid(format!(
                            "\"activation_function\" is \"{other}\"; implemented: relu, log1p_relu"
                        )));
                    }
                };
            }
            _ => {
                return Err(invalid(format!(
                    "module {kind} is not implemented; implemented: MLMTransformer and SpladePooling"
                )));
            }
        }
    }
    if seen != (true, true) {
        return Err(invalid(
            "no sparse encoder: MLMTransformer and SpladePooling are expected".to_owned(),
        ));
    }
    let config = read_json(&path.join("config_sentence_transformers.json"))?.unwrap_or_default();
    let default = config["default_prompt_name"].as_str();
    let prompt = |name: &str| {
        let prompts = &config["prompts"];
        let own = prompts[name].as_str();
        own.or_else(|| prompts[default?].as_str()).unwrap_or_default().to_owned()
    };
    let query = Tower { prompt: prompt("query"), ..tower.clone() };
    let document = Tower { prompt: prompt("document"), ..tower };
    let layout = Layout::SentenceTransformers;
    Ok(ModelFolder { path: path.to_path_buf(), layout, document, query })
}

/// A JSON file, if it is there.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>, ModelError> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ModelError::Io { path: path.to_path_buf(), source }),
        Ok(text) => match serde_json::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(source) => Err(ModelError::Json { path: path.to_path_buf(), source }),
        },
    }
}
