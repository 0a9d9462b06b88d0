//! Layer norm for training. The forward pass keeps the normalised rows and one number per row.
//!
//! With `n` the normalised row, `s` the inverse of the standard deviation and `g = d_y · weight`,
//! the gradient of the input is `s · (g - mean(g) - n · mean(g · n))`. The gradient of the weight
//! is the sum of `d_y · n` over the tokens, and that of the bias is the sum of `d_y`.
#![allow(unsafe_code, reason = "vector kernels work on raw pointers")]

use super::linear::resize;
use crate::functions::{LayerNorm, normalize, steps};
use crate::parallel::{Shared, for_each};
use crate::simd::{Isa, Simd, load_some, simd_function, store_some};

/// The number of rows that a thread takes at once.
const ROWS: usize = 64;
/// The number of columns of the weight's gradient that a thread takes at once.
const COLUMNS: usize = 64;

/// The state that the forward pass of a layer norm keeps for its backward pass.
///
/// ```
/// use splade_nn::{Isa, LayerNorm, SavedNorm};
///
/// let norm = LayerNorm { weight: vec![2.0; 4], bias: vec![0.0; 4], epsilon: 1e-5 };
/// let (mut rows, mut saved) = ([1.0, 2.0, 3.0, 4.0], SavedNorm::default());
/// norm.forward_saved(Isa::detect(), &mut rows, None, &mut saved);
/// let (mut d, mut gradient) = ([1.0; 4], norm.zeros_like());
/// norm.backward(Isa::detect(), &saved, &mut d, &mut gradient);
/// // The same change of all outputs does not come from the input.
/// assert!(d.iter().all(|d| d.abs() < 1e-5));
/// assert_eq!(gradient.bias, [1.0; 4]);
/// ```
#[derive(Debug, Default)]
pub struct SavedNorm {
    /// The rows before weight and bias are applied, `(tokens, hidden)`.
    normalized: Vec<f32>,
    /// The inverse of the standard deviation of each row, `(tokens)`.
    inverse: Vec<f32>,
}

impl LayerNorm {
    /// Applies the norm like [`forward`](LayerNorm::forward) on the current rayon pool and keeps in
    /// `saved` what the backward pass needs.
    ///
    /// # Panics
    ///
    /// Panics if the lengths of the slices do not match.
    pub fn forward_saved(
        &self,
        isa: Isa,
        x: &mut [f32],
        residual: Option<&[f32]>,
        saved: &mut SavedNorm,
    ) {
        let hidden = self.weight.len();
        assert!(
            x.len().is_multiple_of(hidden) && self.bias.len() == hidden,
            "x must have whole rows, and weight and bias equal lengths"
        );
        assert!(
            residual.is_none_or(|r| r.len() == x.len()),
            "the residual must have the shape of x"
        );
        let rows = x.len() / hidden;
        saved.normalized.resize(rows * hidden, 0.0);
        saved.inverse.resize(rows, 0.0);
        let (out, normalized) = (Shared(x.as_mut_ptr()), Shared(saved.normalized.as_mut_ptr()));
        let inverse = Shared(saved.inverse.as_mut_ptr());
        for_each(true, rows.div_ceil(ROWS), |block| {
            let first = block * ROWS;
            let rows = ROWS.min(rows - first);
            // SAFETY: all buffers have `rows` rows from `first` on, and each call accesses only its
            // own rows.
            unsafe {
                forward(
                    isa,
                    self,
                    out.pointer().add(first * hidden),
                    residual.map_or(std::ptr::null(), |r| r[first * hidden..].as_ptr()),
                    rows,
                    normalized.pointer().add(first * hidden),
                    inverse.pointer().add(first),
                );
            }
        });
    }

    /// Recomputes the output of the forward pass from the saved state, which must come from this
    /// norm.
    ///
    /// # Panics
    ///
    /// Panics if the saved state comes from a norm of another width.
    pub fn restore(&self, isa: Isa, saved: &SavedNorm, out: &mut Vec<f32>) {
        let hidden = self.weight.len();
        self.check(saved);
        resize(out, saved.normalized.len());
        out.truncate(saved.normalized.len());
        let (rows, to) = (saved.inverse.len(), Shared(out.as_mut_ptr()));
        for_each(true, rows.div_ceil(ROWS), |block| {
            let first = block * ROWS;
            let count = ROWS.min(rows - first);
            let from = saved.normalized[first * hidden..].as_ptr();
            // SAFETY: both buffers have `count` rows from `first` on, and each call writes only its
            // own rows. `check` ensured the width of the saved rows and of the bias.
            unsafe { affine(isa, self, from, count, to.pointer().add(first * hidden)) };
        });
    }

    /// Checks that a saved state has rows of this norm's width. The safety of the kernels relies on
    /// this check.
    ///
    /// # Panics
    ///
    /// Panics if it has not.
    fn check(&self, saved: &SavedNorm) {
        let hidden = self.weight.len();
        assert!(
            saved.inverse.len().checked_mul(hidden) == Some(saved.normalized.len()),
            "the saved rows are not those of a norm of this width"
        );
        assert!(self.bias.len() == hidden, "weight and bias must have equal lengths");
    }

    /// Replaces the gradient of the output, `(tokens, hidden)`, by that of the input (and of the
    /// residual), and adds the gradients of weight and bias to `gradient`.
    ///
    /// # Panics
    ///
    /// Panics if the lengths of the slices do not match.
    pub fn backward(&self, isa: Isa, saved: &SavedNorm, d: &mut [f32], gradient: &mut LayerNorm) {
        let hidden = self.weight.len();
        let rows = saved.inverse.len();
        self.check(saved);
        assert!(d.len() == rows * hidden, "d must have the shape of the saved rows");
        assert!(
            gradient.weight.len() == hidden && gradient.bias.len() == hidden,
            "the gradient must have the norm's width"
        );
        let weight = Shared(gradient.weight.as_mut_ptr());
        let bias = Shared(gradient.bias.as_mut_ptr());
        for_each(true, hidden.div_ceil(COLUMNS), |block| {
            let first = block * COLUMNS;
            let columns = COLUMNS.min(hidden - first);
            // SAFETY: both gradients have `hidden` floats, and each call accesses only its own
            // columns.
            let (weight, bias) = unsafe {
                (
                    std::slice::from_raw_parts_mut(weight.pointer().add(first), columns),
                    std::slice::from_raw_parts_mut(bias.pointer().add(first), columns),
                )
            };
            let rows = d.chunks_exact(hidden).zip(saved.normalized.chunks_exact(hidden));
            for (d, n) in rows {
                let (d, n) = (&d[first..][..columns], &n[first..][..columns]);
                for (((w, b), d), n) in weight.iter_mut().zip(bias.iter_mut()).zip(d).zip(n) {
                    *w += d * n;
                    *b += d;
                }
            }
        });
        let out = Shared(d.as_mut_ptr());
        for_each(true, rows.div_ceil(ROWS), |block| {
            let first = block * ROWS;
            let count = ROWS.min(rows - first);
            let normalized = saved.normalized[first * hidden..].as_ptr();
            let inverse = saved.inverse[first..].as_ptr();
            // SAFETY: all buffers have `count` rows from `first` on, and each call writes only its
            // own rows. `check` ensured the width of the saved rows.
            unsafe {
                backward(isa, self, normalized, inverse, count, out.pointer().add(first * hidden));
            }
        });
    }

    /// Returns a norm of zeros with the same shape, in which gradients can be accumulated.
    pub fn zeros_like(&self) -> LayerNorm {
        let zeros = vec![0.0; self.weight.len()];
        LayerNorm { weight: zeros.clone(), bias: zeros, epsilon: self.epsilon }
    }
}

simd_function! {
    /// Normalises `rows` rows and keeps the normalised rows and the inverse deviations.
    ///
    /// # Safety
    ///
    /// The pointers `x`, `residual` (unless null) and `normalized` must be valid for `rows` rows of
    /// the norm's width, and `inverse` for `rows` floats.
    fn forward(norm: &LayerNorm, x: *mut f32, residual: *const f32, rows: usize,
        normalized: *mut f32, inverse: *mut f32) = forward_kernel;
}

/// # Safety
///
/// The contract of [`forward`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn forward_kernel<S: Simd>(
    norm: &LayerNorm,
    x: *mut f32,
    residual: *const f32,
    rows: usize,
    normalized: *mut f32,
    inverse: *mut f32,
) {
    let hidden = norm.weight.len();
    for row in 0..rows {
        // SAFETY: `row < rows`, and `at + n <= hidden`, so every access stays within one row.
        unsafe {
            let (x, kept) = (x.add(row * hidden), normalized.add(row * hidden));
            let residual = if residual.is_null() { residual } else { residual.add(row * hidden) };
            let (mean, scale) = normalize::<S::Wide>(x, residual, hidden, norm.epsilon);
            *inverse.add(row) = scale;
            let (mean, scale) = (S::splat(mean), S::splat(scale));
            for (at, n) in steps::<S>(hidden) {
                let d = S::mul(S::sub(load_some::<S>(x.add(at), n), mean), scale);
                store_some::<S>(kept.add(at), d, n);
                let w = load_some::<S>(norm.weight.as_ptr().add(at), n);
                let b = load_some::<S>(norm.bias.as_ptr().add(at), n);
                store_some::<S>(x.add(at), S::mul_add(d, w, b), n);
            }
        }
    }
}

simd_function! {
    /// Applies weight and bias to `rows` normalised rows.
    ///
    /// # Safety
    ///
    /// The pointers must be valid for `rows` rows of the norm's width.
    fn affine(norm: &LayerNorm, normalized: *const f32, rows: usize, out: *mut f32) = affine_kernel;
}

/// # Safety
///
/// The contract of [`affine`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn affine_kernel<S: Simd>(
    norm: &LayerNorm,
    normalized: *const f32,
    rows: usize,
    out: *mut f32,
) {
    let hidden = norm.weight.len();
    for row in 0..rows {
        for (at, n) in steps::<S>(hidden) {
            // SAFETY: `row < rows`, and `at + n <= hidden`, so every access stays within one row.
            unsafe {
                let d = load_some::<S>(normalized.add(row * hidden + at), n);
                let w = load_some::<S>(norm.weight.as_ptr().add(at), n);
                let b = load_some::<S>(norm.bias.as_ptr().add(at), n);
                store_some::<S>(out.add(row * hidden + at), S::mul_add(d, w, b), n);
            }
        }
    }
}

simd_function! {
    /// Replaces the gradients of the outputs of `rows` rows by those of the inputs.
    ///
    /// # Safety
    ///
    /// The pointers `normalized` and `d` must be valid for `rows` rows of the norm's width, and
    /// `inverse` for `rows` floats.
    fn backward(norm: &LayerNorm, normalized: *const f32, inverse: *const f32, rows: usize,
        d: *mut f32) = backward_kernel;
}

/// # Safety
///
/// The contract of [`backward`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn backward_kernel<S: Simd>(
    norm: &LayerNorm,
    normalized: *const f32,
    inverse: *const f32,
    rows: usize,
    d: *mut f32,
) {
    let hidden = norm.weight.len();
    for row in 0..rows {
        // SAFETY: `row < rows`, and `at + n <= hidden`, so every access stays within one row.
        unsafe {
            let (d, kept) = (d.add(row * hidden), normalized.add(row * hidden));
            let (sum, dot) = sums::<S::Wide>(norm, d, kept);
            let (mean, along) = (S::splat(sum / hidden as f32), S::splat(dot / hidden as f32));
            let scale = S::splat(*inverse.add(row));
            for (at, n) in steps::<S>(hidden) {
                let w = load_some::<S>(norm.weight.as_ptr().add(at), n);
                let g = S::mul(load_some::<S>(d.add(at), n), w);
                let n_at = load_some::<S>(kept.add(at), n);
                let rest = S::sub(S::sub(g, mean), S::mul(n_at, along));
                store_some::<S>(d.add(at), S::mul(scale, rest), n);
            }
        }
    }
}

/// Returns the sums of `g` and of `g · n` over a row, with `g = d · weight` and `n` in `kept`.
///
/// # Safety
///
/// The pointers must be valid for a row of the norm's width, and the CPU must support `W`, which
/// has sixteen lanes.
#[inline(always)]
unsafe fn sums<W: Simd>(norm: &LayerNorm, d: *const f32, kept: *const f32) -> (f32, f32) {
    // SAFETY: `at + n` is at most the norm's width, so every access stays within the row.
    unsafe {
        let (mut sum, mut dot) = (W::splat(0.0), W::splat(0.0));
        for (at, n) in steps::<W>(norm.weight.len()) {
            let w = load_some::<W>(norm.weight.as_ptr().add(at), n);
            let g = W::mul(load_some::<W>(d.add(at), n), w);
            sum = W::add(sum, g);
            dot = W::mul_add(g, load_some::<W>(kept.add(at), n), dot);
        }
        (W::sum(sum), W::sum(dot))
    }
}
