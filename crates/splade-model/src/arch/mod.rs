//! Model architectures: the layers from token ids to hidden states, and the decoder over the
//! vocabulary or a classifier.
//!
//! Each family has one file (with a folder of the same name): its entry in the list, its config, a
//! struct of layers with a `load` that names every tensor and a `forward` that reads top to bottom,
//! its training passes and its ONNX graph. `family.rs` says what such a file provides, and
//! `list.rs` lists the families. To add an architecture, write its file and name it in the list.
//! Texts are packed without padding.

mod batch;
mod words;
mod training;
mod family;
mod head;
mod post_norm;
mod bert;
mod modernbert;
mod deberta_v2;
mod mpnet;
mod rotary_bert;
mod gte;
mod nomic_bert;
mod list;
mod masked_lm;
mod backbone;
mod classifier;

pub(crate) use backbone::Backbone;
pub(crate) use batch::{PackedTexts, Workspace};
pub(crate) use classifier::{ClassifierConfig, SavedHead, ScoreActivation, SequenceClassifier};
pub(crate) use family::ClassifierNames;
pub use list::ArchitectureConfig;
pub(crate) use list::family;
pub(crate) use masked_lm::{Gradients, MaskedLm, open_weights};
pub(crate) use training::{Pass, Saved, Work};
