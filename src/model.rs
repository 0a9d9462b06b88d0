//! Models by name: the built-in one, a folder, or a model of the Hugging Face hub.

use std::path::{Path, PathBuf};

use splade_io::{Event, Observer};
use splade_model::architecture::ArchitectureConfig;
use splade_model::folder::Method;
use splade_model::hub::{self, HubOptions};
use splade_model::{
    Embedder, Encoder, EncoderOptions, EncoderPair, HeadKind, ModelContent, ModelFiles,
    ModelFolder, Side, hub_revision,
};
use splade_sparse::TermId;
use splade_text::{Tokenizer, TokenizerOptions};

use crate::builtin;
use crate::error::Error;

/// Finds the folder of a model, and fetches it from the hub where it is not in the cache.
///
/// A name is the built-in model's ([`BUILT_IN`](crate::models::BUILT_IN)), the path of a folder, or a hub
/// name, `org/name` or `org/name@revision`. The built-in model is unpacked once into the user's
/// cache.
///
/// ```
/// let folder = light_splade::models::model_folder("mini-ja-en".as_ref(), &mut ())?;
/// assert!(folder.join("model.safetensors").is_file());
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If there is no such folder or model, or a file cannot be fetched or written.
pub fn model_folder(name: &Path, observer: &mut dyn Observer) -> Result<PathBuf, Error> {
    if builtin::is_named(name) {
        return builtin::folder();
    }
    let Some(text) = name.to_str().filter(|_| !name.is_dir()) else {
        return Ok(name.to_path_buf());
    };
    Ok(hub::resolve(text, &HubOptions::from_env()?, observer)?)
}

/// Finds the files of a model as [`model_folder`] does. Where there is no cache folder, as in a
/// browser, the built-in model is unpacked in memory.
pub(crate) fn model_files(name: &Path, observer: &mut dyn Observer) -> Result<ModelFiles, Error> {
    match builtin::is_named(name) && !builtin::has_cache() {
        true => builtin::files_in_memory(),
        false => Ok(ModelFiles::folder(model_folder(name, observer)?)),
    }
}

/// What identifies a model besides its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The commit of a model of the hub.
    pub(crate) revision: Option<String>,
    /// The hashes of its weights and its tokenizer.
    pub(crate) content: ModelContent,
}

/// Reads what identifies a model with one of its heads; with the first if it does not have that one.
/// `loaded` is the tokenizer of one side, if there is one.
pub(crate) fn identify(
    name: &Path,
    files: &ModelFiles,
    head: HeadKind,
    options: &TokenizerOptions,
    loaded: Option<(Side, &Tokenizer)>,
) -> Result<Identity, Error> {
    let found = ModelFolder::from_files(files);
    let found = found.and_then(|found| match found.heads.contains(&head) {
        true => ModelFolder::with_head(files, head),
        false => Ok(found),
    });
    let content = found.and_then(|found| ModelContent::read(&found, options, loaded));
    Ok(Identity {
        revision: hub_revision(files.root()),
        content: content.map_err(Error::load(name))?,
    })
}

/// The name of a folder or file, for people.
#[cfg(feature = "tools")]
pub(crate) fn folder_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A path by which a file is told from others; of what is not there as it was given.
pub(crate) fn full(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Loads both towers of a model and tells of tensors that they do not use.
pub(crate) fn load_pair(
    name: &Path,
    files: &ModelFiles,
    options: &EncoderOptions,
    observer: &mut dyn Observer,
) -> Result<EncoderPair, Error> {
    let pair = Encoder::pair_from_files(files, options).map_err(Error::load(name))?;
    tell_of_unused(pair.document.unexpected_tensors(), observer);
    if !pair.query.shares_weights(&pair.document) {
        tell_of_unused(pair.query.unexpected_tensors(), observer);
    }
    Ok(pair)
}

/// Loads one tower of a model by the model's name.
#[cfg(feature = "tools")]
pub(crate) fn load(
    name: &Path,
    options: &EncoderOptions,
    observer: &mut dyn Observer,
) -> Result<Encoder, Error> {
    let files = model_files(name, observer)?;
    load_from(name, &files, options, observer)
}

/// Loads one tower of a model and tells of tensors that it does not use.
pub(crate) fn load_from(
    name: &Path,
    files: &ModelFiles,
    options: &EncoderOptions,
    observer: &mut dyn Observer,
) -> Result<Encoder, Error> {
    let encoder = Encoder::from_files(files, options).map_err(Error::load(name))?;
    tell_of_unused(encoder.unexpected_tensors(), observer);
    Ok(encoder)
}

/// Finds a model by its name and returns what it makes of a text if nothing else is asked for.
///
/// ```
/// use light_splade::models::{HeadKind, first_head};
///
/// assert_eq!(first_head("mini-ja-en".as_ref(), &mut ())?, HeadKind::Sparse);
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the model cannot be found, fetched or read.
pub fn first_head(name: &Path, observer: &mut dyn Observer) -> Result<HeadKind, Error> {
    let folder = ModelFolder::from_files(&model_files(name, observer)?);
    Ok(folder.map_err(Error::load(name))?.document.method.kind())
}

/// Fails if a model does not make this of a text, before its weights are read.
#[cfg(feature = "tools")]
pub(crate) fn require_head(
    name: &Path,
    head: HeadKind,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let folder = ModelFolder::with_head(&model_files(name, observer)?, head);
    folder.map(drop).map_err(Error::load(name))
}

/// Loads a model that makes dense vectors of a kind, and tells of tensors that it does not use.
pub(crate) fn load_embedder(
    name: &Path,
    files: &ModelFiles,
    kind: HeadKind,
    options: &EncoderOptions,
    observer: &mut dyn Observer,
) -> Result<Embedder, Error> {
    let embedder = Embedder::from_files(files, kind, options).map_err(Error::load(name))?;
    tell_of_unused(embedder.unexpected_tensors(), observer);
    Ok(embedder)
}

fn tell_of_unused(unexpected: &[String], observer: &mut dyn Observer) {
    if !unexpected.is_empty() {
        let (count, names) = (unexpected.len(), unexpected[..unexpected.len().min(5)].join(", "));
        observer.event(Event::Note(&format!(
            "note: the model does not use {count} tensors of its file: {names}"
        )));
    }
}

/// The tokens of a model and the size of its vocabulary, read without its weights.
///
/// ```
/// use light_splade::encode::Side;
/// use light_splade::models::Vocabulary;
///
/// let options = Default::default();
/// let vocabulary = Vocabulary::open("mini-ja-en".as_ref(), Side::Document, &options, &mut ())?;
/// let term = vocabulary.term("東京").expect("a token");
/// assert_eq!(vocabulary.tokens()[term.0 as usize], "東京");
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug)]
pub struct Vocabulary {
    name: PathBuf,
    folder: PathBuf,
    side: Side,
    options: TokenizerOptions,
    tokenizer: Tokenizer,
    size: usize,
}

impl Vocabulary {
    /// Reads the tokenizer and the config of a model.
    ///
    /// # Errors
    /// If the model cannot be found or read.
    pub fn open(
        name: &Path,
        side: Side,
        options: &TokenizerOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let path = model_folder(name, observer)?;
        let shown = || name.display().to_string();
        let folder = ModelFolder::open(&path).map_err(Error::load(name))?;
        let tower = match side {
            Side::Query => folder.query,
            Side::Document => folder.document,
        };
        let tokenizer = Tokenizer::from_dir(&tower.dir, options)
            .map_err(|source| Error::LoadTokenizer { name: shown(), source })?;
        let size = match tower.method {
            Method::Lookup(_) => tokenizer.len(),
            _ => ArchitectureConfig::open(&tower.dir).map_err(Error::load(name))?.vocab(),
        };
        let (name, options) = (name.to_path_buf(), options.clone());
        Ok(Self { name, folder: path, side, options, tokenizer, size })
    }

    /// The name of the model.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Reads what identifies the model.
    pub(crate) fn identity(&self) -> Result<Identity, Error> {
        let loaded = Some((self.side, &self.tokenizer));
        let files = self.folder.as_path().into();
        identify(&self.name, &files, HeadKind::Sparse, &self.options, loaded)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Gives the tokenizer away.
    #[cfg(feature = "tools")]
    pub(crate) fn into_tokenizer(self) -> Tokenizer {
        self.tokenizer
    }

    /// The number of terms: the dimension of the model's vectors.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The tokens of all terms, as [`Encoder::token`] names them.
    pub fn tokens(&self) -> Vec<String> {
        let token = |id| self.tokenizer.token(id).map_or_else(|| format!("[{id}]"), str::to_owned);
        (0..self.size as u32).map(token).collect()
    }

    /// The term of a token, as [`Encoder::token`] names it.
    pub fn term(&self, token: &str) -> Option<TermId> {
        let unnamed = || {
            let id = token.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
            let free = (id as usize) < self.size && self.tokenizer.token(id).is_none();
            free.then_some(id)
        };
        self.tokenizer.id(token).or_else(unnamed).map(TermId)
    }
}
