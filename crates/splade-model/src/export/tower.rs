//! Writes the files of one encoder: config, tokenizer and weights.

use std::path::Path;

use serde_json::json;
use splade_text::tokenizer_json_of_vocab;

use super::layout::write_json;
use crate::arch::{ArchitectureConfig, open_weights};
use crate::config::read_json;
use crate::encoder::Encoder;
use crate::error::ModelError;
use crate::train::{config_json, copy_tokenizer};
use crate::weights::{FloatType, Weights, WeightsWriter};

/// The number of floats of a tensor that are read at once: 4 MB.
const CHUNK: usize = 1 << 20;

/// Writes a masked language model and returns the number of its parameters.
pub(super) fn write_model(
    from: &Path,
    encoder: &Encoder,
    to: &Path,
    dtype: FloatType,
) -> Result<u64, ModelError> {
    create(to)?;
    write_json(&to.join("config.json"), &config_json(from, "MaskedLM", dtype)?)?;
    write_tokenizer(from, to, Some(encoder.max_length()))?;
    let settings = json!({"max_seq_length": encoder.max_length(), "do_lower_case": false});
    write_json(&to.join("sentence_bert_config.json"), &settings)?;
    let config = ArchitectureConfig::open(from)?;
    write_weights(&open_weights(&from.into(), &config)?, encoder.tensors(), &config, to, dtype)
}

/// Adds the longest query in tokens to the settings of a shared encoder if it is not that of the
/// documents.
pub(super) fn write_query_length(
    to: &Path,
    query: usize,
    document: usize,
) -> Result<(), ModelError> {
    if query == document {
        return Ok(());
    }
    let path = to.join("sentence_bert_config.json");
    let mut settings = read_json(&path)?.unwrap_or_default();
    settings["query_length"] = query.into();
    write_json(&path, &settings)
}

/// Writes a table of weights for query tokens. If the tokenizer has fewer tokens than the documents
/// have terms, the other terms get the weight zero.
pub(super) fn write_table(
    from: &Path,
    table: &[f32],
    vocab: usize,
    to: &Path,
) -> Result<(), ModelError> {
    create(to)?;
    write_tokenizer(from, to, None)?;
    write_json(&to.join("config.json"), &json!({"frozen": true}))?;
    if table.len() > vocab {
        let tokens = table.len();
        let what = format!("it has {tokens} tokens, but the model has only {vocab} terms");
        return Err(ModelError::Unsuitable {
            path: from.to_path_buf(),
            doing: "export the query table",
            problem: what.into(),
        });
    }
    let mut numbers = table.to_vec();
    numbers.resize(vocab, 0.0);
    let path = to.join("model.safetensors");
    let mut file = WeightsWriter::create(&path, &[("weight".to_owned(), vec![vocab])])?;
    file.write(&numbers)?;
    file.finish()
}

/// Copies the tokenizer and adds a `tokenizer.json` for readers that need one.
fn write_tokenizer(from: &Path, to: &Path, max_length: Option<usize>) -> Result<(), ModelError> {
    copy_tokenizer(from, to)?;
    if let Some(json) = tokenizer_json_of_vocab(from)? {
        let path = to.join("tokenizer.json");
        std::fs::write(&path, json).map_err(|source| ModelError::Write { path, source })?;
    }
    let path = to.join("tokenizer_config.json");
    let mut config = read_json(&path)?.unwrap_or_else(|| json!({}));
    if let Some(max_length) = max_length {
        config["model_max_length"] = max_length.into();
    }
    if let Some(config) = config.as_object_mut() {
        // The code that these keys refer to is not copied, and the path is only valid on the
        // machine where the folder was made.
        config.remove("auto_map");
        config.remove("name_or_path");
    }
    write_json(&path, &config)
}

/// Writes the tensors of a model in the type `dtype` and returns the number of parameters.
fn write_weights(
    weights: &Weights,
    names: &[String],
    config: &ArchitectureConfig,
    to: &Path,
    dtype: FloatType,
) -> Result<u64, ModelError> {
    let shape = |name: &str| weights.shape(name).unwrap_or_default().to_vec();
    let head = config.0.word_head();
    // The decoder's bias gets the name that every reader knows.
    let written = |name| match head.bias.contains(&name) {
        true => head.bias[0],
        false => name,
    };
    // Each pair has the name in the source and the name in the written file.
    let mut tensors: Vec<(&str, &str)> =
        names.iter().map(|name| (&**name, written(&**name))).collect();
    let parameters = names.iter().map(|name| shape(name).iter().product::<usize>() as u64).sum();
    if config.0.repeats_decoder() {
        if head.tied {
            tensors.push((head.embedding, head.decoder));
        }
        let bias = tensors.iter().find(|(_, written)| *written == head.bias[0]).copied();
        tensors.extend(
            bias.into_iter()
                .flat_map(|(name, _)| head.bias[1..].iter().map(move |again| (name, *again))),
        );
    }
    let announced: Vec<_> =
        tensors.iter().map(|(name, written)| ((*written).to_owned(), shape(name))).collect();
    let mut file = WeightsWriter::create_as(&to.join("model.safetensors"), &announced, dtype)?;
    let mut numbers = Vec::new();
    for ((name, _), (_, shape)) in tensors.iter().zip(&announced) {
        let row: usize = shape.iter().skip(1).product();
        let (rows, step) = (shape.first().copied().unwrap_or(1), (CHUNK / row.max(1)).max(1));
        for start in (0..rows).step_by(step) {
            weights.read_rows_f32(name, start..(start + step).min(rows), &mut numbers)?;
            file.write(&numbers)?;
        }
    }
    file.finish()?;
    Ok(parameters)
}

fn create(folder: &Path) -> Result<(), ModelError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| ModelError::Write { path: folder.to_path_buf(), source })
}
