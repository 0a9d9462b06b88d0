//! Selects the files of a repository that a model needs: configs, vocabularies and one format of
//! weights.

use std::path::{Component, Path};

use serde_json::Value;

/// The list of a sentence-transformers model's modules. It names folders, so it is downloaded
/// first.
pub(super) const MODULES: &str = "modules.json";

/// Training logs, which may be long and have names like configs. They are not downloaded.
const LOGS: [&str; 1] = ["trainer_state.json"];
/// The vocabulary files. Vocabularies of sentencepiece are read from `tokenizer.json`.
const VOCABULARIES: [&str; 2] = ["vocab.txt", "merges.txt"];

/// Returns the files to download, with the weights last, so that problems with small files show
/// early.
///
/// Files at the top, in `query_model`, in the folders of `modules.json` and in the routes of a
/// Router (`query_0_…`, `document_0_…`) are considered. Names that lead out of a folder are
/// skipped.
pub(super) fn wanted(listed: &[String], modules: Option<&Value>) -> Vec<String> {
    let modules: Vec<&str> = modules.into_iter().flat_map(module_folders).collect();
    let is_used = |folder: &str| {
        let is_route = folder.starts_with("query_") || folder.starts_with("document_");
        folder.is_empty() || modules.contains(&folder) || (is_route && !folder.contains('/'))
    };
    let is_wanted = |file: &&String| {
        let (folder, name) = split(file);
        is_plain(file)
            && is_used(folder)
            && match is_weights(file) || name.ends_with(".index.json") {
                true => is_chosen(folder, name, listed),
                false => {
                    name.ends_with(".json") && !LOGS.contains(&name) || VOCABULARIES.contains(&name)
                }
            }
    };
    let mut wanted: Vec<String> = listed.iter().filter(is_wanted).cloned().collect();
    wanted.sort_by_key(|file| is_weights(file));
    wanted
}

/// Returns the folders in `modules.json` except the top.
pub(super) fn module_folders(modules: &Value) -> impl Iterator<Item = &str> {
    let modules = modules.as_array().into_iter().flatten();
    modules.filter_map(|module| module["path"].as_str()).filter(|path| !path.is_empty())
}

/// Returns whether a file holds weights in a format that can be read.
pub(super) fn is_weights(file: &str) -> bool {
    let name = split(file).1;
    name == "model.safetensors" || name == "pytorch_model.bin" || is_shard(name)
}

/// Returns whether the name is that of a shard, such as `model-00001-of-00002.safetensors`.
fn is_shard(name: &str) -> bool {
    let numbers = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
    numbers.is_some_and(|numbers| {
        numbers.split("-of-").all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            && numbers.contains("-of-")
    })
}

/// Returns whether a weights file is the one that `Weights::open` would choose among several
/// formats.
fn is_chosen(folder: &str, name: &str, listed: &[String]) -> bool {
    let has = |name: &str| listed.iter().any(|file| split(file) == (folder, name));
    let (single, index) = ("model.safetensors", "model.safetensors.index.json");
    match name {
        "pytorch_model.bin" => !has(single) && !has(index),
        _ if name == single => true,
        _ => (is_shard(name) || name == index) && has(index) && !has(single),
    }
}

fn split(file: &str) -> (&str, &str) {
    file.rsplit_once('/').unwrap_or(("", file))
}

/// Returns whether a path stays below the folder that it is joined to, on every system.
fn is_plain(file: &str) -> bool {
    Path::new(file).components().all(|part| matches!(part, Component::Normal(_)))
        && !file.is_empty()
        && !file.contains(['\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(files: &[&str], modules: Option<Value>) -> Vec<String> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        wanted(&files, modules.as_ref())
    }

    /// The list is that of a sentence-transformers repository at the hub.
    #[test]
    fn configs_and_one_form_of_weights() {
        let files = [
            ".gitattributes",
            "1_SpladePooling/config.json",
            "README.md",
            "config.json",
            "config_sentence_transformers.json",
            "flax_model.msgpack",
            "model.safetensors",
            "modules.json",
            "onnx/config.json",
            "onnx/model.onnx",
            "openvino/openvino_model.xml",
            "optimizer.pt",
            "pytorch_model.bin",
            "rust_model.ot",
            "sentence_bert_config.json",
            "special_tokens_map.json",
            "tf_model.h5",
            "tokenizer.json",
            "tokenizer_config.json",
            "trainer_state.json",
            "training_args.bin",
            "vocab.txt",
            "checkpoint-500/config.json",
        ];
        let modules = serde_json::json!([{"path": ""}, {"path": "1_SpladePooling"}]);
        assert_eq!(
            fetched(&files, Some(modules)),
            [
                "1_SpladePooling/config.json",
                "config.json",
                "config_sentence_transformers.json",
                "modules.json",
                "sentence_bert_config.json",
                "special_tokens_map.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "vocab.txt",
                "model.safetensors",
            ]
        );
    }

    #[test]
    fn weights_of_each_form() {
        let shards = [
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
            "model.fp16.safetensors",
            "adapter_model.safetensors",
        ];
        assert_eq!(
            fetched(&shards, None),
            [
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
            ]
        );
        assert_eq!(fetched(&["pytorch_model.bin"], None), ["pytorch_model.bin"]);
        let both =
            ["model.safetensors", "query_model/config.json", "query_model/pytorch_model.bin"];
        assert_eq!(
            fetched(&both, None),
            ["query_model/config.json", "model.safetensors", "query_model/pytorch_model.bin"]
        );
        let router = ["query_0_SparseStaticEmbedding/model.safetensors", "document_0_X/vocab.txt"];
        assert_eq!(fetched(&router, None), ["document_0_X/vocab.txt", router[0]]);
    }

    #[test]
    fn paths_stay_in_the_folder() {
        let modules = serde_json::json!([{"path": ".."}, {"path": "/etc"}, {"path": "a\\.."}]);
        let files =
            ["../config.json", "/etc/config.json", "a\\../config.json", "query_a/../x.json"];
        assert_eq!(fetched(&files, Some(modules)), Vec::<String>::new());
    }
}
