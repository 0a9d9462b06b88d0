//! Stored documents: a file beside a segment with some bytes of each of its documents, such as a
//! title and a text. What the bytes mean is up to the caller.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `SPLADEDS` |
//! | 4 | version, 1 |
//! | 4 | 0 |
//! | | the blocks one after another, each compressed with zstd |
//! | 24 per block | its offset u64, its length u32, its length after unpacking u32, its first document u32, its CRC-32 u32 |
//! | 20 | number of documents u32, number of blocks u32, CRC-32 of the table and of these numbers u32, `SPLADEDS` |
//!
//! An unpacked block has the end of each of its documents u32, and then their bytes. The ends count
//! from the first byte after themselves. A block ends with the document that fills it.
//!
//! A document is found by its number in the segment. Reading one unpacks its block, whose checksum
//! is compared each time.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use splade_io::NewFile;

use super::bytes::{u32_at, u64_at};
use super::frame::{ENTRY, HEADER, Kind};
use super::mapped::Bytes;
use crate::IndexError;

/// What stored documents are as a file.
const KIND: Kind = Kind {
    magic: b"SPLADEDS",
    version: 1,
    numbers: 2,
    missing: "the file has no stored documents, or its end is missing",
    has: "the stored documents have",
    entries: "blocks",
};

/// The bytes of documents at which a block ends. Larger blocks are smaller when they are packed,
/// and take longer to unpack for one document.
const BLOCK: usize = 32 << 10;
/// The largest document in bytes. It keeps the lengths of a block within 32 bits.
pub(super) const MAX_STORED: usize = 1 << 30;
/// The level of the compression, zstd's default.
#[cfg(feature = "zstd")]
const LEVEL: i32 = 3;

/// Compresses a block.
#[cfg(feature = "zstd")]
fn pack(block: &[u8], path: &Path) -> Result<Vec<u8>, IndexError> {
    zstd::bulk::compress(block, LEVEL).map_err(IndexError::io("compress documents for", path))
}

#[cfg(not(feature = "zstd"))]
fn pack(_: &[u8], path: &Path) -> Result<Vec<u8>, IndexError> {
    Err(IndexError::NoZstd { path: path.to_path_buf() })
}

/// Unpacks a block that has `len` bytes then.
#[cfg(feature = "zstd")]
fn unpack(packed: &[u8], len: usize, path: &Path) -> Result<Vec<u8>, IndexError> {
    match zstd::bulk::decompress(packed, len) {
        Ok(block) if block.len() == len => Ok(block),
        _ => Err(IndexError::damaged(path, "a block of stored documents cannot be unpacked")),
    }
}

/// Unpacks a block in Rust. In browsers there is no zstd in C.
#[cfg(all(not(feature = "zstd"), target_family = "wasm"))]
fn unpack(packed: &[u8], len: usize, path: &Path) -> Result<Vec<u8>, IndexError> {
    use std::io::Read;
    let mut block = Vec::new();
    let read = ruzstd::decoding::StreamingDecoder::new(packed)
        .ok()
        .and_then(|decoder| decoder.take(len as u64 + 1).read_to_end(&mut block).ok());
    match read == Some(len) {
        true => Ok(block),
        false => Err(IndexError::damaged(path, "a block of stored documents cannot be unpacked")),
    }
}

#[cfg(all(not(feature = "zstd"), not(target_family = "wasm")))]
fn unpack(_: &[u8], _: usize, path: &Path) -> Result<Vec<u8>, IndexError> {
    Err(IndexError::NoZstd { path: path.to_path_buf() })
}

/// A file of stored documents while it is written to a temporary file.
#[derive(Debug)]
pub(super) struct StoredWriter {
    path: PathBuf,
    file: NewFile,
    /// The entries of the blocks written so far.
    table: Vec<u8>,
    /// The offset of the next block in the file.
    start: u64,
    /// The number of documents so far.
    documents: u32,
    /// The ends of the documents of the next block, and their bytes.
    ends: Vec<u8>,
    bytes: Vec<u8>,
}

impl StoredWriter {
    /// Creates the temporary file and writes the header. `path` is the final name.
    pub(super) fn create(path: &Path) -> Result<Self, IndexError> {
        let mut file = NewFile::create_unlocked(path)?;
        file.write_all(&KIND.header(0)).map_err(IndexError::io("write", path))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            table: Vec::new(),
            start: HEADER as u64,
            documents: 0,
            ends: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// Appends a document of at most [`MAX_STORED`] bytes.
    pub(super) fn push(&mut self, document: &[u8]) -> Result<(), IndexError> {
        self.bytes.extend(document);
        self.ends.extend((self.bytes.len() as u32).to_le_bytes());
        self.documents += 1;
        match self.bytes.len() + self.ends.len() >= BLOCK {
            true => self.end_block(),
            false => Ok(()),
        }
    }

    fn end_block(&mut self) -> Result<(), IndexError> {
        if self.ends.is_empty() {
            return Ok(());
        }
        let first = self.documents - self.ends.len() as u32 / 4;
        let mut block = std::mem::take(&mut self.ends);
        block.append(&mut self.bytes);
        let packed = pack(&block, &self.path)?;
        self.file.write_all(&packed).map_err(IndexError::io("write", &self.path))?;
        self.table.extend(self.start.to_le_bytes());
        for number in [packed.len(), block.len(), first as usize] {
            self.table.extend((number as u32).to_le_bytes());
        }
        self.table.extend(crc32fast::hash(&packed).to_le_bytes());
        self.start += packed.len() as u64;
        Ok(())
    }

    /// Writes the rest, the table and the footer. The file can then be read under its temporary
    /// name, and [`NewFile::commit`] renames it.
    pub(super) fn finish(mut self) -> Result<NewFile, IndexError> {
        self.end_block()?;
        let blocks = (self.table.len() / ENTRY) as u32;
        KIND.finish(self.file, &self.path, self.table, &[self.documents, blocks])
    }
}

/// A file of stored documents that is open for reading.
#[derive(Debug)]
pub(super) struct Stored {
    path: PathBuf,
    bytes: Bytes,
    documents: usize,
    blocks: Vec<Block>,
}

/// A block's entry in the table.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// The offset of the block in the file.
    start: usize,
    /// The length of the block in bytes.
    packed: usize,
    /// The length of the block after unpacking.
    unpacked: usize,
    /// The number of its first document.
    first: usize,
    /// The CRC-32 of the packed bytes.
    crc: u32,
}

impl Stored {
    /// Maps a file and checks its header and its table.
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        Self::of(path, Bytes::map(path)?)
    }

    /// Opens a file in memory and checks it as [`open`](Self::open) does. `path` appears in
    /// messages only.
    pub(super) fn from_bytes(path: &Path, bytes: Cow<'static, [u8]>) -> Result<Self, IndexError> {
        Self::of(path, Bytes::Memory(bytes))
    }

    fn of(path: &Path, map: Bytes) -> Result<Self, IndexError> {
        let damaged = |message: &str| IndexError::damaged(path, message);
        let table = KIND.check(&map, path)?;
        let documents = u32_at(&map, table.end).unwrap_or(0) as usize;
        let block = |bytes: &[u8]| {
            let start = usize::try_from(u64_at(bytes, 0)?).ok()?;
            let number = |at: usize| u32_at(bytes, at).map(|number| number as usize);
            let (packed, unpacked, first) = (number(8)?, number(12)?, number(16)?);
            let fits = start.checked_add(packed).is_some_and(|end| end <= table.start);
            let crc = u32_at(bytes, 20)?;
            fits.then_some(Block { start, packed, unpacked, first, crc })
        };
        let blocks =
            map[table.start..table.end].chunks_exact(ENTRY).map(block).collect::<Option<Vec<_>>>();
        let blocks = blocks.ok_or_else(|| damaged("a block lies outside the file"))?;
        let firsts = blocks.iter().map(|block| block.first);
        let mut ends = firsts.clone().skip(1).chain([documents]);
        if blocks.first().is_some_and(|block| block.first > 0)
            || !firsts.zip(&mut ends).all(|(first, end)| first < end)
        {
            return Err(damaged("the blocks are not in the order of their documents"));
        }
        Ok(Self { path: path.to_path_buf(), bytes: map, documents, blocks })
    }

    /// Returns the number of documents.
    pub(super) fn documents(&self) -> usize {
        self.documents
    }

    /// Returns the length of the file in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns a reader for documents one after another, which unpacks a block once as long as
    /// documents of the same block are asked for.
    pub(super) fn reader(&self) -> StoredReader<'_> {
        StoredReader { stored: self, block: None }
    }

    /// Compares the checksum of every block.
    pub(super) fn check_sums(&self) -> Result<(), IndexError> {
        self.blocks.iter().try_for_each(|block| self.packed(block).map(|_| ()))
    }

    /// Compares the checksum of every block and unpacks it.
    pub(super) fn verify(&self) -> Result<(), IndexError> {
        (0..self.blocks.len()).try_for_each(|at| self.unpacked(at).map(|_| ()))
    }

    /// Returns the packed bytes of a block if their checksum is right.
    fn packed(&self, block: &Block) -> Result<&[u8], IndexError> {
        let packed = &self.bytes[block.start..block.start + block.packed];
        match crc32fast::hash(packed) == block.crc {
            true => Ok(packed),
            false => {
                let message = format!("the checksum of the documents from {} differs", block.first);
                Err(IndexError::damaged(&self.path, message))
            }
        }
    }

    /// Unpacks a block and checks the ends of its documents.
    fn unpacked(&self, at: usize) -> Result<Vec<u8>, IndexError> {
        let block = &self.blocks[at];
        let bytes = unpack(self.packed(block)?, block.unpacked, &self.path)?;
        let count = self.end_of(at) - block.first;
        let ends = bytes.get(..4 * count).unwrap_or_default();
        let ends: Vec<u32> = (0..count).filter_map(|doc| u32_at(ends, 4 * doc)).collect();
        let is_sound = ends.windows(2).all(|pair| pair[0] <= pair[1])
            && ends.last().map(|end| *end as usize + 4 * count) == Some(bytes.len());
        match is_sound && ends.len() == count {
            true => Ok(bytes),
            false => Err(IndexError::damaged(&self.path, "a block of documents has wrong lengths")),
        }
    }

    /// Returns the number after the last document of a block.
    fn end_of(&self, at: usize) -> usize {
        self.blocks.get(at + 1).map_or(self.documents, |next| next.first)
    }
}

/// Reads stored documents and keeps the block of the last one.
#[derive(Debug)]
pub(super) struct StoredReader<'a> {
    stored: &'a Stored,
    /// The number and the unpacked bytes of the last block.
    block: Option<(usize, Vec<u8>)>,
}

impl StoredReader<'_> {
    /// Returns the bytes of a document, empty ones for a number beyond the last.
    ///
    /// # Errors
    /// Returns an error if the block of the document is damaged.
    pub(super) fn get(&mut self, doc: usize) -> Result<&[u8], IndexError> {
        if doc >= self.stored.documents {
            return Ok(&[]);
        }
        let at = self.stored.blocks.partition_point(|block| block.first <= doc) - 1;
        let bytes = match self.block.take() {
            Some((last, bytes)) if last == at => bytes,
            _ => self.stored.unpacked(at)?,
        };
        let first = self.stored.blocks[at].first;
        let ends = 4 * (self.stored.end_of(at) - first);
        // The ends were checked when the block was unpacked.
        let end = |doc: usize| u32_at(&bytes, 4 * (doc - first)).unwrap_or(0) as usize + ends;
        let range = if doc == first { ends..end(doc) } else { end(doc - 1)..end(doc) };
        let (_, bytes) = self.block.insert((at, bytes));
        Ok(&bytes[range])
    }
}

#[cfg(all(test, feature = "zstd"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(documents: &[Vec<u8>]) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.docs");
        let mut writer = StoredWriter::create(&path).expect("created");
        documents.iter().for_each(|document| writer.push(document).expect("pushed"));
        writer.finish().expect("finished").commit().expect("committed");
        std::fs::read(path).expect("read")
    }

    fn open(bytes: Vec<u8>) -> Result<Stored, IndexError> {
        Stored::from_bytes(Path::new("a.docs"), bytes.into())
    }

    /// Documents that are smaller and larger than a block, and empty ones, in any order of reading.
    #[test]
    fn documents_are_found_by_their_number() {
        let sizes = [0, 1, 100, BLOCK, 0, 0, 3 * BLOCK, 7, BLOCK - 4, 4, 0];
        let document = |(at, size): (usize, &usize)| (0..*size).map(|i| (i * at) as u8).collect();
        let documents: Vec<Vec<u8>> = sizes.iter().enumerate().map(document).collect();
        let stored = open(written(&documents)).expect("opened");
        assert!(stored.blocks.len() > 3);
        let mut reader = stored.reader();
        for step in [1, 3, 7] {
            for at in (0..documents.len()).map(|at| at * step % documents.len()) {
                assert_eq!(reader.get(at).expect("read"), documents[at], "{at}");
            }
        }
        assert_eq!(reader.get(documents.len()).expect("read"), b"");
        let empty = open(written(&[])).expect("opened");
        assert_eq!((empty.documents(), empty.blocks.len()), (0, 0));
        empty.verify().expect("whole");
    }

    proptest! {
        /// Every single byte matters: a change of any is noticed when the file is opened or verified.
        #[test]
        fn damage_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8u32) {
            let mut bytes = written(&[b"one".to_vec(), vec![7; 300], b"three".to_vec()]);
            let at = at.index(bytes.len());
            // The four bytes after the version have no meaning.
            prop_assume!(!(12..16).contains(&at));
            bytes[at] ^= 1 << bit;
            prop_assert!(open(bytes).and_then(|stored| stored.verify()).is_err(), "byte {}", at);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&KIND.magic[..], &1u32.to_le_bytes(), &bytes, KIND.magic].concat();
            if let Ok(stored) = open(bytes) {
                _ = stored.verify();
                _ = stored.reader().get(0);
            }
        }
    }
}
