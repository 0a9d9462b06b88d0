//! The writing of a target's files.

use std::path::Path;

use super::ciff::Ciff;
use super::csr::Csr;
use super::quantize::Quantisation;
use super::text::{Frame, TextTarget, TextWriter};
use splade_io::{FileError, write_file};
use splade_sparse::files::{ParquetWriter, RowWriter, Shard, ShardForm};

/// A target: the search engine or format to which documents and queries are exported.
///
/// ```
/// use splade_export::Target;
/// use splade_export::targets::Qdrant;
/// use splade_sparse::{SparseVector, TermId};
///
/// let target = Target::Text(Box::new(Qdrant::new("splade".to_owned(), 0)));
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("documents");
/// let mut documents = target.documents(&path, 0)?;
/// let vector = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?;
/// documents.write("d1", &vector)?;
/// documents.finish()?;
/// assert!(std::fs::read_to_string(path)?.contains("1.25"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub enum Target {
    /// A search engine that reads text.
    Text(Box<dyn TextTarget>),
    /// Parquet files, which light-splade itself reads too.
    Parquet,
    /// Sparse matrices as `.npz` or safetensors.
    Csr(Csr),
    /// One inverted file in the Common Index File Format.
    Ciff(Ciff),
}

impl Target {
    /// Returns the names of the files of documents and the number of documents per file.
    pub fn form(&self) -> ShardForm {
        match self {
            Self::Text(target) => target.form(),
            Self::Parquet => ShardForm::vectors("parquet", 10_000),
            Self::Csr(target) => target.form(),
            Self::Ciff(target) => target.form(),
        }
    }

    /// Returns how the target rounds weights.
    pub fn quantisation(&self) -> Quantisation {
        match self {
            Self::Text(target) => target.quantisation(),
            Self::Parquet | Self::Csr(_) => Quantisation::Exact,
            Self::Ciff(target) => target.quantisation(),
        }
    }

    /// Creates a file of documents. The first document in it has the number `first`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn documents<'a>(
        &'a self,
        path: &Path,
        first: u64,
    ) -> Result<Box<dyn RowWriter + 'a>, FileError> {
        Ok(match self {
            Self::Text(target) => {
                let append = move |row, id: &str, vector: &_, out: &mut _| {
                    target.document(row, id, vector, out)
                };
                Box::new(TextWriter::create(path, target.frame(), first, Box::new(append))?)
            }
            Self::Parquet => Box::new(ParquetWriter::create(path, &[])?),
            Self::Csr(target) => Box::new(target.create(path)?),
            Self::Ciff(target) => Box::new(target.create(path)?),
        })
    }

    /// Checks that another file of documents may follow these.
    ///
    /// # Errors
    /// Returns an error if the target is limited to this number of files.
    pub fn check_room(&self, dir: &Path, shards: &[Shard]) -> Result<(), FileError> {
        match self {
            Self::Ciff(target) => target.check_room(dir, shards),
            Self::Text(_) | Self::Parquet | Self::Csr(_) => Ok(()),
        }
    }

    /// Returns the name of the file of queries.
    pub fn queries_file(&self) -> &'static str {
        match self {
            Self::Text(target) => target.queries_file(),
            Self::Parquet => "queries.parquet",
            Self::Csr(target) => target.queries_file(),
            Self::Ciff(_) => "queries.pisa",
        }
    }

    /// Returns whether queries without terms are omitted from the file of queries.
    pub fn leaves_empty_queries_out(&self) -> bool {
        match self {
            Self::Text(target) => target.leaves_empty_queries_out(),
            Self::Ciff(_) => true,
            Self::Parquet | Self::Csr(_) => false,
        }
    }

    /// Creates a file of queries.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn queries<'a>(&'a self, path: &Path) -> Result<Box<dyn RowWriter + 'a>, FileError> {
        let text = |append| -> Result<Box<dyn RowWriter + 'a>, FileError> {
            Ok(Box::new(TextWriter::create(path, Frame::default(), 0, append)?))
        };
        match self {
            Self::Text(target) => text(Box::new(move |_, id: &str, vector: &_, out: &mut _| {
                target.query(id, vector, out)
            })),
            Self::Ciff(target) => text(Box::new(move |_, id: &str, vector: &_, out: &mut _| {
                target.query(id, vector, out)
            })),
            Self::Parquet | Self::Csr(_) => self.documents(path, 0),
        }
    }

    /// Writes the remaining files of the folder after all files of documents are complete.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn complete(&self, dir: &Path, shards: &[Shard]) -> Result<(), FileError> {
        match self {
            Self::Text(target) => {
                for (name, text) in target.setup(shards) {
                    write_file(&dir.join(name), text.as_bytes())?;
                }
                Ok(())
            }
            Self::Parquet | Self::Csr(_) => Ok(()),
            Self::Ciff(target) => target.merge(dir, shards),
        }
    }

    /// Removes the files of documents that the complete folder does not need. Missing files are
    /// ignored.
    ///
    /// # Errors
    /// Returns an error if a file cannot be removed.
    pub fn clean(&self, dir: &Path, shards: &[Shard]) -> Result<(), FileError> {
        if let Self::Ciff(_) = self {
            for shard in shards {
                let path = dir.join(&shard.file);
                match std::fs::remove_file(&path) {
                    // An earlier call, which was interrupted, removed the file.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    removed => removed.map_err(FileError::io("remove", &path))?,
                }
            }
        }
        Ok(())
    }
}
