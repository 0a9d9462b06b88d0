//! Prepares a run: the checkpoint, the data, the tokenizer and the encoders are opened and checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hydra_compose::settings::SettingError;
use serde_json::Value;
use splade_data::contents::file_content;
use splade_data::{TrainingData, ValidationData};
use splade_io::settings;
use splade_io::{Event, Observer};
use splade_model::ModelError;
use splade_model::folder::Table;
use splade_model::tokenizer_content;
use splade_text::{Tokenizer, TokenizerOptions};

use crate::config::{Config, ModelConfig, QueryEncoder, TableStart};
use crate::cpu::CpuEngine;
use crate::engine::Engine;
use crate::error::TrainError;
use crate::run::Outcome;
use crate::run::checkpoint::record::lacks_data;
use crate::run::checks::{NewFolders, final_folder, lock_outputs};
use crate::run::folders::RunFolders;
use crate::table::{
    COUNTED_DOCUMENTS, TableEngine, WEIGHED_QUERIES, inverse_document_frequencies, mean_weights,
    queries_without_terms,
};
use crate::tasks::prepare::{
    Ready, ResolveModel, checkpoint, nothing, resolve_at_hub, run_info, with_head,
};

use super::batch::Tokenization;
use super::task::Parts;
use super::teacher::{OpenTeacher, no_teacher};
use super::towers::{QueryTower, Towers};

/// The options of [`train`] beside the settings.
#[derive(Clone, Copy)]
pub struct TrainOptions<'a> {
    /// Returns the folder of a named model. The default accepts folders, and fetches other names
    /// from the Hugging Face hub.
    pub resolve: &'a ResolveModel<'a>,
    /// Called once, after all checks and before the first step.
    pub ready: &'a Ready<'a>,
    /// Opens the teacher `model.teacher`. The default knows none.
    pub teacher: &'a OpenTeacher<'a>,
    /// The name of the config, for the logs.
    pub name: Option<&'a str>,
    /// The local port of the live page of the run; 0 chooses a free port. `None` means no page.
    pub dashboard: Option<u16>,
}

impl Default for TrainOptions<'_> {
    fn default() -> Self {
        Self {
            resolve: &resolve_at_hub,
            ready: &nothing,
            teacher: &no_teacher,
            name: None,
            dashboard: None,
        }
    }
}

impl std::fmt::Debug for TrainOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainOptions").field("dashboard", &self.dashboard).finish_non_exhaustive()
    }
}

/// Trains SPLADE encoders as a config describes, on the threads of the current rayon pool.
///
/// Everything is opened and checked before the first step, the cheapest first. Checkpoints and logs
/// go into `training.output_dir`; the final model and the results go into
/// `training.final_output_dir`. If the observer asks to stop, a checkpoint is written. A call with
/// `training.resume_from_checkpoint` then continues the run, which ends with the same bytes.
///
/// # Errors
/// Returns an error if the settings, the data and the models do not fit together, if an output
/// would be overwritten, if a file cannot be read or written, or if a loss is not finite.
///
/// # Examples
/// ```
/// use hydra_compose::{ComposeOptions, compose};
/// use splade_train::config::Config;
/// use splade_train::{Outcome, TrainOptions, train};
///
/// let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
/// let output = tempfile::tempdir()?;
/// let overrides = vec![
///     format!("data.DATA_PATH={}", repository.join("data/toy").display()),
///     format!("model.model_name_or_path={}", repository.join("models/demo").display()),
///     format!("training.output_dir={}", output.path().display()),
///     "training.max_steps=3".to_owned(),
///     "training.eval_strategy=no".to_owned(),
///     "training.load_best_model_at_end=false".to_owned(),
/// ];
/// let options = ComposeOptions::new(repository.join("config"), "toy_splade_ja", overrides);
/// let (config, _notes) = Config::from_value(&compose(&options)?.value()?)?;
///
/// let outcome = train(&config, &TrainOptions::default(), &mut ())?;
/// assert!(matches!(outcome, Outcome::Finished(results) if results.steps == 3));
/// assert!(output.path().join("model/model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn train(
    config: &Config,
    options: &TrainOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let training = &config.training;
    let new = NewFolders::before([&*training.output_dir, final_folder(training)]);
    new.remove_empty(begin_and_run(config, options, observer))
}

fn begin_and_run(
    config: &Config,
    options: &TrainOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let mut folders = lock_outputs(&config.training)?;
    let mut run = prepare(config, options, &mut folders, observer)?.run()?;
    (options.ready)().map_err(TrainError::Source)?;
    run.run(observer)
}

/// The median number of terms of a document for a model with a new head, if the config gives no
/// number.
const TARGET_TERMS: usize = 200;
/// The number of documents in which terms are counted for the calibration.
const CALIBRATION: usize = 64;

/// Opens everything that a run needs, the cheapest first, so that errors are found before the long
/// work.
fn prepare(
    config: &Config,
    options: &TrainOptions<'_>,
    folders: &mut RunFolders,
    observer: &mut dyn Observer,
) -> Result<Parts, TrainError> {
    let (model, training) = (&config.model, &config.training);
    let resolve = |name: &str| (options.resolve)(name).map_err(TrainError::Source);
    let resume = checkpoint(training, observer)?;
    let document_folder = resolve(&model.model_name_or_path)?;
    let query_folder = model.model_name_or_path_q.as_deref().map(resolve).transpose()?;
    let (document_folder, document_made) = with_head(document_folder, folders, "start")?;
    let query_start = query_folder.map(|folder| with_head(folder, folders, "start_query"));
    let (query_folder, query_made) = match query_start.transpose()? {
        Some((folder, made)) => (Some(folder), made),
        None => (None, false),
    };

    let data = TrainingData::open(&config.data, training.data_seed.unwrap_or(training.seed))?;
    let validation = ValidationData::open(&config.data)?;
    let warnings = validation.as_ref().map_or(&[][..], |validation| &validation.warnings);
    for warning in data.warnings().iter().chain(warnings) {
        observer.event(Event::Warning(warning));
    }
    if resume.as_deref().is_some_and(lacks_data) {
        observer.event(Event::Note(
            "the checkpoint was written by an earlier version of light-splade, which did not \
             record what the data was: whether it has changed since is not checked",
        ));
    }

    let tokenizer_options = TokenizerOptions { mecab_dicdir: model.mecab_dicdir.clone() };
    let tokenizer = Arc::new(Tokenizer::from_dir(&document_folder, &tokenizer_options)?);
    if let Some(folder) = &query_folder {
        check_same_vocabulary(&tokenizer, &Tokenizer::from_dir(folder, &tokenizer_options)?)?;
    }
    let kernels = config.training.kernels();
    let load = |folder: &Path| {
        CpuEngine::load(folder, model.agg, model.saturation, kernels)
            .map_err(TrainError::failed(format!("cannot load the model {}", folder.display())))
    };
    let mut document = load(&document_folder)?;
    let mut query = query_folder.as_deref().map(load).transpose()?;
    if tokenizer.len() > document.vocab() {
        return Err(ModelError::Vocabulary {
            path: document_folder,
            tokens: tokenizer.len(),
            vocab: document.vocab(),
        }
        .into());
    }
    if resume.is_none() {
        let texts = first_documents(&data, &tokenizer, model.max_length)?;
        let mut calibrate = |engine: &mut CpuEngine, made: bool, name: &str| match model
            .init
            .target_terms
            .or(made.then_some(TARGET_TERMS))
        {
            Some(terms) => calibrate(engine, &texts, terms, name, observer),
            None => Ok(()),
        };
        calibrate(&mut document, document_made, "document")?;
        if let Some(query) = &mut query {
            calibrate(query, query_made, "query")?;
        }
    }
    let limit = |engine: &CpuEngine| engine.max_tokens();
    let model_length = query.as_ref().map_or(limit(&document), limit).min(limit(&document));
    if model.max_length > model_length {
        let rule = format!(
            "{} is more than the limit of the model, {model_length} tokens",
            model.max_length
        );
        return Err(SettingError::new("model.max_length", rule).into());
    }
    let resumes = resume.is_some();
    let table = table(model, &data, &tokenizer, &document, &document_folder, resumes, observer)?;
    let tokenization = Tokenization {
        tokenizer,
        plain_queries: table.is_some(),
        max_length: model.max_length,
        model_length,
    };
    let mut content = content(config, &tokenization.tokenizer)?;
    // Embedding the texts takes longest, so everything else is checked before.
    let teacher = match &model.teacher {
        Some(teacher) => {
            let opened = (options.teacher)(teacher, &data, observer);
            let opened =
                opened
                    .map_err(TrainError::Source)
                    .map_err(TrainError::failed::<TrainError>("model.teacher"))?;
            content["teacher"] = opened.content();
            Some(opened)
        }
        None => None,
    };
    let query = query.map(|query| QueryTower::Model(Box::new(query)));
    let towers = Towers {
        document: Box::new(document),
        query: query.or(table.map(QueryTower::Table)),
        freeze_document: model.freeze_d_model,
        frozen_dropout: training.compat.frozen_dropout,
    };
    Ok(Parts {
        settings: config.to_value(),
        towers,
        tokenization,
        data,
        teacher,
        content,
        validation,
        resume,
        info: run_info(
            "train",
            options.name,
            &model.model_name_or_path,
            &[&config.data.train_doc_master],
        ),
        dashboard: options.dashboard,
        config: config.clone(),
    })
}

/// Returns the hashes of the training data and of the tokenizer. A run resumes only with the same
/// hashes.
fn content(config: &Config, tokenizer: &Tokenizer) -> Result<Value, TrainError> {
    let data = &config.data;
    let file = |path: &Path| file_content(path).map_err(TrainError::from);
    let optional = |path: &Option<PathBuf>| path.as_deref().map_or(Ok(Value::Null), file);
    Ok(settings::content([
        ("train_doc_master", file(&data.train_doc_master)?),
        ("train_query_master", file(&data.train_query_master)?),
        ("train_positives", file(&data.train_positives)?),
        ("train_triplets", optional(&data.train_triplets)?),
        ("hard_negative_scores", optional(&data.hard_negative_scores)?),
        ("tokenizer", tokenizer_content(tokenizer)?.to_string().into()),
    ]))
}

fn check_same_vocabulary(document: &Tokenizer, query: &Tokenizer) -> Result<(), TrainError> {
    let tokens = |tokenizer: &Tokenizer| -> Vec<Option<String>> {
        (0..tokenizer.len() as u32).map(|id| tokenizer.token(id).map(str::to_owned)).collect()
    };
    if tokens(document) == tokens(query) {
        return Ok(());
    }
    let rule = "the two encoders have different vocabularies";
    Err(SettingError::new("model.model_name_or_path_q", rule)
        .with_remedy("choose two models with the same tokenizer")
        .into())
}

/// Returns the token ids of the first documents.
fn first_documents(
    data: &TrainingData,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> Result<Vec<Vec<u32>>, TrainError> {
    let texts = (0..data.docs().len().min(CALIBRATION)).filter_map(|row| data.docs().text_at(row));
    texts.map(|text| Ok(tokenizer.encode(&text, Some(max_length))?.ids)).collect()
}

/// Shifts the bias of a decoder until half of the texts have at least `terms` terms.
fn calibrate(
    engine: &mut CpuEngine,
    texts: &[Vec<u32>],
    terms: usize,
    name: &str,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let shift = engine.calibrate(&texts, terms)?;
    observer.event(Event::Note(&format!(
        "the bias of the {name} encoder's decoder is shifted by {shift:.3}: half of {} documents \
         have {terms} terms or more",
        texts.len()
    )));
    Ok(())
}

/// Returns the query table of the config, with the weights of the checkpoint if there is one.
fn table(
    config: &ModelConfig,
    data: &TrainingData,
    tokenizer: &Arc<Tokenizer>,
    document: &CpuEngine,
    folder: &Path,
    resumes: bool,
    observer: &mut dyn Observer,
) -> Result<Option<TableEngine>, TrainError> {
    let QueryEncoder::Table(table) = &config.query_encoder else { return Ok(None) };
    let weights = match &table.path {
        _ if resumes => vec![0.0; tokenizer.len()],
        Some(path) => Table::Json(path.clone())
            .read(tokenizer)
            .map_err(TrainError::failed("model.query_table.path"))?,
        None => first_weights(table.start, config, data, tokenizer, document, observer)?,
    };
    if !resumes {
        check_table(&weights, data, tokenizer, observer)?;
    }
    Ok(Some(TableEngine::new(weights, Arc::clone(tokenizer), folder, table.freeze)))
}

/// Returns the weights with which a table starts that is not read from a file.
fn first_weights(
    start: TableStart,
    config: &ModelConfig,
    data: &TrainingData,
    tokenizer: &Tokenizer,
    document: &CpuEngine,
    observer: &mut dyn Observer,
) -> Result<Vec<f32>, TrainError> {
    let mut means = None;
    if start != TableStart::Idf {
        let count = data.queries().len().min(WEIGHED_QUERIES);
        observer.event(Event::Note(&format!(
            "the weights of query tokens are the model's means in {count} queries"
        )));
        means = Some(mean_weights(document, data.queries(), tokenizer, config.max_length)?);
    }
    let mut frequencies = None;
    if start != TableStart::MeanWeights {
        let count = data.docs().len().min(COUNTED_DOCUMENTS);
        observer.event(Event::Note(&format!(
            "the weights of query tokens are counted in {count} documents"
        )));
        frequencies = Some(inverse_document_frequencies(data.docs(), tokenizer)?);
    }
    Ok(match (means, frequencies) {
        (Some(mut weights), Some(frequencies)) => {
            // The sum of the weights stays that of the means, so that scores keep their size.
            let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            let products = weights.iter_mut().zip(frequencies);
            products.for_each(|(weight, idf)| *weight *= idf);
            let product: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            if product > 0.0 {
                let scale = (sum / product) as f32;
                weights.iter_mut().for_each(|weight| *weight *= scale);
            }
            weights
        }
        (Some(weights), None) | (None, Some(weights)) => weights,
        (None, None) => unreachable!("a table starts from means or frequencies: this is a bug"),
    })
}

/// Refuses a table without a weight, and tells of queries whose tokens have none.
fn check_table(
    weights: &[f32],
    data: &TrainingData,
    tokenizer: &Tokenizer,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    if weights.iter().all(|weight| *weight == 0.0) {
        let rule = "no token of the tokenizer has a weight above 0 in the table";
        return Err(SettingError::new("model.query_table", rule)
            .with_remedy("name the table of a model with the same tokenizer")
            .into());
    }
    let (lacking, all) = queries_without_terms(weights, data.queries(), tokenizer)?;
    if lacking > 0 {
        observer.event(Event::Warning(&format!(
            "{lacking} of {all} training queries have only tokens whose weight in the table is 0: \
             their vectors are empty, and these weights are never trained"
        )));
    }
    Ok(())
}
