//! Sparse vectors as the three arrays of a CSR matrix, and back.
//!
//! `indptr` has a number more than there are rows; the terms and weights of row `i` are those of `indices` and `data`
//! from `indptr[i]` to `indptr[i + 1]`. Arrays that leave are the buffers of Rust itself: NumPy frees them with the
//! array.

use light_splade::{SparseVector, TermId};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::errors;

/// The arrays `indptr`, `indices` and `data` of a matrix that leaves. `indptr` has the type that scipy uses for as
/// many weights: 32 bits below 2³¹ of them.
pub(crate) type Arrays<'py> =
    (Bound<'py, PyAny>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f32>>);

/// The arrays of a matrix that comes.
pub(crate) type ArraysIn<'py> =
    (PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, i32>, PyReadonlyArray1<'py, f32>);

/// The rows of a matrix that grows.
#[derive(Debug)]
pub(crate) struct CsrBuilder {
    ends: Vec<i64>,
    indices: Vec<i32>,
    data: Vec<f32>,
}

impl CsrBuilder {
    /// Prepares room for so many rows.
    pub(crate) fn new(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { ends, indices: Vec::new(), data: Vec::new() }
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, vector: &SparseVector) {
        // Term ids are positions in a vocabulary, far below 2^31.
        self.indices.extend(vector.terms().iter().map(|term| term.0 as i32));
        self.data.extend_from_slice(vector.weights());
        self.ends.push(self.data.len() as i64);
    }

    /// Hands the buffers over.
    pub(crate) fn into_arrays(self, py: Python<'_>) -> Arrays<'_> {
        let indptr = match i32::try_from(self.data.len()) {
            Ok(_) => {
                let ends: Vec<i32> = self.ends.iter().map(|end| *end as i32).collect();
                ends.into_pyarray(py).into_any()
            }
            Err(_) => self.ends.into_pyarray(py).into_any(),
        };
        (indptr, self.indices.into_pyarray(py), self.data.into_pyarray(py))
    }
}

/// Reads the rows of a matrix; weights of zero are left out.
pub(crate) fn vectors(py: Python<'_>, arrays: &ArraysIn<'_>) -> PyResult<Vec<SparseVector>> {
    let (indptr, indices, data) = &arrays;
    let (indptr, indices, data) = (indptr.as_slice()?, indices.as_slice()?, data.as_slice()?);
    let rows = || -> Result<Vec<SparseVector>, String> {
        let sound = indices.len() == data.len()
            && indptr.first() == Some(&0)
            && indptr.windows(2).all(|ends| ends[0] <= ends[1])
            && indptr.last().is_some_and(|end| usize::try_from(*end) == Ok(data.len()));
        if !sound {
            return Err("the arrays are not those of a CSR matrix".to_owned());
        }
        let row = |(at, ends): (usize, &[i64])| {
            let of = ends[0] as usize..ends[1] as usize;
            let pairs = indices[of.clone()].iter().zip(&data[of]).filter(|(_, w)| **w != 0.0);
            let pairs = pairs.map(|(id, weight)| Ok((TermId(u32::try_from(*id)?), *weight)));
            let pairs: Result<Vec<_>, std::num::TryFromIntError> = pairs.collect();
            let pairs = pairs.map_err(|_| format!("row {at} has a term below 0"))?;
            SparseVector::from_pairs(pairs).map_err(|error| format!("row {at}: {error}"))
        };
        indptr.windows(2).enumerate().map(row).collect()
    };
    py.detach(rows).map_err(|problem| errors::invalid(py, &problem, None))
}

/// The scores of every row of `a` with every row of `b`, (rows of a, rows of b).
#[pyfunction]
pub(crate) fn similarity<'py>(
    py: Python<'py>,
    a: ArraysIn<'py>,
    b: ArraysIn<'py>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (a, b) = (vectors(py, &a)?, vectors(py, &b)?);
    let scores: Vec<f32> = py.detach(|| {
        let row = |a: &SparseVector| b.iter().map(|b| a.dot(b)).collect::<Vec<f32>>();
        a.iter().flat_map(row).collect()
    });
    scores.into_pyarray(py).reshape([a.len(), b.len()])
}

/// The scores of every row of `a` with the same row of `b`.
#[pyfunction]
pub(crate) fn pairwise<'py>(
    py: Python<'py>,
    a: ArraysIn<'py>,
    b: ArraysIn<'py>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let (a, b) = (vectors(py, &a)?, vectors(py, &b)?);
    if a.len() != b.len() {
        let message = format!("there are {} rows and {} rows", a.len(), b.len());
        return Err(errors::invalid(py, &message, None));
    }
    let scores: Vec<f32> = py.detach(|| a.iter().zip(&b).map(|(a, b)| a.dot(b)).collect());
    Ok(scores.into_pyarray(py))
}
