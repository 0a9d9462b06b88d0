//! What the oracles share: numbers from a seed, and slow obvious computations in f64.
#![allow(unreachable_pub, reason = "a module of tests")]

use splade_nn::{Activation, Isa, Matrix};

/// Returns numbers in [-1, 1) from a seed.
pub fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Returns the offsets of texts of the given lengths.
pub fn offsets(lengths: &[usize]) -> Vec<usize> {
    let ends = lengths.iter().scan(0, |end, n| {
        *end += n;
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

/// Returns the error function by its Taylor series, or ±1 where f64 cannot tell the difference.
pub fn erf(x: f64) -> f64 {
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

pub fn activate(activation: Activation, x: f64) -> f64 {
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

/// All activations.
pub const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Silu,
    Activation::Tanh,
];

/// Runs a kernel on every instruction set of this machine; the last result is the portable one.
pub fn on_all(run: impl Fn(Isa) -> Vec<f32>) -> Vec<(Isa, Vec<f32>)> {
    Isa::supported().into_iter().map(|isa| (isa, run(isa))).collect()
}

/// Returns a description of the first number that is further than `tolerance(i)` from `want(i)` or
/// from the portable result.
pub fn differs(
    results: &[(Isa, Vec<f32>)],
    want: impl Fn(usize) -> f64,
    tolerance: impl Fn(usize) -> f64,
) -> Option<String> {
    let (_, portable) = results.last()?;
    for (isa, got) in results {
        assert_eq!(got.len(), portable.len());
        for (i, (x, twin)) in got.iter().zip(portable).enumerate() {
            let (x, twin, want, tolerance) =
                (f64::from(*x), f64::from(*twin), want(i), tolerance(i));
            let near = |other: f64| (x - other).abs() <= tolerance || x == other;
            if !near(want) || !near(twin) {
                return Some(format!("{isa} {i}: {x}, not {want} (portable {twin}) ± {tolerance}"));
            }
        }
    }
    None
}

/// Returns the derivative of a smooth function by the five-point formula, which is off by about
/// 1e-12 of the function.
pub fn slope(mut f: impl FnMut(f64) -> f64, x: f64) -> f64 {
    const H: f64 = 1e-3;
    let mut spread = |h: f64| f(x + h) - f(x - h);
    (8.0 * spread(H) - spread(2.0 * H)) / (12.0 * H)
}

/// Returns the gradient of a smooth function of many numbers by finite differences.
pub fn gradient(f: impl Fn(&[f64]) -> f64, at: &[f32]) -> Vec<f64> {
    let mut x = wide(at);
    let by_number = |i: usize| {
        let own = x[i];
        let d = slope(
            |value| {
                x[i] = value;
                f(&x)
            },
            own,
        );
        x[i] = own;
        d
    };
    (0..at.len()).map(by_number).collect()
}

/// Converts numbers to f64.
pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

/// A sum of products with the bound of the error that a sum in f32 may have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    pub value: f64,
    /// The sum of the absolute values of the terms.
    pub size: f64,
    pub terms: usize,
}

impl Sum {
    pub fn add(&mut self, term: f64) {
        self.value += term;
        self.size += term.abs();
        self.terms += 1;
    }

    /// Returns the tolerance. A sum of `n` terms in f32 is off by at most `n · 2^-24 · Σ|terms|`
    /// (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), and a difference of
    /// two such sums by twice that.
    pub fn tolerance(&self) -> f64 {
        2.0 * (self.terms + 1) as f64 * 2f64.powi(-24) * self.size
    }
}

/// Returns the rows of a weight or of its gradient, and checks that the padding of the panels is
/// zero.
pub fn rows(matrix: &Matrix) -> Vec<f32> {
    let Matrix::F32(packed) = matrix else { panic!("the matrix is not of 32-bit floats") };
    let (width, inputs) = (packed.panel_width(), packed.inputs());
    for (i, x) in packed.numbers().iter().enumerate() {
        let output = i / (width * inputs) * width + i % width;
        assert!(output < packed.outputs() || *x == 0.0, "{x} in column {output}");
    }
    let mut rows = vec![0.0; packed.outputs() * inputs];
    for (i, row) in rows.chunks_exact_mut(inputs).enumerate() {
        packed.copy_row(i, row);
    }
    rows
}

/// Returns the result of `run`, which must have the same bits on one, two and three threads.
pub fn same_on_threads(run: impl Fn() -> Vec<f32> + Sync) -> Vec<f32> {
    let [one, two, three] = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads can be started").install(&run)
    });
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(&one) == bits(&two), "two threads differ from one");
    assert!(bits(&one) == bits(&three), "three threads differ from one");
    one
}
