//! Reads and writes the settings under `model.*`.

use std::path::PathBuf;

use serde_json::{Value, json};
use splade_nn::{Pooling, Saturation};

use super::super::schema::{Initialization, ModelConfig, QueryEncoder};
use super::fields::Fields;
use super::names::Names;
use super::words::word;
use crate::error::TrainError;

/// Returns the names of the settings.
pub(super) fn names() -> Names {
    Names::of([
        "model_name_or_path",
        "model_name_or_path_q",
        "freeze_d_model",
        "agg",
        "max_length",
        "activation",
        "query_encoder",
        "mecab_dicdir",
        "device",
    ])
    .with("query_table", Names::of(["path", "freeze", "learning_rate"]))
    .with("init", Names::of(["target_terms"]))
}

pub(super) fn read(value: Option<&Value>) -> Result<ModelConfig, TrainError> {
    let mut fields = Fields::new("model", value)?;
    let model_name_or_path = fields.required_text("model_name_or_path")?;
    let model_name_or_path_q = fields.text("model_name_or_path_q")?;
    let freeze_d_model = fields.flag("freeze_d_model", false)?;
    let agg = match fields.text("agg")?.as_deref() {
        None | Some("max") => Pooling::Max,
        Some("sum") => Pooling::Sum,
        Some(other) => {
            let message = format!("agg must be one of ['max', 'sum'], but got {other}");
            return Err(fields.error("agg", message));
        }
    };
    let saturation = fields.choice("activation", Saturation::Log1pRelu, &SATURATIONS)?;
    let query_encoder = query_encoder(&mut fields)?;
    let separate = model_name_or_path_q.is_some() || query_encoder != QueryEncoder::Model;
    if freeze_d_model && !separate {
        return Err(fields.error(
            "freeze_d_model",
            "Freezing the document encoder requires q_model_path to ensure the query encoder \
             differs from the document encoder. hint: set model.model_name_or_path_q",
        ));
    }
    if model_name_or_path_q.is_some() && query_encoder != QueryEncoder::Model {
        return Err(fields.error(
            "model_name_or_path_q",
            "query_encoder: table does not use a query model; hint: remove one of the two settings",
        ));
    }
    let mut init = fields.fields("init")?;
    let target_terms = init.optional_count("target_terms", 1)?;
    init.finish()?;
    let device = fields.text("device")?.unwrap_or_else(|| "cpu".to_owned());
    if device != "cpu" {
        return Err(fields.error(
            "device",
            format!("`{device}` is not implemented; hint: remove the setting, or set it to cpu"),
        ));
    }
    let config = ModelConfig {
        model_name_or_path,
        model_name_or_path_q,
        freeze_d_model,
        agg,
        max_length: fields.count("max_length", 512, 1)? as usize,
        saturation,
        query_encoder,
        init: Initialization { target_terms: target_terms.map(|n| n as usize) },
        mecab_dicdir: fields.text("mecab_dicdir")?.map(PathBuf::from),
        device,
    };
    fields.finish()?;
    Ok(config)
}

/// The words of `activation`.
const SATURATIONS: [(&str, Saturation); 2] =
    [("log1p_relu", Saturation::Log1pRelu), ("log1p_log1p_relu", Saturation::Log1pLog1pRelu)];

fn query_encoder(fields: &mut Fields<'_>) -> Result<QueryEncoder, TrainError> {
    let words = [("model", false), ("table", true)];
    let is_table = fields.choice("query_encoder", false, &words)?;
    let has_table = fields.value("query_table").is_some();
    let mut table = fields.fields("query_table")?;
    let encoder = QueryEncoder::Table {
        path: table.text("path")?.map(PathBuf::from),
        freeze: table.flag("freeze", false)?,
        learning_rate: table.optional_number("learning_rate", 0.0.., "a number, 0 or more")?,
    };
    table.finish()?;
    match (is_table, has_table) {
        (true, _) => Ok(encoder),
        (false, false) => Ok(QueryEncoder::Model),
        (false, true) => {
            Err(fields
                .error("query_table", "this setting has no effect without query_encoder: table"))
        }
    }
}

/// Returns the value of `model` for `Config::to_value`.
pub(super) fn write(m: &ModelConfig) -> Value {
    let mut object = json!({
        "model_name_or_path": m.model_name_or_path,
        "model_name_or_path_q": m.model_name_or_path_q,
        "freeze_d_model": m.freeze_d_model,
        "agg": match m.agg { Pooling::Max => "max", Pooling::Sum => "sum" },
        "max_length": m.max_length,
        "activation": word(&SATURATIONS, &m.saturation),
        "query_encoder": "model",
        "init": {"target_terms": m.init.target_terms},
        "mecab_dicdir": m.mecab_dicdir,
        "device": m.device,
    });
    if let QueryEncoder::Table { path, freeze, learning_rate } = &m.query_encoder {
        object["query_encoder"] = json!("table");
        object["query_table"] =
            json!({"path": path, "freeze": freeze, "learning_rate": learning_rate});
    }
    object
}
