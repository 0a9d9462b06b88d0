//! The gradient of the fused SPLADE head.
//!
//! With maximum pooling, a weight `w = log(1 + x)` depends on one logit `x`, that of the winning
//! token. The gradient of the logit is the gradient of the weight times `e^-w`, and it affects one
//! row of the decoder and one row of the hidden states. Neither logits nor any other
//! `(tokens, vocab)` tensor is stored, and the work is proportional to the number of terms.
//! (Sparton, arXiv 2603.25011, applies the same idea on a GPU.)
//!
//! With sum pooling, every positive logit counts. The logits are recomputed for some hundred terms
//! at a time, and their gradients go through the products of a linear layer.
#![allow(unsafe_code, reason = "threads add to columns of their own")]

use super::linear::Scratch;
use crate::functions::Activation;
use crate::head::{PooledTerm, Pooling, Saturation};
use crate::matrix::{Linear, Matrix};
use crate::packed::PackedMatrix;
use crate::parallel::{Shared, for_each};

/// The number of dimensions that a thread takes at once. Its part of the hidden states stays in the
/// L2 cache.
const DIMENSIONS: usize = 64;
/// The number of terms whose logits are recomputed at once for sum pooling.
const TERMS: usize = 960;

/// Adds the gradient of the hidden states to `d_hidden`, `(tokens, hidden)`, and the decoder's
/// gradient to `gradient`.
///
/// `pooled` is the result of [`splade_head`](crate::splade_head) for `hidden` and `offsets`, and
/// `gradients[text][i]` is the gradient of the weight of a text's term `i`.
///
/// ```
/// use splade_nn::{Isa, Linear, Matrix, Pooling, Precision, Saturation, Scratch};
/// use splade_nn::{splade_head, splade_head_backward};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0], 1, 1);
/// let decoder = Linear { weight, bias: None };
/// let (hidden, offsets) = ([1.0], [0, 1]);
/// let (pooling, saturation) = (Pooling::Max, Saturation::Log1pRelu);
/// let pooled = splade_head(&decoder, &hidden, &offsets, pooling, saturation, false);
///
/// let (mut d_hidden, mut gradient) = ([0.0], decoder.zeros_like());
/// splade_head_backward(
///     &decoder, &hidden, &offsets, pooling, saturation, &pooled,
///     &[vec![1.0]], &mut d_hidden, &mut gradient, &mut Scratch::default(),
/// );
/// // The derivative of log(1 + x) at 1.
/// assert!((d_hidden[0] - 0.5).abs() < 1e-6);
/// ```
///
/// # Panics
///
/// Panics if a slice has the wrong length, or if the weights of the decoder are not 32-bit floats.
#[allow(clippy::too_many_arguments, reason = "those of the forward pass, and the gradients")]
pub fn splade_head_backward(
    decoder: &Linear,
    hidden: &[f32],
    offsets: &[usize],
    pooling: Pooling,
    saturation: Saturation,
    pooled: &[Vec<PooledTerm>],
    gradients: &[Vec<f32>],
    d_hidden: &mut [f32],
    gradient: &mut Linear,
    scratch: &mut Scratch,
) {
    assert!(pooled.len() + 1 == offsets.len(), "pooled must have one list per text");
    assert!(
        pooled.len() == gradients.len()
            && pooled.iter().zip(gradients).all(|(p, g)| p.len() == g.len()),
        "every term needs one gradient"
    );
    assert!(hidden.len() == d_hidden.len(), "d_hidden must have the shape of hidden");
    match pooling {
        Pooling::Max => {
            let winners = Winners::new(decoder, offsets, saturation, pooled, gradients);
            winners.add(decoder, hidden, d_hidden, gradient);
        }
        Pooling::Sum => {
            let sum = Sum { decoder, hidden, offsets, saturation, pooled, gradients };
            sum.add(d_hidden, gradient, scratch);
        }
    }
}

impl Saturation {
    /// Returns the derivative at a positive logit, given the weight of that logit.
    fn slope(self, weight: f32) -> f32 {
        match self {
            // The derivative is 1 / (1 + x) = e^-w.
            Saturation::Log1pRelu => libm::expf(-weight),
            // With u = log(1 + x) and w = log(1 + u), the derivative is e^-w e^-u.
            Saturation::Log1pLog1pRelu => {
                let inner = libm::expm1f(weight);
                libm::expf(-weight - inner)
            }
        }
    }

    /// Returns the derivative at a positive logit.
    fn slope_at(self, logit: f32) -> f32 {
        match self {
            Saturation::Log1pRelu => 1.0 / (1.0 + logit),
            Saturation::Log1pLog1pRelu => 1.0 / ((1.0 + logit) * (1.0 + libm::log1pf(logit))),
        }
    }
}

/// The largest logit of a term in a text, which determines the term's weight.
#[derive(Clone, Copy)]
struct Winner {
    /// The index of the token in the batch.
    token: u32,
    /// The column of the term in its panel.
    column: u32,
    /// The gradient of the logit.
    d: f32,
}

/// The winners of all texts, grouped by panel.
struct Winners {
    winners: Vec<Winner>,
    /// The index of each panel's first winner, followed by the number of winners.
    starts: Vec<usize>,
}

impl Winners {
    fn new(
        decoder: &Linear,
        offsets: &[usize],
        saturation: Saturation,
        pooled: &[Vec<PooledTerm>],
        gradients: &[Vec<f32>],
    ) -> Self {
        let width = decoder.weight.isa().panel_width();
        let mut starts = vec![0; decoder.weight.outputs().div_ceil(width) + 1];
        for term in pooled.iter().flatten() {
            starts[term.term as usize / width + 1] += 1;
        }
        for panel in 1..starts.len() {
            starts[panel] += starts[panel - 1];
        }
        let mut next = starts.clone();
        let mut winners = vec![Winner { token: 0, column: 0, d: 0.0 }; starts[starts.len() - 1]];
        for ((terms, gradients), first) in pooled.iter().zip(gradients).zip(offsets) {
            for (term, gradient) in terms.iter().zip(gradients) {
                let (panel, column) = (term.term as usize / width, term.term as usize % width);
                winners[next[panel]] = Winner {
                    token: *first as u32 + term.position,
                    column: column as u32,
                    d: gradient * saturation.slope(term.weight),
                };
                next[panel] += 1;
            }
        }
        Self { winners, starts }
    }

    /// Adds the contributions of all winners. Each thread handles its own dimensions of the hidden
    /// states.
    fn add(&self, decoder: &Linear, hidden: &[f32], d_hidden: &mut [f32], gradient: &mut Linear) {
        let Matrix::F32(weight) = &decoder.weight else {
            panic!("only weights of 32-bit floats can be trained")
        };
        let Matrix::F32(target) = &mut gradient.weight else {
            panic!("gradients must be 32-bit floats")
        };
        let (inputs, width) = (weight.inputs(), weight.isa().panel_width());
        assert!(
            (target.outputs(), target.inputs()) == (weight.outputs(), weight.inputs())
                && target.isa() == weight.isa(),
            "the gradient must have the shape of the weight"
        );
        if let Some(bias) = &mut gradient.bias {
            for (panel, winners) in self.starts.windows(2).enumerate() {
                for winner in &self.winners[winners[0]..winners[1]] {
                    bias[panel * width + winner.column as usize] += winner.d;
                }
            }
        }
        let step = if inputs >= 4 * DIMENSIONS { DIMENSIONS } else { DIMENSIONS / 2 };
        let (d_out, target) =
            (Shared(d_hidden.as_mut_ptr()), Shared(target.numbers_mut().as_mut_ptr()));
        for_each(true, inputs.div_ceil(step), |part| {
            let first = part * step;
            let count = step.min(inputs - first);
            let mut rows = vec![0.0; width * count];
            let mut d_rows = vec![0.0; width * count];
            for (panel, range) in self.starts.windows(2).enumerate() {
                let winners = &self.winners[range[0]..range[1]];
                if winners.is_empty() {
                    continue;
                }
                let start = (panel * inputs + first) * width;
                let from = &weight.numbers()[start..start + count * width];
                for (k, columns) in from.chunks_exact(width).enumerate() {
                    for (column, x) in columns.iter().enumerate() {
                        rows[column * count + k] = *x;
                    }
                }
                d_rows.fill(0.0);
                for winner in winners {
                    let at = winner.token as usize * inputs + first;
                    let x = &hidden[at..at + count];
                    // SAFETY: `at + count` is within `d_hidden` because the token exists and
                    // `first + count <= inputs`. Only this call accesses these dimensions of the
                    // hidden states.
                    let d_x =
                        unsafe { std::slice::from_raw_parts_mut(d_out.pointer().add(at), count) };
                    let column = winner.column as usize * count;
                    let (row, d_row) =
                        (&rows[column..column + count], &mut d_rows[column..column + count]);
                    for (((d_x, x), w), d_w) in d_x.iter_mut().zip(x).zip(row).zip(d_row) {
                        *d_x += winner.d * w;
                        *d_w += winner.d * x;
                    }
                }
                // SAFETY: the panel has `inputs * width` numbers, and only this call accesses these
                // inputs of the weight.
                let to = unsafe {
                    std::slice::from_raw_parts_mut(target.pointer().add(start), count * width)
                };
                for (k, columns) in to.chunks_exact_mut(width).enumerate() {
                    for (column, x) in columns.iter_mut().enumerate() {
                        *x += d_rows[column * count + k];
                    }
                }
            }
        });
    }
}

/// The inputs of the backward pass with sum pooling.
struct Sum<'a> {
    decoder: &'a Linear,
    hidden: &'a [f32],
    offsets: &'a [usize],
    saturation: Saturation,
    pooled: &'a [Vec<PooledTerm>],
    gradients: &'a [Vec<f32>],
}

impl Sum<'_> {
    fn add(&self, d_hidden: &mut [f32], gradient: &mut Linear, scratch: &mut Scratch) {
        let Matrix::F32(weight) = &self.decoder.weight else {
            panic!("only weights of 32-bit floats can be trained")
        };
        let (vocab, inputs) = (weight.outputs(), weight.inputs());
        let isa = weight.isa();
        let tokens = self.hidden.len() / inputs;
        // The index of the next unprocessed term of each text.
        let mut next = vec![0; self.pooled.len()];
        let mut row = vec![0.0; inputs];
        for first in (0..vocab).step_by(TERMS) {
            let terms = TERMS.min(vocab - first);
            let mut part = PackedMatrix::zeros(isa, terms, inputs);
            for i in 0..terms {
                weight.copy_row(first + i, &mut row);
                part.set_rows(i, &row);
            }
            let bias = self.decoder.bias.as_ref().map(|bias| bias[first..first + terms].to_vec());
            let part = Linear { weight: Matrix::F32(part), bias };
            let mut logits = vec![0.0; tokens * terms];
            part.forward(self.hidden, Activation::Identity, &mut logits, true);
            self.to_gradients(&mut logits, first, terms, &mut next);
            let mut d_part = part.zeros_like();
            part.backward_weights(self.hidden, &logits, &mut d_part, scratch);
            part.backward_input(&logits, d_hidden, true, scratch);
            let Matrix::F32(target) = &mut gradient.weight else {
                panic!("gradients must be 32-bit floats")
            };
            for i in 0..terms {
                d_part.weight.copy_row(i, &mut row);
                target.add_to_row(first + i, &row);
            }
            if let (Some(bias), Some(d)) = (&mut gradient.bias, d_part.bias) {
                bias[first..].iter_mut().zip(d).for_each(|(b, d)| *b += d);
            }
        }
    }

    /// Turns logits, `(tokens, terms)`, into their gradients.
    fn to_gradients(&self, logits: &mut [f32], first: usize, terms: usize, next: &mut [usize]) {
        for (text, next) in next.iter_mut().enumerate() {
            let mut by_weight = vec![0.0; terms];
            let own = self.pooled[text].iter().zip(&self.gradients[text]).skip(*next);
            for (term, gradient) in own.take_while(|(t, _)| (t.term as usize) < first + terms) {
                by_weight[term.term as usize - first] = *gradient;
                *next += 1;
            }
            let rows = &mut logits[self.offsets[text] * terms..self.offsets[text + 1] * terms];
            for row in rows.chunks_exact_mut(terms) {
                for (x, gradient) in row.iter_mut().zip(&by_weight) {
                    *x = if *x > 0.0 { gradient * self.saturation.slope_at(*x) } else { 0.0 };
                }
            }
        }
    }
}
