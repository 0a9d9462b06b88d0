//! How rankings become one.

use light_splade::search::{Fusion, FusionMethod};
use pyo3::prelude::*;

use crate::errors;
use crate::settings::choice;

/// A fusion as Python tells it; what is not given is the front door's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Fusing {
    method: String,
    rrf_k: Option<f64>,
    weights: Option<Vec<f64>>,
}

impl Fusing {
    /// The fusion of so many rankings.
    pub(crate) fn fusion(&self, py: Python<'_>, rankings: usize) -> PyResult<Fusion> {
        let methods = [("rrf", FusionMethod::default()), ("minmax", FusionMethod::MinMax)];
        let method = match (choice(py, "fusion", &self.method, &methods)?, self.rrf_k) {
            (FusionMethod::Rrf { .. }, Some(k)) => FusionMethod::Rrf { k },
            (FusionMethod::MinMax, Some(_)) => {
                return Err(errors::invalid(py, "rrf_k is for the fusion \"rrf\"", None));
            }
            (method, None) => method,
        };
        let fusion = Fusion { method, weights: self.weights.clone().unwrap_or_default() };
        let checked = fusion.check(rankings);
        checked.map_err(|error| errors::invalid(py, &error.to_string(), None))?;
        Ok(fusion)
    }
}
