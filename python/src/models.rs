//! Models as folders: found, described and written for other libraries.

use std::path::PathBuf;

use light_splade::models::{self, ExportModelOptions, FloatType, HubUpload, ModelCard, OnnxOutput};
use pyo3::prelude::*;
use serde::Deserialize;

use crate::observer::observed;
use crate::settings::{self, choice};

/// The folder of a model, which is fetched from the hub where it is not in the cache.
#[pyfunction]
#[pyo3(signature = (name, reporter = None))]
pub(crate) fn model_folder(
    py: Python<'_>,
    name: PathBuf,
    reporter: Option<Py<PyAny>>,
) -> PyResult<PathBuf> {
    observed(py, reporter, |observer| models::model_folder(&name, observer))
}

/// A description of a model for people.
#[pyfunction]
pub(crate) fn inspect(py: Python<'_>, name: PathBuf) -> PyResult<String> {
    Ok(observed(py, None, |observer| models::inspect(&name, observer))?.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    model: PathBuf,
    out: PathBuf,
    dtype: Option<String>,
    onnx: Option<String>,
    max_length: Option<usize>,
    mecab_dicdir: Option<PathBuf>,
    name: Option<String>,
    #[serde(default)]
    languages: Vec<String>,
    license: Option<String>,
    #[serde(default)]
    datasets: Vec<String>,
    upload: Option<String>,
    revision: Option<String>,
    #[serde(default)]
    private: bool,
}

/// Writes a model as a folder for other libraries and returns a table of these, and the address at the hub.
#[pyfunction]
#[pyo3(signature = (settings, reporter = None))]
pub(crate) fn export_model(
    py: Python<'_>,
    settings: &str,
    reporter: Option<Py<PyAny>>,
) -> PyResult<(String, Option<String>)> {
    let settings: Settings = settings::read(py, settings)?;
    let dtypes = [("f32", FloatType::F32), ("f16", FloatType::F16), ("bf16", FloatType::Bf16)];
    let outputs = [("logits", OnnxOutput::Logits), ("vector", OnnxOutput::Vector)];
    let dtype = settings.dtype.as_deref().map(|name| choice(py, "dtype", name, &dtypes));
    let onnx = settings.onnx.as_deref().map(|name| choice(py, "onnx", name, &outputs));
    let revision = settings.revision.unwrap_or_else(|| "main".to_owned());
    let private = settings.private;
    let options = ExportModelOptions {
        model: settings.model,
        out: settings.out,
        dtype: dtype.transpose()?.unwrap_or_default(),
        onnx: onnx.transpose()?,
        max_length: settings.max_length,
        mecab_dicdir: settings.mecab_dicdir,
        card: ModelCard {
            name: settings.name,
            languages: settings.languages,
            license: settings.license,
            datasets: settings.datasets,
            metrics: Vec::new(),
        },
        upload: settings.upload.map(|name| HubUpload { name, revision, private }),
    };
    let exported = observed(py, reporter, |observer| models::export_model(&options, observer))?;
    Ok((exported.readers_table(), exported.url))
}
