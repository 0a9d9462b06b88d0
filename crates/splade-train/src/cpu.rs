//! The engine that trains a masked language model on the CPU.

use std::path::Path;

use splade_model::training::{CrossEntropy, Masked, ParameterLayout, Trainable};
use splade_nn::{Isa, PooledTerm, Pooling, Saturation};

use crate::engine::{Engine, NamedTensor, ParameterMut, Parameters, TensorSource, Terms};
use crate::error::TrainError;

/// A masked language model that is trained on the CPU, on the threads of the current rayon pool.
#[derive(Debug)]
pub struct CpuEngine {
    model: Trainable,
    layouts: Vec<ParameterLayout>,
}

impl CpuEngine {
    /// Loads the masked language model of a folder.
    ///
    /// # Errors
    /// Returns an error if the folder has no readable masked language model, or if training does
    /// not support its architecture.
    pub fn load(
        folder: &Path,
        pooling: Pooling,
        saturation: Saturation,
        isa: Isa,
    ) -> Result<Self, TrainError> {
        let mut model = Trainable::load(folder, pooling, saturation, isa)?;
        let layouts = model.parameters().iter().map(|(value, _)| value.layout().clone()).collect();
        Ok(Self { model, layouts })
    }

    /// Shifts the decoder's bias until half of `texts` have at least `terms` terms, and returns the
    /// shift.
    ///
    /// # Errors
    /// Returns an error if the decoder has no bias.
    pub fn calibrate(&mut self, texts: &[&[u32]], terms: usize) -> Result<f32, TrainError> {
        Ok(self.model.calibrate(texts, terms)?)
    }

    /// Computes the forward pass for [`backward_masked`](Self::backward_masked), as
    /// [`Engine::forward`] does. Returns the vectors only if `pooled` is true.
    pub fn forward_masked(&mut self, texts: &[&[u32]], noise: &[u64], pooled: bool) -> Vec<Terms> {
        let pooled = self.model.forward_masked(texts, noise, pooled);
        pooled.iter().map(|pooled| to_terms(pooled)).collect()
    }

    /// Returns the loss of the masked tokens in the last forward pass. Adds the gradients of this
    /// loss times `scale` to those of the parameters, and also the gradients of the vectors, given
    /// as `gradients` as in [`Engine::backward`].
    ///
    /// # Panics
    /// Panics in the same cases as `Engine::backward`.
    pub fn backward_masked(
        &mut self,
        masked: &[Masked],
        scale: f32,
        gradients: &[Vec<f32>],
    ) -> CrossEntropy {
        self.model.backward_masked(masked, scale, gradients)
    }

    /// Returns the loss of the masked tokens without dropout, and keeps no state.
    pub fn masked_loss(&self, texts: &[&[u32]], masked: &[Masked]) -> CrossEntropy {
        self.model.masked_loss(texts, masked)
    }

    /// Returns the maximum length of a text in tokens.
    pub fn max_tokens(&self) -> usize {
        self.model.max_tokens()
    }
}

fn to_terms(pooled: &[PooledTerm]) -> Terms {
    let (terms, weights) = pooled.iter().map(|term| (term.term, term.weight)).unzip();
    Terms { terms, weights }
}

impl Parameters for CpuEngine {
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

/// Returns the tensors of a parameter, filled with `numbers` in the parameter's own order.
pub(crate) fn to_tensors(layout: &ParameterLayout, numbers: &[f32]) -> Vec<NamedTensor> {
    let tensors = layout.to_tensors(numbers);
    let named = tensors.into_iter().map(|tensor| NamedTensor {
        name: tensor.name,
        shape: tensor.shape,
        values: tensor.numbers,
    });
    named.collect()
}

/// Returns the numbers of a parameter in its own order, read from its tensors.
pub(crate) fn read_tensors(
    layout: &ParameterLayout,
    tensor: &TensorSource<'_>,
) -> Result<Vec<f32>, TrainError> {
    let tensors: Vec<_> =
        layout.names().iter().map(|name| tensor(name, layout.shape())).collect::<Result<_, _>>()?;
    Ok(layout.from_tensors(&tensors))
}

impl Engine for CpuEngine {
    fn vocab(&self) -> usize {
        self.model.vocab()
    }

    fn encode(&self, texts: &[&[u32]]) -> Vec<Terms> {
        self.model.encode(texts).iter().map(|pooled| to_terms(pooled)).collect()
    }

    fn forward(&mut self, texts: &[&[u32]], noise: &[u64]) -> Vec<Terms> {
        self.model.forward(texts, noise).iter().map(|pooled| to_terms(pooled)).collect()
    }

    fn backward(&mut self, gradients: &[Vec<f32>]) {
        self.model.backward(gradients);
    }

    fn save(&mut self, folder: &Path) -> Result<(), TrainError> {
        Ok(self.model.save(folder)?)
    }
}
