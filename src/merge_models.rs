//! Models that are averages of others.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_io::{Event, FileError, NewFolder, Observer, is_free, write_file};
use splade_text::TokenizerOptions;

use crate::error::{Error, invalid};
use crate::model::{full, model_folder};
use crate::output_guard::check_output;

pub use splade_model::{MergeMethod, Merged};

/// The file of a merged model that says what it was made of.
const RECORD: &str = "merged.json";

/// Settings of [`merge_models`].
///
/// ```
/// use light_splade::models::{MergeModelsOptions, merge_models};
///
/// let folder = tempfile::tempdir()?;
/// let model = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");
/// let options = MergeModelsOptions {
///     models: vec![(model.into(), 1.0), (model.into(), 3.0)],
///     out: folder.path().join("merged"),
///     ..MergeModelsOptions::default()
/// };
/// let merged = merge_models(&options, &mut ())?;
/// assert!(merged.tensors > 0 && options.out.join("model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MergeModelsOptions {
    /// The models or checkpoints, folders or names at the hub, each with its weight in the average.
    pub models: Vec<(PathBuf, f64)>,
    /// How the weights of the models become one.
    pub method: MergeMethod,
    /// The folder to write.
    pub out: PathBuf,
    /// A compiled MeCab dictionary in UTF-8, in place of the models'.
    pub mecab_dicdir: Option<PathBuf>,
    /// Replaces a folder that an earlier call wrote.
    pub force: bool,
}

/// Averages the weights of models that were trained from the same start, such as the last
/// checkpoints of a run, and writes the result as a model folder, which appears once it is complete.
///
/// # Errors
/// If there are fewer than two models, if they are not of one kind (their configs, tokenizers and
/// tensors must be equal but for the numbers), if the folder exists, or if a file cannot be read or
/// written.
pub fn merge_models(
    options: &MergeModelsOptions,
    observer: &mut dyn Observer,
) -> Result<Merged, Error> {
    if options.models.len() < 2 {
        return Err(invalid(format!("{} models are not enough to merge", options.models.len())));
    }
    let out: PathBuf = options.out.components().collect();
    if !is_free(&out) {
        match (options.force, out.join(RECORD).is_file()) {
            (false, _) => return Err(Error::FolderExists { path: out }),
            (true, false) => {
                let marker = RECORD.to_owned();
                return Err(FileError::NotOurs { path: out, marker }.into());
            }
            (true, true) => {}
        }
    }
    let mut models = Vec::with_capacity(options.models.len());
    for (name, weight) in &options.models {
        models.push((model_folder(name, observer)?, *weight));
    }
    check_output(&out, models.iter().map(|(folder, _)| folder.as_path()), options.force)?;
    let folder = NewFolder::create(&out)?;
    let tokenizer = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
    let merged = splade_model::merge(&models, options.method, &tokenizer, folder.path())?;
    let record = format!("{:#}\n", record(options));
    write_file(&folder.path().join(RECORD), record.as_bytes())?;
    match options.force {
        true => folder.replace(RECORD)?,
        false => folder.commit()?,
    }
    observer.event(Event::Note(&format!(
        "{} models are averaged in {}: {} tensors, {} numbers",
        models.len(),
        out.display(),
        merged.tensors,
        merged.numbers
    )));
    Ok(merged)
}

/// Returns what a merged model was made of.
fn record(options: &MergeModelsOptions) -> Value {
    let model = |(name, weight): &(PathBuf, f64)| {
        let name = if name.is_dir() { full(name) } else { Path::to_path_buf(name) };
        json!({ "model": name, "weight": weight })
    };
    let method = match options.method {
        MergeMethod::Linear => "linear",
        MergeMethod::Slerp => "slerp",
    };
    json!({
        "format": "light-splade merged model",
        "method": method,
        "models": options.models.iter().map(model).collect::<Vec<_>>(),
    })
}
