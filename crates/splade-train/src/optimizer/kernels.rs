//! The arithmetic of the optimizers on a slice of numbers, as PyTorch 2.6 does it for one tensor:
//! constants are computed in f64 and rounded once, and then f32 operations follow in the same
//! order. The loops are plain so that the compiler vectorizes them; they are limited by memory
//! bandwidth.
//!
//! There is one difference. If a row of the embeddings gets no gradient any more, its moments
//! shrink until they are subnormal and then stay there, and processors need some hundred cycles for
//! an operation on a subnormal number. Moments too small to move a weight are therefore set to
//! zero.

use super::options::UpdateOptions;
use crate::config::Optimizer;

/// The default of PyTorch's RMSprop, which transformers does not change.
const RMSPROP_ALPHA: f64 = 0.99;
const RMSPROP_EPSILON: f64 = 1e-8;
const ADAGRAD_EPSILON: f64 = 1e-10;

/// Means of gradients below this value are set to zero: divided by an epsilon of 1e-8, they would
/// move a weight by less than 1e-22 of the learning rate. Their products with usual learning rates
/// are still normal numbers.
const SMALLEST_MEAN: f32 = 1e-30;
/// Means of squared gradients below this value are set to zero: their root is far below any
/// epsilon.
const SMALLEST_SQUARE: f32 = 1e-37;

/// An optimizer with the constants of one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    /// The factor that is applied to the gradients first.
    scale: f32,
    rule: Rule,
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    AdamW {
        /// The value 1 - learning rate · weight decay.
        decay: f32,
        /// The value 1 - β1.
        rate1: f32,
        beta2: f32,
        /// The value 1 - β2.
        rate2: f32,
        /// The value √(1 - β2^step).
        correction2: f32,
        epsilon: f32,
        /// The value -learning rate / (1 - β1^step).
        minus_rate: f32,
    },
    Sgd {
        weight_decay: f32,
        minus_rate: f32,
    },
    Adagrad {
        weight_decay: f32,
        epsilon: f32,
        minus_rate: f32,
    },
    RmsProp {
        weight_decay: f32,
        alpha: f32,
        /// The value 1 - α.
        rate: f32,
        epsilon: f32,
        minus_rate: f32,
    },
}

impl Kernel {
    /// Computes the constants of a step; `step` is the number of this update, counted from 1.
    pub(super) fn new(
        kind: Optimizer,
        options: &UpdateOptions,
        learning_rate: f64,
        step: u64,
        scale: f32,
    ) -> Self {
        let weight_decay = options.weight_decay as f32;
        let minus_rate = -learning_rate as f32;
        let rule = match kind {
            Optimizer::AdamW => {
                let UpdateOptions { beta1, beta2, epsilon, .. } = *options;
                let step = step as f64;
                Rule::AdamW {
                    decay: (1.0 - learning_rate * options.weight_decay) as f32,
                    rate1: (1.0 - beta1) as f32,
                    beta2: beta2 as f32,
                    rate2: (1.0 - beta2) as f32,
                    correction2: (1.0 - libm::pow(beta2, step)).sqrt() as f32,
                    epsilon: epsilon as f32,
                    minus_rate: -(learning_rate / (1.0 - libm::pow(beta1, step))) as f32,
                }
            }
            Optimizer::Sgd => Rule::Sgd { weight_decay, minus_rate },
            Optimizer::Adagrad => {
                Rule::Adagrad { weight_decay, epsilon: ADAGRAD_EPSILON as f32, minus_rate }
            }
            Optimizer::RmsProp => Rule::RmsProp {
                weight_decay,
                alpha: RMSPROP_ALPHA as f32,
                rate: (1.0 - RMSPROP_ALPHA) as f32,
                epsilon: RMSPROP_EPSILON as f32,
                minus_rate,
            },
        };
        Self { scale, rule }
    }

    /// Updates a slice of parameters and its moments, and clears its gradients. `first` and
    /// `second` are empty if the optimizer does not have these moments.
    pub(super) fn update(
        &self,
        values: &mut [f32],
        gradients: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let scale = self.scale;
        let both = values.iter_mut().zip(gradients);
        match self.rule {
            Rule::AdamW { decay, rate1, beta2, rate2, correction2, epsilon, minus_rate } => {
                for (((p, gradient), m), v) in both.zip(first).zip(second) {
                    let g = *gradient * scale;
                    *gradient = 0.0;
                    *m = or_zero(*m + rate1 * (g - *m), SMALLEST_MEAN);
                    *v = or_zero(*v * beta2 + rate2 * g * g, SMALLEST_SQUARE);
                    let denominator = v.sqrt() / correction2 + epsilon;
                    *p = *p * decay + minus_rate * *m / denominator;
                }
            }
            Rule::Sgd { weight_decay, minus_rate } => {
                for (p, gradient) in both {
                    let g = *gradient * scale + weight_decay * *p;
                    *gradient = 0.0;
                    *p += minus_rate * g;
                }
            }
            Rule::Adagrad { weight_decay, epsilon, minus_rate } => {
                for ((p, gradient), sum) in both.zip(first) {
                    let g = *gradient * scale + weight_decay * *p;
                    *gradient = 0.0;
                    *sum += g * g;
                    *p += minus_rate * g / (sum.sqrt() + epsilon);
                }
            }
            Rule::RmsProp { weight_decay, alpha, rate, epsilon, minus_rate } => {
                for ((p, gradient), square) in both.zip(first) {
                    let g = *gradient * scale + weight_decay * *p;
                    *gradient = 0.0;
                    *square = or_zero(*square * alpha + rate * g * g, SMALLEST_SQUARE);
                    *p += minus_rate * g / (square.sqrt() + epsilon);
                }
            }
        }
    }
}

/// Returns zero for a number below `smallest` in magnitude; NaN stays NaN.
#[inline(always)]
fn or_zero(x: f32, smallest: f32) -> f32 {
    if x.abs() < smallest { 0.0 } else { x }
}
