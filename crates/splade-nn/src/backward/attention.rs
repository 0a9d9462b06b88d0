//! The gradients of attention with respect to queries, keys and values.
//!
//! Let `p = softmax(scale · q kᵀ)` be the probabilities, `a` the probabilities after dropout, and
//! `d` the gradient of the contexts `a v`. The gradient of the values is `aᵀ d`. The gradient of
//! the probabilities is `g = d vᵀ` with the same dropout. The gradient of the scores is
//! `s = p (g - Σ p g) · scale`, from which queries get `s k` and keys `sᵀ q`. The probabilities are
//! recomputed for 64 queries at a time, so the scores of a whole text are never stored.
#![allow(unsafe_code, reason = "strided heads are read and written through raw pointers")]

use std::cell::RefCell;
use std::ops::Range;

use super::dropout::{Dropout, KeyedTexts};
use crate::attention::{Attention, Head, QUERY_BLOCK, pack_row, resize};
use crate::functions::{Activation, softmax};
use crate::packed::multiply;
use crate::parallel::{Shared, for_each};
use crate::product::Product;
use crate::simd::Isa;

impl Attention {
    /// Computes the gradients of queries, keys and values, `(tokens, 3 · hidden)`, into `d_qkv`
    /// from the gradient of the contexts, `(tokens, hidden)`. `dropout` and `place` must be those
    /// of the forward pass.
    ///
    /// # Panics
    ///
    /// Panics if `offsets` does not ascend, if a slice has the wrong length, or if `dropout` is
    /// given and a text has no key.
    #[allow(clippy::too_many_arguments, reason = "those of the forward pass, and the gradients")]
    pub fn backward(
        &self,
        isa: Isa,
        qkv: &[f32],
        texts: &KeyedTexts<'_>,
        dropout: Option<Dropout>,
        place: u32,
        d_context: &[f32],
        d_qkv: &mut [f32],
    ) {
        self.check(qkv, texts.offsets, d_context);
        assert!(d_qkv.len() == qkv.len(), "d_qkv must have the shape of qkv");
        assert!(
            dropout.is_none() || texts.keys.len() + 1 == texts.offsets.len(),
            "every text needs a key"
        );
        let out = Shared(d_qkv.as_mut_ptr());
        for_each(true, (texts.offsets.len() - 1) * self.heads, |i| {
            let (text, head) = (i / self.heads, i % self.heads);
            let tokens = texts.offsets[text]..texts.offsets[text + 1];
            if tokens.is_empty() {
                return;
            }
            let dropout = dropout.map(|dropout| (dropout, texts.key(text, place)));
            let keys = tokens.len();
            let head = Head { isa, shape: self, qkv, head, tokens, keys, relative: None, dropout };
            SCRATCH.with_borrow_mut(|scratch| {
                // SAFETY: `d_qkv` has a row for every token, by the check above, and each call
                // writes only the columns of its own head in the rows of its own text.
                unsafe { backward(&head, scratch, d_context, out.pointer()) }
            });
        });
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The buffers for one head of one text, reused by the thread.
#[derive(Default)]
struct Scratch {
    /// The keys and, in the next field, the values with one column per token,
    /// `[panel][head_dim][panel width]`.
    key_columns: Vec<f32>,
    value_columns: Vec<f32>,
    /// The keys with one column per dimension, `[panel][tokens][panel width]`.
    key_rows: Vec<f32>,
    /// The queries and, in the next field, the gradients of the contexts of a block, with one
    /// column per dimension, `[panel][queries][panel width]`.
    query_rows: Vec<f32>,
    d_rows: Vec<f32>,
    /// The probabilities, which become the gradients of the scores, `(QUERY_BLOCK, tokens)`.
    probabilities: Vec<f32>,
    /// The gradients of the probabilities after dropout, `(QUERY_BLOCK, tokens)`.
    d_probabilities: Vec<f32>,
    /// The transpose of one of the two buffers above, `(tokens, QUERY_BLOCK)`.
    turned: Vec<f32>,
}

/// Computes the gradients of one head of one text.
///
/// # Safety
///
/// The pointer `d_qkv` must be valid for writes of a `(tokens, 3 · hidden)` matrix that includes
/// the rows of the text, and no other thread may access the columns of this head in these rows.
unsafe fn backward(head: &Head<'_>, scratch: &mut Scratch, d_context: &[f32], d_qkv: *mut f32) {
    let (n, dim, isa) = (head.tokens.len(), head.shape.head_dim, head.isa);
    let hidden = head.shape.heads * dim;
    let width = isa.panel_width();
    // Returns the start of the gradients of a token's query (`part` 0), key (1) or value (2).
    let d_row = |part: usize, token: usize| {
        d_qkv.wrapping_add(
            (head.tokens.start + token) * 3 * hidden + part * hidden + head.head * dim,
        )
    };
    for token in 0..n {
        for part in [1, 2] {
            // SAFETY: the row of every token of the text exists by contract, and only this call
            // accesses these columns.
            unsafe { std::slice::from_raw_parts_mut(d_row(part, token), dim).fill(0.0) };
        }
    }
    head.pack_columns(1, &mut scratch.key_columns);
    head.pack_columns(2, &mut scratch.value_columns);
    head.pack_rows(1, 0..n, &mut scratch.key_rows);
    let d_from =
        |token: usize| &d_context[(head.tokens.start + token) * hidden + head.head * dim..];
    for first in (0..n).step_by(QUERY_BLOCK) {
        let queries = first..(first + QUERY_BLOCK).min(n);
        let seen = head.seen(&queries);
        resize(&mut scratch.probabilities, queries.len() * n);
        resize(&mut scratch.d_probabilities, queries.len() * n);
        // Computes `rows · columnsᵀ`, `(queries, tokens)`, for the keys that are seen.
        let scores = |input: *const f32, stride: usize, columns: &[f32], out: &mut [f32]| {
            let product = Product {
                rows: queries.len(),
                inputs: dim,
                input,
                input_stride: stride,
                panels: columns.as_ptr(),
                panel_stride: dim * width,
                range: seen.start / width..seen.end.div_ceil(width),
                outputs: n,
                bias: std::ptr::null(),
                activation: Activation::Identity,
                output: out.as_mut_ptr(),
                output_stride: n,
                accumulate: false,
            };
            // SAFETY: the rows of the queries exist in the input, the packed columns cover the keys
            // that are seen, and `out` has a row of `n` floats for each query.
            unsafe { multiply(isa, &product) };
        };
        let query = head.row(0, first).as_ptr();
        scores(query, 3 * hidden, &scratch.key_columns, &mut scratch.probabilities);
        let d_first = d_from(first).as_ptr();
        scores(d_first, hidden, &scratch.value_columns, &mut scratch.d_probabilities);
        let (mut query_rows, mut d_rows) =
            (std::mem::take(&mut scratch.query_rows), std::mem::take(&mut scratch.d_rows));
        head.pack_rows(0, queries.clone(), &mut query_rows);
        resize(&mut d_rows, dim.next_multiple_of(width) * queries.len());
        for (i, query) in queries.clone().enumerate() {
            pack_row(&d_from(query)[..dim], i, queries.len(), width, &mut d_rows);
        }
        let p = &mut scratch.probabilities[..queries.len() * n];
        let g = &mut scratch.d_probabilities[..queries.len() * n];
        // The probabilities come first. After dropout, they are the weights of the values'
        // gradients.
        for (i, p) in p.chunks_exact_mut(n).enumerate() {
            let own = head.seen(&(first + i..first + i + 1));
            p[seen.start..own.start].fill(0.0);
            p[own.end..seen.end].fill(0.0);
            let own = &mut p[own];
            // SAFETY: the pointer and the length are those of the slice `own`. It is not empty
            // because every token sees itself.
            unsafe { softmax(isa, own.as_mut_ptr(), own.len(), head.shape.scale) };
        }
        resize(&mut scratch.turned, n * queries.len());
        turn(head, p, n, &seen, first, true, &mut scratch.turned);
        // Multiplies the transposed block `turned` with rows of the block and adds the product to
        // the gradients of keys or values.
        let to_tokens = |turned: &[f32], rows: &[f32], out: *mut f32| {
            let product = Product {
                rows: seen.len(),
                inputs: queries.len(),
                input: turned.as_ptr(),
                input_stride: queries.len(),
                panels: rows.as_ptr(),
                panel_stride: queries.len() * width,
                range: 0..dim.div_ceil(width),
                outputs: dim,
                bias: std::ptr::null(),
                activation: Activation::Identity,
                output: out,
                output_stride: 3 * hidden,
                accumulate: true,
            };
            // SAFETY: each key that is seen has a row in `turned` and in the output, and `rows` has
            // a row for each query of the block.
            unsafe { multiply(isa, &product) };
        };
        to_tokens(&scratch.turned, &d_rows, d_row(2, seen.start));
        for (i, (p, g)) in p.chunks_exact_mut(n).zip(g.chunks_exact_mut(n)).enumerate() {
            let own = head.seen(&(first + i..first + i + 1));
            let (p, g) = (&mut p[own.clone()], &mut g[own.clone()]);
            head.drop(first + i, own.start, g);
            let sum: f32 = p.iter().zip(g.iter()).map(|(p, g)| p * g).sum();
            for (p, g) in p.iter_mut().zip(g) {
                *p *= (*g - sum) * head.shape.scale;
            }
        }
        turn(head, p, n, &seen, first, false, &mut scratch.turned);
        to_tokens(&scratch.turned, &query_rows, d_row(1, seen.start));
        let product = Product {
            rows: queries.len(),
            inputs: seen.len(),
            input: p[seen.start..].as_ptr(),
            input_stride: n,
            panels: scratch.key_rows[seen.start * width..].as_ptr(),
            panel_stride: n * width,
            range: 0..dim.div_ceil(width),
            outputs: dim,
            bias: std::ptr::null(),
            activation: Activation::Identity,
            output: d_row(0, first),
            output_stride: 3 * hidden,
            accumulate: false,
        };
        // SAFETY: `p` has a row of `n` floats per query, `key_rows` has a row for every key, and
        // the output has a row for each query by this function's contract.
        unsafe { multiply(isa, &product) };
        (scratch.query_rows, scratch.d_rows) = (query_rows, d_rows);
    }
}

/// Transposes a block, `turned[token - seen.start][query] = block[query][token]`, after dropout if
/// `drop` is set.
fn turn(
    head: &Head<'_>,
    block: &[f32],
    n: usize,
    seen: &Range<usize>,
    first: usize,
    drop: bool,
    turned: &mut [f32],
) {
    let queries = block.len() / n;
    let mut dropped = Vec::new();
    for (i, row) in block.chunks_exact(n).enumerate() {
        let mut row = &row[seen.clone()];
        if drop && head.dropout.is_some() {
            dropped.clear();
            dropped.extend_from_slice(row);
            head.drop(first + i, seen.start, &mut dropped);
            row = &dropped;
        }
        for (to, x) in turned[i..].iter_mut().step_by(queries).zip(row) {
            *to = *x;
        }
    }
}
