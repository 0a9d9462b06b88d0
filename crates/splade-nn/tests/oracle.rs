//! Every kernel of every instruction set against a slow obvious computation in f64.

use proptest::prelude::*;
use splade_nn::{
    Activation, Attention, Isa, LayerNorm, Linear, Matrix, Pooling, Precision, Saturation,
    splade_head,
};

/// Numbers in [-1, 1) from a seed.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Where texts of these lengths start and end.
fn offsets(lengths: &[usize]) -> Vec<usize> {
    let ends = lengths.iter().scan(0, |end, n| {
        *end += n;
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

/// The error function by its Taylor series; ±1 where f64 cannot tell.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + u.tanh())
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
    }
}

const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Silu,
    Activation::Tanh,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A sum of k products of numbers below 1 in f32 is off by less than k² · 2^-24; the
    /// activations add less than 2e-6.
    #[test]
    fn products(rows in 1usize..20, inputs in 1usize..300, outputs in 1usize..110, seed: u64,
        activation in proptest::sample::select(&ACTIVATIONS[..])) {
        let (x, w) = (numbers(seed, rows * inputs), numbers(!seed, outputs * inputs));
        let bias = numbers(seed ^ 64, outputs);
        for isa in Isa::supported() {
            let matrix = Matrix::pack(isa, Precision::F32, &w, outputs, inputs);
            let mut y = vec![0.0; rows * outputs];
            matrix.multiply(&x, Some(&bias), activation, &mut y, false);
            let tolerance = 2e-6 + (inputs * inputs) as f64 * 6e-8;
            for (i, y) in y.iter().enumerate() {
                let (row, column) = (i / outputs, i % outputs);
                let sum = dot(&x[row * inputs..][..inputs], &w[column * inputs..][..inputs]);
                let want = activate(activation, sum + f64::from(bias[column]));
                prop_assert!((f64::from(*y) - want).abs() < tolerance, "{} {} {}", isa, y, want);
            }
            // A row alone: the same bits.
            let mut alone = vec![0.0; outputs];
            matrix.multiply(&x[..inputs], Some(&bias), activation, &mut alone, true);
            prop_assert_eq!(&alone[..], &y[..outputs]);
            let mut row = vec![0.0; inputs];
            matrix.copy_row(outputs - 1, &mut row);
            prop_assert_eq!(&row[..], &w[(outputs - 1) * inputs..]);
        }
    }

    /// Weights below 1 are off by at most 0.5 / 127, inputs by 1 / 255. All kernels agree to the
    /// rounding of f32, as their integer sums are the same.
    #[test]
    fn products_in_8_bits(rows in 1usize..12, inputs in 1usize..300, outputs in 1usize..110,
        seed: u64) {
        let (x, w) = (numbers(seed, rows * inputs), numbers(!seed, outputs * inputs));
        let mut first: Option<Vec<f32>> = None;
        for isa in Isa::supported() {
            let matrix = Matrix::pack(isa, Precision::Int8, &w, outputs, inputs);
            let mut y = vec![0.0; rows * outputs];
            matrix.multiply(&x, None, Activation::Identity, &mut y, false);
            for (i, y) in y.iter().enumerate() {
                let (row, column) = (i / outputs, i % outputs);
                let want = dot(&x[row * inputs..][..inputs], &w[column * inputs..][..inputs]);
                let bound = inputs as f64 * (0.5 / 127.0 + 1.0 / 255.0 + 1e-4);
                prop_assert!((f64::from(*y) - want).abs() < bound, "{} {} {}", isa, y, want);
            }
            let first = first.get_or_insert_with(|| y.clone());
            for (a, b) in y.iter().zip(first.iter()) {
                prop_assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{} {} {}", isa, a, b);
            }
        }
    }

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

    #[test]
    fn attention(lengths in proptest::collection::vec(1usize..140, 1..4), heads in 1usize..4,
        head_dim in 1usize..70, window in proptest::option::of(1usize..40), seed: u64) {
        let (hidden, offsets) = (heads * head_dim, offsets(&lengths));
        let tokens = offsets[lengths.len()];
        let qkv = numbers(seed, tokens * 3 * hidden);
        let shape = Attention { heads, head_dim, scale: 0.7, window };
        for isa in Isa::supported() {
            let mut context = vec![0.0; tokens * hidden];
            shape.forward(isa, &qkv, &offsets, None, &mut context, true);
            for text in offsets.windows(2) {
                let places = (text[0]..text[1]).flat_map(|q| (0..heads).map(move |head| (q, head)));
                for (query, head) in places.step_by(7) {
                    let part = |token: usize, part: usize| {
                        &qkv[token * 3 * hidden + part * hidden + head * head_dim..][..head_dim]
                    };
                    let sees = |key: &usize| window.is_none_or(|w| key.abs_diff(query) <= w);
                    let seen: Vec<usize> = (text[0]..text[1]).filter(sees).collect();
                    let score = |key: &usize| (0.7 * dot(part(query, 0), part(*key, 1))).exp();
                    let scores: Vec<f64> = seen.iter().map(score).collect();
                    let total: f64 = scores.iter().sum();
                    for d in 0..head_dim {
                        let values = seen.iter().zip(&scores);
                        let want: f64 =
                            values.map(|(key, s)| s / total * f64::from(part(*key, 2)[d])).sum();
                        let got = f64::from(context[query * hidden + head * head_dim + d]);
                        prop_assert!((got - want).abs() < 2e-5, "{} {} {}", isa, got, want);
                    }
                }
            }
        }
    }

    /// The mean of numbers near 50 is off by some 1e-5, and the norm divides by 0.03 at the least.
    #[test]
    fn layer_norms(rows in 1usize..5, hidden in 1usize..130, shift in -50.0f32..50.0, seed: u64) {
        let x: Vec<f32> = numbers(seed, rows * hidden).iter().map(|x| x + shift).collect();
        let residual = numbers(!seed, rows * hidden);
        let (weight, bias) = (numbers(seed ^ 64, hidden), numbers(seed ^ 128, hidden));
        let norm = LayerNorm { weight, bias, epsilon: 1e-3 };
        for isa in Isa::supported() {
            let mut y = x.clone();
            norm.forward(isa, &mut y, Some(&residual));
            for (row, y) in y.chunks(hidden).enumerate() {
                let sum = |i: usize| f64::from(x[row * hidden + i] + residual[row * hidden + i]);
                let sums: Vec<f64> = (0..hidden).map(sum).collect();
                let mean = sums.iter().sum::<f64>() / hidden as f64;
                let variance = sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / hidden as f64;
                for (i, y) in y.iter().enumerate() {
                    let want = (sums[i] - mean) / (variance + 1e-3).sqrt();
                    let want = want * f64::from(norm.weight[i]) + f64::from(norm.bias[i]);
                    prop_assert!((f64::from(*y) - want).abs() < 2e-3, "{} {} {}", isa, y, want);
                }
            }
        }
    }
}
