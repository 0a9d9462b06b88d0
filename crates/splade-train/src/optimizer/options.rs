//! The settings of an update.

use crate::config::TrainingConfig;

/// The numbers that a thread takes at a time: 64 KiB of each array, so that a chunk of all stays in
/// the second cache.
pub(super) const CHUNK: usize = 1 << 14;

/// The settings of one update.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateOptions {
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// The learning rate is multiplied by it, one for each engine; 1 for engines beyond the last.
    pub engine_rates: Vec<f64>,
    /// The weight decay: times the learning rate (AdamW) or added to the gradient (the others).
    pub weight_decay: f64,
    /// Parts of the names of parameters that do not decay.
    pub undecayed: &'static [&'static str],
    /// The decay rate of AdamW's mean of gradients.
    pub beta1: f64,
    /// The decay rate of AdamW's mean of squared gradients.
    pub beta2: f64,
    /// AdamW's epsilon; the others have PyTorch's own.
    pub epsilon: f64,
}

impl UpdateOptions {
    /// The settings of a run at a learning rate, the same for all engines.
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
