//! Writes safetensors files: a header of names, shapes and offsets, then the numbers, 32-bit and
//! little-endian, tensor after tensor.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::ModelError;

/// A safetensors file that is being written; tensors come in the order that was announced.
#[derive(Debug)]
pub struct WeightsWriter {
    path: PathBuf,
    file: BufWriter<File>,
    /// Numbers that are still to come.
    missing: usize,
}

impl WeightsWriter {
    /// Creates the file, replacing an old one, and writes its header.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path, tensors: &[(String, Vec<usize>)]) -> Result<Self, ModelError> {
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
        let mut end = 0;
        for (name, shape) in tensors {
            let start = end;
            end += shape.iter().product::<usize>() * size_of::<f32>();
            let tensor = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
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
        Ok(Self { path: path.to_path_buf(), file, missing: end / size_of::<f32>() })
    }

    /// Writes the numbers of the next tensor, row-major.
    ///
    /// # Errors
    /// If they cannot be written.
    ///
    /// # Panics
    /// If there are more than was announced.
    pub fn write(&mut self, numbers: &[f32]) -> Result<(), ModelError> {
        self.missing =
            self.missing.checked_sub(numbers.len()).expect("more numbers than were announced");
        let mut bytes = Vec::with_capacity(numbers.len().min(1 << 16) * size_of::<f32>());
        for part in numbers.chunks(1 << 16) {
            bytes.clear();
            bytes.extend(part.iter().flat_map(|x| x.to_le_bytes()));
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
