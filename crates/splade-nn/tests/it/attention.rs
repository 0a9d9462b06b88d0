//! Compares attention and rotary positions on every instruction set with f64.

use crate::common::{differs, dot, numbers, offsets, on_all};
use proptest::prelude::*;
use splade_nn::{Attention, Isa, LogBuckets, PackedMatrix, RelativePositions, Rotary};

/// The position tables of each head before they are packed, `(2 · span, head_dim)`.
struct Tables {
    span: usize,
    log_buckets: Option<LogBuckets>,
    keys: Vec<Vec<f32>>,
    queries: Vec<Vec<f32>>,
    /// The number that is added to the score of each row, for each head.
    biases: Vec<Vec<f32>>,
}

impl Tables {
    fn pack(&self, isa: Isa, head_dim: usize) -> RelativePositions {
        let pack = |tables: &[Vec<f32>]| {
            let table = |table: &Vec<f32>| PackedMatrix::pack(isa, table, 2 * self.span, head_dim);
            tables.iter().map(table).collect()
        };
        let (keys, queries) = (pack(&self.keys), pack(&self.queries));
        RelativePositions {
            span: self.span,
            log_buckets: self.log_buckets,
            keys,
            queries,
            biases: self.biases.clone(),
        }
    }

    /// Returns the row for a query that is `delta` tokens after its key, by DeBERTa-v2's
    /// make_log_bucket_position and its clamp, in f64.
    fn row(&self, delta: i64) -> usize {
        let bucket = match self.log_buckets {
            Some(log) if delta.unsigned_abs() as usize > log.buckets / 2 => {
                let middle = (log.buckets / 2) as f64;
                let far = (delta.abs() as f64 / middle).ln();
                let scale = ((log.max_position - 1) as f64 / middle).ln();
                // Exact powers give whole numbers, which f64 may miss by its last bit.
                let log_position = (far / scale * (middle - 1.0) - 1e-9).ceil() + middle;
                delta.signum() * log_position as i64
            }
            _ => delta,
        };
        (bucket + self.span as i64).clamp(0, 2 * self.span as i64 - 1) as usize
    }
}

/// Computes all contexts directly from the definition of attention.
fn attend(
    shape: &Attention,
    qkv: &[f32],
    offsets: &[usize],
    attended: &[usize],
    tables: Option<&Tables>,
) -> Vec<f64> {
    let (heads, dim) = (shape.heads, shape.head_dim);
    let hidden = heads * dim;
    let mut context = vec![0.0; offsets[offsets.len() - 1] * hidden];
    for (number, text) in offsets.windows(2).enumerate() {
        let keys = attended.get(number).map_or(text[1], |keys| text[0] + keys);
        let places = (text[0]..text[1]).flat_map(|q| (0..heads).map(move |head| (q, head)));
        for (query, head) in places {
            let part = |token: usize, part: usize| {
                &qkv[token * 3 * hidden + part * hidden + head * dim..][..dim]
            };
            let sees = |key: &usize| shape.window.is_none_or(|w| key.abs_diff(query) <= w);
            let mut seen: Vec<usize> = (text[0]..keys).filter(sees).collect();
            if seen.is_empty() {
                seen.push(keys - 1);
            }
            let score = |key: &usize| {
                let mut score = dot(part(query, 0), part(*key, 1));
                if let Some(tables) = tables {
                    let row = tables.row(query as i64 - *key as i64);
                    let at = |tables: &[Vec<f32>], x: &[f32]| {
                        tables.get(head).map_or(0.0, |table| dot(&table[row * dim..][..dim], x))
                    };
                    score += at(&tables.keys, part(query, 0)) + at(&tables.queries, part(*key, 1));
                    score += tables.biases.get(head).map_or(0.0, |biases| f64::from(biases[row]));
                }
                (f64::from(shape.scale) * score).exp()
            };
            let scores: Vec<f64> = seen.iter().map(score).collect();
            let total: f64 = scores.iter().sum();
            for d in 0..dim {
                let values = seen.iter().zip(&scores);
                context[query * hidden + head * dim + d] =
                    values.map(|(key, s)| s / total * f64::from(part(*key, 2)[d])).sum();
            }
        }
    }
    context
}

/// Compares the contexts. Values are below 1 and weights add up to 1. A score of three products of
/// 40 numbers is off by about 1e-6 in practice, which the exponential turns into a relative error
/// of each weight.
fn check(
    shape: &Attention,
    qkv: &[f32],
    offsets: &[usize],
    attended: &[usize],
    tables: Option<&Tables>,
) -> Option<String> {
    let want = attend(shape, qkv, offsets, attended, tables);
    let results = on_all(|isa| {
        let mut context = vec![0.0; want.len()];
        let relative = tables.map(|tables| tables.pack(isa, shape.head_dim));
        let relative = relative.as_ref();
        shape.forward_attended(isa, qkv, offsets, attended, relative, &mut context, true);
        context
    });
    differs(&results, |i| want[i], |_| 2e-5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn plain_and_windowed(lengths in prop::collection::vec(1usize..140, 1..4), heads in 1usize..4,
        head_dim in 1usize..70, window in prop::option::of(0usize..40), seed: u64) {
        let (shape, offsets) =
            (Attention { heads, head_dim, scale: 0.7, window }, offsets(&lengths));
        let qkv = numbers(seed, offsets[lengths.len()] * 3 * heads * head_dim);
        prop_assert_eq!(check(&shape, &qkv, &offsets, &[], None), None);
    }

    #[test]
    fn relative_positions(lengths in prop::collection::vec(1usize..140, 1..4), heads in 1usize..3,
        head_dim in 1usize..40, half in 1usize..20, max_position in 45usize..300, log: bool,
        (c2p, p2c) in prop::sample::select(&[(true, true), (true, false), (false, true)][..]),
        seed: u64) {
        let (shape, offsets) =
            (Attention { heads, head_dim, scale: 0.4, window: None }, offsets(&lengths));
        let qkv = numbers(seed, offsets[lengths.len()] * 3 * heads * head_dim);
        // With logarithmic buckets there are as many rows as buckets, and else fewer rows than
        // tokens.
        let span = 2 * half;
        let log_buckets = log.then_some(LogBuckets { buckets: span, max_position });
        let table = |seed: u64, used: bool| -> Vec<Vec<f32>> {
            let heads = 0..if used { heads as u64 } else { 0 };
            heads.map(|head| numbers(seed ^ head << 8, 2 * span * head_dim)).collect()
        };
        let tables =
            Tables {
                span,
                log_buckets,
                keys: table(!seed, c2p),
                queries: table(seed ^ 9, p2c),
                biases: Vec::new(),
            };
        prop_assert_eq!(check(&shape, &qkv, &offsets, &[], Some(&tables)), None);
    }

    #[test]
    fn attended_tokens_and_biases(texts in prop::collection::vec((1usize..140, 0usize..140), 1..4),
        heads in 1usize..3, head_dim in 1usize..40, window in prop::option::of(0usize..40),
        span in 1usize..40, biased: bool, seed: u64) {
        let lengths: Vec<usize> = texts.iter().map(|(length, _)| *length).collect();
        let attended: Vec<usize> = texts.iter().map(|(length, keys)| 1 + keys % length).collect();
        let (shape, offsets) =
            (Attention { heads, head_dim, scale: 0.5, window }, offsets(&lengths));
        let qkv = numbers(seed, offsets[lengths.len()] * 3 * heads * head_dim);
        let biases = (0..heads as u64).map(|head| numbers(!seed ^ head << 8, 2 * span)).collect();
        let (keys, queries) = (Vec::new(), Vec::new());
        let tables = Tables { span, log_buckets: None, keys, queries, biases };
        let tables = biased.then_some(&tables);
        prop_assert_eq!(check(&shape, &qkv, &offsets, &attended, tables), None);
    }

    /// A frequency has a relative error of 2^-24, so the angle of position 300 is off by 2e-5.
    #[test]
    fn rotary_positions(lengths in prop::collection::vec(0usize..300, 1..4), heads in 1usize..4,
        half in 1usize..35, theta in 2.0f64..200_000.0, seed: u64) {
        let (dim, offsets) = (2 * half, offsets(&lengths));
        let width = heads * dim;
        let x = numbers(seed, offsets[lengths.len()] * 3 * width);
        let rotary = Rotary::new(dim, theta);
        // A shorter text comes first, so that the table of turns has to grow.
        let mut few = numbers(seed, 3 * width);
        rotary.rotate(&mut few, heads, &[0, 1]);
        prop_assert_eq!(few, numbers(seed, 3 * width), "position 0 must not be rotated");
        let mut y = x.clone();
        rotary.rotate(&mut y, heads, &offsets);
        for (text, i) in offsets.windows(2).flat_map(|text| {
            (text[0] * 3 * width..text[1] * 3 * width).map(move |i| (text, i))
        }) {
            let (token, column) = (i / (3 * width), i % (3 * width));
            if column >= 2 * width {
                prop_assert_eq!(y[i], x[i], "values must not be rotated");
                continue;
            }
            let d = column % dim;
            let angle = (token - text[0]) as f64 * theta.powf(-2.0 * (d % half) as f64 / dim as f64);
            let (own, other) = (f64::from(x[i]), if d < half { i + half } else { i - half });
            let other = f64::from(x[other]) * if d < half { -1.0 } else { 1.0 };
            let want = own * angle.cos() + other * angle.sin();
            prop_assert!((f64::from(y[i]) - want).abs() < 5e-5, "{} {} {}", i, y[i], want);
        }
    }
}

/// Checks every distance with the buckets of a released model (DeBERTa-v3: 256 buckets, 512
/// positions). Each query sees keys whose scores come from the table row alone.
#[test]
fn log_buckets_of_long_texts() {
    let log_buckets = Some(LogBuckets { buckets: 256, max_position: 512 });
    let table: Vec<f32> = (0..512).map(|row| row as f32 / 64.0).collect();
    let tables = Tables {
        span: 256,
        log_buckets,
        keys: vec![table],
        queries: Vec::new(),
        biases: Vec::new(),
    };
    let shape = Attention { heads: 1, head_dim: 1, scale: 1.0, window: None };
    // Queries are 1 and keys are 0, so a score is the number of its row divided by 64.
    let qkv: Vec<f32> = numbers(3, 600).into_iter().flat_map(|value| [1.0, 0.0, value]).collect();
    assert_eq!(check(&shape, &qkv, &[0, 600], &[], Some(&tables)), None);
}
