//! What a model folder holds: the layout, and its towers.
//!
//! | layout | sign |
//! |---|---|
//! | sentence-transformers sparse encoder | `modules.json` |
//! | OpenSearch's inference-free model | `config.json` and `idf.json` |
//! | two towers of light-splade | `config.json` and `query_model/` |
//! | plain masked language model | `config.json` alone |
//!
//! The first sign that is found counts. Without `modules.json`, which tells how logits become weights,
//! `light_splade.json` does: `train` writes it. SPLADE's maximum of `log(1 + relu)` stands where neither is.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_text::ModelFiles;

use crate::config::read_if_any;
use crate::error::ModelError;
pub use splade_nn::{Pooling, Saturation};

/// How a folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A Hugging Face masked language model.
    MaskedLm,
    /// A sentence-transformers sparse encoder.
    SentenceTransformers,
    /// light-splade's folder with an encoder of its own for queries.
    TwoTower,
    /// A masked language model for documents, `idf.json` for queries.
    OpenSearch,
}

/// An encoder of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tower {
    /// Where its tokenizer is, and the config and weights of one that is computed.
    pub dir: PathBuf,
    /// How ids become weights.
    pub method: Method,
    /// The longest text in tokens, where the folder says so.
    pub max_seq_length: Option<usize>,
    /// Put before every text; often empty.
    pub prompt: String,
}

/// How a tower makes weights of token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// By a masked language model.
    MaskedLm {
        /// Over the tokens of a text.
        pooling: Pooling,
        /// From logits to weights.
        saturation: Saturation,
    },
    /// By the weight of each token of the text, without a model (inference-free).
    Lookup(Table),
}

/// Where the weights of an inference-free tower are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// The tensor `weight` of the weights in a folder.
    Tensor(PathBuf),
    /// A JSON object from token to weight.
    Json(PathBuf),
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
    /// Encodes queries; the same as the document's but for the prompt where they share an encoder.
    pub query: Tower,
    files: ModelFiles,
}

impl ModelFolder {
    /// Finds out what a folder is.
    ///
    /// # Errors
    /// If it is no model, or of a layout or with a module that is not implemented.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::from_files(&path.into())
    }

    /// Finds out what the files of a model are, on the disk or in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_files(files: &ModelFiles) -> Result<Self, ModelError> {
        let path = files.root();
        let no_model = |message: &str| ModelError::NoModel {
            path: path.to_path_buf(),
            message: message.to_owned(),
        };
        if !files.is_dir(path) {
            return Err(no_model("there is no such folder"));
        }
        if let Some(modules) = read_if_any(files, &path.join("modules.json"))? {
            return sentence_transformers(files, &modules);
        }
        if !files.is_file(&path.join("config.json")) {
            return Err(no_model(
                "there is no config.json; a masked language model, a sentence-transformers sparse \
                 encoder or a light-splade folder is expected",
            ));
        }
        let document = trained(files)?;
        let (query_dir, idf) = (path.join("query_model"), path.join("idf.json"));
        let (layout, query) = if files.is_file(&idf) {
            let method = Method::Lookup(Table::Json(idf));
            (Layout::OpenSearch, Tower { method, ..document.clone() })
        } else if files.is_dir(&query_dir) {
            (Layout::TwoTower, Tower { dir: query_dir, ..document.clone() })
        } else {
            (Layout::MaskedLm, document.clone())
        };
        Ok(Self { path: path.to_path_buf(), layout, document, query, files: files.clone() })
    }

    /// The files of the model.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// Whether queries and documents go through the same weights.
    pub fn shares_towers(&self) -> bool {
        self.document.dir == self.query.dir && self.document.method == self.query.method
    }
}

impl Tower {
    /// A masked language model as SPLADE papers use it.
    fn masked_lm(dir: PathBuf) -> Self {
        let method = Method::MaskedLm { pooling: Pooling::Max, saturation: Saturation::Log1pRelu };
        Self { dir, method, max_seq_length: None, prompt: String::new() }
    }
}

/// The encoder of a folder that is no sentence-transformers model, used as `train` says that it was
/// trained.
fn trained(files: &ModelFiles) -> Result<Tower, ModelError> {
    let path = files.root();
    let file = path.join("light_splade.json");
    let config = read_if_any(files, &file)?.unwrap_or_default();
    let saturations =
        [("log1p_relu", Saturation::Log1pRelu), ("log1p_log1p_relu", Saturation::Log1pLog1pRelu)];
    Ok(Tower {
        method: Method::MaskedLm {
            pooling: choice(&file, &config, "agg", POOLINGS)?,
            saturation: choice(&file, &config, "activation", saturations)?,
        },
        max_seq_length: config["max_length"].as_u64().map(|n| n as usize),
        ..Tower::masked_lm(path.to_path_buf())
    })
}

/// A module of sentence-transformers.
struct Module {
    /// The full name of its class.
    class: String,
    dir: PathBuf,
}

impl Module {
    /// The class without its package, which differs between versions.
    fn kind(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or_default()
    }
}

/// The form of sentence-transformers 5.0 to 5.3, and that since 5.4.
fn sentence_transformers(files: &ModelFiles, modules: &Value) -> Result<ModelFolder, ModelError> {
    let path = files.root();
    let file = path.join("modules.json");
    let modules: Vec<Module> = modules
        .as_array()
        .ok_or_else(|| invalid(&file, "a list is expected"))?
        .iter()
        .map(|module| Module {
            class: module["type"].as_str().unwrap_or_default().to_owned(),
            dir: path.join(module["path"].as_str().unwrap_or_default()),
        })
        .collect();
    let (mut query, mut document) = match &modules[..] {
        [router] if router.kind() == "Router" => router_towers(files, &router.dir)?,
        _ => {
            let tower = tower(files, &file, &modules)?;
            (tower.clone(), tower)
        }
    };
    let config =
        read_if_any(files, &path.join("config_sentence_transformers.json"))?.unwrap_or_default();
    let default = config["default_prompt_name"].as_str();
    let prompt = |name: &str| {
        let prompts = &config["prompts"];
        let own = prompts[name].as_str();
        own.or_else(|| prompts[default?].as_str()).unwrap_or_default().to_owned()
    };
    (query.prompt, document.prompt) = (prompt("query"), prompt("document"));
    let layout = Layout::SentenceTransformers;
    Ok(ModelFolder { path: path.to_path_buf(), layout, document, query, files: files.clone() })
}

/// The towers of queries and documents behind a Router.
fn router_towers(files: &ModelFiles, dir: &Path) -> Result<(Tower, Tower), ModelError> {
    let file = dir.join("router_config.json");
    let config = read_if_any(files, &file)?
        .ok_or_else(|| invalid(&file, "the file of the Router is missing"))?;
    let mappings = &config["parameters"]["route_mappings"];
    if mappings.as_object().is_some_and(|mappings| !mappings.is_empty()) {
        return Err(invalid(&file, format!("\"route_mappings\" {mappings} are not implemented")));
    }
    let route = |name: &str| {
        let ids = config["structure"][name]
            .as_array()
            .ok_or_else(|| invalid(&file, format!("there is no route \"{name}\"")))?;
        let modules: Vec<Module> = ids
            .iter()
            .map(|id| {
                let id = id.as_str().unwrap_or_default();
                let class = config["types"][id].as_str().unwrap_or_default().to_owned();
                Module { class, dir: dir.join(id) }
            })
            .collect();
        tower(files, &file, &modules)
    };
    Ok((route("query")?, route("document")?))
}

/// The tower that a row of modules is: a transformer and its pooling, or a table.
fn tower(files: &ModelFiles, file: &Path, modules: &[Module]) -> Result<Tower, ModelError> {
    let kinds: Vec<&str> = modules.iter().map(Module::kind).collect();
    match (&kinds[..], modules) {
        (["MLMTransformer" | "Transformer", "SpladePooling"], [transformer, pooling]) => {
            let mut tower = Tower::masked_lm(transformer.dir.clone());
            let settings = transformer.dir.join("sentence_bert_config.json");
            if let Some(config) = read_if_any(files, &settings)? {
                tower.max_seq_length = config["max_seq_length"].as_u64().map(|n| n as usize);
                if config["do_lower_case"] == true {
                    return Err(invalid(
                        &settings,
                        "\"do_lower_case\" is true, which is not implemented",
                    ));
                }
            }
            tower.method = splade_pooling(files, &pooling.dir.join("config.json"))?;
            Ok(tower)
        }
        (["SparseStaticEmbedding"], [table]) => {
            let method = Method::Lookup(static_table(files, &table.dir)?);
            Ok(Tower { method, ..Tower::masked_lm(table.dir.clone()) })
        }
        _ => Err(invalid(
            file,
            format!(
                "the modules are {}; implemented: MLMTransformer with SpladePooling, and \
                 SparseStaticEmbedding behind a Router",
                if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
            ),
        )),
    }
}

fn splade_pooling(files: &ModelFiles, file: &Path) -> Result<Method, ModelError> {
    let config = read_if_any(files, file)?.unwrap_or_default();
    let saturations = [("relu", Saturation::Log1pRelu), ("log1p_relu", Saturation::Log1pLog1pRelu)];
    Ok(Method::MaskedLm {
        pooling: choice(file, &config, "pooling_strategy", POOLINGS)?,
        saturation: choice(file, &config, "activation_function", saturations)?,
    })
}

const POOLINGS: [(&str, Pooling); 2] = [("max", Pooling::Max), ("sum", Pooling::Sum)];

/// What the word of a setting stands for; the first one where it is not set.
fn choice<T: Copy>(
    file: &Path,
    config: &Value,
    key: &str,
    words: [(&str, T); 2],
) -> Result<T, ModelError> {
    let value = &config[key];
    let found = words.into_iter().find(|(word, _)| value.is_null() || value == word);
    found.map(|(_, meaning)| meaning).ok_or_else(|| ModelError::UnsupportedConfig {
        path: file.to_path_buf(),
        key: key.to_owned(),
        value: value.to_string(),
        known: words.map(|(word, _)| word).join(", "),
    })
}

/// The table of a SparseStaticEmbedding: the JSON file that its config names, else its tensor.
fn static_table(files: &ModelFiles, dir: &Path) -> Result<Table, ModelError> {
    let file = dir.join("config.json");
    let config = read_if_any(files, &file)?.unwrap_or_default();
    let Some(name) = config["path"].as_str() else {
        return Ok(Table::Tensor(dir.to_path_buf()));
    };
    let places = [dir.join(name), files.root().join(name)];
    places.into_iter().find(|place| files.is_file(place)).map(Table::Json).ok_or_else(|| {
        invalid(&file, format!("\"path\" is {name:?}, but there is no such file in the model"))
    })
}

fn invalid(file: &Path, message: impl Into<String>) -> ModelError {
    ModelError::Config { path: file.to_path_buf(), message: message.into() }
}
