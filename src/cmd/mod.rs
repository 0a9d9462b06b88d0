//! The commands, one a file.

pub(crate) mod check_data;
pub(crate) mod convert;
pub(crate) mod cross_encoder;
#[cfg(feature = "push")]
pub(crate) mod doctor;
pub(crate) mod encode;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod mine;
pub(crate) mod pipeline;
pub(crate) mod pretrain;
pub(crate) mod score;
pub(crate) mod search;
pub(crate) mod tokenize;
pub(crate) mod train;
pub(crate) mod vocab;

mod bm25;
mod masters;
mod parts;
mod ranker;
mod retrieval;
mod runs;
mod stream;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use splade_model::architecture::ArchitectureConfig;
use splade_model::folder::Method;
use splade_model::hub::HubOptions;
use splade_model::{Encoder, EncoderOptions, ModelFolder, Side};
use splade_sparse::TermId;
use splade_sparse::files::Lines;
use splade_text::{Tokenizer, TokenizerOptions};

use crate::args::InputArgs;
use crate::builtin;
use crate::input::{Inputs, Position, Record};
use crate::progress::{Transfers, say};

/// The folder of a model that was named by its folder, by its name at the hub, or is built in.
fn folder(model: &Path) -> Result<PathBuf> {
    if builtin::is_named(model) {
        return builtin::folder();
    }
    let Some(name) = model.to_str().filter(|_| !model.is_dir()) else {
        return Ok(model.to_path_buf());
    };
    let mut downloads = Transfers::new("fetching");
    let folder = splade_model::hub::resolve(name, &HubOptions::from_env()?, &mut |progress| {
        downloads.show(progress);
    })?;
    Ok(folder)
}

/// A path by which a file is told from others; of what is not there as it was typed.
fn full(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Says what to do where a model that an index names cannot be loaded.
fn hint_at_model<T>(result: Result<T>, given: Option<&PathBuf>) -> Result<T> {
    match given {
        Some(_) => result,
        None => result
            .context("cannot use the model of the index; if it is elsewhere now, give --model"),
    }
}

/// Loads the encoder and tells of tensors that it does not use.
fn load(model: &Path, options: &EncoderOptions) -> Result<Encoder> {
    let encoder = Encoder::load(&folder(model)?, options)
        .with_context(|| format!("cannot load the model {}", model.display()))?;
    let unexpected = encoder.unexpected_tensors();
    if !unexpected.is_empty() {
        let (count, names) = (unexpected.len(), unexpected[..unexpected.len().min(5)].join(", "));
        say(&format!("note: the model does not use {count} tensors of its file: {names}"));
    }
    Ok(encoder)
}

/// The tokens of a model and the size of its vocabulary, without its weights.
struct Vocabulary {
    tokenizer: Tokenizer,
    size: usize,
}

impl Vocabulary {
    fn open(model: &Path, side: Side, options: &TokenizerOptions) -> Result<Self> {
        let open = |folder: &Path| -> Result<Self> {
            let folder = ModelFolder::open(folder)?;
            let tower = match side {
                Side::Query => folder.query,
                Side::Document => folder.document,
            };
            let tokenizer = Tokenizer::from_dir(&tower.dir, options)?;
            let size = match tower.method {
                Method::MaskedLm { .. } => ArchitectureConfig::open(&tower.dir)?.vocab(),
                Method::Lookup(_) => tokenizer.len(),
            };
            Ok(Self { tokenizer, size })
        };
        let what = || format!("cannot load the tokenizer of {}", model.display());
        open(&folder(model)?).with_context(what)
    }

    /// The tokens of all terms as [`Encoder::token`] names them.
    fn tokens(&self) -> Vec<String> {
        let token = |id| self.tokenizer.token(id).map_or_else(|| format!("[{id}]"), str::to_owned);
        (0..self.size as u32).map(token).collect()
    }

    /// The term of a token as [`Encoder::token`] names it.
    fn term(&self, token: &str) -> Option<TermId> {
        let unnamed = || {
            let id = token.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
            let free = (id as usize) < self.size && self.tokenizer.token(id).is_none();
            free.then_some(id)
        };
        self.tokenizer.id(token).or_else(unnamed).map(TermId)
    }
}

/// The texts of the command line, or of its inputs, and how far these have been read.
fn records(args: &InputArgs) -> Result<(Records, Position)> {
    if args.text.is_empty() {
        let inputs = Inputs::open(&args.inputs, args.options())?;
        let position = inputs.position();
        return Ok((Box::new(inputs), position));
    }
    let texts = args.text.clone().into_iter().enumerate();
    let records = texts.map(|(id, text)| Ok(Record { id: id.to_string(), text }));
    Ok((Box::new(records), Position::default()))
}

/// Records one after another.
type Records = Box<dyn Iterator<Item = Result<Record>>>;

/// Hands the texts of inputs on, about so many bytes of them at a time.
fn windows(
    inputs: Inputs,
    bytes: usize,
    mut work: impl FnMut(&[String]) -> Result<()>,
) -> Result<()> {
    let (mut texts, mut size) = (Vec::new(), 0);
    for record in inputs {
        let text = record?.text;
        size += text.len();
        texts.push(text);
        if size >= bytes {
            work(&texts)?;
            texts.clear();
            size = 0;
        }
    }
    work(&texts)
}

/// The name of a folder, for people.
fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The lines of a file of ids, less blank ones.
fn ids(path: &Path) -> Result<Vec<String>> {
    let (mut lines, mut ids) = (Lines::open(path)?, Vec::new());
    while let Some(line) = lines.next_line()? {
        if !line.trim().is_empty() {
            ids.push(line.trim().to_owned());
        }
    }
    Ok(ids)
}
