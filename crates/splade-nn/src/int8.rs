//! Matrix products in 8 bits: weights quantised once per output, inputs per row as they come.
//!
//! A weight row is symmetric in `[-127, 127]` with one scale; an input row is affine in
//! `[0, 255]` with a scale and a zero point of its own, so that the one-sided outputs of GELU use
//! the whole range. Products of unsigned by signed bytes add up exactly in 32-bit integers on
//! every instruction set (VNNI, or sign-extended pairs on AVX2), so that results do not depend on
//! which one ran:
//!
//! `output = (Σ q_x q_w - zero_x Σ q_w) · scale_x · scale_w + bias`
//!
//! The sums hold for up to 66 000 inputs (2^31 / (255 · 127)). An input row with an infinite number
//! gives NaN, as does an output whose weights have one; a NaN counts as the least number of its row
//! (0 if none is below) or, among weights, as 0. Rows whose steps would be subnormal, that is rows
//! below some 1e-36, are zeros.
#![allow(unsafe_code, reason = "the micro-kernel works on raw pointers")]

use std::cell::RefCell;
use std::ops::Range;

use crate::buffer::AlignedBuffer;
use crate::functions::{Activation, activate};
use crate::packed::{check_rows, for_panels};
use crate::parallel::Shared;
use crate::simd::{Isa, Kind, Simd, load_some, store_some};

/// Multiply-adds below which a product is not worth a second thread.
const PARALLEL_MIN: usize = 1 << 20;
/// Scales below it are subnormal.
const TINY: f32 = f32::MIN_POSITIVE;
/// Inputs that one instruction multiplies and adds up.
const GROUP: usize = 4;

/// A `(outputs, inputs)` weight matrix in 8 bits, in the order of the kernels.
#[derive(Debug)]
pub struct Int8Matrix {
    isa: Isa,
    outputs: usize,
    inputs: usize,
    /// `[panel][inputs / 4][panel width][4]`; what lies past `outputs` or `inputs` is zero.
    panels: AlignedBuffer<i8>,
    /// Per output, padded to whole panels.
    scales: Vec<f32>,
    /// Σ q_w per output, padded to whole panels.
    sums: Vec<i32>,
}

impl Int8Matrix {
    /// An all-zero matrix, to be filled by [`set_rows`](Self::set_rows).
    pub(crate) fn zeros(isa: Isa, outputs: usize, inputs: usize) -> Self {
        let width = panel_width(isa);
        let padded = outputs.div_ceil(width) * width;
        let panels = AlignedBuffer::zeroed(padded * inputs.next_multiple_of(GROUP));
        Self { isa, outputs, inputs, panels, scales: vec![0.0; padded], sums: vec![0; padded] }
    }

    /// Quantises and writes whole rows from row `first` on.
    pub(crate) fn set_rows(&mut self, first: usize, rows: &[f32]) {
        assert!(rows.len().is_multiple_of(self.inputs), "rows are cut off");
        assert!(first + rows.len() / self.inputs <= self.outputs, "rows past the end");
        for (i, row) in rows.chunks_exact(self.inputs).enumerate() {
            let output = first + i;
            let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            // Rows of subnormal scales are zeros: their inverse would be infinite.
            let inverse = if largest / 127.0 >= TINY { 127.0 / largest } else { 0.0 };
            let mut sum = 0;
            for (k, w) in row.iter().enumerate() {
                let q = (w * inverse).round() as i8;
                let at = self.position(output, k);
                self.panels[at] = q;
                sum += i32::from(q);
            }
            self.scales[output] = largest / 127.0;
            self.sums[output] = sum;
        }
    }

    fn position(&self, output: usize, input: usize) -> usize {
        let width = panel_width(self.isa);
        let groups = self.inputs.div_ceil(GROUP);
        ((output / width * groups + input / GROUP) * width + output % width) * GROUP + input % GROUP
    }

    pub(crate) fn copy_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.outputs && out.len() == self.inputs, "no such row");
        for (k, x) in out.iter_mut().enumerate() {
            *x = f32::from(self.panels[self.position(row, k)]) * self.scales[row];
        }
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    pub(crate) fn bytes(&self) -> usize {
        self.panels.len()
            + self.scales.len() * size_of::<f32>()
            + self.sums.len() * size_of::<i32>()
    }

    pub(crate) fn panel_width(&self) -> usize {
        panel_width(self.isa)
    }

    /// The product; see [`Matrix::multiply`](crate::Matrix::multiply).
    pub(crate) fn multiply(
        &self,
        input: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        parallel: bool,
    ) {
        let rows = check_rows((self.outputs, self.inputs), input, bias, output);
        let out = Shared(output.as_mut_ptr());
        QuantizedRows::with(input, self.inputs, |quantized| {
            let panels = self.outputs.div_ceil(self.panel_width());
            let parallel = parallel && rows * self.inputs * self.outputs > PARALLEL_MIN;
            for_panels(panels, parallel, |range| {
                let product = Int8Product {
                    weights: self,
                    input: quantized,
                    rows: 0..rows,
                    range,
                    bias,
                    activation,
                    output: out.pointer(),
                    output_stride: self.outputs,
                };
                // SAFETY: the output covers all rows by the check above, and each call writes
                // the columns of its own panels only.
                unsafe { multiply(self.isa, &product) }
            });
        });
    }
}

/// Rows of inputs in 8 bits.
#[derive(Default)]
pub(crate) struct QuantizedRows {
    /// Row-major, `stride` bytes a row.
    bytes: Vec<u8>,
    stride: usize,
    scales: Vec<f32>,
    zeros: Vec<i32>,
}

thread_local! {
    /// Kept from call to call: it is as large as a layer's input.
    static ROWS: RefCell<QuantizedRows> = RefCell::default();
}

impl QuantizedRows {
    /// Quantises `(rows, inputs)` floats into a buffer that the thread keeps.
    pub(crate) fn with<R>(input: &[f32], inputs: usize, work: impl FnOnce(&Self) -> R) -> R {
        let mut rows = ROWS.take();
        rows.fill(input, inputs);
        let result = work(&rows);
        ROWS.set(rows);
        result
    }

    fn fill(&mut self, input: &[f32], inputs: usize) {
        let rows = input.len() / inputs;
        self.stride = inputs.next_multiple_of(GROUP);
        self.bytes.resize(rows * self.stride, 0);
        self.scales.clear();
        self.zeros.clear();
        for (row, out) in input.chunks_exact(inputs).zip(self.bytes.chunks_exact_mut(self.stride)) {
            // Sixteen running extremes: a single one would be a chain that does not vectorise.
            let (mut low, mut high) = ([0.0f32; 16], [0.0f32; 16]);
            for chunk in row.chunks(16) {
                for ((x, low), high) in chunk.iter().zip(&mut low).zip(&mut high) {
                    *low = if *x < *low { *x } else { *low };
                    *high = if *x > *high { *x } else { *high };
                }
            }
            let low = low.into_iter().fold(0.0, f32::min);
            let high = high.into_iter().fold(0.0, f32::max);
            let scale = (high - low) / 255.0;
            let scale = if scale >= TINY { scale } else { 1.0 };
            let (inverse, zero) = (1.0 / scale, (-low / scale).round());
            for (q, x) in out.iter_mut().zip(row) {
                // `as` saturates, and sends a NaN to 0.
                *q = (x * inverse + (zero + 0.5)) as u8;
            }
            self.scales.push(scale);
            self.zeros.push(zero as i32);
        }
    }
}

/// One product: rows of the quantised input with the panels in `range`.
pub(crate) struct Int8Product<'a> {
    pub(crate) weights: &'a Int8Matrix,
    pub(crate) input: &'a QuantizedRows,
    pub(crate) rows: Range<usize>,
    pub(crate) range: Range<usize>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Activation,
    /// Column 0 of the first row, whatever `range` is.
    pub(crate) output: *mut f32,
    pub(crate) output_stride: usize,
}

/// Registers of 32-bit sums of products of bytes.
///
/// # Safety
/// As for [`Simd`].
trait Dot: Copy {
    /// The same lanes as floats.
    type Float: Simd;
    /// Sums, one a lane.
    type Sums: Copy;
    /// Four signed bytes a lane, prepared.
    type Weights: Copy;
    unsafe fn weights(from: *const i8) -> Self::Weights;
    /// `-zero · sums[lane]`
    unsafe fn start(zero: i32, sums: *const i32) -> Self::Sums;
    /// Adds the four products of each lane; `x` holds four unsigned bytes.
    unsafe fn dot(sums: Self::Sums, x: i32, weights: Self::Weights) -> Self::Sums;
    unsafe fn float(sums: Self::Sums) -> <Self::Float as Simd>::F32;
}

fn panel_width(isa: Isa) -> usize {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512Vnni => <Vnni512 as Dot>::Float::PANEL,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2Vnni | Kind::Avx512 | Kind::Avx2 => <Pairs256 as Dot>::Float::PANEL,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => <Scalar as Dot>::Float::PANEL,
        Kind::Portable => <Scalar as Dot>::Float::PANEL,
    }
}

/// Computes a product.
///
/// # Safety
/// The output must cover its rows and columns.
pub(crate) unsafe fn multiply(isa: Isa, product: &Int8Product<'_>) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    unsafe fn avx512_vnni(product: &Int8Product<'_>) {
        // SAFETY: passed on.
        unsafe { multiply_kernel::<Vnni512>(product) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avxvnni")]
    unsafe fn avx2_vnni(product: &Int8Product<'_>) {
        // SAFETY: passed on.
        unsafe { multiply_kernel::<Vnni256>(product) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(product: &Int8Product<'_>) {
        // SAFETY: passed on.
        unsafe { multiply_kernel::<Pairs256>(product) }
    }
    // SAFETY: an `Isa` exists only where the CPU has its instructions.
    unsafe {
        match isa.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => avx512_vnni(product),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2Vnni => avx2_vnni(product),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 | Kind::Avx2 => avx2(product),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => multiply_kernel::<Scalar>(product),
            Kind::Portable => multiply_kernel::<Scalar>(product),
        }
    }
}

#[inline(always)]
unsafe fn multiply_kernel<D: Dot>(p: &Int8Product<'_>) {
    let width = D::Float::PANEL;
    let groups = p.weights.inputs.div_ceil(GROUP);
    for panel in p.range.clone() {
        let column = panel * width;
        let weights = &p.weights.panels[panel * groups * width * GROUP..][..groups * width * GROUP];
        let columns = width.min(p.weights.outputs - column);
        for row in p.rows.clone().step_by(D::Float::ROWS) {
            let rows = (p.rows.end - row).min(D::Float::ROWS);
            let tile = Int8Tile { product: p, groups, weights, column, columns, row };
            // SAFETY: rows and columns lie within the product.
            unsafe {
                match rows {
                    1 => tile.run::<D, 1>(),
                    2 => tile.run::<D, 2>(),
                    3 => tile.run::<D, 3>(),
                    4 => tile.run::<D, 4>(),
                    5 => tile.run::<D, 5>(),
                    6 => tile.run::<D, 6>(),
                    7 => tile.run::<D, 7>(),
                    _ => tile.run::<D, 8>(),
                }
            }
        }
    }
}

/// A register tile: some rows x one panel, over all inputs.
struct Int8Tile<'a> {
    product: &'a Int8Product<'a>,
    groups: usize,
    /// The panel.
    weights: &'a [i8],
    column: usize,
    columns: usize,
    row: usize,
}

impl Int8Tile<'_> {
    #[inline(always)]
    unsafe fn run<D: Dot, const R: usize>(&self) {
        // SAFETY: passed on.
        unsafe {
            match D::Float::VECTORS {
                2 => self.compute::<D, R, 2>(),
                _ => self.compute::<D, R, 3>(),
            }
        }
    }

    /// `R` rows x `V` registers.
    #[inline(always)]
    unsafe fn compute<D: Dot, const R: usize, const V: usize>(&self) {
        let (p, lanes) = (self.product, D::Float::LANES);
        let (matrix, input) = (p.weights, p.input);
        // SAFETY: rows and columns lie within the product; scales and sums are padded to panels.
        unsafe {
            let bytes = input.bytes.as_ptr().add(self.row * input.stride);
            let zero_sums = matrix.sums.as_ptr().add(self.column);
            let mut sums = [[D::start(0, zero_sums); V]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = D::start(input.zeros[self.row + r], zero_sums.add(v * lanes));
                }
            }
            let mut weights = self.weights.as_ptr();
            for group in 0..self.groups {
                let mut w = [D::weights(weights); V];
                for (v, w) in w.iter_mut().enumerate().skip(1) {
                    *w = D::weights(weights.add(v * lanes * GROUP));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = bytes.add(r * input.stride + group * GROUP).cast::<i32>();
                    let x = x.read_unaligned();
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = D::dot(*sum, x, w);
                    }
                }
                weights = weights.add(V * lanes * GROUP);
            }
            for (r, sums) in sums.into_iter().enumerate() {
                let scale = <D::Float as Simd>::splat(input.scales[self.row + r]);
                let row = self.row - p.rows.start + r;
                let output = p.output.add(row * p.output_stride + self.column);
                for (v, sum) in sums.into_iter().enumerate() {
                    let at = v * lanes;
                    if at >= self.columns {
                        break;
                    }
                    let n = (self.columns - at).min(lanes);
                    let scales =
                        <D::Float as Simd>::load(matrix.scales.as_ptr().add(self.column + at));
                    let scales = <D::Float as Simd>::mul(scale, scales);
                    let bias = match p.bias {
                        Some(bias) => load_some::<D::Float>(bias.as_ptr().add(self.column + at), n),
                        None => <D::Float as Simd>::splat(0.0),
                    };
                    let y = <D::Float as Simd>::mul_add(D::float(sum), scales, bias);
                    store_some::<D::Float>(
                        output.add(at),
                        activate::<D::Float>(p.activation, y),
                        n,
                    );
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
use x86::{Pairs256, Vnni256, Vnni512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Dot;
    use crate::simd::{Avx2, Avx512};
    use std::arch::x86_64::*;

    /// One `vpdpbusd` on 512 bits.
    #[derive(Clone, Copy)]
    pub(super) struct Vnni512;

    #[rustfmt::skip] // one line an instruction
    impl Dot for Vnni512 {
        type Float = Avx512;
        type Sums = __m512i;
        type Weights = __m512i;
        #[inline(always)] unsafe fn weights(from: *const i8) -> __m512i { unsafe { _mm512_loadu_si512(from.cast()) } }
        #[inline(always)] unsafe fn start(zero: i32, sums: *const i32) -> __m512i { unsafe { _mm512_mullo_epi32(_mm512_set1_epi32(-zero), _mm512_loadu_si512(sums.cast())) } }
        #[inline(always)] unsafe fn dot(sums: __m512i, x: i32, weights: __m512i) -> __m512i { unsafe { _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(x), weights) } }
        #[inline(always)] unsafe fn float(sums: __m512i) -> __m512 { unsafe { _mm512_cvtepi32_ps(sums) } }
    }

    /// One `vpdpbusd` on 256 bits.
    #[derive(Clone, Copy)]
    pub(super) struct Vnni256;

    #[rustfmt::skip] // one line an instruction
    impl Dot for Vnni256 {
        type Float = Avx2;
        type Sums = __m256i;
        type Weights = __m256i;
        #[inline(always)] unsafe fn weights(from: *const i8) -> __m256i { unsafe { _mm256_loadu_si256(from.cast()) } }
        #[inline(always)] unsafe fn start(zero: i32, sums: *const i32) -> __m256i { unsafe { Pairs256::start(zero, sums) } }
        #[inline(always)] unsafe fn dot(sums: __m256i, x: i32, weights: __m256i) -> __m256i { unsafe { _mm256_dpbusd_avx_epi32(sums, _mm256_set1_epi32(x), weights) } }
        #[inline(always)] unsafe fn float(sums: __m256i) -> __m256 { unsafe { _mm256_cvtepi32_ps(sums) } }
    }

    /// AVX2 alone: `vpmaddubsw` saturates, so bytes are widened to pairs of 16 bits first.
    #[derive(Clone, Copy)]
    pub(super) struct Pairs256;

    #[rustfmt::skip] // one line an instruction
    impl Dot for Pairs256 {
        type Float = Avx2;
        type Sums = __m256i;
        /// Bytes 0 and 2 of each lane, bytes 1 and 3 of each lane.
        type Weights = (__m256i, __m256i);
        #[inline(always)]
        unsafe fn weights(from: *const i8) -> (__m256i, __m256i) {
            unsafe {
                let w = _mm256_loadu_si256(from.cast());
                (_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)), _mm256_srai_epi16::<8>(w))
            }
        }
        #[inline(always)] unsafe fn start(zero: i32, sums: *const i32) -> __m256i { unsafe { _mm256_mullo_epi32(_mm256_set1_epi32(-zero), _mm256_loadu_si256(sums.cast())) } }
        #[inline(always)]
        unsafe fn dot(sums: __m256i, x: i32, weights: (__m256i, __m256i)) -> __m256i {
            unsafe {
                let even = _mm256_set1_epi32(x & 0x00ff_00ff);
                let odd = _mm256_set1_epi32((x >> 8) & 0x00ff_00ff);
                let sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even, weights.0));
                _mm256_add_epi32(sums, _mm256_madd_epi16(odd, weights.1))
            }
        }
        #[inline(always)] unsafe fn float(sums: __m256i) -> __m256 { unsafe { _mm256_cvtepi32_ps(sums) } }
    }
}

/// Plain Rust.
#[derive(Clone, Copy)]
struct Scalar;

impl Dot for Scalar {
    #[cfg(target_arch = "aarch64")]
    type Float = crate::simd::Neon;
    #[cfg(not(target_arch = "aarch64"))]
    type Float = crate::simd::Portable;
    type Sums = [i32; 4];
    type Weights = [[i8; GROUP]; 4];

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        // SAFETY: four lanes of four bytes, by contract.
        unsafe { from.cast::<Self::Weights>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn start(zero: i32, sums: *const i32) -> [i32; 4] {
        // SAFETY: four lanes, by contract.
        unsafe { sums.cast::<[i32; 4]>().read_unaligned() }.map(|sum| (-zero).wrapping_mul(sum))
    }

    #[inline(always)]
    unsafe fn dot(mut sums: [i32; 4], x: i32, weights: Self::Weights) -> [i32; 4] {
        for (sum, w) in sums.iter_mut().zip(weights) {
            for (x, w) in x.to_le_bytes().into_iter().zip(w) {
                // As the vector instructions: sums on the way may be larger than the last one.
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn float(sums: [i32; 4]) -> <Self::Float as Simd>::F32 {
        let x = sums.map(|sum| sum as f32);
        // SAFETY: four floats.
        unsafe { <Self::Float as Simd>::load(x.as_ptr()) }
    }
}
