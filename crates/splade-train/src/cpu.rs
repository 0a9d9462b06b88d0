//! The CPU engine behind the trainer's door.

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
    /// If it is none that can be read, or of an architecture that is not trained.
    pub fn load(
        folder: &Path,
        pooling: Pooling,
        saturation: Saturation,
    ) -> Result<Self, TrainError> {
        let mut model = Trainable::load(folder, pooling, saturation, Isa::detect())?;
        let layouts = model.parameters().iter().map(|(value, _)| value.layout().clone()).collect();
        Ok(Self { model, layouts })
    }

    /// Shifts the decoder's bias so that half of `texts` have `terms` terms or more, and gives the
    /// shift.
    ///
    /// # Errors
    /// If the decoder has no bias.
    pub fn calibrate(&mut self, texts: &[&[u32]], terms: usize) -> Result<f32, TrainError> {
        Ok(self.model.calibrate(texts, terms)?)
    }

    /// As [`Engine::forward`], for [`backward_masked`](Self::backward_masked): vectors only if
    /// `pooled`.
    pub fn forward_masked(&mut self, texts: &[&[u32]], noise: &[u64], pooled: bool) -> Vec<Terms> {
        let pooled = self.model.forward_masked(texts, noise, pooled);
        pooled.iter().map(|pooled| to_terms(pooled)).collect()
    }

    /// The loss of hidden tokens of the last forward pass; adds the gradients of `scale` times it
    /// and, by `gradients` as in [`Engine::backward`], those of the vectors.
    ///
    /// # Panics
    /// As `Engine::backward`.
    pub fn backward_masked(
        &mut self,
        masked: &[Masked],
        scale: f32,
        gradients: &[Vec<f32>],
    ) -> CrossEntropy {
        self.model.backward_masked(masked, scale, gradients)
    }

    /// The loss of hidden tokens without dropout; nothing is kept.
    pub fn masked_loss(&self, texts: &[&[u32]], masked: &[Masked]) -> CrossEntropy {
        self.model.masked_loss(texts, masked)
    }

    /// The longest text in tokens.
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

/// The tensors of a parameter, filled with numbers in its order.
pub(crate) fn to_tensors(layout: &ParameterLayout, numbers: &[f32]) -> Vec<NamedTensor> {
    let tensors = layout.to_tensors(numbers);
    let named = tensors.into_iter().map(|tensor| NamedTensor {
        name: tensor.name,
        shape: tensor.shape,
        values: tensor.numbers,
    });
    named.collect()
}

/// The numbers of a parameter from its tensors.
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
