//! The ONNX graph of ModernBERT.

use super::config::{EMBEDDING, ModernBertConfig};
use crate::arch::family::{Architecture, Graph};
use crate::error::ModelError;
use crate::graph::proto::Element;
use crate::graph::{Builder, Inputs, Value, int};

impl Graph for ModernBertConfig {
    fn build(&self, b: &mut Builder<'_>, inputs: &Inputs) -> Result<Value, ModelError> {
        let config = self;
        let (epsilon, biases) = (config.epsilon, config.biases);
        let embedding = b.weight(EMBEDDING, false)?;
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
        self.word_head().graph(b, &x, &embedding)
    }
}

/// Returns a bias, `(sequence, sequence)`, that is far below zero where two tokens are further
/// apart than the window.
fn outside_window(b: &mut Builder<'_>, places: &str, window: usize) -> Value {
    let [rows, columns] = [1, 0].map(|axis| b.unsqueeze(places, &[axis]));
    let apart = b.op("Sub", &[&rows, &columns], vec![]);
    let apart = b.op("Abs", &[&apart], vec![]);
    let window = b.scalar(window as f32);
    let is_near = b.op("LessOrEqual", &[&apart, &window], vec![]);
    b.far_where_zero(&is_near)
}

/// Returns the cosines and sines of the rotary positions (RoFormer, arXiv 2104.09864),
/// `(sequence, width)` each.
fn turns(b: &mut Builder<'_>, places: &str, width: usize, theta: f64) -> [Value; 2] {
    // The frequencies are computed in 32 bits, as in PyTorch.
    let frequency = |i: usize| 1.0 / (theta as f32).powf(2.0 * i as f32 / width as f32);
    let frequencies: Vec<f32> = (0..width / 2).map(frequency).collect();
    let frequencies = b.floats(&[1, width / 2], &frequencies);
    let places = b.unsqueeze(places, &[1]);
    let angles = b.op("Mul", &[&places, &frequencies], vec![]);
    let angles = b.op("Concat", &[&angles, &angles], vec![int("axis", -1)]);
    ["Cos", "Sin"].map(|op| b.op(op, &[&angles], vec![]))
}

/// Rotates queries or keys by the angles of their positions.
fn turned(b: &mut Builder<'_>, x: &str, [cos, sin]: &[Value; 2]) -> Value {
    let halves = b.split(x, 2);
    let second = b.op("Neg", &[&halves[1]], vec![]);
    let rotated = b.op("Concat", &[&second, &halves[0]], vec![int("axis", -1)]);
    let straight = b.op("Mul", &[x, cos], vec![]);
    let rotated = b.op("Mul", &[&rotated, sin], vec![]);
    b.add(&straight, &rotated)
}
