//! Training data: reading, checking and sampling it.
//!
//! ```
//! use splade_data::FolderCheck;
//!
//! let folder = tempfile::tempdir()?;
//! let write = |name: &str, lines: &str| std::fs::write(folder.path().join(name), lines);
//! write("query_master.ndjson", "{\"qid\": 1, \"text\": \"what do cats eat\"}\n")?;
//! write(
//!     "doc_master.ndjson",
//!     "{\"doc_id\": 7, \"text\": \"Cats eat fish.\"}\n{\"doc_id\": 8, \"text\": \"Fish swim.\"}\n",
//! )?;
//! write("positive_lists.ndjson", "{\"qid\": 1, \"positive_doc_ids\": [7]}\n")?;
//! write("triplets.ndjson", "{\"qid\": 1, \"pos_doc_id\": 7, \"neg_doc_id\": 8}\n")?;
//!
//! let check = FolderCheck::run(folder.path())?;
//! assert_eq!((check.problems, check.documents, check.triplets), (0, 2, Some(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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

mod config;
mod error;

pub mod random;
pub mod stamps;

mod files;
mod ids;
mod lists;
mod problems;
mod record;
mod table;

mod texts;

mod set;

mod check;
pub mod scores;

mod training;
mod validation;

mod corpus;
mod masking;

pub mod convert;
pub mod mine;
pub mod parts;

pub use check::FolderCheck;
pub(crate) use check::{needed_part, verify};
pub use config::DataConfig;
pub use corpus::{Corpus, CorpusOptions};
pub use error::{DataError, Place};
pub(crate) use files::find as find_files;
pub use files::map;
pub(crate) use ids::Ids;
pub use masking::Masking;
pub(crate) use problems::Findings;
pub(crate) use record::{PositivesLine, Schema, ScoresLine, read as read_record};
pub use scores::ScoreFile;
pub(crate) use set::SetPaths;
pub(crate) use table::Table;
pub use texts::{TextKind, Texts};
pub use training::{Sample, TrainingData};
pub use validation::ValidationData;
