//! Converts published data sets into training data: mMARCO, MS MARCO, BEIR and SQuAD. It also makes
//! training pairs of texts alone, and joins folders of training data.
//!
//! ```text
//! files of a source ─► collection (texts by row) ─► pairs (rows by query) ─► output (NDJSON)
//! ```
//!
//! A source becomes the two folders `train` and `validation` with masters and positive lists, under
//! the file names of the Python library's examples; skipped rows are counted. Texts stay in their
//! memory-mapped files, and a triple takes 12 bytes of memory. The output folder is written under a
//! temporary name, read back and checked, and then renamed.

mod inputs;
mod steps;

mod collection;
mod output;
mod pairs;
mod pickle;
mod samples;
mod scores;
mod triples;

mod beir;
mod corpus;
mod join;
mod mmarco;
mod msmarco;
mod squad;
mod text_pairs;

pub use beir::BeirOptions;
pub use corpus::{CorpusPairs, PairFilter, PairKind, SelectOptions};
pub use join::JoinOptions;
pub use mmarco::{MmarcoFiles, MmarcoOptions, Purpose, REPOSITORY as MMARCO};
pub use msmarco::{MsMarcoFiles, MsMarcoOptions};
pub use squad::SquadOptions;
pub(crate) use squad::{Answered, paragraphs};
pub use text_pairs::PairsOptions;

use std::path::Path;

use splade_io::Observer;

use crate::error::DataError;
use output::Output;
use steps::Steps;

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
    /// Pairs of a query and a document that answers it.
    Pairs(PairsOptions),
    /// Texts without questions: all pairs that can be cut out of them.
    Corpus(CorpusPairs),
    /// The pairs of such texts that a teacher's scores show to be true.
    Select(SelectOptions),
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
        Conversion::Pairs(options) => text_pairs::convert(options, &output, steps),
        Conversion::Corpus(options) => corpus::convert(options, &output, steps),
        Conversion::Select(options) => corpus::select(options, &output, steps),
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
