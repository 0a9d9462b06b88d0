//! The architectures as graphs: token ids to the decoder's logits, `(batch, sequence, vocab)`.

use super::builder::{Builder, Value, int};
use super::proto::Element;
use crate::arch::{head::DecoderNames, modernbert};
use crate::config::{BertConfig, BertFamily, ModernBertConfig};
use crate::error::ModelError;

/// The inputs of a graph.
pub(super) struct Inputs {
    /// `(batch, sequence)`
    pub(super) ids: Value,
    /// 1 for a token, 0 for padding.
    pub(super) mask: Value,
    /// Where the model has several: 0 for the first text, 1 for the second.
    pub(super) token_types: Option<Value>,
}

/// BERT and what shares its layers.
pub(super) fn bert(
    b: &mut Builder<'_>,
    config: &BertConfig,
    inputs: &Inputs,
) -> Result<Value, ModelError> {
    let names = config.family.names();
    let embedding = b.weight(names.decoder.embedding, false)?;
    let words = b.op("Gather", &[&embedding, &inputs.ids], vec![]);
    let at = |part: &str| format!("{}.{part}", names.embeddings);
    let positions = b.weight(&at("position_embeddings.weight"), false)?;
    let places = match config.family {
        BertFamily::Roberta => places_after_padding(b, &inputs.ids, config.pad),
        _ => b.places(&inputs.ids),
    };
    let positions = b.op("Gather", &[&positions, &places], vec![]);
    let mut x = b.add(&words, &positions);
    if config.token_types > 0 {
        let types = b.weight(&at("token_type_embeddings.weight"), false)?;
        let rows = match &inputs.token_types {
            Some(types) => types.clone(),
            None => b.ints(&[0]),
        };
        let types = b.op("Gather", &[&types, &rows], vec![]);
        x = b.add(&x, &types);
    }
    x = b.norm(&x, &at("LayerNorm"), config.epsilon, true)?;
    if config.family == BertFamily::Electra && config.embedding != config.hidden {
        x = b.linear(&x, "electra.embeddings_project", true)?;
    }
    let bias = b.far_where_zero(&inputs.mask);
    let bias = b.unsqueeze(&bias, &[1, 2]);
    let width = config.hidden / config.heads;
    for layer in 0..config.layers {
        let at = |part: &str| format!("{}.{layer}.{part}", names.layers);
        let mut heads = Vec::new();
        for part in [names.layer.query, names.layer.key, names.layer.value] {
            let projected = b.linear(&x, &at(part), true)?;
            heads.push(b.heads(&projected, config.heads, width));
        }
        let context = b.attend([&heads[0], &heads[1], &heads[2]], width, &bias);
        let out = b.linear(&context, &at(names.layer.attention_out), true)?;
        let sum = b.add(&x, &out);
        x = b.norm(&sum, &at(names.layer.attention_norm), config.epsilon, true)?;
        let inner = b.linear(&x, &at(names.layer.up), true)?;
        let inner = b.activation(&inner, config.activation);
        let out = b.linear(&inner, &at(names.layer.down), true)?;
        let sum = b.add(&x, &out);
        x = b.norm(&sum, &at(names.layer.norm), config.epsilon, true)?;
    }
    x = b.linear(&x, names.dense, true)?;
    x = b.activation(&x, config.family.head_activation(config));
    x = b.norm(&x, names.dense_norm, config.epsilon, true)?;
    decoder(b, &x, &names.decoder, &embedding, config.tied)
}

/// RoBERTa's positions: tokens that are no padding count from one past the padding's id.
fn places_after_padding(b: &mut Builder<'_>, ids: &str, pad: u32) -> Value {
    let padding = b.ints(&[i64::from(pad)]);
    let is_padding = b.op("Equal", &[ids, &padding], vec![]);
    let is_token = b.op("Not", &[&is_padding], vec![]);
    let is_token = b.cast(&is_token, Element::Int64);
    let axis = b.ints(&[1]);
    let counted = b.op("CumSum", &[&is_token, &axis], vec![]);
    let counted = b.op("Mul", &[&counted, &is_token], vec![]);
    b.add(&counted, &padding)
}

/// ModernBERT.
pub(super) fn modernbert(
    b: &mut Builder<'_>,
    config: &ModernBertConfig,
    inputs: &Inputs,
) -> Result<Value, ModelError> {
    let (epsilon, biases) = (config.epsilon, config.biases);
    let embedding = b.weight(modernbert::EMBEDDING, false)?;
    let words = b.op("Gather", &[&embedding, &inputs.ids], vec![]);
    let mut x = b.norm(&words, "model.embeddings.norm", epsilon, biases.norm)?;
    let padding = b.far_where_zero(&inputs.mask);
    let global = b.unsqueeze(&padding, &[1, 2]);
    let places = b.places(&inputs.ids);
    let places = b.cast(&places, Element::Float);
    let local = if config.global.contains(&false) {
        let far = outside_window(b, &places, config.window);
        b.add(&global, &far)
    } else {
        global.clone()
    };
    let width = config.hidden / config.heads;
    let turns =
        [config.local_theta, config.global_theta].map(|theta| turns(b, &places, width, theta));
    for (layer, sees_all) in config.global.iter().enumerate() {
        let at = |part: &str| format!("model.layers.{layer}.{part}");
        let normed = match layer {
            0 => x.clone(),
            _ => b.norm(&x, &at("attn_norm"), epsilon, biases.norm)?,
        };
        let qkv = b.linear(&normed, &at("attn.Wqkv"), biases.attention)?;
        let mut heads: Vec<Value> =
            b.split(&qkv, 3).iter().map(|part| b.heads(part, config.heads, width)).collect();
        for part in &mut heads[..2] {
            *part = turned(b, part, &turns[usize::from(*sees_all)]);
        }
        let bias = if *sees_all { &global } else { &local };
        let context = b.attend([&heads[0], &heads[1], &heads[2]], width, bias);
        let out = b.linear(&context, &at("attn.Wo"), biases.attention)?;
        x = b.add(&x, &out);
        let normed = b.norm(&x, &at("mlp_norm"), epsilon, biases.norm)?;
        let inner = b.linear(&normed, &at("mlp.Wi"), biases.mlp)?;
        let parts = b.split(&inner, 2);
        let active = b.activation(&parts[0], config.activation);
        let gated = b.op("Mul", &[&active, &parts[1]], vec![]);
        let out = b.linear(&gated, &at("mlp.Wo"), biases.mlp)?;
        x = b.add(&x, &out);
    }
    x = b.norm(&x, "model.final_norm", epsilon, biases.norm)?;
    x = b.linear(&x, "head.dense", biases.head)?;
    x = b.activation(&x, config.head_activation);
    x = b.norm(&x, "head.norm", epsilon, biases.norm)?;
    decoder(b, &x, &modernbert::decoder_names(config), &embedding, config.tied)
}

/// A number far below zero where two tokens are more than the window apart: `(sequence, sequence)`.
fn outside_window(b: &mut Builder<'_>, places: &str, window: usize) -> Value {
    let [rows, columns] = [1, 0].map(|axis| b.unsqueeze(places, &[axis]));
    let apart = b.op("Sub", &[&rows, &columns], vec![]);
    let apart = b.op("Abs", &[&apart], vec![]);
    let window = b.scalar(window as f32);
    let is_near = b.op("LessOrEqual", &[&apart, &window], vec![]);
    b.far_where_zero(&is_near)
}

/// Cosines and sines of rotary positions (RoFormer, arXiv 2104.09864): `(sequence, width)` each.
fn turns(b: &mut Builder<'_>, places: &str, width: usize, theta: f64) -> [Value; 2] {
    // In 32 bits, as PyTorch has them.
    let frequency = |i: usize| 1.0 / (theta as f32).powf(2.0 * i as f32 / width as f32);
    let frequencies: Vec<f32> = (0..width / 2).map(frequency).collect();
    let frequencies = b.floats(&[1, width / 2], &frequencies);
    let places = b.unsqueeze(places, &[1]);
    let angles = b.op("Mul", &[&places, &frequencies], vec![]);
    let angles = b.op("Concat", &[&angles, &angles], vec![int("axis", -1)]);
    ["Cos", "Sin"].map(|op| b.op(op, &[&angles], vec![]))
}

/// Queries or keys with their positions.
fn turned(b: &mut Builder<'_>, x: &str, [cos, sin]: &[Value; 2]) -> Value {
    let halves = b.split(x, 2);
    let second = b.op("Neg", &[&halves[1]], vec![]);
    let rotated = b.op("Concat", &[&second, &halves[0]], vec![int("axis", -1)]);
    let straight = b.op("Mul", &[x, cos], vec![]);
    let rotated = b.op("Mul", &[&rotated, sin], vec![]);
    b.add(&straight, &rotated)
}

fn decoder(
    b: &mut Builder<'_>,
    x: &str,
    names: &DecoderNames<'_>,
    embedding: &str,
    tied: bool,
) -> Result<Value, ModelError> {
    let weight = match tied {
        true => b.transpose(embedding, &[1, 0]),
        false => b.weight(names.weight, true)?,
    };
    let logits = b.op("MatMul", &[x, &weight], vec![]);
    let bias = names.bias.iter().find(|name| b.has(name));
    match bias {
        Some(name) => {
            let bias = b.weight(name, false)?;
            Ok(b.add(&logits, &bias))
        }
        None => Ok(logits),
    }
}
