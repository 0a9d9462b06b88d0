//! Self-attention over packed texts (Vaswani et al. 2017, section 3.2).
//!
//! Each text attends to itself only, so neither masks nor padding are needed. For each text and
//! head, the keys and the values are packed like the weights of a linear layer and multiplied by
//! the same kernels. Queries are processed 64 at a time, which limits the scores to `64 x tokens`
//! floats per thread.
//!
//! Two variants extend plain attention: a sliding window, in which a token sees only the tokens
//! within a given distance (Longformer, arXiv 2004.05150), and relative positions (DeBERTa, arXiv
//! 2006.03654, section 3.1).
#![allow(unsafe_code, reason = "strided heads are read and written through raw pointers")]

use std::cell::RefCell;
use std::ops::Range;
use std::sync::RwLock;

use crate::backward::{Dropout, KeyedTexts};
use crate::functions::{Activation, softmax};
use crate::packed::{PackedMatrix, multiply};
use crate::parallel::{Shared, for_each};
use crate::product::Product;
use crate::simd::Isa;

/// The number of queries whose scores are held at once.
pub(crate) const QUERY_BLOCK: usize = 64;

/// The shape of an attention layer.
///
/// ```
/// use splade_nn::{Attention, Isa};
///
/// let attention = Attention { heads: 1, head_dim: 2, scale: 1.0, window: None };
/// // Query, key and value of each of two tokens. Equal scores give the mean of the values.
/// let qkv = [0.0, 0.0, 1.0, 1.0, 2.0, 4.0, 0.0, 0.0, 1.0, 1.0, 6.0, 0.0];
/// let mut context = [0.0; 4];
/// attention.forward(Isa::detect(), &qkv, &[0, 2], None, &mut context, false);
/// assert_eq!(context, [4.0, 2.0, 4.0, 2.0]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// The number of heads; `heads · head_dim` is the hidden size.
    pub heads: usize,
    /// The number of dimensions of each head.
    pub head_dim: usize,
    /// The factor that multiplies the scores before the softmax.
    pub scale: f32,
    /// The largest distance at which a token sees another one, or `None` if it sees the whole text.
    pub window: Option<usize>,
}

/// The relative positions of disentangled attention. The score of query `i` and key `j` gains
/// `q_i · K_p` and `k_j · Q_p`, where `p` is the bucket of `i - j` (equation 4 of the paper).
///
/// The tables must be packed for the instruction set that the attention runs on.
///
/// ```
/// use splade_nn::{Attention, Isa, RelativePositions};
///
/// // The score of a token and itself (bucket 2 of -2 to 1) is much larger than that of others.
/// let relative = RelativePositions {
///     span: 2,
///     log_buckets: None,
///     keys: Vec::new(),
///     queries: Vec::new(),
///     biases: vec![vec![0.0, 0.0, 100.0, 0.0]],
/// };
/// let attention = Attention { heads: 1, head_dim: 1, scale: 1.0, window: None };
/// let (qkv, mut context) = ([0.0, 0.0, 5.0, 0.0, 0.0, 7.0], [0.0; 2]);
/// attention.forward(Isa::detect(), &qkv, &[0, 2], Some(&relative), &mut context, false);
/// assert_eq!(context, [5.0, 7.0]);
/// ```
#[derive(Debug)]
pub struct RelativePositions {
    /// The number of buckets on each side; the tables have `2 · span` rows.
    pub span: usize,
    /// The logarithmic buckets of DeBERTa-v2, or `None` if each distance has a bucket of its own.
    pub log_buckets: Option<LogBuckets>,
    /// The projected position keys of each head, `(2 · span, head_dim)`; empty if unused.
    pub keys: Vec<PackedMatrix>,
    /// The projected position queries of each head, `(2 · span, head_dim)`; empty if unused.
    pub queries: Vec<PackedMatrix>,
    /// The number that is added to the score at each distance, `(2 · span)` for each head; empty if
    /// unused. The numbers are added before [`Attention::scale`] multiplies the score (T5, arXiv
    /// 1910.10683, section 2.1).
    pub biases: Vec<Vec<f32>>,
}

/// Buckets of relative positions: small distances have a bucket each, and larger ones share buckets
/// on a logarithmic scale.
///
/// ```
/// use splade_nn::{LogBuckets, RelativePositions};
///
/// // 128 buckets a side, in which the distances up to 512 have their place.
/// let relative = RelativePositions {
///     span: 128,
///     log_buckets: Some(LogBuckets { buckets: 256, max_position: 512 }),
///     keys: Vec::new(),
///     queries: Vec::new(),
///     biases: vec![vec![0.0; 256]],
/// };
/// assert_eq!(relative.biases[0].len(), 2 * relative.span);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LogBuckets {
    /// The number of buckets of both sides together. Distances up to half of it have their own
    /// bucket.
    pub buckets: usize,
    /// The distance at which the last bucket ends.
    pub max_position: usize,
}

impl RelativePositions {
    /// Checks the tables. The safety of the kernels relies on this check.
    ///
    /// # Panics
    ///
    /// Panics if a table has another shape than `2 · span` rows of `head_dim` floats, if there is not
    /// one for each head, or if it is packed for another instruction set.
    fn check(&self, isa: Isa, shape: &Attention) {
        let rows = self.span.checked_mul(2).filter(|rows| *rows > 0);
        for tables in [&self.keys, &self.queries] {
            let is_complete = tables.is_empty() || tables.len() == shape.heads;
            assert!(is_complete, "there must be one table of positions for each head, or none");
            for table in tables {
                assert!(
                    Some(table.outputs()) == rows && table.inputs() == shape.head_dim,
                    "a table of positions must be (2 · span, head_dim)"
                );
                assert!(table.isa() == isa, "a table of positions is packed for another CPU");
            }
        }
        let has_bias_of_each = self.biases.is_empty() || self.biases.len() == shape.heads;
        assert!(has_bias_of_each, "there must be biases of positions for each head, or none");
        for biases in &self.biases {
            assert!(Some(biases.len()) == rows, "biases of positions must be (2 · span)");
        }
    }

    /// Returns the row of the tables for a query that is `delta` tokens after its key.
    fn row(&self, delta: isize) -> usize {
        let bucket = self.log_buckets.map_or(delta, |log| log.bucket(delta));
        (bucket + self.span as isize).clamp(0, 2 * self.span as isize - 1) as usize
    }
}

impl LogBuckets {
    /// Returns the signed bucket of a distance. It is computed in 32-bit floats, as in PyTorch,
    /// because the ceiling is sensitive to rounding.
    fn bucket(self, delta: isize) -> isize {
        let middle = (self.buckets / 2) as isize;
        if delta.abs() <= middle {
            return delta;
        }
        let middle_f = middle as f32;
        let far = libm::logf(delta.abs() as f32 / middle_f);
        let end = libm::logf(((self.max_position - 1) as f64 / middle as f64) as f32);
        let bucket = (far / end * (middle - 1) as f32).ceil() as isize + middle;
        bucket * delta.signum()
    }
}

impl Attention {
    /// Computes the contexts, `(tokens, hidden)`, from the queries, keys and values,
    /// `(tokens, 3 · hidden)`.
    ///
    /// `offsets` holds the index of each text's first token, followed by the number of tokens. If
    /// `parallel` is set, texts and heads are distributed over the current rayon pool.
    ///
    /// # Panics
    ///
    /// Panics if `offsets` does not ascend, if a slice has the wrong length, or if a table of relative
    /// positions has another shape than `2 · span` rows of `head_dim` floats or is packed for another
    /// instruction set.
    pub fn forward(
        &self,
        isa: Isa,
        qkv: &[f32],
        offsets: &[usize],
        relative: Option<&RelativePositions>,
        context: &mut [f32],
        parallel: bool,
    ) {
        self.forward_attended(isa, qkv, offsets, &[], relative, context, parallel);
    }

    /// Computes the contexts like [`forward`](Self::forward), where only the first tokens of each
    /// text are attended to. `attended` holds their number for each text and is at least 1, or the
    /// slice is empty if all tokens are attended to. Tokens behind them, such as the mask tokens
    /// that ColBERT appends to queries, attend to the others and are not attended to.
    ///
    /// A token that has none of the attended tokens within its window sees the last one of them.
    ///
    /// # Panics
    ///
    /// Panics in the cases of `forward`, and if `attended` is neither empty nor a number from 1 to
    /// the number of tokens for each text that has tokens.
    #[allow(clippy::too_many_arguments, reason = "the arguments of forward and one more")]
    pub fn forward_attended(
        &self,
        isa: Isa,
        qkv: &[f32],
        offsets: &[usize],
        attended: &[usize],
        relative: Option<&RelativePositions>,
        context: &mut [f32],
        parallel: bool,
    ) {
        self.check(qkv, offsets, context);
        let fits = |(text, keys): (&[usize], &usize)| {
            text[0] == text[1] || (1..=text[1] - text[0]).contains(keys)
        };
        let are_all = attended.is_empty() || attended.len() + 1 == offsets.len();
        assert!(
            are_all && offsets.windows(2).zip(attended).all(fits),
            "attended must be empty or have a number of tokens for each text"
        );
        if let Some(relative) = relative {
            relative.check(isa, self);
        }
        let out = Shared(context.as_mut_ptr());
        for_each(parallel, (offsets.len() - 1) * self.heads, |i| {
            let (text, head) = (i / self.heads, i % self.heads);
            let tokens = offsets[text]..offsets[text + 1];
            if !tokens.is_empty() {
                let keys = attended.get(text).copied().unwrap_or(tokens.len());
                let head =
                    Head { isa, shape: self, qkv, head, tokens, keys, relative, dropout: None };
                SCRATCH.with_borrow_mut(|scratch| {
                    // SAFETY: `context` has a row for every token, as `check` ensured, and each
                    // call writes only the columns of its own head in the rows of its own text.
                    unsafe { head.forward(scratch, out.pointer()) }
                });
            }
        });
    }
}

impl Attention {
    /// Computes the contexts like [`forward`](Self::forward) on the current rayon pool, with
    /// dropout on the attention probabilities. `place` is a number that distinguishes the layers of
    /// a model.
    ///
    /// # Panics
    ///
    /// Panics if `offsets` does not ascend, if a slice has the wrong length, or if `dropout` is
    /// given and there are no tokens or a text has no key.
    pub fn forward_dropped(
        &self,
        isa: Isa,
        qkv: &[f32],
        texts: &KeyedTexts<'_>,
        dropout: Option<Dropout>,
        place: u32,
        context: &mut [f32],
    ) {
        let Some(dropout) = dropout else {
            return self.forward(isa, qkv, texts.offsets, None, context, true);
        };
        let tokens = self.check(qkv, texts.offsets, context);
        assert!(
            texts.keys.len() + 1 == texts.offsets.len() && tokens > 0,
            "there must be tokens and one key per text"
        );
        let out = Shared(context.as_mut_ptr());
        for_each(true, texts.keys.len() * self.heads, |i| {
            let (text, head) = (i / self.heads, i % self.heads);
            let tokens = texts.offsets[text]..texts.offsets[text + 1];
            let dropout = Some((dropout, texts.key(text, place)));
            let keys = tokens.len();
            let head = Head { isa, shape: self, qkv, head, tokens, keys, relative: None, dropout };
            SCRATCH.with_borrow_mut(|scratch| {
                // SAFETY: `context` has a row for every token, as `check` ensured, and each call
                // writes only the columns of its own head in the rows of its own text.
                unsafe { head.forward(scratch, out.pointer()) }
            });
        });
    }

    /// Checks the lengths of all slices and returns the number of tokens.
    ///
    /// # Panics
    ///
    /// Panics if `offsets` does not ascend or a slice has the wrong length.
    pub(crate) fn check(&self, qkv: &[f32], offsets: &[usize], context: &[f32]) -> usize {
        let tokens = *offsets.last().expect("offsets have at least one entry");
        assert!(offsets.is_sorted(), "offsets must ascend");
        // Products that overflow fit no slice.
        let hidden = self.heads.checked_mul(self.head_dim);
        let size = hidden.and_then(|hidden| hidden.checked_mul(tokens));
        let size = size.filter(|size| size.checked_mul(3) == Some(qkv.len()));
        assert!(size.is_some(), "qkv must be (tokens, 3 · hidden)");
        assert!(size == Some(context.len()), "the contexts must be (tokens, hidden)");
        tokens
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The buffers for one head of one text, reused by the thread.
#[derive(Default)]
struct Scratch {
    /// The packed keys, `[panel][head_dim][panel width]`.
    keys: Vec<f32>,
    /// The packed values, `[panel][tokens][panel width]`.
    values: Vec<f32>,
    /// The scores of a block of queries, `(QUERY_BLOCK, tokens)`.
    scores: Vec<f32>,
    /// The products of queries and position keys, `(QUERY_BLOCK, 2 · span)`.
    query_positions: Vec<f32>,
    /// The products of keys and position queries, `(tokens, 2 · span)`.
    key_positions: Vec<f32>,
    /// The table row of every distance: the row of `i - j` is at index `i - j + tokens - 1`.
    rows: Vec<usize>,
}

/// One head of one text, the unit of work of a thread.
pub(crate) struct Head<'a> {
    pub(crate) isa: Isa,
    pub(crate) shape: &'a Attention,
    pub(crate) qkv: &'a [f32],
    pub(crate) head: usize,
    pub(crate) tokens: Range<usize>,
    /// The number of tokens at the start of the text that are attended to, at least 1.
    pub(crate) keys: usize,
    pub(crate) relative: Option<&'a RelativePositions>,
    /// The dropout of the probabilities and the key of the text.
    pub(crate) dropout: Option<(Dropout, u64)>,
}

impl Head<'_> {
    /// Computes the contexts of this head and text.
    ///
    /// # Safety
    ///
    /// The pointer `context` must be valid for writes of a `(tokens, hidden)` matrix that includes
    /// the rows of this text, and no other thread may access the columns of this head in these
    /// rows.
    unsafe fn forward(&self, scratch: &mut Scratch, context: *mut f32) {
        let (n, dim) = (self.tokens.len(), self.shape.head_dim);
        let (hidden, width) = (self.shape.heads * dim, self.isa.panel_width());
        self.pack_columns(1, &mut scratch.keys);
        self.pack_rows(2, 0..n, &mut scratch.values);
        resize(&mut scratch.scores, QUERY_BLOCK.min(n) * n);
        if let Some(relative) = self.relative {
            self.prepare_positions(relative, scratch);
        }
        for first in (0..n).step_by(QUERY_BLOCK) {
            let queries = first..(first + QUERY_BLOCK).min(n);
            let seen = self.seen(&queries);
            let scores = scratch.scores.as_mut_ptr();
            let product = Product {
                rows: queries.len(),
                inputs: dim,
                input: self.row(0, queries.start).as_ptr(),
                input_stride: 3 * hidden,
                panels: scratch.keys.as_ptr(),
                panel_stride: dim * width,
                range: seen.start / width..seen.end.div_ceil(width),
                outputs: n,
                bias: std::ptr::null(),
                activation: Activation::Identity,
                output: scores,
                output_stride: n,
                accumulate: false,
            };
            // SAFETY: the rows of all queries lie in `qkv`, whose length was checked. `keys` holds
            // a panel for every key that is seen, and `scores` has a row of `n` floats per query.
            unsafe { multiply(self.isa, &product) };
            if let Some(relative) = self.relative {
                self.add_positions(relative, scratch, &queries);
            }
            for (i, scores) in scratch.scores.chunks_exact_mut(n).take(queries.len()).enumerate() {
                let seen_by_query = self.seen(&(queries.start + i..queries.start + i + 1));
                scores[seen.start..seen_by_query.start].fill(0.0);
                scores[seen_by_query.end..seen.end].fill(0.0);
                let own = &mut scores[seen_by_query.clone()];
                // SAFETY: the pointer and the length are those of the slice `own`. It is not empty
                // because every token sees at least one other or itself.
                unsafe { softmax(self.isa, own.as_mut_ptr(), own.len(), self.shape.scale) };
                self.drop(queries.start + i, seen_by_query.start, own);
            }
            let row = self.tokens.start + queries.start;
            let product = Product {
                rows: queries.len(),
                inputs: seen.len(),
                input: scratch.scores[seen.start..].as_ptr(),
                input_stride: n,
                panels: scratch.values[seen.start * width..].as_ptr(),
                panel_stride: n * width,
                range: 0..dim.div_ceil(width),
                outputs: dim,
                bias: std::ptr::null(),
                activation: Activation::Identity,
                output: context.wrapping_add(row * hidden + self.head * dim),
                output_stride: hidden,
                accumulate: false,
            };
            // SAFETY: `scores` has a row of `n` floats per query and `values` has a row for every
            // key. The context has a row for each query by this function's contract.
            unsafe { multiply(self.isa, &product) };
        }
    }

    /// Returns the range of keys that at least one of the queries sees.
    pub(crate) fn seen(&self, queries: &Range<usize>) -> Range<usize> {
        match self.shape.window {
            None => 0..self.keys,
            Some(window) => {
                queries.start.saturating_sub(window).min(self.keys - 1)
                    ..queries.end.saturating_add(window).min(self.keys)
            }
        }
    }

    /// Returns the query (`part` 0), key (1) or value (2) of a token of the text, followed by the
    /// rest of `qkv`.
    pub(crate) fn row(&self, part: usize, token: usize) -> &[f32] {
        let hidden = self.shape.heads * self.shape.head_dim;
        let row = (self.tokens.start + token) * 3 * hidden;
        &self.qkv[row + part * hidden + self.head * self.shape.head_dim..]
    }

    /// Applies dropout to the probabilities of a query; the first one is for the key `first`.
    pub(crate) fn drop(&self, query: usize, first: usize, probabilities: &mut [f32]) {
        if let Some((dropout, key)) = self.dropout {
            let n = self.tokens.len();
            let number = (self.head * n + query).wrapping_mul(n).wrapping_add(first);
            dropout.run(self.isa, key, number as u32, probabilities);
        }
    }

    /// Packs keys as the weights of the product `queries · keysᵀ`, in which each token is a column.
    /// The backward pass packs values in the same way and multiplies them with the gradients of the
    /// contexts.
    pub(crate) fn pack_columns(&self, part: usize, out: &mut Vec<f32>) {
        let (n, dim, width) = (self.tokens.len(), self.shape.head_dim, self.isa.panel_width());
        resize(out, n.next_multiple_of(width) * dim);
        for (first, panel) in (0..n).step_by(width).zip(out.chunks_exact_mut(dim * width)) {
            for column in 0..width.min(n - first) {
                let key = &self.row(part, first + column)[..dim];
                for (x, row) in key.iter().zip(panel.chunks_exact_mut(width)) {
                    row[column] = *x;
                }
            }
        }
    }

    /// Packs values as the weights of the product `scores · values`, in which each dimension of the
    /// head is a column.
    pub(crate) fn pack_rows(&self, part: usize, tokens: Range<usize>, out: &mut Vec<f32>) {
        let (n, dim, width) = (tokens.len(), self.shape.head_dim, self.isa.panel_width());
        resize(out, dim.next_multiple_of(width) * n);
        for (i, token) in tokens.enumerate() {
            pack_row(&self.row(part, token)[..dim], i, n, width, out);
        }
    }

    /// Computes the table rows of all distances and the products of the keys with the position
    /// queries.
    fn prepare_positions(&self, relative: &RelativePositions, scratch: &mut Scratch) {
        let n = self.tokens.len();
        let last = n as isize - 1;
        scratch.rows.clear();
        scratch.rows.extend((-last..=last).map(|delta| relative.row(delta)));
        if let Some(table) = relative.queries.get(self.head) {
            self.with_table(1, 0..n, table, &mut scratch.key_positions);
        }
    }

    /// Adds the position terms to the scores of a block of queries.
    fn add_positions(
        &self,
        relative: &RelativePositions,
        scratch: &mut Scratch,
        queries: &Range<usize>,
    ) {
        let n = self.tokens.len();
        let width = 2 * relative.span;
        let keys = relative.keys.get(self.head);
        let biases = relative.biases.get(self.head);
        if let Some(table) = keys {
            self.with_table(0, queries.clone(), table, &mut scratch.query_positions);
        }
        let rows = scratch.scores.chunks_exact_mut(n).zip(queries.clone());
        for (i, (scores, query)) in rows.enumerate() {
            for (j, score) in scores.iter_mut().enumerate() {
                let row = scratch.rows[query + n - 1 - j];
                if keys.is_some() {
                    *score += scratch.query_positions[i * width + row];
                }
                if !relative.queries.is_empty() {
                    *score += scratch.key_positions[j * width + row];
                }
                if let Some(biases) = biases {
                    *score += biases[row];
                }
            }
        }
    }

    /// Computes `out[token][row] = part(token) · table[row]`.
    fn with_table(
        &self,
        part: usize,
        tokens: Range<usize>,
        table: &PackedMatrix,
        out: &mut Vec<f32>,
    ) {
        resize(out, tokens.len() * table.outputs());
        let product = Product {
            rows: tokens.len(),
            inputs: self.shape.head_dim,
            input: self.row(part, tokens.start).as_ptr(),
            input_stride: 3 * self.shape.heads * self.shape.head_dim,
            panels: table.panels().as_ptr(),
            panel_stride: table.inputs() * self.isa.panel_width(),
            range: 0..table.panel_count(),
            outputs: table.outputs(),
            bias: std::ptr::null(),
            activation: Activation::Identity,
            output: out.as_mut_ptr(),
            output_stride: table.outputs(),
            accumulate: false,
        };
        // SAFETY: the tokens lie in `qkv`, whose length was checked, and `out` was just resized to
        // hold a row for each of them. The table has `head_dim` inputs and is packed for `self.isa`,
        // as `RelativePositions::check` ensured.
        unsafe { multiply(self.isa, &product) };
    }
}

/// Copies row `i` of `n` rows into panels, `[panel][n][width]`.
pub(crate) fn pack_row(row: &[f32], i: usize, n: usize, width: usize, out: &mut [f32]) {
    for (panel, columns) in row.chunks(width).enumerate() {
        out[(panel * n + i) * width..][..columns.len()].copy_from_slice(columns);
    }
}

/// Grows a buffer to at least `len` floats. Old contents remain and are either overwritten by the
/// caller or unused padding.
pub(crate) fn resize(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}

/// Rotary position embeddings (Su et al., arXiv 2104.09864), in the variant that rotates the two
/// halves of a head against each other.
///
/// The table of cosines and sines grows with the longest text seen so far.
///
/// ```
/// use splade_nn::Rotary;
///
/// let rotary = Rotary::new(2, 10_000.0);
/// // The first token stays, and the second one is turned by one radian.
/// let mut qkv = [1.0, 0.0, 1.0, 0.0, 9.0, 9.0, 1.0, 0.0, 1.0, 0.0, 9.0, 9.0];
/// rotary.rotate(&mut qkv, 1, &[0, 2]);
/// assert_eq!(qkv[..2], [1.0, 0.0]);
/// assert!((qkv[6] - 1f32.cos()).abs() < 1e-6 && (qkv[7] - 1f32.sin()).abs() < 1e-6);
/// // Values are not rotated.
/// assert_eq!(qkv[10..], [9.0, 9.0]);
/// ```
#[derive(Debug)]
pub struct Rotary {
    /// The angle in radians between neighbouring positions, for each of the `head_dim / 2` pairs.
    frequencies: Vec<f32>,
    /// The cosine and the sine of each angle, `(positions, head_dim / 2)`.
    turns: RwLock<Vec<(f32, f32)>>,
}

impl Clone for Rotary {
    fn clone(&self) -> Self {
        let turns = self.turns.read().expect(LOCK).clone();
        Self { frequencies: self.frequencies.clone(), turns: RwLock::new(turns) }
    }
}

impl Rotary {
    /// Returns the rotation for heads of `head_dim` dimensions with the base `theta`.
    ///
    /// # Panics
    ///
    /// Panics if `head_dim` is odd or 0.
    pub fn new(head_dim: usize, theta: f64) -> Self {
        assert!(head_dim > 0 && head_dim.is_multiple_of(2), "head_dim must be even and above 0");
        let frequency = |i| (1.0 / libm::pow(theta, 2.0 * i as f64 / head_dim as f64)) as f32;
        Self::with_frequencies((0..head_dim / 2).map(frequency).collect())
    }

    /// Returns the rotation with these angles in radians between neighbouring positions, one for
    /// each of the `head_dim / 2` pairs of dimensions.
    pub fn with_frequencies(frequencies: Vec<f32>) -> Self {
        Self { frequencies, turns: RwLock::default() }
    }

    /// Rotates queries and keys of `(tokens, 3 · heads · head_dim)` by their positions, in place.
    ///
    /// # Panics
    ///
    /// Panics if `offsets` does not ascend or if `qkv` does not have a row for each token.
    pub fn rotate(&self, qkv: &mut [f32], heads: usize, offsets: &[usize]) {
        self.turn(qkv, heads, offsets, 1.0);
    }

    /// Rotates gradients back: turns the gradients of rotated queries and keys into those of the
    /// unrotated ones, in place.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`rotate`](Self::rotate).
    pub fn rotate_back(&self, d_qkv: &mut [f32], heads: usize, offsets: &[usize]) {
        self.turn(d_qkv, heads, offsets, -1.0);
    }

    /// Rotates queries and keys by their positions if `sign` is 1, or back if it is -1.
    fn turn(&self, qkv: &mut [f32], heads: usize, offsets: &[usize], sign: f32) {
        let half = self.frequencies.len();
        let dim = 2 * half;
        let tokens = *offsets.last().expect("offsets have at least one entry");
        assert!(offsets.is_sorted(), "offsets must ascend");
        let size = heads.checked_mul(3 * dim).and_then(|width| width.checked_mul(tokens));
        assert!(size == Some(qkv.len()), "qkv must be (tokens, 3 · heads · head_dim)");
        let longest = offsets.windows(2).map(|text| text[1] - text[0]).max().unwrap_or(0);
        self.extend(longest);
        let turns = self.turns.read().expect(LOCK);
        let mut rows = qkv.chunks_exact_mut(3 * heads * dim);
        for text in offsets.windows(2) {
            let rows = rows.by_ref().take(text[1] - text[0]);
            for (row, turns) in rows.zip(turns.chunks_exact(half)) {
                for head in row[..2 * heads * dim].chunks_exact_mut(dim) {
                    let (first, second) = head.split_at_mut(half);
                    for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(turns) {
                        let sin = sign * sin;
                        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                    }
                }
            }
        }
    }

    /// Extends the table to cover texts of `tokens` tokens.
    fn extend(&self, tokens: usize) {
        let half = self.frequencies.len();
        if self.turns.read().expect(LOCK).len() >= tokens * half {
            return;
        }
        let mut turns = self.turns.write().expect(LOCK);
        // Sizes are powers of two, so that slowly growing texts do not extend the table each time.
        for position in turns.len() / half..tokens.next_power_of_two() {
            turns.extend(self.frequencies.iter().map(|f| {
                let angle = f64::from(position as f32 * f);
                (libm::cos(angle) as f32, libm::sin(angle) as f32)
            }));
        }
    }
}

/// The message for a poisoned lock. No holder of the lock panics, so it is never shown.
const LOCK: &str = "the table of turns is poisoned: this is a bug";
