//! Reads and writes text files line by line, compressed or not.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::FileError;

/// Opens a text file for reading; files whose names end in `.gz` or `.zst` are decompressed.
///
/// # Errors
/// Returns an error if the file cannot be opened.
pub fn open_text(path: &Path) -> Result<Box<dyn BufRead + Send>, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    unpack(path, Box::new(file))
}

/// Decompresses a source according to the suffix of its name.
fn unpack(path: &Path, source: Box<dyn Read + Send>) -> Result<Box<dyn BufRead + Send>, FileError> {
    let source: Box<dyn Read + Send> = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(source))),
        #[cfg(feature = "zstd")]
        Some("zst") => Box::new(zstd::Decoder::new(source).map_err(FileError::io("open", path))?),
        #[cfg(not(feature = "zstd"))]
        Some("zst") => {
            return Err(FileError::form(
                path,
                "this build cannot unpack .zst; unpack the file first",
            ));
        }
        _ => source,
    };
    Ok(Box::new(BufReader::with_capacity(1 << 16, source)))
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
    /// Opens a file, which is decompressed according to the suffix of its name.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self { path: path.to_path_buf(), reader: open_text(path)?, line: 0 })
    }

    /// Reads the lines of a source. `path` is its name in messages, and its suffix decides whether
    /// the source is decompressed.
    ///
    /// # Errors
    /// Returns an error if the source cannot be decompressed.
    pub fn of(path: &Path, source: Box<dyn Read + Send>) -> Result<Self, FileError> {
        Ok(Self { path: path.to_path_buf(), reader: unpack(path, source)?, line: 0 })
    }

    /// Returns the next line without its line end; `None` at the end of the file. A byte order mark
    /// at the start is skipped.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or the line is not UTF-8.
    pub fn next_line(&mut self) -> Result<Option<String>, FileError> {
        let mut bytes = Vec::new();
        let count = self.reader.read_until(b'\n', &mut bytes);
        if count.map_err(FileError::io("read", &self.path))? == 0 {
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
        String::from_utf8(bytes).map(Some).map_err(|error| {
            let at = error.utf8_error().valid_up_to() + 1;
            self.error(format!("byte {at} of the line is not UTF-8"))
        })
    }

    /// Creates an error at the line that was read last.
    pub fn error(&self, message: impl Into<String>) -> FileError {
        FileError::Line { path: self.path.clone(), line: self.line, message: message.into() }
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
