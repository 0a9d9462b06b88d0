//! The final model of a SPLADE run.
//!
//! `final_output_dir/model` can be loaded by transformers, by the Python library and by
//! light-splade. Unless queries have a model of their own, it can also be loaded by
//! sentence-transformers: the files have the form of its versions 5.0 to 5.3, which later versions
//! can read, too.

use std::path::Path;

use serde_json::{Value, json};
use splade_nn::{Pooling, Saturation};

use crate::config::{Config, RegularizerConfig, Strength};
use crate::error::TrainError;
use crate::json::pretty;
use crate::objective::BudgetReport;
use crate::run::Results;
use crate::run::checkpoint::folder::{self, OURS};
use crate::run::checks::{create, final_folder};
use crate::run::results::{text, write_results};

use super::towers::{QueryTower, Towers};

/// Returns how a trained model is used, for programs that load it.
/// `budgets` are those of the queries and of the documents.
pub(super) fn model_use(
    config: &Config,
    towers: &Towers,
    budgets: [Option<BudgetReport>; 2],
) -> Value {
    let regularizers = &config.training.regularizers;
    let lambda = |side: &Option<RegularizerConfig>, budget: Option<BudgetReport>| match side {
        Some(RegularizerConfig { strength: Strength::Schedule { lambda, .. }, .. }) => {
            Some(*lambda)
        }
        _ => budget.map(|budget| budget.lambda),
    };
    let [query, doc] = budgets;
    json!({
        "agg": pooling_name(config.model.agg),
        "max_length": config.model.max_length,
        "shared": towers.query.is_none(),
        "activation": saturation_name(config.model.saturation),
        "lambdas": {
            "query": lambda(&regularizers.query, query),
            "doc": lambda(&regularizers.doc, doc),
        },
    })
}

/// Writes the final model and the results; `model_use` is what [`model_use`] returns, and `state` is the text of `trainer_state.json`.
pub(super) fn write(
    config: &Config,
    settings: &Value,
    towers: &mut Towers,
    model_use: &Value,
    results: &Results,
    state: &str,
) -> Result<(), TrainError> {
    let output = final_folder(&config.training);
    let target = output.join("model");
    let folder = folder::begin(&target)?;
    let model = folder.path();
    towers.save(model)?;
    text(&model.join(OURS), &pretty(model_use))?;
    write_sentence_transformers(model, config, towers)?;
    folder::finish_model(folder)?;
    write_results(output, settings, results, state)
}

/// Writes the files by which sentence-transformers recognises a SPLADE model. With a table for
/// queries, the model is a Router whose transformer stays in the model's folder.
fn write_sentence_transformers(
    model: &Path,
    config: &Config,
    towers: &Towers,
) -> Result<(), TrainError> {
    let class = |name: &str| format!("sentence_transformers.sparse_encoder.models.{name}");
    let (transformer, pooling) = (class("MLMTransformer"), class("SpladePooling"));
    let (modules, pooling_folder) = match &towers.query {
        // sentence-transformers does not support such a pair of encoders. With these files, it and
        // other readers of them would encode queries with the document encoder.
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

/// Returns the name of the pooling in configs (`agg`).
fn pooling_name(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Max => "max",
        Pooling::Sum => "sum",
    }
}

/// Returns the name of the saturation in configs (`activation`).
fn saturation_name(saturation: Saturation) -> &'static str {
    match saturation {
        Saturation::Log1pRelu => "log1p_relu",
        Saturation::Log1pLog1pRelu => "log1p_log1p_relu",
    }
}
