//! The target of sparse matrices in CSR form (compressed rows), as scipy's `.npz` or as
//! safetensors.
//!
//! A file holds a matrix with a row per document and a column per term, and the ids of the
//! documents. The `.npz` form is readable by `scipy.sparse.load_npz` (NumPy's format 1.0 in a ZIP
//! archive, here without compression). The safetensors form has the tensors `indptr`, `indices`,
//! `data` and `shape`, and the ids as UTF-8 bytes `ids` that end at the offsets `id_ends`. The
//! documents of a file are held in memory until it is complete.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use splade_io::FileError;
use splade_sparse::SparseVector;
use splade_sparse::files::{RowWriter, ShardForm};

/// The target of sparse matrices.
///
/// ```
/// use splade_export::Target;
/// use splade_export::targets::{Csr, CsrForm};
/// use splade_sparse::{SparseVector, TermId};
///
/// let target = Target::Csr(Csr::new(CsrForm::Npz, 32_768));
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join(target.queries_file());
/// let mut queries = target.queries(&path)?;
/// let vector = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?;
/// queries.write("q1", &vector)?;
/// queries.finish()?;
/// assert!(path.is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Csr {
    form: CsrForm,
    columns: usize,
}

/// The file format of a matrix.
///
/// ```
/// use splade_export::Target;
/// use splade_export::targets::{Csr, CsrForm};
/// use splade_sparse::{SparseVector, TermId};
///
/// let target = Target::Csr(Csr::new(CsrForm::Safetensors, 32_768));
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join(target.queries_file());
/// let mut queries = target.queries(&path)?;
/// let vector = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?;
/// queries.write("q1", &vector)?;
/// queries.finish()?;
/// assert!(path.is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CsrForm {
    /// The `.npz` format of `scipy.sparse.save_npz`.
    Npz,
    /// The safetensors format.
    Safetensors,
}

impl Csr {
    /// Makes the target of matrices with `columns` columns, one for each term of the vocabulary.
    pub fn new(form: CsrForm, columns: usize) -> Self {
        Self { form, columns }
    }

    /// Returns the names and the size of the files of documents.
    pub(crate) fn form(&self) -> ShardForm {
        let extension = match self.form {
            CsrForm::Npz => "npz",
            CsrForm::Safetensors => "safetensors",
        };
        ShardForm { format: super::text::EXPORT, stem: "documents", extension, rows: 100_000 }
    }

    /// Returns the name of the file of queries.
    pub(crate) fn queries_file(&self) -> &'static str {
        match self.form {
            CsrForm::Npz => "queries.npz",
            CsrForm::Safetensors => "queries.safetensors",
        }
    }

    /// Creates a file, which is written when the writer is finished.
    pub(crate) fn create(&self, path: &Path) -> Result<CsrWriter, FileError> {
        let file = File::create(path).map_err(FileError::io("write", path))?;
        let mut matrix = Matrix { columns: self.columns, ..Matrix::default() };
        matrix.ends.push(0);
        Ok(CsrWriter { path: path.to_path_buf(), file, form: self.form, matrix })
    }
}

/// A writer of one matrix file.
pub(crate) struct CsrWriter {
    path: PathBuf,
    file: File,
    form: CsrForm,
    matrix: Matrix,
}

/// A sparse matrix in CSR form with the ids of its rows.
#[derive(Default)]
struct Matrix {
    columns: usize,
    ids: Vec<String>,
    /// A 0, followed by the end of each row in `terms`.
    ends: Vec<i64>,
    terms: Vec<i32>,
    weights: Vec<f32>,
}

impl RowWriter for CsrWriter {
    fn write(&mut self, id: &str, vector: &SparseVector) -> Result<(), FileError> {
        let matrix = &mut self.matrix;
        for (term, weight) in vector.iter() {
            match i32::try_from(term.0) {
                Ok(column) if (column as usize) < matrix.columns => matrix.terms.push(column),
                _ => {
                    let columns = matrix.columns;
                    let message =
                        format!("it has the term {term}, and the matrix {columns} columns");
                    return Err(FileError::document(id, message));
                }
            }
            matrix.weights.push(weight);
        }
        matrix.ids.push(id.to_owned());
        matrix.ends.push(matrix.terms.len() as i64);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), FileError> {
        let Self { path, file, form, matrix } = *self;
        let file = BufWriter::with_capacity(1 << 16, file);
        let written = match form {
            CsrForm::Npz => matrix.write_npz(file),
            CsrForm::Safetensors => matrix.write_safetensors(file),
        };
        written.map_err(FileError::io("write", &path))
    }
}

impl Matrix {
    /// Returns the numbers of rows and columns.
    fn shape(&self) -> [i64; 2] {
        [self.ids.len() as i64, self.columns as i64]
    }

    /// Writes the arrays that `scipy.sparse.load_npz` reads, and the array `ids`.
    fn write_npz(&self, file: BufWriter<File>) -> std::io::Result<()> {
        let width = self.ids.iter().map(|id| id.chars().count()).max().unwrap_or(0).max(1);
        let letters = self.ids.iter().flat_map(|id| {
            let padding = std::iter::repeat_n('\0', width - id.chars().count());
            id.chars().chain(padding).flat_map(|letter| u32::from(letter).to_le_bytes())
        });
        let rows_and_columns = self.shape();
        let arrays: [(&str, String, String, &mut dyn Iterator<Item = u8>); 6] = [
            ("indices", "<i4".to_owned(), shape(self.terms.len()), &mut little(&self.terms)),
            ("indptr", "<i8".to_owned(), shape(self.ends.len()), &mut little(&self.ends)),
            ("format", "|S3".to_owned(), "()".to_owned(), &mut b"csr".iter().copied()),
            ("shape", "<i8".to_owned(), shape(2), &mut little(&rows_and_columns)),
            ("data", "<f4".to_owned(), shape(self.weights.len()), &mut little(&self.weights)),
            ("ids", format!("<U{width}"), shape(self.ids.len()), &mut { letters }),
        ];
        let mut archive = ZipWriter::new(file);
        // Entries may be larger than 4 GB. The entries have no dates, so that the bytes of the file
        // do not depend on the clock.
        let options = SimpleFileOptions::DEFAULT
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(true);
        for (name, kind, shape, bytes) in arrays {
            archive.start_file(format!("{name}.npy"), options)?;
            archive.write_all(&npy_header(&kind, &shape))?;
            write_bytes(&mut archive, bytes)?;
        }
        archive.finish()?.flush()
    }

    /// Writes the tensors of the safetensors form.
    fn write_safetensors(&self, mut file: BufWriter<File>) -> std::io::Result<()> {
        let mut id_ends = vec![0i64];
        id_ends.extend(self.ids.iter().scan(0, |end, id| {
            *end += id.len() as i64;
            Some(*end)
        }));
        let id_bytes = id_ends.last().copied().unwrap_or(0) as usize;
        let mut header = serde_json::Map::new();
        header.insert("__metadata__".to_owned(), json!({"format": "csr"}));
        let mut at = 0;
        // The tensors are in the order of their bytes, with elements of 8 bytes first, so that all
        // are aligned.
        for (name, kind, length, size) in [
            ("indptr", "I64", self.ends.len(), 8),
            ("shape", "I64", 2, 8),
            ("id_ends", "I64", id_ends.len(), 8),
            ("indices", "I32", self.terms.len(), 4),
            ("data", "F32", self.weights.len(), 4),
            ("ids", "U8", id_bytes, 1),
        ] {
            let end = at + length * size;
            let tensor = json!({"dtype": kind, "shape": [length], "data_offsets": [at, end]});
            header.insert(name.to_owned(), tensor);
            at = end;
        }
        let mut header = serde_json::Value::from(header).to_string();
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        write_bytes(&mut file, &mut little(&self.ends))?;
        write_bytes(&mut file, &mut little(&self.shape()))?;
        write_bytes(&mut file, &mut little(&id_ends))?;
        write_bytes(&mut file, &mut little(&self.terms))?;
        write_bytes(&mut file, &mut little(&self.weights))?;
        write_bytes(&mut file, &mut self.ids.iter().flat_map(|id| id.bytes()))?;
        file.flush()
    }
}

/// Returns NumPy's notation of the shape of a one-dimensional array.
fn shape(length: usize) -> String {
    format!("({length},)")
}

/// Returns the header of an array in NumPy's format 1.0, padded to a multiple of 64 bytes.
fn npy_header(kind: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&(length as u16).to_le_bytes());
    header.extend_from_slice(text.as_bytes());
    header.resize(10 + length - 1, b' ');
    header.push(b'\n');
    header
}

/// A number that can be converted to little-endian bytes.
trait Little: Copy {
    type Bytes: IntoIterator<Item = u8>;
    fn bytes(self) -> Self::Bytes;
}

macro_rules! little {
    ($($number:ty),*) => {$(
        impl Little for $number {
            type Bytes = [u8; size_of::<$number>()];
            fn bytes(self) -> Self::Bytes {
                self.to_le_bytes()
            }
        }
    )*};
}
little!(i32, i64, f32);

/// Returns the little-endian bytes of numbers.
fn little<N: Little>(numbers: &[N]) -> impl Iterator<Item = u8> {
    numbers.iter().flat_map(|number| number.bytes())
}

/// Writes bytes in blocks of 64 KiB.
fn write_bytes(to: &mut impl Write, bytes: &mut dyn Iterator<Item = u8>) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(1 << 16);
    loop {
        buffer.clear();
        buffer.extend(bytes.take(1 << 16));
        if buffer.is_empty() {
            return Ok(());
        }
        to.write_all(&buffer)?;
    }
}
