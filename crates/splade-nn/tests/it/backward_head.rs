//! Compares the gradient of the fused head on every instruction set with all logits in f64.

use crate::common::{Sum, numbers, offsets, on_all, rows, same_on_threads, slope, wide};
use proptest::prelude::*;
use splade_nn::{
    Isa, Linear, Matrix, PackedMatrix, PooledTerm, Pooling, Precision, Saturation, Scratch,
    splade_head, splade_head_backward,
};

/// A head, texts, and the gradients of the weights of all terms of each text.
///
/// Inputs and weights are multiples of an eighth, so that logits are exact in f32. Many logits are
/// equal, many are 0, and f64 finds the same winners.
struct Case {
    vocab: usize,
    hidden: usize,
    offsets: Vec<usize>,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    /// The gradients of the weights, `(texts, vocab)`.
    d: Vec<f32>,
    /// The previous contents of the gradients of hidden states, weight and bias.
    before: [Vec<f32>; 3],
}

impl Case {
    fn new(lengths: &[usize], hidden: usize, vocab: usize, bias: bool, seed: u64) -> Self {
        let offsets = offsets(lengths);
        let tokens = offsets[lengths.len()];
        let eighths = |seed: u64, count: usize| -> Vec<f32> {
            numbers(seed, count).iter().map(|x| (x * 8.0).floor() / 8.0).collect()
        };
        let biases = if bias { vocab } else { 0 };
        Self {
            vocab,
            hidden,
            x: eighths(seed, tokens * hidden),
            weight: eighths(!seed, vocab * hidden),
            bias: bias.then(|| eighths(seed ^ 64, vocab)),
            d: numbers(seed ^ 128, lengths.len() * vocab),
            before: [(2, tokens * hidden), (4, vocab * hidden), (8, biases)]
                .map(|(salt, count)| numbers(seed ^ salt << 8, count)),
            offsets,
        }
    }

    /// Returns the gradients of hidden states, weight and bias, one after another.
    fn run(&self, isa: Isa, pooling: Pooling, saturation: Saturation) -> Vec<f32> {
        let linear = |weight: &[f32], bias: Option<&[f32]>| {
            let weight = Matrix::pack(isa, Precision::F32, weight, self.vocab, self.hidden);
            Linear { weight, bias: bias.map(<[f32]>::to_vec) }
        };
        let decoder = linear(&self.weight, self.bias.as_deref());
        let (x, offsets) = (&self.x, &self.offsets);
        let pooled = splade_head(&decoder, x, offsets, pooling, saturation, true);
        let of_terms = |(terms, d): (&Vec<PooledTerm>, &[f32])| {
            terms.iter().map(|term| d[term.term as usize]).collect()
        };
        let d: Vec<Vec<f32>> = pooled.iter().zip(self.d.chunks(self.vocab)).map(of_terms).collect();
        let [hidden, weight, bias] = &self.before;
        let mut d_hidden = hidden.clone();
        let mut gradient = linear(weight, self.bias.as_ref().map(|_| &bias[..]));
        let mut scratch = Scratch::default();
        splade_head_backward(
            &decoder,
            x,
            offsets,
            pooling,
            saturation,
            &pooled,
            &d,
            &mut d_hidden,
            &mut gradient,
            &mut scratch,
        );
        [d_hidden, rows(&gradient.weight), gradient.bias.unwrap_or_default()].concat()
    }

    /// Computes the same gradients from all logits, with the slope of the saturation by finite
    /// differences.
    fn want(&self, pooling: Pooling, saturation: Saturation) -> Vec<Sum> {
        let (hidden, x, w) = (self.hidden, wide(&self.x), wide(&self.weight));
        let mut sums: Vec<Sum> = vec![Sum::default(); self.before.iter().map(Vec::len).sum()];
        for (sum, before) in sums.iter_mut().zip(self.before.iter().flatten()) {
            sum.add(f64::from(*before));
        }
        let (by_hidden, rest) = sums.split_at_mut(x.len());
        let (by_weight, by_bias) = rest.split_at_mut(w.len());
        let weight_of = |logit: f64| match saturation {
            Saturation::Log1pRelu => (1.0 + logit).ln(),
            Saturation::Log1pLog1pRelu => (1.0 + (1.0 + logit).ln()).ln(),
        };
        for (text, term) in
            (0..self.offsets.len() - 1).flat_map(|text| (0..self.vocab).map(move |t| (text, t)))
        {
            let row = &w[term * hidden..][..hidden];
            let bias = self.bias.as_ref().map_or(0.0, |bias| f64::from(bias[term]));
            let logit = |token: usize| -> f64 {
                let x = &x[token * hidden..][..hidden];
                x.iter().zip(row).map(|(x, w)| x * w).sum::<f64>() + bias
            };
            let mut counting: Vec<(usize, f64)> = (self.offsets[text]..self.offsets[text + 1])
                .map(|token| (token, logit(token)))
                .filter(|(_, logit)| *logit > 0.0)
                .collect();
            if pooling == Pooling::Max {
                // Of equal logits, the first one wins.
                let best = counting.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a });
                counting = best.into_iter().collect();
            }
            for (token, logit) in counting {
                let d = f64::from(self.d[text * self.vocab + term]) * slope(weight_of, logit);
                for i in 0..hidden {
                    by_hidden[token * hidden + i].add(d * row[i]);
                    by_weight[term * hidden + i].add(d * x[token * hidden + i]);
                }
                if let Some(bias) = by_bias.get_mut(term) {
                    bias.add(d);
                }
            }
        }
        sums
    }

    /// Compares the gradients. A slope depends on a weight up to 6 with a relative error of 2^-24,
    /// which adds some terms' worth to the error of the sum. Gradients that no logit affects must
    /// keep their bits.
    fn check(&self, pooling: Pooling, saturation: Saturation) -> Option<String> {
        let want = self.want(pooling, saturation);
        for (isa, got) in on_all(|isa| self.run(isa, pooling, saturation)) {
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let (got, tolerance) = (
                    f64::from(*got),
                    match want.terms {
                        1 => 0.0,
                        _ => want.tolerance() + 16.0 * 2f64.powi(-24) * want.size,
                    },
                );
                if (got - want.value).abs() > tolerance || got.is_nan() {
                    return Some(format!("{isa} {i}: {got}, not {want:?} ± {tolerance}"));
                }
            }
        }
        None
    }

    fn check_all(&self) -> Option<String> {
        let poolings = [Pooling::Max, Pooling::Sum].into_iter();
        let saturations = [Saturation::Log1pRelu, Saturation::Log1pLog1pRelu];
        let mut all = poolings.flat_map(|p| saturations.map(|s| (p, s)));
        all.find_map(|(pooling, saturation)| {
            let differs = self.check(pooling, saturation)?;
            Some(format!("{pooling:?} {saturation:?} {differs}"))
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn heads(lengths in proptest::collection::vec(1usize..150, 1..5), hidden in 1usize..80,
        vocab in 1usize..120, bias: bool, seed: u64) {
        prop_assert_eq!(Case::new(&lengths, hidden, vocab, bias, seed).check_all(), None);
    }
}

/// Covers widths around the number that a thread takes at once: 32 dimensions, or 64 from 256 on.
#[test]
fn wide_heads() {
    for hidden in [31, 32, 33, 64, 255, 256, 257, 320] {
        let case = Case::new(&[1, 9, 3], hidden, 50, true, hidden as u64);
        assert_eq!(case.check_all(), None, "{hidden}");
    }
}

/// Covers vocabularies around one and two blocks of 960 terms, which sum pooling takes at a time.
#[test]
fn large_vocabularies() {
    for vocab in [959, 960, 961, 1000, 1920, 1921] {
        let case = Case::new(&[2, 5, 1], 5, vocab, vocab % 2 == 0, vocab as u64);
        assert_eq!(case.check_all(), None, "{vocab}");
    }
}

/// Checks that nothing changes if no logit is above zero.
#[test]
fn texts_without_terms() {
    let mut case = Case::new(&[3, 4], 8, 60, true, 1);
    case.bias = Some(vec![-100.0; 60]);
    for (isa, pooling) in
        Isa::supported().into_iter().flat_map(|isa| [(isa, Pooling::Max), (isa, Pooling::Sum)])
    {
        assert_eq!(case.run(isa, pooling, Saturation::Log1pRelu), case.before.concat(), "{isa}");
    }
}

/// Checks that the first of three tokens with equal logits gets the whole gradient.
#[test]
fn of_equal_tokens_the_first_learns() {
    for isa in Isa::supported() {
        let weight = Matrix::F32(PackedMatrix::pack(isa, &[1.0, 0.5], 1, 2));
        let decoder = Linear { weight, bias: None };
        let x = [0.0, 1.0, 1.0, 2.0, 1.0, 2.0, 2.0, 0.0];
        let saturation = Saturation::Log1pRelu;
        let pooled = splade_head(&decoder, &x, &[0, 4], Pooling::Max, saturation, false);
        let (mut d_x, mut gradient) = ([0.0; 8], decoder.zeros_like());
        splade_head_backward(
            &decoder,
            &x,
            &[0, 4],
            Pooling::Max,
            saturation,
            &pooled,
            &[vec![3.0]],
            &mut d_x,
            &mut gradient,
            &mut Scratch::default(),
        );
        // A logit of 2 has a slope of 1/3, up to the rounding of e^-log(3).
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(&d_x, &[0.0, 0.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0]), "{isa} {d_x:?}");
        assert!(near(&rows(&gradient.weight), &[1.0, 2.0]), "{isa}");
    }
}

#[test]
fn threads_do_not_change_heads() {
    let case = Case::new(&[100, 1, 70, 130], 300, 1000, true, 1);
    for (isa, pooling) in
        Isa::supported().into_iter().flat_map(|isa| [(isa, Pooling::Max), (isa, Pooling::Sum)])
    {
        same_on_threads(|| case.run(isa, pooling, Saturation::Log1pRelu));
    }
}
