//! ONNX graphs: the messages of the format and a builder that appends node by node.
//!
//! What an architecture looks like as a graph stands with the architecture (`arch/*/onnx.rs`); the
//! file around it is written by `export/onnx.rs`.

pub(crate) mod proto;
pub(crate) mod builder;

pub(crate) use builder::{Builder, Value, int, ints};

/// The inputs of the graph of an encoder.
pub(crate) struct Inputs {
    /// `(batch, sequence)`
    pub(crate) ids: Value,
    /// 1 for a token, 0 for padding.
    pub(crate) mask: Value,
    /// Where the model has several: 0 for the first text, 1 for the second.
    pub(crate) token_types: Option<Value>,
}
