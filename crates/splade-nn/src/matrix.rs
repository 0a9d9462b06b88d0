//! Weight matrices and linear layers in the requested precision.

use std::fmt;

use crate::functions::Activation;
use crate::int8::Int8Matrix;
use crate::packed::PackedMatrix;
use crate::simd::Isa;

/// The number format of the matrix products.
///
/// ```
/// use splade_nn::Precision;
///
/// assert_eq!(Precision::Int8.to_string(), "int8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 8-bit integers. Weights are quantised per output when they are loaded, inputs per token at
    /// each product.
    Int8,
    /// Products of 32-bit weights and inputs that are rounded to bfloat16; see [`Isa::bf16`].
    Bf16,
}

impl Precision {
    /// Returns the instruction set whose products have this precision, which is `isa` except for
    /// [`Precision::Bf16`], or `None` if the CPU does not have it or `isa` is not the best one.
    ///
    /// ```
    /// use splade_nn::{Isa, Precision};
    ///
    /// assert_eq!(Precision::Int8.kernels(Isa::detect()), Some(Isa::detect()));
    /// assert_eq!(Precision::Bf16.kernels(Isa::detect()), Isa::bf16());
    /// ```
    pub fn kernels(self, isa: Isa) -> Option<Isa> {
        match self {
            Precision::F32 | Precision::Int8 => Some(isa),
            Precision::Bf16 => Isa::bf16().filter(|bf16| isa == Isa::detect() || isa == *bf16),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Int8 => "int8",
            Precision::Bf16 => "bf16",
        })
    }
}

/// A weight matrix of shape `(outputs, inputs)`, packed once for the kernels of a CPU.
///
/// ```
/// use splade_nn::{Activation, Isa, Matrix, Precision};
///
/// // Two outputs of three inputs.
/// let matrix = Matrix::pack(Isa::detect(), Precision::F32, &[1.0, 2.0, 3.0, 0.0, 0.0, 1.0], 2, 3);
/// let mut output = [0.0; 2];
/// matrix.multiply(&[1.0, 1.0, 10.0], None, Activation::Identity, &mut output, false);
/// assert_eq!(output, [33.0, 10.0]);
/// ```
#[derive(Debug)]
pub enum Matrix {
    /// 32-bit floats.
    F32(PackedMatrix),
    /// 8-bit integers.
    Int8(Int8Matrix),
}

impl Matrix {
    /// Returns a matrix of zeros, to be filled by [`set_rows`](Self::set_rows).
    pub fn zeros(isa: Isa, precision: Precision, outputs: usize, inputs: usize) -> Self {
        match precision {
            Precision::F32 | Precision::Bf16 => {
                Matrix::F32(PackedMatrix::zeros(isa, outputs, inputs))
            }
            Precision::Int8 => Matrix::Int8(Int8Matrix::zeros(isa, outputs, inputs)),
        }
    }

    /// Packs a row-major matrix of shape `(outputs, inputs)`.
    ///
    /// # Panics
    ///
    /// Panics if the length of `weight` is not `outputs * inputs`.
    pub fn pack(
        isa: Isa,
        precision: Precision,
        weight: &[f32],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        assert!(weight.len() == outputs * inputs, "weight must be (outputs, inputs)");
        let mut matrix = Self::zeros(isa, precision, outputs, inputs);
        matrix.set_rows(0, weight);
        matrix
    }

    /// Packs the `rows.len() / inputs` rows in `rows`, starting at row `first`.
    ///
    /// # Panics
    ///
    /// Panics if `rows` is not a whole number of rows or extends past the last row.
    pub fn set_rows(&mut self, first: usize, rows: &[f32]) {
        match self {
            Matrix::F32(matrix) => matrix.set_rows(first, rows),
            Matrix::Int8(matrix) => matrix.set_rows(first, rows),
        }
    }

    /// Copies a row of `inputs` floats into `out`. Embeddings are looked up this way in the matrix
    /// that the head multiplies with, so that tied weights are stored once.
    ///
    /// # Panics
    ///
    /// Panics if `row` does not exist or if `out` does not have `inputs` floats.
    pub fn copy_row(&self, row: usize, out: &mut [f32]) {
        match self {
            Matrix::F32(matrix) => matrix.copy_row(row, out),
            Matrix::Int8(matrix) => matrix.copy_row(row, out),
        }
    }

    /// Computes `output = activation(input · weightᵀ + bias)` for a row-major `input` of shape
    /// `(rows, inputs)` and `output` of shape `(rows, outputs)`.
    ///
    /// If `parallel` is set, the columns are distributed over the current rayon pool; the result
    /// has the same bits.
    ///
    /// # Panics
    ///
    /// Panics if a slice has the wrong length.
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

    /// Returns the number of rows of the weight, which is the width of the product.
    pub fn outputs(&self) -> usize {
        match self {
            Matrix::F32(matrix) => matrix.outputs(),
            Matrix::Int8(matrix) => matrix.outputs(),
        }
    }

    /// Returns the number of columns of the weight, which is the width of the input.
    pub fn inputs(&self) -> usize {
        match self {
            Matrix::F32(matrix) => matrix.inputs(),
            Matrix::Int8(matrix) => matrix.inputs(),
        }
    }

    /// Returns the size of the matrix in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Matrix::F32(matrix) => matrix.bytes(),
            Matrix::Int8(matrix) => matrix.bytes(),
        }
    }

    /// Returns the instruction set that the matrix is packed for.
    pub fn isa(&self) -> Isa {
        match self {
            Matrix::F32(matrix) => matrix.isa(),
            Matrix::Int8(matrix) => matrix.isa(),
        }
    }
}

/// A linear layer, which computes `activation(x · weightᵀ + bias)`.
///
/// ```
/// use splade_nn::{Activation, Isa, Linear, Matrix, Precision};
///
/// let weight = Matrix::pack(Isa::detect(), Precision::F32, &[1.0, 2.0], 1, 2);
/// let layer = Linear { weight, bias: Some(vec![0.5]) };
/// let mut output = [0.0; 2];
/// layer.forward(&[1.0, 1.0, 0.0, 2.0], Activation::Identity, &mut output, false);
/// assert_eq!(output, [3.5, 4.5]);
/// ```
#[derive(Debug)]
pub struct Linear {
    /// The weight, `(outputs, inputs)`.
    pub weight: Matrix,
    /// The bias, `(outputs)`, or `None` if the layer has none.
    pub bias: Option<Vec<f32>>,
}

impl Linear {
    /// Applies the layer to `input`, `(rows, inputs)`, and writes `output`, `(rows, outputs)`; see
    /// [`Matrix::multiply`].
    ///
    /// # Panics
    ///
    /// Panics if a slice has the wrong length.
    pub fn forward(
        &self,
        input: &[f32],
        activation: Activation,
        output: &mut [f32],
        parallel: bool,
    ) {
        self.weight.multiply(input, self.bias.as_deref(), activation, output, parallel);
    }

    /// Returns the size of the weight and the bias in bytes.
    pub fn bytes(&self) -> usize {
        self.weight.bytes() + self.bias.as_ref().map_or(0, |bias| bias.len() * size_of::<f32>())
    }
}
