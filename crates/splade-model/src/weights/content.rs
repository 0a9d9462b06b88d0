//! Hashes of the numbers of all tensors, which tell models apart.

use std::collections::HashSet;

use rayon::prelude::*;
use splade_io::{ContentHash, ContentHasher};

use super::Weights;
use super::tensor::{Dtype, Tensor};
use crate::error::ModelError;

/// The numbers that are read and hashed at a time.
const BLOCK: usize = 1 << 20;
/// Parts of the names of tensors that no masked language model uses. Checkpoints of pre-training
/// have them and exports leave them out.
const UNUSED: [&str; 3] = ["pooler.", "seq_relationship.", "position_ids"];

impl Weights {
    /// Returns the name and the hash of every tensor of floats, in alphabetical order. A tensor
    /// that repeats another one, as a decoder does that is tied to the embeddings, is left out, and
    /// so are tensors that no masked language model uses. The hash is that of the shape and of the
    /// numbers as 32-bit floats, so it does not depend on the format of the file.
    pub(crate) fn content(&self) -> Result<Vec<(&str, ContentHash)>, ModelError> {
        let is_used = |name: &str| !UNUSED.iter().any(|part| name.contains(part));
        let tensors: Vec<(&str, &Tensor)> = (self.tensors.iter())
            .filter(|(name, tensor)| tensor.dtype.size().is_some() && is_used(name))
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        let hash = |(name, tensor): (&'_ str, &Tensor)| self.hash(name, tensor);
        let hashes =
            tensors.par_iter().map(|tensor| hash(*tensor)).collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        let names = tensors.into_iter().map(|(name, _)| name).zip(hashes);
        Ok(names.filter(|(_, hash)| seen.insert(*hash)).collect())
    }

    fn hash(&self, name: &str, tensor: &Tensor) -> Result<ContentHash, ModelError> {
        let mut hasher = ContentHasher::new();
        hasher.number(tensor.shape.len() as u64);
        tensor.shape.iter().for_each(|size| hasher.number(*size as u64));
        let rows = tensor.shape.first().copied().unwrap_or(1);
        let row: usize = tensor.shape.iter().skip(1).product();
        if tensor.dtype == Dtype::F32 && tensor.strides.is_none() {
            // The bytes of the file are those of the numbers.
            let (path, file) = &self.files[tensor.file];
            let (mut at, end) = (tensor.start, tensor.start + (rows * row * 4) as u64);
            let mut bytes = vec![0; (end - at).min(4 * BLOCK as u64) as usize];
            while at < end {
                let block = &mut bytes[..(end - at).min(4 * BLOCK as u64) as usize];
                let io = |source| ModelError::Io { path: path.clone(), source };
                file.read_at(block, at).map_err(io)?;
                hasher.bytes(block);
                at += block.len() as u64;
            }
            return Ok(hasher.finish());
        }
        let (step, mut numbers, mut bytes) = ((BLOCK / row.max(1)).max(1), Vec::new(), Vec::new());
        for first in (0..rows).step_by(step) {
            self.read_rows_f32(name, first..rows.min(first + step), &mut numbers)?;
            bytes.clear();
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            hasher.bytes(&bytes);
        }
        Ok(hasher.finish())
    }
}
