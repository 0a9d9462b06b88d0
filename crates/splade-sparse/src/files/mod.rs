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

mod ndjson;
mod parquet;
mod parquet_file;
mod reader;
mod shard_spec;
mod shards;
mod text;
mod texts;

pub use ndjson::{NdjsonWriter, RowFormat, parse_row, push_row};
pub use parquet::{ParquetReader, ParquetWriter};
pub use reader::{VectorReader, vector_files};
pub use shard_spec::ShardSpec;
pub use shards::{CreateShard, MANIFEST, Manifest, Shard, ShardForm, ShardedWriter, difference};
pub use splade_io::{FileError, Lines, open_text};
// The program and splade-train still call these; splade-io's `NewFile` takes their place.
#[doc(hidden)]
pub use text::{aside, sync_and_rename};
pub use texts::{ParquetTexts, TextRow};

use crate::SparseVector;

/// A vector and the id of its text.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// The id of the text.
    pub id: String,
    /// Its vector.
    pub vector: SparseVector,
}

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
