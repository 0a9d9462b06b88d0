//! Reads layers from named tensors and packs them for the CPU.
//!
//! The code of an architecture asks a loader for every tensor that the architecture has. The loader
//! notes the tensors that are missing or have a wrong shape and continues with empty ones, so that
//! [`Loader::finish`] can list all of them at once. Memory is allocated only for tensors that the
//! file contains, never for sizes that only the config names.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;

use splade_nn::{Isa, LayerNorm, Linear, Matrix, Precision};

use crate::error::ModelError;
use crate::weights::Weights;

/// The number of floats of a matrix that are read at once before they are packed: 4 MB.
const CHUNK: usize = 1 << 20;

/// A reader of layers that records which tensors it read, and which were missing or had a wrong
/// shape.
pub(crate) struct Loader<'a> {
    weights: &'a Weights,
    pub(crate) isa: Isa,
    pub(crate) precision: Precision,
    account: Mutex<Account>,
}

/// The names of the tensors in a weights file, after a model was loaded from it.
#[derive(Debug, Default)]
pub(crate) struct TensorNames {
    /// The tensors that the model uses.
    pub(crate) read: Vec<String>,
    /// The tensors that the model does not use.
    pub(crate) unexpected: Vec<String>,
}

#[derive(Default)]
struct Account {
    /// The tensors that the architecture has, whether they were read or not.
    used: BTreeSet<String>,
    read: BTreeSet<String>,
    missing: BTreeSet<String>,
    misshapen: BTreeSet<String>,
    failed: Option<ModelError>,
}

/// Returns the instruction set for products of a precision, with that precision.
pub(crate) fn kernels(isa: Isa, precision: Precision) -> Result<(Isa, Precision), ModelError> {
    let bf16 = precision.kernels(isa);
    bf16.map(|isa| (isa, precision)).ok_or(ModelError::NoBf16 { kernels: isa })
}

impl<'a> Loader<'a> {
    pub(crate) fn new(weights: &'a Weights, isa: Isa, precision: Precision) -> Self {
        Self { weights, isa, precision, account: Mutex::default() }
    }

    /// Returns whether the weights have a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.weights.shape(name).is_some()
    }

    /// Counts a tensor as known without reading it.
    pub(crate) fn ignore(&self, name: &str) {
        self.account(|account| account.used.insert(name.to_owned()));
    }

    /// Returns whether every tensor so far was present. Values that are computed from tensors
    /// during loading need this check.
    pub(crate) fn is_complete(&self) -> bool {
        self.account(|account| {
            account.missing.is_empty() && account.misshapen.is_empty() && account.failed.is_none()
        })
    }

    /// Reads a vector of `len` floats.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Vec<f32> {
        self.tensor_f32(name, &[len])
    }

    /// Reads a row-major `(rows, columns)` table of floats.
    pub(crate) fn matrix_f32(&self, name: &str, rows: usize, columns: usize) -> Vec<f32> {
        self.tensor_f32(name, &[rows, columns])
    }

    /// Reads a tensor of any shape as row-major floats.
    pub(crate) fn tensor_f32(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        if self.check(name, shape) {
            match self.weights.read_f32(name) {
                Ok(values) => return values,
                Err(error) => self.fail(error),
            }
        }
        Vec::new()
    }

    /// Reads a packed `(outputs, inputs)` matrix in the precision of the model.
    pub(crate) fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Matrix {
        self.stacked_matrix(&[name.to_owned()], outputs, inputs)
    }

    /// Reads tensors of shape `(outputs, inputs)` and packs them as one matrix, one below another.
    fn stacked_matrix(&self, names: &[String], outputs: usize, inputs: usize) -> Matrix {
        let absent = names.iter().filter(|name| !self.check(name, &[outputs, inputs])).count();
        if absent > 0 {
            return self.empty_matrix();
        }
        let mut matrix = Matrix::zeros(self.isa, self.precision, names.len() * outputs, inputs);
        for (i, name) in names.iter().enumerate() {
            self.fill(&mut matrix, i * outputs, name, 0..outputs);
        }
        matrix
    }

    /// Reads some rows of a tensor into the rows of a matrix from `first` on.
    fn fill(&self, matrix: &mut Matrix, first: usize, name: &str, from: Range<usize>) {
        let step = (CHUNK / matrix.inputs()).max(1);
        let mut rows = Vec::new();
        for start in from.clone().step_by(step) {
            let range = start..(start + step).min(from.end);
            match self.weights.read_rows_f32(name, range, &mut rows) {
                Ok(()) => matrix.set_rows(first + start - from.start, &rows),
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Reads `{prefix}.weight`, `(2 · outputs, inputs)`, without a bias, and puts its second half
    /// before its first.
    pub(crate) fn halves_swapped(&self, prefix: &str, outputs: usize, inputs: usize) -> Linear {
        let name = format!("{prefix}.weight");
        if !self.check(&name, &[2 * outputs, inputs]) {
            return Linear { weight: self.empty_matrix(), bias: None };
        }
        let mut weight = Matrix::zeros(self.isa, self.precision, 2 * outputs, inputs);
        self.fill(&mut weight, 0, &name, outputs..2 * outputs);
        self.fill(&mut weight, outputs, &name, 0..outputs);
        Linear { weight, bias: None }
    }

    /// Returns the placeholder for a missing matrix, of shape `(0, 0)`.
    pub(crate) fn empty_matrix(&self) -> Matrix {
        Matrix::zeros(self.isa, self.precision, 0, 0)
    }

    /// Reads `{prefix}.weight` and, with `bias`, `{prefix}.bias`.
    pub(crate) fn linear(&self, prefix: &str, outputs: usize, inputs: usize, bias: bool) -> Linear {
        self.stacked(&[prefix.to_owned()], outputs, inputs, bias)
    }

    /// Reads several linear layers with the same input as one layer, whose output is the outputs of
    /// the layers side by side.
    pub(crate) fn stacked(
        &self,
        prefixes: &[String],
        outputs: usize,
        inputs: usize,
        bias: bool,
    ) -> Linear {
        let names: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}.weight")).collect();
        let weight = self.stacked_matrix(&names, outputs, inputs);
        let bias = bias.then(|| {
            prefixes
                .iter()
                .flat_map(|prefix| self.vector(&format!("{prefix}.bias"), outputs))
                .collect()
        });
        Linear { weight, bias }
    }

    /// Reads `{prefix}.weight` and, with `bias`, `{prefix}.bias`. Without `bias`, the bias is zero.
    pub(crate) fn norm(&self, prefix: &str, hidden: usize, epsilon: f32, bias: bool) -> LayerNorm {
        let weight = self.vector(&format!("{prefix}.weight"), hidden);
        let bias = match bias {
            true => self.vector(&format!("{prefix}.bias"), hidden),
            false => vec![0.0; weight.len()],
        };
        LayerNorm { weight, bias, epsilon }
    }

    /// Returns the names of the used and the unused tensors.
    ///
    /// # Errors
    /// Returns an error if a tensor was missing, had a wrong shape or could not be read.
    pub(crate) fn finish(self) -> Result<TensorNames, ModelError> {
        let account = self.account.into_inner().unwrap_or_default();
        if let Some(error) = account.failed {
            return Err(error);
        }
        let unexpected: Vec<String> = self
            .weights
            .names()
            .filter(|name| !account.used.contains(*name) && !is_buffer(name))
            .map(str::to_owned)
            .collect();
        if account.missing.is_empty() && account.misshapen.is_empty() {
            return Ok(TensorNames { read: account.read.into_iter().collect(), unexpected });
        }
        Err(ModelError::Tensors {
            path: self.weights.path().to_path_buf(),
            missing: account.missing.into_iter().collect(),
            misshapen: account.misshapen.into_iter().collect(),
            unexpected,
        })
    }

    /// Notes the tensor as known and returns whether it is present with that shape.
    fn check(&self, name: &str, shape: &[usize]) -> bool {
        let got = self.weights.shape(name);
        self.account(|account| {
            account.used.insert(name.to_owned());
            match got {
                None => account.missing.insert(name.to_owned()),
                Some(got) if got != shape => account
                    .misshapen
                    .insert(format!("{name} is {got:?} where {shape:?} is expected")),
                Some(_) => {
                    account.read.insert(name.to_owned());
                    return true;
                }
            };
            false
        })
    }

    fn fail(&self, error: ModelError) {
        self.account(|account| {
            account.failed.get_or_insert(error);
        });
    }

    fn account<R>(&self, change: impl FnOnce(&mut Account) -> R) -> R {
        change(&mut self.account.lock().expect("the account is never left half changed"))
    }
}

/// Returns whether the name is that of a buffer, which transformers saves with a model but does not
/// train.
fn is_buffer(name: &str) -> bool {
    name.ends_with("position_ids")
        || name.ends_with("token_type_ids")
        || name.ends_with("rotary_emb.inv_freq")
}
