//! What is left when a run has ended: the model, the settings, the results.
//!
//! `final_output_dir/model` loads in transformers, in light-splade in Python, here, and, where one
//! encoder serves both sides, in sentence-transformers, whose files have the form of its versions
//! 5.0 to 5.3, which later ones read too. `training_args.json` and `results/*.json` are as transformers' `save_metrics` and
//! `save_state` write them, without `total_flos`, which is not counted.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use splade_nn::{Pooling, Saturation};

use crate::config::Config;
use crate::error::TrainError;

use super::checkpoint::{OURS, SETTINGS, model_use};
use super::checks::final_folder;
use super::state::pretty;
use super::towers::{Towers, create};

/// The results of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results {
    /// `train_loss` and its like.
    pub train: Vec<(String, f64)>,
    /// Of the final model, if it was evaluated.
    pub eval: Option<Vec<(String, f64)>>,
}

/// Writes everything; `state` is the text of `trainer_state.json`.
pub(super) fn write(
    config: &Config,
    settings: &Value,
    towers: &mut Towers,
    results: &Results,
    state: &str,
) -> Result<(), TrainError> {
    let folder = final_folder(config);
    let model = folder.join("model");
    towers.save(&model)?;
    text(&model.join(OURS), &pretty(&model_use(config, towers)))?;
    // sentence-transformers has no such pair of encoders: with these files it, and readers that go
    // by them, would encode queries as documents.
    if towers.query.is_none() {
        write_sentence_transformers(&model, config, towers)?;
    }
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

/// The files by which sentence-transformers knows a SPLADE model.
fn write_sentence_transformers(
    model: &Path,
    config: &Config,
    towers: &Towers,
) -> Result<(), TrainError> {
    let modules = json!([
        { "idx": 0, "name": "0", "path": "",
          "type": "sentence_transformers.sparse_encoder.models.MLMTransformer" },
        { "idx": 1, "name": "1", "path": "1_SpladePooling",
          "type": "sentence_transformers.sparse_encoder.models.SpladePooling" },
    ]);
    let transformer = json!({ "max_seq_length": config.model.max_length, "do_lower_case": false });
    let pooling = json!({
        "pooling_strategy": pooling_name(config.model.agg),
        "activation_function": match config.model.saturation {
            Saturation::Log1pRelu => "relu",
            Saturation::Log1pLog1pRelu => "log1p_relu",
        },
        "word_embedding_dimension": towers.vocab(),
    });
    let about = json!({
        "model_type": "SparseEncoder",
        "__version__": {},
        "prompts": { "query": "", "document": "" },
        "default_prompt_name": null,
        "similarity_fn_name": "dot",
    });
    let folder = model.join("1_SpladePooling");
    create(&folder)?;
    for (path, value) in [
        (model.join("modules.json"), modules),
        (model.join("sentence_bert_config.json"), transformer),
        (folder.join("config.json"), pooling),
        (model.join("config_sentence_transformers.json"), about),
    ] {
        text(&path, &pretty(&value))?;
    }
    Ok(())
}

/// `agg` as configs name it.
pub(super) fn pooling_name(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Max => "max",
        Pooling::Sum => "sum",
    }
}

/// `activation` as configs name it.
pub(super) fn saturation_name(saturation: Saturation) -> &'static str {
    match saturation {
        Saturation::Log1pRelu => "log1p_relu",
        Saturation::Log1pLog1pRelu => "log1p_log1p_relu",
    }
}

/// Counts without a fraction, as Python writes its integers.
pub(super) fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 1e15 {
        true => json!(value as i64),
        false => json!(value),
    }
}

fn text(path: &Path, text: &str) -> Result<(), TrainError> {
    std::fs::write(path, text).map_err(TrainError::io(path))
}

/// JSON as `save_metrics` writes it: by name, the last of equal ones, indented by four spaces.
fn by_name(values: &[(String, f64)]) -> String {
    let values: BTreeMap<&str, Value> =
        values.iter().map(|(name, value)| (name.as_str(), number(*value))).collect();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    values.serialize(&mut serializer).expect("JSON of numbers: this is a bug");
    String::from_utf8(out).expect("JSON is UTF-8: this is a bug")
}
