//! Activations that are applied separately from their linear layer, and their derivatives.
#![allow(unsafe_code, reason = "vector kernels work on raw pointers")]

use crate::functions::{Activation, activate as value, erf, exp, sigmoid};
use crate::parallel::{Shared, for_each};
use crate::simd::{Isa, Simd, load_some, simd_function, store_some};

/// The number of elements that a thread takes at once.
const CHUNK: usize = 1 << 14;

/// Computes `out = activation(x)` on the current rayon pool.
///
/// ```
/// use splade_nn::{Activation, Isa, activate};
///
/// let mut output = [0.0; 3];
/// activate(Isa::detect(), Activation::Relu, &[-1.0, 0.5, 2.0], &mut output);
/// assert_eq!(output, [0.0, 0.5, 2.0]);
/// ```
///
/// # Panics
///
/// Panics if the lengths differ.
pub fn activate(isa: Isa, activation: Activation, x: &[f32], out: &mut [f32]) {
    assert!(x.len() == out.len(), "x and out must have equal lengths");
    let to = Shared(out.as_mut_ptr());
    for_each(true, x.len().div_ceil(CHUNK), |chunk| {
        let first = chunk * CHUNK;
        let n = CHUNK.min(x.len() - first);
        // SAFETY: both slices have `n` floats from `first` on, and each call writes only its own
        // chunk.
        unsafe { values(isa, activation, x[first..].as_ptr(), to.pointer().add(first), n) }
    });
}

/// Computes `d = d · activation'(x)` on the current rayon pool.
///
/// ```
/// use splade_nn::{Activation, Isa, activation_backward};
///
/// let mut gradients = [3.0, 3.0];
/// activation_backward(Isa::detect(), Activation::Relu, &[-1.0, 0.5], &mut gradients);
/// assert_eq!(gradients, [0.0, 3.0]);
/// ```
///
/// # Panics
///
/// Panics if the lengths differ.
pub fn activation_backward(isa: Isa, activation: Activation, x: &[f32], d: &mut [f32]) {
    assert!(x.len() == d.len(), "x and d must have equal lengths");
    if activation == Activation::Identity {
        return;
    }
    let to = Shared(d.as_mut_ptr());
    for_each(true, x.len().div_ceil(CHUNK), |chunk| {
        let first = chunk * CHUNK;
        let n = CHUNK.min(x.len() - first);
        // SAFETY: both slices have `n` floats from `first` on, and each call writes only its own
        // chunk.
        unsafe { slopes(isa, activation, x[first..].as_ptr(), to.pointer().add(first), n) }
    });
}

/// Computes the gradient of [`gated_activation`](crate::gated_activation). `x` is its input,
/// `(rows, 2 · width)`, `d` the gradient of its output, `(rows, width)`, and `d_x` receives the
/// gradient of the input.
///
/// ```
/// use splade_nn::{Activation, Isa, gated_backward};
///
/// // The output is relu(2) · 3, so the derivatives are 3 and 2.
/// let mut d_input = [0.0; 2];
/// gated_backward(Isa::detect(), Activation::Relu, &[2.0, 3.0], &[1.0], &mut d_input, 1);
/// assert_eq!(d_input, [3.0, 2.0]);
/// ```
///
/// # Panics
///
/// Panics if the lengths of the slices do not match.
pub fn gated_backward(
    isa: Isa,
    activation: Activation,
    x: &[f32],
    d: &[f32],
    d_x: &mut [f32],
    width: usize,
) {
    assert!(x.len() == d_x.len() && x.len() == 2 * d.len(), "x and d_x must be twice as long as d");
    assert!(d.len().is_multiple_of(width), "d must consist of whole rows");
    let rows = d.len() / width;
    let to = Shared(d_x.as_mut_ptr());
    let step = (CHUNK / width).max(1);
    for_each(true, rows.div_ceil(step), |chunk| {
        let first = chunk * step;
        let count = step.min(rows - first);
        let (x, d) = (x[first * 2 * width..].as_ptr(), d[first * width..].as_ptr());
        // SAFETY: all slices have `count` rows from `first` on, and each call writes only its own
        // rows.
        unsafe {
            let to = to.pointer().add(first * 2 * width);
            gated_slopes(isa, activation, x, d, to, count, width);
        }
    });
}

simd_function! {
    /// Computes the activation of `n` floats.
    ///
    /// # Safety
    ///
    /// The pointers must be valid for `n` floats.
    fn values(activation: Activation, x: *const f32, out: *mut f32, n: usize) = values_kernel;
}

/// # Safety
///
/// The contract of [`values`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn values_kernel<S: Simd>(activation: Activation, x: *const f32, out: *mut f32, n: usize) {
    for at in (0..n).step_by(S::LANES) {
        let n = (n - at).min(S::LANES);
        // SAFETY: every access ends at the `n` of the function's argument at most.
        unsafe {
            let y = value::<S>(activation, load_some::<S>(x.add(at), n));
            store_some::<S>(out.add(at), y, n);
        }
    }
}

simd_function! {
    /// Multiplies `n` gradients with the derivatives of the activation at `x`.
    ///
    /// # Safety
    ///
    /// The pointers must be valid for `n` floats.
    fn slopes(activation: Activation, x: *const f32, d: *mut f32, n: usize) = slopes_kernel;
}

/// # Safety
///
/// The contract of [`slopes`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn slopes_kernel<S: Simd>(activation: Activation, x: *const f32, d: *mut f32, n: usize) {
    for at in (0..n).step_by(S::LANES) {
        let n = (n - at).min(S::LANES);
        // SAFETY: every access ends at the `n` of the function's argument at most.
        unsafe {
            let slope = slope::<S>(activation, load_some::<S>(x.add(at), n));
            store_some::<S>(d.add(at), S::mul(load_some::<S>(d.add(at), n), slope), n);
        }
    }
}

simd_function! {
    /// Computes the gradient of a gated activation for `rows` rows.
    ///
    /// # Safety
    ///
    /// The pointers `x` and `out` must be valid for `rows x 2 · width` floats and `d` for
    /// `rows x width`.
    fn gated_slopes(activation: Activation, x: *const f32, d: *const f32, out: *mut f32,
        rows: usize, width: usize) = gated_slopes_kernel;
}

/// # Safety
///
/// The contract of [`gated_slopes`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn gated_slopes_kernel<S: Simd>(
    activation: Activation,
    x: *const f32,
    d: *const f32,
    out: *mut f32,
    rows: usize,
    width: usize,
) {
    for row in 0..rows {
        for at in (0..width).step_by(S::LANES) {
            let n = (width - at).min(S::LANES);
            let first = row * 2 * width + at;
            // SAFETY: `row < rows` and `at + n <= width`, so every access stays within one row.
            unsafe {
                let input = load_some::<S>(x.add(first), n);
                let gate = load_some::<S>(x.add(first + width), n);
                let d = load_some::<S>(d.add(row * width + at), n);
                let by_input = S::mul(S::mul(d, gate), slope::<S>(activation, input));
                store_some::<S>(out.add(first), by_input, n);
                let by_gate = S::mul(d, value::<S>(activation, input));
                store_some::<S>(out.add(first + width), by_gate, n);
            }
        }
    }
}

/// Returns the derivative of an activation in each lane.
///
/// # Safety
///
/// The CPU must support `S`.
#[inline(always)]
unsafe fn slope<S: Simd>(activation: Activation, x: S::F32) -> S::F32 {
    // SAFETY: the functions work on registers only, and the CPU supports `S` by contract.
    unsafe {
        let (zero, half, one, two) = (S::splat(0.0), S::splat(0.5), S::splat(1.0), S::splat(2.0));
        match activation {
            Activation::Identity => one,
            // The slope is 1 above zero and 0 elsewhere. Even the smallest float times 2^149 is 1.
            Activation::Relu => {
                let big = S::splat(2.0f32.powi(127));
                let scaled = S::mul(S::mul(S::max(x, zero), big), S::splat(2.0f32.powi(22)));
                S::min(scaled, one)
            }
            // The derivative is Φ(x) + x φ(x).
            Activation::Gelu => {
                let e = erf::<S>(S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2)));
                let density = exp::<S>(S::mul(S::mul(x, x), S::splat(-0.5)));
                let density = S::mul(density, S::splat(0.398_942_3));
                S::mul_add(x, density, S::mul(half, S::add(one, e)))
            }
            // The derivative of x σ(2u) is σ + x σ (1 - σ) 2u'.
            Activation::GeluTanh => {
                // From 16 on, the slope is 0 or 1. The square is clamped because the cube of a
                // larger number would outgrow the zero of σ.
                let square = S::min(S::mul(x, x), S::splat(256.0));
                let c = S::splat(2.0 * 0.797_884_6);
                let u = S::mul(c, S::mul_add(S::mul(S::splat(0.044715), square), x, x));
                let du = S::mul(c, S::mul_add(S::splat(3.0 * 0.044715), square, one));
                let s = sigmoid::<S>(u);
                let rest = S::mul(S::mul(x, S::mul(s, S::sub(one, s))), du);
                S::add(s, rest)
            }
            // The derivative is σ (1 + x (1 - σ)).
            Activation::Silu => {
                let s = sigmoid::<S>(x);
                S::mul(s, S::mul_add(x, S::sub(one, s), one))
            }
            // The derivative is 1 - tanh².
            Activation::Tanh => {
                let t = S::sub(S::mul(two, sigmoid::<S>(S::mul(two, x))), one);
                S::sub(one, S::mul(t, t))
            }
        }
    }
}
