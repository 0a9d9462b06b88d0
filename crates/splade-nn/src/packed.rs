//! Matrix products with a weight matrix that is packed once: `output = input · weightᵀ`.
//!
//! Packing turns the row-major `(outputs, inputs)` weight of a PyTorch `Linear` into panels of
//! two or three vector registers of outputs, `[panel][inputs][panel width]`, the order in which the
//! micro-kernel reads it. The input stays as it is, row-major with a stride.
//!
//! The kernel follows Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
//! (2008): a tile of rows x panel lives in registers, a block of inputs of one panel in the
//! nearest cache, a block of rows in the next one. Every output is one chain of additions over the
//! inputs in the same order, whatever rows stand beside it: a row's result does not depend on
//! its company.
#![allow(unsafe_code, reason = "the micro-kernel works on raw pointers")]

use std::ops::Range;

use crate::buffer::AlignedBuffer;
use crate::functions::{Activation, activate};
use crate::parallel::for_each;
use crate::simd::{Isa, Simd, load_some, simd_function, store_some};

/// Inputs in one block: a panel's block of 48 x 4 bytes x 256 is 48 KB, near the size of L1.
pub(crate) const INPUT_BLOCK: usize = 256;
/// Rows in one block: their inputs stay in L2 while the panels pass by.
pub(crate) const ROW_BLOCK: usize = 128;
/// Multiply-adds below which a product is not worth a second thread.
const PARALLEL_MIN: usize = 1 << 19;

/// A `(outputs, inputs)` weight matrix in the order of the kernels.
#[derive(Debug)]
pub struct PackedMatrix {
    isa: Isa,
    outputs: usize,
    inputs: usize,
    /// `[panel][inputs][panel width]`; columns past `outputs` are zero.
    panels: AlignedBuffer<f32>,
}

impl PackedMatrix {
    /// An all-zero matrix, to be filled by [`set_rows`](Self::set_rows).
    pub fn zeros(isa: Isa, outputs: usize, inputs: usize) -> Self {
        let width = isa.panel_width();
        let panels = AlignedBuffer::zeroed(outputs.div_ceil(width) * width * inputs);
        Self { isa, outputs, inputs, panels }
    }

    /// Packs a row-major `(outputs, inputs)` matrix.
    ///
    /// # Panics
    /// If `weight` has another length.
    pub fn pack(isa: Isa, weight: &[f32], outputs: usize, inputs: usize) -> Self {
        let mut matrix = Self::zeros(isa, outputs, inputs);
        matrix.set_rows(0, weight);
        matrix
    }

    /// Writes whole rows, `rows.len() / inputs` of them, from row `first` on.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn set_rows(&mut self, first: usize, rows: &[f32]) {
        assert!(rows.len().is_multiple_of(self.inputs), "rows are cut off");
        assert!(first + rows.len() / self.inputs <= self.outputs, "rows past the end");
        let width = self.isa.panel_width();
        let last = first + rows.len() / self.inputs;
        let mut row = first;
        while row < last {
            let (panel, column) = (row / width, row % width);
            let columns = (width - column).min(last - row);
            let source = &rows[(row - first) * self.inputs..][..columns * self.inputs];
            let start = panel * width * self.inputs + column;
            transpose(source, self.inputs, columns, &mut self.panels[start..], width);
            row += columns;
        }
    }

    /// Copies row `row` into `out` (`inputs` floats): an embedding is looked up in the matrix
    /// that the head multiplies with, so that tied weights are kept once.
    ///
    /// # Panics
    /// If there is no such row or `out` has another length.
    pub fn copy_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.outputs && out.len() == self.inputs, "no such row");
        let width = self.isa.panel_width();
        let panel = &self.panels[row / width * width * self.inputs..][..width * self.inputs];
        for (x, column) in out.iter_mut().zip(panel.chunks_exact(width)) {
            *x = column[row % width];
        }
    }

    /// Rows of the weight: the width of the product.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the weight: the width of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.panels.len() * size_of::<f32>()
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    pub(crate) fn panel_count(&self) -> usize {
        self.outputs.div_ceil(self.isa.panel_width())
    }

    pub(crate) fn panels(&self) -> &[f32] {
        &self.panels
    }

    /// Columns of a panel in the order of the kernels.
    pub fn panel_width(&self) -> usize {
        self.isa.panel_width()
    }

    /// All numbers in the order of the kernels, zeros past the outputs included: what is done to
    /// every number alike needs no other order. Zeros past the outputs must stay zeros.
    pub fn numbers(&self) -> &[f32] {
        &self.panels
    }

    /// As [`numbers`](Self::numbers).
    pub fn numbers_mut(&mut self) -> &mut [f32] {
        &mut self.panels
    }

    /// Adds `numbers` (`inputs` floats) to row `row`.
    ///
    /// # Panics
    /// If there is no such row or `numbers` has another length.
    pub fn add_to_row(&mut self, row: usize, numbers: &[f32]) {
        assert!(row < self.outputs && numbers.len() == self.inputs, "no such row");
        let width = self.isa.panel_width();
        let start = row / width * width * self.inputs;
        let panel = &mut self.panels[start..start + width * self.inputs];
        for (x, column) in numbers.iter().zip(panel.chunks_exact_mut(width)) {
            column[row % width] += x;
        }
    }

    /// `output = activation(input · weightᵀ + bias)`; `input` is `(rows, inputs)`, `output`
    /// `(rows, outputs)`, both row-major.
    ///
    /// With `parallel`, the panels are shared out over the current rayon pool; the result is the
    /// same to the bit.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn multiply(
        &self,
        input: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        parallel: bool,
    ) {
        let rows = check_rows((self.outputs, self.inputs), input, bias, output);
        let product = Product {
            rows,
            inputs: self.inputs,
            input: input.as_ptr(),
            input_stride: self.inputs,
            panels: self.panels.as_ptr(),
            panel_stride: self.inputs * self.isa.panel_width(),
            range: 0..self.panel_count(),
            outputs: self.outputs,
            bias: bias.map_or(std::ptr::null(), <[f32]>::as_ptr),
            activation,
            output: output.as_mut_ptr(),
            output_stride: self.outputs,
            accumulate: false,
        };
        // SAFETY: all pointers cover `rows` rows by the checks above.
        unsafe { multiply_shared(self.isa, &product, parallel) }
    }
}

/// The rows of a product with an `(outputs, inputs)` weight.
///
/// # Panics
/// If a length does not fit: the kernels rely on this check.
pub(crate) fn check_rows(
    (outputs, inputs): (usize, usize),
    input: &[f32],
    bias: Option<&[f32]>,
    output: &[f32],
) -> usize {
    let rows = input.len() / inputs;
    assert!(input.len() == rows * inputs, "input rows are cut off");
    assert!(output.len() == rows * outputs, "output has another number of rows");
    assert!(bias.is_none_or(|bias| bias.len() == outputs), "bias has another width");
    rows
}

/// Runs `work` on ranges that cover `panels`, shared out over the pool if `parallel`.
pub(crate) fn for_panels(panels: usize, parallel: bool, work: impl Fn(Range<usize>) + Send + Sync) {
    let pieces = if parallel { (2 * rayon::current_num_threads()).min(panels) } else { 1 };
    for_each(parallel, pieces, |i| work(panels * i / pieces..panels * (i + 1) / pieces));
}

/// Computes a product, its tiles shared out over the pool if `parallel` and it is worth it. The
/// result is the same to the bit.
///
/// # Safety
/// As [`multiply`].
pub(crate) unsafe fn multiply_shared(isa: Isa, product: &Product, parallel: bool) {
    let (rows, panels) = (product.rows, product.range.clone());
    let parallel = parallel && rows * product.inputs * product.outputs > PARALLEL_MIN;
    let shared = SharedProduct(product);
    for_tiles(parallel, rows, panels.len(), |rows, tile| {
        let range = panels.start + tile.start..panels.start + tile.end;
        // SAFETY: the tile is a part of the product, and each call writes its own.
        unsafe { multiply(isa, &shared.part(rows, range)) }
    });
}

/// A product that several threads compute, each its own tile.
struct SharedProduct<'a>(&'a Product);

// SAFETY: threads read the same weights and inputs and write tiles of their own.
unsafe impl Sync for SharedProduct<'_> {}

impl SharedProduct<'_> {
    /// Some rows and panels of the product.
    fn part(&self, rows: Range<usize>, range: Range<usize>) -> Product {
        let whole = self.0;
        Product {
            rows: rows.len(),
            input: whole.input.wrapping_add(rows.start * whole.input_stride),
            output: whole.output.wrapping_add(rows.start * whole.output_stride),
            range,
            ..*whole
        }
    }
}

/// Runs `work` on tiles, ranges of rows and panels, that cover a product; shared out over the pool
/// if `parallel`.
pub(crate) fn for_tiles(
    parallel: bool,
    rows: usize,
    panels: usize,
    work: impl Fn(Range<usize>, Range<usize>) + Send + Sync,
) {
    // A few more tiles than threads, so that threads end together.
    let wanted = if parallel { 4 * rayon::current_num_threads() } else { 1 };
    let blocks = rows.div_ceil(ROW_BLOCK);
    let row_pieces = wanted.min(blocks).max(1);
    let panel_pieces = wanted.div_ceil(row_pieces).min(panels).max(1);
    for_each(parallel, row_pieces * panel_pieces, |i| {
        let (r, p) = (i / panel_pieces, i % panel_pieces);
        let block = |r: usize| (blocks * r / row_pieces * ROW_BLOCK).min(rows);
        let panel = |p: usize| panels * p / panel_pieces;
        work(block(r)..block(r + 1), panel(p)..panel(p + 1));
    });
}

/// `out[k * stride + j] = rows[j * width + k]`, in blocks that stay in cache.
fn transpose(rows: &[f32], width: usize, count: usize, out: &mut [f32], stride: usize) {
    const BLOCK: usize = 16;
    for k in (0..width).step_by(BLOCK) {
        let ks = k..(k + BLOCK).min(width);
        for j in 0..count {
            for (k, x) in ks.clone().zip(&rows[j * width + ks.start..]) {
                out[k * stride + j] = *x;
            }
        }
    }
}

/// One product on raw memory: `output[r][c] = activation(Σ_k input[r][k] · panel[k][c] + bias[c])`
/// for the columns of the panels in `range`.
pub(crate) struct Product {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) input: *const f32,
    /// Floats from one input row to the next.
    pub(crate) input_stride: usize,
    pub(crate) panels: *const f32,
    /// Floats from one panel to the next.
    pub(crate) panel_stride: usize,
    pub(crate) range: Range<usize>,
    /// Columns in all panels; the last one may be cut off.
    pub(crate) outputs: usize,
    /// Null for none.
    pub(crate) bias: *const f32,
    pub(crate) activation: Activation,
    /// Column 0 of the first row, whatever `range` is.
    pub(crate) output: *mut f32,
    pub(crate) output_stride: usize,
    /// Adds to the output instead of overwriting it; without bias and activation.
    pub(crate) accumulate: bool,
}

simd_function! {
    /// Computes a [`Product`].
    ///
    /// # Safety
    /// All its pointers must cover what its sizes say.
    pub(crate) fn multiply(product: &Product) = multiply_kernel;
}

#[inline(always)]
unsafe fn multiply_kernel<S: Simd>(p: &Product) {
    let panel_width = S::PANEL;
    for row_block in (0..p.rows).step_by(ROW_BLOCK) {
        let row_end = (row_block + ROW_BLOCK).min(p.rows);
        for panel in p.range.clone() {
            let column = panel * panel_width;
            let width = panel_width.min(p.outputs - column);
            // SAFETY: every offset stays within the sizes of the product.
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

/// Bias and activation over `width` floats of one row.
#[inline(always)]
unsafe fn finish<S: Simd>(out: *mut f32, bias: *const f32, width: usize, activation: Activation) {
    let mut at = 0;
    while at < width {
        let n = (width - at).min(S::LANES);
        // SAFETY: `n` floats from `at` are within `width`.
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

/// A register tile: some rows x one panel, over one block of inputs.
pub(crate) struct Tile {
    pub(crate) inputs: usize,
    /// `[inputs][panel width]`.
    pub(crate) weights: *const f32,
    /// Columns that exist.
    pub(crate) width: usize,
    /// Whether the output holds the sum of the blocks before.
    pub(crate) accumulate: bool,
    pub(crate) input_stride: usize,
    pub(crate) output_stride: usize,
}

impl Tile {
    #[inline(always)]
    pub(crate) unsafe fn run<S: Simd>(&self, rows: usize, input: *const f32, output: *mut f32) {
        // SAFETY: passed on.
        unsafe {
            match self.width.div_ceil(S::LANES) {
                1 => self.run_rows::<S, 1>(rows, input, output),
                2 => self.run_rows::<S, 2>(rows, input, output),
                _ => self.run_rows::<S, 3>(rows, input, output),
            }
        }
    }

    #[inline(always)]
    unsafe fn run_rows<S: Simd, const V: usize>(
        &self,
        rows: usize,
        input: *const f32,
        output: *mut f32,
    ) {
        // SAFETY: passed on.
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

    /// `R` rows x `V` registers.
    #[inline(always)]
    unsafe fn compute<S: Simd, const R: usize, const V: usize>(
        &self,
        input: *const f32,
        output: *mut f32,
    ) {
        // SAFETY: rows, columns and inputs are within the product's sizes.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; R];
            let mut weights = self.weights;
            for k in 0..self.inputs {
                let mut w = [S::splat(0.0); V];
                for (v, w) in w.iter_mut().enumerate() {
                    *w = S::load(weights.add(v * S::LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = S::splat(*input.add(r * self.input_stride + k));
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
