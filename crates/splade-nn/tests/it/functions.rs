//! Compares layer norm and gated activations on every instruction set with f64.

use crate::common::{ACTIVATIONS, activate, differs, numbers, on_all};
use proptest::prelude::*;
use splade_nn::{Isa, LayerNorm, gated_activation};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The mean of numbers near 50 is off by about 1e-5, and the norm divides by at least 0.03.
    #[test]
    fn layer_norms(rows in 0usize..5, hidden in 1usize..130, shift in -50.0f32..50.0, add: bool,
        seed: u64) {
        let x: Vec<f32> = numbers(seed, rows * hidden).iter().map(|x| x + shift).collect();
        let residual = numbers(!seed, rows * hidden);
        let residual = add.then_some(&residual[..]);
        let (weight, bias) = (numbers(seed ^ 64, hidden), numbers(seed ^ 128, hidden));
        let norm = LayerNorm { weight, bias, epsilon: 1e-3 };
        let results = on_all(|isa| {
            let mut y = x.clone();
            norm.forward(isa, &mut y, residual);
            y
        });
        let want = |i: usize| {
            let row = i / hidden * hidden..(i / hidden + 1) * hidden;
            let sum = |i: usize| f64::from(x[i] + residual.map_or(0.0, |residual| residual[i]));
            let sums: Vec<f64> = row.map(sum).collect();
            let mean = sums.iter().sum::<f64>() / hidden as f64;
            let variance = sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / hidden as f64;
            let y = (sums[i % hidden] - mean) / (variance + 1e-3).sqrt();
            y * f64::from(norm.weight[i % hidden]) + f64::from(norm.bias[i % hidden])
        };
        let tolerance = if shift.abs() < 1.0 { 2e-5 } else { 2e-3 };
        prop_assert_eq!(differs(&results, want, |_| tolerance), None);
    }

    /// Activations are within 2e-6 of f64 near 1 and within 1e-6 of their size far from it.
    #[test]
    fn gated_activations(rows in 0usize..5, width in 1usize..130, scale in 0.1f32..30.0,
        activation in prop::sample::select(&ACTIVATIONS[..]), seed: u64) {
        let x: Vec<f32> = numbers(seed, rows * 2 * width).iter().map(|x| x * scale).collect();
        let results = on_all(|isa| {
            let mut y = vec![0.0; rows * width];
            gated_activation(isa, &x, &mut y, width, activation);
            y
        });
        let halves = |i: usize| {
            let at = i / width * 2 * width + i % width;
            (f64::from(x[at]), f64::from(x[at + width]))
        };
        let want = |i: usize| activate(activation, halves(i).0) * halves(i).1;
        let tolerance = |i: usize| (2e-6 + 1e-6 * halves(i).0.abs()) * halves(i).1.abs();
        prop_assert_eq!(differs(&results, want, tolerance), None);
    }
}

/// Checks that far from zero activations are 0, the number itself or ±1, without an overflow on the
/// way.
#[test]
fn activations_far_from_zero() {
    let x = [-1e30f32, -3e4, -1e3, -90.0, 90.0, 1e3, 3e4, 1e30];
    for (isa, activation) in
        Isa::supported().into_iter().flat_map(|isa| ACTIVATIONS.map(|activation| (isa, activation)))
    {
        let input: Vec<f32> = x.iter().chain(&[1.0; 8]).copied().collect();
        let mut y = [0.0; 8];
        gated_activation(isa, &input, &mut y, 8, activation);
        for (x, y) in x.iter().zip(y) {
            // The exponential is clamped at e^-87, so the result is 1e-38 of the number instead of
            // 0.
            let want = activate(activation, f64::from(*x));
            let near = (f64::from(y) - want).abs() <= 1e-6 * f64::from(x.abs());
            assert!(near, "{isa} {activation:?} {x}: {y}, not {want}");
        }
    }
}

/// Checks that a row of equal numbers gives the bias, whatever the numbers are.
#[test]
fn rows_without_variance() {
    let (weight, bias) = (numbers(1, 37), numbers(2, 37));
    let norm = LayerNorm { weight, bias, epsilon: 1e-12 };
    for (isa, x) in Isa::supported().into_iter().flat_map(|isa| [(isa, 0.0), (isa, 4.0)]) {
        let mut y = [x; 37];
        norm.forward(isa, &mut y, None);
        assert_eq!(y[..], norm.bias, "{isa} {x}");
    }
}
