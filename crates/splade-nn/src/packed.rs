//! Matrix products with a weight matrix that is packed once: `output = input · weightᵀ`.
//!
//! Packing turns the row-major `(outputs, inputs)` weight of a PyTorch `Linear` into panels, each
//! two or three vector registers of outputs wide, `[panel][inputs][panel width]`. The kernels read
//! them in this order. The input stays row-major with a stride.
#![allow(unsafe_code, reason = "products work on raw pointers")]

use std::ops::Range;

use crate::buffer::AlignedBuffer;
use crate::functions::Activation;
use crate::parallel::for_each;
use crate::product::{Product, ROW_BLOCK};
use crate::simd::Isa;

/// The number of multiply-adds below which a product is not worth a second thread.
const PARALLEL_MIN: usize = 1 << 19;

/// The message for a matrix whose size overflows.
pub(crate) const TOO_LARGE: &str = "the matrix is larger than the address space";

/// A weight matrix of shape `(outputs, inputs)` in the layout of the kernels.
///
/// ```
/// use splade_nn::{Activation, Isa, PackedMatrix};
///
/// let mut matrix = PackedMatrix::zeros(Isa::detect(), 2, 3);
/// matrix.set_rows(1, &[1.0, 2.0, 3.0]);
/// matrix.add_to_row(1, &[0.0, 0.0, 1.0]);
/// let mut row = [0.0; 3];
/// matrix.copy_row(1, &mut row);
/// assert_eq!(row, [1.0, 2.0, 4.0]);
/// ```
#[derive(Debug)]
pub struct PackedMatrix {
    isa: Isa,
    outputs: usize,
    inputs: usize,
    /// The weights, `[panel][inputs][panel width]`; columns past `outputs` are zero.
    panels: AlignedBuffer<f32>,
}

impl PackedMatrix {
    /// Returns a matrix of zeros, to be filled by [`set_rows`](Self::set_rows).
    ///
    /// # Panics
    ///
    /// Panics if the matrix is larger than the address space.
    pub fn zeros(isa: Isa, outputs: usize, inputs: usize) -> Self {
        let size = outputs.checked_next_multiple_of(isa.panel_width());
        let size = size.and_then(|padded| padded.checked_mul(inputs));
        let panels = AlignedBuffer::zeroed(size.expect(TOO_LARGE));
        Self { isa, outputs, inputs, panels }
    }

    /// Packs a row-major matrix of shape `(outputs, inputs)`.
    ///
    /// # Panics
    ///
    /// Panics if `weight` is not a whole number of rows or has more than `outputs` rows.
    pub fn pack(isa: Isa, weight: &[f32], outputs: usize, inputs: usize) -> Self {
        let mut matrix = Self::zeros(isa, outputs, inputs);
        matrix.set_rows(0, weight);
        matrix
    }

    /// Writes the `rows.len() / inputs` rows in `rows`, starting at row `first`.
    ///
    /// # Panics
    ///
    /// Panics if `rows` is not a whole number of rows or extends past the last row.
    pub fn set_rows(&mut self, first: usize, rows: &[f32]) {
        assert!(rows.len().is_multiple_of(self.inputs), "rows must be whole rows of the matrix");
        assert!(
            first + rows.len() / self.inputs <= self.outputs,
            "the rows extend past the end of the matrix"
        );
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

    /// Copies a row of `inputs` floats into `out`. Embeddings are looked up this way in the matrix
    /// that the head multiplies with, so that tied weights are stored once.
    ///
    /// # Panics
    ///
    /// Panics if `row` does not exist or if `out` does not have `inputs` floats.
    pub fn copy_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.outputs && out.len() == self.inputs, "no such row");
        let width = self.isa.panel_width();
        let panel = &self.panels[row / width * width * self.inputs..][..width * self.inputs];
        for (x, column) in out.iter_mut().zip(panel.chunks_exact(width)) {
            *x = column[row % width];
        }
    }

    /// Returns the number of rows of the weight, which is the width of the product.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the number of columns of the weight, which is the width of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Returns the size of the matrix in bytes.
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

    /// Returns the number of columns of a panel.
    pub fn panel_width(&self) -> usize {
        self.isa.panel_width()
    }

    /// Returns all numbers in the layout of the kernels, including the zeros past the outputs.
    /// Operations that treat all numbers alike can work on this slice in any order.
    pub fn numbers(&self) -> &[f32] {
        &self.panels
    }

    /// Returns all numbers in the layout of the kernels, mutably. The zeros past the outputs must
    /// stay zeros.
    pub fn numbers_mut(&mut self) -> &mut [f32] {
        &mut self.panels
    }

    /// Adds `numbers` (`inputs` floats) to a row.
    ///
    /// # Panics
    ///
    /// Panics if `row` does not exist or if `numbers` does not have `inputs` floats.
    pub fn add_to_row(&mut self, row: usize, numbers: &[f32]) {
        assert!(row < self.outputs && numbers.len() == self.inputs, "no such row");
        let width = self.isa.panel_width();
        let start = row / width * width * self.inputs;
        let panel = &mut self.panels[start..start + width * self.inputs];
        for (x, column) in numbers.iter().zip(panel.chunks_exact_mut(width)) {
            column[row % width] += x;
        }
    }

    /// Computes `output = activation(input · weightᵀ + bias)` for a row-major `input` of shape
    /// `(rows, inputs)` and `output` of shape `(rows, outputs)`.
    ///
    /// If `parallel` is set, the tiles are distributed over the current rayon pool; the result has
    /// the same bits.
    ///
    /// # Panics
    ///
    /// Panics if a slice has the wrong length.
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
        // SAFETY: by `check_rows`, `input` and `output` have `rows` rows and `bias` has `outputs`
        // floats. The panels are those of this matrix.
        unsafe { multiply_shared(self.isa, &product, parallel) }
    }
}

/// Checks the lengths of a product with an `(outputs, inputs)` weight and returns its number of
/// rows. The safety of the kernels relies on this check.
///
/// # Panics
///
/// Panics if a slice has the wrong length.
pub(crate) fn check_rows(
    (outputs, inputs): (usize, usize),
    input: &[f32],
    bias: Option<&[f32]>,
    output: &[f32],
) -> usize {
    let rows = input.len() / inputs;
    assert!(input.len() == rows * inputs, "the input must consist of whole rows");
    assert!(rows.checked_mul(outputs) == Some(output.len()), "the output must be (rows, outputs)");
    assert!(bias.is_none_or(|bias| bias.len() == outputs), "the bias must have `outputs` floats");
    rows
}

/// Runs `work` on ranges that cover all panels, distributed over the rayon pool if `parallel` is
/// set.
pub(crate) fn for_panels(panels: usize, parallel: bool, work: impl Fn(Range<usize>) + Send + Sync) {
    let pieces = if parallel { (2 * rayon::current_num_threads()).min(panels) } else { 1 };
    for_each(parallel, pieces, |i| work(panels * i / pieces..panels * (i + 1) / pieces));
}

/// Computes a product. If `parallel` is set and the product is large enough, its tiles are
/// distributed over the rayon pool; the result has the same bits.
///
/// # Safety
///
/// The contract of [`multiply`] must hold.
pub(crate) unsafe fn multiply_shared(isa: Isa, product: &Product, parallel: bool) {
    let (rows, panels) = (product.rows, product.range.clone());
    let parallel = parallel && rows * product.inputs * product.outputs > PARALLEL_MIN;
    let shared = SharedProduct(product);
    for_tiles(parallel, rows, panels.len(), |rows, tile| {
        let range = panels.start + tile.start..panels.start + tile.end;
        // SAFETY: the tile is a part of the product, and each call writes only its own tile.
        unsafe { multiply(isa, &shared.part(rows, range)) }
    });
}

/// A product that several threads compute, each of them its own tile.
struct SharedProduct<'a>(&'a Product);

// SAFETY: threads only read the weights and inputs, and each one writes its own tile of the output.
unsafe impl Sync for SharedProduct<'_> {}

impl SharedProduct<'_> {
    /// Returns the part of the product with the given rows and panels.
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

/// Runs `work` on tiles, which are ranges of rows and of panels, that cover a product. The tiles
/// are distributed over the rayon pool if `parallel` is set.
pub(crate) fn for_tiles(
    parallel: bool,
    rows: usize,
    panels: usize,
    work: impl Fn(Range<usize>, Range<usize>) + Send + Sync,
) {
    // There are a few more tiles than threads, so that all threads finish at about the same time.
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

/// Transposes rows, `out[k * stride + j] = rows[j * width + k]`, in blocks that stay in the cache.
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

/// Computes a [`Product`].
///
/// # Safety
///
/// The pointers of the product must be valid for the rows, panels and columns that its sizes
/// describe, and no other thread may access this part of the output.
pub(crate) unsafe fn multiply(isa: Isa, product: &Product) {
    // SAFETY: passed on. The instruction set of AMX exists only where it is supported.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if isa.0 == crate::simd::Kind::Amx {
            return crate::bf16::multiply(product);
        }
        crate::product::multiply(isa, product);
    }
}
