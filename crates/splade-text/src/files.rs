//! The files of a model: a folder, or named bytes in memory.
//!
//! Whatever reads a model asks [`ModelFiles`] for its files by their paths, so that a model that is
//! part of a program, or was sent to a browser, is read by the same code as a folder. Nothing is
//! ever written here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::foreign::{BYTE_ORDER_MARK, FOREIGN_START, foreign_text};

/// Bytes of a file in memory: part of the program, or owned.
type Bytes = Arc<Cow<'static, [u8]>>;

/// The files of a model folder, which may be on the disk or in memory.
///
/// A clone is cheap: bytes in memory are shared.
///
/// ```
/// use splade_text::{ModelFiles, Tokenizer, TokenizerOptions};
///
/// let vocabulary: &[u8] = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nnight\ntrain\n";
/// let files = ModelFiles::memory("tiny", [("vocab.txt", vocabulary)]);
/// let tokenizer = Tokenizer::from_files(&files, &TokenizerOptions::default())?;
/// assert_eq!(tokenizer.encode("night train", None)?.ids, [2, 5, 6, 3]);
/// # Ok::<(), splade_text::TextError>(())
/// ```
#[derive(Clone)]
pub struct ModelFiles {
    root: PathBuf,
    /// By path, the root included; none where the files are on the disk.
    memory: Option<Arc<BTreeMap<PathBuf, Bytes>>>,
}

/// One open file of a model.
///
/// ```
/// use splade_text::ModelFiles;
///
/// let files = ModelFiles::memory("tiny", [("model.bin", &b"header and weights"[..])]);
/// let file = files.open(&files.root().join("model.bin"))?;
/// let mut weights = [0; 7];
/// file.read_at(&mut weights, file.size()? - 7)?;
/// assert_eq!(&weights, b"weights");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ModelFile(Content);

enum Content {
    Disk(File),
    Memory(Bytes),
}

impl ModelFiles {
    /// The files of a folder on the disk. Nothing is opened yet.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self { root: path.into(), memory: None }
    }

    /// Files in memory, each with its path within the model (`config.json`,
    /// `1_SpladePooling/config.json`). `name` stands for the folder in messages.
    pub fn memory<P: AsRef<Path>, B: Into<Cow<'static, [u8]>>>(
        name: impl Into<PathBuf>,
        files: impl IntoIterator<Item = (P, B)>,
    ) -> Self {
        let root = name.into();
        let files =
            files.into_iter().map(|(path, bytes)| (root.join(path), Arc::new(bytes.into())));
        let memory = Some(Arc::new(files.collect()));
        Self { root, memory }
    }

    /// The path of the folder, or the name that stands for it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The same files seen from the folder `path`, which is the root or lies below it.
    pub fn within(&self, path: &Path) -> Self {
        Self { root: path.to_path_buf(), memory: self.memory.clone() }
    }

    /// Whether the files are in memory, not on the disk.
    pub fn is_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether there is a file at a path.
    pub fn is_file(&self, path: &Path) -> bool {
        match &self.memory {
            None => path.is_file(),
            Some(files) => files.contains_key(path),
        }
    }

    /// Whether there is a folder at a path: in memory one that a file lies in.
    pub fn is_dir(&self, path: &Path) -> bool {
        match &self.memory {
            None => path.is_dir(),
            Some(files) => files.keys().any(|file| file != path && file.starts_with(path)),
        }
    }

    /// Opens a file to read parts of it.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(&self, path: &Path) -> io::Result<ModelFile> {
        let source = match &self.memory {
            None => Content::Disk(File::open(path)?),
            Some(files) => Content::Memory(files.get(path).ok_or(ErrorKind::NotFound)?.clone()),
        };
        Ok(ModelFile(source))
    }

    /// Reads a whole file of text in UTF-8. A byte order mark at its start is passed over.
    ///
    /// # Errors
    /// If there is none, it cannot be read, or it is no such text. A file that is something else,
    /// such as a Git LFS pointer or an error page, is named.
    pub fn read_to_string(&self, path: &Path) -> io::Result<String> {
        match &self.memory {
            None => text_of(&std::fs::read(path)?),
            Some(files) => text_of(files.get(path).ok_or(ErrorKind::NotFound)?),
        }
    }
}

/// Returns the text of a file.
fn text_of(bytes: &[u8]) -> io::Result<String> {
    let invalid = |message: String| io::Error::new(ErrorKind::InvalidData, message);
    let start = &bytes[..bytes.len().min(FOREIGN_START)];
    if let Some(foreign) = foreign_text(start, bytes.len() as u64) {
        return Err(io::Error::new(ErrorKind::InvalidData, foreign));
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        invalid(format!("byte {} is not of a text in UTF-8", error.valid_up_to()))
    })?;
    Ok(text.to_owned())
}

impl From<&Path> for ModelFiles {
    fn from(folder: &Path) -> Self {
        Self::folder(folder)
    }
}

impl std::fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.is_memory() { "memory" } else { "folder" };
        write!(f, "ModelFiles({kind} {})", self.root.display())
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(file) => file.fmt(f),
            Self::Memory(bytes) => write!(f, "{} bytes in memory", bytes.len()),
        }
    }
}

impl ModelFile {
    /// The length of the file in bytes.
    ///
    /// # Errors
    /// If the system does not tell it.
    pub fn size(&self) -> io::Result<u64> {
        match &self.0 {
            Content::Disk(file) => Ok(file.metadata()?.len()),
            Content::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `out` with the bytes from `at` on. Several threads may read at once.
    ///
    /// # Errors
    /// If the file ends before, or cannot be read.
    pub fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        match &self.0 {
            Content::Disk(file) => read_at(file, out, at),
            Content::Memory(bytes) => {
                let start = usize::try_from(at).ok();
                let end = start.and_then(|start| start.checked_add(out.len()));
                let range = start.zip(end).and_then(|(start, end)| bytes.get(start..end));
                out.copy_from_slice(range.ok_or(ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => (out, at) = (&mut out[n..], at + n as u64),
        }
    }
    Ok(())
}

/// Where there are no files that are read by position, such as in browsers, there are none at all.
#[cfg(not(any(unix, windows)))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_folder_answer_alike() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("sub")).expect("made");
        std::fs::write(dir.path().join("sub/a.txt"), "text").expect("written");
        let memory = ModelFiles::memory(dir.path(), [("sub/a.txt", b"text".to_vec())]);
        for files in [ModelFiles::folder(dir.path()), memory] {
            let at = |name: &str| files.root().join(name);
            assert_eq!(files.read_to_string(&at("sub/a.txt")).expect("read"), "text");
            assert!(files.is_file(&at("sub/a.txt")) && !files.is_file(&at("sub")), "{files:?}");
            assert!(files.is_dir(&at("sub")) && files.is_dir(&at("")), "{files:?}");
            assert!(!files.is_dir(&at("sub/a.txt")) && !files.is_dir(&at("su")), "{files:?}");
            assert_eq!(text_of(b"\xef\xbb\xbfa\n").expect("read"), "a\n");
            let missing = files.read_to_string(&at("b")).expect_err("no such file");
            assert_eq!(missing.kind(), ErrorKind::NotFound);
            let file = files.within(&at("sub")).open(&at("sub/a.txt")).expect("opened");
            let mut out = [0; 2];
            file.read_at(&mut out, 2).expect("read");
            assert_eq!((&out, file.size().expect("known")), (b"xt", 4));
            let short = file.read_at(&mut out, 3).expect_err("too far");
            assert_eq!(short.kind(), ErrorKind::UnexpectedEof);
        }
    }
}
