//! Compares the gradients of layers on every instruction set with sums and finite differences in
//! f64.

use crate::common::{
    ACTIVATIONS, Sum, activate as value, differs, gradient, numbers, offsets, on_all, rows,
    same_on_threads, slope, wide,
};
use proptest::prelude::*;
use splade_nn::{
    Activation, Dropout, Isa, KeyedTexts, LayerNorm, Linear, Matrix, Precision, Rotary, SavedNorm,
    Scratch, activate, activation_backward, gated_backward,
};

/// A linear layer with its input and the gradient `d` of its output.
struct Layer {
    tokens: usize,
    inputs: usize,
    outputs: usize,
    x: Vec<f32>,
    weight: Vec<f32>,
    d: Vec<f32>,
    /// The previous contents of the gradients of weight, bias (empty if there is none) and input.
    before: [Vec<f32>; 3],
}

impl Layer {
    fn new((tokens, inputs, outputs): (usize, usize, usize), bias: bool, seed: u64) -> Self {
        let bias = if bias { outputs } else { 0 };
        Self {
            tokens,
            inputs,
            outputs,
            x: numbers(seed, tokens * inputs),
            weight: numbers(!seed, outputs * inputs),
            d: numbers(seed ^ 64, tokens * outputs),
            before: [(2, outputs * inputs), (4, bias), (8, tokens * inputs)]
                .map(|(salt, count)| numbers(seed ^ salt << 8, count)),
        }
    }

    /// Returns the gradients of weight, bias and input, one after another. The gradient of the
    /// input is added to the previous contents if `accumulate` is set; those of weight and bias
    /// always are.
    fn run(&self, isa: Isa, accumulate: bool, scratch: &mut Scratch) -> Vec<f32> {
        let [weight, bias, input] = &self.before;
        let bias = (!bias.is_empty()).then_some(bias);
        let linear = |weight: &[f32]| {
            let weight = Matrix::pack(isa, Precision::F32, weight, self.outputs, self.inputs);
            Linear { weight, bias: bias.cloned() }
        };
        let layer = linear(&self.weight);
        let mut gradient = linear(weight);
        layer.backward_weights(&self.x, &self.d, &mut gradient, scratch);
        let mut d_input = if accumulate { input.clone() } else { vec![f32::NAN; input.len()] };
        layer.backward_input(&self.d, &mut d_input, accumulate, scratch);
        let mut all = rows(&gradient.weight);
        all.extend(gradient.bias.unwrap_or_default());
        all.extend(d_input);
        all
    }

    /// Computes the same gradients from their definitions.
    fn want(&self, accumulate: bool) -> Vec<Sum> {
        let (x, d, w) = (wide(&self.x), wide(&self.d), wide(&self.weight));
        let mut sums: Vec<Sum> = self.before.concat().iter().map(|_| Sum::default()).collect();
        for (i, (sum, before)) in sums.iter_mut().zip(self.before.concat()).enumerate() {
            if accumulate || i < self.weight.len() + self.before[1].len() {
                sum.add(f64::from(before));
            }
        }
        let (by_weight, rest) = sums.split_at_mut(self.weight.len());
        let (by_bias, by_input) = rest.split_at_mut(self.before[1].len());
        for token in 0..self.tokens {
            let x = &x[token * self.inputs..][..self.inputs];
            let by_input = &mut by_input[token * self.inputs..][..self.inputs];
            for output in 0..self.outputs {
                let d = d[token * self.outputs + output];
                if let Some(bias) = by_bias.get_mut(output) {
                    bias.add(d);
                }
                let row = output * self.inputs..(output + 1) * self.inputs;
                let columns = by_weight[row.clone()].iter_mut().zip(by_input.iter_mut());
                for (((by_weight, by_input), x), w) in columns.zip(x).zip(&w[row]) {
                    by_weight.add(d * x);
                    by_input.add(d * w);
                }
            }
        }
        sums
    }

    fn check(&self, scratch: impl Fn(Isa) -> Scratch) -> Option<String> {
        [false, true].into_iter().find_map(|accumulate| {
            let want = self.want(accumulate);
            let results = on_all(|isa| self.run(isa, accumulate, &mut scratch(isa)));
            differs(&results, |i| want[i].value, |i| want[i].tolerance())
        })
    }
}

/// Returns buffers that a larger layer used. They hold NaN, so that adding an old number shows.
fn used_scratch(isa: Isa) -> Scratch {
    let mut large = Layer::new((40, 140, 140), true, 1);
    large.d.fill(f32::NAN);
    large.weight.fill(f32::NAN);
    let mut scratch = Scratch::default();
    large.run(isa, false, &mut scratch);
    scratch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Covers more tokens and outputs than a block of a product's inputs (256), and more inputs
    /// than a block of its rows (128).
    #[test]
    fn linear_layers(tokens in 1usize..600, inputs in 1usize..200, outputs in 1usize..300,
        bias: bool, seed: u64) {
        let layer = Layer::new((tokens, inputs, outputs), bias, seed);
        prop_assert_eq!(layer.check(|_| Scratch::default()), None);
    }
}

/// Covers every width up to some registers, with one token, as many as a tile has rows, and none.
#[test]
fn linear_layers_of_odd_sizes() {
    for size in 1..=130 {
        for sizes in [(1, size, 3), (1, 5, size), (size, 1, 1), (9, 3, size), (0, size, 3)] {
            let layer = Layer::new(sizes, true, size as u64);
            assert_eq!(layer.check(|_| Scratch::default()), None, "{sizes:?}");
        }
    }
}

/// Checks that numbers which a larger layer left in the buffers have no effect.
#[test]
fn scratch_is_used_again() {
    for sizes in [(1, 3, 50), (5, 17, 3), (9, 50, 17)] {
        assert_eq!(Layer::new(sizes, true, 1).check(used_scratch), None, "{sizes:?}");
    }
}

#[test]
fn threads_do_not_change_linear_layers() {
    let layer = Layer::new((300, 210, 330), true, 1);
    for isa in Isa::supported() {
        same_on_threads(|| layer.run(isa, true, &mut Scratch::default()));
    }
}

/// A layer norm with its input and the gradient `d` of its output.
struct Norm {
    norm: LayerNorm,
    x: Vec<f32>,
    residual: Option<Vec<f32>>,
    d: Vec<f32>,
    before: LayerNorm,
}

impl Norm {
    fn new(rows: usize, hidden: usize, epsilon: f32, add: bool, seed: u64) -> Self {
        let affine = |seed: u64| {
            let (weight, bias) = (numbers(seed, hidden), numbers(!seed, hidden));
            LayerNorm { weight, bias, epsilon }
        };
        Self {
            norm: affine(seed ^ 64),
            x: numbers(seed, rows * hidden),
            residual: add.then(|| numbers(!seed, rows * hidden)),
            d: numbers(seed ^ 128, rows * hidden),
            before: affine(seed ^ 256),
        }
    }

    /// Returns the gradients of weight, bias and input. `saved` may hold the state of another norm.
    fn run(&self, isa: Isa, saved: &mut SavedNorm) -> Vec<f32> {
        let (mut y, mut plain, mut restored) = (self.x.clone(), self.x.clone(), vec![f32::NAN; 9]);
        self.norm.forward_saved(isa, &mut y, self.residual.as_deref(), saved);
        self.norm.forward(isa, &mut plain, self.residual.as_deref());
        self.norm.restore(isa, saved, &mut restored);
        assert!(y == plain, "{isa}: forward_saved differs from forward");
        assert!(y == restored, "{isa}: restore differs from forward");
        let (mut d, mut gradient) = (self.d.clone(), self.before.clone());
        self.norm.backward(isa, saved, &mut d, &mut gradient);
        [gradient.weight, gradient.bias, d].concat()
    }

    /// Computes the same gradients by finite differences.
    fn want(&self) -> Vec<f64> {
        let hidden = self.norm.weight.len();
        let mut x = self.x.clone();
        for (x, r) in x.iter_mut().zip(self.residual.iter().flatten()) {
            *x += r;
        }
        // The weighted sum of the outputs of a row, with the weights `d`.
        let row_sum = |x: &[f64], weight: &[f64], bias: &[f64], d: &[f32]| -> f64 {
            let y = layer_norm(x, weight, bias, f64::from(self.norm.epsilon));
            y.zip(d).map(|(y, d)| y * f64::from(*d)).sum()
        };
        let (weight, bias) = (wide(&self.norm.weight), wide(&self.norm.bias));
        let all = |weight: &[f64], bias: &[f64]| -> f64 {
            let rows = x.chunks(hidden).zip(self.d.chunks(hidden));
            rows.map(|(x, d)| row_sum(&wide(x), weight, bias, d)).sum()
        };
        let mut want = gradient(|weight| all(weight, &bias), &self.norm.weight);
        want.extend(gradient(|bias| all(&weight, bias), &self.norm.bias));
        for (want, before) in
            want.iter_mut().zip([&self.before.weight, &self.before.bias].into_iter().flatten())
        {
            *want += f64::from(*before);
        }
        for (x, d) in x.chunks(hidden).zip(self.d.chunks(hidden)) {
            want.extend(gradient(|x| row_sum(x, &weight, &bias, d), x));
        }
        want
    }

    /// Compares the gradients. Normalised numbers are off by about 1e-6, and the errors of rows add
    /// up. A gradient of the input is a sum of numbers near 1 divided by the deviation, which is at
    /// least .3.
    fn check(&self) -> Option<String> {
        let (hidden, want) = (self.norm.weight.len(), self.want());
        let results = on_all(|isa| self.run(isa, &mut SavedNorm::default()));
        let by_weight = 2e-6 + 1e-6 * (self.x.len() / hidden) as f64;
        let tolerance = |i: usize| if i < 2 * hidden { by_weight } else { 3e-6 };
        differs(&results, |i| want[i], tolerance)
    }
}

/// Normalises one row.
fn layer_norm<'a>(
    x: &'a [f64],
    weight: &'a [f64],
    bias: &'a [f64],
    epsilon: f64,
) -> impl Iterator<Item = f64> + 'a {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (variance + epsilon).sqrt();
    x.iter().zip(weight).zip(bias).map(move |((x, w), b)| (x - mean) * scale * w + b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Covers more rows and columns than a thread takes at once (64 of each).
    #[test]
    fn layer_norms(rows in 1usize..140, hidden in 1usize..140, add: bool, seed: u64) {
        prop_assert_eq!(Norm::new(rows, hidden, 0.1, add, seed).check(), None);
    }
}

/// Checks the width and the epsilon of BERT.
#[test]
fn layer_norm_of_a_released_size() {
    assert_eq!(Norm::new(3, 768, 1e-12, true, 1).check(), None);
}

/// Checks that the next forward pass overwrites the saved state, with more rows or fewer.
#[test]
fn saved_norms_are_used_again() {
    for isa in Isa::supported() {
        let mut saved = SavedNorm::default();
        for (rows, hidden) in [(3, 5), (70, 33), (2, 7), (1, 130)] {
            let norm = Norm::new(rows, hidden, 0.1, false, 5);
            let fresh = norm.run(isa, &mut SavedNorm::default());
            assert_eq!(norm.run(isa, &mut saved), fresh, "{isa} {rows} {hidden}");
        }
    }
}

#[test]
fn threads_do_not_change_norms() {
    let norm = Norm::new(300, 200, 1e-12, true, 1);
    for isa in Isa::supported() {
        same_on_threads(|| norm.run(isa, &mut SavedNorm::default()));
    }
}

/// Returns the derivative of an activation. The Taylor series of `erf` is inaccurate past 6, where
/// the slope is 0 or 1 to 4e-8. At 0 the slope of ReLU is 0, as in PyTorch.
fn derivative(activation: Activation, x: f32) -> f64 {
    match activation {
        Activation::Relu => f64::from(u8::from(x > 0.0)),
        Activation::Gelu if x.abs() > 6.0 => f64::from(u8::from(x > 0.0)),
        _ => slope(|x| value(activation, x), f64::from(x)),
    }
}

/// The tolerance of slopes. They are sums of numbers up to 40 times `1 - σ`, which f32 represents
/// to 6e-8, so the error is below 4e-6.
const SLOPE: f64 = 4e-6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn activations(len in 1usize..300, scale in 0.1f32..30.0,
        activation in prop::sample::select(&ACTIVATIONS[..]), seed: u64) {
        let x: Vec<f32> = numbers(seed, len).iter().map(|x| x * scale).collect();
        let d = numbers(!seed, len);
        let results = on_all(|isa| {
            let (mut y, mut d_x) = (vec![f32::NAN; len], d.clone());
            activate(isa, activation, &x, &mut y);
            activation_backward(isa, activation, &x, &mut d_x);
            y.extend(d_x);
            y
        });
        let want: Vec<f64> = (x.iter().map(|x| value(activation, f64::from(*x))))
            .chain(x.iter().zip(&d).map(|(x, d)| derivative(activation, *x) * f64::from(*d)))
            .collect();
        let tolerance = |i: usize| match i < len {
            true => 2e-6 + 1e-6 * f64::from(x[i].abs()),
            false => SLOPE * f64::from(d[i - len].abs()),
        };
        prop_assert_eq!(differs(&results, |i| want[i], tolerance), None);
    }

    #[test]
    fn gated_activations(rows in 0usize..200, width in 1usize..200, scale in 0.1f32..10.0,
        activation in prop::sample::select(&ACTIVATIONS[..]), seed: u64) {
        prop_assert_eq!(check_gated(activation, rows, width, scale, seed), None);
    }
}

fn check_gated(
    activation: Activation,
    rows: usize,
    width: usize,
    scale: f32,
    seed: u64,
) -> Option<String> {
    let x: Vec<f32> = numbers(seed, rows * 2 * width).iter().map(|x| x * scale).collect();
    let d = numbers(!seed, rows * width);
    let results = on_all(|isa| {
        let mut d_x = vec![f32::NAN; x.len()];
        gated_backward(isa, activation, &x, &d, &mut d_x, width);
        d_x
    });
    let parts = |i: usize| {
        let (row, column) = (i / (2 * width), i % (2 * width));
        let input = row * 2 * width + column % width;
        (x[input], f64::from(x[input + width]), f64::from(d[row * width + column % width]))
    };
    let by_input = |i: usize| i % (2 * width) < width;
    // The output is `gate · activation(input)`.
    let want = |i: usize| match parts(i) {
        (input, gate, d) if by_input(i) => derivative(activation, input) * gate * d,
        (input, _, d) => value(activation, f64::from(input)) * d,
    };
    let tolerance = |i: usize| match parts(i) {
        (_, gate, d) if by_input(i) => SLOPE * (gate * d).abs(),
        (input, _, d) => (2e-6 + 1e-6 * f64::from(input.abs())) * d.abs(),
    };
    differs(&results, want, tolerance)
}

/// Covers lengths around the number that a thread takes at once (16,384), and a longer row.
#[test]
fn activations_of_many_numbers() {
    for len in [0, 1, 16_383, 16_384, 16_385, 40_001] {
        let (x, d) = (numbers(1, len), numbers(2, len));
        let results = on_all(|isa| {
            let mut d_x = d.clone();
            activation_backward(isa, Activation::Tanh, &x, &mut d_x);
            d_x
        });
        let want = |i: usize| derivative(Activation::Tanh, x[i]) * f64::from(d[i]);
        assert_eq!(differs(&results, want, |_| SLOPE), None, "{len}");
    }
    assert_eq!(check_gated(Activation::Silu, 3, 20_001, 1.0, 1), None);
}

/// Checks that far from zero slopes are 0 or 1 without an overflow on the way, and that the step of
/// ReLU is exact.
#[test]
fn slopes_far_from_zero() {
    let slopes = |isa, activation, x: &[f32]| {
        let mut d = vec![1.0; x.len()];
        activation_backward(isa, activation, x, &mut d);
        d
    };
    let far = [-1e30f32, -1e15, -3e4, -1e3, -90.0, 90.0, 1e3, 3e4, 1e15, 1e30];
    let near = [-1.0, -f32::MIN_POSITIVE, -0.0, 0.0, f32::MIN_POSITIVE, 1.0, 3e38];
    for isa in Isa::supported() {
        for activation in ACTIVATIONS {
            for (x, got) in far.iter().zip(slopes(isa, activation, &far)) {
                let want = match activation {
                    Activation::Identity => 1.0,
                    Activation::Tanh => 0.0,
                    _ => f32::from(u8::from(*x > 0.0)),
                };
                assert!((got - want).abs() < 1e-6, "{isa} {activation:?} {x}: {got}, not {want}");
            }
        }
        let want = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        assert_eq!(slopes(isa, Activation::Relu, &near), want, "{isa}");
    }
}

#[test]
fn threads_do_not_change_activations() {
    let (x, d) = (numbers(1, 100_000), numbers(2, 50_000));
    for (isa, activation) in
        Isa::supported().into_iter().flat_map(|isa| ACTIVATIONS.map(|activation| (isa, activation)))
    {
        same_on_threads(|| {
            let (mut y, mut d_x, mut d_gated) = (vec![0.0; 100_000], x.clone(), x.clone());
            activate(isa, activation, &x, &mut y);
            activation_backward(isa, activation, &x, &mut d_x);
            gated_backward(isa, activation, &x, &d, &mut d_gated, 100);
            [y, d_x, d_gated].concat()
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Rotation is linear, so the gradient of a number is the rotation of that number alone times
    /// the gradient after the rotation. The tolerance is that of the forward pass.
    #[test]
    fn rotary_positions(lengths in prop::collection::vec(0usize..300, 1..4), heads in 1usize..4,
        half in 1usize..20, theta in 2.0f64..200_000.0, seed: u64) {
        let (dim, offsets) = (2 * half, offsets(&lengths));
        let width = heads * dim;
        let d = numbers(seed, offsets[lengths.len()] * 3 * width);
        let mut d_x = d.clone();
        Rotary::new(dim, theta).rotate_back(&mut d_x, heads, &offsets);
        let rotated = |x: &[f64], position: usize, i: usize| {
            let power = -2.0 * (i % half) as f64 / dim as f64;
            let (sin, cos) = (position as f64 * theta.powf(power)).sin_cos();
            x[i] * cos + if i < half { -x[i + half] } else { x[i - half] } * sin
        };
        for text in offsets.windows(2) {
            for (position, token) in (text[0]..text[1]).enumerate() {
                let row = token * 3 * width..(token + 1) * 3 * width;
                let (d, d_x) = (&d[row.clone()], &d_x[row]);
                prop_assert_eq!(&d[2 * width..], &d_x[2 * width..], "values must not be rotated");
                let heads = d[..2 * width].chunks(dim).zip(d_x.chunks(dim));
                for ((d, d_x), i) in heads.flat_map(|head| (0..dim).map(move |i| (head, i))) {
                    let mut alone = vec![0.0; dim];
                    alone[i] = 1.0;
                    let want: f64 =
                        (0..dim).map(|j| rotated(&alone, position, j) * f64::from(d[j])).sum();
                    prop_assert!((f64::from(d_x[i]) - want).abs() < 5e-5, "{} {}", d_x[i], want);
                }
            }
        }
    }

    /// Checks that dropout multiplies with a mask, forward and backward, which depends only on the
    /// text.
    #[test]
    fn dropped_numbers(lengths in prop::collection::vec(0usize..40, 1..5), width in 1usize..70,
        rate in 0.01f64..0.9, place in 0u32..30, seed: u64) {
        let offsets = offsets(&lengths);
        let keys: Vec<u64> = (0..lengths.len() as u64).map(|text| seed ^ text << 5).collect();
        let texts = KeyedTexts { offsets: &offsets, keys: &keys };
        let dropout = Dropout::new(rate).unwrap();
        let x = numbers(seed, offsets[lengths.len()] * width);
        for isa in Isa::supported() {
            let apply = |texts: &KeyedTexts<'_>, x: &[f32]| {
                let mut x = x.to_vec();
                dropout.apply(isa, texts, place, &mut x);
                x
            };
            let mask = apply(&texts, &vec![1.0; x.len()]);
            let kept = (1.0 / (1.0 - rate)) as f32;
            prop_assert!(mask.iter().all(|m| *m == 0.0 || *m == kept));
            let want: Vec<f32> = x.iter().zip(&mask).map(|(x, m)| x * m).collect();
            prop_assert_eq!(&apply(&texts, &x), &want);
            for (text, key) in offsets.windows(2).zip(&keys) {
                let alone = KeyedTexts { offsets: &[0, text[1] - text[0]], keys: &[*key] };
                let row = text[0] * width..text[1] * width;
                prop_assert_eq!(&apply(&alone, &x[row.clone()]), &want[row]);
            }
        }
    }
}

#[test]
fn no_dropout_at_a_rate_of_zero() {
    assert_eq!(Dropout::new(0.0), None);
}

#[test]
fn threads_do_not_change_dropout() {
    let texts = KeyedTexts { offsets: &[0, 100, 101, 300], keys: &[1, 2, 3] };
    let dropout = Dropout::new(0.1).unwrap();
    for isa in Isa::supported() {
        same_on_threads(|| {
            let mut x = numbers(1, 300 * 70);
            dropout.apply(isa, &texts, 3, &mut x);
            x
        });
    }
}

/// A feed-forward block with dropout and a residual, which chains layers as a model does.
struct Block {
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

const BLOCK: (usize, usize, usize) = (5, 7, 11);
const TEXTS: KeyedTexts<'static> = KeyedTexts { offsets: &[0, 2, 5], keys: &[12, 34] };

impl Block {
    /// Takes the weights and the input from a list of numbers, in the order of [`Self::gradients`].
    fn new(isa: Isa, all: &[f32]) -> (Self, Vec<f32>) {
        let (tokens, hidden, inner) = BLOCK;
        let mut rest = all;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at(count);
            rest = left;
            taken.to_vec()
        };
        let mut linear = |outputs: usize, inputs: usize| {
            let weight = take(outputs * inputs);
            let weight = Matrix::pack(isa, Precision::F32, &weight, outputs, inputs);
            Linear { weight, bias: Some(take(outputs)) }
        };
        let (up, down) = (linear(inner, hidden), linear(hidden, inner));
        let norm = LayerNorm { weight: take(hidden), bias: take(hidden), epsilon: 1e-5 };
        (Self { up, down, norm }, take(tokens * hidden))
    }

    /// Returns the gradient of `Σ d · output` with respect to all numbers.
    fn gradients(&self, isa: Isa, x: &[f32], dropout: Dropout, d: &[f32]) -> Vec<f32> {
        let (tokens, hidden, inner) = BLOCK;
        let (mut u, mut h) = (vec![0.0; tokens * inner], vec![0.0; tokens * inner]);
        self.up.forward(x, Activation::Identity, &mut u, true);
        activate(isa, Activation::Gelu, &u, &mut h);
        let mut z = vec![0.0; tokens * hidden];
        self.down.forward(&h, Activation::Identity, &mut z, true);
        dropout.apply(isa, &TEXTS, 3, &mut z);
        let mut saved = SavedNorm::default();
        self.norm.forward_saved(isa, &mut z, Some(x), &mut saved);

        let mut scratch = Scratch::default();
        let (mut d_up, mut d_down) = (self.up.zeros_like(), self.down.zeros_like());
        let (mut d_norm, mut d, mut d_h) = (self.norm.zeros_like(), d.to_vec(), h.clone());
        self.norm.backward(isa, &saved, &mut d, &mut d_norm);
        let mut d_x = d.clone();
        dropout.apply(isa, &TEXTS, 3, &mut d);
        self.down.backward_weights(&h, &d, &mut d_down, &mut scratch);
        self.down.backward_input(&d, &mut d_h, false, &mut scratch);
        activation_backward(isa, Activation::Gelu, &u, &mut d_h);
        self.up.backward_weights(x, &d_h, &mut d_up, &mut scratch);
        self.up.backward_input(&d_h, &mut d_x, true, &mut scratch);
        let linear = |d: Linear| [rows(&d.weight), d.bias.unwrap_or_default()].concat();
        [linear(d_up), linear(d_down), d_norm.weight, d_norm.bias, d_x].concat()
    }
}

/// Computes `Σ d · output` of the block in f64 from all its weights and the input.
fn block_sum(all: &[f64], mask: &[f32], d: &[f32]) -> f64 {
    let (tokens, hidden, inner) = BLOCK;
    let mut rest = all;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at(count);
        rest = left;
        taken
    };
    let (up, up_bias) = (take(inner * hidden), take(inner));
    let (down, down_bias) = (take(hidden * inner), take(hidden));
    let (weight, bias, x) = (take(hidden), take(hidden), take(tokens * hidden));
    let linear = |x: &[f64], weight: &[f64], bias: &[f64]| -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        weight.chunks(x.len()).zip(bias).map(|(row, b)| dot(row) + b).collect()
    };
    let mut sum = 0.0;
    for (token, x) in x.chunks(hidden).enumerate() {
        let mut h = linear(x, up, up_bias);
        h.iter_mut().for_each(|h| *h = value(Activation::Gelu, *h));
        let mut z = linear(&h, down, down_bias);
        for (i, z) in z.iter_mut().enumerate() {
            *z = *z * f64::from(mask[token * hidden + i]) + x[i];
        }
        let y = layer_norm(&z, weight, bias, 1e-5);
        sum += y.zip(&d[token * hidden..]).map(|(y, d)| y * f64::from(*d)).sum::<f64>();
    }
    sum
}

/// Numbers near 1 pass three layers of at most 11 inputs, with about 20 roundings of 6e-8 each.
#[test]
fn layers_one_after_another() {
    let (tokens, hidden, inner) = BLOCK;
    let dropout = Dropout::new(0.3).unwrap();
    for seed in 1..6 {
        let all = numbers(seed, 2 * inner * hidden + inner + 3 * hidden + tokens * hidden);
        let d = numbers(!seed, tokens * hidden);
        let mut mask = vec![1.0; tokens * hidden];
        dropout.apply(Isa::detect(), &TEXTS, 3, &mut mask);
        assert!(mask.contains(&0.0), "the mask must drop a number");
        let want = gradient(|all| block_sum(all, &mask, &d), &all);
        let results = on_all(|isa| {
            let (block, x) = Block::new(isa, &all);
            block.gradients(isa, &x, dropout, &d)
        });
        let tolerance = |i: usize| 2e-6 * (1.0 + want[i].abs());
        assert_eq!(differs(&results, |i| want[i], tolerance), None, "{seed}");
    }
}
