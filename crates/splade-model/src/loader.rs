//! Layers out of named tensors, packed for the CPU as they are read.
//!
//! A loader is asked for every tensor that an architecture has. It notes those that are missing or
//! have another shape and goes on with zeros, so that [`Loader::finish`] lists all of them at once.

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

#[derive(Default)]
struct Account {
    used: BTreeSet<String>,
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

    /// A vector of `len` floats.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Vec<f32> {
        self.tensor_f32(name, &[len])
    }

    /// A row-major `(rows, columns)` table of floats.
    pub(crate) fn matrix_f32(&self, name: &str, rows: usize, columns: usize) -> Vec<f32> {
        self.tensor_f32(name, &[rows, columns])
    }

    /// The first row of a `(rows, columns)` table.
    pub(crate) fn first_row(&self, name: &str, rows: usize, columns: usize) -> Vec<f32> {
        let mut table = self.matrix_f32(name, rows, columns);
        table.truncate(columns);
        table
    }

    /// Floats of any shape, row-major.
    pub(crate) fn tensor_f32(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        if self.check(name, shape) {
            match self.weights.read_f32(name) {
                Ok(values) => return values,
                Err(error) => self.fail(error),
            }
        }
        vec![0.0; shape.iter().product()]
    }

    /// A packed `(outputs, inputs)` matrix in the precision of the model.
    pub(crate) fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Matrix {
        let mut matrix = Matrix::zeros(self.isa, self.precision, outputs, inputs);
        self.fill(&mut matrix, 0, name, outputs, inputs);
        matrix
    }

    /// Packs a tensor of `(outputs, inputs)` into the rows of `matrix` from `first` on.
    fn fill(&self, matrix: &mut Matrix, first: usize, name: &str, outputs: usize, inputs: usize) {
        if !self.check(name, &[outputs, inputs]) {
            return;
        }
        let step = (CHUNK / inputs).max(1);
        let mut rows = Vec::new();
        for start in (0..outputs).step_by(step) {
            let range = start..(start + step).min(outputs);
            match self.weights.read_rows_f32(name, range, &mut rows) {
                Ok(()) => matrix.set_rows(first + start, &rows),
                Err(error) => return self.fail(error),
            }
        }
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
        let mut weight = Matrix::zeros(self.isa, self.precision, prefixes.len() * outputs, inputs);
        for (i, prefix) in prefixes.iter().enumerate() {
            self.fill(&mut weight, i * outputs, &format!("{prefix}.weight"), outputs, inputs);
        }
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
        LayerNorm {
            weight: self.vector(&format!("{prefix}.weight"), hidden),
            bias: match bias {
                true => self.vector(&format!("{prefix}.bias"), hidden),
                false => vec![0.0; hidden],
            },
            epsilon,
        }
    }

    /// Fails if anything was missing, misshapen or unreadable; else the tensors that nothing asked
    /// for.
    pub(crate) fn finish(self) -> Result<Vec<String>, ModelError> {
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
            return Ok(unexpected);
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
                Some(_) => return true,
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
