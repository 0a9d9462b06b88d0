//! Packs a model for the web: one file with weights of eight bits.

use serde_json::Value;
use splade_mini_ja_en::{Matrix, pack_int8};
use wasm_bindgen::prelude::*;

use crate::error::{advised, failure};
use crate::files::Files;

/// The file with the weights.
const WEIGHTS: &str = "model.safetensors";

/// Packs the files of a model whose weights are f16, all of them in `model.safetensors`.
#[wasm_bindgen]
pub fn pack(files: Files) -> Result<Vec<u8>, JsValue> {
    let mut files = files.into_files();
    let bytes = files.iter_mut().find(|(name, _)| name == WEIGHTS);
    let bytes = &mut bytes.ok_or_else(|| advised("the model has no model.safetensors", None))?.1;
    let refused = |message: &str| {
        let hint = "store the weights of the model as float16 in one model.safetensors";
        advised(&format!("model.safetensors cannot be packed: {message}"), Some(hint))
    };
    let (header, weights) = parts(bytes).map_err(refused)?;
    let start = without_checksum(&header);
    let matrices = matrices(&header, start.len()).map_err(refused)?;
    *bytes = [&start, weights].concat();
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, bytes)| (&name[..], &bytes[..])).collect();
    let packed = pack_int8(&files, WEIGHTS, &matrices);
    packed.ok_or_else(|| refused("a matrix has infinite weights, or only weights near zero"))
}

/// Splits a safetensors file into its header and the bytes of its tensors.
fn parts(bytes: &[u8]) -> Result<(Value, &[u8]), &'static str> {
    let cut_off = "its header is cut off";
    let (length, rest) = bytes.split_first_chunk().ok_or(cut_off)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut_off)?;
    let (header, tensors) = rest.split_at_checked(length).ok_or(cut_off)?;
    let header = serde_json::from_slice(header).map_err(|_| "its header is not JSON")?;
    Ok((header, tensors))
}

/// Returns the start of a file, up to the tensors, without the checksum in its metadata, which is that of the weights
/// before they are rounded. The packed file has one of its own.
fn without_checksum(header: &Value) -> Vec<u8> {
    let mut header = header.clone();
    if let Some(metadata) = header.get_mut("__metadata__").and_then(Value::as_object_mut) {
        metadata.remove("crc32");
    }
    let mut header = header.to_string();
    // Tensors begin at a multiple of eight bytes.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
}

/// Rows that encoders add to those of the tokens without quantising them.
const ADDED: [&str; 2] = ["position_embeddings.weight", "token_type_embeddings.weight"];

/// Returns the matrices that encoders quantise, by the header of a safetensors file whose tensors begin at the byte
/// `first`. Tensors with another number of dimensions are small, and encoders take them as they are.
fn matrices(header: &Value, first: usize) -> Result<Vec<Matrix>, &'static str> {
    let tensors = header.as_object().ok_or("its header is not an object")?;
    let mut matrices = Vec::new();
    for (name, tensor) in tensors.iter().filter(|(name, _)| *name != "__metadata__") {
        if tensor["dtype"] != "F16" {
            return Err("not all of its tensors are F16");
        }
        if ADDED.iter().any(|added| name.ends_with(added)) {
            continue;
        }
        let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
        let shape = tensor["shape"].as_array().ok_or("a tensor has no shape")?;
        if let [rows, columns] = &shape[..] {
            let offset = number(&tensor["data_offsets"][0]).ok_or("a tensor has no place")?;
            let (rows, columns) = (number(rows), number(columns));
            let (rows, columns) = rows.zip(columns).ok_or("a shape has no sizes")?;
            matrices.push(Matrix { start: first + offset, rows, columns });
        }
    }
    Ok(matrices)
}

/// Packs a packed MeCab dictionary in a smaller form.
#[wasm_bindgen(js_name = packDictionary)]
pub fn pack_dictionary(packed: &[u8]) -> Result<Vec<u8>, JsValue> {
    splade_text::pack_dictionary_smaller(packed).map_err(failure)
}
