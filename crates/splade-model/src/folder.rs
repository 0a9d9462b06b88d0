//! Model folders: which layout a folder has and which towers it holds.
//!
//! | layout | sign |
//! |---|---|
//! | sentence-transformers, PyLate | `modules.json` |
//! | colbert-ai | `config.json` of the class `HF_ColBERT` |
//! | OpenSearch's inference-free model | `config.json` and `idf.json` |
//! | two towers of light-splade | `config.json` and `query_model/` |
//! | transformers | `config.json` alone |
//!
//! The first matching row decides. The head of a folder is that of its modules or of the class that
//! `config.json` names. A folder of BGE-M3 has the files `sparse_linear.pt` and `colbert_linear.pt`
//! besides and offers three heads. `modules.json` says how logits become weights. In folders
//! without it, the file `light_splade.json`, which `train` writes, says so. In folders without
//! both, the weight is SPLADE's maximum over the tokens of `log(1 + relu(x))`.
//!
//! ```
//! use splade_model::ModelFolder;
//! use splade_model::folder::Method;
//!
//! # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
//! let folder = ModelFolder::open(&model)?;
//! assert!(folder.shares_towers());
//! assert!(matches!(folder.document.method, Method::MaskedLm { .. }));
//! # Ok::<(), splade_model::ModelError>(())
//! ```

use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::Problem;
use splade_text::ModelFiles;

use crate::config::{Keys, read_if_any};
use crate::error::ModelError;
use crate::head_kind::{HeadKind, Similarity};
pub use crate::heads::{
    DenseHead, Expansion, LateInteraction, Projection, ProjectionFile, Step, TokenPooling,
    TokenRules, TokenWeights,
};
use crate::sentence_transformers::{Lengths, ModelSettings, POOLINGS, pooling, table_file};
pub use crate::tower::{Method, Table, Tower};
use crate::tower::{Module, Towers, invalid};
use crate::{colbert, dense_modules};
pub use splade_nn::{Pooling, Saturation};

/// The layout of a model folder.
///
/// ```
/// use splade_model::ModelFolder;
/// use splade_model::folder::Layout;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference/inference-free");
/// assert_eq!(ModelFolder::open(&model)?.layout, Layout::SentenceTransformers);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The layout of a Hugging Face masked language model.
    MaskedLm,
    /// The layout of another Hugging Face model: an encoder without a head, or a classifier.
    Transformers,
    /// The layout of a sentence-transformers model, sparse or dense or multi-vector, or of PyLate.
    SentenceTransformers,
    /// The layout of colbert-ai: a model with its projection in one file.
    ColBert,
    /// The layout of a light-splade model with a separate encoder for queries in `query_model/`.
    TwoTower,
    /// The layout of OpenSearch: a masked language model for documents and `idf.json` for queries.
    OpenSearch,
}

/// A model folder, its layout and its two towers.
///
/// ```
/// use splade_model::ModelFolder;
/// use splade_model::folder::Method;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference/inference-free");
/// let folder = ModelFolder::open(&model)?;
/// // Documents have a model, and queries a table of weights.
/// assert!(!folder.shares_towers());
/// assert!(matches!(folder.query.method, Method::Lookup(_)));
/// # Ok::<(), splade_model::ModelError>(())
/// ```
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
    /// How the vectors of queries and documents are compared.
    pub similarity: Similarity,
    /// What the model can make of a text. The first is what the towers make if no head was asked
    /// for.
    pub heads: Vec<HeadKind>,
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
        let mut folder = Self::with_first_head(files)?;
        folder.heads.extend(dense_modules::more_heads(files, &folder.document.method));
        Ok(folder)
    }

    /// Reads the towers of a model that make this of a text.
    ///
    /// # Errors
    /// Returns the same errors as [`open`](Self::open), and [`ModelError::OtherHead`] if the model
    /// makes something else.
    pub fn with_head(files: &ModelFiles, kind: HeadKind) -> Result<Self, ModelError> {
        let mut folder = Self::from_files(files)?;
        if folder.heads.first() == Some(&kind) {
            return Ok(folder);
        }
        if !folder.heads.contains(&kind) {
            let (path, heads) = (folder.path, folder.heads);
            return Err(ModelError::OtherHead { path, heads, wanted: kind });
        }
        let (method, similarity) = dense_modules::further_head(files, kind);
        folder.similarity = similarity;
        for tower in [&mut folder.document, &mut folder.query] {
            tower.method = method.clone();
        }
        Ok(folder)
    }

    /// Reads a folder with the head that it names.
    fn with_first_head(files: &ModelFiles) -> Result<Self, ModelError> {
        let path = files.root();
        let no_model = |problem| ModelError::NoModel { path: path.to_path_buf(), problem };
        if !files.is_dir(path) {
            return Err(no_model("there is no such folder".into()));
        }
        if let Some(modules) = read_if_any(files, &path.join("modules.json"))? {
            return sentence_transformers(files, &modules);
        }
        let config = path.join("config.json");
        let Some(value) = read_if_any(files, &config)? else {
            return Err(no_model(Problem::new("there is no config.json").with_remedy(
                "name the folder of a masked language model, of sentence-transformers, PyLate or \
                 colbert-ai, or of light-splade",
            )));
        };
        refuse_adapter(files, path)?;
        let classes = value["architectures"].as_array().into_iter().flatten();
        let classes: Vec<&str> = classes.filter_map(Value::as_str).collect();
        let ends_in = |ending: &str| classes.iter().any(|class| class.ends_with(ending));
        if ends_in("HF_ColBERT") {
            let (query, document) = colbert::metadata(files, &config)?;
            let similarity = Similarity::MaxSim;
            return Ok(Self::new(files, Layout::ColBert, (query, document), similarity));
        }
        let is_splade = ["idf.json", "light_splade.json"]
            .iter()
            .any(|name| files.is_file(&path.join(name)) || files.is_dir(&path.join("query_model")));
        let other = match is_splade {
            true => None,
            false if ends_in("ForSequenceClassification") => Some(Method::Classifier),
            // As in sentence-transformers, which takes the mean of an encoder without a head.
            false if ends_in("Model") => Some(Method::Dense(dense_modules::mean())),
            false => None,
        };
        if let Some(method) = other {
            let tower = Tower { method, ..Tower::masked_lm(path.to_path_buf()) };
            let towers = (tower.clone(), tower);
            return Ok(Self::new(files, Layout::Transformers, towers, Similarity::Cosine));
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
        Ok(Self::new(files, layout, (query, document), Similarity::Dot))
    }

    fn new(
        files: &ModelFiles,
        layout: Layout,
        (query, document): (Tower, Tower),
        similarity: Similarity,
    ) -> Self {
        let (path, heads) = (files.root().to_path_buf(), vec![document.method.kind()]);
        Self { path, layout, document, query, similarity, heads, files: files.clone() }
    }

    /// Returns the files of the model.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// Returns whether queries and documents are encoded with the same weights.
    pub fn shares_towers(&self) -> bool {
        self.document.dir == self.query.dir && self.document.method == self.query.method
    }

    /// Returns whether queries and documents are encoded with the same weights, although other
    /// tokens of them may have a vector.
    pub fn shares_weights(&self) -> bool {
        match (&self.document.method, &self.query.method) {
            (Method::LateInteraction(document), Method::LateInteraction(query)) => {
                self.document.dir == self.query.dir && document.steps == query.steps
            }
            _ => self.shares_towers(),
        }
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
    let settings = ModelSettings::read(files)?;
    let (mut query, mut document) = match &modules[..] {
        [router] if router.kind() == "Router" => router_towers(files, &router.dir, &settings)?,
        _ => {
            let towers = towers(files, &file, &modules, &settings)?;
            (towers.query, towers.document)
        }
    };
    let similarity = settings.similarity(document.method.kind())?;
    (query.prompt, document.prompt) = (settings.query_prompt, settings.document_prompt);
    for tower in [&mut query, &mut document] {
        tower.max_active_dims = settings.max_active_dims;
    }
    if query.method.kind() != document.method.kind() {
        return Err(invalid(&file, "queries and documents have modules of different kinds"));
    }
    Ok(ModelFolder::new(files, Layout::SentenceTransformers, (query, document), similarity))
}

/// Reads the towers of queries and documents that a Router selects from.
fn router_towers(
    files: &ModelFiles,
    dir: &Path,
    settings: &ModelSettings,
) -> Result<(Tower, Tower), ModelError> {
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
        towers(files, &file, &modules, settings)
    };
    Ok((route("query")?.query, route("document")?.document))
}

/// Returns the towers for a list of modules: a transformer with what follows it, or a table.
fn towers(
    files: &ModelFiles,
    file: &Path,
    modules: &[Module],
    settings: &ModelSettings,
) -> Result<Towers, ModelError> {
    let kinds: Vec<&str> = modules.iter().map(Module::kind).collect();
    match (&kinds[..], modules) {
        (["MLMTransformer" | "Transformer", "SpladePooling"], [transformer, splade_pooling]) => {
            let lengths = Lengths::read(files, &transformer.dir, transformer.kind(), "fill-mask")?;
            refuse_adapter(files, &transformer.dir)?;
            let (pooling, saturation) = pooling(files, &splade_pooling.dir.join("config.json"))?;
            let method = Method::MaskedLm { pooling, saturation };
            let tower = Tower { method, ..Tower::masked_lm(transformer.dir.clone()) };
            Ok(Towers {
                query: Tower { max_seq_length: lengths.query, ..tower.clone() },
                document: Tower { max_seq_length: lengths.document, ..tower },
            })
        }
        (["Transformer", "Pooling", ..], [transformer, pooling, rest @ ..]) => {
            refuse_adapter(files, &transformer.dir)?;
            dense_modules::dense(files, file, transformer, pooling, rest)
        }
        (
            ["Transformer", "Dense" | "MultiVectorMask" | "Normalize", ..],
            [transformer, rest @ ..],
        ) => {
            refuse_adapter(files, &transformer.dir)?;
            colbert::modules(files, file, transformer, rest, settings)
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
                 SpladePooling, SparseStaticEmbedding behind a Router, and Transformer with Pooling \
                 or for late interaction, with Dense and Normalize behind it",
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
