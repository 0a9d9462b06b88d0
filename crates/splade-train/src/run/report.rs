//! The report of a step to the run: losses, λ, and numbers of terms and tokens.

/// The numbers of a step. Losses are means over the batches of the step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StepReport {
    /// The number of the step, counted from 0.
    pub(crate) step: u64,
    /// The weighted sum of losses and regularizers.
    pub(crate) loss: f64,
    /// The value of each loss by name, before its weight.
    pub(crate) components: Vec<(&'static str, f64)>,
    /// The part of the loss that comes from the regularizers.
    pub(crate) regularizer: f64,
    /// The λ of the queries that this step used.
    pub(crate) lambda_q: f64,
    /// The λ of the documents that this step used.
    pub(crate) lambda_d: f64,
    /// The learning rate of the update.
    pub(crate) learning_rate: f64,
    /// The norm of all gradients before clipping.
    pub(crate) gradient_norm: f64,
    /// The numbers of each batch.
    pub(crate) batches: Vec<BatchReport>,
    /// The mean number of terms in a query vector.
    pub(crate) query_terms: f64,
    /// The mean number of terms in a document vector.
    pub(crate) document_terms: f64,
    /// The number of tokens in all texts of the step.
    pub(crate) tokens: usize,
}

/// The numbers of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct BatchReport {
    /// The weighted sum of losses and regularizers.
    pub(crate) loss: f64,
    /// The value of each loss by name, before its weight.
    pub(crate) components: Vec<(&'static str, f64)>,
    /// The part of the loss that comes from the regularizers.
    pub(crate) regularizer: f64,
    /// The number of terms of each query vector.
    pub(crate) query_terms: Vec<usize>,
    /// The number of terms of each document vector, positives first.
    pub(crate) document_terms: Vec<usize>,
}
