//! A reader of texts from Parquet files, about a thousand rows at a time.
//!
//! The columns are found by their names at the top level of the schema. Ids may be strings or
//! integers, and texts are strings. Files of Spark, Arrow and DuckDB with uncompressed, snappy,
//! gzip and zstd pages are supported.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::Type as PhysicalType;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::parquet_file;
use splade_io::FileError;

/// The maximum number of rows that are read at once.
const BATCH: usize = 1024;

/// A row of a Parquet file of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRow {
    /// The id of the text; an integer is written in decimals.
    pub id: String,
    /// The title, or an empty string if the row has none.
    pub title: String,
    /// The text without the title.
    pub text: String,
}

/// A reader of a Parquet file of texts.
pub struct ParquetTexts {
    path: PathBuf,
    file: SerializedFileReader<File>,
    columns: Columns<usize>,
    /// The index of the next row group.
    group: usize,
    /// The readers of the current row group, and the number of its remaining rows.
    open: Option<(Columns<ColumnReader>, usize)>,
    /// The number of rows that have been read.
    rows: u64,
}

/// The columns of ids, titles and texts, as indices in the schema or as readers.
struct Columns<T> {
    id: T,
    title: Option<T>,
    text: T,
}

impl std::fmt::Debug for ParquetTexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetTexts").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ParquetTexts {
    /// Opens a file. The id is taken from the first column of `ids` that the file has. The column
    /// of titles may be missing.
    ///
    /// # Errors
    /// Returns an error if the file is not a valid Parquet file, or if the column of ids or texts
    /// is missing or has a type that is not supported.
    pub fn open(
        path: &Path,
        ids: &[&str],
        title: Option<&str>,
        text: &str,
    ) -> Result<Self, FileError> {
        let file = parquet_file::open(path)?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let place = |name: &str| {
            let is_it = |parts: &[String]| matches!(parts, [part] if part == name);
            schema.columns().iter().position(|column| is_it(column.path().parts()))
        };
        let known = |at: usize, kinds: &[PhysicalType]| {
            let column = schema.column(at);
            match column.max_rep_level() == 0 && kinds.contains(&column.physical_type()) {
                true => Ok(at),
                false => Err(FileError::form(
                    path,
                    format!("column {} is of a type that is not read", column.name()),
                )),
            }
        };
        let missing = |what: String| {
            let names: Vec<_> = schema.columns().iter().map(|c| c.path().string()).collect();
            let names = names.join(", ");
            FileError::form(path, format!("there is no column {what}; the columns are: {names}"))
        };
        let (texts, integers) =
            (PhysicalType::BYTE_ARRAY, [PhysicalType::INT32, PhysicalType::INT64]);
        let id = ids.iter().find_map(|id| place(id)).ok_or_else(|| missing(ids.join(" or ")))?;
        let columns = Columns {
            id: known(id, &[&[texts][..], &integers].concat())?,
            title: title.and_then(place).map(|at| known(at, &[texts])).transpose()?,
            text: known(place(text).ok_or_else(|| missing(text.to_owned()))?, &[texts])?,
        };
        let path = path.to_path_buf();
        Ok(Self { path, file, columns, group: 0, open: None, rows: 0 })
    }

    /// Estimates the compressed size in bytes of a number of rows by the mean over the file.
    pub fn bytes(&self, rows: usize) -> u64 {
        let metadata = self.file.metadata();
        let bytes: i64 = metadata.row_groups().iter().map(|group| group.compressed_size()).sum();
        let all = metadata.file_metadata().num_rows().max(1);
        (bytes.max(0) as f64 * rows as f64 / all as f64) as u64
    }

    /// Reads the next rows. The result is empty at the end of the file.
    ///
    /// # Errors
    /// Returns an error if the file is damaged, or if a row has no id or no text.
    pub fn next_rows(&mut self) -> Result<Vec<TextRow>, FileError> {
        let path = self.path.clone();
        let rows = parquet_file::decode(&path, || self.read())?;
        let first = self.rows + 1;
        self.rows += rows.len() as u64;
        let row = |((id, title, text), row): ((Option<_>, Option<_>, Option<_>), u64)| {
            let missing = |what| FileError::form(&self.path, format!("row {row} has no {what}"));
            let id = id.ok_or_else(|| missing("id"))?;
            let text = text.ok_or_else(|| missing("text"))?;
            Ok(TextRow { id, title: title.unwrap_or_default(), text })
        };
        rows.into_iter().zip(first..).map(row).collect()
    }

    /// Reads the ids, titles and texts of the next rows, where each may be null.
    #[expect(clippy::type_complexity, reason = "a row of cells that may be null")]
    fn read(
        &mut self,
    ) -> Result<Vec<(Option<String>, Option<String>, Option<String>)>, ParquetError> {
        loop {
            if let Some((columns, left)) = &mut self.open
                && *left > 0
            {
                let count = (*left).min(BATCH);
                *left -= count;
                let ids = cells(&mut columns.id, count)?;
                let texts = cells(&mut columns.text, count)?;
                let titles = match &mut columns.title {
                    Some(titles) => cells(titles, count)?,
                    None => vec![None; count],
                };
                let rows = ids.into_iter().zip(titles).zip(texts);
                return Ok(rows.map(|((id, title), text)| (id, title, text)).collect());
            }
            if self.group >= self.file.num_row_groups() {
                return Ok(Vec::new());
            }
            let group = self.file.get_row_group(self.group)?;
            self.group += 1;
            let reader = |at: usize| parquet_file::column(&*group, at);
            let columns = Columns {
                id: reader(self.columns.id)?,
                title: self.columns.title.map(reader).transpose()?,
                text: reader(self.columns.text)?,
            };
            let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            self.open = Some((columns, rows));
        }
    }
}

/// Reads the next `count` cells of a column as strings; a null cell is `None`.
fn cells(column: &mut ColumnReader, count: usize) -> Result<Vec<Option<String>>, ParquetError> {
    let text = |bytes: ByteArray| match std::str::from_utf8(bytes.data()) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(ParquetError::General("a text is not UTF-8".to_owned())),
    };
    match column {
        ColumnReader::ByteArrayColumnReader(column) => values(column, count, text),
        ColumnReader::Int32ColumnReader(column) => values(column, count, |id| Ok(id.to_string())),
        ColumnReader::Int64ColumnReader(column) => values(column, count, |id| Ok(id.to_string())),
        _ => {
            Err(ParquetError::General("a column contains neither strings nor integers".to_owned()))
        }
    }
}

/// Reads the next `count` cells of a typed column and converts each value with `text`.
fn values<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    count: usize,
    text: impl Fn(T::T) -> Result<String, ParquetError>,
) -> Result<Vec<Option<String>>, ParquetError> {
    let (mut values, mut definition, mut rows) = (Vec::new(), Vec::new(), 0);
    while rows < count {
        let (read, ..) =
            column.read_records(count - rows, Some(&mut definition), None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::General("a column has too few rows".to_owned()));
        }
        rows += read;
    }
    // A required column has no levels. In other columns, the largest level marks a value.
    let deepest = definition.iter().max().copied().unwrap_or_default();
    let all = values.len() == count;
    let mut values = values.into_iter();
    let cell = |row: usize| match all || definition.get(row) == Some(&deepest) {
        true => values.next().map(&text).transpose(),
        false => Ok(None),
    };
    (0..count).map(cell).collect()
}
