//! Checks that every kernel gives the same bits on every instruction set.
//!
//! Each case runs on all instruction sets of this machine and is compared with the portable one,
//! number by number. A hash of its bits is compared with a constant, so that machines with
//! different instruction sets are compared with each other. Sizes are odd, so that every tail and
//! tile is used. NaNs may have any payload; all other bits must be equal. After an intended change
//! of the arithmetic, copy the new table that the failing test prints.

use crate::common::{ACTIVATIONS, numbers, offsets, rows};
use splade_nn::{
    Activation, Attention, Dropout, Isa, KeyedTexts, LayerNorm, Linear, LogBuckets, Matrix,
    PackedMatrix, Pooling, Precision, RelativePositions, Rotary, Saturation, SavedNorm, Scratch,
    activate, activation_backward, cross_entropy, cross_entropy_backward, gated_activation,
    gated_backward, splade_head, splade_head_backward,
};

/// The hash of each case, in the order of `CASES`.
const GOLDEN: [(&str, u64); 20] = [
    ("products f32", 0xd56d46e6a4d80819),
    ("products int8", 0xb78c0ca428a57df2),
    ("layer norm", 0x6c2f96f52098c924),
    ("layer norm backward", 0x0f2c557e73fd88dd),
    ("attention", 0x75e86d78b1468b19),
    ("attention of wild numbers", 0xa4fdbb4151e5c298),
    ("attention windowed", 0xda82fcfd6d6de52b),
    ("attention relative", 0xf3c0515f0224fdd5),
    ("attention relative, log buckets", 0xb5d476da843763a0),
    ("attention rotary", 0x58fe1147841b0e78),
    ("attention backward", 0x535fa28d013813b0),
    ("attention backward, windowed and dropped", 0x607eae4ab807bb92),
    ("head f32", 0x353097747b1e015f),
    ("head int8", 0x8e9e234f75c24c04),
    ("head backward", 0x33774a3321347b39),
    ("linear backward", 0x093385e0b3310865),
    ("activations", 0x1b5b9bcdb4763330),
    ("gated activations", 0x0b1c8bcb697daf0b),
    ("dropout", 0x7333952e534d93d1),
    ("cross entropy", 0x2c719011aaef03d1),
];

/// Lengths of texts around the blocks of the kernels, 286 tokens in all.
const LENGTHS: [usize; 6] = [1, 5, 17, 64, 69, 130];

/// Returns numbers from -4 to 4.
fn wide(seed: u64, count: usize) -> Vec<f32> {
    numbers(seed, count).into_iter().map(|x| 4.0 * x).collect()
}

/// Returns numbers of every kind: zeros of both signs, subnormal, huge, infinite and NaN.
fn wild(seed: u64, count: usize) -> Vec<f32> {
    let kinds = [
        0.0,
        -0.0,
        f32::from_bits(1),
        -f32::MIN_POSITIVE / 3.0,
        1e30,
        -1e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        -88.5,
        1e-20,
        -1e-30,
    ];
    let mut x = wide(seed, count);
    for (i, x) in x.iter_mut().enumerate().filter(|(i, _)| i % 5 == 3) {
        *x = kinds[i / 5 % kinds.len()];
    }
    x
}

fn linear(isa: Isa, precision: Precision, outputs: usize, inputs: usize) -> Linear {
    let weight = numbers(outputs as u64, outputs * inputs);
    let weight = Matrix::pack(isa, precision, &weight, outputs, inputs);
    Linear { weight, bias: Some(numbers(77, outputs)) }
}

fn products(isa: Isa, precision: Precision) -> Vec<f32> {
    let mut out = Vec::new();
    for (tokens, inputs, outputs) in [(1, 1, 1), (7, 300, 101), (131, 37, 50), (3, 515, 47)] {
        let layer = linear(isa, precision, outputs, inputs);
        for activation in ACTIVATIONS {
            let mut y = vec![0.0; tokens * outputs];
            layer.forward(&numbers(9, tokens * inputs), activation, &mut y, false);
            out.extend(y);
        }
        let mut y = vec![0.0; tokens * outputs];
        let x = wild(10, tokens * inputs);
        layer.weight.multiply(&x, None, Activation::Identity, &mut y, true);
        out.extend(y);
        let mut row = vec![0.0; inputs];
        layer.weight.copy_row(outputs - 1, &mut row);
        out.extend(row);
    }
    out
}

/// Runs layer norms of many widths on plain rows, rows with a residual, and rows with every kind of
/// number.
fn norms(run: impl Fn(&LayerNorm, Vec<f32>, Option<&[f32]>) -> Vec<f32>) -> Vec<f32> {
    let mut out = Vec::new();
    for hidden in [1, 2, 7, 8, 15, 16, 17, 31, 67, 384, 773] {
        let (weight, bias) = (numbers(3, hidden), numbers(4, hidden));
        let norm = LayerNorm { weight, bias, epsilon: 1e-12 };
        let x = wide(hidden as u64, 3 * hidden);
        out.extend(run(&norm, x.clone(), None));
        out.extend(run(&norm, x, Some(&numbers(5, 3 * hidden))));
        let zeros = [vec![-0.0; hidden], vec![0.0; hidden], vec![1e-30; hidden]].concat();
        out.extend(run(&norm, zeros, None));
        out.extend(run(&norm, wild(6, 3 * hidden), None));
    }
    out
}

fn layer_norm(isa: Isa) -> Vec<f32> {
    norms(|norm, mut x, residual| {
        norm.forward(isa, &mut x, residual);
        x
    })
}

fn layer_norm_backward(isa: Isa) -> Vec<f32> {
    norms(|norm, mut x, residual| {
        let mut saved = SavedNorm::default();
        norm.forward_saved(isa, &mut x, residual, &mut saved);
        let (mut again, mut gradient) = (Vec::new(), norm.zeros_like());
        norm.restore(isa, &saved, &mut again);
        let mut d = numbers(8, x.len());
        norm.backward(isa, &saved, &mut d, &mut gradient);
        [x, again, d, gradient.weight, gradient.bias].concat()
    })
}

fn attention(window: Option<usize>) -> Attention {
    Attention { heads: 2, head_dim: 22, scale: 0.3, window }
}

fn queries_keys_values(seed: u64) -> Vec<f32> {
    wide(seed, LENGTHS.iter().sum::<usize>() * 3 * 44)
}

fn attend(
    isa: Isa,
    window: Option<usize>,
    relative: Option<&RelativePositions>,
    qkv: &[f32],
) -> Vec<f32> {
    let mut context = vec![0.0; qkv.len() / 3];
    attention(window).forward(isa, qkv, &offsets(&LENGTHS), relative, &mut context, true);
    context
}

fn relative(isa: Isa, log_buckets: Option<LogBuckets>) -> Vec<f32> {
    let span = log_buckets.map_or(40, |log| log.buckets);
    let table = |seed: u64| -> Vec<_> {
        let head = |h| PackedMatrix::pack(isa, &numbers(seed + h, 2 * span * 22), 2 * span, 22);
        (0..2).map(head).collect()
    };
    let relative = RelativePositions {
        span,
        log_buckets,
        keys: table(20),
        queries: table(30),
        biases: Vec::new(),
    };
    attend(isa, None, Some(&relative), &queries_keys_values(1))
}

fn rotary(isa: Isa) -> Vec<f32> {
    let rotary = Rotary::new(22, 160_000.0);
    let (mut qkv, offsets) = (queries_keys_values(2), offsets(&LENGTHS));
    rotary.rotate(&mut qkv, 2, &offsets);
    let mut back = qkv.clone();
    rotary.rotate_back(&mut back, 2, &offsets);
    [attend(isa, Some(9), None, &qkv), qkv, back].concat()
}

fn attention_backward(isa: Isa, window: Option<usize>, rate: f64) -> Vec<f32> {
    let (qkv, offsets, keys) = (queries_keys_values(3), offsets(&LENGTHS), [5, 6, 7, 8, 9, 10]);
    let (texts, dropout) = (KeyedTexts { offsets: &offsets, keys: &keys }, Dropout::new(rate));
    let (mut context, mut d_qkv) = (vec![0.0; qkv.len() / 3], vec![0.0; qkv.len()]);
    let attention = attention(window);
    attention.forward_dropped(isa, &qkv, &texts, dropout, 2, &mut context);
    let d = numbers(11, context.len());
    attention.backward(isa, &qkv, &texts, dropout, 2, &d, &mut d_qkv);
    [context, d_qkv].concat()
}

fn heads(
    isa: Isa,
    precision: Precision,
    run: impl Fn(&Linear, Pooling, Saturation) -> Vec<f32>,
) -> Vec<f32> {
    let decoder = linear(isa, precision, 1009, 35);
    let mut out = Vec::new();
    for pooling in [Pooling::Max, Pooling::Sum] {
        for saturation in [Saturation::Log1pRelu, Saturation::Log1pLog1pRelu] {
            out.extend(run(&decoder, pooling, saturation));
        }
    }
    out
}

fn head(isa: Isa, precision: Precision) -> Vec<f32> {
    let offsets = offsets(&LENGTHS);
    heads(isa, precision, |decoder, pooling, saturation| {
        let mut out = Vec::new();
        for hidden in [numbers(12, 286 * 35), wild(13, 286 * 35)] {
            let pooled = splade_head(decoder, &hidden, &offsets, pooling, saturation, true);
            for term in pooled.iter().flatten() {
                out.extend([term.term as f32, term.weight, term.position as f32]);
            }
        }
        out
    })
}

fn head_backward(isa: Isa) -> Vec<f32> {
    let (offsets, hidden) = (offsets(&LENGTHS), numbers(12, 286 * 35));
    heads(isa, Precision::F32, |decoder, pooling, saturation| {
        let pooled = splade_head(decoder, &hidden, &offsets, pooling, saturation, true);
        let gradients: Vec<_> = pooled.iter().map(|terms| numbers(14, terms.len())).collect();
        let (mut d_hidden, mut gradient) = (numbers(15, hidden.len()), decoder.zeros_like());
        splade_head_backward(
            decoder,
            &hidden,
            &offsets,
            pooling,
            saturation,
            &pooled,
            &gradients,
            &mut d_hidden,
            &mut gradient,
            &mut Scratch::default(),
        );
        [d_hidden, rows(&gradient.weight), gradient.bias.unwrap_or_default()].concat()
    })
}

fn linear_backward(isa: Isa) -> Vec<f32> {
    let mut out = Vec::new();
    for (tokens, inputs, outputs) in [(1, 1, 1), (300, 141, 53), (5, 50, 301)] {
        let layer = linear(isa, Precision::F32, outputs, inputs);
        let (x, d) = (numbers(16, tokens * inputs), wide(17, tokens * outputs));
        let (mut gradient, mut scratch) = (layer.zeros_like(), Scratch::default());
        let mut d_input = numbers(18, x.len());
        layer.backward_weights(&x, &d, &mut gradient, &mut scratch);
        layer.backward_weights(&x, &d, &mut gradient, &mut scratch);
        layer.backward_input(&d, &mut d_input, true, &mut scratch);
        out.extend(d_input);
        out.extend(rows(&gradient.weight));
        out.extend(gradient.bias.unwrap_or_default());
    }
    out
}

fn activations(isa: Isa) -> Vec<f32> {
    let mut out = Vec::new();
    for activation in ACTIVATIONS {
        for x in [wide(19, 1003), numbers(20, 17), wild(21, 1003)] {
            let (mut y, mut d) = (vec![0.0; x.len()], numbers(22, x.len()));
            activate(isa, activation, &x, &mut y);
            activation_backward(isa, activation, &x, &mut d);
            out.extend([y, d].concat());
        }
    }
    out
}

fn gates(isa: Isa) -> Vec<f32> {
    let mut out = Vec::new();
    for activation in ACTIVATIONS {
        for (tokens, width) in [(3, 1), (5, 67), (2, 128)] {
            let x = wild(23, tokens * 2 * width);
            let (mut y, mut d_x) = (vec![0.0; tokens * width], vec![0.0; x.len()]);
            gated_activation(isa, &x, &mut y, width, activation);
            gated_backward(isa, activation, &x, &numbers(24, y.len()), &mut d_x, width);
            out.extend([y, d_x].concat());
        }
    }
    out
}

fn dropout(isa: Isa) -> Vec<f32> {
    let (offsets, keys) = (offsets(&LENGTHS), [1, 2, 3, 4, 5, 6]);
    let mut x = wild(25, 286 * 19);
    let dropout = Dropout::new(0.1).expect("above 0");
    dropout.apply(isa, &KeyedTexts { offsets: &offsets, keys: &keys }, 3, &mut x);
    x
}

fn losses(isa: Isa) -> Vec<f32> {
    let decoder = linear(isa, Precision::F32, 1009, 35);
    let (hidden, targets) = (numbers(26, 41 * 35), (0..41).map(|i| i * 24).collect::<Vec<u32>>());
    let (mut gradient, mut d_hidden) = (decoder.zeros_like(), vec![0.0; hidden.len()]);
    let loss = cross_entropy(&decoder, &hidden, &targets);
    let scratch = &mut Scratch::default();
    let again = cross_entropy_backward(
        &decoder,
        &hidden,
        &targets,
        0.7,
        &mut d_hidden,
        &mut gradient,
        scratch,
    );
    assert_eq!(loss, again);
    // All bits of the loss are kept, as numbers that a float holds exactly.
    let bits = loss.loss.to_bits();
    let loss = (0..4).map(|part| (bits >> (16 * part) & 0xffff) as f32).collect();
    [loss, d_hidden, rows(&gradient.weight), gradient.bias.unwrap_or_default()].concat()
}

type Case = (&'static str, fn(Isa) -> Vec<f32>);

const CASES: [Case; 20] = [
    ("products f32", |isa| products(isa, Precision::F32)),
    ("products int8", |isa| products(isa, Precision::Int8)),
    ("layer norm", layer_norm),
    ("layer norm backward", layer_norm_backward),
    ("attention", |isa| attend(isa, None, None, &queries_keys_values(1))),
    ("attention of wild numbers", |isa| {
        let qkv = wild(4, LENGTHS.iter().sum::<usize>() * 3 * 44);
        attend(isa, None, None, &qkv)
    }),
    ("attention windowed", |isa| attend(isa, Some(3), None, &queries_keys_values(1))),
    ("attention relative", |isa| relative(isa, None)),
    ("attention relative, log buckets", |isa| {
        relative(isa, Some(LogBuckets { buckets: 32, max_position: 128 }))
    }),
    ("attention rotary", rotary),
    ("attention backward", |isa| attention_backward(isa, None, 0.0)),
    ("attention backward, windowed and dropped", |isa| attention_backward(isa, Some(20), 0.1)),
    ("head f32", |isa| head(isa, Precision::F32)),
    ("head int8", |isa| head(isa, Precision::Int8)),
    ("head backward", head_backward),
    ("linear backward", linear_backward),
    ("activations", activations),
    ("gated activations", gates),
    ("dropout", dropout),
    ("cross entropy", losses),
];

/// Returns the 64-bit FNV-1a hash of the bits of all numbers.
fn hash(numbers: &[u32]) -> u64 {
    let bytes = numbers.iter().flat_map(|x| x.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Returns the bits of numbers, with all NaNs alike.
fn bits(numbers: Vec<f32>) -> Vec<u32> {
    numbers.into_iter().map(|x| if x.is_nan() { f32::NAN } else { x }.to_bits()).collect()
}

#[test]
fn every_kernel_on_every_instruction_set() {
    let (mut wrong, mut table) = (Vec::new(), String::new());
    for (i, (name, run)) in CASES.iter().enumerate() {
        let isas = Isa::supported();
        let portable = bits(run(isas[isas.len() - 1]));
        for isa in isas {
            let got = bits(run(isa));
            let first = got.iter().zip(&portable).position(|(a, b)| a != b);
            if let Some(i) = first {
                let [a, b] = [got[i], portable[i]].map(f32::from_bits);
                wrong.push(format!("{name}: {isa} has {a:e} at {i}, portable {b:e}"));
            }
            if got.len() != portable.len() {
                wrong.push(format!("{name}: {isa} has a different length"));
            }
        }
        let hash = hash(&portable);
        if GOLDEN.get(i) != Some(&(*name, hash)) {
            wrong.push(format!("{name}: the hash differs from the constant"));
        }
        table += &format!("    ({name:?}, 0x{hash:016x}),\n");
    }
    assert!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
}
