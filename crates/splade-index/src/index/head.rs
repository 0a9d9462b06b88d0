//! The head of an index, `index.json`, which lists the files of the last commit.
//!
//! A commit writes all other files first and then replaces the head by a rename, so the index
//! always has the state that the last complete head describes. After the commit, the files that
//! only the previous head lists are removed.
//!
//! The file has a checksum of its own ([`seal_json`]). Heads that earlier versions of the program
//! wrote have none.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use splade_io::{is_sealed, seal_json, write_file};

use super::bits::Bits;
use super::weights::WeightFormat;
use crate::IndexError;

/// The file name of the head.
pub(super) const HEAD: &str = "index.json";
/// The value of `format` in every head.
const FORMAT: &str = "light-splade index";
/// The version of the format of an index of vectors only.
const VERSION: u32 = 1;
/// The version of the format of an index that stores documents too. A program that does not know
/// them would lose them with its next change, so it must refuse the index.
const STORED_VERSION: u32 = 2;

/// The content of `index.json` without the checksum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    format: String,
    version: u32,
    /// The number of commits of the index.
    pub(super) generation: u64,
    pub(super) weights: WeightFormat,
    /// The settings on which the vectors depend, as the creator of the index stored them.
    pub(super) settings: Value,
    /// Whether the index stores documents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) stores: bool,
    /// The settings of BM25, if the index has its postings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bm25: Option<Bm25Entry>,
    /// The segments in the order of their documents.
    pub(super) segments: Vec<SegmentEntry>,
}

/// A segment and its deleted documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SegmentEntry {
    /// The file name in the folder of the index.
    pub(super) file: String,
    /// The number of documents, deleted ones included.
    pub(super) documents: u64,
    /// The file of stored documents, if the index stores them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stored: Option<String>,
    /// The file of the postings of BM25, if the index has them. It is a segment with the same
    /// documents in the same ranges, but without ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bm25: Option<String>,
    /// The file of deleted documents, if any document was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<DeletedEntry>,
}

/// The settings of BM25, on which the stored weights depend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Bm25Entry {
    pub(super) k1: f64,
    pub(super) b: f64,
    /// The length of documents to which lengths are compared; none before the first commit with a
    /// document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mean: Option<MeanLength>,
}

/// The mean length of documents, as two integers so that it is read exactly as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct MeanLength {
    /// The number of tokens of all documents together.
    pub(super) tokens: u64,
    pub(super) documents: u64,
}

impl MeanLength {
    /// Returns the mean number of tokens of a document.
    pub(super) fn get(&self) -> f64 {
        self.tokens as f64 / self.documents.max(1) as f64
    }
}

/// A file with a bit for every document of a segment; the bit is set if the document is deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DeletedEntry {
    /// The file name in the folder of the index.
    pub(super) file: String,
    /// The number of deleted documents.
    pub(super) documents: u64,
    /// The CRC-32 of the file.
    pub(super) crc: u32,
}

impl Head {
    /// Makes the head of an index without documents.
    pub(super) fn new(
        weights: WeightFormat,
        settings: Value,
        stores: bool,
        bm25: Option<Bm25Entry>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: if stores { STORED_VERSION } else { VERSION },
            generation: 0,
            weights,
            settings,
            stores,
            bm25,
            segments: Vec::new(),
        }
    }

    /// Makes the head of the next commit with these segments and settings of BM25.
    pub(super) fn next(&self, segments: Vec<SegmentEntry>, bm25: Option<Bm25Entry>) -> Self {
        Self { generation: self.generation + 1, segments, bm25, ..self.clone() }
    }

    /// Reads and checks the head of the index in a folder.
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

    /// Reads the head of an index for readers, and refuses an index that was never committed.
    pub(super) fn read_committed(dir: &Path) -> Result<Self, IndexError> {
        let head = Self::read(dir)?;
        match head.is_committed() {
            true => Ok(head),
            false => Err(IndexError::Unfinished { path: dir.to_path_buf() }),
        }
    }

    /// Returns whether the index has had a commit. Without one, the head only marks the folder as
    /// that of an index that is being built.
    pub(super) fn is_committed(&self) -> bool {
        self.generation > 0
    }

    /// Parses and checks the text of a head. `path` appears in messages only.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, IndexError> {
        let damaged = |message: String| IndexError::damaged(path, message);
        let head: Self = serde_json::from_str(text)
            .map_err(|error| damaged(format!("the file does not describe an index: {error}")))?;
        let version = if head.stores { STORED_VERSION } else { VERSION };
        if head.format != FORMAT || head.version != version {
            return Err(damaged(format!(
                "it has format {:?} version {}; this program reads {FORMAT:?} version {version}",
                head.format, head.version
            )));
        }
        if !is_sealed(text) {
            return Err(damaged(
                "its checksum differs: the file was changed or damaged".to_owned(),
            ));
        }
        // A name with a separator could lead out of the folder, so it is refused.
        if let Some(file) = head.files().find(|file| file.contains(['/', '\\'])) {
            return Err(damaged(format!("{file:?} is not a plain file name")));
        }
        Ok(head)
    }

    /// Replaces the head of the index in a folder by this one, which completes a commit.
    pub(super) fn write(&self, dir: &Path) -> Result<(), IndexError> {
        let path = dir.join(HEAD);
        let text =
            serde_json::to_string_pretty(self).expect("a head has string keys only: this is a bug");
        Ok(write_file(&path, seal_json(&text).as_bytes())?)
    }

    /// Returns the names of all files that the head lists.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flat_map(|segment| {
            let deleted = segment.deleted.as_ref().map(|deleted| deleted.file.as_str());
            let beside = [segment.stored.as_deref(), segment.bm25.as_deref(), deleted];
            std::iter::once(segment.file.as_str()).chain(beside.into_iter().flatten())
        })
    }
}

impl SegmentEntry {
    /// Reads the deleted documents of the segment.
    pub(super) fn read_deleted(&self, dir: &Path) -> Result<Bits, IndexError> {
        self.deleted_by(dir, |path| std::fs::read(path).map_err(IndexError::io("read", path)))
    }

    /// Does the same as [`read_deleted`](Self::read_deleted) with another function that reads a
    /// file.
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
            false => Err(IndexError::damaged(
                &path,
                "its checksum differs: the file was changed or damaged",
            )),
        }
    }

    /// Writes the deleted documents of the segment to `file` and names this file in the entry.
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
