//! Tensors whose numbers do not follow each other: transposed, permuted and sliced ones.

use splade_text::ModelFile;

use super::Dtype;

/// Where the numbers of a tensor lie.
pub(super) struct Strided<'a> {
    pub(super) dtype: Dtype,
    pub(super) shape: &'a [usize],
    /// Numbers from one index of a dimension to the next.
    pub(super) strides: &'a [usize],
    /// First byte in the file.
    pub(super) start: u64,
}

impl Strided<'_> {
    /// Reads all numbers, row-major, in place of what `out` held. The file is read in runs along
    /// the dimension whose numbers lie nearest to each other.
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
        // Numbers from one index of a dimension to the next in `out`.
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
