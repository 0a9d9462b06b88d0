//! The fused SPLADE head: the decoder's matrix product and the pooling over each text in one pass.
//!
//! It computes `weight[text][term] = pool over tokens of log(1 + relu(logit))` (SPLADE v2, arXiv
//! 2109.10086, section 3.1). Since `log(1 + relu(x))` grows with `x`, the maximum is taken over the
//! logits and the logarithm is computed once at the end. One panel of the vocabulary (at most 48
//! terms) is multiplied with 128 token rows at a time and folded into the running pool of the text,
//! so the `(tokens, vocab)` logits are never stored. The result has, for each term with a weight
//! above zero, the weight and the position of the largest logit.
#![allow(unsafe_code, reason = "the fold works on raw pointers")]

use std::sync::Mutex;

use crate::functions::Activation;
use crate::int8::{Int8Product, QuantizedRows};
use crate::matrix::{Linear, Matrix};
use crate::packed::for_panels;
use crate::product::Product;
use crate::simd::{Isa, Simd, simd_function};

/// The number of rows that are multiplied before they are folded. Their logits stay in the L1 cache
/// (128 x 48 x 4 bytes = 24 KB).
const ROW_BLOCK: usize = 128;
/// The widest panel of any instruction set, in columns.
const MAX_PANEL: usize = 48;

/// The pooling of a term's weights over the tokens of a text.
///
/// ```
/// use splade_nn::{Isa, Linear, Matrix, Pooling, Precision, Saturation, splade_head};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0], 1, 1);
/// let decoder = Linear { weight, bias: None };
/// // One term, and a text of two tokens that both have it.
/// let weight = |pooling| {
///     splade_head(&decoder, &[1.0, 1.0], &[0, 2], pooling, Saturation::Log1pRelu, false)[0][0].weight
/// };
/// assert_eq!(weight(Pooling::Sum), 2.0 * weight(Pooling::Max));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The largest weight of all tokens, as in SPLADE v2 and later.
    #[default]
    Max,
    /// The sum of the weights of all tokens, as in the first SPLADE.
    Sum,
}

/// The function that turns a logit into a weight.
///
/// ```
/// use splade_nn::{Isa, Linear, Matrix, Pooling, Precision, Saturation, splade_head};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0], 1, 1);
/// let decoder = Linear { weight, bias: None };
/// let weight = |saturation| {
///     splade_head(&decoder, &[9.0], &[0, 1], Pooling::Max, saturation, false)[0][0].weight
/// };
/// assert!((weight(Saturation::Log1pRelu) - 10f32.ln()).abs() < 1e-5);
/// assert!((weight(Saturation::Log1pLog1pRelu) - (1.0 + 10f32.ln()).ln()).abs() < 1e-5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Saturation {
    /// `log(1 + relu(x))`
    #[default]
    Log1pRelu,
    /// `log(1 + log(1 + relu(x)))`, for very sparse models (arXiv 2504.14839).
    Log1pLog1pRelu,
}

impl Saturation {
    /// Returns the weight of a positive logit.
    #[inline(always)]
    fn apply(self, x: f32) -> f32 {
        match self {
            Saturation::Log1pRelu => libm::log1pf(x),
            Saturation::Log1pLog1pRelu => libm::log1pf(libm::log1pf(x)),
        }
    }
}

/// A term with a weight above zero in a text.
///
/// ```
/// use splade_nn::{Isa, Linear, Matrix, PooledTerm, Pooling, Precision, Saturation, splade_head};
///
/// // The second of two terms has a logit above zero, at the second of two tokens.
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[-1.0, 1.0], 2, 1);
/// let decoder = Linear { weight, bias: None };
/// let texts = splade_head(&decoder, &[0.0, 1.0], &[0, 2], Pooling::Max, Saturation::Log1pRelu, false);
/// let weight = std::f32::consts::LN_2;
/// assert_eq!(texts[0], [PooledTerm { term: 1, weight, position: 1 }]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PooledTerm {
    /// The index of the term in the vocabulary.
    pub term: u32,
    /// The weight, above zero.
    pub weight: f32,
    /// The token with the largest logit for this term, as an index within the text. If several
    /// logits are equal, it is the first one.
    pub position: u32,
}

/// Multiplies `hidden`, `(tokens, hidden)`, with the decoder and pools each text.
///
/// `offsets` holds the index of each text's first token, followed by the number of tokens; every
/// text has at least one token. The terms of a text are in ascending order. If `parallel` is set,
/// the vocabulary is distributed over the current rayon pool; the result has the same bits.
///
/// Beside the input and the result, the function needs 24 KB of memory per thread (and, for an
/// 8-bit decoder, the quantised input).
///
/// ```
/// use splade_nn::{Isa, Linear, Matrix, Pooling, Precision, Saturation, splade_head};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0, 0.0, 0.0, 1.0], 2, 2);
/// let decoder = Linear { weight, bias: Some(vec![0.0, -1.0]) };
/// // Two texts, of two tokens and of one.
/// let hidden = [1.0, 0.0, 2.0, 0.0, 0.0, 3.0];
/// let texts = splade_head(&decoder, &hidden, &[0, 2, 3], Pooling::Max, Saturation::Log1pRelu, false);
/// let terms: Vec<Vec<u32>> =
///     texts.iter().map(|text| text.iter().map(|term| term.term).collect()).collect();
/// assert_eq!(terms, [[0], [1]]);
/// ```
///
/// # Panics
///
/// Panics if `hidden` is not a whole number of rows, if `offsets` does not describe it, or if a
/// text is empty.
pub fn splade_head(
    decoder: &Linear,
    hidden: &[f32],
    offsets: &[usize],
    pooling: Pooling,
    saturation: Saturation,
    parallel: bool,
) -> Vec<Vec<PooledTerm>> {
    let tokens = hidden.len() / decoder.weight.inputs();
    assert!(hidden.len() == tokens * decoder.weight.inputs(), "hidden must consist of whole rows");
    assert!(
        offsets.first() == Some(&0) && offsets.last() == Some(&tokens),
        "offsets must run from 0 to the number of tokens"
    );
    assert!(offsets.is_sorted_by(|a, b| a < b), "a text is empty");
    let texts = offsets.len() - 1;
    let vocab = decoder.weight.outputs();
    let isa = decoder.weight.isa();
    let width = match &decoder.weight {
        Matrix::F32(_) => isa.panel_width(),
        Matrix::Int8(matrix) => matrix.panel_width(),
    };
    let pieces = Mutex::new(Vec::new());
    let run = |logits: &(dyn Fn(usize, usize, &mut [f32]) + Sync)| {
        for_panels(vocab.div_ceil(width), parallel, |panels| {
            let mut pooled = vec![Vec::new(); texts];
            let mut block = [0.0; ROW_BLOCK * MAX_PANEL];
            for panel in panels.clone() {
                let columns = width.min(vocab - panel * width);
                let mut bias = [0.0; MAX_PANEL];
                if let Some(b) = &decoder.bias {
                    bias[..columns].copy_from_slice(&b[panel * width..][..columns]);
                }
                let mut fold = Fold::new(pooling, saturation, panel * width, columns, &bias);
                for first in (0..tokens).step_by(ROW_BLOCK) {
                    let rows = (tokens - first).min(ROW_BLOCK);
                    logits(panel, first, &mut block[..rows * MAX_PANEL]);
                    fold.rows(isa, &block, first..first + rows, offsets, &mut pooled);
                }
            }
            pieces.lock().expect("no fold panics: this is a bug").push((panels.start, pooled));
        });
    };
    match &decoder.weight {
        Matrix::F32(matrix) => run(&|panel, first, block| {
            let inputs = matrix.inputs();
            let product = Product {
                rows: block.len() / MAX_PANEL,
                inputs,
                input: hidden[first * inputs..].as_ptr(),
                input_stride: inputs,
                panels: matrix.panels().as_ptr(),
                panel_stride: inputs * width,
                range: panel..panel + 1,
                outputs: matrix.outputs(),
                bias: std::ptr::null(),
                activation: Activation::Identity,
                // The kernel adds the first column of the panel, `panel * width`, to this pointer.
                output: block.as_mut_ptr().wrapping_sub(panel * width),
                output_stride: MAX_PANEL,
                accumulate: false,
            };
            // SAFETY: the rows from `first` on exist in `hidden`, and `block` has room for
            // `MAX_PANEL` columns of each row. The product covers one panel, so the kernel adds
            // `panel * width` to the output pointer, which brings it back into `block`.
            unsafe { crate::packed::multiply(isa, &product) }
        }),
        Matrix::Int8(matrix) => QuantizedRows::with(hidden, matrix, |input| {
            run(&|panel, first, block| {
                let rows = block.len() / MAX_PANEL;
                let product = Int8Product {
                    weights: matrix,
                    input,
                    rows: first..first + rows,
                    range: panel..panel + 1,
                    bias: None,
                    activation: Activation::Identity,
                    output: block.as_mut_ptr().wrapping_sub(panel * width),
                    output_stride: MAX_PANEL,
                };
                // SAFETY: `input` has all rows of `hidden`, and `block` has room for `MAX_PANEL`
                // columns of each row. The kernel adds `panel * width` to the output pointer, which
                // brings it back into `block`.
                unsafe { crate::int8::multiply(isa, &product) }
            });
        }),
    }
    let mut pieces = pieces.into_inner().expect("no fold panics: this is a bug");
    pieces.sort_by_key(|(first_panel, _)| *first_panel);
    let mut pieces = pieces.into_iter().map(|(_, pooled)| pooled);
    let mut all = pieces.next().unwrap_or_else(|| vec![Vec::new(); texts]);
    for piece in pieces {
        for (all, terms) in all.iter_mut().zip(piece) {
            all.extend(terms);
        }
    }
    all
}

/// The running pool of one panel, which processes the tokens of one text after another.
struct Fold<'a> {
    pooling: Pooling,
    saturation: Saturation,
    /// The term of the panel's first column.
    first_term: usize,
    /// The number of terms in the panel; the remaining columns are padding.
    columns: usize,
    bias: &'a [f32; MAX_PANEL],
    /// The index of the text that the next row belongs to.
    text: usize,
    /// The largest logit of the text so far, without the bias.
    best: [f32; MAX_PANEL],
    /// The position of the largest logit so far.
    position: [i32; MAX_PANEL],
    /// The sum of the weights so far, used by [`Pooling::Sum`] only.
    sum: [f32; MAX_PANEL],
}

impl<'a> Fold<'a> {
    fn new(
        pooling: Pooling,
        saturation: Saturation,
        first_term: usize,
        columns: usize,
        bias: &'a [f32; MAX_PANEL],
    ) -> Self {
        let (best, position, sum) =
            ([f32::NEG_INFINITY; MAX_PANEL], [0; MAX_PANEL], [0.0; MAX_PANEL]);
        Self { pooling, saturation, first_term, columns, bias, text: 0, best, position, sum }
    }

    /// Folds the logits of `tokens`, `(tokens, MAX_PANEL)`, into the pool.
    fn rows(
        &mut self,
        isa: Isa,
        logits: &[f32],
        tokens: std::ops::Range<usize>,
        offsets: &[usize],
        pooled: &mut [Vec<PooledTerm>],
    ) {
        let mut token = tokens.start;
        while token < tokens.end {
            let (start, end) = (offsets[self.text], offsets[self.text + 1].min(tokens.end));
            let rows = &logits[(token - tokens.start) * MAX_PANEL..][..(end - token) * MAX_PANEL];
            let first = (token - start) as i32;
            let (best, position) = (self.best.as_mut_ptr(), self.position.as_mut_ptr());
            // SAFETY: `rows` consists of whole rows of `MAX_PANEL` floats, `best` and `position`
            // hold `MAX_PANEL` numbers, and `columns` is at most `MAX_PANEL`.
            unsafe { keep_largest(isa, rows, self.columns, first, best, position) };
            if self.pooling == Pooling::Sum {
                self.add_weights(rows);
            }
            token = end;
            if end == offsets[self.text + 1] {
                self.finish_text(&mut pooled[self.text]);
            }
        }
    }

    /// Adds the weights of some rows to the sums.
    fn add_weights(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(MAX_PANEL) {
            for ((x, bias), sum) in row.iter().zip(self.bias).zip(&mut self.sum).take(self.columns)
            {
                if x + bias > 0.0 {
                    *sum += self.saturation.apply(x + bias);
                }
            }
        }
    }

    /// Appends the terms of the finished text to `out` and resets the pool.
    fn finish_text(&mut self, out: &mut Vec<PooledTerm>) {
        for column in 0..self.columns {
            let logit = self.best[column] + self.bias[column];
            if logit > 0.0 {
                let weight = match self.pooling {
                    Pooling::Max => self.saturation.apply(logit),
                    Pooling::Sum => self.sum[column],
                };
                if weight > 0.0 {
                    let term = (self.first_term + column) as u32;
                    out.push(PooledTerm { term, weight, position: self.position[column] as u32 });
                }
            }
        }
        self.text += 1;
        self.best = [f32::NEG_INFINITY; MAX_PANEL];
        self.position = [0; MAX_PANEL];
        self.sum = [0.0; MAX_PANEL];
    }
}

simd_function! {
    /// Folds rows of `MAX_PANEL` floats into `best` and `position`; `first` is the position of the
    /// first row.
    ///
    /// # Safety
    ///
    /// The pointers `best` and `position` must be valid for `MAX_PANEL` numbers, `columns` must be
    /// at most `MAX_PANEL`, and the length of `rows` must be a multiple of it.
    fn keep_largest(rows: &[f32], columns: usize, first: i32, best: *mut f32,
        position: *mut i32) = keep_largest_kernel;
}

/// # Safety
///
/// The contract of [`keep_largest`] must hold, and the CPU must support `S`.
#[inline(always)]
unsafe fn keep_largest_kernel<S: Simd>(
    rows: &[f32],
    columns: usize,
    first: i32,
    best: *mut f32,
    position: *mut i32,
) {
    for at in (0..columns).step_by(S::LANES) {
        // SAFETY: `at < columns <= MAX_PANEL`, and `MAX_PANEL` is a multiple of every register
        // width, so a register at `at` stays within the row and within both arrays.
        unsafe {
            let mut largest = S::load(best.add(at));
            let mut kept = S::load_i32(position.add(at));
            let mut logits = rows.as_ptr().add(at);
            for i in 0..(rows.len() / MAX_PANEL) as i32 {
                let x = S::load(logits);
                S::keep_larger(&mut largest, &mut kept, x, S::splat_i32(first + i));
                logits = logits.wrapping_add(MAX_PANEL);
            }
            S::store(best.add(at), largest);
            S::store_i32(position.add(at), kept);
        }
    }
}
