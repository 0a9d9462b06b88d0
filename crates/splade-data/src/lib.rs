//! Reads, checks and samples training data.
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
//! The files are those of the Python library: NDJSON, optionally compressed with gzip, each a file
//! or a folder of files. A data set consists of masters of queries and documents, positive lists,
//! and either triplets or teacher scores. All data is checked before training begins.
//!
//! ```text
//! files ─► table (lines by number) ─► record (a line) ─► texts, set (ids to rows) ─► training
//! ```
//!
//! Texts stay in their memory-mapped files. In memory are half a byte to 13 bytes for each
//! document, 12 bytes for each triplet and 8 bytes for each score. Sampling has no state
//! ([`random`]). Masked language models are trained on texts alone ([`Corpus`]), whose tokens are
//! kept in memory.

mod config;
mod error;

pub mod random;
pub mod contents;

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
pub mod published;
mod vectors;

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
pub use vectors::{StoredVectors, VectorStore};
