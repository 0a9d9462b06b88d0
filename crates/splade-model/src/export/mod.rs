//! Model folders that other libraries load.
//!
//! The top of a folder is the encoder of documents as transformers saves it, which is also what
//! light-splade's Python library and text-embeddings-inference read. sentence-transformers' files
//! stand beside it in the form of versions 5.0 to 5.3, which later ones read too. An encoder of its
//! own for queries is in `query_model`, where light-splade looks for it, and a table of weights in
//! `query_0_SparseStaticEmbedding`; sentence-transformers finds either through its Router, whose
//! documents' module has the empty name: the top of the folder.

mod readers;
mod layout;
mod tower;
mod onnx;

use std::path::{Path, PathBuf};

use splade_nn::{Pooling, Saturation};

use crate::arch::ArchitectureConfig;
use crate::config::read_json;
use crate::encoder::{Encoder, EncoderOptions, Side};
use crate::error::ModelError;
use crate::folder::{Method, ModelFolder};
use crate::weights::FloatType;
pub use onnx::OnnxOutput;
pub use readers::Reader;

/// light-splade's name of the folder of an encoder for queries.
const QUERY_MODEL: &str = "query_model";
/// sentence-transformers' name of the folder of a table for queries.
const QUERY_TABLE: &str = "query_0_SparseStaticEmbedding";

/// Settings of [`export_model`].
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The type of the weights.
    pub dtype: FloatType,
    /// The longest text in tokens; the model's own if none.
    pub max_length: Option<usize>,
    /// A compiled MeCab dictionary for Japanese models.
    pub mecab_dicdir: Option<PathBuf>,
    /// Whether there is a `model.onnx` for each encoder, and what it gives.
    pub onnx: Option<OnnxOutput>,
}

/// How queries become vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryTower {
    /// As documents do.
    Shared,
    /// By a model of their own.
    Model,
    /// By a table of weights.
    Table,
}

/// What was exported.
#[derive(Debug, Clone)]
pub struct ExportedModel {
    /// The documents' architecture.
    pub architecture: ArchitectureConfig,
    /// `model_type` of its config.
    pub model_type: String,
    /// Whether its tokenizer is `BertJapaneseTokenizer`.
    pub japanese: bool,
    /// Whether there is a `tokenizer.json`.
    pub tokenizer_json: bool,
    /// From tokens to weights.
    pub head: (Pooling, Saturation),
    /// The type of the weights.
    pub dtype: FloatType,
    /// The longest document in tokens.
    pub max_length: usize,
    /// Terms of the vocabulary.
    pub vocab: usize,
    /// Numbers of the document's model.
    pub parameters: u64,
    /// Of queries.
    pub query: QueryTower,
    /// Put before queries and documents.
    pub prompts: [String; 2],
    /// What `model.onnx` gives, if there is one.
    pub onnx: Option<OnnxOutput>,
}

/// Writes a model in the folder `to`, which is made if it is missing.
///
/// # Errors
/// If `from` is no model that can be read, a weight is too large for the type, or a file cannot be
/// written.
pub fn export_model(
    from: &Path,
    to: &Path,
    options: &ExportOptions,
) -> Result<ExportedModel, ModelError> {
    let folder = ModelFolder::open(from)?;
    let load = |side| {
        let (max_length, mecab_dicdir) = (options.max_length, options.mecab_dicdir.clone());
        Encoder::load(
            from,
            &EncoderOptions { side, max_length, mecab_dicdir, ..EncoderOptions::default() },
        )
    };
    let Method::MaskedLm { pooling, saturation } = folder.document.method else {
        return Err(ModelError::Setting(format!(
            "{}: documents are looked up in a table; only models whose documents go through a \
             masked language model are exported",
            from.display()
        )));
    };
    if options.onnx.is_some() {
        onnx::check(&folder.document.dir)?;
        if let Method::MaskedLm { .. } = folder.query.method {
            onnx::check(&folder.query.dir)?;
        }
    }
    let onnx = |to: &Path, head| match options.onnx {
        Some(output) => onnx::write(to, options.dtype, head, output),
        None => Ok(()),
    };
    let encoder = load(Side::Document)?;
    let parameters = tower::write_model(&folder.document.dir, &encoder, to, options.dtype)?;
    onnx(to, (pooling, saturation))?;
    let (max_length, vocab) = (encoder.max_length(), encoder.vocab());
    drop(encoder);
    let query = match (&folder.query.method, folder.shares_towers()) {
        (_, true) => QueryTower::Shared,
        (Method::MaskedLm { pooling, saturation }, _) => {
            let encoder = load(Side::Query)?;
            same_vocabulary(from, vocab, encoder.vocab())?;
            let to = to.join(QUERY_MODEL);
            tower::write_model(&folder.query.dir, &encoder, &to, options.dtype)?;
            onnx(&to, (*pooling, *saturation))?;
            QueryTower::Model
        }
        (Method::Lookup(_), _) => {
            let encoder = load(Side::Query)?;
            let table = encoder.table().unwrap_or_default();
            tower::write_table(&folder.query.dir, table, vocab, &to.join(QUERY_TABLE))?;
            QueryTower::Table
        }
    };
    layout::write(&folder, query, vocab, to)?;
    let config = read_json(&to.join("config.json"))?.unwrap_or_default();
    let tokenizer = read_json(&to.join("tokenizer_config.json"))?.unwrap_or_default();
    Ok(ExportedModel {
        architecture: ArchitectureConfig::open(to)?,
        model_type: config["model_type"].as_str().unwrap_or_default().to_owned(),
        japanese: tokenizer["tokenizer_class"] == "BertJapaneseTokenizer",
        tokenizer_json: to.join("tokenizer.json").is_file(),
        head: (pooling, saturation),
        dtype: options.dtype,
        max_length,
        vocab,
        parameters,
        query,
        prompts: [folder.query.prompt, folder.document.prompt],
        onnx: options.onnx,
    })
}

fn same_vocabulary(from: &Path, document: usize, query: usize) -> Result<(), ModelError> {
    match document == query {
        true => Ok(()),
        false => Err(ModelError::Setting(format!(
            "{}: documents have {document} terms and queries {query}; they must have the same",
            from.display()
        ))),
    }
}
