//! What can go wrong between a model's name and its vectors.

use std::path::PathBuf;

/// An error of this crate. Messages name the place and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not JSON.
    #[error("{} is not valid JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A config has a value that makes no sense.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Which key and why.
        message: String,
    },
    /// A config asks for something that is not implemented.
    #[error("{}: \"{key}\" is {value}, which is not implemented; implemented: {known}", path.display())]
    UnsupportedConfig {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value, as JSON.
        value: String,
        /// What would be understood.
        known: String,
    },
    /// The weights do not fit the config.
    #[error("{}: the weights do not fit config.json{}", path.display(), tensors(missing, misshapen, unexpected))]
    Tensors {
        /// The weights file or folder.
        path: PathBuf,
        /// Tensors that the architecture has and the file has not.
        missing: Vec<String>,
        /// Tensors of another shape, described.
        misshapen: Vec<String>,
        /// Tensors that the architecture does not know.
        unexpected: Vec<String>,
    },
    /// A folder is no model. The message says what would be one.
    #[error("{}: {message}", path.display())]
    NoModel {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        message: String,
    },
    /// A model of the hub could not be found, fetched or kept.
    #[error("{name}: {message}")]
    Hub {
        /// The model's name, with its revision where one was given.
        name: String,
        /// What happened, and what to do.
        message: String,
    },
    /// The tokenizer could not be loaded, or failed on a text.
    #[error(transparent)]
    Text(#[from] splade_text::TextError),
    /// The system gave no threads.
    #[error("cannot start threads")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// The architecture of a model has no training passes.
    #[error("{}: {name} models cannot be trained, only used; {trained} can", path.display())]
    Untrained {
        /// The folder of the model.
        path: PathBuf,
        /// The architecture.
        name: &'static str,
        /// The names of those that can be trained.
        trained: String,
    },
    /// No ONNX graph is written for the architecture of a model.
    #[error("{}: ONNX is not written for {name}; leave --onnx out", path.display())]
    NoGraph {
        /// The folder of the model.
        path: PathBuf,
        /// The architecture.
        name: &'static str,
    },
    /// A tokenizer has tokens for which the model has no embedding.
    #[error(
        "{}: the tokenizer has {tokens} tokens but the model's vocabulary {vocab}",
        path.display()
    )]
    Vocabulary {
        /// The folder of the model.
        path: PathBuf,
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Terms of the model.
        vocab: usize,
    },
    /// A maximum length is not possible with the model.
    #[error("a maximum length of {got} tokens; the model takes {shortest} to {longest}")]
    MaxLength {
        /// The length that was asked for.
        got: usize,
        /// The shortest that leaves room for a text.
        shortest: usize,
        /// The longest that the model can take.
        longest: usize,
    },
    /// A setting does not fit the model.
    #[error("{0}")]
    Setting(String),
    /// A weights file is damaged or of an unknown form.
    #[error("{}: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

impl ModelError {
    /// What a person can do about the error, in a sentence without a full stop, where that does not
    /// depend on more than the error.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnsupportedConfig { known, .. } => Some(format!("use a model with {known}")),
            Self::Untrained { trained, .. } => {
                Some(format!("start from a model of another architecture: {trained}"))
            }
            Self::NoGraph { .. } => Some("export without --onnx".to_owned()),
            Self::MaxLength { shortest, longest, .. } => {
                Some(format!("give a maximum length from {shortest} to {longest}"))
            }
            Self::Vocabulary { .. } => {
                Some("use the tokenizer that the model was trained with".to_owned())
            }
            Self::Tensors { .. } => Some(
                "check that config.json and the weights are those of one masked language model"
                    .to_owned(),
            ),
            Self::Threads(_) => Some("ask for fewer threads".to_owned()),
            _ => None,
        }
    }
}

/// The lists of a [`ModelError::Tensors`], each cut off after twenty names.
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
