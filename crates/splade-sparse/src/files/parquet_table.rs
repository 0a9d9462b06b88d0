//! Reads a few columns of a Parquet file as strings, row by row, for tables of ids and numbers.

use std::path::Path;

use parquet::errors::ParquetError;
use parquet::record::Field;

use super::parquet_file;
use splade_io::FileError;

/// Reads the rows of a Parquet file and passes the cells of some columns to `add`, together with
/// the number of the row, counted from 1. `choose` receives the names of all columns and returns
/// the places of the columns that are wanted.
///
/// Strings and numbers become strings; integers are written in decimals.
///
/// ```
/// use splade_sparse::files::{DenseForm, DenseWriter, RowWriter, parquet_columns, parquet_table};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("table.parquet");
/// let mut writer = Box::new(DenseWriter::create(&path, &path, DenseForm::Parquet, 2, false)?);
/// writer.write("d1", &[0.6, 0.8])?;
/// writer.write("d2", &[1.0, 0.0])?;
/// writer.finish()?;
///
/// let mut ids = Vec::new();
/// let id_column = |names: &[&str]| {
///     names.iter().position(|name| *name == "id").map(|at| [at]).ok_or("no column id".to_owned())
/// };
/// parquet_table(&path, id_column, |row, [id]| {
///     ids.push((row, id));
///     Ok(())
/// })?;
/// assert_eq!(ids, [(1, "d1".to_owned()), (2, "d2".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the file is damaged, if `choose` or `add` returns a message, or if a cell is
/// null or of another type.
pub fn parquet_table<const N: usize>(
    path: &Path,
    choose: impl FnOnce(&[&str]) -> Result<[usize; N], String>,
    mut add: impl FnMut(u64, [String; N]) -> Result<(), String>,
) -> Result<(), FileError> {
    let file = parquet_file::open(path)?;
    let schema = parquet::file::reader::FileReader::metadata(&file).file_metadata().schema_descr();
    let names: Vec<&str> = schema.root_schema().get_fields().iter().map(|f| f.name()).collect();
    let places = choose(&names).map_err(|message| FileError::form(path, message))?;
    let mut refused = None;
    parquet_file::decode(path, || {
        let rows = parquet::file::reader::FileReader::get_row_iter(&file, None)?;
        for (number, row) in (1..).zip(rows) {
            let cells: Vec<Field> = row?.into_columns().into_iter().map(|(_, cell)| cell).collect();
            let cells = places.map(|place| cells.get(place).map(text));
            let added = match cells.iter().any(|cell| !matches!(cell, Some(Some(_)))) {
                true => Err("a cell is neither a string nor a number".to_owned()),
                false => add(number, cells.map(|cell| cell.flatten().unwrap_or_default())),
            };
            if let Err(message) = added {
                refused = Some((number, message));
                break;
            }
        }
        Ok::<(), ParquetError>(())
    })?;
    refusal(path, refused)
}

/// Returns the names of the columns of a Parquet file.
///
/// ```
/// use splade_sparse::files::{ParquetWriter, RowWriter, parquet_columns};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.parquet");
/// Box::new(ParquetWriter::create(&path, &[])?).finish()?;
/// assert_eq!(parquet_columns(&path)?, ["id", "indices", "values"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the file is damaged.
pub fn parquet_columns(path: &Path) -> Result<Vec<String>, FileError> {
    let file = parquet_file::open(path)?;
    let schema = parquet::file::reader::FileReader::metadata(&file).file_metadata().schema_descr();
    Ok(schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect())
}

/// Reads the rows of a Parquet file and passes the cells of some columns to `add`, together with the
/// elements of a column of lists. An element may also stand alone, as a list of one.
///
/// ```
/// use splade_sparse::files::{DenseForm, DenseWriter, RowWriter, parquet_lists};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("embeddings.parquet");
/// let mut writer = Box::new(DenseWriter::create(&path, &path, DenseForm::Parquet, 2, false)?);
/// writer.write("d1", &[0.5, 0.25])?;
/// writer.finish()?;
/// parquet_lists(&path, &["id"], "embedding", |[id], numbers| {
///     assert_eq!((id.as_str(), numbers), ("d1", vec!["0.5".to_owned(), "0.25".to_owned()]));
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the file is damaged or has no column of one of these names, if `add` returns
/// a message, or if a cell or an element is null or of another type.
pub fn parquet_lists<const N: usize>(
    path: &Path,
    columns: &[&str; N],
    list: &str,
    mut add: impl FnMut([String; N], Vec<String>) -> Result<(), String>,
) -> Result<(), FileError> {
    let file = parquet_file::open(path)?;
    let mut refused = None;
    parquet_file::decode(path, || {
        let rows = parquet::file::reader::FileReader::get_row_iter(&file, None)?;
        for (number, row) in (1..).zip(rows) {
            let cells = row?.into_columns();
            let cell = |name: &str| cells.iter().find(|(of, _)| of == name).map(|(_, cell)| cell);
            let texts = columns.map(|name| cell(name).and_then(text).ok_or(name));
            let elements = match cell(list) {
                Some(Field::ListInternal(list)) => list.elements().iter().map(text).collect(),
                Some(one) => text(one).map(|one| vec![one]),
                None => None,
            };
            let added = match (texts.iter().find_map(|text| text.as_ref().err()), elements) {
                (None, Some(elements)) => add(texts.map(Result::unwrap_or_default), elements),
                (Some(name), _) => Err(format!("there is no text or number named \"{name}\"")),
                (None, None) => Err(format!("there is no list named \"{list}\"")),
            };
            if let Err(message) = added {
                refused = Some((number, message));
                break;
            }
        }
        Ok::<(), ParquetError>(())
    })?;
    refusal(path, refused)
}

/// Returns the error of a row that was refused.
fn refusal(path: &Path, refused: Option<(u64, String)>) -> Result<(), FileError> {
    match refused {
        None => Ok(()),
        Some((row, message)) => Err(FileError::form(path, format!("row {row}: {message}"))),
    }
}

/// Returns a cell as a string; `None` for null and for types that are neither string nor number.
fn text(cell: &Field) -> Option<String> {
    Some(match cell {
        Field::Str(text) => text.clone(),
        Field::Bytes(bytes) => bytes.as_utf8().ok()?.to_owned(),
        Field::Byte(n) => n.to_string(),
        Field::Short(n) => n.to_string(),
        Field::Int(n) => n.to_string(),
        Field::Long(n) => n.to_string(),
        Field::UByte(n) => n.to_string(),
        Field::UShort(n) => n.to_string(),
        Field::UInt(n) => n.to_string(),
        Field::ULong(n) => n.to_string(),
        Field::Float16(n) => n.to_f32().to_string(),
        Field::Float(n) => n.to_string(),
        Field::Double(n) => n.to_string(),
        _ => return None,
    })
}
