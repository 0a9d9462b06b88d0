//! The ONNX graph of BERT and its relatives.

use super::config::{BertConfig, BertFamily};
use crate::arch::family::{Architecture, Graph};
use crate::error::ModelError;
use crate::graph::proto::Element;
use crate::graph::{Builder, Inputs, Value};

impl Graph for BertConfig {
    fn build(&self, b: &mut Builder<'_>, inputs: &Inputs) -> Result<Value, ModelError> {
        let config = self;
        let names = config.family.names();
        let embedding = b.weight(names.embedding, false)?;
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
        self.word_head().graph(b, &x, &embedding)
    }
}

/// Returns RoBERTa's positions: tokens that are not padding are numbered from the padding id plus
/// one.
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
