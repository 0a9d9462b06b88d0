//! Training, by configs in Hydra's layout: SPLADE models, masked language models, cross-encoders.

use std::path::Path;

use hydra_compose::{ComposeOptions, compose};
use splade_io::Observer;
use splade_train::config::PretrainData;
use splade_train::{PretrainOptions, SourceError, TextStream, TrainOptions};

use crate::error::Error;
use crate::model::model_folder;
use crate::teacher_vectors::open_teacher;
use crate::texts::{TextOptions, Texts};

pub use splade_train::config::{Config as TrainConfig, PretrainConfig, ResumeFrom};
pub use splade_train::{Outcome, Results, TrainError};

/// Trains, uses and joins cross-encoders, the teachers of distillation.
pub use splade_train::cross_encoder;

/// Composes the config of a training run from a folder of YAML files, as Hydra does: `name` is a file
/// without `.yaml`, and overrides are `training.max_steps=10` and the like. Settings that are known
/// and have no effect are told to the observer.
///
/// ```
/// use light_splade::train_config;
///
/// let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config"));
/// let overrides = ["training.max_steps=3".to_owned()];
/// let config = train_config(folder, "toy_splade_ja", &overrides, &mut ())?;
/// println!("{config:?}");
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If a file cannot be read, or a setting is unknown or wrong; the message names it.
pub fn train_config(
    folder: &Path,
    name: &str,
    overrides: &[String],
    observer: &mut dyn Observer,
) -> Result<TrainConfig, Error> {
    let options = ComposeOptions::new(folder, name, overrides.to_vec());
    let value = compose(&options).and_then(|composed| composed.value());
    let (config, notes) = TrainConfig::from_value(&value.map_err(splade_train::TrainError::from)?)?;
    notes.iter().for_each(|note| observer.event(splade_io::Event::Note(note)));
    Ok(config)
}

/// Trains a SPLADE model. If the observer asks to stop, a checkpoint is written, from which a run with
/// `training.resume_from_checkpoint` goes on and ends with the same bytes.
///
/// ```
/// use light_splade::{train, train_config};
///
/// let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
/// let output = tempfile::tempdir()?;
/// let overrides = [
///     format!("data.DATA_PATH={}", root.join("data/toy").display()),
///     format!("model.model_name_or_path={}", root.join("models/demo").display()),
///     format!("training.output_dir={}", output.path().display()),
///     "training.max_steps=3".to_owned(),
///     "training.eval_strategy=no".to_owned(),
///     "training.load_best_model_at_end=false".to_owned(),
/// ];
/// let config = train_config(&root.join("config"), "toy_splade_ja", &overrides, &mut ())?;
/// train(&config, &mut ())?;
/// assert!(output.path().join("model/model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the settings, the data and the models do not fit together, an output would be overwritten, a
/// file cannot be read or written, or a loss is not finite.
pub fn train(config: &TrainConfig, observer: &mut dyn Observer) -> Result<Outcome, Error> {
    let options =
        TrainOptions { resolve: &resolve, teacher: &open_teacher, ..TrainOptions::default() };
    Ok(splade_train::train(config, &options, observer)?)
}

/// Trains a masked language model, from random weights or further, on texts alone.
///
/// # Errors
/// If the settings and the texts do not fit together, an output would be overwritten, a file cannot be
/// read or written, or a loss is not finite.
pub fn pretrain(config: &PretrainConfig, observer: &mut dyn Observer) -> Result<Outcome, Error> {
    let options = PretrainOptions { resolve: &resolve, ..PretrainOptions::new(&pretraining_texts) };
    Ok(splade_train::pretrain(config, &options, observer)?)
}

/// Opens the texts of a pretraining run as every function of this library reads texts.
///
/// # Errors
/// If a file cannot be opened.
pub fn pretraining_texts(data: &PretrainData) -> Result<TextStream, SourceError> {
    let text_field = data.text_field.clone();
    let options = TextOptions { text_field, no_ids: true, ..TextOptions::default() };
    let inputs = Texts::open(&data.train_files, options)?;
    let position = inputs.position();
    let texts = inputs.map(|record| -> Result<String, SourceError> { Ok(record?.text) });
    let remarks = position.clone();
    Ok(TextStream {
        texts: Box::new(texts),
        share: Box::new(move || position.share()),
        tell: Box::new(move |observer| remarks.tell(observer)),
    })
}

/// Finds the folder of a model by its name, as every function of this library does.
fn resolve(name: &str) -> Result<std::path::PathBuf, SourceError> {
    Ok(model_folder(Path::new(name), &mut ())?)
}
