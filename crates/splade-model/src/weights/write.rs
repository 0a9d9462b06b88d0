//! Writes safetensors files: a header of names, shapes and offsets, then the numbers,
//! little-endian, tensor after tensor.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::ModelError;

/// The type in which numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatType {
    /// 32 bits.
    #[default]
    F32,
    /// IEEE's 16 bits: 11 of precision, up to 65,504.
    F16,
    /// The upper half of 32 bits: 8 of precision.
    Bf16,
}

impl FloatType {
    /// As safetensors names it.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// As PyTorch, and so `config.json`, names it.
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    /// Bytes of a number.
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Appends numbers, rounded to the nearest. A number that the type cannot hold is an error: itself.
    pub(crate) fn encode(self, numbers: &[f32], bytes: &mut Vec<u8>) -> Result<(), f32> {
        match self {
            Self::F32 => bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes())),
            Self::F16 => {
                let halves = numbers.iter().map(|x| half::f16::from_f32(*x));
                bytes.extend(halves.flat_map(half::f16::to_le_bytes));
            }
            Self::Bf16 => {
                let halves = numbers.iter().map(|x| half::bf16::from_f32(*x));
                bytes.extend(halves.flat_map(half::bf16::to_le_bytes));
            }
        }
        let is_lost = |x: &&f32| match self {
            Self::F32 => false,
            Self::F16 => x.is_finite() && half::f16::from_f32(**x).is_infinite(),
            Self::Bf16 => x.is_finite() && half::bf16::from_f32(**x).is_infinite(),
        };
        numbers.iter().find(is_lost).map_or(Ok(()), |x| Err(*x))
    }
}

/// A safetensors file that is being written; tensors come in the order that was announced.
#[derive(Debug)]
pub struct WeightsWriter {
    path: PathBuf,
    file: BufWriter<File>,
    dtype: FloatType,
    /// Numbers that are still to come.
    missing: usize,
}

impl WeightsWriter {
    /// Creates a file of 32-bit numbers, replacing an old one, and writes its header.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path, tensors: &[(String, Vec<usize>)]) -> Result<Self, ModelError> {
        Self::create_as(path, tensors, FloatType::F32)
    }

    /// Creates a file of numbers of a type, replacing an old one, and writes its header.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create_as(
        path: &Path,
        tensors: &[(String, Vec<usize>)],
        dtype: FloatType,
    ) -> Result<Self, ModelError> {
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
        let mut end = 0;
        for (name, shape) in tensors {
            let start = end;
            end += shape.iter().product::<usize>() * dtype.size();
            let tensor =
                json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [start, end]});
            header.insert(name.clone(), tensor);
        }
        let mut header = Value::Object(header).to_string().into_bytes();
        // The numbers start at a multiple of eight.
        header.resize(header.len().next_multiple_of(8), b' ');
        let write = || {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(&header)?;
            Ok(file)
        };
        let file = write().map_err(|source| ModelError::Write { path: path.into(), source })?;
        Ok(Self { path: path.to_path_buf(), file, dtype, missing: end / dtype.size() })
    }

    /// Writes the numbers of the next tensor, row-major.
    ///
    /// # Errors
    /// If they cannot be written, or one is too large for the file's type.
    ///
    /// # Panics
    /// If there are more than was announced.
    pub fn write(&mut self, numbers: &[f32]) -> Result<(), ModelError> {
        self.missing =
            self.missing.checked_sub(numbers.len()).expect("more numbers than were announced");
        let mut bytes = Vec::with_capacity(numbers.len().min(1 << 16) * self.dtype.size());
        for part in numbers.chunks(1 << 16) {
            bytes.clear();
            self.dtype.encode(part, &mut bytes).map_err(|number| ModelError::Weights {
                path: self.path.clone(),
                message: format!(
                    "a weight of {number} is too large for {}; use float32 or bfloat16",
                    self.dtype.torch_name()
                ),
            })?;
            self.file.write_all(&bytes).map_err(|source| self.error(source))?;
        }
        Ok(())
    }

    /// Waits until the file is on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    ///
    /// # Panics
    /// If a tensor is missing.
    pub fn finish(mut self) -> Result<(), ModelError> {
        assert!(self.missing == 0, "a tensor is missing");
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(|source| self.error(source))
    }

    fn error(&self, source: std::io::Error) -> ModelError {
        ModelError::Write { path: self.path.clone(), source }
    }
}
