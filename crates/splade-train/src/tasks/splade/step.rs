//! A step of SPLADE training: forward pass, losses, backward pass, clipping and update.

use hydra_compose::settings::SettingError;
use serde_json::Value;

use crate::config::{Config, QueryEncoder};
use crate::engine::{Engine, Parameters, Terms};
use crate::error::TrainError;
use crate::objective::{
    BatchVectors, BudgetReport, Objective, ObjectiveValue, PROBED_TEXTS, VectorGradients,
};
use crate::optimizer::{OptimizerState, UpdateOptions, clip_coefficient, gradient_norm};
use crate::run::{BatchReport, Optimized, StepReport};
use crate::schedule::Schedule;
use splade_data::random::{Stream, hash};

use super::batch::TokenBatch;
use super::towers::{BatchTerms, Towers};

/// The encoders, the optimizer and everything else that a step changes or needs, without data, logs
/// and files.
pub(crate) struct Stepper {
    pub(super) towers: Towers,
    pub(super) objective: Objective,
    pub(super) optimizer: OptimizerState,
    schedule: Schedule,
    options: UpdateOptions,
    freeze_query: bool,
    max_grad_norm: f64,
    cache_tokens: Option<usize>,
    seed: u64,
    /// The number of steps that were made.
    pub(super) step: u64,
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepper").field("towers", &self.towers).field("step", &self.step).finish()
    }
}

impl Stepper {
    /// Creates the state before the first of `total` steps.
    ///
    /// # Errors
    /// Returns an error if the settings do not give a valid objective, or if every encoder is
    /// frozen.
    pub(crate) fn new(mut towers: Towers, config: &Config, total: u64) -> Result<Self, TrainError> {
        let training = &config.training;
        let (freeze_query, query_rate) = match &config.model.query_encoder {
            QueryEncoder::Table(table) => (table.freeze, table.learning_rate),
            QueryEncoder::Model => (false, None),
        };
        // If the learning rate is 0, it stays 0 for all encoders.
        let base = training.learning_rate;
        let rate = query_rate.filter(|_| base != 0.0).map_or(1.0, |rate| rate / base);
        let mut rates = Vec::new();
        if !towers.freeze_document {
            rates.push(1.0);
        }
        if towers.query.is_some() && !freeze_query {
            rates.push(rate);
        }
        if towers.trained(freeze_query).is_empty() {
            let rule = "every encoder is frozen: there is nothing to train";
            return Err(SettingError::new("model", rule).into());
        }
        Ok(Self {
            objective: Objective::new(training, total)?,
            optimizer: OptimizerState::new(training.optim),
            schedule: Schedule::new(training, total)?,
            options: UpdateOptions { engine_rates: rates, ..UpdateOptions::new(training, base) },
            freeze_query,
            max_grad_norm: training.max_grad_norm,
            cache_tokens: training.gradient_cache_tokens,
            seed: training.seed,
            step: 0,
            towers,
        })
    }

    /// Makes a step of some batches, whose gradients are averaged.
    ///
    /// # Errors
    /// Returns an error if the loss or the gradients are not finite. The parameters are unchanged
    /// in this case.
    pub(crate) fn step(&mut self, batches: &[TokenBatch]) -> Result<StepReport, TrainError> {
        let mut report = StepReport { step: self.step, ..StepReport::default() };
        for (index, batch) in batches.iter().enumerate() {
            let share = 1.0 / batches.len() as f32;
            let (value, vectors) = self.add_gradients(batch, index, share)?;
            add(&mut report, batch, &value, &vectors);
        }
        average_over(&mut report, batches);
        if let Some(batch) = batches.first() {
            self.probe(batch, &report.batches[0]);
        }
        let norm = gradient_norm(&mut self.towers.trained(self.freeze_query));
        if !norm.is_finite() {
            return Err(self.not_finite("the norm of the gradients", norm));
        }
        let scale = clip_coefficient(norm, self.max_grad_norm);
        let learning_rate = self.schedule.learning_rate(self.step);
        let options = UpdateOptions { learning_rate, ..self.options.clone() };
        let mut engines = self.towers.trained(self.freeze_query);
        self.optimizer.update(&mut engines, &options, scale);
        self.objective.observe(self.step, report.query_terms, report.document_terms);
        self.step += 1;
        Ok(StepReport { learning_rate, gradient_norm: norm, ..report })
    }

    /// Encodes the first texts of a batch without dropout, if a budget wants to know how many terms
    /// they then have. `trained` has the numbers of terms with dropout.
    fn probe(&mut self, batch: &TokenBatch, trained: &BatchReport) {
        let (query, document) = self.objective.wants_probes();
        let mean = |counts: &[usize]| counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        let counts = |vectors: Vec<Terms>| -> Vec<usize> {
            vectors.iter().map(|vector| vector.terms.len()).collect()
        };
        for (is_query, wanted, texts, terms) in [
            (true, query, &batch.queries, &trained.query_terms),
            (false, document, &batch.positives, &trained.document_terms),
        ] {
            let count = texts.len().min(PROBED_TEXTS);
            if wanted && count > 0 {
                let vectors = match is_query {
                    true => self.towers.encode_queries(&texts[..count]),
                    false => self.towers.encode_documents(&texts[..count]),
                };
                self.objective.probe(is_query, mean(&terms[..count]), mean(&counts(vectors)));
            }
        }
    }

    /// Returns the loss of a batch without dropout and without an update, with the λ of the next
    /// step.
    ///
    /// # Errors
    /// Returns an error if the objective refuses the batch.
    pub(crate) fn loss(&self, batch: &TokenBatch) -> Result<f64, TrainError> {
        let vectors = self.towers.encode(batch);
        Ok(self.objective.evaluate(&self.vectors(batch, &vectors), self.step)?.loss)
    }

    /// Returns the encoders in their current state.
    pub(crate) fn towers(&self) -> &Towers {
        &self.towers
    }

    /// Returns the encoders, for example to read gradients in tests.
    pub(crate) fn towers_mut(&mut self) -> &mut Towers {
        &mut self.towers
    }

    /// Returns the λ of queries and of documents for the next step.
    pub(crate) fn lambdas(&self) -> (f64, f64) {
        self.objective.lambdas(self.step)
    }

    /// Returns what the budgets of queries and of documents have reached.
    pub(crate) fn budgets(&self) -> [(&'static str, Option<BudgetReport>); 2] {
        let (query, doc) = self.objective.budgets();
        [("query", query), ("doc", doc)]
    }

    /// Returns the number of steps that were made.
    pub(crate) fn steps(&self) -> u64 {
        self.step
    }

    /// Returns the number of bytes of parameters and moments in a checkpoint.
    pub(super) fn checkpoint_bytes(&mut self) -> u64 {
        let count = |engine: &mut dyn Engine| {
            let mut count = 0;
            engine.parameters(&mut |parameter| count += parameter.values.len() as u64);
            count
        };
        let mut numbers = count(self.towers.document.as_mut());
        if let Some(query) = &mut self.towers.query {
            numbers += count(query.engine_mut());
        }
        let moments = OptimizerState::moment_names(self.optimizer.kind).len() as u64;
        let trained = self.towers.trained(self.freeze_query);
        numbers += moments * trained.into_iter().map(count).sum::<u64>();
        numbers * size_of::<f32>() as u64
    }

    /// Returns the trained encoders and the optimizer's state, for checkpoints.
    pub(crate) fn optimized(&mut self) -> Optimized<'_> {
        // The order is that of `Towers::trained`; a frozen encoder has no moments.
        let mut names = Vec::new();
        if !self.towers.freeze_document {
            names.push("document");
        }
        if self.towers.query.is_some() && !self.freeze_query {
            names.push("query");
        }
        let engines = self.towers.trained(self.freeze_query).into_iter();
        let engines = engines.map(|engine| engine as &mut dyn Parameters).collect();
        Optimized { names, engines, optimizer: &mut self.optimizer }
    }

    /// Returns the state of losses and regularizers, for checkpoints.
    pub(crate) fn objective_state(&self) -> Value {
        self.objective.state()
    }

    /// Continues after `steps` steps with the state of losses and regularizers from a checkpoint.
    ///
    /// # Errors
    /// Returns an error if the state belongs to other losses or regularizers.
    pub(crate) fn go_on(&mut self, steps: u64, objective: &Value) -> Result<(), TrainError> {
        self.objective.restore(objective)?;
        self.step = steps;
        Ok(())
    }

    /// Computes the forward and backward pass of one batch, without an update.
    ///
    /// # Errors
    /// Returns an error if the loss is not finite.
    pub(crate) fn add_gradients(
        &mut self,
        batch: &TokenBatch,
        index: usize,
        share: f32,
    ) -> Result<(ObjectiveValue, BatchTerms), TrainError> {
        let (seed, step) = (self.seed, self.step);
        // The noise depends on nothing else, so neither threads nor chunks change the dropout.
        let noise =
            move |ordinal| hash(&[seed, Stream::DROPOUT, step, index as u64, ordinal as u64]);
        // Only a batch with more tokens than the cache allows goes through the encoders twice.
        let tokens = self.cache_tokens.filter(|tokens| batch.tokens() > *tokens);
        let vectors = self.towers.forward(batch, &noise, tokens);
        let mut value = self.objective.compute(&self.vectors(batch, &vectors), step)?;
        if !value.loss.is_finite() {
            return Err(self.not_finite("the loss", value.loss));
        }
        let nothing =
            VectorGradients { queries: Vec::new(), positives: Vec::new(), negatives: Vec::new() };
        let mut gradients = std::mem::replace(&mut value.gradients, nothing);
        scale(&mut gradients, share);
        self.towers.backward(batch, &noise, tokens, gradients);
        Ok((value, vectors))
    }

    fn vectors<'a>(&self, batch: &'a TokenBatch, vectors: &'a BatchTerms) -> BatchVectors<'a> {
        BatchVectors {
            vocab: self.towers.vocab(),
            queries: &vectors.queries,
            positives: &vectors.positives,
            negatives: &vectors.negatives,
            teacher_scores: batch.teacher_scores.as_deref(),
            teacher_similarities: batch.teacher_similarities.as_deref(),
        }
    }

    fn not_finite(&self, what: &'static str, value: f64) -> TrainError {
        TrainError::NotFinite { step: self.step, what, value, last: None }
    }
}

fn scale(gradients: &mut VectorGradients, share: f32) {
    if share == 1.0 {
        return;
    }
    let sides = [&mut gradients.queries, &mut gradients.positives, &mut gradients.negatives];
    sides.into_iter().flatten().flatten().for_each(|gradient| *gradient *= share);
}

/// Adds the numbers of a batch to the report of its step.
fn add(report: &mut StepReport, batch: &TokenBatch, value: &ObjectiveValue, vectors: &BatchTerms) {
    let count = |vectors: &[Terms]| -> Vec<usize> {
        vectors.iter().map(|vector| vector.terms.len()).collect()
    };
    let mut document_terms = count(&vectors.positives);
    document_terms.extend(count(&vectors.negatives));
    report.tokens += batch.tokens();
    (report.lambda_q, report.lambda_d) = (value.lambda_q, value.lambda_d);
    report.batches.push(BatchReport {
        loss: value.loss,
        components: value.components.clone(),
        regularizer: value.regularizer,
        query_terms: count(&vectors.queries),
        document_terms,
    });
}

/// Sets the numbers of a step to the means over its batches.
fn average_over(report: &mut StepReport, batches: &[TokenBatch]) {
    let mean = |value: &dyn Fn(&BatchReport) -> f64| {
        report.batches.iter().map(value).sum::<f64>() / batches.len() as f64
    };
    report.loss = mean(&|batch| batch.loss);
    report.regularizer = mean(&|batch| batch.regularizer);
    let names = report.batches.first().map(|batch| batch.components.clone()).unwrap_or_default();
    let components = names.into_iter().enumerate();
    report.components =
        components.map(|(i, (name, _))| (name, mean(&|batch| batch.components[i].1))).collect();
    report.query_terms = average(report.batches.iter().flat_map(|batch| &batch.query_terms));
    report.document_terms = average(report.batches.iter().flat_map(|batch| &batch.document_terms));
}

fn average<'a>(counts: impl Iterator<Item = &'a usize>) -> f64 {
    let (mut sum, mut count) = (0, 0_usize);
    for terms in counts {
        sum += terms;
        count += 1;
    }
    sum as f64 / count.max(1) as f64
}
