//! Writes safetensors files: a header with names, shapes and offsets, then the little-endian
//! numbers of one tensor after another. The header has a checksum of the file.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use serde_json::{Map, Value, json};
use splade_io::Problem;

use super::checksum::{KEY, ZEROS, position};
use crate::error::ModelError;

/// The type in which numbers are written.
///
/// ```
/// use splade_model::weights::{FloatType, Weights, WeightsWriter};
///
/// let folder = tempfile::tempdir()?;
/// let tensors = [("scale".to_owned(), vec![2])];
/// let path = folder.path().join("model.safetensors");
/// let mut writer = WeightsWriter::create_as(&path, &tensors, FloatType::Bf16)?;
/// writer.write(&[1.0, 0.1])?;
/// writer.finish()?;
/// // 0.1 is rounded to 8 bits.
/// assert_eq!(Weights::open(folder.path())?.read_f32("scale")?, [1.0, 0.100_097_656]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatType {
    /// The IEEE type of 32 bits.
    #[default]
    F32,
    /// The IEEE type of 16 bits, with 11 bits of precision and values up to 65,504.
    F16,
    /// The type bfloat16, the upper half of 32 bits, with 8 bits of precision.
    Bf16,
}

impl FloatType {
    /// Returns the name of the type in safetensors.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Returns the name of the type in PyTorch and in `config.json`.
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    /// Returns the size of a number in bytes.
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Appends numbers, rounded to the nearest.
    ///
    /// # Errors
    /// Returns the first finite number that the type cannot hold.
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

/// A writer of a safetensors file. The tensors must be written in the order in which they were
/// announced.
///
/// ```
/// use splade_model::weights::{Weights, WeightsWriter};
///
/// let folder = tempfile::tempdir()?;
/// let tensors = [("scale".to_owned(), vec![2]), ("bias".to_owned(), vec![1])];
/// let mut writer = WeightsWriter::create(&folder.path().join("model.safetensors"), &tensors)?;
/// writer.write(&[1.0, 2.0])?;
/// writer.write(&[0.5])?;
/// writer.finish()?;
/// assert_eq!(Weights::open(folder.path())?.read_f32("scale")?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WeightsWriter {
    path: PathBuf,
    file: BufWriter<File>,
    dtype: FloatType,
    /// The count of numbers that are still to be written.
    missing: usize,
    /// The checksum of the bytes so far, and the position in the file where it will be.
    sum: Hasher,
    sum_at: u64,
}

impl WeightsWriter {
    /// Creates a file of 32-bit numbers, replacing an existing one, and writes its header.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn create(path: &Path, tensors: &[(String, Vec<usize>)]) -> Result<Self, ModelError> {
        Self::create_as(path, tensors, FloatType::F32)
    }

    /// Creates a file of numbers in the type `dtype`, replacing an existing one, and writes its
    /// header.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn create_as(
        path: &Path,
        tensors: &[(String, Vec<usize>)],
        dtype: FloatType,
    ) -> Result<Self, ModelError> {
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!({"format": "pt", KEY: ZEROS}));
        let mut end = 0;
        for (name, shape) in tensors {
            let start = end;
            end += shape.iter().product::<usize>() * dtype.size();
            let tensor =
                json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [start, end]});
            header.insert(name.clone(), tensor);
        }
        let mut header = Value::Object(header).to_string().into_bytes();
        // The header is padded so that the numbers start at a multiple of eight bytes.
        header.resize(header.len().next_multiple_of(8), b' ');
        let length = (header.len() as u64).to_le_bytes();
        let mut sum = Hasher::new();
        sum.update(&length);
        sum.update(&header);
        let at = position(&header, ZEROS).expect("the header has the entry: this is a bug");
        let sum_at = (length.len() + at) as u64;
        let write = || {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
            file.write_all(&length)?;
            file.write_all(&header)?;
            Ok(file)
        };
        let file = write().map_err(|source| ModelError::Write { path: path.into(), source })?;
        let missing = end / dtype.size();
        Ok(Self { path: path.to_path_buf(), file, dtype, missing, sum, sum_at })
    }

    /// Writes numbers of the next tensor in row-major order. A tensor may be written in several
    /// calls.
    ///
    /// # Errors
    /// Returns an error if the numbers cannot be written or if one is too large for the type of the
    /// file.
    ///
    /// # Panics
    /// Panics if there are more numbers than announced.
    pub fn write(&mut self, numbers: &[f32]) -> Result<(), ModelError> {
        self.missing =
            self.missing.checked_sub(numbers.len()).expect("more numbers than were announced");
        let mut bytes = Vec::with_capacity(numbers.len().min(1 << 16) * self.dtype.size());
        for part in numbers.chunks(1 << 16) {
            bytes.clear();
            self.dtype.encode(part, &mut bytes).map_err(|number| ModelError::Weights {
                path: self.path.clone(),
                problem: Problem::new(format!(
                    "a weight of {number} is too large for {}",
                    self.dtype.torch_name()
                ))
                .with_remedy("use float32 or bfloat16"),
            })?;
            self.sum.update(&bytes);
            self.file.write_all(&bytes).map_err(|source| self.error(source))?;
        }
        Ok(())
    }

    /// Writes the checksum, flushes the file and waits until it is on the disk.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    ///
    /// # Panics
    /// Panics if numbers of an announced tensor are missing.
    pub fn finish(mut self) -> Result<(), ModelError> {
        assert!(self.missing == 0, "a tensor is missing");
        let sum = format!("{:08x}", self.sum.clone().finalize());
        let mut finish = || {
            self.file.seek(SeekFrom::Start(self.sum_at))?;
            self.file.write_all(sum.as_bytes())?;
            self.file.flush()?;
            self.file.get_ref().sync_all()
        };
        finish().map_err(|source| self.error(source))
    }

    fn error(&self, source: std::io::Error) -> ModelError {
        ModelError::Write { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Weights;

    #[test]
    fn every_flipped_bit_is_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("model.safetensors");
        let tensors = [("a".to_owned(), vec![2]), ("b".to_owned(), vec![1])];
        let mut writer = WeightsWriter::create(&path, &tensors).expect("created");
        writer.write(&[1.0, 2.0]).expect("written");
        writer.write(&[3.0]).expect("written");
        writer.finish().expect("finished");
        let read = || Weights::open(dir.path())?.read_f32("b");
        assert_eq!(read().expect("whole"), [3.0]);
        let bytes = std::fs::read(&path).expect("read");
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).expect("written");
            // Without its name the entry is that of another program, and the file has no checksum.
            let is_named = bytes.windows(7).any(|part| part == b"\"crc32\"");
            assert!(read().is_err() || !is_named, "bit {bit}");
        }
    }
}
