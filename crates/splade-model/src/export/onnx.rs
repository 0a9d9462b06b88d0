//! Writes a model as `model.onnx`, for onnxruntime and libraries that use it.
//!
//! ```text
//! input_ids, attention_mask[, token_type_ids] ─► networks ─► logits ─► [pooling ─► vector]
//! ```
//!
//! The operators are those of opset 17, which onnxruntime runs from version 1.12 on. Arithmetic is
//! in 32 bits; 16-bit weights are cast. A protobuf file holds at most 2 GB.

use std::path::Path;

use prost::Message;
use splade_io::Problem;
use splade_nn::{Pooling, Saturation};

use crate::arch::{ArchitectureConfig, open_weights};
use crate::error::ModelError;
use crate::graph::proto::{Model, OperatorSet, Size};
use crate::graph::{Builder, Inputs, Value, int, ints};
use crate::weights::FloatType;

/// The version of the operators. `LayerNormalization`, the newest operator of the graphs, needs 17.
const OPSET: i64 = 17;
/// The version of the file format that belongs to opset 17.
const IR_VERSION: i64 = 8;
/// The largest size of a protobuf file in bytes.
const MAX_BYTES: usize = i32::MAX as usize;

/// The output of a graph.
///
/// ```
/// use splade_model::export::{ExportOptions, OnnxOutput, export_model};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let folder = tempfile::tempdir()?;
/// let options = ExportOptions { onnx: Some(OnnxOutput::Logits), ..ExportOptions::default() };
/// let exported = export_model(&model, folder.path(), &options)?;
/// assert_eq!(exported.onnx, Some(OnnxOutput::Logits));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnnxOutput {
    /// The output `logits`, `(batch, sequence, vocab)`, which fastembed and sentence-transformers
    /// pool.
    Logits,
    /// The pooled output `sparse_vector`, `(batch, vocab)`, for programs that run the graph
    /// themselves.
    Vector,
}

/// Fails if no graph can be written for a model. The check runs before any file is written.
pub(super) fn check(from: &Path) -> Result<(), ModelError> {
    let config = ArchitectureConfig::open(from)?;
    config.0.graph().map(drop).ok_or_else(|| not_written(from, &config))
}

fn not_written(from: &Path, config: &ArchitectureConfig) -> ModelError {
    ModelError::NoGraph { path: from.to_path_buf(), name: config.name() }
}

/// Writes `model.onnx` into the folder of a model that was checked with [`check`].
pub(super) fn write(
    folder: &Path,
    dtype: FloatType,
    (pooling, saturation): (Pooling, Saturation),
    output: OnnxOutput,
) -> Result<(), ModelError> {
    let config = ArchitectureConfig::open(folder)?;
    let weights = open_weights(&folder.into(), &config)?;
    let mut b = Builder::new(&weights, dtype);
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
        let what = format!(
            "an ONNX file holds at most 2 GB, but this model has {} bytes",
            model.encoded_len()
        );
        let (doing, problem) = ("write ONNX", Problem::new(what).with_remedy("use --dtype f16"));
        return Err(ModelError::Unsuitable { path, doing, problem });
    }
    std::fs::write(&path, model.encode_to_vec())
        .map_err(|source| ModelError::Write { path, source })
}

/// Appends the pooling of the token logits: the maximum or the sum over the tokens of the saturated
/// logits.
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
        // The saturation is monotonic, so it can be applied after the maximum, to fewer numbers.
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
