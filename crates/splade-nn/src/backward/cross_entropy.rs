//! The loss of masked language models (BERT, arXiv 1810.04805, section 3.1) and its gradient:
//! cross-entropy of the softmax over the vocabulary, for the tokens that are to be predicted.
//!
//! Only these tokens are multiplied with the decoder, some at a time: `(rows, vocab)` logits become
//! probabilities in place, then, less one at the target, the gradient by the logits. Every row is
//! on its own, and sums over rows run in their order: threads do not change a bit.
#![allow(unsafe_code, reason = "the softmax's kernel works on raw pointers")]

use rayon::prelude::*;

use super::linear::Scratch;
use crate::functions::{Activation, softmax};
use crate::matrix::Linear;

/// Logits that are held at once: 64 MB.
const LOGITS: usize = 1 << 24;

/// The loss of some tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CrossEntropy {
    /// Sum of the negative logarithms of the targets' probabilities; of one token at most about
    /// 87 and the logarithm of the vocabulary's size.
    pub loss: f64,
    /// Tokens whose target has the largest logit.
    pub correct: usize,
}

/// The loss of tokens whose decoder's inputs are `hidden`, `(tokens, hidden)`.
///
/// # Panics
/// If there are other numbers of targets than of tokens, or a target is outside of the vocabulary.
pub fn cross_entropy(decoder: &Linear, hidden: &[f32], targets: &[u32]) -> CrossEntropy {
    let mut all = CrossEntropy::default();
    in_blocks(decoder, hidden, targets, |_, _, logits, targets| {
        all.add(rows(decoder, logits, targets, None));
    });
    all
}

/// The same, which also writes the gradient of `scale` times the loss by `hidden` to `d_hidden`,
/// and adds that by the decoder to `gradient`.
///
/// # Panics
/// As [`cross_entropy`], or if a length does not fit or the decoder is not of 32-bit floats.
pub fn cross_entropy_backward(
    decoder: &Linear,
    hidden: &[f32],
    targets: &[u32],
    scale: f32,
    d_hidden: &mut [f32],
    gradient: &mut Linear,
    scratch: &mut Scratch,
) -> CrossEntropy {
    assert!(hidden.len() == d_hidden.len(), "hidden states have another shape");
    let mut all = CrossEntropy::default();
    in_blocks(decoder, hidden, targets, |first, hidden, logits, targets| {
        all.add(rows(decoder, logits, targets, Some(scale)));
        decoder.backward_weights(hidden, logits, gradient, scratch);
        let d_hidden = &mut d_hidden[first..first + hidden.len()];
        decoder.backward_input(logits, d_hidden, false, scratch);
    });
    all
}

/// Calls `work` with the place in `hidden`, the inputs, logits and targets of some tokens at a time.
fn in_blocks(
    decoder: &Linear,
    hidden: &[f32],
    targets: &[u32],
    mut work: impl FnMut(usize, &[f32], &mut [f32], &[u32]),
) {
    let (inputs, vocab) = (decoder.weight.inputs(), decoder.weight.outputs());
    assert!(hidden.len() == targets.len() * inputs, "another number of targets than of tokens");
    assert!(targets.iter().all(|id| (*id as usize) < vocab), "a target outside of the vocabulary");
    let block = (LOGITS / vocab).clamp(1, targets.len().max(1));
    let mut logits = vec![0.0; block * vocab];
    for (i, targets) in targets.chunks(block).enumerate() {
        let first = i * block * inputs;
        let hidden = &hidden[first..first + targets.len() * inputs];
        let logits = &mut logits[..targets.len() * vocab];
        decoder.forward(hidden, Activation::Identity, logits, true);
        work(first, hidden, logits, targets);
    }
}

/// Logits, `(targets, vocab)`, to probabilities or, with a scale, to gradients.
fn rows(decoder: &Linear, logits: &mut [f32], targets: &[u32], scale: Option<f32>) -> CrossEntropy {
    let (isa, vocab) = (decoder.weight.isa(), decoder.weight.outputs());
    let one = |(x, target): (&mut [f32], &u32)| {
        let target = *target as usize;
        let logit = x[target];
        let correct = usize::from(x.iter().all(|other| *other <= logit));
        // SAFETY: the slice's own length, above 0 as it has the target.
        unsafe { softmax(isa, x.as_mut_ptr(), vocab, 1.0) };
        let loss = -libm::log(f64::from(x[target]));
        if let Some(scale) = scale {
            x[target] -= 1.0;
            x.iter_mut().for_each(|x| *x *= scale);
        }
        CrossEntropy { loss, correct }
    };
    let each: Vec<_> = logits.par_chunks_mut(vocab).zip(targets).map(one).collect();
    let mut all = CrossEntropy::default();
    each.into_iter().for_each(|row| all.add(row));
    all
}

impl CrossEntropy {
    /// Adds the loss of other tokens.
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.correct += other.correct;
    }
}
