//! The task of masked language modelling.

use std::path::{Path, PathBuf};

use hydra_compose::settings::SettingError;
use serde_json::{Value, json};
use splade_data::random::Stream;
use splade_data::{Corpus, Masking};
use splade_io::{Event, Observer};
use splade_logs::{RunInfo, Series};
use splade_model::training::CrossEntropy;

use crate::config::PretrainConfig;
use crate::cpu::CpuEngine;
use crate::engine::Engine;
use crate::error::TrainError;
use crate::run::checkpoint::folder;
use crate::run::checkpoint::moments::load;
use crate::run::checkpoint::record::{self, RecordParts, Saved, Snapshot};
use crate::run::checks::{check_outputs, check_space, final_folder};
use crate::run::results::write_results;
use crate::run::{
    Due, Ending, Evaluation, Optimized, Plan, PlannedBatch, Rules, Run, StepReport, Task,
    TrainerState, Values, Window,
};
use crate::tasks::prepare::rules;

use super::step::{MaskedBatch, Stepper};

/// The opened parts of a run.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The settings of the run.
    pub(crate) config: PretrainConfig,
    /// The encoder before the first step.
    pub(crate) engine: CpuEngine,
    /// The texts for training and evaluation.
    pub(crate) corpus: Corpus,
    /// The choice of the tokens that are masked.
    pub(crate) masking: Masking,
    /// The checkpoint from which the run resumes.
    pub(crate) resume: Option<PathBuf>,
    /// What is trained, for the logs.
    pub(crate) info: RunInfo,
    /// The port of the live page; 0 chooses a free port.
    pub(crate) dashboard: Option<u16>,
}

impl Parts {
    /// Checks the settings, and prepares the run or resumes it.
    ///
    /// # Errors
    /// Returns an error if the settings need data that is not there, if an output would be
    /// overwritten, or if the checkpoint cannot be resumed.
    pub(crate) fn run(self) -> Result<Run<MaskedLm>, TrainError> {
        let Self { config, engine, corpus, masking, resume, info, dashboard } = self;
        let (training, settings) = (&config.training, config.to_value());
        let mut plan = Plan::new(training, corpus.len())?;
        if (training.do_eval || training.eval_on_start) && corpus.held_out() == 0 {
            let rule = "no document is held out for evaluations";
            let remedy =
                "raise it, or set training.eval_strategy to no, and eval_on_start to false";
            return Err(SettingError::new("data.eval_share", rule).with_remedy(remedy).into());
        }
        check_outputs(training, training.resume_from_checkpoint.is_some() || resume.is_some())?;
        // The evaluation for the results is also part of the last checkpoint.
        plan.evaluate.last = training.do_eval.then_some(true);
        let rules = Rules {
            evaluate_result: training.do_eval,
            info,
            ..rules(training, &settings, dashboard)
        };
        let state = TrainerState::begin(&plan, training);
        let task = MaskedLm {
            stepper: Stepper::new(engine, training, plan.total, corpus.fingerprint())?,
            corpus,
            masking,
            config,
            settings,
        };
        Run::new(task, plan, rules, state, resume.as_deref())
    }
}

/// The task of predicting masked tokens.
#[derive(Debug)]
pub(crate) struct MaskedLm {
    config: PretrainConfig,
    settings: Value,
    stepper: Stepper,
    corpus: Corpus,
    masking: Masking,
}

impl MaskedLm {
    /// Returns the sequences of a batch. Which tokens are masked depends on the seed, the epoch and
    /// the number of the sequence in the epoch.
    fn batch(&self, planned: &PlannedBatch) -> MaskedBatch {
        let (seed, epoch) = (self.config.training.seed, planned.epoch);
        let mut batch = MaskedBatch::default();
        for position in planned.samples.clone() {
            let (index, mut ids) = self.corpus.sequence(epoch, position);
            let hidden = self.masking.hide(&mut ids, &[seed, Stream::MASK, epoch, index as u64]);
            batch.add(ids, &hidden);
        }
        batch
    }
}

impl Task for MaskedLm {
    type Batch = MaskedBatch;

    fn check_space(&mut self, plan: &Plan, done: u64, free: Option<u64>) -> Result<(), TrainError> {
        let bytes = self.stepper.checkpoint_bytes();
        check_space(&self.config.training, plan, done, bytes, free)
    }

    fn read_records(&self, folder: &Path, state: &mut TrainerState) -> Result<Saved, TrainError> {
        Ok(record::read(folder, &self.settings, state)?.1)
    }

    fn load_model(&mut self, folder: &Path) -> Result<(), TrainError> {
        load(folder, &mut self.stepper.engine)
    }

    fn go_on(&mut self, steps: u64, objective: &Value) -> Result<(), TrainError> {
        self.stepper.go_on(steps, objective)
    }

    fn batches(&mut self, plan: &Plan) -> Result<Vec<MaskedBatch>, TrainError> {
        Ok(plan.batches_of(self.steps()).iter().map(|planned| self.batch(planned)).collect())
    }

    fn step(&mut self, batches: &[MaskedBatch]) -> Result<StepReport, TrainError> {
        self.stepper.step(batches)
    }

    fn steps(&self) -> u64 {
        self.stepper.steps()
    }

    fn logged(&self, window: &mut Window) -> Values {
        let mut values = window.take(Series::REGULARIZER, (0.0, self.stepper.lambda()));
        // There are no queries, and without a regularizer there are no vectors.
        let mut unused = vec![Series::LAMBDA_Q, Series::QUERY_TERMS];
        if self.config.training.regularizers.doc.is_none() {
            unused.extend([Series::REGULARIZER, Series::LAMBDA_D, Series::DOC_TERMS]);
        }
        values.retain(|(name, _)| !unused.contains(&name.as_str()));
        let steered = self.stepper.budget().map(|budget| budget.terms);
        values.extend(steered.map(|terms| (Series::STEERED_TERMS[1].to_owned(), terms)));
        values
    }

    /// Returns the loss and the accuracy on the held-out texts, with the same masked tokens each
    /// time. The evaluation is not interrupted by `_stop`.
    fn evaluate(&self, _stop: &mut dyn FnMut() -> bool) -> Result<Option<Evaluation>, TrainError> {
        let (mut found, mut count) = (CrossEntropy::default(), 0);
        let size = self.config.training.per_device_eval_batch_size;
        let all: Vec<usize> = (0..self.corpus.held_out()).collect();
        for indices in all.chunks(size) {
            let mut batch = MaskedBatch::default();
            for index in indices {
                let mut ids = self.corpus.held_out_sequence(*index);
                let key = [self.config.training.seed, Stream::MASK, *index as u64];
                let hidden = self.masking.hide(&mut ids, &key);
                batch.add(ids, &hidden);
            }
            let (loss, tokens) = self.stepper.evaluate(&batch);
            found.add(loss);
            count += tokens;
        }
        let count = count.max(1) as f64;
        let values = vec![
            (Series::EVAL_LOSS.to_owned(), found.loss / count),
            (Series::EVAL_ACCURACY.to_owned(), found.correct as f64 / count),
        ];
        Ok(Some(Evaluation { values, expansions: None }))
    }

    fn save_model(&mut self, folder: &Path) -> Result<(), TrainError> {
        self.stepper.engine.save(folder)
    }

    fn optimized(&mut self) -> Optimized<'_> {
        self.stepper.optimized()
    }

    fn records(&self, snapshot: &Snapshot<'_>) -> Vec<(&'static str, String)> {
        let parts = RecordParts {
            training: &self.config.training,
            settings: &self.settings,
            model_use: json!({ "agg": "max", "max_length": self.config.model.max_length }),
            samples: self.corpus.len(),
            data: Value::Null,
            objective: self.stepper.objective_state(),
        };
        record::texts(parts, snapshot)
    }

    fn finish(
        &mut self,
        ending: &Ending<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if let Some(budget) = self.stepper.budget() {
            budget.tell("training.regularizer", observer);
        }
        let output = final_folder(&self.config.training);
        let target = output.join("model");
        let partial = folder::begin(&target)?;
        self.stepper.engine.save(partial.path())?;
        folder::finish_model(partial)?;
        let state = ending.snapshot.state.to_json(Due::default());
        write_results(output, &self.settings, ending.results, &state)?;
        observer.event(Event::Saved(&target));
        Ok(())
    }
}
