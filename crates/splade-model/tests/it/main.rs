//! Tests of the crate's public interface, in one program. `../damaged.rs` is a separate program,
//! because it counts allocations.

// A fake hub on a local port, which the tests of the program use too.
#[cfg(feature = "hub")]
#[path = "../fake_hub/mod.rs"]
mod fake_hub;

/// Returns an error with its sources, and with what to do about it.
fn whole(error: &splade_model::ModelError) -> String {
    let (mut text, mut cause) = (error.to_string(), std::error::Error::source(error));
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    match error.hint() {
        Some(hint) => format!("{text}; {hint}"),
        None => text,
    }
}

// Tests of the demo model's vectors.
mod demo;
// Tests of the vectors of every architecture.
mod reference;
// Tests of dense, late-interaction and token-weight heads.
mod heads;
// Tests of the vectors of large models, if their files exist.
mod golden;
// Tests of products of bfloat16.
mod bf16;
// Tests that every CPU gives the same bits.
mod same_bits;
// Tests of encoders from files in memory, and of query and document encoders that share their
// weights.
mod loading;
// Tests of the scores, logits and gradients of cross-encoders.
mod cross_encoders;
// Tests of what the files of a folder say, and of files that are something else.
mod folders;
// Tests of files that `torch.save` wrote.
mod torch;
// Tests of the gradients of every parameter.
mod training;
// Tests of exported folders.
mod export;
// Tests of ONNX graphs, run by another program.
mod onnx;
// Tests of hub names, downloads and uploads.
#[cfg(feature = "hub")]
mod hub;
