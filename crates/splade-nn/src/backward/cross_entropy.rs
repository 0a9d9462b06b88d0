//! The loss of masked language models (BERT, arXiv 1810.04805, section 3.1) and its gradient: the
//! cross-entropy of the softmax over the vocabulary, for the tokens that are to be predicted.
//!
//! Only these tokens are multiplied with the decoder, some at a time. Their `(rows, vocab)` logits
//! become probabilities in place and then, after subtracting one at the target, the gradient of the
//! logits. Rows are independent of each other, and sums over rows run in a fixed order, so the
//! number of threads does not change the result.
#![allow(unsafe_code, reason = "the softmax's kernel works on raw pointers")]

use rayon::prelude::*;

use super::linear::Scratch;
use crate::functions::{Activation, softmax};
use crate::matrix::Linear;

/// The number of logits that are held at once: 64 MB.
const LOGITS: usize = 1 << 24;

/// The loss of some tokens.
///
/// ```
/// use splade_nn::{CrossEntropy, Isa, Linear, Matrix, Precision, cross_entropy};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0, -1.0], 2, 1);
/// let decoder = Linear { weight, bias: None };
/// let mut total = CrossEntropy::default();
/// for (hidden, target) in [(2.0, 0), (2.0, 1)] {
///     total.add(cross_entropy(&decoder, &[hidden], &[target]));
/// }
/// assert_eq!(total.correct, 1);
/// assert!(total.loss > 4.0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CrossEntropy {
    /// The sum of the negative logarithms of the targets' probabilities. One token contributes at
    /// most about 87 plus the logarithm of the vocabulary's size.
    pub loss: f64,
    /// The number of tokens whose target has the largest logit.
    pub correct: usize,
}

/// Returns the loss of tokens, given the decoder's inputs `hidden`, `(tokens, hidden)`.
///
/// ```
/// use splade_nn::{Isa, Linear, Matrix, Precision, cross_entropy};
///
/// // Both of two terms have the logit 0, so each has the probability 1/2.
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[0.0, 0.0], 2, 1);
/// let decoder = Linear { weight, bias: None };
/// let loss = cross_entropy(&decoder, &[1.0], &[1]).loss;
/// assert!((loss - 2f64.ln()).abs() < 1e-6);
/// ```
///
/// # Panics
///
/// Panics if the numbers of targets and of tokens differ, or if a target is outside of the
/// vocabulary.
pub fn cross_entropy(decoder: &Linear, hidden: &[f32], targets: &[u32]) -> CrossEntropy {
    let mut all = CrossEntropy::default();
    in_blocks(decoder, hidden, targets, |_, _, logits, targets| {
        all.add(rows(decoder, logits, targets, None));
    });
    all
}

/// Returns the loss like [`cross_entropy`], writes the gradient of `scale` times the loss with
/// respect to `hidden` to `d_hidden`, and adds the decoder's gradient to `gradient`.
///
/// ```
/// use splade_nn::{Isa, Linear, Matrix, Precision, Scratch, cross_entropy_backward};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0, -1.0], 2, 1);
/// let decoder = Linear { weight, bias: Some(vec![0.0; 2]) };
/// let (mut gradient, mut d_hidden) = (decoder.zeros_like(), [0.0]);
/// let (targets, scratch) = ([1], &mut Scratch::default());
/// cross_entropy_backward(&decoder, &[0.0], &targets, 1.0, &mut d_hidden, &mut gradient, scratch);
/// // The second term has to get more probable.
/// assert!((d_hidden[0] - 1.0).abs() < 1e-6);
/// assert!((gradient.bias.expect("a bias")[1] + 0.5).abs() < 1e-6);
/// ```
///
/// # Panics
///
/// Panics in the cases of [`cross_entropy`], if a slice has the wrong length, or if the weights of
/// the decoder are not 32-bit floats.
pub fn cross_entropy_backward(
    decoder: &Linear,
    hidden: &[f32],
    targets: &[u32],
    scale: f32,
    d_hidden: &mut [f32],
    gradient: &mut Linear,
    scratch: &mut Scratch,
) -> CrossEntropy {
    assert!(hidden.len() == d_hidden.len(), "d_hidden must have the shape of hidden");
    let mut all = CrossEntropy::default();
    in_blocks(decoder, hidden, targets, |first, hidden, logits, targets| {
        all.add(rows(decoder, logits, targets, Some(scale)));
        decoder.backward_weights(hidden, logits, gradient, scratch);
        let d_hidden = &mut d_hidden[first..first + hidden.len()];
        decoder.backward_input(logits, d_hidden, false, scratch);
    });
    all
}

/// Calls `work` for some tokens at a time with their offset in `hidden`, their inputs, logits and
/// targets.
fn in_blocks(
    decoder: &Linear,
    hidden: &[f32],
    targets: &[u32],
    mut work: impl FnMut(usize, &[f32], &mut [f32], &[u32]),
) {
    let (inputs, vocab) = (decoder.weight.inputs(), decoder.weight.outputs());
    assert!(hidden.len() == targets.len() * inputs, "every token needs one target");
    assert!(targets.iter().all(|id| (*id as usize) < vocab), "a target is outside the vocabulary");
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

/// Turns logits, `(targets, vocab)`, into probabilities or, if a scale is given, into their
/// gradients.
fn rows(decoder: &Linear, logits: &mut [f32], targets: &[u32], scale: Option<f32>) -> CrossEntropy {
    let (isa, vocab) = (decoder.weight.isa(), decoder.weight.outputs());
    let one = |(x, target): (&mut [f32], &u32)| {
        let target = *target as usize;
        let logit = x[target];
        let correct = usize::from(x.iter().all(|other| *other <= logit));
        // SAFETY: `x` is a chunk of `vocab` floats, and `vocab` is above 0 because the target
        // exists.
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
