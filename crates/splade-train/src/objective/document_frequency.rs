//! What DF-FLOPS knows of document frequencies ("An Alternative to FLOPS Regularization to
//! Effectively Productionize SPLADE-Doc", arXiv 2505.15070).
//!
//! A term that is in the share `x` of the documents has the activation
//!
//! ```text
//! a(x) = 1 / (1 + (x^(log_α 2) - 1)^β),   a(0) = 0, a(α) = 1/2, a(1) = 1
//! ```
//!
//! The paper counts documents of a validation set every 100 steps. Here the vectors of training are
//! counted, which costs nothing: in windows of `interval` steps (steps `k·interval` to
//! `(k+1)·interval - 1`), each of which weights the terms by the window before it. In the first
//! window the weights are by all vectors so far, those of the batch at hand included. All columns
//! of a batch are counted together. Gradients take the activations as given.

use serde_json::{Value, json};

use crate::engine::Terms;
use crate::error::TrainError;

/// Counts of terms over windows of steps.
#[derive(Debug, Clone)]
pub(super) struct DocumentFrequency {
    alpha: f64,
    beta: f64,
    /// Steps of a window.
    interval: u64,
    /// The number of the window that is being counted.
    window: u64,
    current: Counts,
    /// The last window with texts in it.
    last: Option<Counts>,
    /// A term's `a(x)`; empty if it has to be computed.
    activations: Vec<f64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Counts {
    texts: u64,
    /// A term's texts; empty before the first text.
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

    /// Counts the texts and gives the activations for them.
    ///
    /// # Errors
    /// If the vocabulary is not that of earlier calls.
    pub(super) fn observe(
        &mut self,
        columns: &[Vec<&Terms>],
        vocab: usize,
        step: u64,
    ) -> Result<&[f64], TrainError> {
        for counts in [Some(&self.current), self.last.as_ref()].into_iter().flatten() {
            if counts.texts > 0 && counts.terms.len() != vocab {
                return Err(TrainError::State(format!(
                    "document frequencies of {} terms were counted, and the vocabulary has {vocab}",
                    counts.terms.len()
                )));
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

    /// With the counts of a [`state`](Self::state).
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
            TrainError::State(format!("the document frequencies of `{name}` cannot be read"))
        })
    }
}

/// `a(x)`
pub(super) fn activation(share: f64, alpha: f64, beta: f64) -> f64 {
    let exponent = std::f64::consts::LN_2 / libm::log(alpha);
    // Never below 0 but by rounding; at 0 the power is infinite and the activation 0.
    let distance = (libm::pow(share, exponent) - 1.0).max(0.0);
    1.0 / (1.0 + libm::pow(distance, beta))
}
