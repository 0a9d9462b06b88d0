//! Targets whose documents are text.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::quantize::Quantisation;
use splade_io::FileError;
use splade_sparse::SparseVector;
use splade_sparse::files::{RowWriter, Shard, ShardForm};

/// The format of the manifest of exported documents.
pub(crate) const EXPORT: &str = "light-splade export";

/// Documents that a query template finds.
pub(crate) const HITS: usize = 10;

/// How documents and queries look to an engine that reads text.
pub trait TextTarget: std::fmt::Debug {
    /// Names of the files, and how many documents are in one.
    fn form(&self) -> ShardForm;

    /// What is around the documents of a file or a request.
    fn frame(&self) -> Frame {
        Frame::default()
    }

    /// What becomes of weights.
    fn quantisation(&self) -> Quantisation {
        Quantisation::Exact
    }

    /// Appends the document of a row, counted from 0.
    ///
    /// # Errors
    /// A message, if the engine cannot hold it.
    fn document(
        &self,
        row: u64,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), String>;

    /// The name of the file of queries.
    fn queries_file(&self) -> &'static str;

    /// Appends a query.
    ///
    /// # Errors
    /// A message, if the engine cannot answer it.
    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), String>;

    /// Whether a query without terms has no line.
    fn leaves_empty_queries_out(&self) -> bool {
        false
    }

    /// Names and contents of the files that create the index and load the documents.
    fn setup(&self, shards: &[Shard]) -> Vec<(&'static str, String)>;
}

/// The number of a row, where the first has the number `first`: engines' numbers have 63 bits.
pub(crate) fn number(first: u64, row: u64) -> Result<u64, String> {
    let number = first.checked_add(row).filter(|number| i64::try_from(*number).is_ok());
    number.ok_or_else(|| format!("its number is above {}; begin with a smaller one", i64::MAX))
}

/// What is before, between and after the documents of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Before the first.
    pub head: String,
    /// Between two.
    pub between: &'static str,
    /// After the last.
    pub tail: &'static str,
}

impl Frame {
    /// A JSON array of documents, one a line, in what `head` begins and `tail` ends.
    pub(crate) fn array(head: String, tail: &'static str) -> Self {
        Self { head, between: ",\n", tail }
    }
}

/// Appends the text of the row with a number.
type Append<'a> = dyn Fn(u64, &str, &SparseVector, &mut Vec<u8>) -> Result<(), String> + 'a;

/// A text file of documents or queries that is being written.
pub(crate) struct TextWriter<'a> {
    path: PathBuf,
    writer: BufWriter<File>,
    frame: Frame,
    append: Box<Append<'a>>,
    first: u64,
    row: u64,
    text: Vec<u8>,
}

impl<'a> TextWriter<'a> {
    /// Creates a file whose first row has the number `first`.
    pub(crate) fn create(
        path: &Path,
        frame: Frame,
        first: u64,
        append: Box<Append<'a>>,
    ) -> Result<Self, FileError> {
        let file = File::create(path).map_err(FileError::io("write", path))?;
        let text = frame.head.clone().into_bytes();
        let writer = BufWriter::with_capacity(1 << 16, file);
        Ok(Self { path: path.to_path_buf(), writer, frame, append, first, row: first, text })
    }

    fn flush(&mut self) -> Result<(), FileError> {
        let written = self.writer.write_all(&self.text);
        written.map_err(FileError::io("write", &self.path))?;
        self.text.clear();
        Ok(())
    }
}

impl RowWriter for TextWriter<'_> {
    fn write(&mut self, id: &str, vector: &SparseVector) -> Result<(), FileError> {
        if self.row > self.first {
            self.text.extend_from_slice(self.frame.between.as_bytes());
        }
        let appended = (self.append)(self.row, id, vector, &mut self.text);
        appended.map_err(|message| FileError::document(id, message))?;
        self.row += 1;
        self.flush()
    }

    fn finish(mut self: Box<Self>) -> Result<(), FileError> {
        self.text.extend_from_slice(self.frame.tail.as_bytes());
        self.flush()?;
        self.writer.flush().map_err(FileError::io("write", &self.path))
    }
}
