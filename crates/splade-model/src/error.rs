//! The error type of this crate, for everything from finding a model to encoding texts.

use std::path::PathBuf;

use splade_io::Problem;
use splade_text::TextError;

use crate::head_kind::HeadKind;

/// An error of this crate. Messages name the file or folder and what is wrong with it;
/// [`hint`](Self::hint) says what to do.
///
/// ```
/// use splade_model::{Encoder, EncoderOptions, ModelError};
///
/// let folder = tempfile::tempdir()?;
/// let error = Encoder::load(folder.path(), &EncoderOptions::default()).expect_err("an empty folder");
/// assert!(matches!(error, ModelError::NoModel { .. }), "{error}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Products of bfloat16 were asked for, which the CPU or the named kernels do not have.
    #[error("there are no products of bfloat16 (AMX) with the kernels {kernels}")]
    NoBf16 {
        /// The instruction set that was to be used.
        kernels: splade_nn::Isa,
    },
    /// A file is not valid JSON.
    #[error("{} is not valid JSON", path.display())]
    Json {
        /// The path of the file.
        path: PathBuf,
        /// The error of the parser, with the line and the column.
        source: serde_json::Error,
    },
    /// A text of token ids is empty or too long.
    #[error("text {text} has {got} token ids, but the model takes 1 to {longest}")]
    TokenCount {
        /// The place of the text among the texts, from 0.
        text: usize,
        /// The number of ids.
        got: usize,
        /// The largest number of ids.
        longest: usize,
    },
    /// A token id is not in the vocabulary.
    #[error("text {text} has the token id {id}, but the vocabulary has {vocab} tokens")]
    TokenId {
        /// The place of the text among the texts, from 0.
        text: usize,
        /// The id.
        id: u32,
        /// The size of the vocabulary.
        vocab: usize,
    },
    /// A config has an invalid value.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The path of the file.
        path: PathBuf,
        /// The key, the reason and what to do.
        problem: Problem,
    },
    /// A config has a value that is not implemented.
    #[error("{}: \"{key}\" is {value}, which is not implemented; implemented: {known}", path.display())]
    UnsupportedConfig {
        /// The path of the file.
        path: PathBuf,
        /// The key in the file.
        key: String,
        /// The value of the key, as JSON.
        value: String,
        /// The values that are implemented, as a comma-separated list.
        known: String,
    },
    /// A config has a key that is not known, so that it is not known either whether vectors depend
    /// on it.
    #[error(
        "{}: the key \"{key}\" ({value}) is not known, so the vectors could be wrong",
        path.display()
    )]
    UnknownKey {
        /// The path of the file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value of the key, as JSON.
        value: String,
    },
    /// A tensor has a number that no trained model has.
    #[error(
        "{}: the tensor {name} has the number {value}, so the weights are damaged or training \
         diverged",
        path.display()
    )]
    Number {
        /// The path of the weights file.
        path: PathBuf,
        /// The name of the tensor.
        name: String,
        /// The first number that is not finite or too large.
        value: f32,
    },
    /// The model gives numbers for a text that are not finite.
    #[error(
        "the model gives numbers for the text {text:?} that are not finite; its weights are damaged \
         or too large"
    )]
    NotFinite {
        /// The start of the text.
        text: String,
    },
    /// The weights do not fit the config.
    #[error("{}: the weights do not fit config.json{}", path.display(), tensors(missing, misshapen, unexpected))]
    Tensors {
        /// The path of the weights file or of its folder.
        path: PathBuf,
        /// The tensors that the architecture needs and the file does not contain.
        missing: Vec<String>,
        /// The tensors with a wrong shape, each with both shapes.
        misshapen: Vec<String>,
        /// The tensors in the file that the architecture does not have.
        unexpected: Vec<String>,
    },
    /// A folder does not hold a model.
    #[error("{}: {problem}", path.display())]
    NoModel {
        /// The path of the folder.
        path: PathBuf,
        /// The missing file, and what was expected.
        problem: Problem,
    },
    /// A model makes something else of a text than what is needed.
    #[error("{}: the model makes {}, not {wanted}", path.display(), kinds(heads))]
    OtherHead {
        /// The path of the folder.
        path: PathBuf,
        /// What the model makes.
        heads: Vec<HeadKind>,
        /// What is needed.
        wanted: HeadKind,
    },
    /// The tokenizer lacks a token that the model needs.
    #[error("the tokenizer has no token {token:?}, which the model needs as {needed_as}")]
    MissingToken {
        /// The token.
        token: String,
        /// What the model needs it for.
        needed_as: &'static str,
    },
    /// The vectors of queries and documents have different dimensions.
    #[error(
        "{}: documents have vectors of {documents} dimensions, but queries of {queries}, so they \
         cannot be compared",
        path.display()
    )]
    OtherDimensions {
        /// The path of the folder.
        path: PathBuf,
        /// The dimensions of documents.
        documents: usize,
        /// The dimensions of queries.
        queries: usize,
    },
    /// A model of the hub could not be found, downloaded, stored or uploaded.
    #[error("{name}: {problem}")]
    Hub {
        /// The name of the model, with the revision if one was given.
        name: String,
        /// The reason and what to do.
        problem: Problem,
    },
    /// The observer asked to stop a download or an upload.
    #[error("stopped; {kept}")]
    Stopped {
        /// What is kept, and how to continue.
        kept: String,
    },
    /// The tokenizer could not be loaded or failed on a text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The operating system could not start the threads.
    #[error("cannot start threads")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// Training is not implemented for the architecture of a model.
    #[error("{}: {name} models cannot be trained, only used", path.display())]
    Untrained {
        /// The folder of the model.
        path: PathBuf,
        /// The name of the architecture.
        name: &'static str,
        /// The names of the architectures that can be trained.
        trained: String,
    },
    /// The export to ONNX is not implemented for the architecture of a model.
    #[error("{}: ONNX is not written for {name}", path.display())]
    NoGraph {
        /// The folder of the model.
        path: PathBuf,
        /// The name of the architecture.
        name: &'static str,
    },
    /// The tokenizer has more tokens than the model has embeddings.
    #[error(
        "{}: the tokenizer has {tokens} tokens, but the model's vocabulary only {vocab} terms",
        path.display()
    )]
    Vocabulary {
        /// The folder of the model.
        path: PathBuf,
        /// The number of tokens of the tokenizer.
        tokens: usize,
        /// The number of terms in the model's vocabulary.
        vocab: usize,
    },
    /// A maximum length is outside the range of the model.
    #[error("the maximum length is {got} tokens, but the model takes {shortest} to {longest}")]
    MaxLength {
        /// The requested length in tokens.
        got: usize,
        /// The shortest length in tokens that leaves room for a text.
        shortest: usize,
        /// The longest length in tokens that the model takes.
        longest: usize,
    },
    /// There is no folder for what is fetched from the hub, because the system names no home folder.
    #[error("there is no home folder for the hub's cache")]
    NoCache,
    /// A model cannot be used for something.
    #[error("{}: cannot {doing}: {problem}", path.display())]
    Unsuitable {
        /// The path of the model's folder, or of the file of it that is in the way.
        path: PathBuf,
        /// The use, such as `export the model`.
        doing: &'static str,
        /// What is in the way, and what to do.
        problem: Problem,
    },
    /// A cross-encoder has another number of labels than a score can be made of.
    #[error("cannot score pairs: a score needs one or two labels, but this model has {labels}")]
    Labels {
        /// The number of labels.
        labels: usize,
    },
    /// The decoder of a model has no bias that could be set.
    #[error("cannot calibrate the model, because its decoder has no bias")]
    NoBias,
    /// A weights file is damaged or has an unknown format.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// The path of the file.
        path: PathBuf,
        /// The reason and what to do.
        problem: Problem,
    },
}

impl ModelError {
    /// Returns the error of a download or an upload that was stopped.
    #[cfg(feature = "hub")]
    pub(crate) fn transfer_stopped() -> Self {
        let kept = "what has been transferred is kept, and the same command continues";
        Self::Stopped { kept: kept.to_owned() }
    }

    /// Returns what the user can do about the error, as a sentence without a full stop, or `None`
    /// if the error alone does not determine it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnsupportedConfig { known, .. } => Some(format!("use a model with {known}")),
            Self::UnknownKey { .. } => Some(
                "delete the key if no vector depends on it, or encode with the library that wrote it"
                    .to_owned(),
            ),
            Self::Number { .. } => Some(
                "take the weights of a checkpoint before that, or download the file again".to_owned(),
            ),
            Self::Untrained { trained, .. } => Some(format!(
                "start from a model of another architecture; {trained} can be trained"
            )),
            Self::NoBf16 { .. } => Some("use f32 or int8".to_owned()),
            Self::NoGraph { .. } => Some("export without --onnx".to_owned()),
            Self::Vocabulary { .. } => {
                Some("use the tokenizer that the model was trained with".to_owned())
            }
            Self::Tensors { .. } => Some(
                "check that config.json and the weights are those of one masked language model"
                    .to_owned(),
            ),
            Self::OtherHead { heads, wanted, .. } => Some(match heads.first() {
                Some(HeadKind::Classifier) => {
                    format!("name a model that makes {wanted}; a cross-encoder only scores pairs")
                }
                _ => format!("name a model that makes {wanted}"),
            }),
            Self::Threads(_) => Some("ask for fewer threads".to_owned()),
            Self::NoCache => Some("set HF_HOME".to_owned()),
            Self::Labels { .. } => Some("use a model with one label, or with two".to_owned()),
            Self::Text(error) => error.hint().map(str::to_owned),
            Self::Io { source, .. } => TextError::hint_of(source).map(str::to_owned),
            Self::Config { problem, .. }
            | Self::NoModel { problem, .. }
            | Self::Hub { problem, .. }
            | Self::Unsuitable { problem, .. }
            | Self::Weights { problem, .. } => problem.hint().map(str::to_owned),
            _ => None,
        }
    }
}

/// Formats what a model makes.
fn kinds(heads: &[HeadKind]) -> String {
    heads.iter().map(HeadKind::to_string).collect::<Vec<_>>().join(", ")
}

/// Formats the lists of a [`ModelError::Tensors`]. Each list is cut after twenty names.
fn tensors(missing: &[String], misshapen: &[String], unexpected: &[String]) -> String {
    let mut text = String::new();
    for (what, names) in
        [("missing", missing), ("wrong shape", misshapen), ("unexpected", unexpected)]
    {
        if names.is_empty() {
            continue;
        }
        text +=
            &format!("\n  {what} ({}): {}", names.len(), names[..names.len().min(20)].join(", "));
        if names.len() > 20 {
            text += ", …";
        }
    }
    text
}
