//! Models: token ids to hidden states, and the decoder over the vocabulary or a classifier.
//!
//! One file (with a folder of the same name) for each family: its entry in the list, its config, a
//! struct of layers with a `load` that names every tensor and a `forward` that reads top to bottom,
//! its training passes and its ONNX graph. `family.rs` says what such a file provides and `list.rs`
//! lists them: to add an architecture is to write its file and to name it there. Texts come packed,
//! without padding.

mod batch;
mod words;
mod training;
mod family;
mod head;
mod post_norm;
mod bert;
mod modernbert;
mod deberta_v2;
mod list;
mod masked_lm;
mod classifier;

pub(crate) use batch::{PackedTexts, Workspace};
pub(crate) use classifier::{ClassifierConfig, SavedHead, ScoreActivation, SequenceClassifier};
pub(crate) use family::ClassifierNames;
pub use list::ArchitectureConfig;
pub(crate) use list::family;
pub(crate) use masked_lm::{Gradients, MaskedLm};
pub(crate) use training::{Pass, Saved, Work};
