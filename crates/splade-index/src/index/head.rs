//! The head of an index, `index.json`: which files make up its last commit.
//!
//! It is replaced as a whole, and names files that are on the disk already: whatever happens, the
//! index is what the last head says. Files that a head names and the next one does not are removed
//! after the commit.
//!
//! The last line but one is `"checksum": "crc32:…"`, the CRC-32 of the text before the comma that
//! precedes it. Heads of earlier versions have none.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use splade_io::write_file;

use super::bits::Bits;
use super::weights::WeightFormat;
use crate::IndexError;

/// The head's name in the folder of an index.
pub(super) const HEAD: &str = "index.json";
const FORMAT: &str = "light-splade index";
const VERSION: u32 = 1;
/// What stands before the checksum.
const CHECKSUM: &str = ",\n  \"checksum\": \"crc32:";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    format: String,
    version: u32,
    /// Counts commits.
    pub(super) generation: u64,
    pub(super) weights: WeightFormat,
    /// What the vectors depend on, by whoever made the index.
    pub(super) settings: Value,
    /// In the order of their documents.
    pub(super) segments: Vec<SegmentEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SegmentEntry {
    /// Its name in the folder.
    pub(super) file: String,
    pub(super) documents: u64,
    /// Deleted documents: a file of bits, and how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<DeletedEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DeletedEntry {
    pub(super) file: String,
    pub(super) documents: u64,
    /// CRC-32 of the file.
    pub(super) crc: u32,
}

impl Head {
    pub(super) fn new(weights: WeightFormat, settings: Value) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            generation: 0,
            weights,
            settings,
            segments: Vec::new(),
        }
    }

    /// The head of the next commit, of these segments.
    pub(super) fn next(&self, segments: Vec<SegmentEntry>) -> Self {
        Self { generation: self.generation + 1, segments, ..self.clone() }
    }

    pub(super) fn read(dir: &Path) -> Result<Self, IndexError> {
        let path = dir.join(HEAD);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(IndexError::Missing { path: dir.to_path_buf() });
            }
            text => text.map_err(IndexError::io("read", &path))?,
        };
        Self::parse(&text, &path)
    }

    /// Reads the text of a head; `path` is for messages.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, IndexError> {
        let damaged = |message: String| IndexError::damaged(path, message);
        let head: Self = serde_json::from_str(text)
            .map_err(|error| damaged(format!("it is no head of an index: {error}")))?;
        if head.format != FORMAT || head.version != VERSION {
            return Err(damaged(format!(
                "format {:?} version {}; this program reads {FORMAT:?} version {VERSION}",
                head.format, head.version
            )));
        }
        if !is_whole(&text) {
            return Err(damaged("its checksum differs".to_owned()));
        }
        // A file name that leads out of the folder is no part of the index.
        if let Some(file) = head.files().find(|file| file.contains(['/', '\\'])) {
            return Err(damaged(format!("{file:?} is no file name")));
        }
        Ok(head)
    }

    /// Makes this head the index.
    pub(super) fn write(&self, dir: &Path) -> Result<(), IndexError> {
        let path = dir.join(HEAD);
        let text =
            serde_json::to_string_pretty(self).expect("a head has string keys only: this is a bug");
        let text = text.strip_suffix("\n}").expect("an object ends with a brace: this is a bug");
        let text = format!("{text}{CHECKSUM}{}", ending(text));
        Ok(write_file(&path, text.as_bytes())?)
    }

    /// All files of the index but the head.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flat_map(|segment| {
            let deleted = segment.deleted.as_ref().map(|deleted| deleted.file.as_str());
            std::iter::once(segment.file.as_str()).chain(deleted)
        })
    }
}

/// What stands behind [`CHECKSUM`] after a text.
fn ending(text: &str) -> String {
    format!("{:08x}\"\n}}\n", crc32fast::hash(text.as_bytes()))
}

/// Whether a head has its checksum, or none as of an earlier version.
fn is_whole(text: &str) -> bool {
    match text.rsplit_once(CHECKSUM) {
        Some((before, after)) => after == ending(before),
        // What is left of a damaged line is no sign of an earlier version.
        None => !text.contains("checksum") && !text.contains("crc32:"),
    }
}

impl SegmentEntry {
    /// The deleted documents of the segment.
    pub(super) fn read_deleted(&self, dir: &Path) -> Result<Bits, IndexError> {
        self.deleted_by(dir, |path| std::fs::read(path).map_err(IndexError::io("read", path)))
    }

    /// As [`read_deleted`](Self::read_deleted), by what reads a file.
    pub(super) fn deleted_by(
        &self,
        dir: &Path,
        read: impl FnOnce(&Path) -> Result<Vec<u8>, IndexError>,
    ) -> Result<Bits, IndexError> {
        let Some(entry) = &self.deleted else { return Ok(Bits::new(self.documents as usize)) };
        let path = dir.join(&entry.file);
        let bytes = read(&path)?;
        let bits = Bits::from_bytes(&bytes);
        match crc32fast::hash(&bytes) == entry.crc && bits.count() as u64 == entry.documents {
            true => Ok(bits),
            false => Err(IndexError::damaged(&path, "its checksum differs")),
        }
    }

    /// Writes the deleted documents of the segment to a file of that name.
    pub(super) fn write_deleted(
        &mut self,
        dir: &Path,
        file: String,
        bits: &Bits,
    ) -> Result<(), IndexError> {
        let (path, bytes) = (dir.join(&file), bits.to_bytes());
        write_file(&path, &bytes)?;
        let (documents, crc) = (bits.count() as u64, crc32fast::hash(&bytes));
        self.deleted = Some(DeletedEntry { file, documents, crc });
        Ok(())
    }
}
