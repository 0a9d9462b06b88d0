//! Arguments that do not fit each other panic with a message. None may reach a kernel, which relies
//! on their lengths.

use std::panic::{AssertUnwindSafe, catch_unwind};

use splade_nn::{
    Attention, Dropout, Isa, KeyedTexts, LayerNorm, Linear, Matrix, PackedMatrix, PooledTerm,
    Pooling, Precision, RelativePositions, Rotary, Saturation, SavedNorm, Scratch,
    splade_head_backward,
};

/// A name, a part of the message, and the call.
type Call<'a> = (&'a str, &'a str, Box<dyn FnOnce() + 'a>);

/// Runs calls that must panic with the given part of a message, and lists those that do not.
fn check(calls: Vec<Call<'_>>) {
    let mut wrong = Vec::new();
    for (name, wanted, call) in calls {
        let message = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(()) => "it did not panic".to_owned(),
            Err(panic) => match panic.downcast::<String>() {
                Ok(message) => *message,
                Err(panic) => (*panic.downcast::<&str>().expect("a message")).to_owned(),
            },
        };
        if !message.contains(wanted) {
            wrong.push(format!("{name}: {message}, not {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn lengths_that_do_not_fit_panic() {
    let isa = Isa::detect();
    let norm = |width: usize| LayerNorm {
        weight: vec![1.0; width],
        bias: vec![0.0; width],
        epsilon: 1e-5,
    };
    let saved = |width: usize| {
        let mut saved = SavedNorm::default();
        norm(width).forward_saved(isa, &mut vec![1.0; 2 * width], None, &mut saved);
        saved
    };
    let attention = Attention { heads: 2, head_dim: 4, scale: 0.5, window: None };
    let relative = |isa: Isa, rows: usize, inputs: usize, tables: usize| RelativePositions {
        span: 3,
        log_buckets: None,
        keys: (0..tables).map(|_| PackedMatrix::zeros(isa, rows, inputs)).collect(),
        queries: Vec::new(),
        biases: Vec::new(),
    };
    let attend = |offsets: &[usize], relative: &RelativePositions| {
        let (qkv, mut context) = (vec![0.0; 5 * 24], vec![0.0; 5 * 8]);
        attention.forward(isa, &qkv, offsets, Some(relative), &mut context, false);
    };
    let fits = relative(isa, 6, 4, 2);
    attend(&[0, 2, 5], &fits);
    let attend_to = |attended: &[usize]| {
        let (qkv, mut context) = (vec![0.0; 5 * 24], vec![0.0; 5 * 8]);
        attention.forward_attended(isa, &qkv, &[0, 2, 5], attended, None, &mut context, false);
    };
    let biased = |heads: usize, rows: usize| RelativePositions {
        biases: vec![vec![0.0; rows]; heads],
        ..relative(isa, 6, 4, 2)
    };
    attend_to(&[1, 3]);
    attend(&[0, 2, 5], &biased(2, 6));
    let dropout = Dropout::new(0.5).expect("above 0");
    let drop_out = |offsets: &[usize], keys: &[u64], numbers: usize| {
        let texts = KeyedTexts { offsets, keys };
        dropout.apply(isa, &texts, 0, &mut vec![1.0; numbers]);
    };
    let huge = Attention { heads: 1 << 33, head_dim: 1 << 33, ..attention };
    let rotary = Rotary::new(4, 1e4);
    let layer = |outputs, inputs| Linear {
        weight: Matrix::zeros(isa, Precision::F32, outputs, inputs),
        bias: None,
    };
    check(vec![
        ("descending offsets", "ascend", Box::new(|| drop_out(&[0, 9, 2], &[1, 2], 4))),
        ("a text without a key", "key", Box::new(|| drop_out(&[0, 1, 2], &[1], 4))),
        ("no whole rows", "whole rows", Box::new(|| drop_out(&[0, 1, 2], &[1, 2], 5))),
        ("descending texts", "ascend", Box::new(|| attend(&[0, 7, 5], &fits))),
        ("too few tables", "each head", Box::new(|| attend(&[0, 5], &relative(isa, 6, 4, 1)))),
        ("short tables", "2 · span", Box::new(|| attend(&[0, 5], &relative(isa, 4, 4, 2)))),
        ("wide tables", "head_dim", Box::new(|| attend(&[0, 5], &relative(isa, 6, 8, 2)))),
        ("attending to none", "attended", Box::new(|| attend_to(&[0, 3]))),
        ("attending to too many", "attended", Box::new(|| attend_to(&[3, 3]))),
        ("attending in one text", "attended", Box::new(|| attend_to(&[2]))),
        ("too few biases", "each head", Box::new(|| attend(&[0, 5], &biased(1, 6)))),
        ("short biases", "2 · span", Box::new(|| attend(&[0, 5], &biased(2, 5)))),
        (
            "sizes that overflow",
            "qkv",
            Box::new(|| huge.forward(isa, &[], &[0, 5], None, &mut [], false)),
        ),
        ("other offsets", "qkv", Box::new(|| rotary.rotate(&mut [0.0; 24], 2, &[0, 5]))),
        ("turned offsets", "ascend", Box::new(|| rotary.rotate(&mut [0.0; 48], 2, &[0, 3, 2]))),
        (
            "rows of a wider norm",
            "width",
            Box::new(|| norm(32).restore(isa, &saved(16), &mut Vec::new())),
        ),
        (
            "rows of a narrower norm",
            "width",
            Box::new(|| {
                norm(32).backward(isa, &saved(16), &mut [0.0; 64], &mut norm(32));
            }),
        ),
        (
            "a short bias",
            "equal lengths",
            Box::new(|| {
                let short = LayerNorm { bias: vec![0.0; 2], ..norm(16) };
                short.restore(isa, &saved(16), &mut Vec::new());
            }),
        ),
        (
            "a matrix that overflows",
            "address space",
            Box::new(|| drop(Matrix::zeros(isa, Precision::F32, 1 << 40, 1 << 40))),
        ),
        (
            "8 bits that overflow",
            "address space",
            Box::new(|| drop(Matrix::zeros(isa, Precision::Int8, 1 << 40, 1 << 40))),
        ),
        (
            "a gradient of another shape",
            "shape of the weight",
            Box::new(|| {
                let term = PooledTerm { term: 0, weight: 1.0, position: 0 };
                splade_head_backward(
                    &layer(8, 16),
                    &[0.0; 16],
                    &[0, 1],
                    Pooling::Max,
                    Saturation::Log1pRelu,
                    &[vec![term]],
                    &[vec![1.0]],
                    &mut [0.0; 16],
                    &mut layer(16, 8),
                    &mut Scratch::default(),
                );
            }),
        ),
    ]);
    let other = Isa::supported().into_iter().find(|other| *other != isa);
    if let Some(other) = other {
        let call = || attend(&[0, 5], &relative(other, 6, 4, 2));
        check(vec![("tables of another CPU", "another CPU", Box::new(call))]);
    }
}
