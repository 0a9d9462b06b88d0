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
//!
//! ```
//! use splade_sparse::files::{ParquetWriter, RowWriter, VectorReader};
//! use splade_sparse::{SparseVector, TermId};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("vectors.parquet");
//! let mut writer = Box::new(ParquetWriter::create(&path, &[("model", "mini-ja-en")])?);
//! writer.write("d1", &SparseVector::new(vec![TermId(3), TermId(7)], vec![0.5, 1.5])?)?;
//! writer.write("d2", &SparseVector::new(vec![TermId(7)], vec![2.0])?)?;
//! writer.finish()?;
//!
//! let rows = VectorReader::open(&[path], &VectorReader::id)?.collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(rows[1].id, "d2");
//! assert_eq!(rows[0].vector.dot(&rows[1].vector), 3.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use ndjson::{NdjsonWriter, RowFormat};
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
    Manifest, Shard, ShardForm, ShardedWriter, chained_hash, manifest_path, row_hash, text_hash,
};
pub use splade_io::{FileError, Lines, open_text};
#[cfg(feature = "files")]
pub use texts::{TextFields, TextForm, TextReader, TextRow, text_files};

#[cfg(feature = "files")]
use crate::SparseVector;

/// A vector and the id of its text.
///
/// ```
/// use splade_sparse::files::{VectorReader, VectorRow};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.ndjson");
/// std::fs::write(&path, "{\"id\": \"d1\", \"vector\": {\"7\": 1.5, \"3\": 0.5}}\n")?;
/// for row in VectorReader::open(&[path], &VectorReader::id)? {
///     let VectorRow { id, vector } = row?;
///     assert_eq!((id.as_str(), vector.len()), ("d1", 2));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "files")]
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// The id of the text.
    pub id: String,
    /// The vector of the text.
    pub vector: SparseVector,
}

/// A writer of rows to a file or a folder: of sparse vectors, or of the numbers of dense ones.
///
/// ```
/// use splade_sparse::files::{FileError, NdjsonWriter, ParquetWriter, RowFormat, RowWriter};
/// use splade_sparse::{SparseVector, TermId};
///
/// /// Writes a vector in whatever form the file has.
/// fn save(mut file: Box<dyn RowWriter + '_>, vector: &SparseVector) -> Result<(), FileError> {
///     file.write("d1", vector)?;
///     file.finish()
/// }
/// let vector = SparseVector::new(vec![TermId(7)], vec![1.5])?;
/// let (mut lines, format) = (Vec::new(), RowFormat::ids(4));
/// save(Box::new(NdjsonWriter::new("stdout".into(), &mut lines, &format)), &vector)?;
/// assert_eq!(lines, b"{\"id\":\"d1\",\"vector\":{\"7\":1.5}}\n");
///
/// let mut bytes = Vec::new();
/// save(Box::new(ParquetWriter::new("stdout".into(), &mut bytes, &[])?), &vector)?;
/// assert!(bytes.starts_with(b"PAR1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
