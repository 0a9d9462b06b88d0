//! Retrieval is measured on a folder in BEIR's form: corpus, queries and judgements.
//!
//! Run it with `cargo run --example evaluate`, or with the path of another folder behind `--`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use light_splade::evaluation::check_data;
use light_splade::{EvaluateOptions, SparseEncoder, SparseEncoderOptions, evaluate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let toy = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir");
    let data = std::env::args().nth(1).unwrap_or_else(|| toy.to_owned());

    // What is wrong with the data would make the numbers meaningless.
    let report = check_data(data.as_ref(), None)?;
    print!("{}", report.to_text());

    let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    let evaluation = evaluate(&encoder, data.as_ref(), &EvaluateOptions::default(), &mut ())?;
    print!("{}", evaluation.report.to_table());
    Ok(())
}
