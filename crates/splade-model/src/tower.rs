//! Towers: the encoder of one side, as a folder describes it.

use std::path::{Path, PathBuf};

use splade_io::Problem;
use splade_nn::{Pooling, Saturation};

use crate::error::ModelError;
use crate::head_kind::HeadKind;
use crate::heads::{DenseHead, LateInteraction, TokenWeights};

/// The encoder of one side, as the folder describes it.
///
/// ```
/// use splade_model::ModelFolder;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let tower = ModelFolder::open(&model)?.query;
/// assert_eq!(tower.dir, model);
/// assert_eq!((tower.prompt.as_str(), tower.max_active_dims), ("", None));
/// # Ok::<(), splade_model::ModelError>(())
/// ```
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
///
/// ```
/// use splade_model::ModelFolder;
/// use splade_model::folder::{Method, Pooling, Saturation};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let method = ModelFolder::open(&model)?.document.method;
/// let splade = Method::MaskedLm { pooling: Pooling::Max, saturation: Saturation::Log1pRelu };
/// assert_eq!(method, splade);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
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
    /// A layer over the hidden states gives the weight of each token of the text.
    TokenWeights(TokenWeights),
    /// The hidden states are pooled to one vector.
    Dense(DenseHead),
    /// Every token has a vector.
    LateInteraction(LateInteraction),
    /// A classifier scores pairs of texts. [`CrossEncoder`](crate::CrossEncoder) loads it.
    Classifier,
}

impl Method {
    /// Returns what the method makes of a text.
    pub fn kind(&self) -> HeadKind {
        match self {
            Self::MaskedLm { .. } | Self::Lookup(_) | Self::TokenWeights(_) => HeadKind::Sparse,
            Self::Dense(_) => HeadKind::Dense,
            Self::LateInteraction(_) => HeadKind::MultiVector,
            Self::Classifier => HeadKind::Classifier,
        }
    }
}

/// The place of the weights of an inference-free tower.
///
/// ```
/// use splade_model::ModelFolder;
/// use splade_model::folder::{Method, Table};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference/inference-free");
/// let Method::Lookup(table) = ModelFolder::open(&model)?.query.method else { panic!("no table") };
/// assert!(matches!(table, Table::Tensor(_)));
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// The tensor `weight` of the weights file in this folder.
    Tensor(PathBuf),
    /// A JSON file with an object from token to weight.
    Json(PathBuf),
}

impl Tower {
    /// Returns the tower of a masked language model with the pooling and saturation of the SPLADE
    /// papers.
    pub(crate) fn masked_lm(dir: PathBuf) -> Self {
        let method = Method::MaskedLm { pooling: Pooling::Max, saturation: Saturation::Log1pRelu };
        Self { dir, method, max_seq_length: None, prompt: String::new(), max_active_dims: None }
    }
}

/// The towers of both sides that use the same modules.
pub(crate) struct Towers {
    pub(crate) query: Tower,
    pub(crate) document: Tower,
}

/// A module in the list of a sentence-transformers model.
pub(crate) struct Module {
    /// The full name of the Python class.
    pub(crate) class: String,
    pub(crate) dir: PathBuf,
}

impl Module {
    /// Returns the name of the class without its package, because the package differs between
    /// versions.
    pub(crate) fn kind(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or_default()
    }
}

/// Returns the error of a file whose content is wrong.
pub(crate) fn invalid(file: &Path, problem: impl Into<Problem>) -> ModelError {
    ModelError::Config { path: file.to_path_buf(), problem: problem.into() }
}
