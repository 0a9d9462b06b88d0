//! The results of a run and the files that hold them.
//!
//! `training_args.json` and `results/*.json` have the form of transformers' `save_metrics` and
//! `save_state`, without `total_flos`, which is not computed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use splade_io::write_file;

use crate::error::TrainError;
use crate::json::{number, pretty};

use super::checkpoint::record::SETTINGS;
use super::checks::create;

/// The results of a finished run.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Results {
    /// The number of steps of the run, including those of earlier processes.
    pub steps: u64,
    /// The best value of the metric that selects the best model, and the step after which it was
    /// measured; `None` if there is no such metric.
    pub best: Option<(f64, u64)>,
    /// The metrics of the training, such as `train_loss` and `train_runtime`; empty for a
    /// cross-encoder.
    pub train: Vec<(String, f64)>,
    /// The metrics of the final model, if it was evaluated.
    pub eval: Option<Vec<(String, f64)>>,
}

/// Writes the settings and the results; `state` is the text of `trainer_state.json`.
pub(crate) fn write_results(
    folder: &Path,
    settings: &Value,
    results: &Results,
    state: &str,
) -> Result<(), TrainError> {
    text(&folder.join(SETTINGS), &pretty(settings))?;
    let folder = folder.join("results");
    create(&folder)?;
    let mut all = Vec::new();
    let eval = results.eval.as_deref().map(|values| ("eval_results.json", values));
    for (name, values) in [("train_results.json", results.train.as_slice())].into_iter().chain(eval)
    {
        text(&folder.join(name), &by_name(values))?;
        all.extend_from_slice(values);
    }
    text(&folder.join("all_results.json"), &by_name(&all))?;
    text(&folder.join("trainer_state.json"), state)
}

/// Replaces a file by one with this text.
pub(crate) fn text(path: &Path, text: &str) -> Result<(), TrainError> {
    Ok(write_file(path, text.as_bytes())?)
}

/// Returns JSON as `save_metrics` writes it: sorted by name, the last of equal names, and indented
/// by four spaces.
fn by_name(values: &[(String, f64)]) -> String {
    let values: BTreeMap<&str, Value> =
        values.iter().map(|(name, value)| (name.as_str(), number(*value))).collect();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    values.serialize(&mut serializer).expect("numbers cannot be written as JSON: this is a bug");
    String::from_utf8(out).expect("JSON is not UTF-8: this is a bug")
}
