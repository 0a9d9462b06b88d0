//! The ONNX nodes of the head.

use crate::arch::family::WordHead;
use crate::error::ModelError;
use crate::graph::{Builder, Value};

impl WordHead {
    /// Appends the nodes from the hidden states, `(batch, sequence, hidden)`, to the logits.
    /// `embedding` is the table of word embeddings.
    pub(crate) fn graph(
        &self,
        b: &mut Builder<'_>,
        hidden: &str,
        embedding: &str,
    ) -> Result<Value, ModelError> {
        let x = b.linear(hidden, self.dense, self.dense_bias)?;
        let x = b.activation(&x, self.activation);
        let x = b.norm(&x, self.norm, self.epsilon, self.norm_bias)?;
        let weight = match self.tied {
            true => b.transpose(embedding, &[1, 0]),
            false => b.weight(self.decoder, true)?,
        };
        let logits = b.op("MatMul", &[&x, &weight], vec![]);
        match self.bias_names().iter().find(|name| b.has(name)) {
            Some(name) => {
                let bias = b.weight(name, false)?;
                Ok(b.add(&logits, &bias))
            }
            None => Ok(logits),
        }
    }
}
