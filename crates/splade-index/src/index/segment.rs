//! A segment: an immutable file of ranges, which is mapped into memory.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `SPLADEIX` |
//! | 4 | version, 1 |
//! | 4 | bytes per weight: 1, 2 or 4 |
//! | | the ranges (`range.rs`) one after another |
//! | 24 per range | its offset u64, its length in bytes u64, its documents u32, its CRC-32 u32 |
//! | 16 | number of ranges u32, CRC-32 of the table and of this number u32, `SPLADEIX` |
//!
//! Opening reads the header, the table at the end and the headers of the ranges.
//! [`Segment::verify`] reads everything.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use splade_io::NewFile;

use super::bytes::{u32_at, u64_at};
use super::frame::{ENTRY, HEADER, Kind};
use super::mapped::Bytes;
use super::range::{self, Place, Range};
use super::weights::WeightFormat;
use crate::IndexError;

/// What a segment is as a file.
const KIND: Kind = Kind {
    magic: b"SPLADEIX",
    version: 1,
    numbers: 1,
    missing: "the file is not a segment, or its end is missing",
    has: "the segment has",
    entries: "ranges",
};

/// A segment while it is written to a temporary file.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    path: PathBuf,
    file: NewFile,
    format: WeightFormat,
    /// The entries of the ranges written so far.
    table: Vec<u8>,
    /// The offset of the next range in the file.
    start: u64,
}

impl SegmentWriter {
    /// Creates the temporary file and writes the header. `path` is the final name.
    pub(super) fn create(path: &Path, format: WeightFormat) -> Result<Self, IndexError> {
        let mut file = NewFile::create_unlocked(path)?;
        let header = KIND.header(format.bytes() as u32);
        file.write_all(&header).map_err(IndexError::io("write", path))?;
        let (table, start) = (Vec::new(), HEADER as u64);
        Ok(Self { path: path.to_path_buf(), file, format, table, start })
    }

    /// Appends the encoded bytes of a range of `docs` documents.
    pub(super) fn push(&mut self, range: &[u8], docs: usize) -> Result<(), IndexError> {
        debug_assert!(Range::open(range, self.format).is_some_and(|range| range.docs() == docs));
        self.file.write_all(range).map_err(IndexError::io("write", &self.path))?;
        self.table.extend(self.start.to_le_bytes());
        self.table.extend((range.len() as u64).to_le_bytes());
        self.table.extend((docs as u32).to_le_bytes());
        self.table.extend(crc32fast::hash(range).to_le_bytes());
        self.start += range.len() as u64;
        Ok(())
    }

    /// Returns the number of ranges written so far.
    pub(super) fn ranges(&self) -> usize {
        self.table.len() / ENTRY
    }

    /// Writes the table and the footer. The file can then be read under its temporary name, and
    /// [`NewFile::commit`] renames it.
    pub(super) fn finish(self) -> Result<NewFile, IndexError> {
        let ranges = self.ranges() as u32;
        KIND.finish(self.file, &self.path, self.table, &[ranges])
    }
}

/// A segment that is open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    bytes: Bytes,
    format: WeightFormat,
    ranges: Vec<Entry>,
}

/// A range's entry in the table of its segment.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The offset of the range in the file.
    start: usize,
    /// The length of the range in bytes.
    bytes: usize,
    docs: usize,
    /// The CRC-32 of the range's bytes.
    crc: u32,
}

impl Segment {
    /// Maps a file and checks its header, its table and the headers of its ranges.
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        Self::of(path, Bytes::map(path)?)
    }

    /// Opens a segment in memory and checks it as [`open`](Self::open) does. `path` appears in
    /// messages only.
    pub(super) fn from_bytes(path: &Path, bytes: Cow<'static, [u8]>) -> Result<Self, IndexError> {
        Self::of(path, Bytes::Memory(bytes))
    }

    /// Checks the header, the table and the headers of the ranges.
    fn of(path: &Path, map: Bytes) -> Result<Self, IndexError> {
        let damaged = |message: &str| IndexError::damaged(path, message);
        let table = KIND.check(&map, path)?;
        let format = match u32_at(&map, 12).unwrap_or(0) {
            1 => WeightFormat::U8,
            2 => WeightFormat::F16,
            4 => WeightFormat::F32,
            other => return Err(damaged(&format!("weights of {other} bytes are not supported"))),
        };
        let entry = |bytes: &[u8]| {
            let start = usize::try_from(u64_at(bytes, 0)?).ok()?;
            let size = usize::try_from(u64_at(bytes, 8)?).ok()?;
            let fits = start.checked_add(size).is_some_and(|end| end <= table.start);
            let (docs, crc) = (u32_at(bytes, 16)? as usize, u32_at(bytes, 20)?);
            fits.then_some(Entry { start, bytes: size, docs, crc })
        };
        let ranges =
            map[table.start..table.end].chunks_exact(ENTRY).map(entry).collect::<Option<Vec<_>>>();
        let ranges = ranges.ok_or_else(|| damaged("a range lies outside the file"))?;
        let segment = Self { path: path.to_path_buf(), bytes: map, format, ranges };
        for at in 0..segment.ranges.len() {
            let range = segment.range(at);
            if range.is_none_or(|range| range.docs() != segment.ranges[at].docs) {
                return Err(damaged(&format!("range {at} is damaged")));
            }
        }
        Ok(segment)
    }

    /// Returns the places of the bytes that opening a segment of `size` bytes reads, as far as they
    /// can be told: those of the table by `tail`, which is the end of the file, and those of the
    /// headers of the ranges, if `tail` has the table.
    pub(super) fn opening(size: usize, tail: &[u8]) -> Vec<Place> {
        let Some(table) = KIND.table_of(size, tail) else { return Vec::new() };
        let mut places = vec![0..HEADER, table.start..size];
        if let Some(start) = table.start.checked_sub(size - tail.len()) {
            let starts = tail[start..].chunks_exact(ENTRY).take(table.len() / ENTRY);
            let starts = starts.filter_map(|entry| usize::try_from(u64_at(entry, 0)?).ok());
            let headers = starts.filter_map(|at| Some(at..at.checked_add(range::HEADER)?));
            places.extend(headers.filter(|place| place.end <= size));
        }
        places
    }

    /// Writes a part of a segment that was opened without it.
    pub(super) fn fill(&mut self, at: usize, part: &[u8]) {
        self.bytes.fill(at, part);
    }

    /// Returns the offset in the file of the range at a place.
    pub(super) fn start(&self, at: usize) -> usize {
        self.ranges[at].start
    }

    /// Returns the ranges in the order of their documents.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<'_>> {
        (0..self.ranges.len()).filter_map(|at| self.range(at))
    }

    /// Returns the range at a place, or `None` if there is no such range.
    pub(super) fn range(&self, at: usize) -> Option<Range<'_>> {
        let Entry { start, bytes, .. } = *self.ranges.get(at)?;
        Range::open(&self.bytes[start..start + bytes], self.format)
    }

    /// Returns the id of a document by its number in the segment; empty beyond the last.
    pub(super) fn id(&self, mut doc: usize) -> &str {
        for range in self.iter() {
            match doc.checked_sub(range.docs()) {
                None => return range.id(doc),
                Some(rest) => doc = rest,
            }
        }
        ""
    }

    /// Returns the number of documents of every range.
    pub(super) fn docs(&self) -> impl Iterator<Item = usize> + '_ {
        self.ranges.iter().map(|range| range.docs)
    }

    /// Returns the length of the file in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Compares the checksum of every range and checks its postings lists and ids.
    pub(super) fn verify(&self) -> Result<(), IndexError> {
        (0..self.ranges.len()).try_for_each(|at| self.check_sum(at))?;
        match self.iter().position(|range| !range.is_sound()) {
            None => Ok(()),
            Some(at) => {
                let message = format!("range {at} has damaged postings lists or ids");
                Err(IndexError::damaged(&self.path, message))
            }
        }
    }

    /// Compares the checksum of the range at a place.
    pub(super) fn check_sum(&self, at: usize) -> Result<(), IndexError> {
        let Entry { start, bytes, crc, .. } = self.ranges[at];
        match crc32fast::hash(&self.bytes[start..start + bytes]) == crc {
            true => Ok(()),
            false => {
                let message = format!("the checksum of range {at} differs");
                Err(IndexError::damaged(&self.path, message))
            }
        }
    }
}
