//! The length of the gradient, and clipping by it.

use rayon::prelude::*;

use super::options::CHUNK;
use crate::engine::Parameters;

/// Sums that run side by side within a chunk, so that additions need not wait for each other.
const LANES: usize = 8;

/// The 2-norm of the gradients of all parameters of all engines, summed in f64 in an order that
/// does not depend on threads.
pub fn gradient_norm<P: Parameters + ?Sized>(engines: &mut [&mut P]) -> f64 {
    let mut sum = 0.0;
    for engine in engines {
        engine.parameters(&mut |parameter| {
            let sums: Vec<f64> =
                parameter.gradients.par_chunks(CHUNK).map(sum_of_squares).collect();
            sum += sums.iter().sum::<f64>();
        });
    }
    sum.sqrt()
}

/// What gradients of this norm are multiplied by, so that their norm is at most `max_norm`, as
/// PyTorch's `clip_grad_norm_`: never above 1. With a `max_norm` of 0 it is 1: no clipping.
pub fn clip_coefficient(norm: f64, max_norm: f64) -> f32 {
    let coefficient = max_norm / (norm + 1e-6);
    // A norm that is not a number stays so: the caller must see it.
    if max_norm == 0.0 || coefficient > 1.0 { 1.0 } else { coefficient as f32 }
}

fn sum_of_squares(numbers: &[f32]) -> f64 {
    let square = |x: &f32| f64::from(*x) * f64::from(*x);
    let mut sums = [0.0; LANES];
    let chunks = numbers.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(square).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += square(x);
        }
    }
    sums.iter().sum::<f64>() + rest
}
