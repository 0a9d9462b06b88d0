//! A model as `model.onnx`, for onnxruntime and what is built on it.
//!
//! ```text
//! input_ids, attention_mask[, token_type_ids] ─► networks ─► logits ─► [pooling ─► vector]
//! ```
//!
//! Operators of opset 17, which onnxruntime runs from version 1.12 on. Arithmetic is in 32 bits;
//! weights of 16 are cast. A file of protobuf holds 2 GB at most.

use std::path::Path;

use prost::Message;
use splade_nn::{Pooling, Saturation};

use crate::arch::ArchitectureConfig;
use crate::error::ModelError;
use crate::graph::proto::{Model, OperatorSet, Size};
use crate::graph::{Builder, Inputs, Value, int, ints};
use crate::weights::{FloatType, Weights};

/// Of `LayerNormalization`, the newest operator used.
const OPSET: i64 = 17;
/// Of that opset's time.
const IR_VERSION: i64 = 8;
/// What protobuf can hold.
const MAX_BYTES: usize = i32::MAX as usize;

/// What a graph gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnnxOutput {
    /// `logits`, `(batch, sequence, vocab)`: fastembed and sentence-transformers pool them.
    Logits,
    /// `sparse_vector`, `(batch, vocab)`: pooled, for programs that run the graph themselves.
    Vector,
}

/// Whether a graph can be written of a model, before anything is.
pub(super) fn check(from: &Path) -> Result<(), ModelError> {
    let config = ArchitectureConfig::open(from)?;
    config.0.graph().map(drop).ok_or_else(|| not_written(from, &config))
}

fn not_written(from: &Path, config: &ArchitectureConfig) -> ModelError {
    ModelError::NoGraph { path: from.to_path_buf(), name: config.name() }
}

/// Writes `model.onnx` into the folder of a model that was checked.
pub(super) fn write(
    folder: &Path,
    dtype: FloatType,
    (pooling, saturation): (Pooling, Saturation),
    output: OnnxOutput,
) -> Result<(), ModelError> {
    let weights = Weights::open(folder)?;
    let mut b = Builder::new(&weights, dtype);
    let config = ArchitectureConfig::open(folder)?;
    let graph = config.0.graph().ok_or_else(|| not_written(folder, &config))?;
    let has_types = config.0.sizes().token_types > 1;
    let [ids, mask] = ["input_ids", "attention_mask"].map(|name| b.input(name));
    let token_types = has_types.then(|| b.input("token_type_ids"));
    let inputs = Inputs { ids, mask, token_types };
    let logits = graph.build(&mut b, &inputs)?;
    let named = |name: &str| Size::Name(name.to_owned());
    let vocab = Size::Value(config.vocab() as i64);
    match output {
        OnnxOutput::Logits => {
            b.output(&logits, "logits", vec![named("batch"), named("sequence"), vocab]);
        }
        OnnxOutput::Vector => {
            let vector = pooled(&mut b, &logits, &inputs.mask, pooling, saturation);
            b.output(&vector, "sparse_vector", vec![named("batch"), vocab]);
        }
    }
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "light-splade".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(b.graph),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
    };
    let path = folder.join("model.onnx");
    if model.encoded_len() > MAX_BYTES {
        return Err(ModelError::Setting(format!(
            "{}: a file of ONNX holds 2 GB, and this model has {} bytes; use --dtype f16",
            path.display(),
            model.encoded_len()
        )));
    }
    std::fs::write(&path, model.encode_to_vec())
        .map_err(|source| ModelError::Write { path, source })
}

/// Pools logits of tokens: the maximum, or the sum, of `log(1 + relu(logit))`.
fn pooled(
    b: &mut Builder<'_>,
    logits: &str,
    mask: &str,
    pooling: Pooling,
    saturation: Saturation,
) -> Value {
    let far = b.far_where_zero(mask);
    let far = b.unsqueeze(&far, &[2]);
    let logits = b.add(logits, &far);
    match pooling {
        // The activation rises: after the maximum it has less to do.
        Pooling::Max => {
            let attributes = vec![ints("axes", &[1]), int("keepdims", 0)];
            let largest = b.op("ReduceMax", &[&logits], attributes);
            saturated(b, &largest, saturation)
        }
        Pooling::Sum => {
            let weights = saturated(b, &logits, saturation);
            let axis = b.ints(&[1]);
            b.op("ReduceSum", &[&weights, &axis], vec![int("keepdims", 0)])
        }
    }
}

fn saturated(b: &mut Builder<'_>, x: &str, saturation: Saturation) -> Value {
    let mut x = b.op("Relu", &[x], vec![]);
    let times = match saturation {
        Saturation::Log1pRelu => 1,
        Saturation::Log1pLog1pRelu => 2,
    };
    for _ in 0..times {
        let one = b.scalar(1.0);
        let more = b.add(&x, &one);
        x = b.op("Log", &[&more], vec![]);
    }
    x
}
