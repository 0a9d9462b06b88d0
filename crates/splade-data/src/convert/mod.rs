//! Makes training data of what others publish: mMARCO, MS MARCO, BEIR and SQuAD; and joins it.
//!
//! ```text
//! files of a source ─► collection (texts by row) ─► pairs (rows by query) ─► output (NDJSON)
//! ```
//!
//! A source becomes the two folders `train` and `validation` of masters and positive lists, with the
//! names of files that the Python library's examples use, and what is left out is counted. Texts
//! stay in their mapped files; a triple is 12 bytes of memory. Everything is written into a folder
//! beside the one that was named, read back and checked, and renamed at the end.

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

/// The observer of a conversion, as its loops see it.
struct Steps<'a>(&'a mut dyn Observer);

impl Steps<'_> {
    /// Items between two events.
    const EVERY: usize = 1 << 16;

    /// Tells how far the work is. `what` is what is counted: `triples read`.
    ///
    /// # Errors
    /// [`DataError::Stopped`] if the observer asks to stop.
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

    /// The same for loops over single items, most of which pass unseen.
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

/// What a folder of training data is made of, and how.
#[derive(Debug, Clone)]
pub enum Conversion {
    /// Triples of unicamp-dl/mmarco.
    Mmarco(MmarcoOptions),
    /// A folder in BEIR's form.
    Beir(BeirOptions),
    /// The passages of MS MARCO.
    MsMarco(MsMarcoOptions),
    /// Questions about paragraphs.
    Squad(SquadOptions),
    /// Folders that conversions wrote.
    Join(JoinOptions),
}

/// What became of a conversion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// Lines to tell a person: what there is and what was left out.
    pub notes: Vec<String>,
}

/// Writes the training data that a conversion gives into a folder.
///
/// `settings` is kept in the folder, in `convert.json`, which is there only if everything else is.
/// With `replace`, a folder that is there is replaced once the new one is whole.
///
/// # Errors
/// If a file is missing or not sound, the folder is there already, nothing can be written, or
/// the observer asks to stop. The folder is then as it was.
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

/// The settings that a whole folder was made with; none if there is no such folder.
pub fn made_with(out: &Path) -> Option<serde_json::Value> {
    let text = std::fs::read(out.join(output::SETTINGS)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A message that names a file.
fn error(path: &Path, message: &str) -> DataError {
    DataError::form(path, message)
}

/// The first of some files that a folder has, packed (`.gz`) or not.
fn find_one(dir: &Path, names: &[&str]) -> Result<PathBuf, DataError> {
    let plain_and_packed = |name: &&str| [dir.join(name), dir.join(format!("{name}.gz"))];
    names.iter().flat_map(plain_and_packed).find(|path| path.is_file()).ok_or_else(|| {
        let names = names.join(", ");
        error(dir, &format!("one of these files, or the same with .gz, is expected in it: {names}"))
    })
}
