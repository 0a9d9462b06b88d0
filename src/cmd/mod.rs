//! The commands, one a file.

pub(crate) mod encode;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod tokenize;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use splade_model::{Encoder, HubOptions};

use crate::args::{InputArgs, ModelArgs};
use crate::input::{Inputs, Position, Record};
use crate::progress::{Downloads, say};

/// Bytes of text after which a window ends.
const WINDOW_BYTES: usize = 4 << 20;

/// The folder of a model that was named by its folder or by its name at the hub.
fn folder(model: &Path) -> Result<PathBuf> {
    let Some(name) = model.to_str().filter(|_| !model.is_dir()) else {
        return Ok(model.to_path_buf());
    };
    let mut downloads = Downloads::default();
    let folder = splade_model::resolve(name, &HubOptions::from_env()?, &mut |progress| {
        downloads.show(progress);
    })?;
    Ok(folder)
}

/// Loads the encoder and tells of tensors that it does not use.
fn load(args: &ModelArgs) -> Result<Encoder> {
    let encoder = Encoder::load(&folder(&args.model)?, &args.options())
        .with_context(|| format!("cannot load the model {}", args.model.display()))?;
    let unexpected = encoder.unexpected_tensors();
    if !unexpected.is_empty() {
        let (count, names) = (unexpected.len(), unexpected[..unexpected.len().min(5)].join(", "));
        say(&format!("note: the model does not use {count} tensors of its file: {names}"));
    }
    Ok(encoder)
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

/// The next records, at most `texts` of them; empty at the end.
fn window(records: &mut Records, texts: usize) -> Result<Vec<Record>> {
    let (mut window, mut bytes) = (Vec::new(), 0);
    while window.len() < texts && bytes < WINDOW_BYTES {
        let Some(record) = records.next().transpose()? else { break };
        bytes += record.text.len();
        window.push(record);
    }
    Ok(window)
}

/// The name of a folder, for people.
fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
