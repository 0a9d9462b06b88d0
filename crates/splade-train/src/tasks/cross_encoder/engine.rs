//! The engine of a cross-encoder.

use std::path::Path;

use splade_model::training::{ParameterLayout, TrainableCrossEncoder};
use splade_nn::Isa;

use crate::cpu::{read_tensors, to_tensors};
use crate::engine::{NamedTensor, ParameterMut, Parameters, TensorSource};
use crate::error::TrainError;

/// A cross-encoder that is trained on the CPU, on the threads of the current rayon pool.
#[derive(Debug)]
pub(super) struct CrossEncoderEngine {
    pub(super) model: TrainableCrossEncoder,
    layouts: Vec<ParameterLayout>,
}

impl CrossEncoderEngine {
    /// Loads the cross-encoder of a folder.
    ///
    /// # Errors
    /// Returns an error if the folder has no readable cross-encoder, or if training does not
    /// support its architecture.
    pub(super) fn load(folder: &Path) -> Result<Self, TrainError> {
        let mut model = TrainableCrossEncoder::load(folder, Isa::detect())?;
        let layouts = model.parameters().iter().map(|(value, _)| value.layout().clone()).collect();
        Ok(Self { model, layouts })
    }

    /// Returns the number of weights in all parameters.
    pub(super) fn numbers(&mut self) -> u64 {
        let mut numbers = 0;
        self.parameters(&mut |parameter| numbers += parameter.values.len() as u64);
        numbers
    }

    /// Returns the number of logits of a pair.
    pub(super) fn labels(&self) -> usize {
        self.model.labels()
    }
}

impl Parameters for CrossEncoderEngine {
    fn parameters(&mut self, visit: &mut dyn FnMut(ParameterMut<'_>)) {
        for ((value, gradient), layout) in self.model.parameters().into_iter().zip(&self.layouts) {
            visit(ParameterMut {
                name: layout.name(),
                panels: layout.panels(),
                values: value.numbers,
                gradients: gradient.numbers,
            });
        }
    }

    fn to_tensors(&self, index: usize, numbers: &[f32]) -> Vec<NamedTensor> {
        to_tensors(&self.layouts[index], numbers)
    }

    fn read_tensors(
        &self,
        index: usize,
        tensor: &TensorSource<'_>,
    ) -> Result<Vec<f32>, TrainError> {
        read_tensors(&self.layouts[index], tensor)
    }
}
