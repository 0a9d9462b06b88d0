//! The update of the parameters from their gradients.
//!
//! The optimizers are PyTorch's with the settings that transformers gives them: AdamW (decoupled
//! weight decay, arXiv 1711.05101), SGD without momentum, Adagrad and RMSprop (weight decay added
//! to the gradient). Weight decay applies to all parameters, as the Python library does it for
//! SPLADE, or only to some. One pass over memory reads and writes parameters, gradients and
//! moments, and sets the gradients to zero. Every number depends only on values at its own
//! position, so threads cannot change the result.

mod options;

mod kernels;
mod norm;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::config::Optimizer;
use crate::engine::Parameters;
use crate::error::TrainError;
use kernels::Kernel;
pub use norm::{clip_coefficient, gradient_norm};
use options::CHUNK;
pub use options::UpdateOptions;

/// The state of an optimizer between two updates.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerState {
    /// The kind of optimizer.
    pub kind: Optimizer,
    /// The number of updates so far.
    pub step: u64,
    /// The moments as `moments[engine][parameter][moment]`, in the order of the engines. The list
    /// of an engine is empty before the first update.
    pub moments: Vec<Vec<Vec<Vec<f32>>>>,
}

impl OptimizerState {
    /// Creates the state before the first update.
    pub fn new(kind: Optimizer) -> Self {
        Self { kind, step: 0, moments: Vec::new() }
    }

    /// Returns PyTorch's names of the moments of a parameter, in the order of
    /// [`moments`](OptimizerState::moments).
    pub fn moment_names(kind: Optimizer) -> &'static [&'static str] {
        match kind {
            Optimizer::AdamW => &["exp_avg", "exp_avg_sq"],
            Optimizer::Sgd => &[],
            Optimizer::Adagrad => &["sum"],
            Optimizer::RmsProp => &["square_avg"],
        }
    }

    /// Creates the state after `step` updates, with the moments of a checkpoint.
    ///
    /// # Errors
    /// Returns [`TrainError::State`] if the moments do not have the shapes of the engines'
    /// parameters.
    pub fn restored<P: Parameters + ?Sized>(
        kind: Optimizer,
        step: u64,
        moments: Vec<Vec<Vec<Vec<f32>>>>,
        engines: &mut [&mut P],
    ) -> Result<Self, TrainError> {
        let names = Self::moment_names(kind).len();
        let fits = |engine: &mut P, moments: &[Vec<Vec<f32>>]| {
            let (mut index, mut fits) = (0, true);
            engine.parameters(&mut |parameter| {
                fits &= moments.get(index).is_some_and(|moments: &Vec<Vec<f32>>| {
                    moments.len() == names
                        && moments.iter().all(|m| m.len() == parameter.values.len())
                });
                index += 1;
            });
            fits && index == moments.len()
        };
        let all = engines.len() == moments.len()
            && engines.iter_mut().zip(&moments).all(|(engine, moments)| fits(engine, moments));
        if !(all || step == 0 && moments.is_empty()) {
            return Err(TrainError::State(
                "the moments of the optimizer are not those of the model's parameters".into(),
            ));
        }
        Ok(Self { kind, step, moments })
    }

    /// Updates all parameters with their gradients times `scale`, and sets the gradients to zero.
    /// Every call must pass the same `engines`.
    ///
    /// # Panics
    /// Panics if the engines differ from those of earlier calls.
    pub fn update<P: Parameters + ?Sized>(
        &mut self,
        engines: &mut [&mut P],
        options: &UpdateOptions,
        scale: f32,
    ) {
        if self.moments.is_empty() {
            self.moments.resize_with(engines.len(), Vec::new);
        }
        assert_eq!(
            self.moments.len(),
            engines.len(),
            "the engines differ from those of earlier calls: this is a bug"
        );
        self.step += 1;
        for (index, engine) in engines.iter_mut().enumerate() {
            let factor = options.engine_rates.get(index).copied().unwrap_or(1.0);
            let rate = options.learning_rate * factor;
            let kernel = |weight_decay| {
                let options = UpdateOptions { weight_decay, ..options.clone() };
                Kernel::new(self.kind, &options, rate, self.step, scale)
            };
            let kernels = [kernel(options.weight_decay), kernel(0.0)];
            self.update_engine(index, *engine, &kernels, options.undecayed);
        }
    }

    /// Updates the parameters of one engine. `kernels` are the kernel with weight decay and the
    /// kernel without.
    fn update_engine<P: Parameters + ?Sized>(
        &mut self,
        index: usize,
        engine: &mut P,
        kernels: &[Kernel; 2],
        undecayed: &[&str],
    ) {
        let names = Self::moment_names(self.kind).len();
        let moments = &mut self.moments[index];
        let first = moments.is_empty();
        let mut visited = 0;
        engine.parameters(&mut |parameter| {
            if first {
                moments.push(vec![vec![0.0; parameter.values.len()]; names]);
            }
            let moments = moments.get_mut(visited).map_or(&mut [][..], |moments| &mut moments[..]);
            let plain = undecayed.iter().any(|part| parameter.name.contains(part));
            let kernel = &kernels[usize::from(plain)];
            update_parameter(kernel, parameter.values, parameter.gradients, moments);
            visited += 1;
        });
        assert_eq!(
            visited,
            moments.len(),
            "the parameters differ from those of earlier calls: this is a bug"
        );
    }
}

fn update_parameter(
    kernel: &Kernel,
    values: &mut [f32],
    gradients: &mut [f32],
    moments: &mut [Vec<f32>],
) {
    let same = gradients.len() == values.len() && moments.iter().all(|m| m.len() == values.len());
    assert!(same, "gradients or moments differ in length from their parameter: this is a bug");
    let chunks = values.par_chunks_mut(CHUNK).zip(gradients.par_chunks_mut(CHUNK));
    match moments {
        [] => chunks.for_each(|(p, g)| kernel.update(p, g, &mut [], &mut [])),
        [m] => chunks
            .zip(m.par_chunks_mut(CHUNK))
            .for_each(|((p, g), m)| kernel.update(p, g, m, &mut [])),
        [m, v] => chunks
            .zip(m.par_chunks_mut(CHUNK))
            .zip(v.par_chunks_mut(CHUNK))
            .for_each(|(((p, g), m), v)| kernel.update(p, g, m, v)),
        _ => unreachable!("an optimizer with more than two moments: this is a bug"),
    }
}
