//! Tests of the crate as its users see it, in one program. `../damaged.rs` is another: it counts
//! what is allocated.

// A hub on a local port, which the tests of the program use, too.
#[cfg(feature = "hub")]
#[path = "../fake_hub/mod.rs"]
mod fake_hub;

// Vectors of the demo model.
mod demo;
// Vectors of every architecture.
mod reference;
// Vectors of large models, where they are there.
mod golden;
// The same bits on every CPU.
mod same_bits;
// Encoders of files in memory, and of queries and documents that share their weights.
mod loading;
// Scores, logits and gradients of cross-encoders.
mod cross_encoders;
// Files of `torch.save`.
mod torch;
// Gradients of every parameter.
mod training;
// Folders for other libraries.
mod export;
// ONNX graphs, run by another engine.
mod onnx;
// Names at the hub: fetching and uploading.
#[cfg(feature = "hub")]
mod hub;
