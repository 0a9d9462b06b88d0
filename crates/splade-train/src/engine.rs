//! The one door between the trainer and what computes.
//!
//! Whole batches of token ids go in, sparse vectors come out, gradients of the sparse vectors go
//! back; tensors stay behind the door. An engine is one encoder: a model of two towers is two.

use std::path::Path;

use crate::error::TrainError;

/// The terms of a text, ascending, each with a weight above zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Indices in the vocabulary, ascending.
    pub terms: Vec<u32>,
    /// One weight for each term, above zero.
    pub weights: Vec<f32>,
}

/// A parameter as the optimizer sees it: numbers without a shape.
#[derive(Debug)]
pub struct ParameterMut<'a> {
    /// The name of the tensor, or of the first of several that are kept as one.
    pub name: &'a str,
    /// Where the numbers of a matrix stand in panels: the width of a panel, which is that of the
    /// CPU, and the length of a row. None if they are row-major.
    pub panels: Option<(usize, usize)>,
    /// The numbers, in the engine's own order.
    pub values: &'a mut [f32],
    /// The gradient of the loss by each number, in the same order.
    pub gradients: &'a mut [f32],
}

/// A tensor as Hugging Face names and shapes it.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The name in the model's file.
    pub name: String,
    /// The dimensions, the slowest first.
    pub shape: Vec<usize>,
    /// The numbers, row-major.
    pub values: Vec<f32>,
}

/// Gives the numbers of a tensor, row-major, by its name and shape.
pub type TensorSource<'a> = dyn Fn(&str, &[usize]) -> Result<Vec<f32>, TrainError> + 'a;

/// A model's trainable parameters as the optimizer sees them: flat slices with a name.
pub trait Parameters: Send {
    /// Visits every parameter, always in the same order.
    fn parameters(&mut self, visit: &mut dyn FnMut(ParameterMut<'_>));

    /// The tensors that parameter number `index` (in visiting order) is made of, filled with
    /// `numbers`, which stand in the engine's order: its values, or a state of the optimizer.
    fn to_tensors(&self, index: usize, numbers: &[f32]) -> Vec<NamedTensor>;

    /// The reverse of [`to_tensors`](Parameters::to_tensors): the numbers of parameter `index` in the
    /// engine's order, from its tensors, asked for by name.
    ///
    /// # Errors
    /// If `tensor` has none of that name and shape.
    fn read_tensors(&self, index: usize, tensor: &TensorSource<'_>)
    -> Result<Vec<f32>, TrainError>;
}

/// An encoder that can be trained.
pub trait Engine: Parameters {
    /// Terms of the vocabulary.
    fn vocab(&self) -> usize;

    /// Vectors without dropout; nothing is kept. Texts are token ids, none empty.
    fn encode(&self, texts: &[&[u32]]) -> Vec<Terms>;

    /// Vectors with dropout, keeping what [`backward`](Engine::backward) needs until then or until
    /// the next `forward`. `noise` has a number for every text: a text with the same number gets
    /// the same dropout, whatever stands beside it.
    fn forward(&mut self, texts: &[&[u32]], noise: &[u64]) -> Vec<Terms>;

    /// Adds to the gradients of the parameters: `gradients[i][j]` is the loss's by weight `j` of
    /// vector `i` of the last `forward`, whose state is dropped.
    ///
    /// # Panics
    /// Without a `forward` before it, or if the lengths are not those of its vectors.
    fn backward(&mut self, gradients: &[Vec<f32>]);

    /// Writes a folder that loads in transformers and here: config, weights and tokenizer.
    ///
    /// # Errors
    /// If it cannot be written.
    fn save(&mut self, folder: &Path) -> Result<(), TrainError>;
}
