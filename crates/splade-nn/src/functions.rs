//! Functions of every element: exponential, error function, activations, layer norm, softmax.
#![allow(unsafe_code, reason = "vector kernels work on raw pointers")]

use crate::simd::{Isa, Simd, load_some, simd_function, store_some};

/// What is applied to every output of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x`
    Identity,
    /// `x · Φ(x)` with the error function (Hendrycks and Gimpel 2016): PyTorch's `gelu`.
    Gelu,
    /// The tanh form of it: `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// `x · σ(x)`, also called swish.
    Silu,
    /// `tanh(x)`
    Tanh,
}

/// One register through an activation.
#[inline(always)]
pub(crate) unsafe fn activate<S: Simd>(activation: Activation, x: S::F32) -> S::F32 {
    // SAFETY: arithmetic on registers.
    unsafe {
        let half = S::splat(0.5);
        let one = S::splat(1.0);
        match activation {
            Activation::Identity => x,
            Activation::Relu => S::max(x, S::splat(0.0)),
            Activation::Gelu => {
                let e = erf::<S>(S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2)));
                S::mul(S::mul(half, x), S::add(one, e))
            }
            Activation::GeluTanh => {
                // 0.5 (1 + tanh u) = σ(2u), u = √(2/π) (x + 0.044715 x³)
                let cube = S::mul(S::mul(x, x), x);
                let u = S::mul_add(S::splat(0.044715), cube, x);
                S::mul(x, sigmoid::<S>(S::mul(S::splat(2.0 * 0.797_884_6), u)))
            }
            Activation::Silu => S::mul(x, sigmoid::<S>(x)),
            // tanh x = 2 σ(2x) - 1
            Activation::Tanh => {
                let two = S::splat(2.0);
                S::sub(S::mul(two, sigmoid::<S>(S::mul(two, x))), one)
            }
        }
    }
}

#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::F32) -> S::F32 {
    // SAFETY: arithmetic on registers.
    unsafe {
        let one = S::splat(1.0);
        S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), x))))
    }
}

/// `e^x`, clamped to the range of normal floats; relative error below 2e-7.
///
/// Cody and Waite's reduction by powers of two and a polynomial of degree 5 on `±ln 2 / 2`
/// (the coefficients of Cephes' `expf`).
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F32) -> S::F32 {
    // SAFETY: arithmetic on registers; the clamp keeps the power within pow2's range.
    unsafe {
        let x = S::max(S::min(x, S::splat(88.0)), S::splat(-87.0));
        let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        let r = S::mul_add(n, S::splat(-0.693_359_4), x);
        let r = S::mul_add(n, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = S::mul_add(p, r, S::splat(c));
        }
        let y = S::add(S::mul_add(p, S::mul(r, r), r), S::splat(1.0));
        S::mul(y, S::pow2(n))
    }
}

/// The error function; absolute error below 3e-7.
///
/// A rational approximation `x · P(x²) / Q(x²)` on `[-4, 4]`, outside of which the function is
/// ±1 in 32 bits (the coefficients that Eigen and XLA use).
#[inline(always)]
pub(crate) unsafe fn erf<S: Simd>(x: S::F32) -> S::F32 {
    // SAFETY: arithmetic on registers.
    unsafe {
        let x = S::max(S::min(x, S::splat(4.0)), S::splat(-4.0));
        let x2 = S::mul(x, x);
        let mut p = S::splat(-2.726_142_3e-10);
        for c in [
            2.770_681_4e-8,
            -2.101_024e-6,
            -5.692_506_5e-5,
            -7.349_906_3e-4,
            -2.954_6e-3,
            -1.609_603_3e-2,
        ] {
            p = S::mul_add(p, x2, S::splat(c));
        }
        let mut q = S::splat(-1.456_607_2e-5);
        for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
            q = S::mul_add(q, x2, S::splat(c));
        }
        S::div(S::mul(x, p), q)
    }
}

/// The affine part of a layer norm (Ba, Kiros and Hinton 2016).
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// `(hidden)`
    pub weight: Vec<f32>,
    /// `(hidden)`; zeros where the model has none.
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl LayerNorm {
    /// Normalises each row of `x`, `(rows, hidden)`, in place; with `residual`, also
    /// `(rows, hidden)`, adds that first.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn forward(&self, isa: Isa, x: &mut [f32], residual: Option<&[f32]>) {
        let hidden = self.weight.len();
        assert!(x.len().is_multiple_of(hidden) && self.bias.len() == hidden, "another width");
        assert!(residual.is_none_or(|r| r.len() == x.len()), "another number of rows");
        let residual = residual.map_or(std::ptr::null(), <[f32]>::as_ptr);
        // SAFETY: the pointers cover `rows` rows of `hidden` floats by the checks above.
        unsafe {
            let (weight, bias) = (self.weight.as_ptr(), self.bias.as_ptr());
            let rows = x.len() / hidden;
            layer_norm(isa, x.as_mut_ptr(), residual, rows, hidden, weight, bias, self.epsilon);
        }
    }
}

simd_function! {
    /// # Safety
    /// `x` and `residual` (unless null) cover `rows x hidden` floats, `weight` and `bias` `hidden`.
    fn layer_norm(x: *mut f32, residual: *const f32, rows: usize, hidden: usize,
        weight: *const f32, bias: *const f32, epsilon: f32) = layer_norm_kernel;
}

#[allow(clippy::too_many_arguments, reason = "kernels take pointers and their sizes apart")]
#[inline(always)]
unsafe fn layer_norm_kernel<S: Simd>(
    x: *mut f32,
    residual: *const f32,
    rows: usize,
    hidden: usize,
    weight: *const f32,
    bias: *const f32,
    epsilon: f32,
) {
    for row in 0..rows {
        // SAFETY: offsets stay within one row of `hidden` floats.
        unsafe {
            let x = x.add(row * hidden);
            let residual = if residual.is_null() { residual } else { residual.add(row * hidden) };
            let (mean, scale) = normalize::<S::Wide>(x, residual, hidden, epsilon);
            let (mean, scale) = (S::Wide::splat(mean), S::Wide::splat(scale));
            for (at, n) in steps::<S::Wide>(hidden) {
                let d = S::Wide::sub(load_some::<S::Wide>(x.add(at), n), mean);
                let d = S::Wide::mul(d, scale);
                let w = load_some::<S::Wide>(weight.add(at), n);
                let y = S::Wide::mul_add(d, w, load_some::<S::Wide>(bias.add(at), n));
                store_some::<S::Wide>(x.add(at), y, n);
            }
        }
    }
}

/// Offsets of the registers of a row and their lengths.
#[inline(always)]
pub(crate) fn steps<S: Simd>(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(S::LANES).map(move |at| (at, (len - at).min(S::LANES)))
}

/// Adds `residual` (unless null) to a row in place; returns its mean and one over its deviation.
///
/// # Safety
/// `x` and `residual` cover `hidden` floats; the CPU supports `W`, which has sixteen lanes.
#[inline(always)]
pub(crate) unsafe fn normalize<W: Simd>(
    x: *mut f32,
    residual: *const f32,
    hidden: usize,
    epsilon: f32,
) -> (f32, f32) {
    // SAFETY: offsets stay within the row.
    unsafe {
        let zero = W::splat(0.0);
        let mut sum = zero;
        for (at, n) in steps::<W>(hidden) {
            let mut v = load_some::<W>(x.add(at), n);
            if !residual.is_null() {
                v = W::add(v, load_some::<W>(residual.add(at), n));
                store_some::<W>(x.add(at), v, n);
            }
            sum = W::add(sum, v);
        }
        let mean = W::sum(sum) / hidden as f32;
        let center = W::splat(mean);
        let mut squares = zero;
        for (at, n) in steps::<W>(hidden) {
            let mut d = W::sub(load_some::<W>(x.add(at), n), center);
            if n < W::LANES {
                // Lanes past the row hold -mean here: they must not count.
                d = W::first_n(d, n, zero);
            }
            squares = W::mul_add(d, d, squares);
        }
        let variance = W::sum(squares) / hidden as f32;
        (mean, 1.0 / (variance + epsilon).sqrt())
    }
}

simd_function! {
    /// `x = softmax(scale · x)` over `n > 0` floats in place.
    ///
    /// # Safety
    /// `x` covers `n` floats.
    pub(crate) fn softmax(x: *mut f32, n: usize, scale: f32) = softmax_kernel;
}

#[inline(always)]
unsafe fn softmax_kernel<S: Simd>(x: *mut f32, n: usize, scale: f32) {
    // SAFETY: passed on.
    unsafe { softmax_row::<S::Wide>(x, n, scale) }
}

/// # Safety
/// `x` covers `n > 0` floats; the CPU supports `W`, which has sixteen lanes.
#[inline(always)]
unsafe fn softmax_row<W: Simd>(x: *mut f32, n: usize, scale: f32) {
    let whole = n / W::LANES * W::LANES;
    let rest = n - whole;
    // SAFETY: offsets stay below `n`.
    unsafe {
        let (zero, lowest) = (W::splat(0.0), W::splat(f32::NEG_INFINITY));
        let mut largest = lowest;
        for at in (0..whole).step_by(W::LANES) {
            largest = W::max(largest, W::load(x.add(at)));
        }
        // The lanes past the end are below every number, then they are zeros of the sum.
        if rest > 0 {
            let v = W::first_n(W::load_n(x.add(whole), rest), rest, lowest);
            largest = W::max(largest, v);
        }
        let (shift, factor) = (W::splat(W::largest(largest)), W::splat(scale));
        let mut sum = zero;
        for at in (0..whole).step_by(W::LANES) {
            let e = exp::<W>(W::mul(W::sub(W::load(x.add(at)), shift), factor));
            W::store(x.add(at), e);
            sum = W::add(sum, e);
        }
        if rest > 0 {
            let v = W::load_n(x.add(whole), rest);
            let e = exp::<W>(W::mul(W::sub(v, shift), factor));
            W::store_n(x.add(whole), e, rest);
            sum = W::add(sum, W::first_n(e, rest, zero));
        }
        let inverse = W::splat(1.0 / W::sum(sum));
        for (at, n) in steps::<W>(n) {
            store_some::<W>(x.add(at), W::mul(load_some::<W>(x.add(at), n), inverse), n);
        }
    }
}

simd_function! {
    /// `gate · activation(x)`, the two halves of `(rows, 2 · width)`, into `(rows, width)`
    /// (Shazeer 2020, "GLU Variants Improve Transformer").
    ///
    /// # Safety
    /// `input` covers `rows x 2 · width` floats, `output` `rows x width`.
    fn gated(input: *const f32, output: *mut f32, rows: usize, width: usize,
        activation: Activation) = gated_kernel;
}

#[inline(always)]
unsafe fn gated_kernel<S: Simd>(
    input: *const f32,
    output: *mut f32,
    rows: usize,
    width: usize,
    activation: Activation,
) {
    for row in 0..rows {
        for at in (0..width).step_by(S::LANES) {
            let n = (width - at).min(S::LANES);
            // SAFETY: offsets stay within the rows.
            unsafe {
                let x = load_some::<S>(input.add(row * 2 * width + at), n);
                let gate = load_some::<S>(input.add(row * 2 * width + width + at), n);
                let y = S::mul(activate::<S>(activation, x), gate);
                store_some::<S>(output.add(row * width + at), y, n);
            }
        }
    }
}

/// A gated linear unit: `output = activation(first half) · second half` of every input row;
/// `input` is `(rows, 2 · width)`, `output` `(rows, width)`.
///
/// # Panics
/// If the lengths do not fit.
pub fn gated_activation(
    isa: Isa,
    input: &[f32],
    output: &mut [f32],
    width: usize,
    activation: Activation,
) {
    assert!(input.len() == 2 * output.len() && output.len().is_multiple_of(width), "rows differ");
    let rows = output.len() / width;
    // SAFETY: the lengths were checked.
    unsafe { gated(isa, input.as_ptr(), output.as_mut_ptr(), rows, width, activation) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest weights first, so that an error of 1e-7 of each weight is what counts.
    #[test]
    fn softmax_is_that_of_f64() {
        for isa in Isa::supported() {
            for n in 1..=130usize {
                for (scale, spread) in [(1.0f32, 2.0f32), (0.125, 60.0), (1.0, 300.0), (1.0, 0.0)] {
                    let number = |i: usize| ((i * 7919 + n) % 101) as f32 / 50.0 - 1.0;
                    let x: Vec<f32> = (0..n).map(|i| spread * number(i) + 3.0).collect();
                    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let e = |x: &f32| f64::from(scale * (x - largest)).exp();
                    let total: f64 = x.iter().map(e).sum();
                    let mut y = x.clone();
                    // SAFETY: the vector's own length.
                    unsafe { softmax(isa, y.as_mut_ptr(), n, scale) };
                    for (x, y) in x.iter().zip(&y) {
                        let want = e(x) / total;
                        // e^-87 is where the exponential stops; a sum of n terms loses n bits at
                        // most of 2^-24 each, the scaled difference 2^-24 of its size.
                        let relative = 1e-6 + (n as f64 + f64::from(scale * spread)) * 6e-8;
                        let near = (f64::from(*y) - want).abs() <= relative * want + 1e-37;
                        assert!(near, "{isa} {n} {scale} {spread}: {y}, not {want}");
                    }
                }
            }
        }
    }
}
