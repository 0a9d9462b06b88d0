//! Backward passes: the gradients of every layer with respect to its input and its weights.
//!
//! A forward pass for training keeps what its backward pass needs, except for values that are cheap
//! to recompute. Gradients of weights are added to structures of the same type and in the same
//! packed layout as the weights, since nothing that an optimizer does depends on the order. Every
//! number is a single chain of additions in a fixed order, so the number of threads does not change
//! the result.

mod activation;
mod attention;
mod cross_entropy;
mod dropout;
mod head;
mod linear;
mod norm;

pub use activation::{activate, activation_backward, gated_backward};
pub use cross_entropy::{CrossEntropy, cross_entropy, cross_entropy_backward};
pub use dropout::{Dropout, KeyedTexts};
pub use head::splade_head_backward;
pub use linear::Scratch;
pub use norm::SavedNorm;
