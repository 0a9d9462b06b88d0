//! The document frequencies that DF-FLOPS uses ("An Alternative to FLOPS Regularization to
//! Effectively Productionize SPLADE-Doc", arXiv 2505.15070).
//!
//! A term that occurs in the share `x` of the documents has the activation
//!
//! ```text
//! a(x) = 1 / (1 + (x^(log_α 2) - 1)^β),   a(0) = 0, a(α) = 1/2, a(1) = 1
//! ```
//!
//! The paper counts documents of a validation set every 100 steps. Here the vectors of training are
//! counted, which costs nothing. The steps are divided into windows of `interval` steps
//! (`k·interval` to `(k+1)·interval - 1`), and each window weights the terms by the counts of the
//! window before it. The first window uses the counts of all vectors so far, including those of the
//! current batch. All columns of a batch are counted together. The gradients treat the activations
//! as constants.

use serde_json::{Value, json};

use crate::engine::Terms;
use crate::error::TrainError;

/// The numbers of texts that have each term, counted over windows of steps.
#[derive(Debug, Clone)]
pub(super) struct DocumentFrequency {
    alpha: f64,
    beta: f64,
    /// The number of steps in a window.
    interval: u64,
    /// The number of the window that is being counted, from 0.
    window: u64,
    current: Counts,
    /// The counts of the last window that had texts.
    last: Option<Counts>,
    /// The activation `a(x)` of each term; empty if it has to be recomputed.
    activations: Vec<f64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Counts {
    texts: u64,
    /// The number of texts that have each term; empty before the first text.
    terms: Vec<u64>,
}

impl DocumentFrequency {
    pub(super) fn new(alpha: f64, beta: f64, interval: u64) -> Self {
        Self {
            alpha,
            beta,
            interval,
            window: 0,
            current: Counts::default(),
            last: None,
            activations: Vec::new(),
        }
    }

    /// Counts the texts of a batch, and returns the activation of each term.
    ///
    /// # Errors
    /// Returns an error if the size of the vocabulary differs from that of earlier calls.
    pub(super) fn observe(
        &mut self,
        columns: &[Vec<&Terms>],
        vocab: usize,
        step: u64,
    ) -> Result<&[f64], TrainError> {
        for counts in [Some(&self.current), self.last.as_ref()].into_iter().flatten() {
            if counts.texts > 0 && counts.terms.len() != vocab {
                let what = format!(
                    "the document frequencies have {} terms, but the vocabulary has {vocab}",
                    counts.terms.len()
                );
                return Err(TrainError::State(what.into()));
            }
        }
        let window = step / self.interval;
        if window != self.window {
            self.window = window;
            if self.current.texts > 0 {
                self.last = Some(std::mem::take(&mut self.current));
                self.activations.clear();
            }
        }
        self.current.terms.resize(vocab, 0);
        for text in columns.iter().flatten() {
            self.current.texts += 1;
            for (&term, &weight) in text.terms.iter().zip(&text.weights) {
                self.current.terms[term as usize] += u64::from(weight != 0.0);
            }
        }
        if self.activations.is_empty() || self.last.is_none() {
            let counts = self.last.as_ref().unwrap_or(&self.current);
            let share = |&texts: &u64| texts as f64 / counts.texts as f64;
            let activation = |texts| activation(share(texts), self.alpha, self.beta);
            self.activations = counts.terms.iter().map(activation).collect();
        }
        Ok(&self.activations)
    }

    pub(super) fn state(&self) -> Value {
        let counts = |counts: &Counts| json!({ "texts": counts.texts, "terms": counts.terms });
        json!({
            "window": self.window,
            "current": counts(&self.current),
            "last": self.last.as_ref().map(counts),
        })
    }

    /// Returns a copy with the counts of a [`state`](Self::state).
    pub(super) fn restored(&self, name: &str, state: &Value) -> Result<Self, TrainError> {
        let counts = |value: &Value| -> Option<Counts> {
            let terms = value["terms"].as_array()?.iter().map(Value::as_u64);
            Some(Counts { texts: value["texts"].as_u64()?, terms: terms.collect::<Option<_>>()? })
        };
        let read = || -> Option<Self> {
            let last = match &state["last"] {
                Value::Null => None,
                value => Some(counts(value)?),
            };
            Some(Self {
                window: state["window"].as_u64()?,
                current: counts(&state["current"])?,
                last,
                ..Self::new(self.alpha, self.beta, self.interval)
            })
        };
        read().ok_or_else(|| {
            let what = format!("the document frequencies of `{name}` cannot be read");
            TrainError::State(what.into())
        })
    }
}

/// Returns `a(x)` for the share `x` of the documents.
pub(super) fn activation(share: f64, alpha: f64, beta: f64) -> f64 {
    let exponent = std::f64::consts::LN_2 / libm::log(alpha);
    // Only rounding can make this negative. At a share of 0 the power is infinite and the
    // activation 0.
    let distance = (libm::pow(share, exponent) - 1.0).max(0.0);
    1.0 / (1.0 + libm::pow(distance, beta))
}
