//! The bytes of a complete file of the index: mapped, or in memory.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::IndexError;

/// The bytes of a file, in a mapped file or in memory.
#[derive(Debug)]
pub(super) enum Bytes {
    Mapped(Mmap),
    Memory(Cow<'static, [u8]>),
}

impl Bytes {
    /// Maps a complete file of the index.
    pub(super) fn map(path: &Path) -> Result<Self, IndexError> {
        let file = File::open(path).map_err(IndexError::io("open", path))?;
        // SAFETY: A file of the index is complete before it is opened, and this crate never writes
        // to it afterwards, neither under its temporary nor under its final name: a change to the
        // index makes new files. The mapping would be unsound only if another program changed the
        // file.
        #[allow(unsafe_code, reason = "mapping a file")]
        let map = unsafe { Mmap::map(&file) }.map_err(IndexError::io("map", path))?;
        Ok(Self::Mapped(map))
    }
}

impl Bytes {
    /// Writes into bytes that are in memory and owned.
    ///
    /// # Panics
    ///
    /// Panics if the bytes are mapped or `at` is out of bounds.
    pub(super) fn fill(&mut self, at: usize, part: &[u8]) {
        match self {
            Self::Memory(Cow::Owned(bytes)) => bytes[at..at + part.len()].copy_from_slice(part),
            _ => panic!("only an index that is read in parts is filled: this is a bug"),
        }
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }
}
