//! Writes the files by which sentence-transformers recognises a sparse encoder.

use std::path::Path;

use serde_json::{Value, json};
use splade_nn::{Pooling, Saturation};

use super::model::QueryTower;
use crate::error::ModelError;
use crate::folder::{Method, ModelFolder};

/// The name that light-splade gives the folder of a query encoder.
pub(super) const QUERY_MODEL: &str = "query_model";
/// The name that sentence-transformers gives the folder of a query table.
pub(super) const QUERY_TABLE: &str = "query_0_SparseStaticEmbedding";

const TRANSFORMER: &str = "sentence_transformers.sparse_encoder.models.MLMTransformer";
const POOLING: &str = "sentence_transformers.sparse_encoder.models.SpladePooling";
const TABLE: &str = "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding";
const ROUTER: &str = "sentence_transformers.models.Router";

/// Writes the list of modules, the configs of the poolings and the prompts.
pub(super) fn write(
    folder: &ModelFolder,
    query: QueryTower,
    vocab: usize,
    to: &Path,
) -> Result<(), ModelError> {
    let pooling = |name: &str, method: &Method| write_pooling(&to.join(name), method, vocab);
    let module = |path: &str, class: &str| json!({"path": path, "type": class});
    let mut modules = match query {
        QueryTower::Shared => {
            pooling("1_SpladePooling", &folder.document.method)?;
            vec![module("", TRANSFORMER), module("1_SpladePooling", POOLING)]
        }
        QueryTower::Model | QueryTower::Table => {
            let (documents, queries) = ("document_1_SpladePooling", "query_1_SpladePooling");
            pooling(documents, &folder.document.method)?;
            let document = vec![("", TRANSFORMER), (documents, POOLING)];
            let query = match query {
                QueryTower::Table => vec![(QUERY_TABLE, TABLE)],
                _ => {
                    pooling(queries, &folder.query.method)?;
                    vec![(QUERY_MODEL, TRANSFORMER), (queries, POOLING)]
                }
            };
            let mut types = serde_json::Map::new();
            for (name, class) in query.iter().chain(&document) {
                types.insert((*name).to_owned(), (*class).into());
            }
            let names = |route: Vec<(&str, &str)>| -> Value {
                route.into_iter().map(|(name, _)| Value::from(name)).collect()
            };
            let router = json!({
                "types": types,
                "structure": {"query": names(query), "document": names(document)},
                "parameters": {"default_route": "document", "allow_empty_key": true},
            });
            write_json(&to.join("router_config.json"), &router)?;
            vec![module("", ROUTER)]
        }
    };
    for (number, module) in modules.iter_mut().enumerate() {
        module["idx"] = number.into();
        module["name"] = number.to_string().into();
    }
    write_json(&to.join("modules.json"), &modules.into())?;
    let mut about = json!({
        "model_type": "SparseEncoder",
        "__version__": {},
        "prompts": {"query": folder.query.prompt, "document": folder.document.prompt},
        "default_prompt_name": null,
        "similarity_fn_name": "dot",
    });
    if let Some(count) = folder.document.max_active_dims {
        about["max_active_dims"] = count.into();
    }
    write_json(&to.join("config_sentence_transformers.json"), &about)
}

fn write_pooling(dir: &Path, method: &Method, vocab: usize) -> Result<(), ModelError> {
    let Method::MaskedLm { pooling, saturation } = method else { return Ok(()) };
    std::fs::create_dir_all(dir)
        .map_err(|source| ModelError::Write { path: dir.to_path_buf(), source })?;
    let config = json!({
        "pooling_strategy": match pooling { Pooling::Max => "max", Pooling::Sum => "sum" },
        "activation_function": match saturation {
            Saturation::Log1pRelu => "relu",
            Saturation::Log1pLog1pRelu => "log1p_relu",
        },
        "word_embedding_dimension": vocab,
    });
    write_json(&dir.join("config.json"), &config)
}

pub(super) fn write_json(path: &Path, value: &Value) -> Result<(), ModelError> {
    std::fs::write(path, format!("{value:#}\n"))
        .map_err(|source| ModelError::Write { path: path.to_path_buf(), source })
}
