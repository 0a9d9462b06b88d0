//! Heads: what turns the hidden states of a body into vectors.
//!
//! Each head has one file. It says what a folder tells of the head, loads it, and computes it from the
//! hidden states. [`HeadKind`](crate::HeadKind) lists what heads make of a text. Two heads are elsewhere, because they
//! are more than a function of the hidden states: SPLADE's decoder shares the word embeddings of the
//! body (`arch/head.rs`), and a classifier reads pairs of texts (`arch/classifier.rs`).

mod network;
pub(crate) mod steps;
pub(crate) mod dense;
pub(crate) mod late_interaction;
pub(crate) mod token_weights;

pub use dense::{DenseHead, TokenPooling};
pub use late_interaction::{Expansion, LateInteraction, TokenRules};
pub(crate) use network::{HiddenNetwork, Prepared};
pub use steps::{Projection, ProjectionFile, Step};
pub use token_weights::TokenWeights;
