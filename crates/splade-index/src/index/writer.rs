//! Changes to an index: documents added, replaced and deleted, commits and merges.
//!
//! Documents are collected into ranges, which are encoded on threads and appended to a segment; a
//! segment ends after a million documents or with a commit. Nothing that a reader has opened is
//! ever changed: deletions are files of bits beside the segments.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde_json::Value;
use splade_sparse::SparseVector;

use super::bits::Bits;
use super::bloom::Bloom;
use super::docs::MAX_DOCS;
use super::head::{HEAD, Head, SegmentEntry};
use super::range::{MAX_TERM, RangeBuilder};
use super::segment::{Segment, SegmentWriter};
use super::weights::WeightFormat;
use super::{Index, IndexInfo};
use crate::IndexError;

/// Documents after which a segment ends: their ids are held in memory until then.
const SEGMENT_DOCS: u64 = 16 * MAX_DOCS as u64;
/// The longest id in bytes, so that the ids of a range fit 32 bits.
const MAX_ID: usize = u16::MAX as usize;
const LOCK: &str = "lock";

/// Settings of a new index.
#[derive(Debug, Clone, Default)]
pub struct IndexOptions {
    /// How weights are kept.
    pub weights: WeightFormat,
    /// Kept with the index and given back by [`Index::settings`]: what the vectors depend on.
    pub settings: Value,
}

/// How a writer works.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// Bytes that documents may take until they are written, about; at least 16 MB are taken.
    pub memory: usize,
    /// Threads that encode; all cores if none.
    pub threads: Option<usize>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { memory: 1 << 30, threads: None }
    }
}

/// The one writer of an index. What is not committed is gone with it.
#[derive(Debug)]
pub struct IndexWriter {
    dir: PathBuf,
    /// Locked as long as this is here.
    _lock: File,
    head: Head,
    /// Those of the head, and more that no commit has named yet.
    segments: Vec<OpenSegment>,
    threads: usize,
    /// Bytes of a range that is collected or encoded.
    range_memory: usize,
    /// The segment that is being written, if any.
    growing: Option<Growing>,
}

#[derive(Debug)]
struct OpenSegment {
    entry: SegmentEntry,
    segment: Segment,
    ids: Bloom,
    deleted: Bits,
    /// Whether `deleted` differs from its file.
    changed: bool,
}

#[derive(Debug)]
struct Growing {
    file: String,
    writer: SegmentWriter,
    /// Ranges that are being encoded, in order, with the numbers of their documents.
    encoding: VecDeque<(JoinHandle<Vec<u8>>, usize)>,
    builder: RangeBuilder,
    ids: HashMap<String, u32>,
    documents: u64,
    /// Documents that later ones have replaced, or that were deleted.
    deleted: Bits,
}

impl IndexWriter {
    /// Begins an index in a folder without one; it has no documents, and is there at once.
    ///
    /// # Errors
    /// If there is an index already, another writer, or the folder cannot be written.
    pub fn create(
        dir: &Path,
        options: IndexOptions,
        how: WriterOptions,
    ) -> Result<Self, IndexError> {
        std::fs::create_dir_all(dir).map_err(IndexError::io("create", dir))?;
        let lock = lock(dir)?;
        if dir.join(HEAD).exists() {
            let message = "there is an index already; add to it, or name another folder";
            return Err(IndexError::damaged(dir, message));
        }
        let head = Head::new(options.weights, options.settings);
        head.write(dir)?;
        Ok(Self::new(dir, lock, head, Vec::new(), how))
    }

    /// Opens an index for changes.
    ///
    /// # Errors
    /// If there is none, it is damaged, or has another writer.
    pub fn open(dir: &Path, how: WriterOptions) -> Result<Self, IndexError> {
        // Before the lock, so that a folder without an index is left as it is; after it, so that
        // the head is the last writer's.
        Head::read(dir)?;
        let lock = lock(dir)?;
        let head = Head::read(dir)?;
        let open = |entry: &SegmentEntry| OpenSegment::open(dir, entry.clone());
        let segments = head.segments.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self::new(dir, lock, head, segments, how))
    }

    fn new(
        dir: &Path,
        lock: File,
        head: Head,
        segments: Vec<OpenSegment>,
        how: WriterOptions,
    ) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = how.threads.unwrap_or_else(cores).max(1);
        // One range is collected while each thread encodes one, and one waits.
        let range_memory = how.memory.max(16 << 20) / (threads + 2);
        let (dir, growing) = (dir.to_path_buf(), None);
        Self { dir, _lock: lock, head, segments, threads, range_memory, growing }
    }

    /// Adds a document, or replaces that of the same id. It is found after the next
    /// [`commit`](Self::commit).
    ///
    /// # Errors
    /// If the id is longer than 65,535 bytes, a term not below 16,777,216, or a segment cannot be
    /// written.
    pub fn put(&mut self, id: &str, vector: &SparseVector) -> Result<(), IndexError> {
        if id.len() > MAX_ID {
            let start: String = id.chars().take(40).collect();
            let message = format!("the id {start:?}… has {} bytes; at most {MAX_ID}", id.len());
            return Err(IndexError::damaged(&self.dir, message));
        }
        if let Some(term) = vector.terms().last().filter(|term| term.0 >= MAX_TERM) {
            let message =
                format!("document {id:?} has the term {term}; terms are below {MAX_TERM}");
            return Err(IndexError::damaged(&self.dir, message));
        }
        self.delete(id);
        let growing = match &mut self.growing {
            Some(growing) => growing,
            none => {
                let file = format!("segment-{:06}.spl", next_number(&self.segments));
                none.insert(Growing::create(&self.dir, file, self.head.weights)?)
            }
        };
        growing.ids.insert(id.to_owned(), growing.documents as u32);
        growing.builder.push(id, vector);
        growing.documents += 1;
        if growing.builder.is_full(self.range_memory) {
            growing.end_range(self.head.weights, self.threads)?;
        }
        match growing.documents >= SEGMENT_DOCS {
            true => self.end_segment(),
            false => Ok(()),
        }
    }

    /// Deletes a document, with the next [`commit`](Self::commit); whether it was there.
    pub fn delete(&mut self, id: &str) -> bool {
        if let Some(growing) = &mut self.growing
            && let Some(doc) = growing.ids.remove(id)
        {
            growing.deleted.set(doc as usize);
            return true;
        }
        self.segments.iter_mut().rev().any(|segment| segment.delete(id))
    }

    /// Makes all changes lasting and visible to whoever opens the index from now on.
    ///
    /// # Errors
    /// If a file cannot be written; the index is then what it was.
    pub fn commit(&mut self) -> Result<IndexInfo, IndexError> {
        self.end_segment()?;
        let generation = self.head.generation + 1;
        for segment in self.segments.iter_mut().filter(|segment| segment.changed) {
            let stem = segment.entry.file.trim_end_matches(".spl");
            let file = format!("{stem}-{generation}.deleted");
            segment.entry.write_deleted(&self.dir, file, &segment.deleted)?;
        }
        let segments = self.segments.iter().map(|segment| segment.entry.clone()).collect();
        let head = self.head.next(segments);
        head.write(&self.dir)?;
        self.segments.iter_mut().for_each(|segment| segment.changed = false);
        self.head = head;
        self.remove_old_files();
        Index::open(&self.dir).map(|index| index.info())
    }

    /// Puts all documents into as few segments as possible, without the deleted ones, and commits.
    ///
    /// Ranges without deletions that are half full or more stay as they are. Others are encoded
    /// anew: with 8 bits their weights may be off by half a step more.
    ///
    /// # Errors
    /// If a file cannot be written; the index is then what it was.
    pub fn merge(&mut self) -> Result<IndexInfo, IndexError> {
        self.end_segment()?;
        let number = next_number(&self.segments);
        let old = std::mem::take(&mut self.segments);
        match self.merged(&old, number) {
            Ok(segments) => self.segments = segments,
            Err(error) => {
                self.segments = old;
                return Err(error);
            }
        }
        self.commit()
    }

    /// New segments of the documents of old ones.
    fn merged(&self, old: &[OpenSegment], mut number: u32) -> Result<Vec<OpenSegment>, IndexError> {
        let mut segments = Vec::new();
        let mut growing: Option<Growing> = None;
        for OpenSegment { segment, deleted, .. } in old {
            let mut first = 0;
            for range in segment.iter() {
                let into = match &mut growing {
                    Some(growing) => growing,
                    none => {
                        let file = format!("segment-{number:06}.spl");
                        number += 1;
                        none.insert(Growing::create(&self.dir, file, self.head.weights)?)
                    }
                };
                let live: Vec<bool> =
                    (0..range.docs()).map(|doc| !deleted.get(first + doc)).collect();
                first += range.docs();
                if range.docs() >= MAX_DOCS / 2 && live.iter().all(|live| *live) {
                    into.end_range(self.head.weights, self.threads)?;
                    into.finish_ranges(0)?;
                    into.writer.push(range.bytes(), range.docs())?;
                    into.documents += range.docs() as u64;
                } else {
                    for (doc, vector) in range.vectors().enumerate().filter(|(doc, _)| live[*doc]) {
                        into.builder.push(range.id(doc), &vector);
                        into.documents += 1;
                        if into.builder.is_full(self.range_memory) {
                            into.end_range(self.head.weights, self.threads)?;
                        }
                    }
                }
                if into.documents >= SEGMENT_DOCS
                    && let Some(growing) = growing.take()
                {
                    segments.extend(growing.finish(&self.dir, self.head.weights, self.threads)?);
                }
            }
        }
        if let Some(growing) = growing {
            segments.extend(growing.finish(&self.dir, self.head.weights, self.threads)?);
        }
        Ok(segments)
    }

    /// Ends the segment that is being written, if any.
    fn end_segment(&mut self) -> Result<(), IndexError> {
        if let Some(growing) = self.growing.take() {
            let segment = growing.finish(&self.dir, self.head.weights, self.threads)?;
            self.segments.extend(segment);
        }
        Ok(())
    }

    /// Removes what no commit needs any more: readers that have it open keep it. That it fails
    /// harms nothing; the next commit tries again.
    fn remove_old_files(&self) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name.starts_with("segment-");
            if ours && !self.head.files().any(|file| file == name) {
                _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl OpenSegment {
    fn open(dir: &Path, entry: SegmentEntry) -> Result<Self, IndexError> {
        let path = dir.join(&entry.file);
        let segment = Segment::open(&path)?;
        let documents: usize = segment.docs().sum();
        if documents as u64 != entry.documents {
            return Err(IndexError::damaged(&path, "it has not the documents of index.json"));
        }
        let deleted = entry.read_deleted(dir)?;
        let ids = segment.iter().flat_map(|range| (0..range.docs()).map(move |doc| range.id(doc)));
        let ids = Bloom::of(ids, documents);
        Ok(Self { entry, segment, ids, deleted, changed: false })
    }

    fn delete(&mut self, id: &str) -> bool {
        if !self.ids.may_have(id) {
            return false;
        }
        let mut first: usize = self.segment.docs().sum();
        for at in (0..self.segment.docs().count()).rev() {
            let Some(range) = self.segment.range(at) else { continue };
            first -= range.docs();
            if let Some(doc) = range.find(id)
                && !self.deleted.get(first + doc)
            {
                self.deleted.set(first + doc);
                self.changed = true;
                return true;
            }
        }
        false
    }
}

impl Growing {
    fn create(dir: &Path, file: String, format: WeightFormat) -> Result<Self, IndexError> {
        Ok(Self {
            writer: SegmentWriter::create(&dir.join(&file), format)?,
            file,
            encoding: VecDeque::new(),
            builder: RangeBuilder::default(),
            ids: HashMap::new(),
            documents: 0,
            deleted: Bits::new(SEGMENT_DOCS as usize + MAX_DOCS),
        })
    }

    /// Gives the collected documents to a thread.
    fn end_range(&mut self, format: WeightFormat, threads: usize) -> Result<(), IndexError> {
        let builder = std::mem::take(&mut self.builder);
        let docs = builder.len();
        if docs == 0 {
            return Ok(());
        }
        self.finish_ranges(threads)?;
        self.encoding.push_back((std::thread::spawn(move || builder.build(format)), docs));
        Ok(())
    }

    /// Writes encoded ranges until at most `left` are on threads.
    fn finish_ranges(&mut self, left: usize) -> Result<(), IndexError> {
        while self.encoding.len() > left
            && let Some((thread, docs)) = self.encoding.pop_front()
        {
            let bytes = thread.join().expect("encoding does not panic: this is a bug");
            self.writer.push(&bytes, docs)?;
        }
        Ok(())
    }

    /// The segment; none if it has no documents.
    fn finish(
        mut self,
        dir: &Path,
        format: WeightFormat,
        threads: usize,
    ) -> Result<Option<OpenSegment>, IndexError> {
        self.end_range(format, threads)?;
        self.finish_ranges(0)?;
        if self.documents == 0 {
            return Ok(None);
        }
        self.writer.finish()?;
        let entry = SegmentEntry { file: self.file, documents: self.documents, deleted: None };
        let mut segment = OpenSegment::open(dir, entry)?;
        segment.changed = self.deleted.count() > 0;
        self.deleted.iter().for_each(|doc| segment.deleted.set(doc));
        Ok(Some(segment))
    }
}

/// One more than the largest number of a segment.
fn next_number(segments: &[OpenSegment]) -> u32 {
    let number = |segment: &OpenSegment| {
        let file = segment.entry.file.strip_prefix("segment-")?.strip_suffix(".spl")?;
        file.parse::<u32>().ok()
    };
    segments.iter().filter_map(number).max().map_or(1, |number| number + 1)
}

/// Locks the folder of an index for a writer.
fn lock(dir: &Path) -> Result<File, IndexError> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(IndexError::io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(IndexError::damaged(
            dir,
            "another writer has the index open; wait until it has ended",
        )),
        Err(std::fs::TryLockError::Error(source)) => Err(IndexError::io("lock", &path)(source)),
    }
}
