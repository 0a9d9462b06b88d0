//! Reads tensors that are not stored in row-major order: transposed, permuted and sliced ones.

use splade_text::ModelFile;

use super::tensor::Dtype;

/// The position and the strides of a tensor's numbers in a file.
pub(super) struct Strided<'a> {
    pub(super) dtype: Dtype,
    pub(super) shape: &'a [usize],
    /// The stride of each dimension, in numbers.
    pub(super) strides: &'a [usize],
    /// The position of the first byte in the file.
    pub(super) start: u64,
}

impl Strided<'_> {
    /// Reads all numbers in row-major order into `out`, replacing its content. The file is read in
    /// runs along the dimension with the smallest stride.
    pub(super) fn read(&self, file: &ModelFile, out: &mut Vec<f32>) -> std::io::Result<()> {
        let Self { dtype, shape, strides, start } = self;
        let count: usize = shape.iter().product();
        out.clear();
        out.resize(count, 0.0);
        let (Some(width), Some(run)) = (
            dtype.size(),
            (0..shape.len()).min_by_key(|d| (shape[*d] <= 1, strides[*d])).filter(|_| count > 0),
        ) else {
            return Ok(());
        };
        // The stride of each dimension in `out`, in numbers.
        let step = |d: usize| shape[d + 1..].iter().product::<usize>();
        let mut bytes = vec![0; ((shape[run] - 1) * strides[run] + 1) * width];
        let mut numbers = Vec::new();
        for i in 0..count / shape[run] {
            let (mut index, mut from, mut to) = (i, 0, 0);
            for d in (0..shape.len()).filter(|d| *d != run) {
                let at = index % shape[d];
                index /= shape[d];
                from += at * strides[d];
                to += at * step(d);
            }
            file.read_at(&mut bytes, start + (from * width) as u64)?;
            numbers.clear();
            dtype.decode(&bytes, &mut numbers);
            for k in 0..shape[run] {
                out[to + k * step(run)] = numbers[k * strides[run]];
            }
        }
        Ok(())
    }
}
