//! Parquet files of vectors, read and written without Arrow.
//!
//! A written file has the required columns `id` (string), `indices` (list of uint32, ascending) and
//! `values` (list of float), with plain and dictionary encodings in zstd pages, which all common
//! readers support. A file that is read may have other columns too. The id may also be called
//! `docid`, `doc_id` or `_id`, and may be a string or an integer. The lists may have any nesting
//! that Parquet writers use, numbers of 32 or 64 bits, and terms in any order.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Type as PhysicalType, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, DataType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};

use super::parquet_schema::{element, list, with_id};
use super::parquet_type::{ColumnType, Kind};
use super::{RowWriter, VectorRow, parquet_file};
use crate::{SparseVector, TermId};
use splade_io::FileError;

/// The number of terms at which a row group ends. Their ids and weights take 8 MB.
const GROUP_TERMS: usize = 1 << 20;
/// The number of rows at which a row group ends, independent of their terms.
const GROUP_ROWS: usize = 1 << 16;

/// A writer of vectors to a Parquet file.
///
/// ```
/// use splade_sparse::files::{ParquetReader, ParquetWriter, RowWriter};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.parquet");
/// let mut writer = Box::new(ParquetWriter::create(&path, &[("model", "mini-ja-en")])?);
/// writer.write("d1", &SparseVector::new(vec![TermId(7)], vec![1.5])?)?;
/// // A file has no footer, and cannot be read, before this.
/// writer.finish()?;
/// assert_eq!(ParquetReader::open(&path)?.rows(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ParquetWriter<W: Write + Send> {
    path: PathBuf,
    file: SerializedFileWriter<W>,
    group: Group,
}

/// The rows of a row group as columns. The first element of a list has repetition level 0, and the
/// others have 1. An empty list has one entry with definition level 0.
#[derive(Default)]
struct Group {
    ids: Vec<ByteArray>,
    indices: Vec<i32>,
    values: Vec<f32>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl<W: Write + Send> std::fmt::Debug for ParquetWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter").field("path", &self.path).finish()
    }
}

impl ParquetWriter<BufWriter<File>> {
    /// Creates a file. `about` is a list of keys and values for the metadata in its footer.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn create(path: &Path, about: &[(&str, &str)]) -> Result<Self, FileError> {
        let file = File::create(path).map_err(FileError::io("write", path))?;
        Self::new(path.to_path_buf(), BufWriter::new(file), about)
    }
}

impl<W: Write + Send> ParquetWriter<W> {
    /// Makes a writer of a Parquet file to `writer`. `path` names it in messages, and `about` is a
    /// list of keys and values for the metadata in the footer.
    ///
    /// # Errors
    /// Returns an error if the beginning of the file cannot be written.
    pub fn new(path: PathBuf, writer: W, about: &[(&str, &str)]) -> Result<Self, FileError> {
        let about: Vec<KeyValue> =
            about.iter().map(|(k, v)| KeyValue::new((*k).to_owned(), (*v).to_owned())).collect();
        let build = || {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
                .set_dictionary_enabled(false)
                // A dictionary saves space, because there are far fewer terms than postings.
                .set_column_dictionary_enabled(column("indices"), true)
                .set_key_value_metadata(Some(about));
            SerializedFileWriter::new(writer, Arc::new(schema()?), Arc::new(properties.build()))
        };
        let file = build().map_err(FileError::format(&path))?;
        Ok(Self { path, file, group: Group::default() })
    }

    /// Writes the collected rows as a row group.
    fn end_group(&mut self) -> Result<(), FileError> {
        let group = std::mem::take(&mut self.group);
        if group.ids.is_empty() {
            return Ok(());
        }
        let mut write = || -> Result<(), ParquetError> {
            let Group { ids, indices, values, definition, repetition } = &group;
            let levels = (Some(&definition[..]), Some(&repetition[..]));
            let mut columns = self.file.next_row_group()?;
            while let Some(mut column) = columns.next_column()? {
                match column.untyped() {
                    ColumnWriter::ByteArrayColumnWriter(writer) => {
                        writer.write_batch(ids, None, None)?
                    }
                    ColumnWriter::Int32ColumnWriter(writer) => {
                        writer.write_batch(indices, levels.0, levels.1)?
                    }
                    ColumnWriter::FloatColumnWriter(writer) => {
                        writer.write_batch(values, levels.0, levels.1)?
                    }
                    _ => unreachable!("the schema has no other columns: this is a bug"),
                };
                column.close()?;
            }
            columns.close()?;
            Ok(())
        };
        write().map_err(FileError::format(&self.path))
    }
}

impl<W: Write + Send> RowWriter for ParquetWriter<W> {
    fn set_about(&mut self, key: &str, value: &str) {
        self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value.to_owned()));
    }

    fn write(&mut self, id: &str, vector: &SparseVector) -> Result<(), FileError> {
        let group = &mut self.group;
        group.ids.push(ByteArray::from(id.as_bytes().to_vec()));
        // Parquet stores an unsigned number as the signed number with the same bits.
        group.indices.extend(vector.terms().iter().map(|term| term.0 as i32));
        group.values.extend_from_slice(vector.weights());
        let levels = vector.len().max(1);
        group.repetition.push(0);
        group.repetition.resize(group.repetition.len() + levels - 1, 1);
        let definition = i16::from(!vector.is_empty());
        group.definition.resize(group.definition.len() + levels, definition);
        match group.ids.len() >= GROUP_ROWS || group.indices.len() >= GROUP_TERMS {
            true => self.end_group(),
            false => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), FileError> {
        self.end_group()?;
        let Self { path, file, .. } = *self;
        let flushed = file.into_inner().and_then(|mut file| Ok(file.flush()?));
        flushed.map_err(FileError::format(&path))
    }
}

/// Returns the schema with the required columns `id`, `indices` and `values`.
fn schema() -> Result<Type, ParquetError> {
    let numbers =
        |name: &str, physical, converted| list(name, element("element", physical, converted)?);
    with_id(vec![
        numbers("indices", PhysicalType::INT32, ConvertedType::UINT_32)?,
        numbers("values", PhysicalType::FLOAT, ConvertedType::NONE)?,
    ])
}

/// Returns the path of the elements of a list column in the schema that this module writes.
fn column(name: &str) -> ColumnPath {
    ColumnPath::new([name, "list", "element"].map(str::to_owned).to_vec())
}

/// A reader of the vectors of a Parquet file, one row group at a time.
///
/// ```
/// use splade_sparse::files::{ParquetReader, ParquetWriter, RowWriter};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.parquet");
/// let mut writer = Box::new(ParquetWriter::create(&path, &[("model", "mini-ja-en")])?);
/// writer.write("d1", &SparseVector::new(vec![TermId(7)], vec![1.5])?)?;
/// writer.finish()?;
///
/// let mut reader = ParquetReader::open(&path)?;
/// assert_eq!(reader.about("model"), Some("mini-ja-en"));
/// while let Some(rows) = reader.next_group()? {
///     assert_eq!(rows[0].id, "d1");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ParquetReader {
    path: PathBuf,
    file: SerializedFileReader<File>,
    /// The indices of the columns of ids, terms and weights in the schema.
    columns: [usize; 3],
    /// The index of the next row group.
    group: usize,
}

impl std::fmt::Debug for ParquetReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetReader").field("path", &self.path).finish()
    }
}

impl ParquetReader {
    /// Opens a file and finds its columns.
    ///
    /// # Errors
    /// Returns an error if the file is not a valid Parquet file, or if a column is missing.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = parquet_file::open(path)?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let find = |names: &[&str]| {
            let at = |name: &&str| {
                schema
                    .columns()
                    .iter()
                    .position(|c| c.path().parts().first().is_some_and(|p| p == *name))
            };
            names.iter().find_map(at).ok_or_else(|| {
                FileError::form(path, format!("there is no column {}", names.join(" or ")))
            })
        };
        let columns =
            [find(&["id", "docid", "doc_id", "_id"])?, find(&["indices"])?, find(&["values"])?];
        let wanted: [(&[Kind], &str); 3] = [
            (&[Kind::Text, Kind::Signed, Kind::Unsigned], "ids are strings or integers"),
            (&[Kind::Signed, Kind::Unsigned, Kind::Null], "terms are integers"),
            (&[Kind::Float, Kind::Null], "weights are floats"),
        ];
        for (at, (kinds, wanted)) in columns.into_iter().zip(wanted) {
            let column = schema.column(at);
            let ColumnType { kind, name } = ColumnType::of(&column);
            if !kinds.contains(&kind) {
                let path_of = column.path().string();
                return Err(FileError::form(
                    path,
                    format!("column \"{path_of}\" has the type {name}, but {wanted}"),
                ));
            }
        }
        Ok(Self { path: path.to_path_buf(), file, columns, group: 0 })
    }

    /// Returns the value of a key in the metadata of the file's footer.
    pub fn about(&self, key: &str) -> Option<&str> {
        let pairs = self.file.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    /// Returns the number of rows of the file.
    pub fn rows(&self) -> usize {
        usize::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Reads the columns of the next row group.
    fn read_group(&self) -> Result<Columns, ParquetError> {
        let group = self.file.get_row_group(self.group)?;
        let [ids, indices, values] = self.columns;
        Ok(Columns {
            ids: read_ids(&*group, ids)?,
            indices: read_lists(&*group, indices, &Numbers::u32s)?,
            values: read_lists(&*group, values, &Numbers::f32s)?,
        })
    }

    /// Reads the rows of the next row group, or returns `None` at the end of the file.
    ///
    /// # Errors
    /// Returns an error if the file is damaged, or if a row is not a valid vector.
    pub fn next_group(&mut self) -> Result<Option<Vec<VectorRow>>, FileError> {
        if self.group >= self.file.num_row_groups() {
            return Ok(None);
        }
        let Columns { ids, indices, values } =
            parquet_file::decode(&self.path, || self.read_group())?;
        let at = self.group;
        self.group += 1;
        if ids.len() != indices.len() || ids.len() != values.len() {
            let counts = (ids.len(), indices.len(), values.len());
            return Err(FileError::form(
                &self.path,
                format!("row group {at} has {counts:?} ids, indices and values"),
            ));
        }
        let rows = ids.into_iter().zip(indices.into_iter().zip(values));
        let rows = rows.map(|(id, (indices, values))| {
            let vector = if indices.len() == values.len() {
                let pairs = indices.into_iter().map(TermId).zip(values).collect();
                SparseVector::from_pairs(pairs).map_err(|error| error.to_string())
            } else {
                Err(format!("{} indices but {} values", indices.len(), values.len()))
            };
            match vector {
                Ok(vector) => Ok(VectorRow { id, vector }),
                Err(message) => {
                    Err(FileError::form(&self.path, format!("row of id {id:?}: {message}")))
                }
            }
        });
        rows.collect::<Result<_, _>>().map(Some)
    }
}

/// The columns of a row group, each with one element per row.
struct Columns {
    ids: Vec<String>,
    indices: Vec<Vec<u32>>,
    values: Vec<Vec<f32>>,
}

/// The values of a column, and its definition and repetition levels.
struct Column<T> {
    values: Vec<T>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

/// Reads the values and levels of a column; fewer than `rows` rows if the column ends before.
fn read_column<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
) -> Result<Column<T::T>, ParquetError> {
    let mut column = Column { values: Vec::new(), definition: Vec::new(), repetition: Vec::new() };
    let mut left = rows;
    while left > 0 {
        let Column { values, definition, repetition } = &mut column;
        let (records, ..) =
            reader.read_records(left.min(4096), Some(definition), Some(repetition), values)?;
        if records == 0 {
            break;
        }
        left -= records;
    }
    Ok(column)
}

/// Returns the number of rows of a row group.
fn group_rows(group: &dyn RowGroupReader) -> usize {
    usize::try_from(group.metadata().num_rows()).unwrap_or(0)
}

/// Reads the column of ids; integers become their decimals.
fn read_ids(group: &dyn RowGroupReader, at: usize) -> Result<Vec<String>, ParquetError> {
    let rows = group_rows(group);
    let text = |bytes: &ByteArray| match std::str::from_utf8(bytes.data()) {
        Ok(id) => Ok(id.to_owned()),
        Err(_) => Err(ParquetError::General("an id is not UTF-8".to_owned())),
    };
    let is_unsigned = kind_of(group, at) == Kind::Unsigned;
    let ids = match parquet_file::column(group, at)? {
        ColumnReader::ByteArrayColumnReader(reader) => {
            read_column(reader, rows)?.values.iter().map(text).collect::<Result<Vec<_>, _>>()?
        }
        ColumnReader::Int32ColumnReader(reader) => {
            let id = |id: &i32| if is_unsigned { (*id as u32).to_string() } else { id.to_string() };
            read_column(reader, rows)?.values.iter().map(id).collect()
        }
        ColumnReader::Int64ColumnReader(reader) => {
            let id = |id: &i64| if is_unsigned { (*id as u64).to_string() } else { id.to_string() };
            read_column(reader, rows)?.values.iter().map(id).collect()
        }
        _ => unreachable!("other types are refused when a file is opened: this is a bug"),
    };
    // A null has no value, so the following rows would get the ids of others.
    match ids.len() == rows {
        true => Ok(ids),
        false => Err(ParquetError::General("a row has no id".to_owned())),
    }
}

/// Returns what the values of a column are.
fn kind_of(group: &dyn RowGroupReader, at: usize) -> Kind {
    ColumnType::of(group.metadata().column(at).column_descr()).kind
}

/// The numbers of a column in their type in the file.
enum Numbers {
    Integers(Vec<i64>),
    Unsigned(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Numbers {
    /// Converts the numbers to u32, which term ids are.
    fn u32s(self) -> Result<Vec<u32>, String> {
        fn all<T: Copy + std::fmt::Display + TryInto<u32>>(
            numbers: &[T],
        ) -> Result<Vec<u32>, String> {
            let one = |number: &T| {
                (*number).try_into().map_err(|_| {
                    format!("{number} is not a term id; these are from 0 to {}", u32::MAX)
                })
            };
            numbers.iter().map(one).collect()
        }
        match self {
            Self::Integers(numbers) => all(&numbers),
            Self::Unsigned(numbers) => all(&numbers),
            _ => Err("the terms are not integers".to_owned()),
        }
    }

    /// Converts the numbers to f32, which weights are.
    fn f32s(self) -> Result<Vec<f32>, String> {
        match self {
            Self::F32(numbers) => Ok(numbers),
            Self::F64(numbers) => Ok(numbers.into_iter().map(|number| number as f32).collect()),
            // A column of empty lists may be of no type at all.
            Self::Integers(numbers) if numbers.is_empty() => Ok(Vec::new()),
            _ => Err("the weights are not floats".to_owned()),
        }
    }
}

/// Reads the lists of a column, one per row. A null is read as an empty list.
fn read_lists<T: Copy>(
    group: &dyn RowGroupReader,
    at: usize,
    convert: &dyn Fn(Numbers) -> Result<Vec<T>, String>,
) -> Result<Vec<Vec<T>>, ParquetError> {
    fn split<T>(
        column: Column<T>,
        numbers: impl FnOnce(Vec<T>) -> Numbers,
    ) -> (Numbers, Vec<i16>, Vec<i16>) {
        (numbers(column.values), column.definition, column.repetition)
    }
    let rows = group_rows(group);
    let (numbers, definition, repetition) = match parquet_file::column(group, at)? {
        ColumnReader::Int32ColumnReader(r) => split(read_column::<Int32Type>(r, rows)?, |all| {
            match kind_of(group, at) {
                // Parquet stores an unsigned number as the signed number with the same bits.
                Kind::Unsigned => {
                    Numbers::Unsigned(all.into_iter().map(|n| u64::from(n as u32)).collect())
                }
                _ => Numbers::Integers(all.into_iter().map(i64::from).collect()),
            }
        }),
        ColumnReader::Int64ColumnReader(r) => {
            split(read_column(r, rows)?, |all: Vec<i64>| match kind_of(group, at) {
                Kind::Unsigned => Numbers::Unsigned(all.into_iter().map(|n| n as u64).collect()),
                _ => Numbers::Integers(all),
            })
        }
        ColumnReader::FloatColumnReader(r) => {
            split(read_column::<FloatType>(r, rows)?, Numbers::F32)
        }
        ColumnReader::DoubleColumnReader(r) => split(read_column(r, rows)?, Numbers::F64),
        _ => {
            return Err(ParquetError::General("the elements of a list are not numbers".to_owned()));
        }
    };
    let mut numbers = convert(numbers).map_err(ParquetError::General)?.into_iter();
    let descriptor = group.metadata().column(at).column_descr();
    let present = descriptor.max_def_level();
    // In a list whose elements may be null, one level less than that of a value is a null.
    let null = descriptor.self_type().is_optional().then_some(present - 1);
    if definition.len() != repetition.len() {
        return Err(ParquetError::General("a column does not contain lists".to_owned()));
    }
    let mut lists: Vec<Vec<T>> = Vec::new();
    for (definition, repetition) in definition.into_iter().zip(repetition) {
        if repetition == 0 {
            lists.push(Vec::new());
        }
        if Some(definition) == null {
            return Err(ParquetError::General("a list contains a null".to_owned()));
        }
        if definition == present {
            let list = lists.last_mut().zip(numbers.next());
            let (list, number) =
                list.ok_or_else(|| ParquetError::General("a list is cut off".to_owned()))?;
            list.push(number);
        }
    }
    Ok(lists)
}
/// Returns the value of a key in the metadata of the footer of a Parquet file, whatever its columns are.
///
/// ```
/// use splade_sparse::files::{DenseForm, DenseWriter, RowWriter, parquet_about};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("embeddings.parquet");
/// let mut writer = Box::new(DenseWriter::create(&path, &path, DenseForm::Parquet, 2, false)?);
/// writer.set_about("model", "org/dense");
/// writer.write("d1", &[0.6, 0.8])?;
/// writer.finish()?;
/// assert_eq!(parquet_about(&path, "model")?.as_deref(), Some("org/dense"));
/// assert_eq!(parquet_about(&path, "license")?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the file is not a valid Parquet file.
pub fn parquet_about(path: &Path, key: &str) -> Result<Option<String>, FileError> {
    let file = parquet_file::open(path)?;
    let pairs = file.metadata().file_metadata().key_value_metadata();
    let pair = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == key));
    Ok(pair.and_then(|pair| pair.value.clone()))
}
