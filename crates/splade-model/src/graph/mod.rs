//! ONNX graphs: the messages of the format and a builder that appends node by node.
//!
//! The graph of each architecture is in `arch/*/onnx.rs`; `export/onnx.rs` writes the file around
//! it.

pub(crate) mod proto;
pub(crate) mod builder;

pub(crate) use builder::{Builder, Value, int, ints};

/// The inputs of an encoder's graph.
pub(crate) struct Inputs {
    /// The token ids, `(batch, sequence)`.
    pub(crate) ids: Value,
    /// The attention mask, `(batch, sequence)`: 1 for a token, 0 for padding.
    pub(crate) mask: Value,
    /// The token types, `(batch, sequence)`, if the model has several: 0 for the first text, 1 for
    /// the second.
    pub(crate) token_types: Option<Value>,
}
