//! Texts from Parquet files, about a thousand rows at a time.
//!
//! The columns are found by their names at the top level of the schema. Ids may be strings or
//! integers, and texts are strings; a column of titles may have nulls only. Files of Spark, Arrow and DuckDB with uncompressed, snappy,
//! gzip and zstd pages are supported.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use splade_io::{FileError, Problem};

use super::super::parquet_file;
use super::super::parquet_type::{ColumnType, Kind};
use super::row::{TextFields, TextRow};

/// The maximum number of rows that are read at once.
const BATCH: usize = 1024;

/// A reader of a Parquet file of texts.
pub(super) struct ParquetTexts {
    path: PathBuf,
    file: SerializedFileReader<File>,
    columns: Columns<(usize, Kind)>,
    /// The index of the next row group.
    group: usize,
    /// The readers of the current row group, and the number of its remaining rows.
    open: Option<(Columns<(ColumnReader, Kind)>, usize)>,
    /// The number of rows that have been read.
    rows: u64,
}

/// The columns of ids, titles and texts, as indices in the schema or as readers.
struct Columns<T> {
    /// None if rows need no ids.
    id: Option<T>,
    /// None if no row has a title.
    title: Option<T>,
    text: T,
}

impl std::fmt::Debug for ParquetTexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetTexts").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ParquetTexts {
    /// Opens a file.
    ///
    /// # Errors
    /// Returns an error if the file is not a valid Parquet file, or if the column of ids or texts
    /// is missing or has a type that is not supported.
    pub(super) fn open(path: &Path, fields: &TextFields) -> Result<Self, FileError> {
        Self::new(path, parquet_file::open(path)?, fields)
    }

    /// Reads an open file; `path` names it in messages.
    pub(super) fn of(path: &Path, file: File, fields: &TextFields) -> Result<Self, FileError> {
        Self::new(path, parquet_file::of(path, file)?, fields)
    }

    fn new(
        path: &Path,
        file: SerializedFileReader<File>,
        fields: &TextFields,
    ) -> Result<Self, FileError> {
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let place = |name: &str| {
            let is_it = |parts: &[String]| matches!(parts, [part] if part == name);
            schema.columns().iter().position(|column| is_it(column.path().parts()))
        };
        let names: Vec<_> = schema.columns().iter().map(|c| c.path().string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let known = |at: usize, kinds: &[Kind], wanted: &str| {
            let column = schema.column(at);
            let ColumnType { kind, name } = ColumnType::of(&column);
            match column.max_rep_level() == 0 && kinds.contains(&kind) {
                true => Ok((at, kind)),
                false => Err(FileError::form(
                    path,
                    Problem::new(format!(
                        "column \"{}\" has the type {name}, but {wanted}",
                        column.name()
                    ))
                    .with_remedy("convert the column"),
                )),
            }
        };
        let (text, ids) = ([Kind::Text], [Kind::Text, Kind::Signed, Kind::Unsigned]);
        let id = match fields.ids().into_iter().find_map(place) {
            Some(at) => Some(known(at, &ids, "ids are strings or integers")?),
            None if fields.no_ids => None,
            None => return Err(FileError::form(path, fields.no_id(&names))),
        };
        let title = fields.title().and_then(place);
        let title = title
            .map(|at| known(at, &[Kind::Text, Kind::Null], "titles are strings"))
            .transpose()?
            .filter(|(_, kind)| *kind != Kind::Null);
        let at =
            place(fields.text()).ok_or_else(|| FileError::form(path, fields.no_text(&names)))?;
        let columns = Columns { id, title, text: known(at, &text, "texts are strings")? };
        let path = path.to_path_buf();
        Ok(Self { path, file, columns, group: 0, open: None, rows: 0 })
    }

    /// Estimates the compressed size in bytes of a number of rows by the mean over the file.
    pub(super) fn bytes(&self, rows: usize) -> u64 {
        let metadata = self.file.metadata();
        let bytes: i64 = metadata.row_groups().iter().map(|group| group.compressed_size()).sum();
        let all = metadata.file_metadata().num_rows().max(1);
        (bytes.max(0) as f64 * rows as f64 / all as f64) as u64
    }

    /// Reads the next rows. The result is empty at the end of the file.
    ///
    /// # Errors
    /// Returns an error if the file is damaged, or if a row has no id or no text.
    pub(super) fn next_rows(&mut self) -> Result<Vec<TextRow>, FileError> {
        let path = self.path.clone();
        let rows = parquet_file::decode(&path, || self.read())?;
        let first = self.rows + 1;
        self.rows += rows.len() as u64;
        let row = |((id, title, text), row): ((Option<_>, Option<_>, Option<_>), u64)| {
            let missing = |what| FileError::form(&self.path, format!("row {row} has no {what}"));
            let id = match id {
                None if self.columns.id.is_some() => return Err(missing("id")),
                id => id.unwrap_or_default(),
            };
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
                let texts = cells(&mut columns.text, count)?;
                let optional = |column: &mut Option<(ColumnReader, Kind)>| match column {
                    Some(column) => cells(column, count),
                    None => Ok(vec![None; count]),
                };
                let (ids, titles) = (optional(&mut columns.id)?, optional(&mut columns.title)?);
                let rows = ids.into_iter().zip(titles).zip(texts);
                return Ok(rows.map(|((id, title), text)| (id, title, text)).collect());
            }
            if self.group >= self.file.num_row_groups() {
                return Ok(Vec::new());
            }
            let group = self.file.get_row_group(self.group)?;
            self.group += 1;
            let reader = |(at, kind): (usize, Kind)| {
                Ok::<_, ParquetError>((parquet_file::column(&*group, at)?, kind))
            };
            let columns = Columns {
                id: self.columns.id.map(reader).transpose()?,
                title: self.columns.title.map(reader).transpose()?,
                text: reader(self.columns.text)?,
            };
            let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            self.open = Some((columns, rows));
        }
    }
}

/// Reads the next `count` cells of a column as strings; a null cell is `None`.
fn cells(
    (column, kind): &mut (ColumnReader, Kind),
    count: usize,
) -> Result<Vec<Option<String>>, ParquetError> {
    let text = |bytes: ByteArray| match std::str::from_utf8(bytes.data()) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(ParquetError::General("a text is not UTF-8".to_owned())),
    };
    let is_unsigned = *kind == Kind::Unsigned;
    match column {
        ColumnReader::ByteArrayColumnReader(column) => values(column, count, text),
        ColumnReader::Int32ColumnReader(column) => values(column, count, |id| {
            Ok(if is_unsigned { (id as u32).to_string() } else { id.to_string() })
        }),
        ColumnReader::Int64ColumnReader(column) => values(column, count, |id| {
            Ok(if is_unsigned { (id as u64).to_string() } else { id.to_string() })
        }),
        _ => unreachable!("other types are refused when a file is opened: this is a bug"),
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
