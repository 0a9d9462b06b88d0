//! Compares the loss of masked tokens and its gradients on every instruction set with f64.

use crate::common::{dot, numbers, on_all, rows, same_on_threads, wide};
use splade_nn::{Isa, Linear, Matrix, Precision, Scratch, cross_entropy, cross_entropy_backward};

/// Returns the loss, the number of correct tokens, and the gradients of hidden states, weight and
/// bias in one list.
fn run(isa: Isa, case: &Case) -> Vec<f32> {
    let decoder = case.linear(isa, &case.weight, &case.bias);
    let mut gradient = case.linear(isa, &case.before, &case.bias);
    let mut d_hidden = vec![7.0; case.hidden.len()];
    let mut scratch = Scratch::default();
    let targets = &case.targets;
    let value = cross_entropy_backward(
        &decoder,
        &case.hidden,
        targets,
        case.scale,
        &mut d_hidden,
        &mut gradient,
        &mut scratch,
    );
    assert_eq!(value, cross_entropy(&decoder, &case.hidden, targets));
    let numbers = [value.loss as f32, value.correct as f32];
    [&numbers[..], &d_hidden, &rows(&gradient.weight), &gradient.bias.unwrap_or_default()].concat()
}

struct Case {
    vocab: usize,
    inputs: usize,
    hidden: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    /// The previous contents of the weight's gradient; that of the bias starts with the bias.
    before: Vec<f32>,
    targets: Vec<u32>,
    scale: f32,
}

impl Case {
    fn new(tokens: usize, inputs: usize, vocab: usize, bias: bool) -> Self {
        let seed = (tokens * 31 + vocab) as u64;
        Self {
            vocab,
            inputs,
            hidden: numbers(seed, tokens * inputs),
            weight: numbers(!seed, vocab * inputs),
            bias: if bias { numbers(seed ^ 64, vocab) } else { Vec::new() },
            before: numbers(seed ^ 128, vocab * inputs),
            targets: (0..tokens).map(|token| (token * 17 % vocab) as u32).collect(),
            scale: 0.3,
        }
    }

    fn linear(&self, isa: Isa, weight: &[f32], bias: &[f32]) -> Linear {
        let weight = Matrix::pack(isa, Precision::F32, weight, self.vocab, self.inputs);
        Linear { weight, bias: (!bias.is_empty()).then(|| bias.to_vec()) }
    }

    fn want(&self) -> Vec<f64> {
        let (mut loss, mut correct) = (0.0, 0.0);
        let mut d_hidden = vec![0.0; self.hidden.len()];
        let (mut d_weight, mut d_bias) = (wide(&self.before), wide(&self.bias));
        for (token, target) in self.targets.iter().enumerate() {
            let x = &self.hidden[token * self.inputs..][..self.inputs];
            let row = |term: usize| &self.weight[term * self.inputs..][..self.inputs];
            let bias = |term: usize| self.bias.get(term).map_or(0.0, |b| f64::from(*b));
            let logits: Vec<f64> =
                (0..self.vocab).map(|term| dot(x, row(term)) + bias(term)).collect();
            let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let own = logits[*target as usize];
            loss += total.ln() - own;
            correct += f64::from(u8::from(logits.iter().all(|other| *other <= own)));
            for (term, logit) in logits.iter().enumerate() {
                let hit = f64::from(u8::from(term == *target as usize));
                let d = f64::from(self.scale) * (logit.exp() / total - hit);
                for i in 0..self.inputs {
                    d_hidden[token * self.inputs + i] += d * f64::from(row(term)[i]);
                    d_weight[term * self.inputs + i] += d * f64::from(x[i]);
                }
                if let Some(bias) = d_bias.get_mut(term) {
                    *bias += d;
                }
            }
        }
        [&[loss, correct][..], &d_hidden, &d_weight, &d_bias].concat()
    }
}

#[test]
fn loss_and_gradients_are_those_of_f64() {
    for (tokens, inputs, vocab, bias) in
        [(1, 8, 3, true), (5, 24, 49, true), (37, 40, 200, false), (130, 16, 97, true)]
    {
        let case = Case::new(tokens, inputs, vocab, bias);
        let want = case.want();
        for (isa, got) in on_all(|isa| run(isa, &case)) {
            check(&got, &want, &format!("{isa} {tokens} {vocab}"));
        }
    }
}

/// Covers more logits than are held at once: 16,777,216 logits are 239 tokens here, so there are
/// two blocks.
#[test]
fn blocks_of_tokens_are_added_up() {
    let case = Case::new(300, 8, 70_000, true);
    check(&run(Isa::detect(), &case), &case.want(), "two blocks");
}

fn check(got: &[f32], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        // These are 32-bit sums of some hundred terms near 1; the loss is a sum over the tokens.
        let tolerance = 3e-5 + 1e-6 * want.abs();
        let near = (f64::from(*got) - want).abs() <= tolerance;
        assert!(near, "{what} {i}: {got}, not {want}");
    }
}

#[test]
fn threads_do_not_change_a_bit_and_no_token_is_no_loss() {
    let case = Case::new(300, 64, 1000, true);
    same_on_threads(|| run(Isa::detect(), &case));
    let none = Case { targets: Vec::new(), hidden: Vec::new(), ..case };
    let value = run(Isa::detect(), &none);
    assert_eq!(value[..2], [0.0, 0.0]);
    assert_eq!(value[2..2 + none.before.len()], none.before);
}
