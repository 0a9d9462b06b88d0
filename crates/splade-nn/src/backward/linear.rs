//! The gradients of a linear layer `y = x · weightᵀ + bias`. The gradient of the input is
//! `d_y · weight`, that of the weight is `d_yᵀ · x`, and that of the bias is the sum of `d_y` over
//! the tokens.
#![allow(unsafe_code, reason = "products on raw memory")]

use std::cell::RefCell;
use std::ops::Range;

use crate::functions::Activation;
use crate::matrix::{Linear, Matrix};
use crate::packed::{PackedMatrix, for_tiles, multiply_shared};
use crate::parallel::{Shared, for_each};
use crate::product::{INPUT_BLOCK, Operands, Product, ROW_BLOCK, Tile};
use crate::simd::{Isa, Simd, simd_function};

/// Buffers for the backward passes of linear layers, reused between calls.
///
/// ```
/// use splade_nn::{Isa, Linear, Matrix, Precision, Scratch};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0, 2.0], 1, 2);
/// let layer = Linear { weight, bias: None };
/// // One value serves all layers of a model.
/// let (mut d_input, scratch) = ([0.0; 2], &mut Scratch::default());
/// layer.backward_input(&[3.0], &mut d_input, false, scratch);
/// assert_eq!(d_input, [3.0, 6.0]);
/// ```
#[derive(Debug, Default)]
pub struct Scratch {
    /// The transposed weight, `[panel of inputs][outputs][panel width]`.
    turned: Vec<f32>,
    /// The gradients of the outputs, `[panel of outputs][tokens][panel width]`.
    panels: Vec<f32>,
}

impl Linear {
    /// Adds the gradients of weight and bias to `gradient`. `input` is `(tokens, inputs)` and
    /// `d_output` is `(tokens, outputs)`.
    ///
    /// # Panics
    ///
    /// Panics if shapes differ or if a weight is not of 32-bit floats.
    pub fn backward_weights(
        &self,
        input: &[f32],
        d_output: &[f32],
        gradient: &mut Linear,
        scratch: &mut Scratch,
    ) {
        let weight = packed(&self.weight);
        let (outputs, inputs) = (weight.outputs(), weight.inputs());
        let tokens = input.len() / inputs;
        assert!(input.len() == tokens * inputs, "the input must consist of whole rows");
        assert!(d_output.len() == tokens * outputs, "d_output must be (tokens, outputs)");
        let Matrix::F32(target) = &mut gradient.weight else { panic!("{NO_FLOATS}") };
        assert!(
            (target.outputs(), target.inputs()) == (outputs, inputs),
            "the gradient must have the shape of the weight"
        );
        assert!(target.isa() == weight.isa(), "the gradient is packed for another CPU");
        let bias = gradient.bias.as_deref_mut().unwrap_or_default();
        assert!(bias.is_empty() || bias.len() == outputs, "the bias has the wrong length");
        pack_outputs(weight.isa(), d_output, outputs, &mut scratch.panels, bias);
        add_outer_products(target, input, &scratch.panels, tokens);
    }

    /// Writes the gradient of the input to `d_input`, `(tokens, inputs)`, or adds it if
    /// `accumulate` is set.
    ///
    /// # Panics
    ///
    /// Panics if shapes differ or if the weight is not of 32-bit floats.
    pub fn backward_input(
        &self,
        d_output: &[f32],
        d_input: &mut [f32],
        accumulate: bool,
        scratch: &mut Scratch,
    ) {
        let weight = packed(&self.weight);
        let (outputs, inputs) = (weight.outputs(), weight.inputs());
        let tokens = d_output.len() / outputs;
        assert!(d_output.len() == tokens * outputs, "d_output must have whole rows");
        assert!(d_input.len() == tokens * inputs, "d_input must be (tokens, inputs)");
        let isa = weight.isa();
        let width = isa.panel_width();
        turn(weight, &mut scratch.turned);
        let product = Product {
            rows: tokens,
            inputs: outputs,
            input: d_output.as_ptr(),
            input_stride: outputs,
            panels: scratch.turned.as_ptr(),
            panel_stride: outputs * width,
            range: 0..inputs.div_ceil(width),
            outputs: inputs,
            bias: std::ptr::null(),
            activation: Activation::Identity,
            output: d_input.as_mut_ptr(),
            output_stride: inputs,
            accumulate,
        };
        // SAFETY: by the checks above, `d_output` and `d_input` have `tokens` rows. `turned` holds
        // all panels of the transposed weight, and both slices are borrowed by this function.
        unsafe { multiply_shared(isa, &product, true) }
    }

    /// Returns a layer of zeros with the same shapes, in which gradients can be accumulated.
    ///
    /// # Panics
    ///
    /// Panics if the weight is not of 32-bit floats.
    pub fn zeros_like(&self) -> Linear {
        let weight = packed(&self.weight);
        let weight = PackedMatrix::zeros(weight.isa(), weight.outputs(), weight.inputs());
        Linear {
            weight: Matrix::F32(weight),
            bias: self.bias.as_ref().map(|bias| vec![0.0; bias.len()]),
        }
    }
}

const NO_FLOATS: &str = "only weights of 32-bit floats can be trained";

fn packed(matrix: &Matrix) -> &PackedMatrix {
    match matrix {
        Matrix::F32(matrix) => matrix,
        Matrix::Int8(_) => panic!("{NO_FLOATS}"),
    }
}

/// Grows a buffer to at least `len` floats, whose contents the caller overwrites.
pub(super) fn resize(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}

/// Packs the transpose of the weight into panels, in which columns are inputs and rows are outputs.
fn turn(weight: &PackedMatrix, out: &mut Vec<f32>) {
    let width = weight.isa().panel_width();
    let (outputs, inputs) = (weight.outputs(), weight.inputs());
    let panels = inputs.div_ceil(width);
    resize(out, panels * width * outputs);
    let shared = Shared(out.as_mut_ptr());
    for_each(true, panels, |panel| {
        // SAFETY: `out` holds `panels` panels of `width * outputs` floats, and each call writes
        // only its own panel.
        let to = unsafe {
            let start = shared.pointer().add(panel * width * outputs);
            std::slice::from_raw_parts_mut(start, width * outputs)
        };
        let first = panel * width;
        let columns = width.min(inputs - first);
        for (block, from) in weight.panels().chunks_exact(width * inputs).enumerate() {
            let rows = width.min(outputs - block * width);
            let to = &mut to[block * width * width..];
            for (row, to) in to.chunks_exact_mut(width).take(rows).enumerate() {
                for (column, x) in to[..columns].iter_mut().enumerate() {
                    *x = from[(first + column) * width + row];
                }
                to[columns..].fill(0.0);
            }
        }
    });
}

/// Packs the gradients of outputs, `(tokens, outputs)`, into panels and adds their sums over the
/// tokens to `bias`, unless it is empty.
fn pack_outputs(
    isa: Isa,
    d_output: &[f32],
    outputs: usize,
    panels: &mut Vec<f32>,
    bias: &mut [f32],
) {
    let width = isa.panel_width();
    let tokens = d_output.len() / outputs;
    let count = outputs.div_ceil(width);
    resize(panels, count * width * tokens);
    let (to, sums) = (Shared(panels.as_mut_ptr()), Shared(bias.as_mut_ptr()));
    let biased = !bias.is_empty();
    for_each(true, count, |panel| {
        let first = panel * width;
        let columns = width.min(outputs - first);
        // SAFETY: `panels` holds `count` panels of `width * tokens` floats, and `bias` is empty or
        // has `outputs` floats. Each call accesses only its own panel and the biases of its own
        // columns.
        let (to, sums) = unsafe {
            let to = to.pointer().add(panel * width * tokens);
            let sums = if biased { sums.pointer().add(first) } else { sums.pointer() };
            (
                std::slice::from_raw_parts_mut(to, width * tokens),
                std::slice::from_raw_parts_mut(sums, if biased { columns } else { 0 }),
            )
        };
        for (to, from) in to.chunks_exact_mut(width).zip(d_output.chunks_exact(outputs)) {
            let from = &from[first..first + columns];
            to[..columns].copy_from_slice(from);
            to[columns..].fill(0.0);
            for (sum, x) in sums.iter_mut().zip(from) {
                *sum += x;
            }
        }
    });
}

thread_local! {
    /// The inputs of a tile, transposed so that tokens run along the rows,
    /// `(ROW_BLOCK, INPUT_BLOCK)`.
    static BLOCK: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Computes `target += inputᵀ · d_output` in the layout of the packed weight: rows are inputs,
/// columns of a panel are outputs, and the chain of additions runs over the tokens.
fn add_outer_products(target: &mut PackedMatrix, input: &[f32], panels: &[f32], tokens: usize) {
    let isa = target.isa();
    let (inputs, outputs) = (target.inputs(), target.outputs());
    let out = Shared(target.numbers_mut().as_mut_ptr());
    for_tiles(true, inputs, outputs.div_ceil(isa.panel_width()), |rows, range| {
        BLOCK.with_borrow_mut(|block| {
            block.resize(ROW_BLOCK * INPUT_BLOCK, 0.0);
            let part = Operands { input, inputs, panels, tokens, outputs };
            // SAFETY: the panels cover all tokens and outputs, the target has all inputs and
            // panels, and each call writes only its own tile of it. The instruction set of AMX
            // exists only where it is supported.
            unsafe {
                #[cfg(target_arch = "x86_64")]
                if isa.0 == crate::simd::Kind::Amx {
                    return crate::bf16::outer_product(&part, rows, range, out.pointer());
                }
                outer_product(isa, &part, rows, range, block, out.pointer());
            }
        });
    });
}

simd_function! {
    /// Adds some rows and panels of the product to `target`, `[panel][inputs][panel width]`.
    ///
    /// # Safety
    ///
    /// The slices of `part` must have the lengths that its sizes describe, and `target` must be
    /// valid for all inputs and panels. No other thread may access these rows and panels of it.
    fn outer_product(part: &Operands<'_>, rows: Range<usize>, range: Range<usize>, block: &mut [f32],
        target: *mut f32) = outer_product_kernel;
}

/// # Safety
///
/// The contract of [`outer_product`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn outer_product_kernel<S: Simd>(
    part: &Operands<'_>,
    rows: Range<usize>,
    range: Range<usize>,
    block: &mut [f32],
    target: *mut f32,
) {
    let width = S::PANEL;
    for first in rows.clone().step_by(ROW_BLOCK) {
        let count = (rows.end - first).min(ROW_BLOCK);
        for token in (0..part.tokens).step_by(INPUT_BLOCK) {
            let tokens = (part.tokens - token).min(INPUT_BLOCK);
            let from = &part.input[token * part.inputs + first..];
            turn_block(from, part.inputs, tokens, count, block);
            for panel in range.clone() {
                // SAFETY: tokens, rows and panels stay below the sizes of `part` and of the target,
                // and `block` holds `ROW_BLOCK` rows of `INPUT_BLOCK` floats.
                unsafe {
                    let weights = (panel * part.tokens + token) * width;
                    let tile = Tile {
                        inputs: tokens,
                        weights: part.panels.as_ptr().add(weights),
                        width: width.min(part.outputs - panel * width),
                        accumulate: true,
                        input_stride: INPUT_BLOCK,
                        output_stride: width,
                    };
                    for row in (0..count).step_by(S::ROWS) {
                        let input = block.as_ptr().add(row * INPUT_BLOCK);
                        let output = target.add((panel * part.inputs + first + row) * width);
                        tile.run::<S>((count - row).min(S::ROWS), input, output);
                    }
                }
            }
        }
    }
}

/// Transposes a block of inputs, `block[row * INPUT_BLOCK + token] = from[token * stride + row]`.
#[inline(always)]
fn turn_block(from: &[f32], stride: usize, tokens: usize, rows: usize, block: &mut [f32]) {
    const SIDE: usize = 16;
    for token in (0..tokens).step_by(SIDE) {
        let here = SIDE.min(tokens - token);
        for row in (0..rows).step_by(SIDE) {
            for row in row..(row + SIDE).min(rows) {
                let to = &mut block[row * INPUT_BLOCK + token..][..here];
                for (i, x) in to.iter_mut().enumerate() {
                    *x = from[(token + i) * stride + row];
                }
            }
        }
    }
}
