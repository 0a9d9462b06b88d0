//! The norm of the gradients, and the factor that clips it.

use rayon::prelude::*;

use super::options::CHUNK;
use crate::engine::Parameters;

/// The number of independent sums within a chunk; with several sums, an addition need not wait for
/// the one before.
const LANES: usize = 8;

/// Returns the 2-norm of the gradients of all parameters of all engines. The sum is computed in
/// f64, in an order that depends neither on the number of threads nor on the width of the CPU's
/// panels.
pub fn gradient_norm<P: Parameters + ?Sized>(engines: &mut [&mut P]) -> f64 {
    let mut sum = 0.0;
    for engine in engines {
        engine.parameters(&mut |parameter| {
            sum += match parameter.panels {
                None => {
                    let chunks = parameter.gradients.par_chunks(CHUNK);
                    chunks.map(sum_of_squares).collect::<Vec<_>>().iter().sum::<f64>()
                }
                Some((width, length)) => {
                    let panels = parameter.gradients.par_chunks(width * length);
                    let rows = panels.map(|panel| sums_of_rows(panel, width));
                    rows.collect::<Vec<_>>().iter().flatten().sum::<f64>()
                }
            };
        });
    }
    sum.sqrt()
}

/// Returns the factor for gradients of this norm that makes their norm at most `max_norm`, as
/// PyTorch's `clip_grad_norm_` does; it is never above 1. A `max_norm` of 0 turns clipping off and
/// gives 1.
pub fn clip_coefficient(norm: f64, max_norm: f64) -> f32 {
    let coefficient = max_norm / (norm + 1e-6);
    // A NaN norm gives a NaN factor, so that the caller notices it.
    if max_norm == 0.0 || coefficient > 1.0 { 1.0 } else { coefficient as f32 }
}

/// Returns the sum of squares of each row of a panel, added in the order of the row's numbers.
fn sums_of_rows(panel: &[f32], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    for numbers in panel.chunks_exact(width) {
        for (sum, x) in sums.iter_mut().zip(numbers) {
            *sum += f64::from(*x) * f64::from(*x);
        }
    }
    sums
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
