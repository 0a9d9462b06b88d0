//! Layers out of named tensors, packed for the CPU as they are read.
//!
//! A loader is asked for every tensor that an architecture has. It notes those that are missing or
//! have another shape and goes on with empty ones, so that [`Loader::finish`] lists all of them at
//! once. Memory is taken for tensors that the file has, never for sizes that only the config names.

use std::collections::BTreeSet;
use std::sync::Mutex;

use splade_nn::{Isa, LayerNorm, Linear, Matrix, Precision};

use crate::error::ModelError;
use crate::weights::Weights;

/// Floats of a matrix that are read at once before they are packed: 4 MB.
const CHUNK: usize = 1 << 20;

/// Reads layers and keeps the account of the tensors.
pub(crate) struct Loader<'a> {
    weights: &'a Weights,
    pub(crate) isa: Isa,
    pub(crate) precision: Precision,
    account: Mutex<Account>,
}

/// The tensors of a file whose model is loaded.
#[derive(Debug, Default)]
pub(crate) struct TensorNames {
    /// Those that the model is made of.
    pub(crate) read: Vec<String>,
    /// Those that it does not know.
    pub(crate) unexpected: Vec<String>,
}

#[derive(Default)]
struct Account {
    /// Known, whether read or not.
    used: BTreeSet<String>,
    read: BTreeSet<String>,
    missing: BTreeSet<String>,
    misshapen: BTreeSet<String>,
    failed: Option<ModelError>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(weights: &'a Weights, isa: Isa, precision: Precision) -> Self {
        Self { weights, isa, precision, account: Mutex::default() }
    }

    /// Whether the weights have a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.weights.shape(name).is_some()
    }

    /// Counts a tensor as known though it is not read.
    pub(crate) fn ignore(&self, name: &str) {
        self.account(|account| account.used.insert(name.to_owned()));
    }

    /// Whether every tensor so far was there; what is computed of tensors while loading needs it.
    pub(crate) fn is_complete(&self) -> bool {
        self.account(|account| {
            account.missing.is_empty() && account.misshapen.is_empty() && account.failed.is_none()
        })
    }

    /// A vector of `len` floats.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Vec<f32> {
        self.tensor_f32(name, &[len])
    }

    /// A row-major `(rows, columns)` table of floats.
    pub(crate) fn matrix_f32(&self, name: &str, rows: usize, columns: usize) -> Vec<f32> {
        self.tensor_f32(name, &[rows, columns])
    }

    /// Floats of any shape, row-major.
    pub(crate) fn tensor_f32(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        if self.check(name, shape) {
            match self.weights.read_f32(name) {
                Ok(values) => return values,
                Err(error) => self.fail(error),
            }
        }
        Vec::new()
    }

    /// A packed `(outputs, inputs)` matrix in the precision of the model.
    pub(crate) fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Matrix {
        self.stacked_matrix(&[name.to_owned()], outputs, inputs)
    }

    /// Packs tensors of `(outputs, inputs)` one below another.
    fn stacked_matrix(&self, names: &[String], outputs: usize, inputs: usize) -> Matrix {
        let absent = names.iter().filter(|name| !self.check(name, &[outputs, inputs])).count();
        if absent > 0 {
            return self.empty_matrix();
        }
        let mut matrix = Matrix::zeros(self.isa, self.precision, names.len() * outputs, inputs);
        let step = (CHUNK / inputs).max(1);
        let mut rows = Vec::new();
        for (i, name) in names.iter().enumerate() {
            for start in (0..outputs).step_by(step) {
                let range = start..(start + step).min(outputs);
                match self.weights.read_rows_f32(name, range, &mut rows) {
                    Ok(()) => matrix.set_rows(i * outputs + start, &rows),
                    Err(error) => {
                        self.fail(error);
                        return matrix;
                    }
                }
            }
        }
        matrix
    }

    /// What stands for a matrix that is not there.
    pub(crate) fn empty_matrix(&self) -> Matrix {
        Matrix::zeros(self.isa, self.precision, 0, 0)
    }

    /// `{prefix}.weight` and, with `bias`, `{prefix}.bias`.
    pub(crate) fn linear(&self, prefix: &str, outputs: usize, inputs: usize, bias: bool) -> Linear {
        self.stacked(&[prefix.to_owned()], outputs, inputs, bias)
    }

    /// Several linear layers of one input as one: their outputs side by side.
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

    /// `{prefix}.weight` and, with `bias`, `{prefix}.bias`.
    pub(crate) fn norm(&self, prefix: &str, hidden: usize, epsilon: f32, bias: bool) -> LayerNorm {
        let weight = self.vector(&format!("{prefix}.weight"), hidden);
        let bias = match bias {
            true => self.vector(&format!("{prefix}.bias"), hidden),
            false => vec![0.0; weight.len()],
        };
        LayerNorm { weight, bias, epsilon }
    }

    /// Fails if anything was missing, misshapen or unreadable; else tells what became of the tensors.
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

    /// Notes the tensor; whether it is there in that shape.
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

/// Tensors that transformers saves with a model but does not learn.
fn is_buffer(name: &str) -> bool {
    name.ends_with("position_ids")
        || name.ends_with("token_type_ids")
        || name.ends_with("rotary_emb.inv_freq")
}
