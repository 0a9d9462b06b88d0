//! Compares products in f32 on every instruction set with f64 and with the portable kernel.

use crate::common::{ACTIVATIONS, activate, differs, dot, numbers, on_all};
use proptest::prelude::*;
use splade_nn::{Activation, Isa, Matrix, Precision};

/// A product whose numbers are all drawn from a seed.
struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Case {
    fn new(rows: usize, inputs: usize, outputs: usize, seed: u64) -> Self {
        let (x, weight) = (numbers(seed, rows * inputs), numbers(!seed, outputs * inputs));
        Self { rows, inputs, outputs, x, weight, bias: numbers(seed ^ 64, outputs) }
    }

    fn run(&self, isa: Isa, activation: Activation, parallel: bool) -> Vec<f32> {
        let matrix = Matrix::pack(isa, Precision::F32, &self.weight, self.outputs, self.inputs);
        let mut y = vec![0.0; self.rows * self.outputs];
        matrix.multiply(&self.x, Some(&self.bias), activation, &mut y, parallel);
        y
    }

    /// Returns the input row and the weight row of output `i`.
    fn operands(&self, i: usize) -> (&[f32], &[f32]) {
        let (row, column) = (i / self.outputs, i % self.outputs);
        let at = |rows, row| -> &[f32] { &Vec::as_slice(rows)[row * self.inputs..][..self.inputs] };
        (at(&self.x, row), at(&self.weight, column))
    }

    /// Compares the product. A sum of `n` terms in f32 is off by at most `n · 2^-24 · Σ|terms|`
    /// (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), and a difference of
    /// two such sums by twice that. Activations stretch the error by at most 1.13 and are
    /// themselves within 2e-6 of f64.
    fn check(&self, activation: Activation) -> Option<String> {
        let want = |i: usize| {
            let (x, w) = self.operands(i);
            activate(activation, dot(x, w) + f64::from(self.bias[i % self.outputs]))
        };
        let tolerance = |i: usize| {
            let (x, w) = self.operands(i);
            let terms = x.iter().zip(w).map(|(x, w)| f64::from(x * w).abs());
            let terms = terms.sum::<f64>() + f64::from(self.bias[i % self.outputs]).abs();
            let stretched = if activation == Activation::Identity { 0.0 } else { 2e-6 };
            stretched + 2.26 * (self.inputs + 1) as f64 * 2f64.powi(-24) * terms
        };
        differs(&on_all(|isa| self.run(isa, activation, false)), want, tolerance)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn products(rows in 1usize..20, inputs in 1usize..600, outputs in 1usize..110, seed: u64,
        activation in proptest::sample::select(&ACTIVATIONS[..])) {
        let case = Case::new(rows, inputs, outputs, seed);
        prop_assert_eq!(case.check(activation), None);
        for isa in Isa::supported() {
            // A row alone must have the same bits.
            let all = case.run(isa, activation, true);
            let alone = Case { rows: 1, x: case.x[..inputs].to_vec(), weight: case.weight.clone(),
                bias: case.bias.clone(), ..case };
            prop_assert_eq!(&alone.run(isa, activation, false)[..], &all[..outputs]);
            let matrix = Matrix::pack(isa, Precision::F32, &case.weight, outputs, inputs);
            let mut row = vec![0.0; inputs];
            matrix.copy_row(outputs - 1, &mut row);
            prop_assert_eq!(&row[..], &case.weight[(outputs - 1) * inputs..]);
        }
    }
}

/// Covers every width up to some registers, of inputs and of outputs, with one row, as many as a
/// tile has, and none.
#[test]
fn odd_sizes() {
    for size in 1..=130 {
        for (rows, inputs, outputs) in [(1, size, 3), (1, 5, size), (9, 3, size), (0, size, 3)] {
            let case = Case::new(rows, inputs, outputs, size as u64);
            assert_eq!(case.check(Activation::Identity), None, "{rows} {inputs} {outputs}");
        }
    }
}

/// Large products are distributed over threads and must have the same bits.
#[test]
fn threads_change_nothing() {
    let case = Case::new(33, 300, 130, 1);
    for isa in Isa::supported() {
        let (alone, shared) = [false, true].map(|p| case.run(isa, Activation::Gelu, p)).into();
        assert_eq!(alone, shared, "{isa}");
    }
}
