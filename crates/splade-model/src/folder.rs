//! Model folders: which layout a folder has and which towers it holds.
//!
//! | layout | sign |
//! |---|---|
//! | sentence-transformers sparse encoder | `modules.json` |
//! | OpenSearch's inference-free model | `config.json` and `idf.json` |
//! | two towers of light-splade | `config.json` and `query_model/` |
//! | plain masked language model | `config.json` alone |
//!
//! The first matching row decides. `modules.json` says how logits become weights. In folders
//! without it, the file `light_splade.json`, which `train` writes, says so. In folders without
//! both, the weight is SPLADE's maximum over the tokens of `log(1 + relu(x))`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::Problem;
use splade_text::ModelFiles;

use crate::config::{Keys, read_if_any};
use crate::error::ModelError;
use crate::sentence_transformers::{Lengths, ModelSettings, POOLINGS, pooling, table_file};
pub use splade_nn::{Pooling, Saturation};

/// The layout of a model folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The layout of a Hugging Face masked language model.
    MaskedLm,
    /// The layout of a sentence-transformers sparse encoder.
    SentenceTransformers,
    /// The layout of a light-splade model with a separate encoder for queries in `query_model/`.
    TwoTower,
    /// The layout of OpenSearch: a masked language model for documents and `idf.json` for queries.
    OpenSearch,
}

/// The encoder of one side, as the folder describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tower {
    /// The folder of the tokenizer. A masked language model has its config and weights there too.
    pub dir: PathBuf,
    /// The method that turns token ids into weights.
    pub method: Method,
    /// The longest text in tokens, if the folder gives one.
    pub max_seq_length: Option<usize>,
    /// The string that is put before every text. It is often empty.
    pub prompt: String,
    /// The number of terms with the largest weights that a vector keeps, if the folder gives one.
    pub max_active_dims: Option<usize>,
}

/// The method by which a tower turns token ids into weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// A masked language model computes the weights.
    MaskedLm {
        /// The pooling over the tokens of a text.
        pooling: Pooling,
        /// The function that turns a logit into a weight.
        saturation: Saturation,
    },
    /// A table gives the weight of each token of the text, without a model (inference-free).
    Lookup(Table),
}

/// The place of the weights of an inference-free tower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// The tensor `weight` of the weights file in this folder.
    Tensor(PathBuf),
    /// A JSON file with an object from token to weight.
    Json(PathBuf),
}

/// A model folder, its layout and its two towers.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// The path of the folder.
    pub path: PathBuf,
    /// The layout of the folder.
    pub layout: Layout,
    /// The tower that encodes documents.
    pub document: Tower,
    /// The tower that encodes queries. If both sides share an encoder, it differs from `document`
    /// at most in the prompt and in the longest text.
    pub query: Tower,
    files: ModelFiles,
}

impl ModelFolder {
    /// Recognises the layout of a folder and reads its towers.
    ///
    /// # Errors
    /// Returns an error if the folder does not hold a model, or if its layout or a module is not
    /// implemented.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::from_files(&path.into())
    }

    /// Recognises the layout of a model whose files are in a folder or in memory.
    ///
    /// # Errors
    /// Returns the same errors as [`open`](Self::open).
    pub fn from_files(files: &ModelFiles) -> Result<Self, ModelError> {
        let path = files.root();
        let no_model = |problem| ModelError::NoModel { path: path.to_path_buf(), problem };
        if !files.is_dir(path) {
            return Err(no_model("there is no such folder".into()));
        }
        if let Some(modules) = read_if_any(files, &path.join("modules.json"))? {
            return sentence_transformers(files, &modules);
        }
        if !files.is_file(&path.join("config.json")) {
            return Err(no_model(Problem::new("there is no config.json").with_remedy(
                "name the folder of a masked language model, of a sentence-transformers sparse \
                 encoder or of light-splade",
            )));
        }
        refuse_adapter(files, path)?;
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

    /// Returns the files of the model.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// Returns whether queries and documents are encoded with the same weights.
    pub fn shares_towers(&self) -> bool {
        self.document.dir == self.query.dir && self.document.method == self.query.method
    }
}

impl Tower {
    /// Returns the tower of a masked language model with the pooling and saturation of the SPLADE
    /// papers.
    fn masked_lm(dir: PathBuf) -> Self {
        let method = Method::MaskedLm { pooling: Pooling::Max, saturation: Saturation::Log1pRelu };
        Self { dir, method, max_seq_length: None, prompt: String::new(), max_active_dims: None }
    }
}

/// Reads the tower of a folder that is not a sentence-transformers model. Pooling, saturation and
/// length are those that `train` wrote to `light_splade.json`.
fn trained(files: &ModelFiles) -> Result<Tower, ModelError> {
    let path = files.root();
    let file = path.join("light_splade.json");
    let config = read_if_any(files, &file)?.unwrap_or_default();
    let keys = Keys::new(&config, &file);
    let saturations =
        [("log1p_relu", Saturation::Log1pRelu), ("log1p_log1p_relu", Saturation::Log1pLog1pRelu)];
    Ok(Tower {
        method: Method::MaskedLm {
            pooling: keys.choice("agg", POOLINGS)?,
            saturation: keys.choice("activation", saturations)?,
        },
        max_seq_length: keys.size_if_any("max_length")?,
        ..Tower::masked_lm(path.to_path_buf())
    })
}

/// A module in the list of a sentence-transformers model.
struct Module {
    /// The full name of the Python class.
    class: String,
    dir: PathBuf,
}

impl Module {
    /// Returns the name of the class without its package, because the package differs between
    /// versions.
    fn kind(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or_default()
    }
}

/// Reads a sentence-transformers folder, in the format of versions 5.0 to 5.3 or in that of 5.4 and
/// later.
fn sentence_transformers(files: &ModelFiles, modules: &Value) -> Result<ModelFolder, ModelError> {
    let path = files.root();
    let file = path.join("modules.json");
    let module = |module: &Value| -> Result<Module, ModelError> {
        let keys = Keys::new(module, &file);
        let read = Module { class: keys.text("type", "")?, dir: path.join(keys.text("path", "")?) };
        // The names of arguments that `encode` may have.
        keys.refuse_unknown(&[&["idx", "name", "kwargs"]])?;
        Ok(read)
    };
    let modules = modules.as_array().ok_or_else(|| invalid(&file, "a list is expected"))?;
    let modules: Vec<Module> = modules.iter().map(module).collect::<Result<_, _>>()?;
    let (mut query, mut document) = match &modules[..] {
        [router] if router.kind() == "Router" => router_towers(files, &router.dir)?,
        _ => {
            let towers = towers(files, &file, &modules)?;
            (towers.query, towers.document)
        }
    };
    let settings = ModelSettings::read(files)?;
    (query.prompt, document.prompt) = (settings.query_prompt, settings.document_prompt);
    for tower in [&mut query, &mut document] {
        tower.max_active_dims = settings.max_active_dims;
    }
    let layout = Layout::SentenceTransformers;
    Ok(ModelFolder { path: path.to_path_buf(), layout, document, query, files: files.clone() })
}

/// Reads the towers of queries and documents that a Router selects from.
fn router_towers(files: &ModelFiles, dir: &Path) -> Result<(Tower, Tower), ModelError> {
    let file = dir.join("router_config.json");
    let config = read_if_any(files, &file)?
        .ok_or_else(|| invalid(&file, "the file of the Router is missing"))?;
    let keys = Keys::new(&config, &file);
    if let Some(parameters) = keys.object("parameters")? {
        parameters.only("route_mappings", &Value::Object(Default::default()))?;
        // Both are for texts whose side is not known.
        parameters.refuse_unknown(&[&["default_route", "allow_empty_key"]])?;
    }
    keys.refuse_unknown(&[&["types", "structure"]])?;
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
        towers(files, &file, &modules)
    };
    Ok((route("query")?.query, route("document")?.document))
}

/// The towers of both sides that use the same modules.
struct Towers {
    query: Tower,
    document: Tower,
}

/// Returns the towers for a list of modules: a transformer with its pooling, or a table.
fn towers(files: &ModelFiles, file: &Path, modules: &[Module]) -> Result<Towers, ModelError> {
    let kinds: Vec<&str> = modules.iter().map(Module::kind).collect();
    match (&kinds[..], modules) {
        (["MLMTransformer" | "Transformer", "SpladePooling"], [transformer, splade_pooling]) => {
            let lengths = Lengths::read(files, &transformer.dir, transformer.kind())?;
            refuse_adapter(files, &transformer.dir)?;
            let (pooling, saturation) = pooling(files, &splade_pooling.dir.join("config.json"))?;
            let method = Method::MaskedLm { pooling, saturation };
            let tower = Tower { method, ..Tower::masked_lm(transformer.dir.clone()) };
            Ok(Towers {
                query: Tower { max_seq_length: lengths.query, ..tower.clone() },
                document: Tower { max_seq_length: lengths.document, ..tower },
            })
        }
        (["SparseStaticEmbedding"], [table]) => {
            let method = Method::Lookup(static_table(files, &table.dir)?);
            let tower = Tower { method, ..Tower::masked_lm(table.dir.clone()) };
            Ok(Towers { query: tower.clone(), document: tower })
        }
        _ => Err(invalid(
            file,
            format!(
                "the modules {} are not implemented; implemented: MLMTransformer with \
                 SpladePooling, and SparseStaticEmbedding behind a Router",
                if kinds.is_empty() { "(none)".to_owned() } else { kinds.join(", ") }
            ),
        )),
    }
}

/// Fails if a folder has an adapter of PEFT, which transformers would put over the weights.
fn refuse_adapter(files: &ModelFiles, dir: &Path) -> Result<(), ModelError> {
    let file = dir.join("adapter_config.json");
    match files.is_file(&file) {
        false => Ok(()),
        true => Err(invalid(
            &file,
            Problem::new("adapters are not implemented").with_remedy(
                "merge the adapter into the model (merge_and_unload of PEFT) and save the model \
                 without it",
            ),
        )),
    }
}

/// Returns the table of a SparseStaticEmbedding: the JSON file that its config names, or else its
/// tensor.
fn static_table(files: &ModelFiles, dir: &Path) -> Result<Table, ModelError> {
    let file = dir.join("config.json");
    let Some(name) = table_file(files, &file)? else {
        return Ok(Table::Tensor(dir.to_path_buf()));
    };
    let places = [dir.join(&name), files.root().join(&name)];
    places.into_iter().find(|place| files.is_file(place)).map(Table::Json).ok_or_else(|| {
        invalid(&file, format!("\"path\" is {name:?}, but the model has no such file"))
    })
}

fn invalid(file: &Path, problem: impl Into<Problem>) -> ModelError {
    ModelError::Config { path: file.to_path_buf(), problem: problem.into() }
}
