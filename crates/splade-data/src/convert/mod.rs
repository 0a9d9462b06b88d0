//! Converts published data sets into training data: mMARCO, MS MARCO, BEIR and SQuAD. It also joins
//! folders of training data.
//!
//! ```text
//! files of a source ─► collection (texts by row) ─► pairs (rows by query) ─► output (NDJSON)
//! ```
//!
//! A source becomes the two folders `train` and `validation` with masters and positive lists, under
//! the file names of the Python library's examples; skipped rows are counted. Texts stay in their
//! memory-mapped files, and a triple takes 12 bytes of memory. The output folder is written under a
//! temporary name, read back and checked, and then renamed.

mod collection;
mod output;
mod pairs;
mod pickle;
mod samples;
mod scores;
mod triples;

mod beir;
mod join;
mod mmarco;
mod msmarco;
mod squad;

pub use beir::BeirOptions;
pub use join::JoinOptions;
pub use mmarco::{MmarcoFiles, MmarcoOptions, Purpose, REPOSITORY as MMARCO};
pub use msmarco::{MsMarcoFiles, MsMarcoOptions};
pub use squad::SquadOptions;

use std::path::{Path, PathBuf};

use splade_io::{Event, Observer, Progress};

use crate::error::DataError;
use output::Output;

/// The observer of a conversion, with the methods that its loops call.
struct Steps<'a>(&'a mut dyn Observer);

impl Steps<'_> {
    /// The number of items between two events.
    const EVERY: usize = 1 << 16;

    /// Reports progress. `what` is a phrase such as `triples read`.
    ///
    /// # Errors
    /// Returns [`DataError::Stopped`] if the observer asks to stop.
    fn at(
        &mut self,
        what: &'static str,
        done: usize,
        total: impl Into<Option<usize>>,
    ) -> Result<(), DataError> {
        let total = total.into().map(|total| total as u64);
        let progress = Progress {
            doing: "converting",
            unit: what,
            done: done as u64,
            total,
            ..Progress::default()
        };
        self.0.event(Event::Progress(progress));
        match self.0.stop() {
            false => Ok(()),
            true => Err(DataError::Stopped),
        }
    }

    /// Reports progress in a loop over single items; only every [`Self::EVERY`]th call has an
    /// effect.
    fn count(
        &mut self,
        what: &'static str,
        done: usize,
        total: impl Into<Option<usize>>,
    ) -> Result<(), DataError> {
        match done % Self::EVERY {
            0 => self.at(what, done, total),
            _ => Ok(()),
        }
    }
}

/// A source of training data and the options for its conversion.
#[derive(Debug, Clone)]
pub enum Conversion {
    /// The triples of unicamp-dl/mmarco.
    Mmarco(MmarcoOptions),
    /// A folder in the layout of BEIR.
    Beir(BeirOptions),
    /// The passages of MS MARCO.
    MsMarco(MsMarcoOptions),
    /// Questions about paragraphs in the form of SQuAD.
    Squad(SquadOptions),
    /// Folders that earlier conversions wrote.
    Join(JoinOptions),
}

/// The result of a conversion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// Notes for the user about the contents of the output and the skipped rows, one line each.
    pub notes: Vec<String>,
}

/// Converts a source and writes the training data into a folder.
///
/// `settings` is stored in the folder as `convert.json`, the marker of a complete folder. With
/// `replace`, an existing folder is replaced after the new one is complete.
///
/// # Errors
/// Returns an error if a file is missing or invalid, if the folder exists already, if the output
/// cannot be written, or if the observer asks to stop. The folder is then unchanged.
pub fn convert(
    conversion: &Conversion,
    out: &Path,
    settings: &serde_json::Value,
    replace: bool,
    observer: &mut dyn Observer,
) -> Result<Converted, DataError> {
    let steps = &mut Steps(observer);
    let output = Output::create(out, replace)?;
    let notes = match conversion {
        Conversion::Mmarco(options) => mmarco::convert(options, &output, steps),
        Conversion::Beir(options) => beir::convert(options, &output, steps),
        Conversion::MsMarco(options) => msmarco::convert(options, &output, steps),
        Conversion::Squad(options) => squad::convert(options, &output, steps),
        Conversion::Join(options) => join::convert(options, &output, steps),
    }?;
    output.finish(settings)?;
    Ok(Converted { notes })
}

/// Returns the settings of a converted folder; `None` if the folder does not exist or is
/// incomplete.
pub fn made_with(out: &Path) -> Option<serde_json::Value> {
    let text = std::fs::read(out.join(output::SETTINGS)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Creates an error that names a file.
fn error(path: &Path, message: &str) -> DataError {
    DataError::form(path, message)
}

/// Returns the first of the named files that exists in a folder, compressed (`.gz`) or not.
fn find_one(dir: &Path, names: &[&str]) -> Result<PathBuf, DataError> {
    let plain_and_packed = |name: &&str| [dir.join(name), dir.join(format!("{name}.gz"))];
    names.iter().flat_map(plain_and_packed).find(|path| path.is_file()).ok_or_else(|| {
        let names = names.join(", ");
        error(dir, &format!("one of these files, or the same with .gz, is expected in it: {names}"))
    })
}
