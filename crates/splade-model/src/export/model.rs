//! Describes an exported model and the way in which it encodes queries.

use splade_nn::{Pooling, Saturation};

use super::onnx::OnnxOutput;
use crate::arch::ArchitectureConfig;
use crate::weights::FloatType;

/// The method by which queries become vectors.
///
/// ```
/// use splade_model::export::{ExportOptions, QueryTower, export_model};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference/inference-free");
/// let folder = tempfile::tempdir()?;
/// let exported = export_model(&model, folder.path(), &ExportOptions::default())?;
/// assert_eq!(exported.query, QueryTower::Table);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryTower {
    /// Queries use the encoder of the documents.
    Shared,
    /// Queries have a separate model.
    Model,
    /// Queries use a table of weights.
    Table,
}

/// The properties of an exported model.
///
/// ```
/// use splade_model::export::{ExportOptions, export_model};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let folder = tempfile::tempdir()?;
/// let exported = export_model(&model, folder.path(), &ExportOptions::default())?;
/// assert!(exported.japanese);
/// println!("{} parameters, documents of {} tokens", exported.parameters, exported.max_length);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExportedModel {
    /// The architecture of the document encoder.
    pub architecture: ArchitectureConfig,
    /// The `model_type` in the config of the document encoder.
    pub model_type: String,
    /// Whether the tokenizer is a `BertJapaneseTokenizer`.
    pub japanese: bool,
    /// Whether the folder has a `tokenizer.json`.
    pub tokenizer_json: bool,
    /// The pooling and the saturation of the document encoder.
    pub head: (Pooling, Saturation),
    /// The type of the weights.
    pub dtype: FloatType,
    /// The longest document in tokens.
    pub max_length: usize,
    /// The number of terms in the vocabulary.
    pub vocab: usize,
    /// The number of parameters of the document encoder.
    pub parameters: u64,
    /// The method by which queries become vectors.
    pub query: QueryTower,
    /// The prompts of queries and documents, in this order.
    pub prompts: [String; 2],
    /// The output of `model.onnx`, if the file was written.
    pub onnx: Option<OnnxOutput>,
}
