//! Named tensors of a model folder: safetensors, in one file or in shards, or `pytorch_model.bin`.
//!
//! Only the headers are kept. Numbers are read by position into the caller's buffer, so that the
//! peak of memory is the packed model and not the file; several threads may read at once.

mod torch;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::ModelError;

/// Larger headers than any model has.
const MAX_HEADER: u64 = 100 << 20;

/// The type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    /// Integers and the like: listed, never read as weights.
    Other,
}

/// Where a tensor lies.
#[derive(Debug)]
struct Tensor {
    /// Index in `files`.
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// First byte in the file.
    start: u64,
}

/// The tensors of a model folder, by name.
///
/// LayerNorm's `gamma` and `beta` of old files are named `weight` and `bias`.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    files: Vec<(PathBuf, File)>,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Opens `model.safetensors`, the shards of `model.safetensors.index.json`, or
    /// `pytorch_model.bin`.
    ///
    /// # Errors
    /// If there is neither, or a file is damaged.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let single = dir.join("model.safetensors");
        let index = dir.join("model.safetensors.index.json");
        let mut weights =
            Self { path: single.clone(), files: Vec::new(), tensors: BTreeMap::new() };
        if single.is_file() {
            weights.add(&single)?;
            return Ok(weights);
        }
        let torch = dir.join("pytorch_model.bin");
        if torch.is_file() && !index.is_file() {
            weights.path.clone_from(&torch);
            weights.add_torch(&torch)?;
            return Ok(weights);
        }
        if !index.is_file() {
            let message =
                "there are no weights: model.safetensors or pytorch_model.bin is expected";
            return Err(ModelError::Weights {
                path: dir.to_path_buf(),
                message: message.to_owned(),
            });
        }
        let text = std::fs::read_to_string(&index)
            .map_err(|source| ModelError::Io { path: index.clone(), source })?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|source| ModelError::Json { path: index.clone(), source })?;
        let map = value["weight_map"].as_object();
        let mut shards: Vec<&str> =
            map.into_iter().flatten().filter_map(|(_, f)| f.as_str()).collect();
        shards.sort_unstable();
        shards.dedup();
        weights.path.clone_from(&index);
        for shard in shards {
            if Path::new(shard).components().count() != 1 {
                let message = format!("shard {shard} is not a file of this folder");
                return Err(ModelError::Weights { path: index, message });
            }
            weights.add(&dir.join(shard))?;
        }
        Ok(weights)
    }

    /// The file, or the index of the shards.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, if there is one of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.shape[..])
    }

    /// All numbers of a tensor, row-major.
    ///
    /// # Errors
    /// If there is no such tensor, it holds no floats, or the file cannot be read.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let rows = self.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(1);
        let mut out = Vec::new();
        self.read_rows_f32(name, 0..rows, &mut out)?;
        Ok(out)
    }

    /// The numbers of some rows (entries of the first dimension), in place of what `out` held.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32).
    pub fn read_rows_f32(
        &self,
        name: &str,
        rows: Range<usize>,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let failed = |path: &Path, message: String| ModelError::Weights {
            path: path.to_path_buf(),
            message,
        };
        let Some(tensor) = self.tensors.get(name) else {
            return Err(failed(&self.path, format!("there is no tensor {name}")));
        };
        let (path, file) = &self.files[tensor.file];
        let Some(size) = tensor.dtype.size() else {
            return Err(failed(path, format!("{name} does not hold floats")));
        };
        if rows.end > tensor.shape.first().copied().unwrap_or(1) {
            return Err(failed(path, format!("{name} has no row {}", rows.end)));
        }
        let row: usize = tensor.shape.iter().skip(1).product();
        let mut bytes = vec![0; rows.len() * row * size];
        let at = tensor.start + (rows.start * row * size) as u64;
        read_at(file, &mut bytes, at)
            .map_err(|source| ModelError::Io { path: path.clone(), source })?;
        out.clear();
        match tensor.dtype {
            Dtype::F64 => {
                out.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32))
            }
            Dtype::F32 => out.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            Dtype::F16 => {
                out.extend(
                    bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()),
                );
            }
            Dtype::Bf16 => {
                out.extend(
                    bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()),
                );
            }
            Dtype::Other => {}
        }
        Ok(())
    }

    /// Adds the tensors of a `pytorch_model.bin`.
    fn add_torch(&mut self, path: &Path) -> Result<(), ModelError> {
        let file = File::open(path)
            .map_err(|source| ModelError::Io { path: path.to_path_buf(), source })?;
        let tensors = torch::read(&file)
            .map_err(|message| ModelError::Weights { path: path.to_path_buf(), message })?;
        for torch::TorchTensor { name, dtype, shape, start } in tensors {
            let tensor = Tensor { file: self.files.len(), dtype, shape, start };
            self.tensors.insert(canonical(&name), tensor);
        }
        self.files.push((path.to_path_buf(), file));
        Ok(())
    }

    /// Adds the tensors of a safetensors file.
    fn add(&mut self, path: &Path) -> Result<(), ModelError> {
        let io = |source| ModelError::Io { path: path.to_path_buf(), source };
        let invalid = |message: String| ModelError::Weights { path: path.to_path_buf(), message };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        if length < 8 {
            return Err(invalid("cut off".to_owned()));
        }
        let mut size = [0; 8];
        read_at(&file, &mut size, 0).map_err(io)?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER || size > length - 8 {
            return Err(invalid(format!("a header of {size} bytes in a file of {length}")));
        }
        let mut header = vec![0; size as usize];
        read_at(&file, &mut header, 8).map_err(io)?;
        let header: Value = serde_json::from_slice(&header)
            .map_err(|source| ModelError::Json { path: path.to_path_buf(), source })?;
        let header =
            header.as_object().ok_or_else(|| invalid("the header is no object".to_owned()))?;
        for (name, entry) in header.iter().filter(|(name, _)| *name != "__metadata__") {
            let tensor =
                Tensor::parse(entry, self.files.len(), 8 + size, length).ok_or_else(|| {
                    invalid(format!("tensor {name}: its place or shape makes no sense"))
                })?;
            if self.tensors.insert(canonical(name), tensor).is_some() {
                return Err(invalid(format!("tensor {name} is there twice")));
            }
        }
        self.files.push((path.to_path_buf(), file));
        Ok(())
    }
}

impl Tensor {
    fn parse(entry: &Value, file: usize, data: u64, length: u64) -> Option<Self> {
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
        let count = shape.iter().try_fold(1u64, |n, m| n.checked_mul(*m as u64))?;
        let fits = dtype.size().is_none_or(|size| {
            count
                .checked_mul(size as u64)
                .is_some_and(|bytes| start.checked_add(bytes) == Some(end))
        });
        (start <= end && end <= length && fits).then_some(Self { file, dtype, shape, start })
    }
}

impl Dtype {
    /// Bytes of a number; none where it is no float.
    fn size(self) -> Option<usize> {
        match self {
            Dtype::F64 => Some(8),
            Dtype::F32 => Some(4),
            Dtype::F16 | Dtype::Bf16 => Some(2),
            Dtype::Other => None,
        }
    }
}

/// `LayerNorm.gamma` and `.beta` are the names that TensorFlow gave.
fn canonical(name: &str) -> String {
    match (name.strip_suffix(".gamma"), name.strip_suffix(".beta")) {
        (Some(prefix), _) => format!("{prefix}.weight"),
        (_, Some(prefix)) => format!("{prefix}.bias"),
        _ => name.to_owned(),
    }
}

#[cfg(unix)]
fn read_at(file: &File, out: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut out: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => (out, at) = (&mut out[n..], at + n as u64),
        }
    }
    Ok(())
}
