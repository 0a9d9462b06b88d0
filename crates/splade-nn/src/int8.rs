//! Matrix products of 8-bit integers. Weights are quantised per output when they are packed, inputs
//! per row at each product.
//!
//! A weight row is symmetric in `[-127, 127]` with one scale. An input row is affine in `[0, 255]`
//! with a scale and a zero point of its own, so that the mostly one-sided outputs of GELU use the
//! whole range. Products of unsigned and signed bytes add up exactly in 32-bit integers on every
//! instruction set (VNNI, or pairs of 16 bits on AVX2), so they do not depend on it:
//!
//! `output = (Σ q_x q_w - zero_x Σ q_w) · scale_x · scale_w + bias`
//!
//! The sums are exact for up to 66 000 inputs (2^31 / (255 · 127)). An input row with an infinite
//! number gives NaN, and so does an output whose weights contain one. A NaN counts as the smallest
//! number of its row (or 0 if none is below 0) and, among weights, as 0. Rows with subnormal
//! scales, that is with all numbers below about 1e-36, become zeros.
#![allow(unsafe_code, reason = "the micro-kernel works on raw pointers")]

use std::cell::RefCell;
use std::hint::black_box;
use std::ops::Range;

use crate::buffer::AlignedBuffer;
use crate::functions::{Activation, activate};
use crate::packed::{TOO_LARGE, check_rows, for_panels};
use crate::parallel::Shared;
use crate::simd::{Isa, Kind, Simd, load_some, store_some};

/// The number of multiply-adds below which a product is not worth a second thread.
const PARALLEL_MIN: usize = 1 << 20;
/// The smallest normal float; smaller scales are subnormal.
const TINY: f32 = f32::MIN_POSITIVE;
/// The number of inputs that one instruction multiplies and adds up.
const GROUP: usize = 4;
/// The number of bytes in the words that the kernels go through.
const WORD: usize = 4;

/// A weight matrix of shape `(outputs, inputs)` in 8 bits, in the layout of the kernels.
///
/// ```
/// use splade_nn::{Activation, Isa, Matrix, Precision};
///
/// // The product is near that of 32-bit floats, in a quarter of the memory.
/// let weight: Vec<f32> = (0..64).map(|number| (number as f32 * 0.7).sin()).collect();
/// let product = |precision| {
///     let (input, mut output) = ([0.5; 64], [0.0]);
///     let matrix = Matrix::pack(Isa::detect(), precision, &weight, 1, 64);
///     matrix.multiply(&input, None, Activation::Identity, &mut output, false);
///     output[0]
/// };
/// assert!((product(Precision::Int8) - product(Precision::F32)).abs() < 0.1);
/// ```
#[derive(Debug)]
pub struct Int8Matrix {
    isa: Isa,
    outputs: usize,
    inputs: usize,
    /// The weights, `[panel][inputs / 4][panel width][4]`; entries past `outputs` or `inputs` are
    /// zero.
    panels: AlignedBuffer<i8>,
    /// The scale of each output, padded with zeros to whole panels.
    scales: Vec<f32>,
    /// The sum Σ q_w of each output, padded with zeros to whole panels.
    sums: Vec<i32>,
}

impl Int8Matrix {
    /// Returns a matrix of zeros, to be filled by [`set_rows`](Self::set_rows).
    pub(crate) fn zeros(isa: Isa, outputs: usize, inputs: usize) -> Self {
        let width = panel_width(isa);
        let padded = outputs.checked_next_multiple_of(width).expect(TOO_LARGE);
        let size = inputs.checked_next_multiple_of(GROUP);
        let size = size.and_then(|inputs| padded.checked_mul(inputs));
        let panels = AlignedBuffer::zeroed(size.expect(TOO_LARGE));
        Self { isa, outputs, inputs, panels, scales: vec![0.0; padded], sums: vec![0; padded] }
    }

    /// Quantises and writes whole rows, starting at row `first`.
    pub(crate) fn set_rows(&mut self, first: usize, rows: &[f32]) {
        assert!(rows.len().is_multiple_of(self.inputs), "rows must be whole rows of the matrix");
        assert!(
            first + rows.len() / self.inputs <= self.outputs,
            "the rows extend past the end of the matrix"
        );
        for (i, row) in rows.chunks_exact(self.inputs).enumerate() {
            let output = first + i;
            let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            // Rows with subnormal scales become zeros because the inverse scale would be infinite.
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

    /// Returns the index of a weight in `panels`.
    fn position(&self, output: usize, input: usize) -> usize {
        let width = panel_width(self.isa);
        let groups = self.inputs.div_ceil(GROUP);
        ((output / width * groups + input / GROUP) * width + output % width) * GROUP + input % GROUP
    }

    /// Copies the dequantised weights of a row into `out`.
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

    /// Returns the size of the matrix in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.panels.len()
            + self.scales.len() * size_of::<f32>()
            + self.sums.len() * size_of::<i32>()
    }

    pub(crate) fn panel_width(&self) -> usize {
        panel_width(self.isa)
    }

    /// Computes the product; see [`Matrix::multiply`](crate::Matrix::multiply).
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
        QuantizedRows::with(input, self, |quantized| {
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
                // SAFETY: `check_rows` ensured that the output has all rows and columns, and each
                // call writes only the columns of its own panels.
                unsafe { multiply(self.isa, &product) }
            });
        });
    }
}

/// Input rows quantised to 8 bits.
#[derive(Default)]
pub(crate) struct QuantizedRows {
    /// The quantised inputs, row-major with `stride` bytes per row. An input takes as many bytes as
    /// the kernel of the matrix wants: see [`Dot::INPUT_BYTES`].
    bytes: Vec<u8>,
    /// The length of a row in bytes. The number of inputs is rounded up to a multiple of
    /// [`GROUP`]; what lies in the padding does not matter, because its weights are zeros.
    stride: usize,
    /// The scale of each row.
    scales: Vec<f32>,
    /// The zero point of each row, 0 to 255.
    zeros: Vec<i32>,
}

thread_local! {
    /// The buffer of the thread, kept between calls because it is as large as a layer's input.
    static ROWS: RefCell<QuantizedRows> = RefCell::default();
}

impl QuantizedRows {
    /// Quantises `(rows, inputs)` floats for a product with `weights` into the buffer of the thread
    /// and calls `work` with it.
    pub(crate) fn with<R>(input: &[f32], weights: &Int8Matrix, work: impl FnOnce(&Self) -> R) -> R {
        let mut rows = ROWS.take();
        match input_bytes(weights.isa) {
            1 => rows.fill::<1>(input, weights.inputs),
            _ => rows.fill::<2>(input, weights.inputs),
        }
        let result = work(&rows);
        ROWS.set(rows);
        result
    }

    /// Quantises whole rows, `BYTES` bytes for each input.
    fn fill<const BYTES: usize>(&mut self, input: &[f32], inputs: usize) {
        let rows = input.len() / inputs;
        self.stride = inputs.next_multiple_of(GROUP) * BYTES;
        self.bytes.resize(rows * self.stride, 0);
        self.scales.clear();
        self.zeros.clear();
        for (row, out) in input.chunks_exact(inputs).zip(self.bytes.chunks_exact_mut(self.stride)) {
            // Sixteen running extremes vectorise; a single one would be one long dependency chain.
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
            for (out, x) in out.as_chunks_mut::<BYTES>().0.iter_mut().zip(row) {
                // The conversion with `as` saturates and turns NaN into 0.
                out[0] = (x * inverse + (zero + 0.5)) as u8;
                out[1..].fill(0);
            }
            self.scales.push(scale);
            self.zeros.push(zero as i32);
        }
    }
}

/// One product: rows of the quantised input times the panels in `range`.
pub(crate) struct Int8Product<'a> {
    pub(crate) weights: &'a Int8Matrix,
    pub(crate) input: &'a QuantizedRows,
    pub(crate) rows: Range<usize>,
    pub(crate) range: Range<usize>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Activation,
    /// The first row's column 0, even if `range` does not start at panel 0.
    pub(crate) output: *mut f32,
    /// The number of floats from one output row to the next.
    pub(crate) output_stride: usize,
}

/// Registers of 32-bit sums of products of inputs and weights. A kernel goes through inputs and
/// weights in words of 32 bits: four inputs of one byte, or two of two bytes.
///
/// # Safety
///
/// The contract of [`Simd`] applies: the CPU must support the implementing instruction set, and
/// pointers must be valid for one register.
trait Dot: Copy {
    /// The float registers with the same lanes.
    type Float: Simd;
    /// A register with one sum per lane.
    type Sums: Copy;
    /// A register with one word of weights per lane.
    type Weights: Copy;
    /// The number of bytes of an input, and of a weight in the kernel: one, or two where the CPU has no
    /// exact product of bytes.
    const INPUT_BYTES: usize;
    /// Widens a panel, `[inputs / 4][panel width][4]`, to `[inputs / 2][panel width][2]`. It is
    /// called only if [`INPUT_BYTES`](Self::INPUT_BYTES) is two, and does nothing otherwise.
    unsafe fn widen(_panel: &[i8], _out: &mut [i16]) {}
    /// Loads one word of weights per lane.
    unsafe fn weights(from: *const u8) -> Self::Weights;
    /// Returns `-zero · sums[lane]` for each lane.
    unsafe fn start(zero: i32, sums: *const i32) -> Self::Sums;
    /// Adds the products of each lane's word and the word `x` of inputs, which all lanes share.
    unsafe fn dot(sums: Self::Sums, x: i32, weights: Self::Weights) -> Self::Sums;
    /// Converts the sums to floats.
    unsafe fn float(sums: Self::Sums) -> <Self::Float as Simd>::F32;
}

thread_local! {
    /// The widened panel of the thread, kept between calls.
    static WIDENED: RefCell<Vec<i16>> = RefCell::default();
}

/// Returns the number of bytes of an input in the kernel of an instruction set.
fn input_bytes(isa: Isa) -> usize {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Amx | Kind::Avx512Vnni => Vnni512::INPUT_BYTES,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2Vnni => Vnni256::INPUT_BYTES,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 | Kind::Avx2 => Pairs256::INPUT_BYTES,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => Scalar::INPUT_BYTES,
        #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
        Kind::Relaxed128 => Pairs128::<Relaxed128>::INPUT_BYTES,
        #[cfg(target_feature = "simd128")]
        Kind::Simd128 => Pairs128::<Simd128>::INPUT_BYTES,
        Kind::Portable => Scalar::INPUT_BYTES,
    }
}

/// Returns the number of columns of a weight panel.
fn panel_width(isa: Isa) -> usize {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Amx | Kind::Avx512Vnni => <Vnni512 as Dot>::Float::PANEL,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2Vnni | Kind::Avx512 | Kind::Avx2 => <Pairs256 as Dot>::Float::PANEL,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => <Scalar as Dot>::Float::PANEL,
        #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
        Kind::Relaxed128 => Relaxed128::PANEL,
        #[cfg(target_feature = "simd128")]
        Kind::Simd128 => Simd128::PANEL,
        Kind::Portable => <Scalar as Dot>::Float::PANEL,
    }
}

/// Computes a product.
///
/// # Safety
///
/// The output pointer must be valid for writes of all rows of the product and of the columns of the
/// panels in `range`, which no other thread may access.
pub(crate) unsafe fn multiply(isa: Isa, product: &Int8Product<'_>) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    unsafe fn avx512_vnni(product: &Int8Product<'_>) {
        // SAFETY: the caller upholds the contract, and the function is called only if the CPU
        // supports AVX-512 with VNNI.
        unsafe { multiply_kernel::<Vnni512>(product) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avxvnni")]
    unsafe fn avx2_vnni(product: &Int8Product<'_>) {
        // SAFETY: the caller upholds the contract, and the function is called only if the CPU
        // supports AVX2 with AVX-VNNI.
        unsafe { multiply_kernel::<Vnni256>(product) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(product: &Int8Product<'_>) {
        // SAFETY: the caller upholds the contract, and the function is called only if the CPU
        // supports AVX2.
        unsafe { multiply_kernel::<Pairs256>(product) }
    }
    #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
    #[target_feature(enable = "relaxed-simd")]
    unsafe fn relaxed128(product: &Int8Product<'_>) {
        // SAFETY: the caller upholds the contract, and an engine that accepted the module supports
        // relaxed SIMD.
        unsafe { multiply_kernel::<Pairs128<Relaxed128>>(product) }
    }
    // SAFETY: the caller upholds the contract. An `Isa` exists only if the CPU supports its
    // instructions.
    unsafe {
        match isa.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Amx | Kind::Avx512Vnni => avx512_vnni(product),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2Vnni => avx2_vnni(product),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 | Kind::Avx2 => avx2(product),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => multiply_kernel::<Scalar>(product),
            #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
            Kind::Relaxed128 => relaxed128(product),
            #[cfg(target_feature = "simd128")]
            Kind::Simd128 => multiply_kernel::<Pairs128<Simd128>>(product),
            Kind::Portable => multiply_kernel::<Scalar>(product),
        }
    }
}

/// # Safety
///
/// The contract of [`multiply`] must hold, and the CPU must support `D`.
#[inline(always)]
unsafe fn multiply_kernel<D: Dot>(p: &Int8Product<'_>) {
    let width = D::Float::PANEL;
    let size = p.weights.inputs.next_multiple_of(GROUP) * width;
    let mut widened = WIDENED.take();
    if D::INPUT_BYTES == 2 {
        widened.resize(size, 0);
    }
    for panel in p.range.clone() {
        let column = panel * width;
        let bytes = &p.weights.panels[panel * size..][..size];
        let mut weights = bytes.as_ptr().cast::<u8>();
        if D::INPUT_BYTES == 2 {
            // SAFETY: the CPU supports `D` by contract, and both slices have the size of a panel.
            unsafe { D::widen(bytes, &mut widened) };
            weights = widened.as_ptr().cast();
        }
        let columns = width.min(p.weights.outputs - column);
        for row in p.rows.clone().step_by(D::Float::ROWS) {
            let rows = (p.rows.end - row).min(D::Float::ROWS);
            let tile = Int8Tile { product: p, weights, column, columns, row };
            // SAFETY: `row + rows <= p.rows.end`, and the panel lies in `range`, so the tile lies
            // within the product.
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
    WIDENED.set(widened);
}

/// A register tile of up to eight rows and one panel, computed over all inputs.
struct Int8Tile<'a> {
    product: &'a Int8Product<'a>,
    /// The weights of the panel, as [`Dot::weights`] reads them.
    weights: *const u8,
    /// The first column of the panel.
    column: usize,
    /// The number of columns that exist; the others are padding.
    columns: usize,
    /// The first row of the tile.
    row: usize,
}

impl Int8Tile<'_> {
    /// Computes the tile with the number of registers that a panel of `D` has.
    ///
    /// # Safety
    ///
    /// The tile must lie within the product, and the CPU must support `D`.
    #[inline(always)]
    unsafe fn run<D: Dot, const R: usize>(&self) {
        // SAFETY: the caller upholds the contract.
        unsafe {
            match D::Float::VECTORS {
                2 => self.compute::<D, R, 2>(),
                _ => self.compute::<D, R, 3>(),
            }
        }
    }

    /// Computes `R` rows and `V` registers of columns.
    ///
    /// # Safety
    ///
    /// The tile must lie within the product, and the CPU must support `D`.
    #[inline(always)]
    unsafe fn compute<D: Dot, const R: usize, const V: usize>(&self) {
        let (p, lanes) = (self.product, D::Float::LANES);
        let (matrix, input) = (p.weights, p.input);
        // SAFETY: the tile lies within the product by contract. Scales, sums and weights are padded
        // to whole panels, and input rows to whole groups, so whole registers and groups may be
        // loaded. Only the columns that exist are stored.
        unsafe {
            let bytes = input.bytes.as_ptr().add(self.row * input.stride);
            let zero_sums = matrix.sums.as_ptr().add(self.column);
            let mut sums = [[D::start(0, zero_sums); V]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = D::start(input.zeros[self.row + r], zero_sums.add(v * lanes));
                }
            }
            let mut weights = self.weights;
            // `black_box` keeps the compiler from computing the addresses of the rows anew for every word.
            let rows: [_; R] = std::array::from_fn(|r| black_box(bytes.add(r * input.stride)));
            for word in 0..input.stride / WORD {
                let mut w = [D::weights(weights); V];
                for (v, w) in w.iter_mut().enumerate().skip(1) {
                    *w = D::weights(weights.add(v * lanes * WORD));
                }
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let x = row.add(word * WORD).cast::<i32>();
                    let x = x.read_unaligned();
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = D::dot(*sum, x, w);
                    }
                }
                weights = weights.add(V * lanes * WORD);
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
    use crate::simd::{Avx2, Avx512, Simd, lanes};
    use std::arch::x86_64::*;

    /// The instruction `vpdpbusd` on 512 bits.
    #[derive(Clone, Copy)]
    pub(super) struct Vnni512;

    // SAFETY (of every block in this implementation): the CPU supports AVX-512 with VNNI, and
    // pointers are valid for one register, both by the contract of the trait. The loads are
    // unaligned.
    #[rustfmt::skip] // one line an instruction
    impl Dot for Vnni512 {
        type Float = Avx512;
        type Sums = __m512i;
        type Weights = __m512i;
        const INPUT_BYTES: usize = 1;
        lanes! {
            fn weights(from: *const u8) -> __m512i { _mm512_loadu_si512(from.cast()) }
            fn start(zero: i32, sums: *const i32) -> __m512i { _mm512_mullo_epi32(_mm512_set1_epi32(-zero), _mm512_loadu_si512(sums.cast())) }
            fn dot(sums: __m512i, x: i32, weights: __m512i) -> __m512i { _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(x), weights) }
            fn float(sums: __m512i) -> __m512 { _mm512_cvtepi32_ps(sums) }
        }
    }

    /// The instruction `vpdpbusd` on 256 bits.
    #[derive(Clone, Copy)]
    pub(super) struct Vnni256;

    // SAFETY (of every block in this implementation): the CPU supports AVX2 with AVX-VNNI, and
    // pointers are valid for one register, both by the contract of the trait. The loads are
    // unaligned.
    #[rustfmt::skip] // one line an instruction
    impl Dot for Vnni256 {
        type Float = Avx2;
        type Sums = __m256i;
        type Weights = __m256i;
        const INPUT_BYTES: usize = 1;
        lanes! {
            fn weights(from: *const u8) -> __m256i { _mm256_loadu_si256(from.cast()) }
            fn start(zero: i32, sums: *const i32) -> __m256i { Pairs256::start(zero, sums) }
            fn dot(sums: __m256i, x: i32, weights: __m256i) -> __m256i { _mm256_dpbusd_avx_epi32(sums, _mm256_set1_epi32(x), weights) }
            fn float(sums: __m256i) -> __m256 { _mm256_cvtepi32_ps(sums) }
        }
    }

    /// Returns the shuffle that moves the bytes `first` and `first + 1` of every 32-bit lane to the
    /// upper halves of the lane's 16-bit parts. An arithmetic shift then brings them down with
    /// their sign.
    const fn upper_halves(first: i8) -> [i8; 32] {
        // A negative index makes a zero. Indices count within 128 bits.
        let mut shuffle = [-1; 32];
        let mut lane = 0;
        while lane < 8 {
            shuffle[lane * 4 + 1] = (lane % 4) as i8 * 4 + first;
            shuffle[lane * 4 + 3] = (lane % 4) as i8 * 4 + first + 1;
            lane += 1;
        }
        shuffle
    }

    /// The dot product of AVX2 alone. The instruction `vpmaddubsw`, which multiplies bytes,
    /// saturates; `vpmaddwd` multiplies pairs of 16 bits exactly, so bytes are widened first.
    #[derive(Clone, Copy)]
    pub(super) struct Pairs256;

    // SAFETY (of every block in this implementation): the CPU supports AVX2, and pointers are valid
    // for one register, both by the contract of the trait. The loads are unaligned.
    #[rustfmt::skip] // one line an instruction
    impl Dot for Pairs256 {
        type Float = Avx2;
        type Sums = __m256i;
        type Weights = __m256i;
        const INPUT_BYTES: usize = 2;
        #[inline(always)]
        unsafe fn widen(panel: &[i8], out: &mut [i16]) {
            const REGISTERS: usize = <Avx2 as Simd>::VECTORS;
            // SAFETY: the CPU supports AVX2 by contract. Every group of four inputs fills
            // `REGISTERS` registers of `panel` and twice as many of `out`.
            unsafe {
                let low = _mm256_loadu_si256(upper_halves(0).as_ptr().cast());
                let high = _mm256_loadu_si256(upper_halves(2).as_ptr().cast());
                for (group, out) in panel.chunks_exact(REGISTERS * 32).zip(out.chunks_exact_mut(REGISTERS * 32)) {
                    for v in 0..REGISTERS {
                        let bytes = _mm256_loadu_si256(group.as_ptr().add(v * 32).cast());
                        let to = out.as_mut_ptr().add(v * 16);
                        _mm256_storeu_si256(to.cast(), _mm256_srai_epi16::<8>(_mm256_shuffle_epi8(bytes, low)));
                        _mm256_storeu_si256(to.add(REGISTERS * 16).cast(), _mm256_srai_epi16::<8>(_mm256_shuffle_epi8(bytes, high)));
                    }
                }
            }
        }
        lanes! {
            fn weights(from: *const u8) -> __m256i { _mm256_loadu_si256(from.cast()) }
            fn start(zero: i32, sums: *const i32) -> __m256i { _mm256_mullo_epi32(_mm256_set1_epi32(-zero), _mm256_loadu_si256(sums.cast())) }
            fn dot(sums: __m256i, x: i32, weights: __m256i) -> __m256i { _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_set1_epi32(x), weights)) }
            fn float(sums: __m256i) -> __m256 { _mm256_cvtepi32_ps(sums) }
        }
    }
}

#[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
use crate::simd::Relaxed128;
#[cfg(target_feature = "simd128")]
use {crate::simd::Simd128, wasm::Pairs128};

#[cfg(target_feature = "simd128")]
mod wasm {
    use super::Dot;
    use crate::simd::{Simd, lanes};
    use std::arch::wasm32::*;
    use std::marker::PhantomData;

    /// The dot product of SIMD128 by pairs of 16 bits, which are made of the bytes in registers. The products of bytes of relaxed SIMD
    /// take seven bits of one factor only, so they do not fit.
    #[derive(Clone, Copy)]
    pub(super) struct Pairs128<S>(PhantomData<S>);

    // SAFETY (of every block in this implementation): the engine supports the instructions of the
    // module, and pointers are valid for one register by the contract of the trait. The loads are
    // unaligned.
    #[rustfmt::skip] // one line an instruction
    impl<S: Simd<F32 = v128>> Dot for Pairs128<S> {
        type Float = S;
        type Sums = v128;
        /// The bytes 0 and 2 of each lane, and the bytes 1 and 3 of each lane.
        type Weights = (v128, v128);
        const INPUT_BYTES: usize = 1;
        #[inline(always)]
        unsafe fn weights(from: *const u8) -> (v128, v128) {
            // SAFETY: `from` is valid for 16 bytes by contract.
            let w = unsafe { v128_load(from.cast()) };
            (i16x8_shr(i16x8_shl(w, 8), 8), i16x8_shr(w, 8))
        }
        lanes! {
            fn start(zero: i32, sums: *const i32) -> v128 { i32x4_mul(i32x4_splat(-zero), v128_load(sums.cast())) }
        }
        #[inline(always)]
        unsafe fn dot(sums: v128, x: i32, weights: (v128, v128)) -> v128 {
            let x = i32x4_splat(x);
            let (even, odd) = (v128_and(x, i32x4_splat(0x00ff_00ff)), u16x8_shr(x, 8));
            let sums = i32x4_add(sums, i32x4_dot_i16x8(even, weights.0));
            i32x4_add(sums, i32x4_dot_i16x8(odd, weights.1))
        }
        #[inline(always)] unsafe fn float(sums: v128) -> v128 { f32x4_convert_i32x4(sums) }
    }
}

/// The dot product in plain Rust.
#[derive(Clone, Copy)]
struct Scalar;

impl Dot for Scalar {
    #[cfg(target_arch = "aarch64")]
    type Float = crate::simd::Neon;
    #[cfg(not(target_arch = "aarch64"))]
    type Float = crate::simd::Portable;
    type Sums = [i32; 4];
    type Weights = [[i8; GROUP]; 4];
    const INPUT_BYTES: usize = 1;

    #[inline(always)]
    unsafe fn weights(from: *const u8) -> Self::Weights {
        // SAFETY: `from` is valid for four lanes of four bytes by contract, and the read is
        // unaligned.
        unsafe { from.cast::<Self::Weights>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn start(zero: i32, sums: *const i32) -> [i32; 4] {
        // SAFETY: `sums` is valid for four integers by contract, and the read is unaligned.
        unsafe { sums.cast::<[i32; 4]>().read_unaligned() }.map(|sum| (-zero).wrapping_mul(sum))
    }

    #[inline(always)]
    unsafe fn dot(mut sums: [i32; 4], x: i32, weights: Self::Weights) -> [i32; 4] {
        for (sum, w) in sums.iter_mut().zip(weights) {
            for (x, w) in x.to_le_bytes().into_iter().zip(w) {
                // The sum wraps, as the vector instructions do: intermediate sums may exceed the
                // final one.
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn float(sums: [i32; 4]) -> <Self::Float as Simd>::F32 {
        let x = sums.map(|sum| sum as f32);
        // SAFETY: the array `x` has the four floats of a register.
        unsafe { <Self::Float as Simd>::load(x.as_ptr()) }
    }
}
