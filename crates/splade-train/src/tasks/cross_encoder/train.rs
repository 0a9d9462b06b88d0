//! Prepares a run: the folders, the data and the model are opened and checked.

use splade_io::{Event, Observer, OutputLock, counted};
use splade_model::cross_encoder::PairTokenizer;

use crate::error::TrainError;
use crate::run::Outcome;
use crate::run::checks::NewFolders;
use crate::run::folders::RunFolders;
use crate::tasks::prepare::{ResolveModel, resolve_at_hub, run_info, tell_checkpoint};

use super::config::{CrossEncoderConfig, CrossEncoderSource};
use super::data::CrossEncoderData;
use super::engine::CrossEncoderEngine;
use super::outputs::{Beginning, prepare};
use super::pairs::QUERIES_MAY_FILL_PAIRS;
use super::start::started;
use super::task::Parts;

/// The options of [`train`] beside the settings.
#[derive(Clone, Copy)]
pub struct TrainOptions<'a> {
    /// Returns the folder of a named model. The default accepts folders, and fetches other names
    /// from the Hugging Face hub.
    pub resolve: &'a ResolveModel<'a>,
    /// The name of the config, for the logs.
    pub name: Option<&'a str>,
    /// Whether the run resumes from the last checkpoint in `output_path`, if there is one.
    pub resume: bool,
}

impl Default for TrainOptions<'_> {
    fn default() -> Self {
        Self { resolve: &resolve_at_hub, name: None, resume: false }
    }
}

impl std::fmt::Debug for TrainOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainOptions").field("resume", &self.resume).finish_non_exhaustive()
    }
}

/// Trains a cross-encoder as a config describes, on the threads of the current rayon pool.
///
/// The best model, the checkpoints and the logs go into `output_path`, and the last model goes into
/// `final_output_path`. If the observer asks to stop, a checkpoint is written. A call with `resume`
/// then continues the run, which ends with the same bytes.
///
/// # Errors
/// Returns an error if the settings, the data and the model do not fit together, if an output would
/// be overwritten, if a file cannot be read or written, or if a loss is not finite.
///
/// # Examples
/// ```
/// use serde_json::json;
/// use splade_train::Outcome;
/// use splade_train::cross_encoder::{CrossEncoderConfig, TrainOptions, train};
///
/// let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
/// let toy = repository.join("data/toy/train");
/// let output = tempfile::tempdir()?;
/// let config = CrossEncoderConfig::from_value(&json!({
///     "model_path": repository.join("models/demo"), "output_path": output.path(),
///     "train_query_master": toy.join("query_master.ndjson"),
///     "train_doc_master": toy.join("doc_master.ndjson"),
///     "train_positives": toy.join("positive_lists.ndjson"),
///     "hard_negative_scores": toy.join("hard_negative_scores.ndjson"),
///     "max_train_size": 40, "train_batch_size": 10, "max_token_len": 32, "warmup_steps": 1,
/// }))?;
///
/// let outcome = train(&config, &TrainOptions::default(), &mut ())?;
/// assert!(matches!(outcome, Outcome::Finished(results) if results.steps == 4));
/// assert!(output.path().join("final/model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn train(
    config: &CrossEncoderConfig,
    options: &TrainOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let new = NewFolders::before([&*config.output_path, &*config.final_output_path]);
    new.remove_empty(begin_and_run(config, options, observer))
}

fn begin_and_run(
    config: &CrossEncoderConfig,
    options: &TrainOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let output = &config.output_path;
    let mut folders = RunFolders::lock(output, output)?;
    if let Some(parent) = config.final_output_path.parent() {
        std::fs::create_dir_all(parent).map_err(TrainError::io(parent))?;
    }
    let _lock = OutputLock::beside(&config.final_output_path)?;
    let resume = match prepare(config, options.resume)? {
        Beginning::Finished => return Ok(Outcome::UpToDate),
        Beginning::Continued(checkpoint) => Some(checkpoint),
        Beginning::New => None,
    };
    if options.resume {
        tell_checkpoint(resume.as_deref(), output, observer);
    }
    if config.pairs.limits().queries_may_fill_pairs() {
        observer.event(Event::Warning(QUERIES_MAY_FILL_PAIRS));
    }
    let data = CrossEncoderData::open(config)?;
    data.warnings().iter().for_each(|warning| observer.event(Event::Warning(warning)));
    if let Some(positives) = data.positives() {
        let note = format!("{}, {positives} of them positive", counted(data.len(), "pairs"));
        observer.event(Event::Note(&note));
    }
    let model = (options.resolve)(&config.model_path).map_err(TrainError::Source)?;
    let what = format!("cannot load the model {}", model.display());
    let start = folders.temporary("start")?;
    let (folder, new) = started(&model, config.num_labels, config.seed, &start)
        .map_err(TrainError::failed(&*what))?;
    if new {
        let note = "the model has no classifier: a new one is drawn by the seed";
        observer.event(Event::Note(note));
    }
    let (length, dictionary) = (config.pairs.max_token_len, config.mecab_dicdir.clone());
    let tokenizer = PairTokenizer::open(&folder, Some(length), dictionary)
        .map_err(TrainError::failed(&*what))?;
    let engine = CrossEncoderEngine::load(&folder).map_err(TrainError::failed(what))?;
    let files = match &config.source {
        CrossEncoderSource::Pickle(file) => file,
        CrossEncoderSource::Sets(train, _) => &train.docs,
    };
    let info = run_info("cross-encoder train", options.name, &config.model_path, &[files]);
    let parts = Parts { config: config.clone(), data, tokenizer, engine, resume, info };
    let mut run = parts.run()?;
    let (warmup, steps) = (config.warmup_steps, run.plan().total);
    if warmup >= steps {
        observer.event(Event::Warning(&format!(
            "warmup_steps: the run has only {steps} steps, so with {warmup} warm-up steps the \
             learning rate never reaches its maximum"
        )));
    }
    run.run(observer)
}
