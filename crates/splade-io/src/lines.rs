//! Reads and writes text files line by line, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::FileError;
use crate::problem::Problem;
use crate::source::Source;

/// The error of a line that is longer than [`LongLine::LIMIT`].
///
/// ```
/// use std::io::{BufReader, Read};
///
/// use splade_io::{LongLine, read_line};
///
/// let endless = std::io::repeat(b'a').take(LongLine::LIMIT as u64 + 1);
/// let error = read_line(&mut BufReader::new(endless), &mut Vec::new()).expect_err("too long");
/// assert!(error.get_ref().is_some_and(|error| error.is::<LongLine>()));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the line has more than {} MiB, the most that is read", LongLine::LIMIT >> 20)]
pub struct LongLine;

impl LongLine {
    /// The largest number of bytes in a line, 64 MiB. A line is one text, one vector or one ranking, and
    /// the longest of these, such as a whole book, take a tenth of that. Without a bound, a file of a few
    /// kilobytes that unpacks to one endless line would take all memory.
    pub const LIMIT: usize = 64 << 20;
}

/// Opens a text file or a pipe for reading; it is decompressed if its first bytes are those of gzip
/// or zstd.
///
/// ```
/// use std::io::Read;
///
/// use splade_io::{LineWriter, open_text};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("texts.gz");
/// let mut writer = LineWriter::create(&path)?;
/// writer.line(format_args!("night train"))?;
/// writer.finish()?;
/// let mut text = String::new();
/// open_text(&path)?.read_to_string(&mut text)?;
/// assert_eq!(text, "night train\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the file cannot be opened.
pub fn open_text(path: &Path) -> Result<Box<dyn BufRead + Send>, FileError> {
    Ok(Box::new(BufReader::with_capacity(1 << 16, Source::open(path, None)?)))
}

/// Appends a line with its line end to `line`, and returns the number of bytes; 0 at the end.
///
/// ```
/// use splade_io::read_line;
///
/// let (mut input, mut line) = (&b"night\ntrain"[..], Vec::new());
/// while read_line(&mut input, &mut line)? > 0 {
///     assert!([&b"night\n"[..], b"train"].contains(&line.as_slice()));
///     line.clear();
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Returns an error if the reader fails, or [`LongLine`] if `line` gets longer than
/// [`LongLine::LIMIT`].
pub fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let room = (LongLine::LIMIT + 1).saturating_sub(line.len());
    let count = reader.take(room as u64).read_until(b'\n', line)?;
    match line.len() > LongLine::LIMIT && line.last() != Some(&b'\n') {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, LongLine)),
        false => Ok(count),
    }
}

/// A reader of UTF-8 lines that counts them.
///
/// ```
/// use std::path::Path;
///
/// use splade_io::Lines;
///
/// let mut lines = Lines::new(Path::new("numbers.txt"), Box::new(&b"1\n2\nthree\n"[..]));
/// let mut sum = || -> Result<u32, splade_io::FileError> {
///     let mut sum = 0;
///     while let Some(line) = lines.next_line()? {
///         sum += line.parse::<u32>().map_err(|_| lines.error("it is not a number"))?;
///     }
///     Ok(sum)
/// };
/// let error = sum().expect_err("a word");
/// assert_eq!(error.to_string(), "numbers.txt, line 3: it is not a number");
/// ```
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
    /// [`LongLine::LIMIT`].
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
        let endless = BufReader::new(io::repeat(b'x').take(3 * LongLine::LIMIT as u64));
        let first = BufReader::new(&b"short\n"[..]);
        let mut lines = Lines::new(Path::new("x.ndjson"), Box::new(first.chain(endless)));
        assert_eq!(lines.next_line().expect("a line").as_deref(), Some("short"));
        let error = lines.next_line().expect_err("too long").to_string();
        let want = "x.ndjson, line 2: the line has more than 64 MiB";
        assert!(error.starts_with(want), "{error}");
    }
}
