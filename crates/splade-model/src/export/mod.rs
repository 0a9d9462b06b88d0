//! Exports of models to folders that other libraries load.
//!
//! The top of a folder is the document encoder as transformers saves it, which light-splade's
//! Python library and text-embeddings-inference read too. The files of sentence-transformers are
//! next to it, in the format of versions 5.0 to 5.3, which later versions also read. A separate
//! query encoder is in `query_model`, where light-splade looks for it, and a table of query weights
//! in `query_0_SparseStaticEmbedding`. sentence-transformers finds both through its Router, in
//! which the module of the documents has the empty name and so refers to the top of the folder.
//!
//! ```
//! use splade_model::export::{ExportOptions, export_model};
//! use splade_model::weights::FloatType;
//!
//! # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
//! let folder = tempfile::tempdir()?;
//! let options = ExportOptions { dtype: FloatType::F16, ..ExportOptions::default() };
//! let exported = export_model(&model, &folder.path().join("half"), &options)?;
//! for reader in exported.readers() {
//!     println!("{}: {}", reader.name, reader.loads);
//! }
//! # assert!(folder.path().join("half/model.safetensors").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod model;
mod readers;
mod layout;
mod tower;
mod onnx;

use std::path::{Path, PathBuf};

use crate::arch::ArchitectureConfig;
use crate::config::read_json;
use crate::encoder::{Encoder, EncoderOptions, Side};
use crate::error::ModelError;
use crate::folder::{Method, ModelFolder};
use crate::head_kind::HeadKind;
use crate::weights::FloatType;
use layout::{QUERY_MODEL, QUERY_TABLE};
pub use model::{ExportedModel, QueryTower};
pub use onnx::OnnxOutput;
pub use readers::Reader;
use splade_io::Problem;

/// Settings of [`export_model`].
///
/// ```
/// use splade_model::export::{ExportOptions, export_model};
/// use splade_model::export::OnnxOutput;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let folder = tempfile::tempdir()?;
/// let options = ExportOptions { onnx: Some(OnnxOutput::Vector), ..ExportOptions::default() };
/// export_model(&model, folder.path(), &options)?;
/// assert!(folder.path().join("model.onnx").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The type of the weights in the files.
    pub dtype: FloatType,
    /// The longest text in tokens. `None` means the limit of the model.
    pub max_length: Option<usize>,
    /// A MeCab dictionary that replaces the one that a Japanese model names: a folder with a
    /// compiled dictionary or a packed file.
    pub mecab_dicdir: Option<PathBuf>,
    /// The output of the `model.onnx` that is written for each encoder. `None` means no such file.
    pub onnx: Option<OnnxOutput>,
}

/// Writes a model into the folder `to`, which is created if it does not exist.
///
/// ```
/// use splade_model::export::{ExportOptions, export_model};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let folder = tempfile::tempdir()?;
/// let exported = export_model(&model, folder.path(), &ExportOptions::default())?;
/// assert_eq!((exported.model_type.as_str(), exported.vocab), ("bert", 458));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if `from` does not hold a model that can be read, if a weight is too large for
/// the type or if a file cannot be written.
pub fn export_model(
    from: &Path,
    to: &Path,
    options: &ExportOptions,
) -> Result<ExportedModel, ModelError> {
    let folder = ModelFolder::with_head(&from.into(), HeadKind::Sparse)?;
    let load = |side| {
        let (max_length, mecab_dicdir) = (options.max_length, options.mecab_dicdir.clone());
        Encoder::load(
            from,
            &EncoderOptions { side, max_length, mecab_dicdir, ..EncoderOptions::default() },
        )
    };
    let Method::MaskedLm { pooling, saturation } = folder.document.method else {
        let problem = Problem::new("its documents are encoded with a table")
            .with_remedy("export a model that encodes documents with a masked language model");
        return Err(ModelError::Unsuitable { path: from.to_path_buf(), doing: EXPORT, problem });
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
    let (query, document) = (&folder.query, &folder.document);
    if folder.shares_towers() && query.max_seq_length != document.max_seq_length {
        let query = load(Side::Query)?.max_length();
        tower::write_query_length(to, query, encoder.max_length())?;
    }
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
        (_, _) => {
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

/// What [`export_model`] does, in messages.
const EXPORT: &str = "export the model";

fn same_vocabulary(from: &Path, document: usize, query: usize) -> Result<(), ModelError> {
    match document == query {
        true => Ok(()),
        false => Err(ModelError::Unsuitable {
            path: from.to_path_buf(),
            doing: EXPORT,
            problem: Problem::new(format!(
                "the document encoder has {document} terms but the query encoder {query}"
            ))
            .with_remedy("use two towers with the same vocabulary"),
        }),
    }
}
