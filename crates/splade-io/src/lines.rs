//! Reads and writes text files line by line, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::FileError;
use crate::problem::Problem;
use crate::source::Source;

/// The largest number of bytes in a line, 64 MiB. A line is one text, one vector or one ranking, and
/// the longest of these, such as a whole book, take a tenth of that. Without a bound, a file of a few
/// kilobytes that unpacks to one endless line would take all memory.
pub const LONGEST_LINE: usize = 64 << 20;

/// The error of a line that is longer than [`LONGEST_LINE`].
#[derive(Debug, thiserror::Error)]
#[error("the line has more than {} MiB, the most that is read", LONGEST_LINE >> 20)]
pub struct LongLine;

/// Opens a text file or a pipe for reading; it is decompressed if its first bytes are those of gzip
/// or zstd.
///
/// # Errors
/// Returns an error if the file cannot be opened.
pub fn open_text(path: &Path) -> Result<Box<dyn BufRead + Send>, FileError> {
    Ok(Box::new(BufReader::with_capacity(1 << 16, Source::open(path, None)?)))
}

/// Appends a line with its line end to `line`, and returns the number of bytes; 0 at the end.
///
/// # Errors
/// Returns an error if the reader fails, or [`LongLine`] if `line` gets longer than
/// [`LONGEST_LINE`].
pub fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let room = (LONGEST_LINE + 1).saturating_sub(line.len());
    let count = reader.take(room as u64).read_until(b'\n', line)?;
    match line.len() > LONGEST_LINE && line.last() != Some(&b'\n') {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, LongLine)),
        false => Ok(count),
    }
}

/// A reader of UTF-8 lines that counts them.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: u64,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("path", &self.path).field("line", &self.line).finish()
    }
}

impl Lines {
    /// Opens a file or a pipe, which is decompressed if it is packed.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self::new(path, open_text(path)?))
    }

    /// Reads the lines of a reader. `path` is its name in messages.
    pub fn new(path: &Path, reader: Box<dyn BufRead + Send>) -> Self {
        Self { path: path.to_path_buf(), reader, line: 0 }
    }

    /// Returns the next line without its line end; `None` at the end of the file. A byte order mark
    /// at the start is skipped.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, the line is not UTF-8, or it is longer than
    /// [`LONGEST_LINE`].
    pub fn next_line(&mut self) -> Result<Option<String>, FileError> {
        let mut bytes = Vec::new();
        let count = read_line(&mut *self.reader, &mut bytes);
        if count.map_err(|error| self.unreadable(error))? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if self.line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        let decoded = String::from_utf8(bytes);
        decoded.map(Some).map_err(|error| FileError::not_utf8(&self.path, self.line, &error))
    }

    /// Wraps the error of a line that could not be read.
    fn unreadable(&self, error: io::Error) -> FileError {
        match error.get_ref().is_some_and(|inner| inner.is::<LongLine>()) {
            true => FileError::Line {
                path: self.path.clone(),
                line: self.line + 1,
                problem: Problem::new(LongLine.to_string())
                    .with_remedy("check that the file has one text a line"),
            },
            false => FileError::io("read", &self.path)(error),
        }
    }

    /// Creates an error at the line that was read last.
    pub fn error(&self, problem: impl Into<Problem>) -> FileError {
        FileError::Line { path: self.path.clone(), line: self.line, problem: problem.into() }
    }
}

/// A writer of a file of lines, which is compressed with gzip if its name ends in `.gz`.
#[derive(Debug)]
pub struct LineWriter {
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Plain(BufWriter<File>),
    Packed(GzEncoder<BufWriter<File>>),
}

impl LineWriter {
    /// Creates the file or overwrites it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        Self::create_as(path, path.extension().is_some_and(|end| end == "gz"))
    }

    /// Creates the file or overwrites it, compressed with gzip if `packed` is true, whatever its
    /// name is.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn create_as(path: &Path, packed: bool) -> Result<Self, FileError> {
        let file = File::create(path).map_err(FileError::io("write", path))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        let sink = match packed {
            true => Sink::Packed(GzEncoder::new(file, Compression::default())),
            false => Sink::Plain(file),
        };
        Ok(Self { path: path.to_path_buf(), sink })
    }

    /// Writes a line and a line end.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn line(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), FileError> {
        let written = match &mut self.sink {
            Sink::Plain(file) => file.write_fmt(line).and_then(|()| file.write_all(b"\n")),
            Sink::Packed(file) => file.write_fmt(line).and_then(|()| file.write_all(b"\n")),
        };
        written.map_err(FileError::io("write", &self.path))
    }

    /// Writes all buffered bytes and waits until they have reached the disk.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn finish(self) -> Result<(), FileError> {
        let file = match self.sink {
            Sink::Plain(file) => Ok(file),
            Sink::Packed(file) => file.finish(),
        };
        let synced = file.and_then(|file| file.into_inner()?.sync_all());
        synced.map_err(FileError::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An endless line, of which no more than the bound is kept.
    #[test]
    fn a_line_without_end_is_refused() {
        let endless = BufReader::new(io::repeat(b'x').take(3 * LONGEST_LINE as u64));
        let first = BufReader::new(&b"short\n"[..]);
        let mut lines = Lines::new(Path::new("x.ndjson"), Box::new(first.chain(endless)));
        assert_eq!(lines.next_line().expect("a line").as_deref(), Some("short"));
        let error = lines.next_line().expect_err("too long").to_string();
        let want = "x.ndjson, line 2: the line has more than 64 MiB";
        assert!(error.starts_with(want), "{error}");
    }
}
