//! Files of dense vectors: one vector for a text, or a matrix with a row for each token.
//!
//! | form | content |
//! |---|---|
//! | Parquet | columns `id` and `embedding`: a list of floats, or a list of lists |
//! | safetensors | `embeddings`, `(rows, dim)`; `id_ends` and `ids`, the ids as UTF-8 one behind another and where each ends; for matrices also `row_ends`, where the rows of each text end |
//! | npy | the vectors, `(texts, dim)`; `NAME.ids.ndjson` beside the file has an id a line |
//! | NDJSON | `{"id": …, "embedding": […]}` a line, with a list of lists for matrices |
//!
//! All numbers are exact 32-bit floats.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Type as PhysicalType, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::json;

use super::RowWriter;
use super::parquet_schema::{element, list, with_id};
use splade_io::FileError;

/// The form of a file of dense vectors.
///
/// ```
/// use splade_sparse::files::DenseForm;
///
/// assert_eq!(DenseForm::of("embeddings.npy".as_ref()), Some(DenseForm::Npy));
/// assert_eq!(DenseForm::of("embeddings.csv".as_ref()), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DenseForm {
    /// Parquet.
    Parquet,
    /// A file of the safetensors library.
    Safetensors,
    /// A file of NumPy, with the ids in a file beside it. It cannot hold matrices.
    Npy,
    /// A JSON object a line.
    Ndjson,
}

impl DenseForm {
    /// All forms with the endings of their file names.
    pub const ENDINGS: [(&'static str, Self); 5] = [
        ("parquet", Self::Parquet),
        ("safetensors", Self::Safetensors),
        ("npy", Self::Npy),
        ("ndjson", Self::Ndjson),
        ("jsonl", Self::Ndjson),
    ];

    /// Returns the form that the ending of a file name says.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        let found = Self::ENDINGS.iter().find(|(own, _)| *own == ending);
        found.map(|(_, form)| *form)
    }

    /// Returns the path of the ids beside a file of NumPy.
    pub fn ids_beside(path: &Path) -> PathBuf {
        path.with_extension("ids.ndjson")
    }
}

/// A writer of dense vectors to one file.
///
/// ```
/// use splade_sparse::files::{DenseForm, DenseWriter, RowWriter};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("embeddings.npy");
/// let ids = DenseForm::ids_beside(&path);
/// let mut writer = Box::new(DenseWriter::create(&path, &ids, DenseForm::Npy, 2, false)?);
/// writer.write("d1", &[0.6, 0.8])?;
/// writer.write("d2", &[1.0, 0.0])?;
/// writer.finish()?;
/// assert_eq!(std::fs::read_to_string(ids)?, "\"d1\"\n\"d2\"\n");
/// assert!(std::fs::read(path)?.starts_with(b"\x93NUMPY"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DenseWriter {
    path: PathBuf,
    dim: usize,
    /// Whether a text has a matrix and not a vector.
    is_matrix: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Parquet(Box<ParquetDense>),
    Raw(Box<RawDense>),
    Ndjson(BufWriter<File>),
}

/// The bytes before the numbers of a safetensors file: the length and the header, filled with blanks.
const SAFETENSORS_HEADER: usize = 1024;
/// The bytes before the numbers of a NumPy file.
const NPY_HEADER: usize = 128;
/// The numbers at which a row group of Parquet ends: 16 MB.
const GROUP_NUMBERS: usize = 4 << 20;

impl DenseWriter {
    /// Creates a file for vectors of `dim` dimensions. `ids` is the file beside a NumPy file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created or the form cannot hold matrices.
    pub fn create(
        path: &Path,
        ids: &Path,
        form: DenseForm,
        dim: usize,
        is_matrix: bool,
    ) -> Result<Self, FileError> {
        let file = |path: &Path| File::create(path).map_err(FileError::io("write", path));
        let kind = match form {
            DenseForm::Parquet => {
                Kind::Parquet(Box::new(ParquetDense::create(path, file(path)?, is_matrix)?))
            }
            DenseForm::Ndjson => Kind::Ndjson(BufWriter::new(file(path)?)),
            DenseForm::Npy if is_matrix => {
                return Err(FileError::form(
                    path,
                    "a NumPy file cannot hold a matrix for each text; name a file that ends in \
                     .safetensors or .parquet",
                ));
            }
            DenseForm::Npy | DenseForm::Safetensors => {
                let beside = match form {
                    DenseForm::Npy => Some(BufWriter::new(file(ids)?)),
                    _ => None,
                };
                let header = if beside.is_some() { NPY_HEADER } else { SAFETENSORS_HEADER };
                let mut numbers = BufWriter::new(file(path)?);
                numbers.write_all(&vec![b' '; header]).map_err(FileError::io("write", path))?;
                let (ids, id_ends, row_ends) = Default::default();
                Kind::Raw(Box::new(RawDense { numbers, beside, rows: 0, ids, id_ends, row_ends }))
            }
        };
        Ok(Self { path: path.to_path_buf(), dim, is_matrix, kind })
    }
}

/// Writes the numbers of a text, row after row. It panics if the numbers are not whole rows.
impl RowWriter<[f32]> for DenseWriter {
    fn write(&mut self, id: &str, numbers: &[f32]) -> Result<(), FileError> {
        assert!(numbers.len().is_multiple_of(self.dim.max(1)), "numbers must be whole rows");
        let io = || FileError::io("write", &self.path);
        match &mut self.kind {
            Kind::Ndjson(file) => {
                let line = row_json(id, numbers, self.dim, self.is_matrix);
                writeln!(file, "{line}").map_err(io())
            }
            Kind::Parquet(file) => {
                let rows = if self.is_matrix { self.dim } else { numbers.len() };
                file.push(&self.path, id, numbers, rows)
            }
            Kind::Raw(file) => file.push(id, numbers, self.dim).map_err(io()),
        }
    }

    fn set_about(&mut self, key: &str, value: &str) {
        if let Kind::Parquet(file) = &mut self.kind {
            let about = KeyValue::new(key.to_owned(), value.to_owned());
            file.file.append_key_value_metadata(about);
        }
    }

    fn finish(self: Box<Self>) -> Result<(), FileError> {
        let Self { path, dim, is_matrix, kind } = *self;
        match kind {
            Kind::Ndjson(mut file) => file.flush().map_err(FileError::io("write", &path)),
            Kind::Parquet(file) => file.finish(&path),
            Kind::Raw(file) => file.finish(dim, is_matrix).map_err(FileError::io("write", &path)),
        }
    }
}

/// Returns a row of NDJSON, without its line end.
///
/// ```
/// use splade_sparse::files::row_json;
///
/// assert_eq!(row_json("d1", &[0.6, 0.8], 2, false), r#"{"id": "d1", "embedding": [0.6, 0.8]}"#);
/// // A text with a vector for each of its two tokens.
/// let matrix = row_json("d1", &[0.6, 0.8, 1.0, 0.0], 2, true);
/// assert_eq!(matrix, r#"{"id": "d1", "embedding": [[0.6, 0.8], [1.0, 0.0]]}"#);
/// ```
pub fn row_json(id: &str, numbers: &[f32], dim: usize, is_matrix: bool) -> String {
    // The `Debug` form is the shortest text that is parsed as the same number.
    let list = |row: &[f32]| {
        let numbers: Vec<String> = row.iter().map(|number| format!("{number:?}")).collect();
        format!("[{}]", numbers.join(", "))
    };
    let embedding = match is_matrix {
        false => list(numbers),
        true => {
            let rows: Vec<String> = numbers.chunks_exact(dim.max(1)).map(list).collect();
            format!("[{}]", rows.join(", "))
        }
    };
    format!("{{\"id\": {}, \"embedding\": {embedding}}}", json!(id))
}

/// A file with a header of fixed length that is written at the end.
#[derive(Debug)]
struct RawDense {
    numbers: BufWriter<File>,
    /// The file of ids beside a NumPy file.
    beside: Option<BufWriter<File>>,
    rows: u64,
    ids: Vec<u8>,
    id_ends: Vec<i32>,
    row_ends: Vec<i32>,
}

impl RawDense {
    fn push(&mut self, id: &str, numbers: &[f32], dim: usize) -> std::io::Result<()> {
        for number in numbers {
            self.numbers.write_all(&number.to_le_bytes())?;
        }
        self.rows += (numbers.len() / dim.max(1)) as u64;
        if let Some(ids) = &mut self.beside {
            return writeln!(ids, "{}", json!(id));
        }
        self.ids.extend_from_slice(id.as_bytes());
        let number = |count: u64| {
            i32::try_from(count).map_err(|_| std::io::Error::other("there are more than 2^31 rows"))
        };
        self.id_ends.push(number(self.ids.len() as u64)?);
        self.row_ends.push(number(self.rows)?);
        Ok(())
    }

    fn finish(mut self, dim: usize, is_matrix: bool) -> std::io::Result<()> {
        if let Some(mut ids) = self.beside {
            ids.flush()?;
            let shape = format!("({}, {dim})", self.rows);
            let about = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            let mut header = b"\x93NUMPY\x01\x00".to_vec();
            header.extend_from_slice(&((NPY_HEADER - 10) as u16).to_le_bytes());
            header.extend_from_slice(about.as_bytes());
            header.resize(NPY_HEADER - 1, b' ');
            header.push(b'\n');
            self.numbers.seek(SeekFrom::Start(0))?;
            self.numbers.write_all(&header)?;
            return self.numbers.flush();
        }
        let texts = self.id_ends.len();
        let mut tensors = vec![
            ("embeddings", "F32", vec![self.rows as usize, dim], self.rows as usize * dim * 4),
            ("id_ends", "I32", vec![texts], 4 * texts),
        ];
        let mut ends = vec![&self.id_ends];
        if is_matrix {
            tensors.push(("row_ends", "I32", vec![texts], 4 * texts));
            ends.push(&self.row_ends);
        }
        // Bytes come last, so that all other tensors are aligned.
        tensors.push(("ids", "U8", vec![self.ids.len()], self.ids.len()));
        for ends in ends {
            for end in ends {
                self.numbers.write_all(&end.to_le_bytes())?;
            }
        }
        self.numbers.write_all(&self.ids)?;
        let (mut about, mut at) = (serde_json::Map::new(), 0);
        for (name, dtype, shape, size) in tensors {
            let place = json!({"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]});
            about.insert(name.to_owned(), place);
            at += size;
        }
        let mut header = ((SAFETENSORS_HEADER - 8) as u64).to_le_bytes().to_vec();
        header.extend_from_slice(serde_json::Value::Object(about).to_string().as_bytes());
        header.resize(SAFETENSORS_HEADER, b' ');
        self.numbers.seek(SeekFrom::Start(0))?;
        self.numbers.write_all(&header)?;
        self.numbers.flush()
    }
}

/// A Parquet file, one row group of which is collected.
struct ParquetDense {
    file: SerializedFileWriter<BufWriter<File>>,
    is_matrix: bool,
    ids: Vec<ByteArray>,
    values: Vec<f32>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl std::fmt::Debug for ParquetDense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetDense").field("is_matrix", &self.is_matrix).finish_non_exhaustive()
    }
}

impl ParquetDense {
    fn create(path: &Path, file: File, is_matrix: bool) -> Result<Self, FileError> {
        let build = || {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
                .set_dictionary_enabled(false);
            let properties = Arc::new(properties.build());
            SerializedFileWriter::new(
                BufWriter::new(file),
                Arc::new(schema(is_matrix)?),
                properties,
            )
        };
        let file = build().map_err(FileError::format(path))?;
        let (ids, values, definition, repetition) = Default::default();
        Ok(Self { file, is_matrix, ids, values, definition, repetition })
    }

    /// Adds a text whose lists have `width` numbers each.
    fn push(
        &mut self,
        path: &Path,
        id: &str,
        numbers: &[f32],
        width: usize,
    ) -> Result<(), FileError> {
        self.ids.push(ByteArray::from(id.as_bytes().to_vec()));
        self.values.extend_from_slice(numbers);
        // An empty list has one entry without a number.
        let deepest = if self.is_matrix { 2 } else { 1 };
        if numbers.is_empty() {
            self.repetition.push(0);
            self.definition.push(0);
        }
        for place in 0..numbers.len() {
            let is_first_of_row = width > 0 && place % width == 0;
            self.repetition.push(match place {
                0 => 0,
                _ if self.is_matrix && is_first_of_row => 1,
                _ => deepest,
            });
            self.definition.push(deepest);
        }
        match self.values.len() >= GROUP_NUMBERS {
            true => self.end_group().map_err(FileError::format(path)),
            false => Ok(()),
        }
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let mut columns = self.file.next_row_group()?;
        while let Some(mut column) = columns.next_column()? {
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    writer.write_batch(&self.ids, None, None)?
                }
                ColumnWriter::FloatColumnWriter(writer) => {
                    let levels = (Some(&self.definition[..]), Some(&self.repetition[..]));
                    writer.write_batch(&self.values, levels.0, levels.1)?
                }
                _ => unreachable!("the schema has no other columns: this is a bug"),
            };
            column.close()?;
        }
        columns.close()?;
        self.ids.clear();
        self.values.clear();
        self.definition.clear();
        self.repetition.clear();
        Ok(())
    }

    fn finish(mut self, path: &Path) -> Result<(), FileError> {
        self.end_group().map_err(FileError::format(path))?;
        let flushed = self.file.into_inner().and_then(|mut file| Ok(file.flush()?));
        flushed.map_err(FileError::format(path))
    }
}

/// Returns the schema: the id, and a list of floats or a list of such lists.
fn schema(is_matrix: bool) -> Result<Type, ParquetError> {
    let number = || element("element", PhysicalType::FLOAT, ConvertedType::NONE);
    let embedding = match is_matrix {
        false => list("embedding", number()?)?,
        true => list("embedding", list("element", number()?)?)?,
    };
    with_id(vec![embedding])
}
