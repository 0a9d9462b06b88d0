//! How fast the kernels are, in operations a second.
//!
//! `cargo bench -p splade-nn --bench kernels [-- FILTER]`. One thread, the best instruction set of
//! the CPU, the shapes of BERT-base: 512 tokens, hidden 768, intermediate 3072, vocabulary 30522.
//! `elem/s` are operations: a multiply-add of useful outputs counts as two, nothing else counts.
//! Beside them stand the machine's own limits, from `--bench peak`.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use splade_nn::{
    Activation, Attention, Isa, LayerNorm, Linear, Matrix, Pooling, Precision, Saturation,
    splade_head,
};

const TOKENS: usize = 512;
const HIDDEN: usize = 768;
const INTERMEDIATE: usize = 3072;
const HEADS: usize = 12;
const VOCAB: usize = 30522;
/// Tokens of a text: `TOKENS` are four texts.
const TEXT: usize = 128;

/// Floats from -0.5 to 0.5 without a pattern (Knuth's multiplicative hash of the index).
fn floats(len: usize) -> Vec<f32> {
    let hash = |i: usize| (i as u32).wrapping_mul(2_654_435_761);
    (0..len).map(|i| (hash(i) >> 8) as f32 / (1 << 24) as f32 - 0.5).collect()
}

fn linear(precision: Precision, outputs: usize, inputs: usize) -> Linear {
    let weight = floats(outputs * inputs);
    let weight = Matrix::pack(Isa::detect(), precision, &weight, outputs, inputs);
    Linear { weight, bias: Some(floats(outputs)) }
}

fn offsets() -> Vec<usize> {
    (0..=TOKENS).step_by(TEXT).collect()
}

/// Linear layers: `2 · tokens · inputs · outputs` operations.
fn products(c: &mut Criterion) {
    for precision in [Precision::F32, Precision::Int8] {
        let mut group = c.benchmark_group(format!("product {precision}"));
        for (inputs, outputs, activation) in [
            (HIDDEN, HIDDEN, Activation::Identity),
            (HIDDEN, INTERMEDIATE, Activation::Identity),
            (HIDDEN, INTERMEDIATE, Activation::Gelu),
            (INTERMEDIATE, HIDDEN, Activation::Identity),
        ] {
            let (layer, input) = (linear(precision, outputs, inputs), floats(TOKENS * inputs));
            let mut output = vec![0.0; TOKENS * outputs];
            group.throughput(Throughput::Elements((2 * TOKENS * inputs * outputs) as u64));
            group.bench_function(format!("{inputs} to {outputs}, {activation:?}"), |b| {
                b.iter(|| layer.forward(black_box(&input), activation, &mut output, false));
            });
        }
        group.finish();
    }
}

/// The decoder and the pooling: `2 · tokens · hidden · vocab` operations.
fn head(c: &mut Criterion) {
    let (hidden, offsets) = (floats(TOKENS * HIDDEN), offsets());
    let mut group = c.benchmark_group("head");
    group.throughput(Throughput::Elements((2 * TOKENS * HIDDEN * VOCAB) as u64));
    for precision in [Precision::F32, Precision::Int8] {
        let mut decoder = linear(precision, VOCAB, HIDDEN);
        // Few terms above zero, as a trained model has them.
        decoder.bias = Some(vec![-5.0; VOCAB]);
        group.bench_function(precision.to_string(), |b| {
            b.iter(|| {
                let hidden = black_box(&hidden);
                splade_head(&decoder, hidden, &offsets, Pooling::Max, Saturation::Log1pRelu, false)
            });
        });
    }
    group.finish();
}

/// Scores and contexts of every head: `4 · text · hidden` operations a token.
fn attention(c: &mut Criterion) {
    let head_dim = HIDDEN / HEADS;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let attention = Attention { heads: HEADS, head_dim, scale, window: None };
    let (qkv, offsets) = (floats(TOKENS * 3 * HIDDEN), offsets());
    let mut context = vec![0.0; TOKENS * HIDDEN];
    let mut group = c.benchmark_group("attention");
    group.throughput(Throughput::Elements((4 * TOKENS * TEXT * HIDDEN) as u64));
    group.bench_function(format!("{HEADS} heads of {head_dim}"), |b| {
        b.iter(|| {
            let qkv = black_box(&qkv);
            attention.forward(Isa::detect(), qkv, &offsets, None, &mut context, false);
        });
    });
    group.finish();
}

/// Layer norm with its residual: floats normalised.
fn layer_norm(c: &mut Criterion) {
    let norm = LayerNorm { weight: floats(HIDDEN), bias: floats(HIDDEN), epsilon: 1e-12 };
    let (mut hidden, residual) = (floats(TOKENS * HIDDEN), floats(TOKENS * HIDDEN));
    let mut group = c.benchmark_group("layer norm");
    group.throughput(Throughput::Elements((TOKENS * HIDDEN) as u64));
    group.bench_function("with residual", |b| {
        b.iter(|| norm.forward(Isa::detect(), &mut hidden, Some(black_box(&residual))));
    });
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(20);
    targets = products, head, attention, layer_norm
}
criterion_main!(kernels);
