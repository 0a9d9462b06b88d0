//! Measures the throughput of the kernels in operations per second.
//!
//! `cargo bench -p splade-nn --bench kernels [-- FILTER]`; the filter `backward` selects the
//! gradients. The benchmarks run on one thread with the best instruction set of the CPU and the
//! shapes of BERT-base: 512 tokens (1,024 for the gradients of products and 1,600 for those of the
//! head), hidden 768, intermediate 3072, vocabulary 30522. The unit `elem/s` stands for operations
//! per second. A multiply-add of a useful output counts as two operations, and nothing else counts.
//! The machine's own limits come from `--bench peak`.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use splade_nn::{
    Activation, Attention, Dropout, Isa, KeyedTexts, LayerNorm, Linear, Matrix, PooledTerm,
    Pooling, Precision, Saturation, SavedNorm, Scratch, splade_head, splade_head_backward,
};

const TOKENS: usize = 512;
const HIDDEN: usize = 768;
const INTERMEDIATE: usize = 3072;
const HEADS: usize = 12;
const VOCAB: usize = 30522;
/// The number of tokens in a text; `TOKENS` tokens are four texts.
const TEXT: usize = 128;

/// Returns floats from -0.5 to 0.5 without a pattern (Knuth's multiplicative hash of the index).
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

/// The decoder with its pooling: `2 · tokens · hidden · vocab` operations.
fn head(c: &mut Criterion) {
    let (hidden, offsets) = (floats(TOKENS * HIDDEN), offsets());
    let mut group = c.benchmark_group("head");
    group.throughput(Throughput::Elements((2 * TOKENS * HIDDEN * VOCAB) as u64));
    for precision in [Precision::F32, Precision::Int8] {
        let mut decoder = linear(precision, VOCAB, HIDDEN);
        // Few terms have a weight above zero, as in a trained model.
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

/// Scores and contexts of every head: `4 · text · hidden` operations per token.
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

/// Layer norm with a residual, counted in floats normalised.
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

/// Runs `work` on one thread. Backward passes distribute their work over the pool that they run in.
fn alone(work: impl FnOnce() + Send) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.expect("a pool of one thread").install(work);
}

/// The number of tokens in a training batch.
const LEARNED: usize = 1024;

/// Gradients of linear layers: `2 · tokens · inputs · outputs` operations for the weights and as
/// many for the input.
fn products_backward(c: &mut Criterion) {
    let (inputs, outputs) = (HIDDEN, INTERMEDIATE);
    let layer = linear(Precision::F32, outputs, inputs);
    let (x, d) = (floats(LEARNED * inputs), floats(LEARNED * outputs));
    let (mut gradient, mut d_x) = (layer.zeros_like(), vec![0.0; LEARNED * inputs]);
    let mut scratch = Scratch::default();
    let mut group = c.benchmark_group("product backward");
    group.throughput(Throughput::Elements((2 * LEARNED * inputs * outputs) as u64));
    group.bench_function(format!("{inputs} to {outputs}, weights"), |b| {
        alone(|| b.iter(|| layer.backward_weights(&x, black_box(&d), &mut gradient, &mut scratch)));
    });
    group.bench_function(format!("{inputs} to {outputs}, input"), |b| {
        alone(|| b.iter(|| layer.backward_input(black_box(&d), &mut d_x, false, &mut scratch)));
    });
    group.finish();
}

/// Gradients of attention, which are five products per head and text: `10 · text · hidden`
/// operations per token.
fn attention_backward(c: &mut Criterion) {
    let head_dim = HIDDEN / HEADS;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let attention = Attention { heads: HEADS, head_dim, scale, window: None };
    let (qkv, d, offsets) = (floats(TOKENS * 3 * HIDDEN), floats(TOKENS * HIDDEN), offsets());
    let texts = KeyedTexts { offsets: &offsets, keys: &[1, 2, 3, 4] };
    let mut d_qkv = vec![0.0; TOKENS * 3 * HIDDEN];
    let mut group = c.benchmark_group("attention backward");
    group.throughput(Throughput::Elements((10 * TOKENS * TEXT * HIDDEN) as u64));
    for rate in [0.0, 0.1] {
        let dropout = Dropout::new(rate);
        group.bench_function(format!("{HEADS} heads of {head_dim}, dropout {rate}"), |b| {
            alone(|| {
                b.iter(|| {
                    let (isa, d) = (Isa::detect(), black_box(&d));
                    attention.backward(isa, &qkv, &texts, dropout, 0, d, &mut d_qkv);
                });
            });
        });
    }
    group.finish();
}

/// Gradients of layer norm, counted in floats.
fn layer_norm_backward(c: &mut Criterion) {
    let norm = LayerNorm { weight: floats(HIDDEN), bias: floats(HIDDEN), epsilon: 1e-12 };
    let (mut saved, mut gradient) = (SavedNorm::default(), norm.zeros_like());
    norm.forward_saved(Isa::detect(), &mut floats(TOKENS * HIDDEN), None, &mut saved);
    let first = floats(TOKENS * HIDDEN);
    let mut d = first.clone();
    let mut group = c.benchmark_group("layer norm backward");
    group.throughput(Throughput::Elements((TOKENS * HIDDEN) as u64));
    group.bench_function("of the input, the weight and the bias", |b| {
        alone(|| {
            b.iter(|| {
                // The gradient is replaced in place, so every iteration starts from the same
                // numbers.
                d.copy_from_slice(black_box(&first));
                norm.backward(Isa::detect(), &saved, &mut d, &mut gradient);
            });
        });
    });
    group.finish();
}

/// The gradient of maximum pooling: `4 · hidden` operations per term of a text.
fn head_backward(c: &mut Criterion) {
    const TEXTS: usize = 16;
    const LENGTH: usize = 100;
    let decoder = linear(Precision::F32, VOCAB, HIDDEN);
    let hidden = floats(TEXTS * LENGTH * HIDDEN);
    let offsets: Vec<usize> = (0..=TEXTS).map(|text| text * LENGTH).collect();
    let (mut d_hidden, mut gradient) = (vec![0.0; hidden.len()], decoder.zeros_like());
    let mut scratch = Scratch::default();
    let mut group = c.benchmark_group("head backward");
    // The numbers of terms are those of a trained model and of a model at the start of training.
    for terms in [150, 15_000] {
        let pooled: Vec<Vec<PooledTerm>> =
            (0..TEXTS).map(|text| winners(terms, LENGTH, text)).collect();
        let d = vec![vec![0.01; terms]; TEXTS];
        group.throughput(Throughput::Elements((4 * TEXTS * terms * HIDDEN) as u64));
        group.bench_function(format!("{TEXTS} texts of {terms} terms"), |b| {
            alone(|| {
                b.iter(|| {
                    splade_head_backward(
                        &decoder,
                        &hidden,
                        &offsets,
                        Pooling::Max,
                        Saturation::Log1pRelu,
                        black_box(&pooled),
                        &d,
                        &mut d_hidden,
                        &mut gradient,
                        &mut scratch,
                    );
                });
            });
        });
    }
    group.finish();
}

/// Returns terms spread over the vocabulary whose winning tokens have no pattern.
fn winners(terms: usize, tokens: usize, text: usize) -> Vec<PooledTerm> {
    let winner = |i: usize| {
        // Texts share some terms and not others.
        let term = (i * VOCAB / terms + text % 2) as u32;
        let position = term.wrapping_mul(2_654_435_761) >> 8;
        PooledTerm { term, weight: 0.5, position: position % tokens as u32 }
    };
    (0..terms).map(winner).collect()
}

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(20);
    targets = products, head, attention, layer_norm, products_backward, head_backward,
        attention_backward, layer_norm_backward
}
criterion_main!(kernels);
