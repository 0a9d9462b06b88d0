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
//!
//! ```
//! use splade_data::convert::{Conversion, SquadOptions, convert};
//! use serde_json::json;
//!
//! # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
//! let out = tempfile::tempdir()?;
//! let options = SquadOptions::find(&fixtures.join("squad"), true)?;
//! let settings = json!({"source": "squad"});
//! convert(&Conversion::Squad(options), &out.path().join("data"), &settings, false, &mut ())?;
//! assert!(out.path().join("data/train/triplets.ndjson").exists() || out.path().join("data/train/positive_lists.ndjson").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use mmarco::{MmarcoFiles, MmarcoOptions, Purpose};
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
///
/// ```
/// use splade_data::convert::{Conversion, SquadOptions, convert, made_with};
/// use serde_json::json;
///
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
/// let out = tempfile::tempdir()?;
/// let squad = Conversion::Squad(SquadOptions::find(&fixtures.join("squad"), true)?);
/// let data = out.path().join("data");
/// convert(&squad, &data, &json!({"source": "squad"}), false, &mut ())?;
/// assert_eq!(made_with(&data), Some(json!({"source": "squad"})));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use splade_data::convert::{BeirOptions, Conversion, convert};
/// use serde_json::json;
///
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
/// let out = tempfile::tempdir()?;
/// let beir = Conversion::Beir(BeirOptions {
///     dir: fixtures.join("beir"),
///     train: "train".to_owned(),
///     validation: None,
///     judged_only: false,
/// });
/// let converted = convert(&beir, &out.path().join("data"), &json!({}), false, &mut ())?;
/// for note in converted.notes {
///     println!("{note}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
/// ```
/// use splade_data::convert::{Conversion, JoinOptions, convert};
/// use serde_json::json;
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy");
/// let out = tempfile::tempdir()?;
/// let data = out.path().join("data");
/// let join = Conversion::Join(JoinOptions { dirs: vec![toy.clone(), toy] });
/// convert(&join, &data, &json!({"source": "toy"}), false, &mut ())?;
/// // The folder exists now, and is only replaced if that is wanted.
/// assert!(convert(&join, &data, &json!({"source": "toy"}), false, &mut ()).is_err());
/// convert(&join, &data, &json!({"source": "toy"}), true, &mut ())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use splade_data::convert::made_with;
///
/// let folder = tempfile::tempdir()?;
/// assert_eq!(made_with(folder.path()), None, "no conversion wrote this folder");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn made_with(out: &Path) -> Option<serde_json::Value> {
    let text = std::fs::read(out.join(output::SETTINGS)).ok()?;
    serde_json::from_slice(&text).ok()
}
