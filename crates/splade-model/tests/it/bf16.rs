//! Products of bfloat16 give nearly the vectors and gradients of 32-bit products, and the same bits with any number of
//! threads.

use std::path::Path;

use splade_model::folder::{Pooling, Saturation};
use splade_model::training::Trainable;
use splade_model::{Encoder, EncoderOptions, Isa, ModelError, Precision};

const TEXTS: [&str; 4] = [
    "東京タワーの高さは333メートルである。",
    "カレー",
    "The Tokyo Tower is a communications and observation tower, completed in 1958.",
    "Sparse vectors of 日本語 and English in one index: 検索 works with both.",
];

fn dense(model: &Path, precision: Precision, threads: usize) -> Result<Vec<f32>, ModelError> {
    let options = EncoderOptions { precision, threads: Some(threads), ..Default::default() };
    let encoder = Encoder::load(model, &options)?;
    let vectors = encoder.encode(&TEXTS)?;
    let mut weights = vec![0.0; TEXTS.len() * encoder.vocab()];
    for (text, vector) in vectors.iter().enumerate() {
        for (term, weight) in vector.iter() {
            weights[text * encoder.vocab() + term.0 as usize] = weight;
        }
    }
    Ok(weights)
}

/// Returns the length of the difference of two vectors over the length of the first.
fn relative_distance(a: &[f32], b: &[f32]) -> f64 {
    let length =
        |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let difference = length(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    difference / length(&mut a.iter().map(|a| f64::from(*a)))
}

/// An operand of bfloat16 is wrong by up to 2^-9 of its size (.002), and the errors of the layers add up like random
/// ones. Measured: .006.
const VECTORS: f64 = 0.02;
/// Gradients go through as many layers again, and where the two largest logits of a term are nearly equal, its gradient
/// goes to another token. Measured: .008.
const GRADIENTS: f64 = 0.03;

#[test]
fn vectors_are_close_to_those_of_32_bits() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini-ja-en");
    let exact = dense(&model, Precision::F32, 1).expect("encoded");
    if Isa::bf16().is_none() {
        let error = dense(&model, Precision::Bf16, 1).expect_err("there is no AMX");
        assert!(matches!(error, ModelError::NoBf16 { .. }) && error.hint().is_some(), "{error}");
        println!("skipped: this CPU has no AMX");
        return;
    }
    let rounded = dense(&model, Precision::Bf16, 1).expect("encoded");
    let distance = relative_distance(&exact, &rounded);
    assert!(distance > 0.0 && distance < VECTORS, "the vectors differ by {distance}");
    assert_eq!(rounded, dense(&model, Precision::Bf16, 2).expect("encoded"));
}

#[test]
fn gradients_are_close_to_those_of_32_bits() {
    let Some(bf16) = Isa::bf16() else {
        println!("skipped: this CPU has no AMX");
        return;
    };
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini-ja-en");
    let encoder = Encoder::load(&model, &EncoderOptions::default()).expect("a model");
    let texts = TEXTS[1..].iter().map(|text| encoder.token_ids(text).expect("tokens"));
    let texts: Vec<Vec<u32>> = texts.collect();
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let gradients = |isa: Isa, parallel: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(parallel).build().expect("threads");
        pool.install(|| {
            let mut model =
                Trainable::load(&model, Pooling::Max, Saturation::Log1pRelu, isa).expect("a model");
            let pooled = model.forward(&texts, &[1, 2, 3]);
            let slopes: Vec<Vec<f32>> = pooled
                .iter()
                .map(|terms| terms.iter().map(|t| (t.term % 11) as f32 / 8.0 - 0.5).collect())
                .collect();
            model.backward(&slopes);
            let parameters = model.parameters();
            parameters
                .iter()
                .flat_map(|(_, gradient)| gradient.numbers.to_vec())
                .collect::<Vec<f32>>()
        })
    };
    let (exact, rounded) = (gradients(Isa::detect(), 1), gradients(bf16, 1));
    let distance = relative_distance(&exact, &rounded);
    assert!(distance > 0.0 && distance < GRADIENTS, "the gradients differ by {distance}");
    assert_eq!(rounded, gradients(bf16, 2));
}
