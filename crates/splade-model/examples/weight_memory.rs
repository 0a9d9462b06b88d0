//! Prints the size in bytes of a model's packed weights for each precision.
#![allow(clippy::print_stdout, reason = "the output is the purpose of the example")]

use std::path::Path;

use splade_model::{Encoder, EncoderOptions, Precision};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: weight_memory MODEL")?;
    for precision in [Precision::F32, Precision::Int8] {
        let options = EncoderOptions { precision, ..EncoderOptions::default() };
        let encoder = Encoder::load(Path::new(&folder), &options)?;
        println!("{precision} {}", encoder.weight_bytes());
    }
    Ok(())
}
