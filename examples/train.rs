//! Trains a SPLADE model on the toy data, a few steps only, and encodes a text with the result.
//!
//!     cargo run --release --example train
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use light_splade::progress::Event;
use light_splade::{Observer, SparseEncoder, SparseEncoderOptions, train, train_config};

/// Prints the loss of every step.
struct Losses;

impl Observer for Losses {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Step(step) = event {
            println!("step {} of {}: loss {:.4}", step.step, step.total, step.loss);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let output = tempfile::tempdir()?;
    let overrides = [
        format!("training.output_dir={}", output.path().display()),
        "training.max_steps=5".to_owned(),
        "training.eval_strategy=no".to_owned(),
        "training.load_best_model_at_end=false".to_owned(),
    ];
    let config = train_config("config".as_ref(), "toy_splade_ja", &overrides, &mut Losses)?;
    train(&config, &mut Losses)?;

    // The result is a model folder like any other.
    let model = output.path().join("model");
    let encoder = SparseEncoder::load(model, &SparseEncoderOptions::default())?;
    let vector = encoder.encode_document("海が見える電車の席")?;
    for (token, weight) in encoder.decode(&vector, 5) {
        println!("{token} {weight:.3}");
    }
    Ok(())
}
