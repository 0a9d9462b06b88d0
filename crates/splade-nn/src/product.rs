//! The operands of matrix products on raw memory, and their kernel for 32-bit floats.
//!
//! The kernel follows Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
//! (2008): a register tile holds the accumulators of some rows and one panel, a block of inputs of
//! one panel stays in the nearest cache, and a block of rows in the next one. Every output is a
//! single chain of additions over the inputs in a fixed order, so the result of a row does not
//! depend on the other rows.
#![allow(unsafe_code, reason = "the micro-kernel works on raw pointers")]

use std::hint::black_box;
use std::ops::Range;

use crate::functions::{Activation, activate};
use crate::simd::{Simd, load_some, simd_function, store_some};

/// The number of inputs in one block. A panel's block of 48 x 4 bytes x 256 is 48 KB, about the
/// size of the L1 cache.
pub(crate) const INPUT_BLOCK: usize = 256;
/// The number of rows in one block. Their inputs stay in the L2 cache for all panels.
pub(crate) const ROW_BLOCK: usize = 128;
/// One product on raw memory: `output[r][c] = activation(Σ_k input[r][k] · panel[k][c] + bias[c])`
/// for the columns of the panels in `range`.
pub(crate) struct Product {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) input: *const f32,
    /// The number of floats from one input row to the next.
    pub(crate) input_stride: usize,
    pub(crate) panels: *const f32,
    /// The number of floats from one panel to the next.
    pub(crate) panel_stride: usize,
    pub(crate) range: Range<usize>,
    /// The number of columns in all panels; the last panel may be cut off.
    pub(crate) outputs: usize,
    /// The bias, `(outputs)`, or null for none.
    pub(crate) bias: *const f32,
    pub(crate) activation: Activation,
    /// The first row's column 0, even if `range` does not start at panel 0.
    pub(crate) output: *mut f32,
    /// The number of floats from one output row to the next.
    pub(crate) output_stride: usize,
    /// Whether the product is added to the output instead of overwriting it. It requires that there
    /// is no bias and no activation.
    pub(crate) accumulate: bool,
}

/// The operands of an outer product.
pub(crate) struct Operands<'a> {
    /// The input, `(tokens, inputs)`.
    pub(crate) input: &'a [f32],
    pub(crate) inputs: usize,
    /// The gradients of the outputs, `[panel][tokens][panel width]`.
    pub(crate) panels: &'a [f32],
    pub(crate) tokens: usize,
    pub(crate) outputs: usize,
}

simd_function! {
    /// Computes a [`Product`] of 32-bit floats.
    ///
    /// # Safety
    ///
    /// The pointers of the product must be valid for the rows, panels and columns that its sizes
    /// describe, and no other thread may access this part of the output.
    pub(crate) fn multiply(product: &Product) = multiply_kernel;
}

/// # Safety
///
/// The contract of [`multiply`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn multiply_kernel<S: Simd>(p: &Product) {
    let panel_width = S::PANEL;
    for row_block in (0..p.rows).step_by(ROW_BLOCK) {
        let row_end = (row_block + ROW_BLOCK).min(p.rows);
        for panel in p.range.clone() {
            let column = panel * panel_width;
            let width = panel_width.min(p.outputs - column);
            // SAFETY: panels, rows and inputs stay below the sizes of the product, for which the
            // pointers are valid by contract.
            unsafe {
                let weights = p.panels.add(panel * p.panel_stride);
                let output = p.output.add(column);
                for first in (0..p.inputs).step_by(INPUT_BLOCK) {
                    let tile = Tile {
                        inputs: INPUT_BLOCK.min(p.inputs - first),
                        weights: weights.add(first * panel_width),
                        width,
                        accumulate: p.accumulate || first > 0,
                        input_stride: p.input_stride,
                        output_stride: p.output_stride,
                    };
                    for row in (row_block..row_end).step_by(S::ROWS) {
                        let input = p.input.add(row * p.input_stride + first);
                        let output = output.add(row * p.output_stride);
                        tile.run::<S>((row_end - row).min(S::ROWS), input, output);
                    }
                }
                if !p.bias.is_null() || p.activation != Activation::Identity {
                    let bias = if p.bias.is_null() { p.bias } else { p.bias.add(column) };
                    for row in row_block..row_end {
                        let out = output.add(row * p.output_stride);
                        finish::<S>(out, bias, width, p.activation);
                    }
                }
            }
        }
    }
}

/// Adds the bias and applies the activation to `width` floats of one row.
///
/// # Safety
///
/// The pointers `out` and `bias` (unless null) must be valid for `width` floats, and the CPU must
/// support `S`.
#[inline(always)]
pub(crate) unsafe fn finish<S: Simd>(
    out: *mut f32,
    bias: *const f32,
    width: usize,
    activation: Activation,
) {
    let mut at = 0;
    while at < width {
        let n = (width - at).min(S::LANES);
        // SAFETY: `at + n <= width`, so every access stays within `width` floats.
        unsafe {
            let mut x = load_some::<S>(out.add(at), n);
            if !bias.is_null() {
                x = S::add(x, load_some::<S>(bias.add(at), n));
            }
            store_some::<S>(out.add(at), activate::<S>(activation, x), n);
        }
        at += S::LANES;
    }
}

/// A register tile of up to eight rows and one panel, over one block of inputs.
pub(crate) struct Tile {
    /// The number of inputs in the block.
    pub(crate) inputs: usize,
    /// The weights of the block, `[inputs][panel width]`.
    pub(crate) weights: *const f32,
    /// The number of columns that exist; the others are padding.
    pub(crate) width: usize,
    /// Whether the output holds the sum over the previous blocks, to which the tile is added.
    pub(crate) accumulate: bool,
    pub(crate) input_stride: usize,
    pub(crate) output_stride: usize,
}

impl Tile {
    /// Computes `rows` rows of the tile.
    ///
    /// # Safety
    ///
    /// The pointers `input` and `output` must be valid for `rows` rows with the strides of the
    /// tile, `weights` must be valid for the block, and the CPU must support `S`.
    #[inline(always)]
    pub(crate) unsafe fn run<S: Simd>(&self, rows: usize, input: *const f32, output: *mut f32) {
        // SAFETY: the caller upholds the contract.
        unsafe {
            match self.width.div_ceil(S::LANES) {
                1 => self.run_rows::<S, 1>(rows, input, output),
                2 => self.run_rows::<S, 2>(rows, input, output),
                _ => self.run_rows::<S, 3>(rows, input, output),
            }
        }
    }

    /// Computes `rows` rows of `V` registers of columns.
    ///
    /// # Safety
    ///
    /// The contract of [`run`](Self::run) must hold.
    #[inline(always)]
    unsafe fn run_rows<S: Simd, const V: usize>(
        &self,
        rows: usize,
        input: *const f32,
        output: *mut f32,
    ) {
        // SAFETY: the caller upholds the contract.
        unsafe {
            match rows {
                1 => self.compute::<S, 1, V>(input, output),
                2 => self.compute::<S, 2, V>(input, output),
                3 => self.compute::<S, 3, V>(input, output),
                4 => self.compute::<S, 4, V>(input, output),
                5 => self.compute::<S, 5, V>(input, output),
                6 => self.compute::<S, 6, V>(input, output),
                7 => self.compute::<S, 7, V>(input, output),
                _ => self.compute::<S, 8, V>(input, output),
            }
        }
    }

    /// Computes `R` rows of `V` registers of columns.
    ///
    /// # Safety
    ///
    /// The contract of [`run`](Self::run) must hold for `R` rows.
    #[inline(always)]
    unsafe fn compute<S: Simd, const R: usize, const V: usize>(
        &self,
        input: *const f32,
        output: *mut f32,
    ) {
        // SAFETY: rows and inputs stay below the sizes of the tile. Panels are padded, so whole
        // registers of weights may be loaded; only the columns that exist are accessed in the
        // output.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; R];
            let mut weights = self.weights;
            // `black_box` keeps the compiler from computing the addresses of the rows anew in every step.
            let rows: [_; R] = std::array::from_fn(|r| black_box(input.add(r * self.input_stride)));
            for k in 0..self.inputs {
                let mut w = [S::splat(0.0); V];
                for (v, w) in w.iter_mut().enumerate() {
                    *w = S::load(weights.add(v * S::LANES));
                }
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let x = S::splat(*row.add(k));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = S::mul_add(x, w, *sum);
                    }
                }
                weights = weights.add(S::PANEL);
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, mut sum) in sums.into_iter().enumerate() {
                    let out = output.add(r * self.output_stride + v * S::LANES);
                    let n = (self.width - v * S::LANES).min(S::LANES);
                    if self.accumulate {
                        sum = S::add(load_some::<S>(out, n), sum);
                    }
                    store_some::<S>(out, sum, n);
                }
            }
        }
    }
}
