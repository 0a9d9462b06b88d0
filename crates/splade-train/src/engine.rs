//! The interface between the trainer and the code that computes the passes of a model.
//!
//! Batches of token ids go in, sparse vectors come out, and the gradients of these vectors go back
//! in. The trainer never sees the tensors of an engine. An engine is one encoder; a model with two
//! towers has two engines.

use std::path::Path;

use crate::error::TrainError;

/// The terms of a text with their weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// The term ids, in ascending order and without duplicates.
    pub terms: Vec<u32>,
    /// The weight of each term, above zero.
    pub weights: Vec<f32>,
}

/// A parameter as the optimizer sees it: a flat slice of numbers without a shape.
#[derive(Debug)]
pub struct ParameterMut<'a> {
    /// The name of the tensor. If several tensors are stored as one parameter, the name of the
    /// first.
    pub name: &'a str,
    /// The layout of a matrix that is stored in panels: the width of a panel, which depends on the
    /// CPU, and the length of a row. `None` for row-major numbers.
    pub panels: Option<(usize, usize)>,
    /// The numbers of the parameter, in the engine's own order.
    pub values: &'a mut [f32],
    /// The gradient of the loss with respect to each number, in the same order.
    pub gradients: &'a mut [f32],
}

/// A tensor with the name and shape that it has in Hugging Face's files.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The name in the model's file.
    pub name: String,
    /// The dimensions, slowest first.
    pub shape: Vec<usize>,
    /// The numbers in row-major order.
    pub values: Vec<f32>,
}

/// Returns the numbers of a tensor in row-major order, by its name and shape.
pub type TensorSource<'a> = dyn Fn(&str, &[usize]) -> Result<Vec<f32>, TrainError> + 'a;

/// A model's trainable parameters as the optimizer sees them: flat slices with a name.
pub trait Parameters: Send {
    /// Calls `visit` for every parameter, always in the same order.
    fn parameters(&mut self, visit: &mut dyn FnMut(ParameterMut<'_>));

    /// Returns the tensors that make up parameter number `index` (in visiting order), filled with
    /// `numbers`. These are in the engine's order: the parameter's values or a moment of the
    /// optimizer.
    fn to_tensors(&self, index: usize, numbers: &[f32]) -> Vec<NamedTensor>;

    /// Returns the numbers of parameter `index` in the engine's order, the reverse of
    /// [`to_tensors`](Parameters::to_tensors). Its tensors are requested from `tensor` by name.
    ///
    /// # Errors
    /// Returns an error if `tensor` has no tensor of the requested name and shape.
    fn read_tensors(&self, index: usize, tensor: &TensorSource<'_>)
    -> Result<Vec<f32>, TrainError>;
}

/// An encoder that can be trained.
pub trait Engine: Parameters {
    /// Returns the number of terms in the vocabulary.
    fn vocab(&self) -> usize;

    /// Encodes texts without dropout and keeps no state. Each text is a non-empty list of token
    /// ids.
    fn encode(&self, texts: &[&[u32]]) -> Vec<Terms>;

    /// Encodes texts with dropout. The state that [`backward`](Engine::backward) needs is kept
    /// until that call or the next `forward`. `noise` has one number for each text; a text with the
    /// same number gets the same dropout, whatever other texts are in the batch.
    fn forward(&mut self, texts: &[&[u32]], noise: &[u64]) -> Vec<Terms>;

    /// Adds to the gradients of the parameters. `gradients[i][j]` is the gradient of the loss with
    /// respect to weight `j` of vector `i` of the last `forward`, whose state is dropped.
    ///
    /// # Panics
    /// Panics if there was no `forward` before, or if the lengths differ from those of its vectors.
    fn backward(&mut self, gradients: &[Vec<f32>]);

    /// Writes a model folder that transformers and light-splade can load: config, weights and
    /// tokenizer.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be written.
    fn save(&mut self, folder: &Path) -> Result<(), TrainError>;
}
