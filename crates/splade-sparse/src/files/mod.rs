//! Files of vectors: Parquet files, NDJSON files, and folders of shards in either form.
//!
//! | form | row | weights |
//! |---|---|---|
//! | `.parquet` | `id`, `indices`, `values` | exact f32 |
//! | `.ndjson`, `.jsonl` | `{"id": …, "vector": {key: weight…}}` | rounded to decimals |
//! | a folder with `_manifest.json` | as in its shards | as in its shards |
//!
//! [`ParquetWriter`], [`NdjsonWriter`] and [`ShardedWriter`] write these forms, and
//! [`VectorReader`] reads all of them; NDJSON may be compressed as `.gz` or `.zst`. The
//! specification is `docs/reference/formats.md`. [`TextReader`] reads texts, and [`parquet_table()`] small tables
//! such as relevance judgements.

#[cfg(feature = "files")]
mod parquet_schema;

#[cfg(feature = "files")]
mod dense;
#[cfg(feature = "files")]
mod ndjson;
#[cfg(feature = "files")]
mod parquet;
#[cfg(feature = "files")]
mod parquet_file;
#[cfg(feature = "files")]
mod parquet_table;
#[cfg(feature = "files")]
mod parquet_type;
#[cfg(feature = "files")]
mod reader;
#[cfg(feature = "files")]
mod shard_spec;
#[cfg(feature = "files")]
mod shards;
#[cfg(feature = "files")]
mod texts;

#[cfg(feature = "files")]
pub use dense::{DenseForm, DenseWriter, row_json};
#[cfg(feature = "files")]
pub use ndjson::{NdjsonWriter, RowFormat, parse_row, push_row};
#[cfg(feature = "files")]
pub use parquet::{ParquetReader, ParquetWriter, parquet_about};
#[cfg(feature = "files")]
pub use parquet_table::{parquet_columns, parquet_lists, parquet_table};
#[cfg(feature = "files")]
pub use reader::{VectorReader, vector_files};
#[cfg(feature = "files")]
pub use shard_spec::ShardSpec;
#[cfg(feature = "files")]
pub use shards::{
    CreateShard, MANIFEST, Manifest, Shard, ShardForm, ShardedWriter, chained_hash, manifest_path,
    row_hash, text_hash,
};
pub use splade_io::{FileError, Lines, open_text};
#[cfg(feature = "files")]
pub use texts::{TextFields, TextForm, TextReader, TextRow, text_files};

#[cfg(feature = "files")]
use crate::SparseVector;

/// A vector and the id of its text.
#[cfg(feature = "files")]
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// The id of the text.
    pub id: String,
    /// The vector of the text.
    pub vector: SparseVector,
}

/// A writer of rows to a file or a folder: of sparse vectors, or of the numbers of dense ones.
#[cfg(feature = "files")]
pub trait RowWriter<V: ?Sized = SparseVector> {
    /// Appends the row of a text with this id and vector.
    ///
    /// # Errors
    /// Returns an error if the row cannot be written or the format cannot hold it.
    fn write(&mut self, id: &str, vector: &V) -> Result<(), FileError>;

    /// Adds a key and a value to what the file says of itself. Formats without room for it pass it over.
    fn set_about(&mut self, _key: &str, _value: &str) {}

    /// Completes the file. It is not valid in its format before.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    fn finish(self: Box<Self>) -> Result<(), FileError>;
}
