//! What a model is: its layout, its towers and their sizes, read without running it.

use std::fmt;
use std::path::Path;

use serde_json::{Value, json};
use splade_io::Observer;
use splade_model::architecture::ArchitectureConfig;
use splade_model::folder::{Layout, Method, Projection, Step, Table, Tower};
use splade_model::weights::Weights;
use splade_model::{HeadKind, ModelContent, ModelFolder, Side};
use splade_text::{Tokenizer, TokenizerOptions};

use crate::error::Error;
use crate::model::{folder_name, identify, model_folder};

/// What [`inspect`] tells of a model. Its text is a table for people.
///
/// ```
/// let description = light_splade::models::inspect("mini-ja-en".as_ref(), &mut ())?;
/// assert!(description.towers.len() == 1 && description.revision.is_none());
/// println!("{description}");
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelDescription {
    /// The name of the model: that of its folder, or the name that it was found by.
    pub name: String,
    /// How the folder is laid out.
    pub layout: Layout,
    /// The commit of a model of the hub.
    pub revision: Option<String>,
    /// What the model can make of a text; the towers make the first.
    pub heads: Vec<HeadKind>,
    /// The hashes by which vectors, indexes and results know the model.
    pub content: ModelContent,
    /// The towers: one that serves documents and queries, or one for documents and one for queries.
    pub towers: Vec<TowerDescription>,
}

/// What a tower of a model is.
///
/// ```
/// let description = light_splade::models::inspect("mini-ja-en".as_ref(), &mut ())?;
/// let tower = &description.towers[0];
/// assert!(tower.side.is_none(), "it encodes queries and documents");
/// println!("{}, {} tokens", tower.tokenizer, tower.tokens);
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TowerDescription {
    /// The side that the tower encodes; none where it serves both.
    pub side: Option<Side>,
    /// How it makes vectors.
    pub method: TowerMethod,
    /// The name of the tokenizer's kind.
    pub tokenizer: String,
    /// The number of tokens that the tokenizer knows.
    pub tokens: usize,
    /// The text that is put before every query; empty where none is, or where the tower serves
    /// documents only.
    pub query_prompt: String,
    /// The text that is put before every document; empty where none is, or where the tower serves
    /// queries only.
    pub document_prompt: String,
}

/// How a tower makes vectors.
///
/// ```
/// use light_splade::models::{TowerMethod, inspect};
///
/// let description = inspect("mini-ja-en".as_ref(), &mut ())?;
/// assert!(matches!(description.towers[0].method, TowerMethod::Network { .. }));
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TowerMethod {
    /// A body runs over the text, and a head makes vectors of its hidden states.
    #[non_exhaustive]
    Network {
        /// The name of the architecture of the body.
        architecture: String,
        /// The number of layers.
        layers: usize,
        /// The width of the hidden states.
        hidden: usize,
        /// The number of attention heads.
        heads: usize,
        /// The number of parameters in the file of weights.
        parameters: usize,
        /// The name of the file of weights.
        file: String,
        /// The number of terms of the vocabulary: the dimension of sparse vectors.
        vocab: usize,
        /// The number of dimensions of dense vectors, if the config tells it.
        dimensions: Option<usize>,
        /// The longest text in tokens.
        max_tokens: usize,
        /// The head and its settings.
        head: String,
    },
    /// The weight of each token is looked up in a table; no model runs.
    #[non_exhaustive]
    Table {
        /// The name of the file with the weights.
        file: String,
    },
}

/// Describes a model by its name: the built-in model's, a folder, or a name at the hub.
///
/// ```
/// use light_splade::models::inspect;
///
/// let description = inspect("mini-ja-en".as_ref(), &mut ())?;
/// assert_eq!(description.towers.len(), 1);
/// println!("{description}");
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the model cannot be found, fetched or read.
pub fn inspect(name: &Path, observer: &mut dyn Observer) -> Result<ModelDescription, Error> {
    let path = model_folder(name, observer)?;
    let folder = ModelFolder::open(&path).map_err(|error| {
        Error::during(format!("cannot read the model {}", name.display()))(error.into())
    })?;
    let shown = match path == name {
        true => folder_name(&path),
        false => name.display().to_string(),
    };
    let towers = match folder.shares_towers() {
        true => {
            let mut tower = describe(&folder.document, None)?;
            tower.query_prompt.clone_from(&folder.query.prompt);
            vec![tower]
        }
        false => vec![
            describe(&folder.document, Some(Side::Document))?,
            describe(&folder.query, Some(Side::Query))?,
        ],
    };
    let (files, head) = (path.as_path().into(), folder.document.method.kind());
    let identity = identify(name, &files, head, &TokenizerOptions::default(), None)?;
    let (revision, content) = (identity.revision, identity.content);
    let ModelFolder { layout, heads, .. } = folder;
    Ok(ModelDescription { name: shown, layout, revision, heads, content, towers })
}

fn describe(tower: &Tower, side: Option<Side>) -> Result<TowerDescription, Error> {
    let tokenizer = Tokenizer::from_dir(&tower.dir, &TokenizerOptions::default())?;
    let method = match &tower.method {
        Method::Lookup(table) => {
            let (Table::Tensor(path) | Table::Json(path)) = table;
            TowerMethod::Table { file: folder_name(path) }
        }
        method => {
            let config = ArchitectureConfig::open(&tower.dir)?;
            let weights = Weights::open(&tower.dir)?;
            let (hidden, layers, heads) = config.shape();
            let shapes = weights.names().filter_map(|name| weights.shape(name));
            let own = tower.max_seq_length.or(tokenizer.model_max_length());
            let limit = config.max_tokens();
            TowerMethod::Network {
                architecture: config.name().to_string(),
                layers,
                hidden,
                heads,
                parameters: shapes.map(|shape| shape.iter().product::<usize>()).sum(),
                file: folder_name(weights.path()),
                vocab: config.vocab(),
                max_tokens: own.unwrap_or(limit).min(limit),
                dimensions: dimensions(method, hidden),
                head: head(method),
            }
        }
    };
    let prompt = |other: Side| match side == Some(other) {
        true => String::new(),
        false => tower.prompt.clone(),
    };
    Ok(TowerDescription {
        side,
        method,
        tokenizer: tokenizer.kind().to_string(),
        tokens: tokenizer.len(),
        query_prompt: prompt(Side::Document),
        document_prompt: prompt(Side::Query),
    })
}

/// Names the head of a network.
fn head(method: &Method) -> String {
    match method {
        Method::MaskedLm { pooling, saturation } => format!("SPLADE: {pooling:?}, {saturation:?}"),
        Method::Lookup(_) => "table".to_owned(),
        Method::TokenWeights(_) => "token weights".to_owned(),
        Method::Classifier => "classifier of pairs (a cross-encoder)".to_owned(),
        Method::Dense(head) => {
            let poolings: Vec<&str> = head.pooling.iter().map(|pooling| pooling.name()).collect();
            let steps = head.steps.iter().map(step);
            let steps: Vec<String> = [poolings.join(" + ")].into_iter().chain(steps).collect();
            format!("dense: {}", steps.join(", "))
        }
        Method::LateInteraction(head) => {
            let mut parts: Vec<String> = head.steps.iter().map(step).collect();
            parts.extend(head.tokens.marker.as_ref().map(|marker| format!("marker {marker:?}")));
            if let Some(expansion) = &head.tokens.expansion {
                parts.push(format!("filled to {} tokens", expansion.length));
            }
            format!("late interaction: {}", parts.join(", "))
        }
    }
}

fn step(step: &Step) -> String {
    match step {
        Step::Normalize => "normalized".to_owned(),
        Step::Project(Projection { outputs: Some(outputs), .. }) => {
            format!("projected to {outputs}")
        }
        Step::Project(_) => "projected".to_owned(),
    }
}

/// The number of dimensions of dense vectors, where the config tells it.
fn dimensions(method: &Method, hidden: usize) -> Option<usize> {
    let (steps, pooled) = match method {
        Method::Dense(head) => (&head.steps, head.pooling.len() * hidden),
        Method::LateInteraction(head) => (&head.steps, hidden),
        _ => return None,
    };
    let projected = steps.iter().rev().find_map(|step| match step {
        Step::Project(projection) => Some(projection.outputs),
        Step::Normalize => None,
    });
    projected.unwrap_or(Some(pooled))
}

impl ModelDescription {
    /// The description as a JSON object.
    pub fn to_json(&self) -> Value {
        let heads: Vec<String> = self.heads.iter().map(HeadKind::to_string).collect();
        json!({
            "name": self.name,
            "layout": layout_name(self.layout, &self.heads),
            "revision": self.revision,
            "makes": heads,
            "weights_hash": self.content.weights.to_string(),
            "tokenizer_hash": self.content.tokenizer.to_string(),
            "towers": self.towers.iter().map(TowerDescription::to_json).collect::<Vec<_>>(),
        })
    }

    /// The description as rows of a name and a value; both are empty between two towers.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let layout = layout_name(self.layout, &self.heads);
        let mut rows = vec![("model", self.name.clone()), ("layout", layout.to_owned())];
        rows.extend(self.revision.clone().map(|revision| ("revision", revision)));
        let makes: Vec<String> = self.heads.iter().map(HeadKind::to_string).collect();
        rows.push(("makes", makes.join(", ")));
        rows.push(("weights hash", self.content.weights.to_string()));
        rows.push(("tokenizer hash", self.content.tokenizer.to_string()));
        for tower in &self.towers {
            if let Some(side) = tower.side {
                let encodes = match side {
                    Side::Document => "documents",
                    Side::Query => "queries",
                };
                rows.push(("", String::new()));
                rows.push(("encodes", encodes.to_owned()));
            }
            tower.add_rows(&mut rows);
        }
        rows
    }
}

/// Says how the folder of a model is laid out.
fn layout_name(layout: Layout, heads: &[HeadKind]) -> &'static str {
    match layout {
        Layout::MaskedLm => "masked language model",
        Layout::Transformers => "transformers",
        Layout::SentenceTransformers => match heads.first() {
            Some(HeadKind::Sparse) => "sentence-transformers sparse encoder",
            _ => "sentence-transformers",
        },
        Layout::ColBert => "colbert-ai",
        Layout::TwoTower => "light-splade, with an encoder of its own for queries",
        Layout::OpenSearch => "OpenSearch, with a table for queries",
    }
}

impl TowerDescription {
    fn to_json(&self) -> Value {
        let side = self.side.map(|side| match side {
            Side::Document => "document",
            Side::Query => "query",
        });
        let mut json = json!({
            "side": side,
            "tokenizer": self.tokenizer,
            "tokens": self.tokens,
            "query_prompt": self.query_prompt,
            "document_prompt": self.document_prompt,
        });
        match &self.method {
            TowerMethod::Network {
                architecture,
                layers,
                hidden,
                heads,
                parameters,
                file,
                vocab,
                dimensions,
                max_tokens,
                head,
            } => {
                json["network"] = json!({
                    "architecture": architecture,
                    "layers": layers,
                    "hidden": hidden,
                    "attention_heads": heads,
                    "parameters": parameters,
                    "file": file,
                    "vocabulary": vocab,
                    "dimensions": dimensions,
                    "max_tokens": max_tokens,
                    "head": head,
                });
            }
            TowerMethod::Table { file } => json["table"] = json!({"file": file}),
        }
        json
    }

    fn add_rows(&self, rows: &mut Vec<(&'static str, String)>) {
        let tokenizer = format!("{}, {} tokens", self.tokenizer, self.tokens);
        match &self.method {
            TowerMethod::Network {
                architecture,
                layers,
                hidden,
                heads,
                parameters,
                file,
                vocab,
                dimensions,
                max_tokens,
                head,
            } => {
                let shape = format!("{layers} layers, hidden {hidden}, {heads} heads");
                let millions = *parameters as f64 / 1e6;
                rows.push(("body", format!("{architecture}: {shape}")));
                rows.push(("head", head.clone()));
                rows.push(("parameters", format!("{millions:.1} million in {file}")));
                rows.push(("vocabulary", format!("{vocab} terms")));
                if let Some(dimensions) = dimensions {
                    rows.push(("dimensions", dimensions.to_string()));
                }
                rows.push(("tokenizer", tokenizer));
                rows.push(("max tokens", max_tokens.to_string()));
            }
            TowerMethod::Table { file } => {
                rows.push(("weights", format!("looked up in {file}, no model runs")));
                rows.push(("tokenizer", tokenizer));
            }
        }
        let (query, document) = match self.side {
            None => ("query prompt", "document prompt"),
            Some(_) => ("prompt", "prompt"),
        };
        for (key, prompt) in [(query, &self.query_prompt), (document, &self.document_prompt)] {
            if !prompt.is_empty() {
                rows.push((key, format!("{prompt:?}")));
            }
        }
    }
}

impl fmt::Display for ModelDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in self.rows() {
            writeln!(f, "{}", format!("{key:15} {value}").trim_end())?;
        }
        Ok(())
    }
}
