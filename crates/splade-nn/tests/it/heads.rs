//! Compares the fused head on every instruction set with all logits in f64.

use crate::common::{dot, numbers, offsets};
use proptest::prelude::*;
use splade_nn::{Isa, Linear, Matrix, Pooling, Precision, Saturation, splade_head};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn heads(lengths in proptest::collection::vec(1usize..150, 1..5), vocab in 1usize..120,
        seed: u64) {
        let (hidden, offsets) = (24, offsets(&lengths));
        let tokens = offsets[lengths.len()];
        let (x, w) = (numbers(seed, tokens * hidden), numbers(!seed, vocab * hidden));
        let bias = numbers(seed ^ 64, vocab);
        for (isa, pooling) in Isa::supported().into_iter().flat_map(|isa| {
            [(isa, Pooling::Max), (isa, Pooling::Sum)]
        }) {
            let weight = Matrix::pack(isa, Precision::F32, &w, vocab, hidden);
            let decoder = Linear { weight, bias: Some(bias.clone()) };
            let run = |parallel| {
                splade_head(&decoder, &x, &offsets, pooling, Saturation::Log1pRelu, parallel)
            };
            let got = run(false);
            prop_assert_eq!(&got, &run(true));
            for (text, terms) in got.iter().enumerate() {
                for term in 0..vocab {
                    let logit = |token: usize| {
                        let row = &x[token * hidden..][..hidden];
                        dot(row, &w[term * hidden..][..hidden]) + f64::from(bias[term])
                    };
                    let logits: Vec<f64> = (offsets[text]..offsets[text + 1]).map(logit).collect();
                    let weights = logits.iter().map(|x| x.max(0.0).ln_1p());
                    let want = match pooling {
                        Pooling::Max => weights.fold(0.0, f64::max),
                        Pooling::Sum => weights.sum(),
                    };
                    let found = terms.iter().find(|t| t.term as usize == term);
                    let got = found.map_or(0.0, |t| f64::from(t.weight));
                    prop_assert!((got - want).abs() < 1e-4 * want.max(0.1), "{} {} {}", isa, got, want);
                    if let Some(found) = found {
                        let best = logits.iter().copied().fold(f64::MIN, f64::max);
                        prop_assert!(logits[found.position as usize] > best - 1e-5);
                    }
                }
            }
        }
    }
}
