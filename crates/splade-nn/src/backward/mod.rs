//! Backward passes: the gradient of every layer by its input and its weights.
//!
//! A forward pass that is to be learned from keeps what its backward pass here asks for; what is
//! cheap to compute again is not kept. Gradients of weights are added to structures of the same
//! type as the weights, in the same packed order, as nothing that an optimizer does depends on the
//! order. Every number is one chain of additions in a fixed order: threads do not change a bit.

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
