//! Files of vectors: Parquet, NDJSON, and folders of either in shards.
//!
//! | form | row | weights |
//! |---|---|---|
//! | `.parquet` ([`ParquetWriter`]) | `id`, `indices`, `values` | exact f32 |
//! | `.ndjson`, `.jsonl`, also `.gz` or `.zst` ([`NdjsonWriter`]) | `{"id": …, "vector": {key: weight…}}` | rounded to decimals |
//! | a folder ([`ShardedWriter`]) | shards of one form and `manifest.json` | as its form |
//!
//! [`VectorReader`] reads all of them. `docs/formats.md` is the specification. [`ParquetTexts`] reads
//! texts.
//!
//! Without the feature `files` there is nothing but files that appear when they are whole ([`aside`],
//! [`sync_and_rename`]).

mod error;
mod whole;

#[cfg(feature = "files")]
mod text;
#[cfg(feature = "files")]
mod part;
#[cfg(feature = "files")]
mod ndjson;
#[cfg(feature = "files")]
mod parquet;
#[cfg(feature = "files")]
mod reader;
#[cfg(feature = "files")]
mod shards;
#[cfg(feature = "files")]
mod texts;

pub use error::FileError;
pub use whole::{aside, sync_and_rename};

#[cfg(feature = "files")]
pub use ndjson::{NdjsonWriter, RowFormat, parse_row, push_row};
#[cfg(feature = "files")]
pub use parquet::{ParquetReader, ParquetWriter};
#[cfg(feature = "files")]
pub use part::Part;
#[cfg(feature = "files")]
pub use reader::{VectorReader, vector_files};
#[cfg(feature = "files")]
pub use shards::{CreateShard, MANIFEST, Manifest, Shard, ShardForm, ShardedWriter, difference};
#[cfg(feature = "files")]
pub use text::{Lines, open_text};
#[cfg(feature = "files")]
pub use texts::{ParquetTexts, TextRow};

#[cfg(feature = "files")]
use crate::SparseVector;

#[cfg(feature = "files")]
/// A vector and the id of its text.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// The id of the text.
    pub id: String,
    /// Its vector.
    pub vector: SparseVector,
}

#[cfg(feature = "files")]
/// A file of rows that is being written.
pub trait RowWriter {
    /// Appends a row.
    ///
    /// # Errors
    /// If the file cannot be written.
    fn write(&mut self, id: &str, vector: &SparseVector) -> Result<(), FileError>;

    /// Completes the file; without this it is no file of its form.
    ///
    /// # Errors
    /// If the file cannot be written.
    fn finish(self: Box<Self>) -> Result<(), FileError>;
}
