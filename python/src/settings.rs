//! Settings of functions that have many: the Python files hand them over as JSON, whose names are checked here.

use pyo3::prelude::*;
use serde::de::DeserializeOwned;

use crate::errors;

/// Reads settings.
pub(crate) fn read<T: DeserializeOwned>(py: Python<'_>, json: &str) -> PyResult<T> {
    serde_json::from_str(json)
        .map_err(|error| errors::invalid(py, &format!("a setting is wrong: {error}"), None))
}

/// Finds the value of a name in a list of choices.
pub(crate) fn choice<T: Clone>(
    py: Python<'_>,
    what: &str,
    name: &str,
    choices: &[(&str, T)],
) -> PyResult<T> {
    let found = choices.iter().find(|(choice, _)| *choice == name);
    found.map(|(_, value)| value.clone()).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        errors::invalid(
            py,
            &format!("{what} is {name:?}"),
            Some(&format!("give one of {}", names.join(", "))),
        )
    })
}
