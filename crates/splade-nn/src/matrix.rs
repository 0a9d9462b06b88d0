//! A weight matrix in the precision that was asked for.

use std::fmt;

use crate::functions::Activation;
use crate::int8::Int8Matrix;
use crate::packed::PackedMatrix;
use crate::simd::Isa;

/// The arithmetic of the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 8-bit integers: weights quantised per output at load, inputs per token as they come.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Int8 => "int8",
        })
    }
}

/// A `(outputs, inputs)` weight matrix, packed once for the kernels of a CPU.
#[derive(Debug)]
pub enum Matrix {
    /// 32-bit floats.
    F32(PackedMatrix),
    /// 8-bit integers.
    Int8(Int8Matrix),
}

impl Matrix {
    /// An all-zero matrix, to be filled by [`set_rows`](Self::set_rows).
    pub fn zeros(isa: Isa, precision: Precision, outputs: usize, inputs: usize) -> Self {
        match precision {
            Precision::F32 => Matrix::F32(PackedMatrix::zeros(isa, outputs, inputs)),
            Precision::Int8 => Matrix::Int8(Int8Matrix::zeros(isa, outputs, inputs)),
        }
    }

    /// Packs a row-major `(outputs, inputs)` matrix.
    ///
    /// # Panics
    /// If `weight` has another length.
    pub fn pack(
        isa: Isa,
        precision: Precision,
        weight: &[f32],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        assert!(weight.len() == outputs * inputs, "weight has another shape");
        let mut matrix = Self::zeros(isa, precision, outputs, inputs);
        matrix.set_rows(0, weight);
        matrix
    }

    /// Packs whole rows, `rows.len() / inputs` of them, from row `first` on.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn set_rows(&mut self, first: usize, rows: &[f32]) {
        match self {
            Matrix::F32(matrix) => matrix.set_rows(first, rows),
            Matrix::Int8(matrix) => matrix.set_rows(first, rows),
        }
    }

    /// Copies row `row` into `out` (`inputs` floats): an embedding is looked up in the matrix
    /// that the head multiplies with, so that tied weights are kept once.
    ///
    /// # Panics
    /// If there is no such row or `out` has another length.
    pub fn copy_row(&self, row: usize, out: &mut [f32]) {
        match self {
            Matrix::F32(matrix) => matrix.copy_row(row, out),
            Matrix::Int8(matrix) => matrix.copy_row(row, out),
        }
    }

    /// `output = activation(input · weightᵀ + bias)`; `input` is `(rows, inputs)`, `output`
    /// `(rows, outputs)`, both row-major.
    ///
    /// With `parallel`, the columns are shared out over the current rayon pool; the result is the
    /// same to the bit.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn multiply(
        &self,
        input: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        output: &mut [f32],
        parallel: bool,
    ) {
        match self {
            Matrix::F32(matrix) => matrix.multiply(input, bias, activation, output, parallel),
            Matrix::Int8(matrix) => matrix.multiply(input, bias, activation, output, parallel),
        }
    }

    /// Rows of the weight: the width of the product.
    pub fn outputs(&self) -> usize {
        match self {
            Matrix::F32(matrix) => matrix.outputs(),
            Matrix::Int8(matrix) => matrix.outputs(),
        }
    }

    /// Columns of the weight: the width of the input.
    pub fn inputs(&self) -> usize {
        match self {
            Matrix::F32(matrix) => matrix.inputs(),
            Matrix::Int8(matrix) => matrix.inputs(),
        }
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Matrix::F32(matrix) => matrix.bytes(),
            Matrix::Int8(matrix) => matrix.bytes(),
        }
    }

    /// The instruction set that it is packed for.
    pub fn isa(&self) -> Isa {
        match self {
            Matrix::F32(matrix) => matrix.isa(),
            Matrix::Int8(matrix) => matrix.isa(),
        }
    }
}

/// A linear layer: `activation(x · weightᵀ + bias)`.
#[derive(Debug)]
pub struct Linear {
    /// `(outputs, inputs)`
    pub weight: Matrix,
    /// `(outputs)`
    pub bias: Option<Vec<f32>>,
}

impl Linear {
    /// `input` is `(rows, inputs)`, `output` `(rows, outputs)`; see [`Matrix::multiply`].
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn forward(
        &self,
        input: &[f32],
        activation: Activation,
        output: &mut [f32],
        parallel: bool,
    ) {
        self.weight.multiply(input, self.bias.as_deref(), activation, output, parallel);
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.weight.bytes() + self.bias.as_ref().map_or(0, |bias| bias.len() * size_of::<f32>())
    }
}
