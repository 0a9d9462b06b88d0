//! Prepares a run: the checkpoint, the texts, the tokenizer and the encoder are opened and checked.

use std::path::{Path, PathBuf};

use hydra_compose::settings::SettingError;
use splade_data::{Corpus, CorpusOptions, Masking};
use splade_io::{Event, Observer, Progress, counted};
use splade_model::ModelError;
use splade_nn::{Pooling, Saturation};
use splade_text::{Tokenizer, TokenizerOptions};

use crate::config::{PretrainConfig, PretrainData, Start};
use crate::cpu::CpuEngine;
use crate::engine::Engine;
use crate::error::{SourceError, TrainError};
use crate::run::Outcome;
use crate::run::checks::{NewFolders, final_folder, lock_outputs};
use crate::run::folders::RunFolders;
use crate::tasks::prepare::{
    Ready, ResolveModel, checkpoint, nothing, resolve_at_hub, run_info, with_head,
};

use super::new_model::new_model;
use super::task::Parts;

/// The texts of a run, one after another.
pub struct TextStream {
    /// The texts as an iterator, which may fail at any text.
    pub texts: Box<dyn Iterator<Item = Result<String, SourceError>>>,
    /// Returns the share of the input that has been read, from 0 to 1, if the size of the input is
    /// known.
    pub share: Box<dyn Fn() -> Option<f64>>,
    /// Tells an observer what there is to say about the inputs; called before the first text and
    /// after the last one.
    pub tell: Box<Tell>,
}

/// Tells an observer what there is to say about inputs.
pub type Tell = dyn Fn(&mut dyn Observer);

impl std::fmt::Debug for TextStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextStream").finish_non_exhaustive()
    }
}

/// Opens the texts of `data.train_files`.
pub type OpenTexts<'a> = dyn Fn(&PretrainData) -> Result<TextStream, SourceError> + 'a;

/// The options of [`pretrain`] beside the settings.
#[derive(Clone, Copy)]
pub struct PretrainOptions<'a> {
    /// Opens the texts of `data.train_files`.
    pub texts: &'a OpenTexts<'a>,
    /// Returns the folder of a named model. [`new`](Self::new) accepts folders, and fetches other
    /// names from the Hugging Face hub.
    pub resolve: &'a ResolveModel<'a>,
    /// Called once, after all checks and before the first step.
    pub ready: &'a Ready<'a>,
    /// The name of the config, for the logs.
    pub name: Option<&'a str>,
    /// The local port of the live page of the run; 0 chooses a free port. `None` means no page.
    pub dashboard: Option<u16>,
}

impl<'a> PretrainOptions<'a> {
    /// Returns the default options for a run on the texts that `texts` opens.
    pub fn new(texts: &'a OpenTexts<'a>) -> Self {
        Self { texts, resolve: &resolve_at_hub, ready: &nothing, name: None, dashboard: None }
    }
}

impl std::fmt::Debug for PretrainOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PretrainOptions")
            .field("dashboard", &self.dashboard)
            .finish_non_exhaustive()
    }
}

/// Trains a masked language model on texts as a config describes, on the threads of the current
/// rayon pool.
///
/// The run starts from a model, or from random weights if `model.new` gives the sizes. Outputs and
/// stopping work as in [`train`](crate::train).
///
/// # Errors
/// Returns an error if the settings, the texts and the model do not fit together, if an output
/// would be overwritten, if a file cannot be read or written, or if a loss is not finite. Returns
/// [`TrainError::Stopped`] if the observer asks to stop while the texts are read.
///
/// # Examples
/// ```
/// use serde_json::json;
/// use splade_train::config::PretrainConfig;
/// use splade_train::{Outcome, PretrainOptions, TextStream, pretrain};
///
/// let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
/// let output = tempfile::tempdir()?;
/// let (config, _notes) = PretrainConfig::from_value(&json!({
///     "model": { "model_name_or_path": repository.join("models/demo"), "max_length": 32 },
///     "data": {
///         "train_files": [repository.join("data/toy/train/doc_master.ndjson")],
///         "eval_share": 0.1,
///     },
///     "training": { "output_dir": output.path(), "max_steps": 3, "do_eval": true },
/// }))?;
/// let texts = |data: &splade_train::config::PretrainData| {
///     let lines = std::fs::read_to_string(&data.train_files[0])?;
///     let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
///     let texts = lines.into_iter().map(|line| {
///         let object: serde_json::Value = serde_json::from_str(&line)?;
///         Ok(object["text"].as_str().unwrap_or_default().to_owned())
///     });
///     Ok(TextStream { texts: Box::new(texts), share: Box::new(|| None), tell: Box::new(|_| ()) })
/// };
///
/// let outcome = pretrain(&config, &PretrainOptions::new(&texts), &mut ())?;
/// let Outcome::Finished(results) = outcome else { panic!("nobody asked to stop") };
/// assert_eq!(results.eval.expect("an evaluation")[0].0, "eval_loss");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pretrain(
    config: &PretrainConfig,
    options: &PretrainOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let training = &config.training;
    let new = NewFolders::before([&*training.output_dir, final_folder(training)]);
    new.remove_empty(begin_and_run(config, options, observer))
}

fn begin_and_run(
    config: &PretrainConfig,
    options: &PretrainOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let mut folders = lock_outputs(&config.training)?;
    let mut run = prepare(config, options, &mut folders, observer)?.run()?;
    (options.ready)().map_err(TrainError::Source)?;
    run.run(observer)
}

/// Opens everything that a run needs, the cheapest first.
fn prepare(
    config: &PretrainConfig,
    options: &PretrainOptions<'_>,
    folders: &mut RunFolders,
    observer: &mut dyn Observer,
) -> Result<Parts, TrainError> {
    let training = &config.training;
    let texts = (options.texts)(&config.data).map_err(TrainError::Source)?;
    let resume = checkpoint(training, observer)?;
    let (folder, tokenizer) = start(config, options, folders, observer)?;
    let kernels = training.kernels();
    let engine = CpuEngine::load(&folder, Pooling::Max, Saturation::Log1pRelu, kernels)
        .map_err(TrainError::failed(format!("cannot load the model {}", folder.display())))?;
    check_fit(config, &engine, &tokenizer, &folder)?;
    let (share, whole_words) = (config.data.mask_share, config.data.whole_words);
    let masking = Masking::new(&tokenizer, share, whole_words)?;
    if whole_words && !masking.knows_words() {
        let note = "note: the vocabulary has no word pieces (##), so tokens are masked one by one";
        observer.event(Event::Note(note));
    }
    let corpus = corpus(config, &tokenizer, texts, observer)?;
    let model = match &config.model.start {
        Start::New(new) => {
            format!("a new {} with the tokenizer {}", new.architecture.name(), new.tokenizer)
        }
        Start::Model(model) => model.clone(),
    };
    let files: Vec<&PathBuf> = config.data.train_files.iter().collect();
    let info = run_info("pretrain", options.name, &model, &files);
    let config = config.clone();
    Ok(Parts { config, engine, corpus, masking, resume, info, dashboard: options.dashboard })
}

/// Returns the folder and the tokenizer of the model from which the run starts.
fn start(
    config: &PretrainConfig,
    options: &PretrainOptions<'_>,
    folders: &mut RunFolders,
    observer: &mut dyn Observer,
) -> Result<(PathBuf, Tokenizer), TrainError> {
    let resolve = |name: &str| (options.resolve)(name).map_err(TrainError::Source);
    let tokenizer_options = TokenizerOptions { mecab_dicdir: config.model.mecab_dicdir.clone() };
    match &config.model.start {
        Start::Model(name) => {
            let (folder, made) = with_head(resolve(name)?, folders, "start")?;
            if made {
                let note = "note: the model has no masked-language-modelling head; it starts with \
                            a new one";
                observer.event(Event::Note(note));
            }
            let tokenizer = Tokenizer::from_dir(&folder, &tokenizer_options)?;
            Ok((folder, tokenizer))
        }
        Start::New(new) => {
            let folder = resolve(&new.tokenizer)?;
            let tokenizer = Tokenizer::from_dir(&folder, &tokenizer_options)
                .map_err(TrainError::failed("model.new.tokenizer"))?;
            let start = folders.temporary("start")?;
            new_model(new, &tokenizer, &folder, &start, config.training.seed)?;
            Ok((start, tokenizer))
        }
    }
}

fn check_fit(
    config: &PretrainConfig,
    engine: &CpuEngine,
    tokenizer: &Tokenizer,
    folder: &Path,
) -> Result<(), TrainError> {
    if config.model.max_length > engine.max_tokens() {
        let rule = format!(
            "{} is more than the limit of the model, {} tokens",
            config.model.max_length,
            engine.max_tokens()
        );
        return Err(SettingError::new("model.max_length", rule).into());
    }
    if tokenizer.len() > engine.vocab() {
        return Err(ModelError::Vocabulary {
            path: folder.to_path_buf(),
            tokens: tokenizer.len(),
            vocab: engine.vocab(),
        }
        .into());
    }
    Ok(())
}

/// The number of bytes of text that are tokenized at once.
const WINDOW: usize = 4 << 20;

/// Reads and tokenizes all texts.
fn corpus(
    config: &PretrainConfig,
    tokenizer: &Tokenizer,
    stream: TextStream,
    observer: &mut dyn Observer,
) -> Result<Corpus, TrainError> {
    let mut corpus = Corpus::new(
        tokenizer,
        CorpusOptions {
            max_length: config.model.max_length,
            eval_share: config.data.eval_share,
            shuffle: config.data.shuffle,
            seed: config.training.data_seed.unwrap_or(config.training.seed),
        },
    )?;
    let TextStream { texts, share, tell } = stream;
    tell(observer);
    let mut progress =
        Progress { doing: "reading texts", unit: "texts", share: share(), ..Progress::default() };
    observer.event(Event::Progress(progress));
    let mut add = |window: &[String]| {
        progress.tokens += corpus.add(tokenizer, window)? as u64;
        progress.done += window.len() as u64;
        progress.share = share();
        observer.event(Event::Progress(progress));
        if observer.stop() { Err(TrainError::Stopped) } else { Ok(()) }
    };
    let (mut window, mut size) = (Vec::new(), 0);
    for text in texts {
        let text = text.map_err(TrainError::Source)?;
        size += text.len();
        window.push(text);
        if size >= WINDOW {
            add(&window)?;
            (window, size) = (Vec::new(), 0);
        }
    }
    add(&window)?;
    tell(observer);
    observer.event(Event::Progress(Progress {
        doing: "reading texts",
        unit: "texts",
        done: corpus.documents(),
        finished: true,
        ..Progress::default()
    }));
    if corpus.is_empty() {
        return Err(match corpus.documents() {
            0 => SettingError::new("data.train_files", "the files have no texts"),
            _ => SettingError::new("data.eval_share", "all texts are held out")
                .with_remedy("lower it"),
        }
        .into());
    }
    observer.event(Event::Note(&format!(
        "{}: {} to train on, {} held out",
        counted(corpus.documents(), "texts"),
        counted(corpus.len(), "sequences"),
        corpus.held_out()
    )));
    Ok(corpus)
}
