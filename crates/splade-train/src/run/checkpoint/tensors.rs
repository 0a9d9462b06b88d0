//! Reads a file of named tensors: safetensors with 32-bit floats.
//!
//! The file consists of eight bytes with the length of the header, the header (JSON: name to
//! `dtype`, `shape`, `data_offsets`) and the numbers, little-endian. One tensor is read at a time,
//! so there is never a second copy of the optimizer's state in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::TrainError;

/// The maximum length of a header in bytes, as in Hugging Face's reader. A longer header means that
/// the file is damaged.
const LONGEST_HEADER: u64 = 100_000_000;

/// An open file of tensors.
pub(crate) struct TensorFile {
    path: PathBuf,
    /// The shape of each tensor and the offset of its numbers in bytes.
    tensors: BTreeMap<String, (Vec<usize>, u64)>,
}

impl TensorFile {
    pub(crate) fn open(path: &Path) -> Result<Self, TrainError> {
        let bad = |message: &str| TrainError::checkpoint(path, message);
        let mut file = File::open(path).map_err(TrainError::io(path))?;
        let size = file.metadata().map_err(TrainError::io(path))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(TrainError::io(path))?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER.min(size.saturating_sub(8)) {
            return Err(bad("the header is longer than the file"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(TrainError::io(path))?;
        let header: Map<String, Value> = serde_json::from_slice(&header)
            .map_err(|_| bad("the header is not JSON, so this is not a safetensors file"))?;
        let data = 8 + length;
        let mut tensors = BTreeMap::new();
        for (name, entry) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
            let tensor = tensor_of(&entry, data, size);
            let tensor = tensor.ok_or_else(|| bad(&format!("the entry of {name} is damaged")))?;
            tensors.insert(name, tensor);
        }
        Ok(Self { path: path.to_path_buf(), tensors })
    }

    #[cfg(test)]
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Returns the numbers of the tensor with this name and shape.
    pub(crate) fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TrainError> {
        let bad = |message: String| TrainError::checkpoint(&self.path, message);
        let Some((found, start)) = self.tensors.get(name) else {
            return Err(bad(format!("the tensor {name} is missing")));
        };
        if found != shape {
            return Err(bad(format!("{name} has the shape {found:?}, expected {shape:?}")));
        }
        let mut bytes = vec![0; 4 * shape.iter().product::<usize>()];
        let read = |bytes: &mut [u8]| {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(*start))?;
            file.read_exact(bytes)
        };
        read(&mut bytes).map_err(TrainError::io(&self.path))?;
        let (floats, _) = bytes.as_chunks::<4>();
        Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// Returns the shape and the offset of a tensor, if its entry is valid and its numbers lie within
/// the file.
fn tensor_of(entry: &Value, data: u64, size: u64) -> Option<(Vec<usize>, u64)> {
    let numbers = |value: &Value| -> Option<Vec<u64>> {
        value.as_array()?.iter().map(Value::as_u64).collect()
    };
    let shape = numbers(&entry["shape"])?;
    let offsets = numbers(&entry["data_offsets"])?;
    let [start, end] = offsets[..] else { return None };
    let count = shape.iter().try_fold(1_u64, |product, n| product.checked_mul(*n))?;
    let whole = entry["dtype"] == "F32"
        && end.checked_sub(start)? == count.checked_mul(4)?
        && data.checked_add(end)? <= size;
    let shape = shape.into_iter().map(usize::try_from).collect::<Result<_, _>>().ok()?;
    whole.then_some((shape, data + start))
}
