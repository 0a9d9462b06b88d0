//! A step of masked language modelling: predict masked tokens, regularize texts, update parameters.

use serde_json::{Value, json};
use splade_io::Problem;
use splade_model::training::{CrossEntropy, Masked};

use crate::config::TrainingConfig;
use crate::cpu::CpuEngine;
use crate::engine::{Engine, Parameters};
use crate::error::TrainError;
use crate::objective::{BudgetReport, PROBED_TEXTS, Pace, TextRegularizer};
use crate::optimizer::{OptimizerState, UpdateOptions, clip_coefficient, gradient_norm};
use crate::run::{BatchReport, Optimized, StepReport};
use crate::schedule::Schedule;
use splade_data::random::{Stream, hash};
use splade_logs::Series;

/// The sequences of a batch, and their masked tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MaskedBatch {
    pub(super) texts: Vec<Vec<u32>>,
    pub(super) masked: Vec<Masked>,
}

impl MaskedBatch {
    /// Adds a sequence. `hidden` has the position and the original id of each masked token.
    pub(super) fn add(&mut self, ids: Vec<u32>, hidden: &[(usize, u32)]) {
        let before = self.tokens();
        let masked = |(place, id): &(usize, u32)| Masked { token: before + place, id: *id };
        self.masked.extend(hidden.iter().map(masked));
        self.texts.push(ids);
    }

    fn texts(&self) -> Vec<&[u32]> {
        self.texts.iter().map(Vec::as_slice).collect()
    }

    fn tokens(&self) -> usize {
        self.texts.iter().map(Vec::len).sum()
    }
}

/// The model, the optimizer and everything else that a step changes or needs.
#[derive(Debug)]
pub(super) struct Stepper {
    pub(super) engine: CpuEngine,
    regularizer: Option<TextRegularizer>,
    optimizer: OptimizerState,
    schedule: Schedule,
    options: UpdateOptions,
    max_grad_norm: f64,
    seed: u64,
    step: u64,
    /// The fingerprint of the texts; a checkpoint with another fingerprint is refused.
    corpus: u64,
}

impl Stepper {
    /// Creates the state before the first of `total` steps on a corpus with the fingerprint
    /// `corpus`.
    pub(super) fn new(
        engine: CpuEngine,
        training: &TrainingConfig,
        total: u64,
        corpus: u64,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            engine,
            regularizer: match training.regularizers.doc.as_ref() {
                Some(config) => Some(TextRegularizer::new(config, &Pace::new(training, total)?)?),
                None => None,
            },
            optimizer: OptimizerState::new(training.optim),
            schedule: Schedule::new(training, total)?,
            options: UpdateOptions::new(training, training.learning_rate),
            max_grad_norm: training.max_grad_norm,
            seed: training.seed,
            step: 0,
            corpus,
        })
    }

    /// Returns λ for the next step.
    pub(super) fn lambda(&self) -> f64 {
        self.regularizer.as_ref().map_or(0.0, |regularizer| regularizer.lambda(self.step))
    }

    /// Makes a step of some batches. The loss is the mean over all their masked tokens, and the
    /// regularizer is the mean over the batches.
    ///
    /// # Errors
    /// Returns an error if the loss or the gradients are not finite. The parameters are unchanged
    /// in this case.
    pub(super) fn step(&mut self, batches: &[MaskedBatch]) -> Result<StepReport, TrainError> {
        let count = batches.iter().map(|batch| batch.masked.len()).sum::<usize>().max(1);
        let (mut found, mut penalty) = (CrossEntropy::default(), 0.0);
        let mut terms = Vec::new();
        let lambda = self.lambda();
        for (index, batch) in batches.iter().enumerate() {
            let key =
                |ordinal| hash(&[self.seed, Stream::DROPOUT, self.step, index as u64, ordinal]);
            let noise: Vec<u64> = (0..batch.texts.len() as u64).map(key).collect();
            let pooled = self.regularizer.is_some();
            let vectors = self.engine.forward_masked(&batch.texts(), &noise, pooled);
            terms.extend(vectors.iter().map(|vector| vector.terms.len()));
            let mut gradients = Vec::new();
            if let Some(regularizer) = &mut self.regularizer {
                let vocab = self.engine.vocab();
                // The loss is not known yet; a model that knows nothing has this one.
                let first_loss = libm::log(vocab as f64);
                let (value, by_weight) =
                    regularizer.compute(&vectors, vocab, self.step, first_loss)?;
                let share = 1.0 / batches.len() as f32;
                penalty += value * f64::from(share);
                gradients = by_weight;
                gradients.iter_mut().flatten().for_each(|gradient| *gradient *= share);
            }
            let scale = 1.0 / count as f32;
            found.add(self.engine.backward_masked(&batch.masked, scale, &gradients));
        }
        let masked_loss = found.loss / count as f64;
        let loss = masked_loss + penalty;
        let norm = gradient_norm(&mut [&mut self.engine]);
        for (what, value) in [("the loss", loss), ("the norm of the gradients", norm)] {
            if !value.is_finite() {
                return Err(TrainError::NotFinite { step: self.step, what, value, last: None });
            }
        }
        let learning_rate = self.schedule.learning_rate(self.step);
        let options = UpdateOptions { learning_rate, ..self.options.clone() };
        let clip = clip_coefficient(norm, self.max_grad_norm);
        let document_terms = terms.iter().sum::<usize>() as f64 / terms.len().max(1) as f64;
        self.steer(batches, &terms, document_terms);
        self.optimizer.update(&mut [&mut self.engine], &options, clip);
        self.step += 1;
        let accuracy = found.correct as f64 / count as f64;
        let components = vec![(Series::MASKED_LOSS, masked_loss), (Series::ACCURACY, accuracy)];
        Ok(StepReport {
            step: self.step - 1,
            loss,
            components: components.clone(),
            regularizer: penalty,
            lambda_d: lambda,
            learning_rate,
            gradient_norm: norm,
            batches: vec![BatchReport {
                loss,
                components,
                regularizer: penalty,
                document_terms: terms,
                ..BatchReport::default()
            }],
            document_terms,
            tokens: batches.iter().map(MaskedBatch::tokens).sum(),
            ..StepReport::default()
        })
    }

    /// Tells the budget, if there is one, how many terms the texts of this step have.
    fn steer(&mut self, batches: &[MaskedBatch], terms: &[usize], mean: f64) {
        let (Some(regularizer), Some(batch)) = (&mut self.regularizer, batches.first()) else {
            return;
        };
        let count = batch.texts.len().min(PROBED_TEXTS);
        if regularizer.wants_probe() && count > 0 {
            let vectors = self.engine.encode(&batch.texts()[..count]);
            let without = vectors.iter().map(|vector| vector.terms.len()).sum::<usize>();
            let with = terms[..count].iter().sum::<usize>();
            regularizer.probe(with as f64 / count as f64, without as f64 / count as f64);
        }
        regularizer.observe(self.step, mean);
    }

    /// Returns what the budget of the texts has reached, if there is one.
    pub(super) fn budget(&self) -> Option<BudgetReport> {
        self.regularizer.as_ref().and_then(TextRegularizer::budget)
    }

    /// Returns the loss of a batch without dropout, and the number of its masked tokens.
    pub(super) fn evaluate(&self, batch: &MaskedBatch) -> (CrossEntropy, usize) {
        (self.engine.masked_loss(&batch.texts(), &batch.masked), batch.masked.len())
    }

    /// Returns the number of bytes of parameters and moments in a checkpoint.
    pub(super) fn checkpoint_bytes(&mut self) -> u64 {
        let mut numbers = 0;
        self.engine.parameters(&mut |parameter| numbers += parameter.values.len());
        let moments = OptimizerState::moment_names(self.optimizer.kind).len();
        (numbers * (1 + moments) * size_of::<f32>()) as u64
    }

    /// Returns the number of steps that were made.
    pub(super) fn steps(&self) -> u64 {
        self.step
    }

    /// Returns the encoder and the optimizer's state, for checkpoints.
    pub(super) fn optimized(&mut self) -> Optimized<'_> {
        Optimized {
            names: vec!["document"],
            engines: vec![&mut self.engine],
            optimizer: &mut self.optimizer,
        }
    }

    /// Returns the state of the regularizer and the fingerprint of the texts, for checkpoints.
    pub(super) fn objective_state(&self) -> Value {
        let regularizer = self.regularizer.as_ref().map_or(Value::Null, TextRegularizer::state);
        json!({ "corpus": format!("{:016x}", self.corpus), "doc": regularizer })
    }

    /// Continues after `steps` steps with the state from a checkpoint.
    ///
    /// # Errors
    /// Returns an error if the checkpoint belongs to other texts or to another regularizer.
    pub(super) fn go_on(&mut self, steps: u64, objective: &Value) -> Result<(), TrainError> {
        if objective["corpus"] != self.objective_state()["corpus"] {
            let what = "it was trained on other texts, or with another tokenizer";
            let remedy = "resume with the data of the run, or begin in another output_dir";
            return Err(TrainError::State(Problem::new(what).with_remedy(remedy)));
        }
        if let Some(regularizer) = &mut self.regularizer {
            regularizer.restore(&objective["doc"])?;
        }
        self.step = steps;
        Ok(())
    }
}
