//! The named tensors of a model folder: safetensors or `pytorch_model.bin`, in one file or in
//! shards.
//!
//! Only the headers are kept in memory. Numbers are read from their position in the file into the
//! caller's buffer, so the peak memory is that of the packed model and not of the file. Several
//! threads may read at once.
//!
//! ```
//! use splade_model::weights::Weights;
//!
//! # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
//! let weights = Weights::open(&model)?;
//! let name = "bert.embeddings.word_embeddings.weight";
//! assert_eq!(weights.shape(name), Some(&[458, 48][..]));
//! assert_eq!(weights.read_f32(name)?.len(), 458 * 48);
//! # Ok::<(), splade_model::ModelError>(())
//! ```

mod tensor;

mod checksum;
mod content;
mod pickle;
mod safetensors;
mod strided;
mod torch;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use splade_io::Problem;
use splade_text::{Foreign, ModelFile, ModelFiles};

use crate::error::ModelError;
use strided::Strided;
use tensor::Tensor;
use torch::TorchError;
pub use write::{FloatType, WeightsWriter};

/// The tensors of a model folder, by name.
///
/// The names `gamma` and `beta` of LayerNorm in old files are replaced by `weight` and `bias`.
///
/// ```
/// use splade_model::weights::Weights;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let weights = Weights::open(&model)?;
/// let mut row = Vec::new();
/// weights.read_rows_f32("bert.embeddings.word_embeddings.weight", 100..101, &mut row)?;
/// assert_eq!(row.len(), 48);
/// assert!(weights.names().all(|name| weights.shape(name).is_some()));
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    files: Vec<(PathBuf, ModelFile)>,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Opens `model.safetensors` or its shards, which `model.safetensors.index.json` lists. If
    /// there are none, opens `pytorch_model.bin` or its shards, which
    /// `pytorch_model.bin.index.json` lists.
    ///
    /// # Errors
    /// Returns an error if none of these files exists or if a file is damaged.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        Self::from_files(&dir.into())
    }

    /// Opens the weights at the root of a model's files, like [`open`](Self::open).
    ///
    /// # Errors
    /// Returns the same errors as `open`.
    pub fn from_files(files: &ModelFiles) -> Result<Self, ModelError> {
        let dir = files.root();
        for (name, add) in [
            ("model.safetensors", Self::add_safetensors as fn(&mut Self, &Path, ModelFile) -> _),
            ("pytorch_model.bin", Self::add_torch),
        ] {
            let (single, index) = (dir.join(name), dir.join(format!("{name}.index.json")));
            let (path, shards) = if files.is_file(&single) {
                (single.clone(), vec![single])
            } else if files.is_file(&index) {
                let shards = shards(files, &index)?;
                (index, shards)
            } else {
                continue;
            };
            let mut weights = Self { path, files: Vec::new(), tensors: BTreeMap::new() };
            for shard in shards {
                let io = |source| ModelError::Io { path: shard.clone(), source };
                let file = files.open(&shard).map_err(io)?;
                let size = file.size().map_err(io)?;
                let mut start = vec![0; size.min(Foreign::START as u64) as usize];
                file.read_at(&mut start, 0).map_err(io)?;
                if let Some(what) = Foreign::instead_of_weights(&start, size) {
                    return Err(invalid(&shard, Problem::new(what.what).with_remedy(what.remedy)));
                }
                add(&mut weights, &shard, file)?;
            }
            return Ok(weights);
        }
        let others =
            ["tf_model.h5", "flax_model.msgpack", "model.onnx", "adapter_model.safetensors"];
        let other = others.into_iter().find(|name| files.is_file(&dir.join(name)));
        let problem = match other {
            None => Problem::new("there are no weights"),
            Some(name) => Problem::new(format!("there are no weights that are read, only {name}")),
        };
        let remedy = "save the model with PyTorch as model.safetensors or pytorch_model.bin";
        Err(invalid(dir, problem.with_remedy(remedy)))
    }

    /// Opens one file of `torch.save`, such as the `colbert_linear.pt` of BGE-M3.
    ///
    /// # Errors
    /// Returns an error if the file does not exist or is damaged.
    pub(crate) fn from_torch_file(files: &ModelFiles, path: &Path) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_path_buf(), source };
        let file = files.open(path).map_err(io)?;
        let (path, files) = (path.to_path_buf(), Vec::new());
        let mut weights = Self { path: path.clone(), files, tensors: BTreeMap::new() };
        weights.add_torch(&path, file)?;
        Ok(weights)
    }

    /// Returns the path of the file, or of the index of the shards.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the names of all tensors in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Returns the shape of a tensor, or `None` if there is no tensor of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.shape[..])
    }

    /// Returns whether a tensor holds floats. Integers are never read as weights.
    pub fn is_float(&self, name: &str) -> bool {
        self.tensors.get(name).is_some_and(|tensor| tensor.dtype.size().is_some())
    }

    /// Reads all numbers of a tensor in row-major order.
    ///
    /// # Errors
    /// Returns an error if there is no such tensor, if it does not hold floats or if the file
    /// cannot be read.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let rows = self.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(1);
        let mut out = Vec::new();
        self.read_rows_f32(name, 0..rows, &mut out)?;
        Ok(out)
    }

    /// Reads the numbers of some rows (entries of the first dimension) into `out`, replacing its
    /// content.
    ///
    /// # Errors
    /// Returns the same errors as [`read_f32`](Self::read_f32).
    pub fn read_rows_f32(
        &self,
        name: &str,
        rows: Range<usize>,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(invalid(&self.path, format!("there is no tensor {name}")));
        };
        let (path, file) = &self.files[tensor.file];
        let Some(size) = tensor.dtype.size() else {
            return Err(invalid(path, format!("{name} does not hold floats")));
        };
        if rows.end > tensor.shape.first().copied().unwrap_or(1) {
            return Err(invalid(path, format!("{name} has no row {}", rows.end)));
        }
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                let message = format!("the file became shorter while {name} was read from it");
                invalid(path, message)
            }
            _ => ModelError::Io { path: path.clone(), source },
        };
        if let Some(strides) = &tensor.strides {
            let mut shape = tensor.shape.clone();
            shape[0] = rows.len();
            let start = tensor.start + (rows.start * strides[0] * size) as u64;
            let strided = Strided { dtype: tensor.dtype, shape: &shape, strides, start };
            strided.read(file, out).map_err(io)?;
            return check_numbers(path, name, out);
        }
        let row: usize = tensor.shape.iter().skip(1).product();
        let mut bytes = vec![0; rows.len() * row * size];
        file.read_at(&mut bytes, tensor.start + (rows.start * row * size) as u64).map_err(io)?;
        out.clear();
        tensor.dtype.decode(&bytes, out);
        check_numbers(path, name, out)
    }

    /// Makes one tensor of those that a model has under several names, as it is stored under any of
    /// them. Afterwards it has the first name.
    ///
    /// # Errors
    /// Returns an error if two of the tensors differ, so that it is not known which one counts.
    pub(crate) fn unite(&mut self, names: &[&str]) -> Result<(), ModelError> {
        let Some((first, others)) = names.split_first() else { return Ok(()) };
        for other in others {
            if !self.tensors.contains_key(*other) {
                continue;
            }
            if !self.tensors.contains_key(*first) {
                let tensor = self.tensors.remove(*other);
                self.tensors.extend(tensor.map(|tensor| ((*first).to_owned(), tensor)));
            } else if !self.are_equal(first, other)? {
                return Err(invalid(
                    &self.path,
                    format!(
                        "{first} and {other} should be one tensor by config.json, but their numbers \
                         differ; set \"tie_word_embeddings\" to false if the model needs both, or \
                         save it again"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Gives the tensors of an encoder the prefix that they have inside a larger model, if they have
    /// another one of the prefixes, or none because the encoder was saved alone. `tensor` is the name
    /// of a tensor that every encoder has, with the prefix.
    pub(crate) fn set_prefix(&mut self, prefix: &str, other: Option<&str>, tensor: &str) {
        let short = tensor.strip_prefix(prefix).unwrap_or(tensor);
        let is_there = |name: &str| self.tensors.contains_key(name);
        let old = if is_there(tensor) {
            return;
        } else if let Some(other) = other.filter(|other| is_there(&format!("{other}{short}"))) {
            other
        } else if is_there(short) {
            ""
        } else {
            return;
        };
        let renamed = |(name, tensor): (String, Tensor)| match name.strip_prefix(old) {
            Some(rest) => (format!("{prefix}{rest}"), tensor),
            None => (name, tensor),
        };
        self.tensors = std::mem::take(&mut self.tensors).into_iter().map(renamed).collect();
    }

    /// Returns whether two tensors have the same shape and the same numbers.
    fn are_equal(&self, a: &str, b: &str) -> Result<bool, ModelError> {
        let (one, other) = (&self.tensors[a], &self.tensors[b]);
        if one.shape != other.shape {
            return Ok(false);
        }
        if one == other {
            return Ok(true);
        }
        let rows = one.shape.first().copied().unwrap_or(1);
        let row: usize = one.shape.iter().skip(1).product();
        let step = ((1 << 20) / row.max(1)).max(1);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for start in (0..rows).step_by(step) {
            let range = start..(start + step).min(rows);
            self.read_rows_f32(a, range.clone(), &mut left)?;
            self.read_rows_f32(b, range, &mut right)?;
            if left != right {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add_safetensors(&mut self, path: &Path, file: ModelFile) -> Result<(), ModelError> {
        let tensors = safetensors::read(self.files.len(), path, &file)?;
        self.add(path, file, tensors)
    }

    fn add_torch(&mut self, path: &Path, file: ModelFile) -> Result<(), ModelError> {
        let tensors = torch::read(self.files.len(), &file);
        let tensors = tensors.map_err(|error| match error {
            TorchError::Io(source) => ModelError::Io { path: path.to_path_buf(), source },
            TorchError::Form(problem) => invalid(path, problem),
        })?;
        self.add(path, file, tensors)
    }

    fn add(
        &mut self,
        path: &Path,
        file: ModelFile,
        tensors: Vec<(String, Tensor)>,
    ) -> Result<(), ModelError> {
        for (name, tensor) in tensors {
            if self.tensors.insert(canonical(&name), tensor).is_some() {
                return Err(invalid(path, format!("tensor {name} occurs twice")));
            }
        }
        self.files.push((path.to_path_buf(), file));
        Ok(())
    }
}

/// The largest number that a weight may have. No trained model has larger ones: float16 ends at
/// 65,504. Products of larger weights could overflow.
const MAX_WEIGHT: f32 = 1e6;

/// Fails at the first number that is not finite or larger than [`MAX_WEIGHT`].
fn check_numbers(path: &Path, name: &str, numbers: &[f32]) -> Result<(), ModelError> {
    // The bits of numbers without sign ascend with their size, and infinity and NaN are the largest.
    let is_bad = |x: &f32| (x.to_bits() & (u32::MAX >> 1)) as i32 > MAX_WEIGHT.to_bits() as i32;
    // This loop has no exit, so that it is computed with vectors.
    if !numbers.iter().fold(false, |bad, x| bad | is_bad(x)) {
        return Ok(());
    }
    let value = numbers.iter().copied().find(is_bad).unwrap_or(f32::NAN);
    Err(ModelError::Number { path: path.to_path_buf(), name: name.to_owned(), value })
}

fn invalid(path: &Path, problem: impl Into<Problem>) -> ModelError {
    ModelError::Weights { path: path.to_path_buf(), problem: problem.into() }
}

/// Returns the files that an index lists, each once.
fn shards(files: &ModelFiles, index: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let text = files
        .read_to_string(index)
        .map_err(|source| ModelError::Io { path: index.to_path_buf(), source })?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|source| ModelError::Json { path: index.to_path_buf(), source })?;
    let map = value["weight_map"].as_object();
    let map = map.ok_or_else(|| invalid(index, "there is no \"weight_map\"".to_owned()))?;
    let mut shards = BTreeSet::new();
    for shard in map.values() {
        let name = shard.as_str().filter(|name| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        });
        let name =
            name.ok_or_else(|| invalid(index, format!("{shard} is not a file of this folder")))?;
        shards.insert(index.with_file_name(name));
    }
    Ok(shards.into_iter().collect())
}

/// Returns the PyTorch name of a tensor. TensorFlow named the tensors of LayerNorm `.gamma` and
/// `.beta`.
fn canonical(name: &str) -> String {
    match (name.strip_suffix(".gamma"), name.strip_suffix(".beta")) {
        (Some(prefix), _) => format!("{prefix}.weight"),
        (_, Some(prefix)) => format!("{prefix}.bias"),
        _ => name.to_owned(),
    }
}
