//! Targets whose documents and queries are text, and the writer of their files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::quantize::Quantisation;
use splade_io::{FileError, Problem};
use splade_sparse::SparseVector;
use splade_sparse::files::{RowWriter, Shard, ShardForm};

/// The `format` in the manifest of exported documents.
pub(crate) const EXPORT: &str = "light-splade export";

/// The number of documents that an exported query asks for.
pub(crate) const HITS: usize = 10;

/// The form of documents and queries for a search engine that reads text.
///
/// ```
/// use splade_export::{Quantisation, TextTarget};
/// use splade_io::Problem;
/// use splade_sparse::SparseVector;
/// use splade_sparse::files::{Shard, ShardForm};
///
/// /// A form of our own: an id and the number of terms, separated by a tab.
/// #[derive(Debug)]
/// struct Lengths;
///
/// impl TextTarget for Lengths {
///     fn form(&self) -> ShardForm {
///         ShardForm { format: "lengths", stem: "lengths", extension: "tsv", rows: 1000 }
///     }
///     fn document(&self, _: u64, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
///         out.extend(format!("{id}\t{}\n", vector.len()).into_bytes());
///         Ok(())
///     }
///     fn queries_file(&self) -> &'static str {
///         "queries.tsv"
///     }
///     fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem> {
///         self.document(0, id, vector, out)
///     }
///     fn setup(&self, _: &[Shard]) -> Vec<(&'static str, String)> {
///         Vec::new()
///     }
/// }
/// let mut out = Vec::new();
/// Lengths.document(0, "d1", &SparseVector::default(), &mut out)?;
/// assert_eq!(out, b"d1\t0\n");
/// assert_eq!(Lengths.quantisation(), Quantisation::Exact);
/// # Ok::<(), Problem>(())
/// ```
pub trait TextTarget: std::fmt::Debug {
    /// Returns the names of the files of documents and the number of documents per file.
    fn form(&self) -> ShardForm;

    /// Returns the text around the documents of a file or a request; empty by default.
    fn frame(&self) -> Frame {
        Frame::default()
    }

    /// Returns how the search engine rounds weights; by default it stores them exactly.
    fn quantisation(&self) -> Quantisation {
        Quantisation::Exact
    }

    /// Appends the document of a row. Rows are counted from 0.
    ///
    /// # Errors
    /// Returns a message if the search engine cannot store the document.
    fn document(
        &self,
        row: u64,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem>;

    /// Returns the name of the file of queries.
    fn queries_file(&self) -> &'static str;

    /// Appends a query, which asks for the best 10 documents if the form has such a number.
    ///
    /// # Errors
    /// Returns a message if the search engine cannot answer the query.
    fn query(&self, id: &str, vector: &SparseVector, out: &mut Vec<u8>) -> Result<(), Problem>;

    /// Returns whether queries without terms are omitted from the file; false by default.
    fn leaves_empty_queries_out(&self) -> bool {
        false
    }

    /// Returns the names and contents of the files that create the index and load the documents.
    fn setup(&self, shards: &[Shard]) -> Vec<(&'static str, String)>;
}

/// Returns the number of a row if the first row has the number `first`. Numbers are limited to 63
/// bits, as in the search engines.
pub(crate) fn number(first: u64, row: u64) -> Result<u64, Problem> {
    let number = first.checked_add(row).filter(|number| i64::try_from(*number).is_ok());
    number.ok_or_else(|| {
        let what = format!("its number is above {}", i64::MAX);
        Problem::new(what).with_remedy("begin with a smaller one")
    })
}

/// The text before, between and after the documents of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The text before the first document.
    pub head: String,
    /// The text between two documents.
    pub between: &'static str,
    /// The text after the last document.
    pub tail: &'static str,
}

impl Frame {
    /// Returns the frame of a JSON array with one document per line, which `head` opens and `tail`
    /// closes.
    pub(crate) fn array(head: String, tail: &'static str) -> Self {
        Self { head, between: ",\n", tail }
    }
}

/// A function that appends the text of a row, given the row's number.
type Append<'a> = dyn Fn(u64, &str, &SparseVector, &mut Vec<u8>) -> Result<(), Problem> + 'a;

/// A writer of a text file of documents or queries.
pub(crate) struct TextWriter<'a> {
    path: PathBuf,
    writer: BufWriter<File>,
    frame: Frame,
    append: Box<Append<'a>>,
    /// The number of the file's first row.
    first: u64,
    /// The number of the next row.
    row: u64,
    /// The text that is not yet written.
    text: Vec<u8>,
}

impl<'a> TextWriter<'a> {
    /// Creates a file whose first row has the number `first`. `append` makes the text of a row.
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

    /// Writes the pending text to the buffered file.
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
