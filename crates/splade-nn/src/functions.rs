//! Element-wise functions and row-wise normalisations: exponential, error function, activations,
//! layer norm and softmax.
#![allow(unsafe_code, reason = "vector kernels work on raw pointers")]

use crate::simd::{Isa, Simd, load_some, simd_function, store_some};

/// The activation function that follows a linear layer.
///
/// ```
/// use splade_nn::{Activation, Isa, Linear, Matrix, Precision};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0, -1.0], 2, 1);
/// let layer = Linear { weight, bias: None };
/// let mut output = [0.0; 2];
/// layer.forward(&[3.0], Activation::Relu, &mut output, false);
/// assert_eq!(output, [3.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x`: no activation.
    Identity,
    /// `x · Φ(x)` with the error function (Hendrycks and Gimpel 2016), which is PyTorch's `gelu`.
    Gelu,
    /// The tanh approximation of GELU, called `gelu_new` or `gelu_pytorch_tanh`.
    GeluTanh,
    /// `max(x, 0)`
    Relu,
    /// `x · σ(x)`, also called swish.
    Silu,
    /// `tanh(x)`
    Tanh,
}

/// Applies an activation to one register.
///
/// # Safety
///
/// The CPU must support `S`.
#[inline(always)]
pub(crate) unsafe fn activate<S: Simd>(activation: Activation, x: S::F32) -> S::F32 {
    // SAFETY: the functions work on registers only, and the CPU supports `S` by contract.
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
                // The identity 0.5 (1 + tanh u) = σ(2u) applies, with u = √(2/π) (x + 0.044715 x³).
                let cube = S::mul(S::mul(x, x), x);
                let u = S::mul_add(S::splat(0.044715), cube, x);
                S::mul(x, sigmoid::<S>(S::mul(S::splat(2.0 * 0.797_884_6), u)))
            }
            Activation::Silu => S::mul(x, sigmoid::<S>(x)),
            // The identity tanh x = 2 σ(2x) - 1 applies.
            Activation::Tanh => {
                let two = S::splat(2.0);
                S::sub(S::mul(two, sigmoid::<S>(S::mul(two, x))), one)
            }
        }
    }
}

/// Returns the logistic function `1 / (1 + e^-x)` of each lane.
///
/// # Safety
///
/// The CPU must support `S`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::F32) -> S::F32 {
    // SAFETY: the functions work on registers only, and the CPU supports `S` by contract.
    unsafe {
        let one = S::splat(1.0);
        S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), x))))
    }
}

/// Returns `e^x` of each lane, clamped to the range of normal floats. The relative error is below
/// 2e-7.
///
/// The algorithm is Cody and Waite's reduction by powers of two, followed by a polynomial of degree
/// 5 on `±ln 2 / 2` (with the coefficients of Cephes' `expf`).
///
/// # Safety
///
/// The CPU must support `S`.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F32) -> S::F32 {
    // SAFETY: the functions work on registers only, and the CPU supports `S` by contract. The clamp
    // keeps `n` within the range that `pow2` accepts.
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

/// Returns the error function of each lane. The absolute error is below 3e-7.
///
/// It is a rational approximation `x · P(x²) / Q(x²)` on `[-4, 4]` (with the coefficients that
/// Eigen and XLA use). Outside of this interval the function is ±1 in 32 bits.
///
/// # Safety
///
/// The CPU must support `S`.
#[inline(always)]
pub(crate) unsafe fn erf<S: Simd>(x: S::F32) -> S::F32 {
    // SAFETY: the functions work on registers only, and the CPU supports `S` by contract.
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

/// The parameters of a layer norm (Ba, Kiros and Hinton 2016).
///
/// ```
/// use splade_nn::{Isa, LayerNorm};
///
/// let norm = LayerNorm { weight: vec![1.0; 4], bias: vec![0.0; 4], epsilon: 1e-5 };
/// let mut rows = [1.0, 2.0, 3.0, 4.0];
/// norm.forward(Isa::detect(), &mut rows, None);
/// assert!(rows.iter().sum::<f32>().abs() < 1e-5);
/// assert!((rows.iter().map(|x| x * x).sum::<f32>() - 4.0).abs() < 1e-3);
/// ```
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// The scale of each dimension, `(hidden)`.
    pub weight: Vec<f32>,
    /// The shift of each dimension, `(hidden)`; zeros if the model has none.
    pub bias: Vec<f32>,
    /// The number that is added to the variance.
    pub epsilon: f32,
}

impl LayerNorm {
    /// Normalises each row of `x`, `(rows, hidden)`, in place. If `residual`, `(rows, hidden)`, is
    /// given, it is added first.
    ///
    /// # Panics
    ///
    /// Panics if the lengths of the slices do not match.
    pub fn forward(&self, isa: Isa, x: &mut [f32], residual: Option<&[f32]>) {
        let hidden = self.weight.len();
        assert!(
            x.len().is_multiple_of(hidden) && self.bias.len() == hidden,
            "x must have whole rows, and weight and bias equal lengths"
        );
        assert!(
            residual.is_none_or(|r| r.len() == x.len()),
            "the residual must have the shape of x"
        );
        let residual = residual.map_or(std::ptr::null(), <[f32]>::as_ptr);
        // SAFETY: by the checks above, `x` and `residual` (unless null) have `rows` rows of
        // `hidden` floats, and `weight` and `bias` have `hidden` floats.
        unsafe {
            let (weight, bias) = (self.weight.as_ptr(), self.bias.as_ptr());
            let rows = x.len() / hidden;
            layer_norm(isa, x.as_mut_ptr(), residual, rows, hidden, weight, bias, self.epsilon);
        }
    }
}

simd_function! {
    /// Normalises `rows` rows of `hidden` floats.
    ///
    /// # Safety
    ///
    /// The pointers `x` and `residual` (unless null) must be valid for `rows x hidden` floats, and
    /// `weight` and `bias` for `hidden` floats.
    fn layer_norm(x: *mut f32, residual: *const f32, rows: usize, hidden: usize,
        weight: *const f32, bias: *const f32, epsilon: f32) = layer_norm_kernel;
}

/// # Safety
///
/// The contract of [`layer_norm`] must hold, and the CPU must support `S`.
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
        // SAFETY: `row < rows`, and `at + n <= hidden`, so every access stays within one row.
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

/// Returns the offset and the length of each register of a row of `len` floats. Only the last one
/// may be shorter than [`Simd::LANES`].
#[inline(always)]
pub(crate) fn steps<S: Simd>(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(S::LANES).map(move |at| (at, (len - at).min(S::LANES)))
}

/// Adds `residual` (unless null) to a row in place. Returns the mean of the row and the inverse of
/// its standard deviation.
///
/// # Safety
///
/// The pointers `x` and `residual` (unless null) must be valid for `hidden` floats, and the CPU
/// must support `W`, which has sixteen lanes.
#[inline(always)]
pub(crate) unsafe fn normalize<W: Simd>(
    x: *mut f32,
    residual: *const f32,
    hidden: usize,
    epsilon: f32,
) -> (f32, f32) {
    // SAFETY: `at + n <= hidden`, so every access stays within the row.
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
                // The lanes past the end of the row hold -mean here and must not count.
                d = W::first_n(d, n, zero);
            }
            squares = W::mul_add(d, d, squares);
        }
        let variance = W::sum(squares) / hidden as f32;
        (mean, 1.0 / (variance + epsilon).sqrt())
    }
}

simd_function! {
    /// Computes `x = softmax(scale · x)` over `n > 0` floats, in place.
    ///
    /// # Safety
    ///
    /// The pointer `x` must be valid for `n` floats.
    pub(crate) fn softmax(x: *mut f32, n: usize, scale: f32) = softmax_kernel;
}

/// # Safety
///
/// The contract of [`softmax`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn softmax_kernel<S: Simd>(x: *mut f32, n: usize, scale: f32) {
    // SAFETY: the caller upholds the contract, and `S::Wide` consists of registers of `S`.
    unsafe { softmax_row::<S::Wide>(x, n, scale) }
}

/// Computes the softmax of one row; see [`softmax`].
///
/// # Safety
///
/// The pointer `x` must be valid for `n > 0` floats, and the CPU must support `W`, which has
/// sixteen lanes.
#[inline(always)]
unsafe fn softmax_row<W: Simd>(x: *mut f32, n: usize, scale: f32) {
    let whole = n / W::LANES * W::LANES;
    let rest = n - whole;
    // SAFETY: every access covers floats from `at` or `whole` on and ends at `n` at most.
    unsafe {
        let (zero, lowest) = (W::splat(0.0), W::splat(f32::NEG_INFINITY));
        let mut largest = lowest;
        for at in (0..whole).step_by(W::LANES) {
            largest = W::max(largest, W::load(x.add(at)));
        }
        // The lanes past the end are set below every number for the maximum, and to zero for the
        // sum.
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
    /// Computes `activation(x) · gate` for the two halves of each row, from `(rows, 2 · width)` to
    /// `(rows, width)` (Shazeer 2020, "GLU Variants Improve Transformer").
    ///
    /// # Safety
    ///
    /// The pointer `input` must be valid for `rows x 2 · width` floats and `output` for
    /// `rows x width`.
    fn gated(input: *const f32, output: *mut f32, rows: usize, width: usize,
        activation: Activation) = gated_kernel;
}

/// # Safety
///
/// The contract of [`gated`] must hold, and the CPU must support `S`.
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
            // SAFETY: `row < rows` and `at + n <= width`, so every access stays within one row.
            unsafe {
                let x = load_some::<S>(input.add(row * 2 * width + at), n);
                let gate = load_some::<S>(input.add(row * 2 * width + width + at), n);
                let y = S::mul(activate::<S>(activation, x), gate);
                store_some::<S>(output.add(row * width + at), y, n);
            }
        }
    }
}

/// Computes a gated linear unit: `output = activation(first half) · second half` for each row of
/// `input`, from `(rows, 2 · width)` to `(rows, width)`.
///
/// ```
/// use splade_nn::{Activation, Isa, gated_activation};
///
/// // One row of two numbers and their gates.
/// let (input, mut output) = ([2.0, -1.0, 3.0, 5.0], [0.0; 2]);
/// gated_activation(Isa::detect(), &input, &mut output, 2, Activation::Relu);
/// assert_eq!(output, [6.0, 0.0]);
/// ```
///
/// # Panics
///
/// Panics if the lengths of the slices do not match.
pub fn gated_activation(
    isa: Isa,
    input: &[f32],
    output: &mut [f32],
    width: usize,
    activation: Activation,
) {
    assert!(
        input.len() == 2 * output.len() && output.len().is_multiple_of(width),
        "input must be (rows, 2 · width) and output (rows, width)"
    );
    let rows = output.len() / width;
    // SAFETY: by the check above, `output` has `rows` rows of `width` floats and `input` twice as
    // many.
    unsafe { gated(isa, input.as_ptr(), output.as_mut_ptr(), rows, width, activation) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The maximum of each row is subtracted first, so errors are measured relative to each weight.
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
                    // SAFETY: the pointer and the length are those of the vector.
                    unsafe { softmax(isa, y.as_mut_ptr(), n, scale) };
                    for (x, y) in x.iter().zip(&y) {
                        let want = e(x) / total;
                        // The exponential is clamped at e^-87. A sum of n terms loses at most n ·
                        // 2^-24, and the scaled difference 2^-24 of its size.
                        let relative = 1e-6 + (n as f64 + f64::from(scale * spread)) * 6e-8;
                        let near = (f64::from(*y) - want).abs() <= relative * want + 1e-37;
                        assert!(near, "{isa} {n} {scale} {spread}: {y}, not {want}");
                    }
                }
            }
        }
    }
}
