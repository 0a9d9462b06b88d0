//! Matrix products in bfloat16 by the tiles of AMX (Intel's Advanced Matrix Extensions), about five times as fast as
//! products of 32-bit floats by AVX-512.
//!
//! Weights, activations and gradients stay 32-bit floats in memory. A product rounds both of its operands to bfloat16
//! (eight bits of precision, to nearest, ties to even, subnormal numbers to zero) and accumulates in 32-bit floats.
//! Intel's manual of instructions describes the order of additions (`TDPBF16PS`): in each block of 32 inputs, the
//! products at even and at odd places form a chain of fused multiply-adds each, and the sum of both chains is added to
//! the output.
//!
//! An operand is copied into tiles of 16 rows of 64 bytes:
//!
//! ```text
//! input    [16 rows][32 inputs]                      a row is a row of the input
//! weights  [16 pairs of inputs][16 columns][2]       a panel of 48 columns has three tiles side by side
//! output   [16 rows][16 columns] of 32-bit floats
//! ```
#![allow(
    unsafe_code,
    reason = "AMX has no intrinsics in stable Rust, and the kernels work on raw pointers"
)]

use std::arch::asm;
use std::arch::x86_64::*;
use std::cell::RefCell;
use std::ops::Range;

use crate::functions::Activation;
use crate::product::{Operands, Product, finish};
use crate::simd::{Avx512, Simd, load_some, store_some};

/// The number of rows of a tile, and of 32-bit columns.
const SIDE: usize = 16;
/// The number of inputs that a tile holds.
const DEPTH: usize = 2 * SIDE;
/// The number of bfloat16 numbers in a tile.
const TILE: usize = SIDE * DEPTH;
/// The number of columns of a panel, and the number of its tiles.
const PANEL: usize = Avx512::PANEL;
const TILES: usize = PANEL / SIDE;
/// The number of rows whose tiles are made at a time. A panel's weights are turned into tiles once for all of them.
const ROW_BLOCK: usize = 512;
/// The number of tokens that one outer product runs over before its result is added to the target.
const TOKEN_BLOCK: usize = 512;

/// A tile of bfloat16 numbers. Its rows are cache lines: a load of a row that spans two lines takes twice as long.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Tile([u16; TILE]);

/// Three tiles of 32-bit floats side by side, `(16, 48)`.
#[repr(align(64))]
struct Sums([f32; SIDE * PANEL]);

/// The tiles of both operands, reused between calls.
#[derive(Default)]
struct Tiles {
    input: Vec<Tile>,
    weights: Vec<Tile>,
}

thread_local! {
    static TILES_OF_THREAD: RefCell<Tiles> = RefCell::default();
}

/// Computes a [`Product`] with operands rounded to bfloat16.
///
/// # Safety
///
/// The contract of [`crate::packed::multiply`] must hold, and [`crate::amx::is_supported`] must have returned `true`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(crate) unsafe fn multiply(p: &Product) {
    let steps = p.inputs.div_ceil(DEPTH);
    TILES_OF_THREAD.with_borrow_mut(|tiles| {
        tiles.weights.resize(steps * TILES, Tile([0; TILE]));
        tiles.input.resize(p.rows.min(ROW_BLOCK).div_ceil(SIDE) * steps, Tile([0; TILE]));
        let mut sums = Sums([0.0; SIDE * PANEL]);
        let _configuration = Configuration::load();
        for row_block in (0..p.rows).step_by(ROW_BLOCK) {
            let rows = (p.rows - row_block).min(ROW_BLOCK);
            // SAFETY: rows, inputs and panels stay below the sizes of the product, for which its pointers are valid by
            // contract. The buffers have room for all tiles of the block and of a panel.
            unsafe {
                let input = p.input.add(row_block * p.input_stride);
                tiles_of_rows(input, p.input_stride, rows, p.inputs, &mut tiles.input);
                for panel in p.range.clone() {
                    let column = panel * PANEL;
                    let width = PANEL.min(p.outputs - column);
                    let weights = p.panels.add(panel * p.panel_stride);
                    tiles_of_pairs(weights, p.inputs, &mut tiles.weights);
                    for row in (0..rows).step_by(SIDE) {
                        let from = &tiles.input[row / SIDE * steps..];
                        add_up(from.as_ptr(), tiles.weights.as_ptr(), steps, &mut sums);
                        let output = p.output.add((row_block + row) * p.output_stride + column);
                        let count = (rows - row).min(SIDE);
                        let accumulate = p.accumulate;
                        write(&sums, count, width, output, p.output_stride, accumulate);
                    }
                    if !p.bias.is_null() || p.activation != Activation::Identity {
                        let bias = if p.bias.is_null() { p.bias } else { p.bias.add(column) };
                        for row in row_block..row_block + rows {
                            let out = p.output.add(row * p.output_stride + column);
                            finish::<Avx512>(out, bias, width, p.activation);
                        }
                    }
                }
            }
        }
    });
}

/// Adds some rows and panels of `inputᵀ · d_output` to `target`, with operands rounded to bfloat16.
///
/// # Safety
///
/// The contract of `outer_product` of `backward/linear.rs` must hold, and [`crate::amx::is_supported`] must have returned `true`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(crate) unsafe fn outer_product(
    part: &Operands<'_>,
    rows: Range<usize>,
    range: Range<usize>,
    target: *mut f32,
) {
    TILES_OF_THREAD.with_borrow_mut(|tiles| {
        let steps = TOKEN_BLOCK.min(part.tokens.next_multiple_of(DEPTH)) / DEPTH;
        tiles.weights.resize(steps * TILES, Tile([0; TILE]));
        tiles.input.resize(rows.len().div_ceil(SIDE) * steps, Tile([0; TILE]));
        let mut sums = Sums([0.0; SIDE * PANEL]);
        let _configuration = Configuration::load();
        for token in (0..part.tokens).step_by(TOKEN_BLOCK) {
            let tokens = (part.tokens - token).min(TOKEN_BLOCK);
            let steps = tokens.div_ceil(DEPTH);
            let input = &part.input[token * part.inputs + rows.start..];
            // SAFETY: tokens, rows and panels stay below the sizes of `part` and of the target, and the buffers have
            // room for all tiles of the rows and of a panel.
            unsafe {
                tiles_of_columns(input, part.inputs, tokens, rows.len(), &mut tiles.input);
                for panel in range.clone() {
                    let weights = part.panels.as_ptr().add((panel * part.tokens + token) * PANEL);
                    tiles_of_pairs(weights, tokens, &mut tiles.weights);
                    for row in (0..rows.len()).step_by(SIDE) {
                        let from = &tiles.input[row / SIDE * steps..];
                        add_up(from.as_ptr(), tiles.weights.as_ptr(), steps, &mut sums);
                        let output = target.add((panel * part.inputs + rows.start + row) * PANEL);
                        let count = (rows.len() - row).min(SIDE);
                        let width = PANEL.min(part.outputs - panel * PANEL);
                        write(&sums, count, width, output, PANEL, true);
                    }
                }
            }
        }
    });
}

/// The shapes of the tile registers, which are released when it is dropped.
struct Configuration;

impl Configuration {
    /// Gives all eight registers 16 rows of 64 bytes.
    fn load() -> Self {
        /// The memory that `LDTILECFG` reads: the palette, the row to start at, and the bytes and rows of each register.
        #[repr(C, align(64))]
        struct Shapes {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            row_bytes: [u16; 16],
            rows: [u8; 16],
        }
        static SHAPES: Shapes = {
            let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
            let mut register = 0;
            while register < 8 {
                row_bytes[register] = 64;
                rows[register] = SIDE as u8;
                register += 1;
            }
            Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
        };
        // SAFETY: the shapes are valid for palette 1, and a `Configuration` is made only where AMX is supported.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly, preserves_flags));
        }
        Self
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: the registers hold nothing that is still needed.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
    }
}

/// Writes the product of a row of tiles of the input and a panel of tiles of weights to `sums`, `(16, 48)`.
///
/// # Safety
///
/// `input` must be valid for `steps` tiles and `weights` for `steps` times three; a [`Configuration`] must be loaded.
#[inline(always)]
unsafe fn add_up(input: *const Tile, weights: *const Tile, steps: usize, sums: &mut Sums) {
    // SAFETY: the loop reads `steps` tiles of the input and three times as many of the weights, and stores three tiles
    // with the stride of a row of `sums`. The registers of tiles belong to this file.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "2:",
            "tileloadd tmm3, [{input} + {row}]",
            "tileloadd tmm4, [{weights} + {row}]",
            "tileloadd tmm5, [{weights} + {row} + 1024]",
            "tileloadd tmm6, [{weights} + {row} + 2048]",
            "tdpbf16ps tmm0, tmm3, tmm4",
            "tdpbf16ps tmm1, tmm3, tmm5",
            "tdpbf16ps tmm2, tmm3, tmm6",
            "add {input}, 1024",
            "add {weights}, 3072",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {sums_row}], tmm0",
            "tilestored [{sums} + {sums_row} + 64], tmm1",
            "tilestored [{sums} + {sums_row} + 128], tmm2",
            input = inout(reg) input => _,
            weights = inout(reg) weights => _,
            steps = inout(reg) steps => _,
            row = in(reg) 64usize,
            sums = in(reg) sums.0.as_mut_ptr(),
            sums_row = in(reg) PANEL * size_of::<f32>(),
            options(nostack),
        );
    }
}

/// Writes `rows` rows of `width` sums to the output, or adds them.
///
/// # Safety
///
/// `output` must be valid for the rows with its stride, and the CPU must support AVX-512.
#[inline(always)]
unsafe fn write(
    sums: &Sums,
    rows: usize,
    width: usize,
    output: *mut f32,
    stride: usize,
    accumulate: bool,
) {
    for (row, sums) in sums.0.chunks_exact(PANEL).take(rows).enumerate() {
        for at in (0..width).step_by(SIDE) {
            let n = (width - at).min(SIDE);
            // SAFETY: `at + n <= width`, so all accesses stay within the row.
            unsafe {
                let out = output.add(row * stride + at);
                let mut sum = Avx512::load(sums.as_ptr().add(at));
                if accumulate {
                    sum = Avx512::add(load_some::<Avx512>(out, n), sum);
                }
                store_some::<Avx512>(out, sum, n);
            }
        }
    }
}

/// Turns rows into tiles, `[16 rows][inputs / 32]`; what is past the rows and the inputs is zero.
///
/// # Safety
///
/// `from` must be valid for the rows with its stride, and the CPU must support AVX-512 with bfloat16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn tiles_of_rows(
    from: *const f32,
    stride: usize,
    rows: usize,
    inputs: usize,
    tiles: &mut [Tile],
) {
    let steps = inputs.div_ceil(DEPTH);
    for row in 0..rows.next_multiple_of(SIDE) {
        for step in 0..steps {
            let to = &mut tiles[row / SIDE * steps + step].0[row % SIDE * DEPTH..][..DEPTH];
            if row >= rows {
                to.fill(0);
                continue;
            }
            let n = (inputs - step * DEPTH).min(DEPTH);
            // SAFETY: the row exists and `n` inputs are left in it; `to` has 32 numbers.
            unsafe {
                let from = from.add(row * stride + step * DEPTH);
                let low = Avx512::load_n(from, n.min(SIDE));
                let high = Avx512::load_n(from.wrapping_add(SIDE), n.saturating_sub(SIDE));
                store_pairs(to.as_mut_ptr(), _mm512_cvtne2ps_pbh(high, low));
            }
        }
    }
}

/// Turns a panel, `(inputs, 48)`, into tiles of pairs of inputs, `[inputs / 32][3]`; what is past the inputs is zero.
///
/// # Safety
///
/// `from` must be valid for the panel, and the CPU must support AVX-512 with bfloat16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn tiles_of_pairs(from: *const f32, inputs: usize, tiles: &mut [Tile]) {
    for pair in 0..inputs.div_ceil(DEPTH) * SIDE {
        for tile in 0..TILES {
            let to = &mut tiles[pair / SIDE * TILES + tile].0[pair % SIDE * DEPTH..][..DEPTH];
            // SAFETY: an input is read only if it exists, and `to` has 32 numbers.
            unsafe {
                let row = |input: usize| {
                    if input < inputs {
                        Avx512::load(from.add(input * PANEL + tile * SIDE))
                    } else {
                        Avx512::splat(0.0)
                    }
                };
                store_pairs(to.as_mut_ptr(), interleave(row(2 * pair), row(2 * pair + 1)));
            }
        }
    }
}

/// Turns the columns of `(tokens, stride)` into tiles whose rows are columns and whose inputs are tokens,
/// `[16 columns][tokens / 32]`; what is past the columns and the tokens is zero.
///
/// # Safety
///
/// The CPU must support AVX-512 with bfloat16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn tiles_of_columns(
    from: &[f32],
    stride: usize,
    tokens: usize,
    columns: usize,
    tiles: &mut [Tile],
) {
    let steps = tokens.div_ceil(DEPTH);
    for first in (0..columns).step_by(SIDE) {
        let n = (columns - first).min(SIDE);
        for step in 0..steps {
            let row = |token: usize| {
                if token < tokens {
                    let row = &from[token * stride + first..][..n];
                    // SAFETY: the row has `n` numbers.
                    unsafe { Avx512::load_n(row.as_ptr(), n) }
                } else {
                    _mm512_setzero_ps()
                }
            };
            let pairs: [__m512i; SIDE] = std::array::from_fn(|pair| {
                let token = step * DEPTH + 2 * pair;
                as_integers(interleave(row(token), row(token + 1)))
            });
            let to = &mut tiles[first / SIDE * steps + step].0;
            for (to, column) in to.chunks_exact_mut(DEPTH).zip(transpose(pairs)) {
                // SAFETY: `to` has 32 numbers of 16 bits, which are 64 bytes.
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), column) };
            }
        }
    }
}

/// Rounds two rows to bfloat16 and puts the numbers of one column side by side.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn interleave(even: __m512, odd: __m512) -> __m512bh {
    const ORDER: [i16; DEPTH] = {
        let mut order = [0; DEPTH];
        let mut i = 0;
        while i < SIDE {
            order[2 * i] = i as i16;
            order[2 * i + 1] = (SIDE + i) as i16;
            i += 1;
        }
        order
    };
    // SAFETY: the order has 32 numbers of 16 bits, and both types are 64 bytes of plain numbers.
    unsafe {
        let order = _mm512_loadu_si512(ORDER.as_ptr().cast());
        let rounded = as_integers(_mm512_cvtne2ps_pbh(odd, even));
        std::mem::transmute::<__m512i, __m512bh>(_mm512_permutexvar_epi16(order, rounded))
    }
}

/// Returns the same bits as integers.
#[inline(always)]
fn as_integers(pairs: __m512bh) -> __m512i {
    // SAFETY: both types are 64 bytes of plain numbers.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(pairs) }
}

/// Stores 32 numbers of bfloat16.
///
/// # Safety
///
/// `to` must be valid for 32 numbers, and the CPU must support AVX-512.
#[inline(always)]
unsafe fn store_pairs(to: *mut u16, pairs: __m512bh) {
    // SAFETY: by contract.
    unsafe { _mm512_storeu_si512(to.cast(), as_integers(pairs)) }
}

/// Transposes 16 rows of 16 integers: first within quarters of the registers, then the quarters.
#[target_feature(enable = "avx512f")]
fn transpose(rows: [__m512i; SIDE]) -> [__m512i; SIDE] {
    // After both steps, register 4g + j holds column j of each quarter, of the rows 4g to 4g + 3.
    let pairs: [__m512i; SIDE] = std::array::from_fn(|i| {
        let (a, b) = (rows[i / 4 * 4 + i % 2 * 2], rows[i / 4 * 4 + i % 2 * 2 + 1]);
        if i % 4 < 2 { _mm512_unpacklo_epi32(a, b) } else { _mm512_unpackhi_epi32(a, b) }
    });
    let fours: [__m512i; SIDE] = std::array::from_fn(|i| {
        let (group, column) = (i / 4 * 4, i % 4);
        let (a, b) = (pairs[group + column / 2 * 2], pairs[group + column / 2 * 2 + 1]);
        if column % 2 == 0 { _mm512_unpacklo_epi64(a, b) } else { _mm512_unpackhi_epi64(a, b) }
    });
    // Column 4q + j is quarter q of the registers j, 4 + j, 8 + j and 12 + j.
    let halves: [[__m512i; 4]; 4] = std::array::from_fn(|j| {
        let (a, b, c, d) = (fours[j], fours[4 + j], fours[8 + j], fours[12 + j]);
        [
            _mm512_shuffle_i32x4::<0x44>(a, b),
            _mm512_shuffle_i32x4::<0xee>(a, b),
            _mm512_shuffle_i32x4::<0x44>(c, d),
            _mm512_shuffle_i32x4::<0xee>(c, d),
        ]
    });
    std::array::from_fn(|column| {
        let [ab_low, ab_high, cd_low, cd_high] = halves[column % 4];
        match column / 4 {
            0 => _mm512_shuffle_i32x4::<0x88>(ab_low, cd_low),
            1 => _mm512_shuffle_i32x4::<0xdd>(ab_low, cd_low),
            2 => _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high),
            _ => _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::backward::Scratch;
    use crate::functions::Activation;
    use crate::matrix::{Linear, Matrix, Precision};
    use crate::simd::Isa;

    /// Rounds to bfloat16, to nearest and ties to even, and returns the number as 32 bits.
    fn round(x: f32) -> f32 {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
        f32::from_bits(rounded)
    }

    /// Adds up products in the order of `TDPBF16PS`.
    fn dot(products: impl Iterator<Item = (f32, f32)>) -> f32 {
        let products: Vec<_> = products.map(|(a, b)| (round(a), round(b))).collect();
        products.chunks(super::DEPTH).fold(0.0, |sum, block| {
            let chain = |first: usize| {
                block.iter().skip(first).step_by(2).fold(0.0f32, |sum, (a, b)| a.mul_add(*b, sum))
            };
            sum + (chain(0) + chain(1))
        })
    }

    /// Numbers that repeat late, of sizes from 1/1024 to 1.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn products_and_gradients_have_the_bits_of_the_definition(
            rows in 1usize..600, outputs in 1usize..110, inputs in 1usize..90, seed in 0u32..1000,
        ) {
            let Some(isa) = Isa::bf16() else {
                println!("skipped: this CPU has no AMX");
                return Ok(());
            };
            let weight = numbers(outputs * inputs, seed);
            let input = numbers(rows * inputs, seed + 1);
            let d_output = numbers(rows * outputs, seed + 2);
            let bias = numbers(outputs, seed + 3);
            let matrix = Matrix::pack(isa, Precision::F32, &weight, outputs, inputs);
            let layer = Linear { weight: matrix, bias: Some(bias.clone()) };

            let mut output = vec![0.0; rows * outputs];
            layer.forward(&input, Activation::Identity, &mut output, true);
            for (i, x) in output.iter().enumerate() {
                let (row, column) = (&input[i / outputs * inputs..][..inputs], i % outputs);
                let column_weights = &weight[column * inputs..][..inputs];
                let expected = dot(row.iter().copied().zip(column_weights.iter().copied()));
                prop_assert_eq!(*x, expected + bias[column]);
            }

            let (mut gradient, mut scratch) = (layer.zeros_like(), Scratch::default());
            layer.backward_weights(&input, &d_output, &mut gradient, &mut scratch);
            let mut row = vec![0.0; inputs];
            for o in 0..outputs {
                gradient.weight.copy_row(o, &mut row);
                for (i, x) in row.iter().enumerate() {
                    // The sum of a block of tokens is added to that of the blocks before.
                    let expected = (0..rows).step_by(super::TOKEN_BLOCK).fold(0.0, |sum, first| {
                        let tokens = first..rows.min(first + super::TOKEN_BLOCK);
                        sum + dot(tokens.map(|t| (input[t * inputs + i], d_output[t * outputs + o])))
                    });
                    prop_assert_eq!(*x, expected);
                }
            }

            let mut d_input = vec![1.0; rows * inputs];
            layer.backward_input(&d_output, &mut d_input, true, &mut scratch);
            for (i, x) in d_input.iter().enumerate() {
                let (row, column) = (&d_output[i / inputs * outputs..][..outputs], i % inputs);
                let weights = (0..outputs).map(|o| weight[o * inputs + column]);
                prop_assert_eq!(*x, 1.0 + dot(row.iter().copied().zip(weights)));
            }
        }
    }
}
