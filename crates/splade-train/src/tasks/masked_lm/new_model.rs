//! Creates models with random weights, as transformers initialises them.
//!
//! BERT (`BertPreTrainedModel._init_weights`): weights and embeddings are drawn from N(0, σ), the
//! embedding of the padding token and the biases are 0, and norms are 1. ModernBERT
//! (`ModernBertPreTrainedModel._init_weights`): weights are drawn from N(0, σ) truncated at 2σ, and
//! the output projections of a layer have σ / √(2 · layers).

use std::f64::consts::TAU;
use std::path::Path;

use hydra_compose::settings::SettingError;
use serde_json::{Value, json};
use splade_model::architecture::ArchitectureConfig;
use splade_model::training::copy_tokenizer_alone;
use splade_model::weights::WeightsWriter;
use splade_text::Tokenizer;

use crate::config::{NewArchitecture, NewModel};
use crate::error::TrainError;
use crate::json::pretty;
use crate::run::checks::create;
use splade_data::random::{Random, Stream};

/// The initial values of a tensor.
#[derive(Clone, Copy)]
enum Fill {
    /// Draws from the normal distribution N(0, σ) with this σ.
    Normal(f64),
    /// `Normal` with zeros in the row of the padding token.
    Embedding(f64),
    /// `Normal`, truncated at [`CUT`] standard deviations.
    Cut(f64),
    Constant(f32),
}

/// The truncation of ModernBERT's weights in standard deviations (`initializer_cutoff_factor`).
const CUT: f64 = 2.0;

/// The number of rows in BERT's token-type table, as in every BERT.
const TOKEN_TYPES: usize = 2;

/// The base of the rotary positions (RoFormer, arXiv 2104.09864), for texts of some hundred tokens.
/// ModernBERT's own base of 160,000 is meant for eight thousand tokens.
const ROPE_THETA: f64 = 10_000.0;

/// Writes a model folder for the tokenizer of another folder. The weights follow from the seed.
///
/// # Errors
/// Returns an error if the sizes do not fit together, or if a file cannot be read or written.
pub(super) fn new_model(
    new: &NewModel,
    tokenizer: &Tokenizer,
    tokenizer_folder: &Path,
    out: &Path,
    seed: u64,
) -> Result<(), TrainError> {
    let pad = ["[PAD]", "<pad>"].into_iter().find_map(|token| tokenizer.id(token));
    let pad = pad.ok_or_else(|| {
        SettingError::new("model.new.tokenizer", "the vocabulary has neither [PAD] nor <pad>")
            .with_remedy("use a tokenizer with a padding token")
    })?;
    let (mut config, tensors) = match new.architecture {
        NewArchitecture::Bert => (bert_config(new), bert(new, tokenizer.len())),
        NewArchitecture::ModernBert => {
            (modernbert_config(new, tokenizer), modernbert(new, tokenizer.len()))
        }
    };
    config["pad_token_id"] = pad.into();
    config["vocab_size"] = tokenizer.len().into();
    let path = out.join("config.json");
    ArchitectureConfig::parse(&config, &path)?;
    create(out)?;
    let announced: Vec<_> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
    let mut file = WeightsWriter::create(&out.join("model.safetensors"), &announced)?;
    for (index, (_, shape, fill)) in tensors.iter().enumerate() {
        let mut random = Random::new(&[seed, Stream::WEIGHTS, index as u64]);
        let count = shape.iter().product();
        let mut draw = |deviation, cut| normal(&mut random, deviation, cut);
        let mut numbers: Vec<f32> = (0..count)
            .map(|_| match *fill {
                Fill::Constant(x) => x,
                Fill::Cut(deviation) => draw(deviation, CUT),
                Fill::Normal(deviation) | Fill::Embedding(deviation) => {
                    draw(deviation, f64::INFINITY)
                }
            })
            .collect();
        if let Fill::Embedding(_) = fill {
            let width = new.hidden_size;
            numbers[pad as usize * width..][..width].fill(0.0);
        }
        file.write(&numbers)?;
    }
    file.finish()?;
    copy_tokenizer_alone(tokenizer_folder, out)?;
    std::fs::write(&path, pretty(&config)).map_err(TrainError::io(&path))
}

fn bert_config(new: &NewModel) -> Value {
    json!({
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
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
        "type_vocab_size": TOKEN_TYPES,
    })
}

fn modernbert_config(new: &NewModel, tokenizer: &Tokenizer) -> Value {
    let (before, after) = tokenizer.around();
    let (cls, sep) = (before.first(), after.first());
    json!({
        "architectures": ["ModernBertForMaskedLM"],
        "attention_bias": false,
        "attention_dropout": new.attention_probs_dropout_prob,
        "bos_token_id": cls,
        "classifier_activation": new.hidden_act,
        "classifier_bias": false,
        "cls_token_id": cls,
        "decoder_bias": true,
        "embedding_dropout": new.hidden_dropout_prob,
        "eos_token_id": sep,
        "global_attn_every_n_layers": 1,
        "global_rope_theta": ROPE_THETA,
        "hidden_activation": new.hidden_act,
        "hidden_size": new.hidden_size,
        "initializer_cutoff_factor": CUT,
        "initializer_range": new.initializer_range,
        "intermediate_size": new.intermediate_size,
        "max_position_embeddings": new.max_position_embeddings,
        "mlp_bias": false,
        "mlp_dropout": new.hidden_dropout_prob,
        "model_type": "modernbert",
        "norm_bias": false,
        "norm_eps": new.layer_norm_eps,
        "num_attention_heads": new.num_attention_heads,
        "num_hidden_layers": new.num_hidden_layers,
        "sep_token_id": sep,
        "torch_dtype": "float32",
    })
}

type Tensors = Vec<(String, Vec<usize>, Fill)>;

/// Returns the tensors of transformers' `BertForMaskedLM`. The decoder shares the word embeddings.
fn bert(new: &NewModel, vocab: usize) -> Tensors {
    let mut list = Vec::new();
    let (hidden, inner, deviation) =
        (new.hidden_size, new.intermediate_size, new.initializer_range);
    let embeddings = [
        ("word_embeddings", vocab, Fill::Embedding(deviation)),
        ("position_embeddings", new.max_position_embeddings, Fill::Normal(deviation)),
        ("token_type_embeddings", TOKEN_TYPES, Fill::Normal(deviation)),
    ];
    for (name, rows, fill) in embeddings {
        list.push((format!("bert.embeddings.{name}.weight"), vec![rows, hidden], fill));
    }
    let linear = |list: &mut Tensors, name: &str, outputs: usize, inputs: usize| {
        list.push((format!("{name}.weight"), vec![outputs, inputs], Fill::Normal(deviation)));
        list.push((format!("{name}.bias"), vec![outputs], Fill::Constant(0.0)));
    };
    let norm = |list: &mut Tensors, name: &str| {
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

/// Returns the tensors of transformers' `ModernBertForMaskedLM`. The decoder shares the word
/// embeddings, and the first layer has no norm before its attention.
fn modernbert(new: &NewModel, vocab: usize) -> Tensors {
    let (hidden, inner, deviation) =
        (new.hidden_size, new.intermediate_size, new.initializer_range);
    let out = deviation / (2.0 * new.num_hidden_layers as f64).sqrt();
    let norm = |name: String| (format!("{name}.weight"), vec![hidden], Fill::Constant(1.0));
    let linear = |name: String, outputs: usize, inputs: usize, deviation: f64| {
        (format!("{name}.weight"), vec![outputs, inputs], Fill::Cut(deviation))
    };
    let mut list = vec![
        linear("model.embeddings.tok_embeddings".to_owned(), vocab, hidden, deviation),
        norm("model.embeddings.norm".to_owned()),
    ];
    for layer in 0..new.num_hidden_layers {
        let at = |part: &str| format!("model.layers.{layer}.{part}");
        if layer > 0 {
            list.push(norm(at("attn_norm")));
        }
        list.push(linear(at("attn.Wqkv"), 3 * hidden, hidden, deviation));
        list.push(linear(at("attn.Wo"), hidden, hidden, out));
        list.push(norm(at("mlp_norm")));
        list.push(linear(at("mlp.Wi"), 2 * inner, hidden, deviation));
        list.push(linear(at("mlp.Wo"), hidden, inner, out));
    }
    list.push(norm("model.final_norm".to_owned()));
    list.push(linear("head.dense".to_owned(), hidden, hidden, out));
    list.push(norm("head.norm".to_owned()));
    list.push(("decoder.bias".to_owned(), vec![vocab], Fill::Constant(0.0)));
    list
}

/// Draws a number from N(0, deviation) of at most `cut` standard deviations, with the transform of
/// Box and Muller (1958).
fn normal(random: &mut Random, deviation: f64, cut: f64) -> f32 {
    loop {
        let radius = (-2.0 * libm::log(1.0 - random.share())).sqrt();
        let draw = radius * libm::cos(TAU * random.share());
        if draw.abs() <= cut {
            return (deviation * draw) as f32;
        }
    }
}
