//! A BERT of random weights, as transformers initialises it (`BertPreTrainedModel._init_weights`):
//! weights and embeddings from N(0, `initializer_range`), the padding's embedding and biases 0,
//! norms 1.

use std::f64::consts::TAU;
use std::path::Path;

use serde_json::json;
use splade_model::{ArchitectureConfig, WeightsWriter, copy_tokenizer_alone};
use splade_text::Tokenizer;

use crate::config::NewModel;
use crate::data::random::{Random, WEIGHTS};
use crate::error::TrainError;
use crate::json::pretty;

/// What a tensor is filled with.
#[derive(Clone, Copy)]
enum Fill {
    Normal,
    /// The same, with zeros in the row of padding.
    Embedding,
    Constant(f32),
}

/// Writes a model folder for the tokenizer of another folder; the weights follow from the seed.
///
/// # Errors
/// If the sizes do not fit together or a file cannot be read or written.
pub fn new_model(
    new: &NewModel,
    tokenizer: &Tokenizer,
    tokenizer_folder: &Path,
    out: &Path,
    seed: u64,
) -> Result<(), TrainError> {
    let pad = tokenizer.id("[PAD]").unwrap_or(0);
    let config = json!({
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": new.attention_probs_dropout_prob,
        "hidden_act": new.hidden_act,
        "hidden_dropout_prob": new.hidden_dropout_prob,
        "hidden_size": new.hidden_size,
        "initializer_range": new.initializer_range,
        "intermediate_size": new.intermediate_size,
        "layer_norm_eps": new.layer_norm_eps,
        "max_position_embeddings": new.max_position_embeddings,
        "model_type": "bert",
        "num_attention_heads": new.num_attention_heads,
        "num_hidden_layers": new.num_hidden_layers,
        "pad_token_id": pad,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
        "type_vocab_size": TOKEN_TYPES,
        "vocab_size": tokenizer.len(),
    });
    let path = out.join("config.json");
    ArchitectureConfig::parse(&config, &path)?;
    super::super::towers::create(out)?;
    let tensors = tensors(new, tokenizer.len());
    let announced: Vec<_> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
    let mut file = WeightsWriter::create(&out.join("model.safetensors"), &announced)?;
    for (index, (_, shape, fill)) in tensors.iter().enumerate() {
        let mut random = Random::new(&[seed, WEIGHTS, index as u64]);
        let count = shape.iter().product();
        let mut numbers: Vec<f32> = match fill {
            Fill::Constant(x) => vec![*x; count],
            _ => (0..count).map(|_| normal(&mut random, new.initializer_range)).collect(),
        };
        if let Fill::Embedding = fill {
            let width = new.hidden_size;
            numbers[pad as usize * width..][..width].fill(0.0);
        }
        file.write(&numbers)?;
    }
    file.finish()?;
    copy_tokenizer_alone(tokenizer_folder, out)?;
    std::fs::write(&path, pretty(&config)).map_err(TrainError::io(&path))
}

/// Rows of the token-type table, as in every BERT.
const TOKEN_TYPES: usize = 2;

/// The tensors of transformers' `BertForMaskedLM`; the decoder is the words' embedding.
fn tensors(new: &NewModel, vocab: usize) -> Vec<(String, Vec<usize>, Fill)> {
    let mut list = Vec::new();
    let (hidden, inner) = (new.hidden_size, new.intermediate_size);
    let embeddings = [
        ("word_embeddings", vocab, Fill::Embedding),
        ("position_embeddings", new.max_position_embeddings, Fill::Normal),
        ("token_type_embeddings", TOKEN_TYPES, Fill::Normal),
    ];
    for (name, rows, fill) in embeddings {
        list.push((format!("bert.embeddings.{name}.weight"), vec![rows, hidden], fill));
    }
    let linear = |list: &mut Vec<_>, name: &str, outputs: usize, inputs: usize| {
        list.push((format!("{name}.weight"), vec![outputs, inputs], Fill::Normal));
        list.push((format!("{name}.bias"), vec![outputs], Fill::Constant(0.0)));
    };
    let norm = |list: &mut Vec<_>, name: &str| {
        list.push((format!("{name}.weight"), vec![hidden], Fill::Constant(1.0)));
        list.push((format!("{name}.bias"), vec![hidden], Fill::Constant(0.0)));
    };
    norm(&mut list, "bert.embeddings.LayerNorm");
    for layer in 0..new.num_hidden_layers {
        let at = |part: &str| format!("bert.encoder.layer.{layer}.{part}");
        for part in ["query", "key", "value"] {
            linear(&mut list, &at(&format!("attention.self.{part}")), hidden, hidden);
        }
        linear(&mut list, &at("attention.output.dense"), hidden, hidden);
        norm(&mut list, &at("attention.output.LayerNorm"));
        linear(&mut list, &at("intermediate.dense"), inner, hidden);
        linear(&mut list, &at("output.dense"), hidden, inner);
        norm(&mut list, &at("output.LayerNorm"));
    }
    linear(&mut list, "cls.predictions.transform.dense", hidden, hidden);
    norm(&mut list, "cls.predictions.transform.LayerNorm");
    list.push(("cls.predictions.bias".to_owned(), vec![vocab], Fill::Constant(0.0)));
    list
}

/// A number of N(0, deviation), by Box and Muller's transform (1958).
fn normal(random: &mut Random, deviation: f64) -> f32 {
    let radius = (-2.0 * (1.0 - random.share()).ln()).sqrt();
    (deviation * radius * (TAU * random.share()).cos()) as f32
}
