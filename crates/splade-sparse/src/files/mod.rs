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

#[cfg(feature = "files")]
mod ndjson;
#[cfg(feature = "files")]
mod parquet;
#[cfg(feature = "files")]
mod parquet_file;
#[cfg(feature = "files")]
mod reader;
#[cfg(feature = "files")]
mod shard_spec;
#[cfg(feature = "files")]
mod shards;
mod text;
#[cfg(feature = "files")]
mod texts;

#[cfg(feature = "files")]
pub use ndjson::{NdjsonWriter, RowFormat, parse_row, push_row};
#[cfg(feature = "files")]
pub use parquet::{ParquetReader, ParquetWriter};
#[cfg(feature = "files")]
pub use reader::{VectorReader, vector_files};
#[cfg(feature = "files")]
pub use shard_spec::ShardSpec;
#[cfg(feature = "files")]
pub use shards::{CreateShard, MANIFEST, Manifest, Shard, ShardForm, ShardedWriter, difference};
pub use splade_io::{FileError, Lines, open_text};
// The program and splade-train still call these; splade-io's `NewFile` takes their place.
#[doc(hidden)]
pub use text::{aside, sync_and_rename};
#[cfg(feature = "files")]
pub use texts::{ParquetTexts, TextRow};

#[cfg(feature = "files")]
use crate::SparseVector;

/// A vector and the id of its text.
#[cfg(feature = "files")]
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// The id of the text.
    pub id: String,
    /// Its vector.
    pub vector: SparseVector,
}

/// A file of rows that is being written.
#[cfg(feature = "files")]
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
