//! The settings of an update.

use crate::config::TrainingConfig;

/// The number of parameters that a thread takes at a time. It is 64 KiB of each array, so a chunk
/// of all arrays fits into the second-level cache.
pub(super) const CHUNK: usize = 1 << 14;

/// The settings of one update.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateOptions {
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// The factors of the learning rate, one for each engine; engines beyond the end of the list
    /// have the factor 1.
    pub engine_rates: Vec<f64>,
    /// The weight decay. AdamW multiplies it by the learning rate; the other optimizers add it to
    /// the gradient.
    pub weight_decay: f64,
    /// Parts of parameter names; a parameter whose name contains one of them has no weight decay.
    pub undecayed: &'static [&'static str],
    /// The decay rate of AdamW's running mean of gradients.
    pub beta1: f64,
    /// The decay rate of AdamW's running mean of squared gradients.
    pub beta2: f64,
    /// The epsilon of AdamW; the other optimizers use PyTorch's defaults.
    pub epsilon: f64,
}

impl UpdateOptions {
    /// Returns the settings of a run with a given learning rate, the same for all engines.
    pub fn new(training: &TrainingConfig, learning_rate: f64) -> Self {
        Self {
            learning_rate,
            engine_rates: Vec::new(),
            weight_decay: training.weight_decay,
            undecayed: &[],
            beta1: training.adam_beta1,
            beta2: training.adam_beta2,
            epsilon: training.adam_epsilon,
        }
    }
}
