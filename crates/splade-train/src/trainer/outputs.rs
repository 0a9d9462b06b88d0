//! What is left when a run has ended: the model, the settings, the results.
//!
//! `final_output_dir/model` loads in transformers, in light-splade in Python, here, and, unless
//! queries have a model of their own, in sentence-transformers, whose files have the form of its
//! versions 5.0 to 5.3, which later ones read too. `training_args.json` and `results/*.json` are as
//! transformers' `save_metrics` and `save_state` write them, without `total_flos`, which is not
//! counted.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use splade_nn::{Pooling, Saturation};

use crate::config::Config;
use crate::error::TrainError;
use crate::json::{number, pretty};

use super::checkpoint::{self, OURS, SETTINGS, model_use};
use super::checks::final_folder;
use super::towers::{QueryTower, Towers, create};

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
    let folder = final_folder(&config.training);
    let target = folder.join("model");
    let model = checkpoint::begin(&target)?;
    towers.save(&model)?;
    text(&model.join(OURS), &pretty(&model_use(config, towers)))?;
    write_sentence_transformers(&model, config, towers)?;
    checkpoint::finish(&target)?;
    write_results(folder, settings, results, state)
}

/// Writes everything but the model.
pub(super) fn write_results(
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

/// The files by which sentence-transformers knows a SPLADE model; with a table for queries it is a
/// Router, whose transformer stays in the model's folder itself.
fn write_sentence_transformers(
    model: &Path,
    config: &Config,
    towers: &Towers,
) -> Result<(), TrainError> {
    let class = |name: &str| format!("sentence_transformers.sparse_encoder.models.{name}");
    let (transformer, pooling) = (class("MLMTransformer"), class("SpladePooling"));
    let (modules, pooling_folder) = match &towers.query {
        // sentence-transformers has no such pair of encoders: with these files it, and readers
        // that go by them, would encode queries as documents.
        Some(QueryTower::Model(_)) => return Ok(()),
        None => {
            let modules = json!([
                { "idx": 0, "name": "0", "path": "", "type": transformer },
                { "idx": 1, "name": "1", "path": "1_SpladePooling", "type": pooling },
            ]);
            (modules, "1_SpladePooling")
        }
        Some(table @ QueryTower::Table(_)) => {
            let table = table.folder();
            let folder = "document_1_SpladePooling";
            let router = json!({
                "types": { "": transformer, table: class("SparseStaticEmbedding"), folder: pooling },
                "structure": { "query": [table], "document": ["", folder] },
                "parameters": { "default_route": "document", "allow_empty_key": true },
            });
            text(&model.join("router_config.json"), &pretty(&router))?;
            let class = "sentence_transformers.models.Router";
            (json!([{ "idx": 0, "name": "0", "path": "", "type": class }]), folder)
        }
    };
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
    let folder = model.join(pooling_folder);
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
