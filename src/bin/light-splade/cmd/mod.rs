//! The commands, one a file.

pub(crate) mod check_data;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod cross_encoder;
#[cfg(feature = "push")]
pub(crate) mod doctor;
pub(crate) mod encode;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod fuse;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod mine;
pub(crate) mod pipeline;
pub(crate) mod pretrain;
pub(crate) mod score;
pub(crate) mod search;
#[cfg(feature = "serve")]
pub(crate) mod serve;
pub(crate) mod tokenize;
pub(crate) mod train;
pub(crate) mod vocab;

mod runs;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use splade_io::Problem;
use splade_sparse::files::Lines;

use crate::args::InputArgs;
use crate::input::{Inputs, Position, Record};
use crate::progress::Reporter;

/// The folder of a model that was named by its folder, by its name at the hub, or is built in.
fn folder(model: &Path) -> Result<PathBuf> {
    Ok(light_splade::models::model_folder(model, &mut Reporter::new())?)
}

/// Returns an error with what to do about it.
fn advised(what: impl Into<String>, remedy: impl Into<String>) -> anyhow::Error {
    Problem::new(what).with_remedy(remedy).into()
}

/// Says what to do where a model that an index names cannot be loaded.
fn hint_at_model<T, E: Into<anyhow::Error>>(
    result: Result<T, E>,
    given: Option<&PathBuf>,
) -> Result<T> {
    let result = result.map_err(Into::into);
    match given {
        Some(_) => result,
        None => result.context(
            Problem::new("cannot use the model of the index")
                .with_remedy("if it is elsewhere now, name it with --model"),
        ),
    }
}

/// Says what to do where models do not belong together: `remedy`, or to go on nevertheless.
fn or_any_model<T>(result: Result<T, light_splade::Error>, remedy: &str) -> Result<T> {
    result.map_err(|error| match error {
        light_splade::Error::OtherModel { what } => {
            advised(what, format!("{remedy}, or go on nevertheless with --any-model"))
        }
        error => error.into(),
    })
}

/// The texts of the command line, or of its inputs, and how far these have been read.
fn records(args: &InputArgs) -> Result<(Records, Position)> {
    if args.text.is_empty() {
        let inputs = Inputs::open(&args.inputs, args.options())?;
        let position = inputs.position();
        return Ok((Box::new(inputs), position));
    }
    let texts = args.text.clone().into_iter().enumerate();
    let records = texts.map(|(id, text)| Ok(Record::new(id.to_string(), text)));
    Ok((Box::new(records), Position::default()))
}

/// Records one after another.
type Records = Box<dyn Iterator<Item = Result<Record, light_splade::Error>>>;

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
