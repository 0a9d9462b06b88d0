//! Training data: reading, checking and sampling it.
//!
//! The files are those of the Python library, NDJSON, packed with gzip or not, each a file or a
//! folder of files: masters of queries and documents, positive lists, and either triplets or a
//! teacher's scores. Everything is checked before anything is trained.
//!
//! ```text
//! files ─► table (lines by number) ─► record (a line) ─► texts, set (ids to rows) ─► training
//! ```
//!
//! Texts stay in their mapped files. What has to be in memory is a half to 13 bytes a document, 12
//! a triplet, 8 a score. Sampling has no state ([`random`]). Masked language models are trained on texts
//! alone ([`Corpus`]), which are kept as tokens.

pub mod convert;
pub mod mine;
pub mod parts;
pub mod random;
pub mod stamps;

mod config;
mod error;

mod files;
mod ids;
mod lists;
mod problems;
mod record;
mod table;

mod set;
mod texts;

mod check;
mod corpus;
mod masking;
mod scores;
mod training;
mod validation;

pub use check::FolderCheck;
pub(crate) use check::{needed_part, verify};
pub use config::DataConfig;
pub use corpus::{Corpus, CorpusOptions};
pub use error::DataError;
pub use files::{find as find_files, map};
pub(crate) use ids::Ids;
pub use masking::Masking;
pub(crate) use problems::Findings;
pub(crate) use record::{PositivesLine, Schema, ScoresLine, read as read_record};
pub use scores::{ScoreFile, score_line};
pub(crate) use set::SetPaths;
pub(crate) use table::Table;
pub use texts::{TextKind, Texts};
pub use training::{Sample, TrainingData};
pub use validation::ValidationData;
