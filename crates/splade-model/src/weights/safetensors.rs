//! Reads the header of a safetensors file: its length in 8 bytes, then JSON with the type, the
//! shape and the position of each tensor.

use std::path::Path;

use serde_json::Value;
use splade_io::Problem;
use splade_text::ModelFile;

use super::checksum;
use super::tensor::{Dtype, Tensor, elements};
use crate::error::ModelError;

/// The limit for the size of a header in bytes. No model has a larger one.
const MAX_HEADER: u64 = 100 << 20;

/// Lists the tensors of a file. `number` is the index of the file.
pub(super) fn read(
    number: usize,
    path: &Path,
    file: &ModelFile,
) -> Result<Vec<(String, Tensor)>, ModelError> {
    let io = |source| ModelError::Io { path: path.to_path_buf(), source };
    let invalid =
        |message: String| ModelError::Weights { path: path.to_path_buf(), problem: message.into() };
    let advised = |what: String, remedy: &str| ModelError::Weights {
        path: path.to_path_buf(),
        problem: Problem::new(what).with_remedy(remedy),
    };
    let length = file.size().map_err(io)?;
    let cut_off = |why: String| {
        let what = format!("the file is cut off: it has {length} bytes, but {why}");
        advised(what, "download it again")
    };
    if length < 8 {
        return Err(cut_off("its header alone has more".to_owned()));
    }
    let mut size = [0; 8];
    file.read_at(&mut size, 0).map_err(io)?;
    if size.starts_with(b"PK") {
        let what = "it is a zip archive as torch.save writes it";
        return Err(advised(what.to_owned(), "name it pytorch_model.bin"));
    }
    if size[0] == 0x80 && size[2] == 0x8a {
        let what = "it is a file of torch.save";
        return Err(advised(what.to_owned(), "name it pytorch_model.bin"));
    }
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER {
        return Err(invalid(format!(
            "it is not a safetensors file: its first eight bytes would be a header of {size} bytes"
        )));
    }
    if size > length - 8 {
        return Err(cut_off(format!("its header ends at byte {}", size + 8)));
    }
    let mut header = vec![0; size as usize];
    file.read_at(&mut header, 8).map_err(io)?;
    let value: Value = serde_json::from_slice(&header)
        .map_err(|source| ModelError::Json { path: path.to_path_buf(), source })?;
    if let Some(digits) = value["__metadata__"][checksum::KEY].as_str() {
        let at = checksum::position(&header, digits).map(|at| 8 + at);
        let is_right = at.map_or(Ok(false), |at| checksum::is_right(file, length, digits, at));
        if !is_right.map_err(io)? {
            return Err(advised(
                "its checksum differs: the file was changed or damaged".to_owned(),
                "restore it, or write it with a program that leaves out the entry crc32 of \
                 __metadata__",
            ));
        }
    }
    let header =
        value.as_object().ok_or_else(|| invalid("the header is not a JSON object".to_owned()))?;
    let tensors = header.iter().filter(|(name, _)| *name != "__metadata__");
    let end = |entry: &Value| entry["data_offsets"].get(1)?.as_u64();
    let end = tensors.clone().filter_map(|(_, entry)| end(entry)).max().unwrap_or(0);
    let end = end.saturating_add(8 + size);
    if end > length {
        return Err(cut_off(format!("its last tensor ends at byte {end}")));
    }
    if end < length {
        let what = format!(
            "the file has {length} bytes, but its last tensor ends at byte {end}, as if two \
             downloads were mixed up in it"
        );
        return Err(advised(what, "download it again"));
    }
    let tensor = |(name, entry): (&String, &Value)| {
        let tensor = parse(entry, number, 8 + size, length)
            .ok_or_else(|| invalid(format!("tensor {name} has an invalid position or shape")))?;
        Ok((name.clone(), tensor))
    };
    tensors.map(tensor).collect()
}

/// Parses the entry of a tensor in a file of `length` bytes, whose data start at `data`. Returns
/// `None` if the entry is invalid.
fn parse(entry: &Value, file: usize, data: u64, length: u64) -> Option<Tensor> {
    let dtype = match entry["dtype"].as_str()? {
        "F64" => Dtype::F64,
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "BF16" => Dtype::Bf16,
        _ => Dtype::Other,
    };
    let shape = entry["shape"].as_array()?.iter();
    let shape: Vec<usize> =
        shape.map(|n| usize::try_from(n.as_u64()?).ok()).collect::<Option<_>>()?;
    let offsets = entry["data_offsets"].as_array().filter(|offsets| offsets.len() == 2)?;
    let start = data.checked_add(offsets[0].as_u64()?)?;
    let end = data.checked_add(offsets[1].as_u64()?)?;
    let count = elements(&shape)?;
    let bytes = end.checked_sub(start).filter(|_| end <= length)?;
    let fits = match dtype.size() {
        Some(size) => count.checked_mul(size as u64) == Some(bytes),
        // The narrowest types have one bit for each number.
        None => count.div_ceil(8) <= bytes,
    };
    let strides = None;
    fits.then_some(Tensor { file, dtype, shape, strides, start })
}
