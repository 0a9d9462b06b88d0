//! Compares the gradient of attention on every instruction set with f64: with the formulas for
//! texts of any length, and with finite differences for short ones.

use crate::common::{Sum, differs, gradient, numbers, offsets, on_all, same_on_threads, wide};
use proptest::prelude::*;
use splade_nn::{Attention, Dropout, Isa, KeyedTexts};

/// The place in a model, which determines what is dropped.
const PLACE: u32 = 2;

/// Attention over texts with the gradient `d` of the contexts.
struct Case {
    shape: Attention,
    offsets: Vec<usize>,
    keys: Vec<u64>,
    dropout: Option<Dropout>,
    /// The factor of the probabilities that are kept.
    kept: f64,
    /// The queries, keys and values, `(tokens, 3 · hidden)`.
    qkv: Vec<f32>,
    /// The gradient of the contexts, `(tokens, hidden)`.
    d: Vec<f32>,
}

/// One head of one text.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    end: usize,
    head: usize,
}

impl Case {
    fn new(shape: Attention, lengths: &[usize], rate: f64, seed: u64) -> Self {
        let (offsets, hidden) = (offsets(lengths), shape.heads * shape.head_dim);
        let tokens = offsets[lengths.len()];
        Self {
            shape,
            keys: (0..lengths.len() as u64).map(|text| !seed ^ text << 7).collect(),
            dropout: Dropout::new(rate),
            kept: 1.0 / (1.0 - rate),
            qkv: numbers(seed, tokens * 3 * hidden),
            d: numbers(!seed, tokens * hidden),
            offsets,
        }
    }

    fn texts(&self) -> KeyedTexts<'_> {
        KeyedTexts { offsets: &self.offsets, keys: &self.keys }
    }

    fn forward(&self, isa: Isa) -> Vec<f32> {
        let mut context = vec![f32::NAN; self.d.len()];
        let (shape, qkv) = (&self.shape, &self.qkv);
        shape.forward_dropped(isa, qkv, &self.texts(), self.dropout, PLACE, &mut context);
        context
    }

    fn backward(&self, isa: Isa) -> Vec<f32> {
        let mut d_qkv = vec![f32::NAN; self.qkv.len()];
        let (shape, qkv, d) = (&self.shape, &self.qkv, &self.d);
        shape.backward(isa, qkv, &self.texts(), self.dropout, PLACE, d, &mut d_qkv);
        d_qkv
    }

    fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let text = |text: &[usize]| (text[0], text[1]);
        self.offsets.windows(2).map(text).flat_map(|(first, end)| {
            (0..self.shape.heads).map(move |head| Place { first, end, head })
        })
    }

    /// Returns the offset of a head's query (`part` 0), key (1) or value (2) in `qkv`.
    fn at(&self, token: usize, part: usize, head: usize) -> usize {
        let hidden = self.shape.heads * self.shape.head_dim;
        token * 3 * hidden + part * hidden + head * self.shape.head_dim
    }

    /// Returns the keys that a query sees.
    fn seen(&self, place: Place, query: usize) -> impl Iterator<Item = usize> + use<> {
        let window = self.shape.window.unwrap_or(usize::MAX);
        (place.first..place.end).filter(move |key| key.abs_diff(query) <= window)
    }

    /// Returns the factor of each probability, `[token][head][key of its text]`. Queries of 0 give
    /// all keys the same probability, and value number `i` is 1 in dimension `i`, so the contexts
    /// are the probabilities after dropout.
    fn mask(&self, isa: Isa) -> Vec<Vec<Vec<f64>>> {
        let longest = self.offsets.windows(2).map(|text| text[1] - text[0]).max().unwrap_or(0);
        let shape = Attention { head_dim: longest, ..self.shape };
        let tokens = self.offsets[self.offsets.len() - 1];
        let mut probe = Case {
            shape,
            keys: self.keys.clone(),
            offsets: self.offsets.clone(),
            qkv: vec![0.0; tokens * 3 * shape.heads * longest],
            d: vec![0.0; tokens * shape.heads * longest],
            ..*self
        };
        for place in self.places() {
            for token in place.first..place.end {
                let at = probe.at(token, 2, place.head);
                probe.qkv[at + token - place.first] = 1.0;
            }
        }
        let contexts = probe.forward(isa);
        let kept = |x: &f32| if *x > 0.0 { self.kept } else { 0.0 };
        let head = |head: &[f32]| head.iter().map(kept).collect();
        let token = |token: &[f32]| token.chunks(longest).map(head).collect();
        contexts.chunks(shape.heads * longest).map(token).collect()
    }

    /// Returns the probabilities of a query before dropout.
    fn probabilities(&self, qkv: &[f64], place: Place, query: usize) -> Vec<(usize, f64)> {
        let dim = self.shape.head_dim;
        let part = |token, part| &qkv[self.at(token, part, place.head)..][..dim];
        let score = |key: usize| {
            let score = part(query, 0).iter().zip(part(key, 1)).map(|(q, k)| q * k).sum::<f64>();
            (key, (f64::from(self.shape.scale) * score).exp())
        };
        let scores: Vec<(usize, f64)> = self.seen(place, query).map(score).collect();
        let total: f64 = scores.iter().map(|(_, s)| s).sum();
        scores.into_iter().map(|(key, s)| (key, s / total)).collect()
    }

    /// Computes all contexts directly from the definition of attention.
    fn attend(&self, qkv: &[f64], mask: &[Vec<Vec<f64>>]) -> Vec<f64> {
        let dim = self.shape.head_dim;
        let mut contexts = vec![0.0; self.d.len()];
        for (place, query) in
            self.places().flat_map(|place| (place.first..place.end).map(move |q| (place, q)))
        {
            for (key, p) in self.probabilities(qkv, place, query) {
                let a = p * mask[query][place.head][key - place.first];
                let value = self.at(key, 2, place.head);
                let to = query * self.shape.heads * dim + place.head * dim;
                for i in 0..dim {
                    contexts[to + i] += a * qkv[value + i];
                }
            }
        }
        contexts
    }

    /// Computes the gradient by the formulas.
    fn want(&self, mask: &[Vec<Vec<f64>>]) -> Vec<Sum> {
        let (dim, scale) = (self.shape.head_dim, f64::from(self.shape.scale));
        let (qkv, d) = (wide(&self.qkv), wide(&self.d));
        let mut sums = vec![Sum::default(); qkv.len()];
        for (place, query) in
            self.places().flat_map(|place| (place.first..place.end).map(move |q| (place, q)))
        {
            let d = &d[(query * self.shape.heads + place.head) * dim..][..dim];
            let mask = &mask[query][place.head];
            // A key, its probability, and the gradient of that probability with the size of its
            // terms.
            let by_probability = |(key, p): (usize, f64)| {
                let mut g = Sum::default();
                let value = &qkv[self.at(key, 2, place.head)..][..dim];
                let kept = mask[key - place.first];
                d.iter().zip(value).for_each(|(d, v)| g.add(d * v * kept));
                (key, p, g)
            };
            let probabilities = self.probabilities(&qkv, place, query);
            let all: Vec<_> = probabilities.into_iter().map(by_probability).collect();
            let mean: f64 = all.iter().map(|(_, p, g)| p * g.value).sum();
            let mean_size: f64 = all.iter().map(|(_, p, g)| p * g.size).sum();
            for (key, p, g) in all {
                let (score, size) =
                    (p * (g.value - mean) * scale, p * (g.size + mean_size) * scale);
                let kept = mask[key - place.first];
                let [at_query, at_key, at_value] = [(query, 0), (key, 1), (key, 2)]
                    .map(|(token, part)| self.at(token, part, place.head));
                for i in 0..dim {
                    for (to, other) in [(at_query, at_key), (at_key, at_query)] {
                        sums[to + i].value += score * qkv[other + i];
                        sums[to + i].size += size * qkv[other + i].abs();
                    }
                    sums[at_value + i].add(p * kept * d[i]);
                }
            }
        }
        sums
    }

    /// Compares contexts and gradients. A score of 70 products of numbers below 1 is off by about
    /// 1e-6, which is the relative error of its probability and of each of the two terms of a
    /// gradient. The tolerance of the contexts is that of the other tests of attention times the
    /// factor of dropout.
    fn check(&self) -> Option<String> {
        let mask = self.mask(Isa::detect());
        for isa in Isa::supported() {
            assert!(self.mask(isa) == mask, "{isa} drops other probabilities");
        }
        let contexts = self.attend(&wide(&self.qkv), &mask);
        let forward = on_all(|isa| self.forward(isa));
        let want = self.want(&mask);
        let backward = on_all(|isa| self.backward(isa));
        differs(&forward, |i| contexts[i], |_| 2e-5 * self.kept)
            .or_else(|| differs(&backward, |i| want[i].value, |i| 1e-8 + 4e-6 * want[i].size))
    }
}

/// Generates no window, windows narrower than most texts, and windows wider than all texts.
fn windows() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), (0usize..70).prop_map(Some), Just(Some(200)), Just(Some(usize::MAX))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Covers up to more than twice as many queries as are processed at once (64).
    #[test]
    fn any_texts(lengths in prop::collection::vec(1usize..150, 1..4), heads in 1usize..4,
        head_dim in 1usize..70, scale in 0.05f32..0.7, window in windows(),
        rate in prop::sample::select(&[0.0, 0.1, 0.5][..]), seed: u64) {
        let shape = Attention { heads, head_dim, scale, window };
        prop_assert_eq!(Case::new(shape, &lengths, rate, seed).check(), None);
    }

    /// Compares with finite differences of all contexts, which are independent of the formulas.
    #[test]
    fn short_texts(lengths in prop::collection::vec(1usize..7, 1..4), heads in 1usize..3,
        head_dim in 1usize..5, scale in 0.05f32..2.0, window in prop::option::of(0usize..8),
        rate in prop::sample::select(&[0.0, 0.3][..]), seed: u64) {
        let shape = Attention { heads, head_dim, scale, window };
        let case = Case::new(shape, &lengths, rate, seed);
        let mask = case.mask(Isa::detect());
        let sum = |qkv: &[f64]| -> f64 {
            case.attend(qkv, &mask).iter().zip(&case.d).map(|(c, d)| c * f64::from(*d)).sum()
        };
        let want = gradient(sum, &case.qkv);
        let results = on_all(|isa| case.backward(isa));
        prop_assert_eq!(differs(&results, |i| want[i], |_| 3e-6), None);
    }
}

/// Covers lengths around the blocks of queries and the panels of keys, and windows around both.
#[test]
fn lengths_around_blocks() {
    for length in [1, 2, 15, 16, 17, 47, 48, 49, 63, 64, 65, 127, 128, 129, 193, 260] {
        for window in [None, Some(0), Some(1), Some(63), Some(64), Some(65)] {
            let shape = Attention { heads: 2, head_dim: 5, scale: 0.4, window };
            let case = Case::new(shape, &[length, 3], 0.1, length as u64);
            assert_eq!(case.check(), None, "{length} {window:?}");
        }
    }
}

/// Checks heads of the size of BERT's, and an empty text between others.
#[test]
fn heads_of_a_released_size() {
    let shape = Attention { heads: 2, head_dim: 64, scale: 0.125, window: None };
    assert_eq!(Case::new(shape, &[100, 0, 70], 0.1, 1).check(), None);
}

/// Checks that the rate is met and that every head, query and text drops different probabilities.
#[test]
fn probabilities_are_dropped_alone() {
    let shape = Attention { heads: 2, head_dim: 1, scale: 1.0, window: None };
    let mask = Case::new(shape, &[80, 80], 0.2, 3).mask(Isa::detect());
    let rows: Vec<&Vec<f64>> = mask.iter().flatten().collect();
    let dropped = rows.iter().copied().flatten().filter(|kept| **kept == 0.0).count();
    // There are 25,600 draws, so the standard deviation is .0025.
    assert!((dropped as f64 / 25_600.0 - 0.2).abs() < 0.01, "{dropped}");
    for (i, row) in rows.iter().enumerate() {
        assert!(!rows[..i].contains(row), "row {i} drops the same as an earlier row");
    }
}

/// Checks that the gradients of a text have the same bits whatever texts are beside it.
#[test]
fn texts_do_not_depend_on_each_other() {
    let shape = Attention { heads: 3, head_dim: 21, scale: 0.2, window: Some(40) };
    let case = Case::new(shape, &[70, 5, 130], 0.1, 1);
    for isa in Isa::supported() {
        let all = case.backward(isa);
        for (text, key) in case.offsets.windows(2).zip(&case.keys) {
            let part = |x: &[f32], width: usize| x[text[0] * width..text[1] * width].to_vec();
            let alone = Case {
                offsets: vec![0, text[1] - text[0]],
                keys: vec![*key],
                qkv: part(&case.qkv, 189),
                d: part(&case.d, 63),
                ..case
            };
            assert!(alone.backward(isa) == part(&all, 189), "{isa} {text:?}");
        }
    }
}

#[test]
fn threads_do_not_change_attention() {
    let shape = Attention { heads: 3, head_dim: 21, scale: 0.2, window: None };
    for (rate, isa) in
        [0.0, 0.1].into_iter().flat_map(|r| Isa::supported().into_iter().map(move |i| (r, i)))
    {
        let case = Case::new(shape, &[70, 5, 130, 1], rate, 1);
        same_on_threads(|| [case.forward(isa), case.backward(isa)].concat());
    }
}
