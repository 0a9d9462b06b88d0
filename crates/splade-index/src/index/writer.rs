//! Changes to an index: adding, replacing and deleting documents, commits and merges.
//!
//! Documents are collected into ranges, which are encoded on threads and appended to a segment. A
//! segment ends after a million documents or with a commit. A file that a reader may have opened is
//! never changed: deletions are written to new files of bits.
//!
//! Segments have temporary names until a commit. A commit removes the files that only the previous
//! commit lists. A process that was killed leaves temporary files, which the next writer removes.
//! No other file of the folder is touched.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde_json::Value;
use splade_io::{NewFile, OutputFolder};
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

/// The number of documents at which a segment ends. It limits memory, because the ids of a segment
/// are held in memory while it grows.
const SEGMENT_DOCS: u64 = 16 * MAX_DOCS as u64;
/// The maximum length of an id in bytes. It keeps the offsets of a range's ids within 32 bits.
pub const LONGEST_ID: usize = u16::MAX as usize;

/// Settings of a new index.
#[derive(Debug, Clone, Default)]
pub struct IndexOptions {
    /// The precision of the stored weights; 8 bits by default.
    pub weights: WeightFormat,
    /// The settings on which the vectors depend, null by default. They are stored with the index
    /// and returned by [`Index::settings`].
    pub settings: Value,
}

/// Options of a writer.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// The approximate memory in bytes for documents that are not yet written; 1 GiB by default.
    /// Values below 16 MiB have the effect of 16 MiB.
    pub memory: usize,
    /// The number of threads that encode ranges; by default one per core.
    pub threads: Option<usize>,
}

impl Default for WriterOptions {
    /// Returns 1 GiB of memory and one thread per core.
    fn default() -> Self {
        Self { memory: 1 << 30, threads: None }
    }
}

/// A writer, which makes changes to an index. An index has at most one writer at a time.
///
/// Dropping the writer discards all changes since the last commit, and a new index that was never
/// committed.
#[derive(Debug)]
pub struct IndexWriter {
    /// The locked folder of the index; `None` after the writer has been abandoned.
    folder: Option<OutputFolder>,
    dir: PathBuf,
    /// Whether this writer created the index and has not committed it.
    is_new: bool,
    /// Whether a failed commit left the segments in an inconsistent state.
    is_broken: bool,
    /// The head of the last commit.
    head: Head,
    /// The segments of the head, followed by those that no commit lists yet.
    segments: Vec<OpenSegment>,
    /// The files that have their final names although no commit lists them yet.
    unlisted: Vec<String>,
    threads: usize,
    /// The memory in bytes for one range that is collected or encoded.
    range_memory: usize,
    /// The segment that is being written, if any.
    growing: Option<Growing>,
}

/// A complete segment, with the deletions since the last commit.
#[derive(Debug)]
struct OpenSegment {
    entry: SegmentEntry,
    segment: Segment,
    ids: Bloom,
    deleted: Bits,
    /// Whether `deleted` differs from its file.
    changed: bool,
    /// The file under its temporary name, until a commit renames it.
    unnamed: Option<NewFile>,
}

/// A segment that is being written.
#[derive(Debug)]
struct Growing {
    /// The final file name.
    file: String,
    writer: SegmentWriter,
    /// The ranges that are being encoded, in order, each with its number of documents.
    encoding: VecDeque<(JoinHandle<Vec<u8>>, usize)>,
    /// The documents of the next range.
    builder: RangeBuilder,
    /// The live documents of this segment by their ids.
    ids: HashMap<String, Placed>,
    /// The number of documents, deleted ones included.
    documents: u64,
    /// The documents of this segment that were replaced or deleted.
    deleted: Bits,
}

/// The place of a document in a growing segment.
#[derive(Debug, Clone, Copy)]
struct Placed {
    /// The number of the document in the segment.
    doc: u32,
    /// The older document that this one replaces. It becomes live again if the growing segment
    /// cannot be written.
    replaced: Option<OldDocument>,
}

/// A document of a complete segment, by the place of the segment and its number in the segment.
#[derive(Debug, Clone, Copy)]
struct OldDocument {
    segment: usize,
    doc: usize,
}

impl IndexWriter {
    /// Begins an index in a new or empty folder, or in one where an earlier writer began an index
    /// and was killed before its first commit. Readers can open it after the first commit.
    ///
    /// # Errors
    /// Returns an error if the folder contains an index or other files, if it is locked by another
    /// writer, or if it cannot be written.
    pub fn create(
        dir: &Path,
        options: IndexOptions,
        how: WriterOptions,
    ) -> Result<Self, IndexError> {
        let folder = OutputFolder::open(dir, HEAD)?;
        if folder.is_marked() && Head::read(dir)?.is_committed() {
            return Err(IndexError::Exists { path: dir.to_path_buf() });
        }
        let head = Head::new(options.weights, options.settings);
        if let Err(error) = head.write(dir) {
            // The error of the head is returned. If the folder cannot be removed either, an empty
            // folder remains, which does no harm.
            _ = folder.discard();
            return Err(error);
        }
        // A process that was killed before its first commit may have left temporary files.
        folder.remove_temporaries(is_file_of_index)?;
        let mut this = Self::new(folder, head, Vec::new(), how);
        this.is_new = true;
        Ok(this)
    }

    /// Opens an existing index for changes.
    ///
    /// # Errors
    /// Returns an error if the folder contains no index or one that was never committed, or if the
    /// index is damaged or locked by another writer.
    pub fn open(dir: &Path, how: WriterOptions) -> Result<Self, IndexError> {
        // The head is read before the lock is taken, so that a folder without an index stays
        // unchanged. It is read again afterwards, because another writer may have committed.
        Head::read(dir)?;
        let folder = OutputFolder::open(dir, HEAD)?;
        let head = Head::read_committed(dir)?;
        folder.remove_temporaries(is_file_of_index)?;
        let open = |entry: &SegmentEntry| {
            let deleted = entry.read_deleted(dir)?;
            OpenSegment::open(&dir.join(&entry.file), entry.clone(), deleted)
        };
        let segments = head.segments.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self::new(folder, head, segments, how))
    }

    /// Makes the writer of a locked folder.
    fn new(
        folder: OutputFolder,
        head: Head,
        segments: Vec<OpenSegment>,
        how: WriterOptions,
    ) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = how.threads.unwrap_or_else(cores).max(1);
        // One range is collected, each thread encodes one, and one waits for a thread.
        let range_memory = how.memory.max(16 << 20) / (threads + 2);
        Self {
            dir: folder.path().to_path_buf(),
            folder: Some(folder),
            is_new: false,
            is_broken: false,
            head,
            segments,
            unlisted: Vec::new(),
            threads,
            range_memory,
            growing: None,
        }
    }

    /// Adds a document, or replaces the document with the same id. Searches return it after the
    /// next [`commit`](Self::commit).
    ///
    /// # Errors
    /// Returns an error if the id is longer than 65,535 bytes, if a term is not below 16,777,216,
    /// or if a segment cannot be written. In the last case all documents of this segment are lost,
    /// and the older documents that they would have replaced stay in the index.
    pub fn put(&mut self, id: &str, vector: &SparseVector) -> Result<(), IndexError> {
        self.check_is_sound()?;
        let refuse = |message: String| {
            let id = id.chars().take(40).collect();
            IndexError::Document { path: self.dir.clone(), id, message }
        };
        if id.len() > LONGEST_ID {
            return Err(refuse(format!(
                "has an id of {} bytes; at most {LONGEST_ID} fit",
                id.len()
            )));
        }
        if let Some(term) = vector.terms().last().filter(|term| term.0 >= MAX_TERM) {
            return Err(refuse(format!("has the term {term}; terms are below {MAX_TERM}")));
        }
        // The segment is created before anything changes, so that an error leaves no change.
        if self.growing.is_none() {
            let mut number = next_number(&self.segments);
            let file = free_name(&self.dir, &mut number);
            self.growing = Some(Growing::create(&self.dir, file, self.head.weights)?);
        }
        let replaced = self.remove(id);
        let Some(growing) = &mut self.growing else { return Ok(()) };
        growing.ids.insert(id.to_owned(), Placed { doc: growing.documents as u32, replaced });
        growing.builder.push(id, vector);
        growing.documents += 1;
        let is_full = growing.documents >= SEGMENT_DOCS;
        if growing.builder.is_full(self.range_memory)
            && let Err(error) = growing.end_range(self.head.weights, self.threads)
        {
            let replaced = self.growing.take().map(|growing| growing.replaced());
            self.restore(replaced.unwrap_or_default());
            return Err(error);
        }
        match is_full {
            true => self.end_segment(),
            false => Ok(()),
        }
    }

    /// Deletes a document, and returns whether there was one with this id. The deletion takes
    /// effect with the next [`commit`](Self::commit).
    pub fn delete(&mut self, id: &str) -> bool {
        let grown = self.growing.as_mut().is_some_and(|growing| growing.remove(id).is_some());
        grown || self.delete_old(id).is_some()
    }

    /// Deletes the document that a new one replaces. Returns the older document that becomes live
    /// again if the new one cannot be written.
    fn remove(&mut self, id: &str) -> Option<OldDocument> {
        match self.growing.as_mut().and_then(|growing| growing.remove(id)) {
            Some(placed) => placed.replaced,
            None => self.delete_old(id),
        }
    }

    /// Deletes a document of a complete segment, and returns its place if there was one.
    fn delete_old(&mut self, id: &str) -> Option<OldDocument> {
        self.segments.iter_mut().enumerate().rev().find_map(|(segment, open)| {
            let doc = open.delete(id)?;
            Some(OldDocument { segment, doc })
        })
    }

    /// Makes deleted documents live again.
    fn restore(&mut self, documents: Vec<OldDocument>) {
        for OldDocument { segment, doc } in documents {
            self.segments[segment].deleted.remove(doc);
        }
    }

    /// Returns an error if an earlier commit failed.
    fn check_is_sound(&self) -> Result<(), IndexError> {
        match self.is_broken {
            true => Err(IndexError::Broken { path: self.dir.clone() }),
            false => Ok(()),
        }
    }

    /// Makes all changes since the last commit permanent at once. Every [`Index::open`] after it
    /// sees them.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written. The index then stays in the state of the last
    /// commit.
    pub fn commit(&mut self) -> Result<IndexInfo, IndexError> {
        self.check_is_sound()?;
        self.end_segment()?;
        for segment in &mut self.segments {
            if let Some(file) = segment.unnamed.take() {
                // If the rename fails, the segment is lost, and no later commit may list it.
                file.commit().inspect_err(|_| self.is_broken = true)?;
                self.unlisted.push(segment.entry.file.clone());
            }
        }
        let generation = self.head.generation + 1;
        for segment in self.segments.iter_mut().filter(|segment| segment.changed) {
            let stem = segment.entry.file.trim_end_matches(".spl");
            let names = (generation..).map(|number| format!("{stem}-{number}.deleted"));
            let mut free = names.skip_while(|name| self.dir.join(name).exists());
            let file = free.next().unwrap_or_default();
            segment.entry.write_deleted(&self.dir, file.clone(), &segment.deleted)?;
            self.unlisted.push(file);
        }
        let segments = self.segments.iter().map(|segment| segment.entry.clone()).collect();
        let head = self.head.next(segments);
        head.write(&self.dir)?;
        self.is_new = false;
        self.segments.iter_mut().for_each(|segment| segment.changed = false);
        let before = std::mem::replace(&mut self.head, head);
        self.remove_old_files(&before);
        Index::open(&self.dir).map(|index| index.info())
    }

    /// Discards all changes since the last commit. If this writer created the index and has not
    /// committed it, all files of the index are removed, and the folder too if the writer created
    /// it and it is empty. Dropping the writer does the same without reporting errors.
    ///
    /// # Errors
    /// Returns an error if a file cannot be removed.
    pub fn abandon(mut self) -> Result<(), IndexError> {
        self.give_up()
    }

    /// Does the work of [`abandon`](Self::abandon) and of dropping. Later calls do nothing.
    fn give_up(&mut self) -> Result<(), IndexError> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        self.growing = None;
        // Some systems cannot remove a mapped file, so the segments are closed first.
        self.segments.clear();
        let mut files = std::mem::take(&mut self.unlisted);
        if self.is_new {
            files.push(HEAD.to_owned());
        }
        for path in files.iter().map(|file| self.dir.join(file)) {
            std::fs::remove_file(&path).map_err(IndexError::io("remove", &path))?;
        }
        match self.is_new {
            true => Ok(folder.discard()?),
            false => Ok(()),
        }
    }

    /// Writes all live documents to as few segments as possible, and commits.
    ///
    /// Ranges that are at least half full and have no deletions are copied. The others are encoded
    /// again; with weights of 8 bits this may add another error of half a step.
    ///
    /// # Errors
    /// Returns an error if a segment is damaged or a file cannot be written. The index then stays
    /// in the state of the last commit.
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

    /// Writes the live documents of old segments to new segments, numbered from `number` on.
    fn merged(&self, old: &[OpenSegment], mut number: u32) -> Result<Vec<OpenSegment>, IndexError> {
        let mut segments = Vec::new();
        let mut growing: Option<Growing> = None;
        for OpenSegment { segment, deleted, .. } in old {
            // The merged segment gets new checksums, so damage must be found now.
            segment.check_sums()?;
            let mut first = 0;
            for range in segment.iter() {
                let into = match &mut growing {
                    Some(growing) => growing,
                    none => {
                        let file = free_name(&self.dir, &mut number);
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
                    segments.extend(growing.finish(self.head.weights, self.threads)?);
                }
            }
        }
        if let Some(growing) = growing {
            segments.extend(growing.finish(self.head.weights, self.threads)?);
        }
        Ok(segments)
    }

    /// Completes the segment that is being written, if any. On an error, the documents that the
    /// segment replaced become live again.
    fn end_segment(&mut self) -> Result<(), IndexError> {
        let Some(growing) = self.growing.take() else { return Ok(()) };
        let replaced = growing.replaced();
        match growing.finish(self.head.weights, self.threads) {
            Ok(segment) => {
                self.segments.extend(segment);
                Ok(())
            }
            Err(error) => {
                self.restore(replaced);
                Err(error)
            }
        }
    }

    /// Removes the files that the previous commit needed and the last commit does not need. Readers
    /// that have them open can go on reading them. Errors are ignored, since a file that stays does
    /// no harm.
    fn remove_old_files(&mut self, before: &Head) {
        let unlisted = std::mem::take(&mut self.unlisted);
        for file in before.files().chain(unlisted.iter().map(String::as_str)) {
            if !self.head.files().any(|needed| needed == file) {
                _ = std::fs::remove_file(self.dir.join(file));
            }
        }
    }
}

impl Drop for IndexWriter {
    fn drop(&mut self) {
        _ = self.give_up();
    }
}

impl OpenSegment {
    /// Opens a segment and builds the Bloom filter of its ids.
    fn open(path: &Path, entry: SegmentEntry, deleted: Bits) -> Result<Self, IndexError> {
        let segment = Segment::open(path)?;
        let documents: usize = segment.docs().sum();
        if documents as u64 != entry.documents {
            return Err(IndexError::damaged(path, "document count differs from index.json"));
        }
        let ids = segment.iter().flat_map(|range| (0..range.docs()).map(move |doc| range.id(doc)));
        let ids = Bloom::of(ids, documents);
        Ok(Self { entry, segment, ids, deleted, changed: false, unnamed: None })
    }

    /// Deletes a document, and returns its number in the segment if the segment has a live one with
    /// this id.
    fn delete(&mut self, id: &str) -> Option<usize> {
        if !self.ids.may_have(id) {
            return None;
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
                return Some(first + doc);
            }
        }
        None
    }
}

impl Growing {
    /// Creates the temporary file of a new segment.
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

    /// Ends the current range and encodes it on a thread of its own.
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

    /// Writes encoded ranges in order until at most `left` ranges are still on threads.
    fn finish_ranges(&mut self, left: usize) -> Result<(), IndexError> {
        while self.encoding.len() > left
            && let Some((thread, docs)) = self.encoding.pop_front()
        {
            let bytes = thread.join().expect("encoding does not panic: this is a bug");
            self.writer.push(&bytes, docs)?;
        }
        Ok(())
    }

    /// Deletes a document, and returns its place if this segment has a live one with this id.
    fn remove(&mut self, id: &str) -> Option<Placed> {
        let placed = self.ids.remove(id)?;
        self.deleted.set(placed.doc as usize);
        Some(placed)
    }

    /// Returns the documents of other segments that live documents of this segment replace.
    fn replaced(&self) -> Vec<OldDocument> {
        self.ids.values().filter_map(|placed| placed.replaced).collect()
    }

    /// Completes the segment under its temporary name and opens it. Returns `None` if it has no
    /// documents.
    fn finish(
        mut self,
        format: WeightFormat,
        threads: usize,
    ) -> Result<Option<OpenSegment>, IndexError> {
        self.end_range(format, threads)?;
        self.finish_ranges(0)?;
        if self.documents == 0 {
            return Ok(None);
        }
        let file = self.writer.finish()?;
        let entry = SegmentEntry { file: self.file, documents: self.documents, deleted: None };
        let deleted = Bits::new(self.documents as usize);
        let mut segment = OpenSegment::open(file.temporary_path(), entry, deleted)?;
        segment.unnamed = Some(file);
        segment.changed = self.deleted.count() > 0;
        self.deleted.iter().for_each(|doc| segment.deleted.set(doc));
        Ok(Some(segment))
    }
}

/// Returns the number for the next segment: one more than the largest number of a segment, or 1.
fn next_number(segments: &[OpenSegment]) -> u32 {
    let number = |segment: &OpenSegment| {
        let file = segment.entry.file.strip_prefix("segment-")?.strip_suffix(".spl")?;
        file.parse::<u32>().ok()
    };
    segments.iter().filter_map(number).max().map_or(1, |number| number + 1)
}

/// Returns the first unused file name for a segment, trying numbers from `number` on. `number` is
/// then one more than the number in the name.
fn free_name(dir: &Path, number: &mut u32) -> String {
    loop {
        let name = format!("segment-{number:06}.spl");
        *number += 1;
        if !dir.join(&name).exists() {
            return name;
        }
    }
}

/// Returns whether a file name is one that a writer gives to a segment or to deleted documents.
fn is_file_of_index(name: &str) -> bool {
    let stem = name.strip_prefix("segment-");
    let stem = stem.and_then(|s| s.strip_suffix(".spl").or_else(|| s.strip_suffix(".deleted")));
    stem.is_some_and(|stem| stem.split('-').all(|number| number.parse::<u64>().is_ok()))
}
