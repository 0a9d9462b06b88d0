//! Describes the tensors in files of weights: their positions, shapes and types of numbers.

/// The type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    /// Integers and other types that are not floats. They are listed but never read as weights.
    Other,
}

impl Dtype {
    /// Returns the size of a number in bytes, or `None` if the type is not a float.
    pub(super) fn size(self) -> Option<usize> {
        match self {
            Dtype::F64 => Some(8),
            Dtype::F32 => Some(4),
            Dtype::F16 | Dtype::Bf16 => Some(2),
            Dtype::Other => None,
        }
    }

    /// Appends little-endian numbers to `out`.
    pub(super) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Dtype::F64 => {
                out.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32));
            }
            Dtype::F32 => out.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            Dtype::F16 => {
                let numbers = bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b));
                out.extend(numbers.map(half::f16::to_f32));
            }
            Dtype::Bf16 => {
                let numbers = bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b));
                out.extend(numbers.map(half::bf16::to_f32));
            }
            Dtype::Other => {}
        }
    }
}

/// The position and the form of a tensor in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The index of the file in the `files` of `Weights`.
    pub(super) file: usize,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// The stride of each dimension, in numbers. It is `None` for row-major tensors.
    pub(super) strides: Option<Vec<usize>>,
    /// The position of the first byte in the file.
    pub(super) start: u64,
}

/// Returns the number of entries of a tensor, or `None` if the product of the dimensions overflows.
/// Dimensions of size zero are not part of this check, so they cannot hide an overflow.
pub(super) fn elements(shape: &[usize]) -> Option<u64> {
    let count = shape.iter().try_fold(1u64, |n, size| n.checked_mul((*size).max(1) as u64))?;
    Some(if shape.contains(&0) { 0 } else { count })
}
