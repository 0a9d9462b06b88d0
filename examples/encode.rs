//! Texts become sparse vectors: alone, in any number, and in a file.
//!
//! Run it with `cargo run --example encode`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use light_splade::encode::{EncodeOptions, encode_files};
use light_splade::input::{TextOptions, Texts};
use light_splade::{SparseEncoder, SparseEncoderOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The built-in model needs no download. A folder or a name at the Hugging Face hub works, too.
    let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;

    // One text: the largest weights with their tokens.
    let vector = encoder.encode_document("大阪万博は2025年に開催されます。")?;
    for (token, weight) in encoder.decode(&vector, 5) {
        println!("{token} {weight:.3}");
    }

    // Many texts: vectors come in the order of the texts, and memory does not grow with their number.
    for vector in encoder.encode_queries(["日本の首都", "cheap flights"]) {
        println!("{} terms", vector?.len());
    }

    // A whole collection into a file, which appears once it is complete.
    let folder = tempfile::tempdir()?;
    let options = EncodeOptions {
        output: folder.path().join("corpus.parquet"),
        inputs: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl").into()],
        ..EncodeOptions::default()
    };
    let texts = Texts::open(&options.inputs, TextOptions::default())?;
    let position = texts.position();
    let encoded = encode_files(&encoder, texts, position, &options, &mut ())?;
    println!("{} vectors are in {}", encoded.written, options.output.display());
    Ok(())
}
