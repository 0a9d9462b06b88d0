//! The settings of [`mine`](crate::data::mine()): where negatives come from, and the form in which they are
//! written.

use std::path::PathBuf;

use splade_data::mine::{Margins, MineSource};

use crate::parts::PartsOptions;
use crate::ranker::RankerOptions;

/// What ranks the documents that negatives are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RankerKind {
    /// BM25 over the model's tokens.
    Bm25,
    /// The dot product of the model's vectors.
    Splade,
    /// The similarity of a model's dense vectors.
    Dense,
    /// Late interaction.
    Colbert,
    /// Chance.
    Random,
}

impl RankerKind {
    /// All kinds by their names.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("bm25", Self::Bm25),
        ("splade", Self::Splade),
        ("dense", Self::Dense),
        ("colbert", Self::Colbert),
        ("random", Self::Random),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let own = Self::NAMED.iter().find(|(_, kind)| *kind == self);
        own.map_or("", |(name, _)| name)
    }
}

/// A ranking, and which of its documents become negatives.
#[derive(Debug, Clone, PartialEq)]
pub struct NegativeSource {
    /// What ranks.
    pub ranker: RankerKind,
    /// The dense or late-interaction model that ranks; the one of the ranker options if none is
    /// named. BM25 and SPLADE always use that one.
    pub model: Option<PathBuf>,
    /// Which ranks are taken.
    pub options: MineSource,
}

/// The form in which negatives are written.
///
/// ```
/// use light_splade::data::{MineOptions, NegativeFormat, PartsOptions, mine};
///
/// let folder = tempfile::tempdir()?;
/// let out = folder.path().join("negatives.ndjson");
/// let options = MineOptions {
///     data: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train").into(),
///     format: NegativeFormat::Triplets,
///     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
///     ..MineOptions::default()
/// };
/// let mined = mine(&options, &mut ())?;
/// assert!(mined.negatives > 0 && std::fs::read_to_string(out)?.contains("neg_doc_id"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NegativeFormat {
    /// `{"qid", "scores"}` of positives and negatives; all scores are 1 without a teacher.
    #[default]
    Scores,
    /// `{"qid", "pos_doc_id", "neg_doc_id"}`, one a negative, the positives of a query in turn.
    Triplets,
}

impl NegativeFormat {
    /// Its name in the settings of parts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scores => "Scores",
            Self::Triplets => "Triplets",
        }
    }
}

/// Settings of [`mine`](crate::data::mine()).
///
/// ```
/// use light_splade::data::{MineOptions, NegativeFormat, PartsOptions, mine};
///
/// let folder = tempfile::tempdir()?;
/// let out = folder.path().join("negatives.ndjson");
/// let options = MineOptions {
///     data: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train").into(),
///     format: NegativeFormat::Triplets,
///     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
///     ..MineOptions::default()
/// };
/// let mined = mine(&options, &mut ())?;
/// assert!(mined.negatives > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MineOptions {
    /// The folder in light-splade's form: `doc_master`, `query_master` and `positive_lists`.
    pub data: PathBuf,
    /// Where negatives come from.
    pub sources: Vec<NegativeSource>,
    /// A teacher's scores, which are written and compared with the margins.
    pub teacher_scores: Option<PathBuf>,
    /// Which documents are too good to be negatives, by the teacher's scores.
    pub margins: Margins,
    /// The form that is written.
    pub format: NegativeFormat,
    /// Decides what is drawn at random.
    pub seed: u64,
    /// The model, the index for SPLADE, and the folder of dense vectors.
    pub ranker: RankerOptions,
    /// The file that is written.
    pub output: PartsOptions,
}

impl Default for MineOptions {
    fn default() -> Self {
        let options = MineSource { skip: 0, depth: 100, take: Some(30), at_random: false };
        Self {
            data: PathBuf::new(),
            sources: vec![NegativeSource { ranker: RankerKind::Bm25, model: None, options }],
            teacher_scores: None,
            margins: Margins::default(),
            format: NegativeFormat::default(),
            seed: 42,
            ranker: RankerOptions::default(),
            output: PartsOptions::default(),
        }
    }
}
