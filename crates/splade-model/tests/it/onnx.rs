//! Runs exported ONNX graphs with another program (rten) and compares the results with our vectors.
//! `scripts/reference/onnx_models.py` runs the graphs with onnxruntime.

use std::path::{Path, PathBuf};

use rten::Model;
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use splade_model::export::{ExportOptions, OnnxOutput, export_model};
use splade_model::folder::{Pooling, Saturation};
use splade_model::{Encoder, EncoderOptions};

const TEXTS: [&str; 3] =
    ["朝の電車で東京へ", "The night train to Vienna was late, and nobody minded.", "a"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference").join(name)
}

/// Returns the weights that the graph computes for one padded batch of the texts, `(texts, vocab)`.
fn by_graph(folder: &Path, encoder: &Encoder, output: OnnxOutput) -> Vec<Vec<f32>> {
    let encode = |text: &&str| encoder.tokenizer().encode(text, None).expect("ids").ids;
    let texts: Vec<Vec<u32>> = TEXTS.iter().map(encode).collect();
    let longest = texts.iter().map(Vec::len).max().expect("texts");
    // The padding id is that of transformers; the mask hides it.
    let config = std::fs::read(folder.join("config.json")).expect("a config");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    let pad = config["pad_token_id"].as_i64().unwrap_or(0) as i32;
    let cell = |row: usize, column: usize| texts[row].get(column).copied();
    let shape = [texts.len(), longest];
    let ids = NdTensor::from_fn(shape, |[r, c]| cell(r, c).map_or(pad, |id| id as i32));
    let mask = NdTensor::from_fn(shape, |[r, c]| i32::from(cell(r, c).is_some()));
    let types = NdTensor::<i32, 2>::zeros(shape);
    let model = Model::load_file(folder.join("model.onnx")).expect("a graph");
    let mut inputs = vec![
        (model.node_id("input_ids").expect("an input"), ids.view().into()),
        (model.node_id("attention_mask").expect("an input"), mask.view().into()),
    ];
    if let Some(id) = model.find_node("token_type_ids") {
        inputs.push((id, types.view().into()));
    }
    let name = if output == OnnxOutput::Logits { "logits" } else { "sparse_vector" };
    let [result] = model
        .run_n(inputs, [model.node_id(name).expect("an output")], None)
        .expect("the graph runs");
    match output {
        OnnxOutput::Vector => {
            let result: NdTensor<f32, 2> = result.try_into().expect("(batch, vocab)");
            let row = |r| result.slice(r).iter().copied().collect();
            (0..texts.len()).map(row).collect()
        }
        OnnxOutput::Logits => {
            let result: NdTensor<f32, 3> = result.try_into().expect("(batch, sequence, vocab)");
            let pooled = |r: usize| {
                let weight = |term: usize| {
                    let logits = (0..texts[r].len()).map(|token| result[[r, token, term]]);
                    logits.map(|x| x.max(0.0).ln_1p()).fold(0.0, f32::max)
                };
                (0..encoder.vocab()).map(weight).collect()
            };
            (0..texts.len()).map(pooled).collect()
        }
    }
}

#[test]
fn graphs_give_our_vectors() {
    let mut wrong = Vec::new();
    let models = [
        ("bert", OnnxOutput::Logits),
        ("bert", OnnxOutput::Vector),
        ("bert-gelu-new", OnnxOutput::Vector),
        ("bert-relu", OnnxOutput::Vector),
        ("bert-silu", OnnxOutput::Vector),
        ("bert-untied", OnnxOutput::Vector),
        ("bert-japanese", OnnxOutput::Vector),
        ("roberta", OnnxOutput::Vector),
        ("xlm-roberta", OnnxOutput::Vector),
        ("electra", OnnxOutput::Vector),
        ("distilbert", OnnxOutput::Vector),
        ("modernbert", OnnxOutput::Vector),
        ("modernbert-biases", OnnxOutput::Vector),
    ];
    for (name, output) in models {
        let to = tempfile::tempdir().expect("a folder");
        let options = ExportOptions { onnx: Some(output), ..Default::default() };
        let exported = export_model(&fixture(name), to.path(), &options).expect("exported");
        assert_eq!(exported.head, (Pooling::Max, Saturation::Log1pRelu), "{name}");
        let options = EncoderOptions { threads: Some(1), ..Default::default() };
        let encoder = Encoder::load(to.path(), &options).expect("a model");
        let want = encoder.encode(&TEXTS).expect("vectors");
        let got = by_graph(to.path(), &encoder, output);
        for (text, (want, got)) in TEXTS.iter().zip(want.iter().zip(&got)) {
            assert!(!want.is_empty(), "{name}: {text} has no terms");
            let mut dense = vec![0.0; encoder.vocab()];
            want.iter().for_each(|(term, weight)| dense[term.0 as usize] = weight);
            let error = dense.iter().zip(got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Both programs sum in 32 bits but in different orders.
            if error.is_nan() || error >= 2e-5 {
                wrong.push(format!("{name} {output:?} {text}: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_has_no_graph_is_refused_before_anything_is_written() {
    let to = tempfile::tempdir().expect("a folder");
    let options = ExportOptions { onnx: Some(OnnxOutput::Logits), ..Default::default() };
    let error = export_model(&fixture("deberta-v2"), to.path(), &options).expect_err("refused");
    assert!(error.to_string().contains("ONNX is not written for DeBERTa-v2"), "{error}");
    assert_eq!(std::fs::read_dir(to.path()).expect("a folder").count(), 0);
}
