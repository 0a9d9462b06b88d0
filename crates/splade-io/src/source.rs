//! Opens what is read: files, pipes and standard input, packed or not.
//!
//! Whether a source is packed is decided by its first bytes, not by its name. Pipes and terminals are
//! read on a thread of their own, because a process that waits in a call of the system for a writer
//! that never comes does not hear that it should stop.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::error::FileError;
use crate::problem::Problem;

/// The number of bytes that are looked at before a source is read.
const WINDOW: usize = 1 << 16;
/// The number of bytes that a pipe hands over at a time.
const CHUNK: usize = 1 << 16;
/// The time between two questions whether to stop while a pipe has nothing to read.
const PATIENCE: Duration = Duration::from_millis(50);

static STOP: OnceLock<fn() -> bool> = OnceLock::new();

/// Sets the function that is asked, while a pipe or a terminal has nothing to read, whether reading
/// should stop. Reading then fails with [`ReadingStopped`]. Only the first call has an effect.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// static STOP: AtomicBool = AtomicBool::new(false);
///
/// // A handler of Ctrl-C sets `STOP`; who waits for a pipe then gets an error.
/// splade_io::stop_reading_when(|| STOP.load(Ordering::Relaxed));
/// ```
pub fn stop_reading_when(asked: fn() -> bool) {
    _ = STOP.set(asked);
}

/// The error of a read from a pipe that was stopped; see [`stop_reading_when`].
///
/// ```
/// use splade_io::ReadingStopped;
///
/// let stopped = std::io::Error::other(ReadingStopped);
/// assert!(ReadingStopped::caused(&stopped));
/// assert!(!ReadingStopped::caused(&std::io::Error::other("the disk is full")));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("stopped while waiting for input")]
pub struct ReadingStopped;

impl ReadingStopped {
    /// Returns whether an error, or one of its sources, is this one.
    pub fn caused(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if error.is::<Self>() || inner.is_some_and(|inner| inner.is::<Self>()) {
                return true;
            }
            next = error.source();
        }
        false
    }
}

/// An input that is unpacked while it is read, and whose first bytes can be looked at before.
///
/// ```
/// use std::io::Read;
///
/// use splade_io::Source;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("texts");
/// std::fs::write(&path, "[\"night train\"]")?;
/// let mut source = Source::open(&path, None)?;
/// // The first bytes tell the form of the file.
/// let (start, is_all) = source.look_ahead()?;
/// assert!(start.starts_with(b"[") && is_all);
/// let mut text = String::new();
/// source.read_to_string(&mut text)?;
/// assert_eq!(text, "[\"night train\"]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Source {
    reader: Box<dyn Read + Send>,
    ahead: Ahead,
    is_file: bool,
    is_packed: bool,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (is_file, is_packed) = (self.is_file, self.is_packed);
        f.debug_struct("Source").field("is_file", &is_file).field("is_packed", &is_packed).finish()
    }
}

impl Source {
    /// Opens a file or a pipe; `-` is standard input. A pipe is opened when it is first read. The
    /// bytes that are read of it, still packed, are added to `read`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened or its first bytes cannot be read.
    pub fn open(path: &Path, read: Option<Arc<AtomicU64>>) -> Result<Self, FileError> {
        let is_input = path == Path::new("-");
        let is_file = !is_input && {
            let found = std::fs::metadata(path).map_err(FileError::io("open", path))?;
            if found.is_dir() {
                return Err(FileError::form(
                    path,
                    Problem::new("this is a folder").with_remedy("name a file of it"),
                ));
            }
            found.is_file()
        };
        let plain: Box<dyn Read + Send> = match (is_input, is_file) {
            (true, _) => Box::new(Pipe::new(|| Ok(Box::new(io::stdin())))),
            (false, true) => Box::new(File::open(path).map_err(FileError::io("open", path))?),
            (false, false) => {
                let path = path.to_path_buf();
                Box::new(Pipe::new(move || Ok(Box::new(File::open(path)?))))
            }
        };
        let counted = Counted { reader: plain, read: read.unwrap_or_default() };
        Self::unpack(path, Box::new(counted), is_file)
    }

    /// Unpacks a source according to its first bytes; `path` names it in messages.
    fn unpack(
        path: &Path,
        mut reader: Box<dyn Read + Send>,
        is_file: bool,
    ) -> Result<Self, FileError> {
        let mut magic = Ahead::default();
        magic.fill(&mut reader, |bytes| bytes.len() < 4).map_err(FileError::io("read", path))?;
        let first = magic.bytes().to_vec();
        let whole = Chained { ahead: magic, reader };
        let (reader, is_packed): (Box<dyn Read + Send>, bool) = match first.as_slice() {
            [0x1f, 0x8b, ..] => {
                (Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(whole))), true)
            }
            // A frame, or a frame to skip, with which some programs begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                (zstd_reader(path, whole)?, true)
            }
            _ => (Box::new(whole), false),
        };
        Ok(Self { reader, ahead: Ahead::default(), is_file, is_packed })
    }

    /// Returns the first unpacked bytes, which stay to be read, and whether they are all. Of a pipe
    /// these are whole lines that have at least three bytes besides blanks, so that nobody has to
    /// wait for more; of a file, 64 KiB.
    ///
    /// # Errors
    /// Returns an error if the source cannot be read or unpacked.
    pub fn look_ahead(&mut self) -> io::Result<(&[u8], bool)> {
        let of_pipe = |bytes: &[u8]| {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            bytes[..end].iter().filter(|byte| !byte.is_ascii_whitespace()).count() < 3
        };
        let is_file = self.is_file;
        let more = |bytes: &[u8]| bytes.len() < WINDOW && (is_file || of_pipe(bytes));
        let ended = self.ahead.fill(&mut self.reader, more)?;
        Ok((self.ahead.bytes(), ended))
    }

    /// Passes over bytes that were looked at.
    pub fn skip(&mut self, count: usize) {
        self.ahead.at += count.min(self.ahead.bytes().len());
    }

    /// Returns whether the source is a file that can be read at any position, not a pipe.
    pub fn is_file(&self) -> bool {
        self.is_file
    }

    /// Returns whether the source is packed.
    pub fn is_packed(&self) -> bool {
        self.is_packed
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.ahead.take(buffer) {
            0 => self.reader.read(buffer),
            count => Ok(count),
        }
    }
}

#[cfg(feature = "zstd")]
fn zstd_reader(path: &Path, packed: Chained) -> Result<Box<dyn Read + Send>, FileError> {
    Ok(Box::new(zstd::Decoder::new(packed).map_err(FileError::io("open", path))?))
}

#[cfg(not(feature = "zstd"))]
fn zstd_reader(path: &Path, _: Chained) -> Result<Box<dyn Read + Send>, FileError> {
    Err(FileError::form(
        path,
        Problem::new("this build cannot unpack zstd").with_remedy("unpack the file first"),
    ))
}

/// Bytes that were read before they were asked for.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    /// The number of bytes that have been asked for since.
    at: usize,
}

impl Ahead {
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Reads while `more` is true of the bytes so far; returns whether the reader has ended.
    fn fill(&mut self, reader: &mut dyn Read, more: impl Fn(&[u8]) -> bool) -> io::Result<bool> {
        let mut chunk = [0; 1 << 12];
        while more(self.bytes()) {
            match reader.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(count) => self.bytes.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Moves bytes into a buffer; returns their number.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let rest = self.bytes();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        if self.at == self.bytes.len() {
            *self = Self::default();
        }
        count
    }
}

/// A reader after the bytes that were read of it before.
struct Chained {
    ahead: Ahead,
    reader: Box<dyn Read + Send>,
}

impl Read for Chained {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.ahead.take(buffer) {
            0 => self.reader.read(buffer),
            count => Ok(count),
        }
    }
}

/// Counts the bytes that are read.
struct Counted {
    reader: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Opens what a [`Pipe`] reads, on the pipe's thread.
type Open = Box<dyn FnOnce() -> io::Result<Box<dyn Read>> + Send>;

/// A reader whose waiting can be stopped. A thread, which begins with the first read, opens the
/// pipe and reads it; if reading is stopped, the thread stays in its call until the process ends.
enum Pipe {
    Closed(Option<Open>),
    Open { chunks: Receiver<io::Result<Vec<u8>>>, chunk: Ahead },
}

impl Pipe {
    fn new(open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'static) -> Self {
        Self::Closed(Some(Box::new(open)))
    }
}

/// Reads chunks until the end, an error, or until nobody receives them any more.
fn send_chunks(open: Open, chunks: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let mut reader = open()?;
    loop {
        let mut chunk = vec![0; CHUNK];
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => chunk.truncate(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if chunks.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Closed(open) = self {
            let Some(open) = open.take() else { return Ok(0) };
            let (sender, chunks) = sync_channel(2);
            std::thread::Builder::new().name("input".to_owned()).spawn(move || {
                if let Err(error) = send_chunks(open, &sender) {
                    _ = sender.send(Err(error));
                }
            })?;
            *self = Self::Open { chunks, chunk: Ahead::default() };
        }
        let Self::Open { chunks, chunk } = self else { return Ok(0) };
        loop {
            let count = chunk.take(buffer);
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match chunks.recv_timeout(PATIENCE) {
                Ok(bytes) => *chunk = Ahead { bytes: bytes?, at: 0 },
                Err(RecvTimeoutError::Timeout) if STOP.get().is_some_and(|asked| asked()) => {
                    return Err(io::Error::other(ReadingStopped));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(name: &str, bytes: &[u8]) -> (String, bool) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let mut source = Source::open(&path, None).expect("opened");
        let ahead = source.look_ahead().expect("read").0.to_vec();
        let mut text = String::new();
        source.read_to_string(&mut text).expect("read");
        assert!(text.as_bytes().starts_with(&ahead), "looking ahead takes nothing away");
        (text, source.is_packed())
    }

    #[test]
    fn what_is_packed_is_known_by_its_first_bytes() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"text\n").expect("packed");
        let gz = gz.finish().expect("packed");
        let two = [&gz[..], &gz].concat();
        let cases: Vec<(&str, &[u8], &str, bool)> = vec![
            ("a.txt", b"text\n", "text\n", false),
            ("a.gz", b"text\n", "text\n", false),
            ("a.zst", b"", "", false),
            ("a", b"abc", "abc", false),
            ("a.txt", &two, "text\ntext\n", true),
        ];
        for (name, bytes, text, packed) in cases {
            assert_eq!(read(name, bytes), (text.to_owned(), packed), "{name}");
        }
        #[cfg(feature = "zstd")]
        {
            let zst = zstd::encode_all(&b"text\n"[..], 1).expect("packed");
            let skipped = [&b"\x50\x2a\x4d\x18\x01\0\0\0x"[..], &zst].concat();
            assert_eq!(read("a.txt", &zst), ("text\n".to_owned(), true));
            assert_eq!(read("a.txt", &skipped), ("text\n".to_owned(), true));
        }
    }

    #[test]
    fn a_pipe_shows_its_first_line_and_gives_all() {
        let reader: Box<dyn Read + Send> =
            Box::new(Pipe::new(|| Ok(Box::new(&b"\n \nabc\nd"[..]))));
        let mut source = Source::unpack(Path::new("x"), reader, false).expect("opened");
        let (ahead, _) = source.look_ahead().expect("read");
        assert!(ahead.starts_with(b"\n \nabc\n"), "{ahead:?}");
        let mut text = String::new();
        source.read_to_string(&mut text).expect("read");
        assert_eq!(text, "\n \nabc\nd");
    }

    #[test]
    fn reading_stopped_is_found_among_the_sources_of_an_error() {
        let error = FileError::io("read", Path::new("x"))(io::Error::other(ReadingStopped));
        assert!(ReadingStopped::caused(&error));
        let error = FileError::io("read", Path::new("x"))(io::Error::other("other"));
        assert!(!ReadingStopped::caused(&error));
    }

    #[test]
    fn a_folder_is_no_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = Source::open(dir.path(), None).expect_err("a folder").to_string();
        assert!(error.contains("this is a folder"), "{error}");
    }
}
