//! Text files line by line, packed or not.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::FileError;

/// Opens a file for reading; `.gz` and `.zst` are unpacked.
///
/// # Errors
/// If it cannot be opened.
pub fn open_text(path: &Path) -> Result<Box<dyn BufRead + Send>, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    unpack(path, Box::new(file))
}

/// Unpacks a source as its name says.
fn unpack(path: &Path, source: Box<dyn Read + Send>) -> Result<Box<dyn BufRead + Send>, FileError> {
    let source: Box<dyn Read + Send> = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(source))),
        Some("zst") => Box::new(zstd::Decoder::new(source).map_err(FileError::io("open", path))?),
        _ => source,
    };
    Ok(Box::new(BufReader::with_capacity(1 << 16, source)))
}

/// Lines of UTF-8 with their numbers.
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
    /// Lines of a file, which is unpacked as its name says.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self { path: path.to_path_buf(), reader: open_text(path)?, line: 0 })
    }

    /// Lines of a source; `path` is its name, and says whether it is packed.
    ///
    /// # Errors
    /// If it cannot be unpacked.
    pub fn of(path: &Path, source: Box<dyn Read + Send>) -> Result<Self, FileError> {
        Ok(Self { path: path.to_path_buf(), reader: unpack(path, source)?, line: 0 })
    }

    /// The next line without its end, a byte order mark at the start skipped; none at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or the line is not UTF-8.
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

    /// An error at the line that was read last.
    pub fn error(&self, message: impl Into<String>) -> FileError {
        FileError::Line { path: self.path.clone(), line: self.line, message: message.into() }
    }
}
