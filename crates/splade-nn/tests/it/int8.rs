//! Compares products in 8 bits on every instruction set with f64 and with the portable kernel.

use crate::common::{differs, dot, numbers, on_all};
use proptest::prelude::*;
use splade_nn::{Activation, Isa, Matrix, Precision};

fn run(isa: Isa, x: &[f32], weight: &[f32], inputs: usize, bias: Option<&[f32]>) -> Vec<f32> {
    let outputs = weight.len() / inputs;
    let matrix = Matrix::pack(isa, Precision::Int8, weight, outputs, inputs);
    let mut y = vec![0.0; x.len() / inputs * outputs];
    matrix.multiply(x, bias, Activation::Identity, &mut y, false);
    y
}

/// Returns the size of the smallest interval that holds 0 and all numbers of the row.
fn span(row: &[f32]) -> f64 {
    let edge = |f: fn(f32, f32) -> f32| f64::from(row.iter().copied().fold(0.0, f));
    edge(f32::max) - edge(f32::min)
}

/// Returns a step of `levels` over a range. If steps would be subnormal, the row becomes zeros and
/// the error is the whole range.
fn step(range: f64, levels: f64) -> f64 {
    if range / levels < f64::from(f32::MIN_POSITIVE) { range } else { range / levels }
}

/// Compares products. A weight is off by half a step, an input by half a step and half of its zero
/// point. The kernels' integer sums are equal, so results differ only by the rounding of f32.
fn check(x: &[f32], weight: &[f32], inputs: usize) -> Option<String> {
    let outputs = weight.len() / inputs;
    let results = on_all(|isa| run(isa, x, weight, inputs, None));
    let operands = |i: usize| {
        (&x[i / outputs * inputs..][..inputs], &weight[i % outputs * inputs..][..inputs])
    };
    let want = |i: usize| {
        let (x, w) = operands(i);
        dot(x, w)
    };
    let tolerance = |i: usize| {
        let (x, w) = operands(i);
        let largest = w.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        let (x_off, w_off) = (step(span(x), 255.0), step(f64::from(largest), 127.0));
        let off = x
            .iter()
            .zip(w)
            .map(|(x, w)| f64::from(w.abs()) * x_off + f64::from(x.abs()) * w_off + x_off * w_off);
        1.001 * off.sum::<f64>() + 1e-30
    };
    let twins = |i: usize| f64::from(results[results.len() - 1].1[i]);
    let rounding = |i: usize| twins(i).abs() * 1e-6;
    differs(&results, want, tolerance).or_else(|| differs(&results, twins, rounding))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn products(rows in 1usize..12, inputs in 1usize..300, outputs in 1usize..110, seed: u64,
        shift in -2f32..2.0) {
        let x: Vec<f32> = numbers(seed, rows * inputs).iter().map(|x| x + shift).collect();
        prop_assert_eq!(check(&x, &numbers(!seed, outputs * inputs), inputs), None);
    }
}

#[test]
fn odd_sizes() {
    for size in 1..=130 {
        for (rows, inputs, outputs) in [(1, size, 3), (1, 5, size), (9, 3, size), (0, size, 3)] {
            let x = numbers(size as u64, rows * inputs);
            let at = check(&x, &numbers(7, outputs * inputs), inputs);
            assert_eq!(at, None, "{rows} {inputs} {outputs}");
        }
    }
}

/// Covers rows of zeros, of one repeated number, of one sign, and with one huge or tiny number, and
/// the ends of the range, where the products of bytes are largest.
#[test]
fn extremes() {
    let inputs = 67;
    let with = |value: f32| {
        let mut row = numbers(3, inputs);
        row[40] = value;
        row
    };
    let rows: Vec<Vec<f32>> = vec![
        vec![0.0; inputs],
        vec![0.7; inputs],
        vec![-0.7; inputs],
        with(1e6),
        with(-1e6),
        with(1e18),
        with(1e-30),
        vec![f32::MIN_POSITIVE; inputs],
        vec![-1e-45; inputs],
        with(0.0).iter().map(|x| x * 1e-38).collect(),
        with(0.0).iter().map(|x| x * 1e-42).collect(),
        with(0.0).iter().map(|x| x.abs()).collect(),
        (0..inputs).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect(),
    ];
    for weight in &rows {
        for x in &rows {
            let both = [&weight[..], &numbers(5, inputs), weight].concat();
            assert_eq!(check(x, &both, inputs), None, "{} by {}", x[40], weight[40]);
        }
    }
    let (zeros, bias) = (vec![0.0; inputs], [0.25, -3.0]);
    for isa in Isa::supported() {
        // The result must be the bias, bit by bit.
        assert_eq!(run(isa, &zeros, &numbers(5, 2 * inputs), inputs, Some(&bias)), bias, "{isa}");
        assert_eq!(run(isa, &numbers(5, inputs), &[0.0; 134], inputs, Some(&bias)), bias, "{isa}");
        // Rows with subnormal scales become zeros.
        let tiny: Vec<f32> = numbers(3, inputs).iter().map(|x| x * 1e-38).collect();
        assert_eq!(run(isa, &tiny, &numbers(5, inputs), inputs, None), [0.0], "{isa}");
        assert_eq!(run(isa, &numbers(5, inputs), &tiny, inputs, None), [0.0], "{isa}");
        // Every byte is at an end of its range, which gives the largest sums of 4096 inputs.
        for (x, w) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
            let y = run(isa, &[x; 4096], &[w; 4096], 4096, None)[0];
            assert!((y - 4096.0 * x * w).abs() < 1e-3, "{isa} {x} {w}: {y}");
        }
    }
}

/// Checks the rules of the module: an infinite number makes its row or its output NaN and no other,
/// and a NaN counts as the smallest number of its row or as a weight of 0.
#[test]
fn numbers_that_are_none() {
    let (inputs, outputs) = (19, 5);
    let weight = numbers(2, outputs * inputs);
    let good = numbers(1, 3 * inputs);
    for (bad, isa) in [f32::INFINITY, f32::NEG_INFINITY]
        .into_iter()
        .flat_map(|bad| Isa::supported().into_iter().map(move |isa| (bad, isa)))
    {
        let want = run(isa, &good, &weight, inputs, None);
        let mut x = good.clone();
        x[inputs + 4] = bad;
        let got = run(isa, &x, &weight, inputs, None);
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let row_is_bad = i / outputs == 1;
            assert!(if row_is_bad { got.is_nan() } else { got == want }, "{isa} {i}: {got}");
        }
        let mut w = weight.clone();
        w[inputs + 4] = bad;
        let got = run(isa, &good, &w, inputs, None);
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let output_is_bad = i % outputs == 1;
            assert!(if output_is_bad { got.is_nan() } else { got == want }, "{isa} {i}: {got}");
        }
    }
    let replace = |from: &[f32], by: f32| {
        let mut all = from.to_vec();
        all[inputs + 4] = by;
        all
    };
    let least = good[inputs..2 * inputs].iter().enumerate().filter(|(i, _)| *i != 4);
    let least = least.map(|(_, x)| *x).fold(0.0, f32::min);
    for isa in Isa::supported() {
        let run = |x: &[f32], w: &[f32]| run(isa, x, w, inputs, None);
        let nan = f32::NAN;
        assert_eq!(run(&replace(&good, nan), &weight), run(&replace(&good, least), &weight));
        assert_eq!(run(&good, &replace(&weight, nan)), run(&good, &replace(&weight, 0.0)));
    }
}
