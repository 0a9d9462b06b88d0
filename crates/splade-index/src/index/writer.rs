//! Changes to an index: documents added, replaced and deleted, commits and merges.
//!
//! Documents are collected into ranges, which are encoded on threads and appended to a segment; a
//! segment ends after a million documents or with a commit. Nothing that a reader has opened is
//! ever changed: deletions are files of bits beside the segments.
//!
//! Segments have temporary names until a commit. A commit removes the files that the commit before
//! named and it does not; a process that was killed leaves temporary files, which the next writer
//! removes. No other file of the folder is touched.

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

/// Documents after which a segment ends: their ids are held in memory until then.
const SEGMENT_DOCS: u64 = 16 * MAX_DOCS as u64;
/// The longest id in bytes, so that the ids of a range fit 32 bits.
const MAX_ID: usize = u16::MAX as usize;

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

/// The one writer of an index.
///
/// What is not committed is gone when it is dropped, and so is an index that it made and never
/// committed.
#[derive(Debug)]
pub struct IndexWriter {
    /// Locked as long as this is here; none once everything is done.
    folder: Option<OutputFolder>,
    dir: PathBuf,
    /// Whether this writer made the index and has not committed it.
    is_new: bool,
    /// Whether an error left changes half done.
    is_broken: bool,
    head: Head,
    /// Those of the head, and more that no commit has named yet.
    segments: Vec<OpenSegment>,
    /// Files that have their names although no commit has named them yet.
    unlisted: Vec<String>,
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
    /// The file under its temporary name, until a commit.
    unnamed: Option<NewFile>,
}

#[derive(Debug)]
struct Growing {
    file: String,
    writer: SegmentWriter,
    /// Ranges that are being encoded, in order, with the numbers of their documents.
    encoding: VecDeque<(JoinHandle<Vec<u8>>, usize)>,
    builder: RangeBuilder,
    ids: HashMap<String, Placed>,
    documents: u64,
    /// Documents that later ones have replaced, or that were deleted.
    deleted: Bits,
}

/// Where a document of a growing segment is.
#[derive(Debug, Clone, Copy)]
struct Placed {
    doc: u32,
    /// The document that it replaces, which is live again if the segment cannot be written.
    replaced: Option<OldDocument>,
}

/// A document by its segment's place among the segments and its own place in it.
#[derive(Debug, Clone, Copy)]
struct OldDocument {
    segment: usize,
    doc: usize,
}

impl IndexWriter {
    /// Begins an index in a new or empty folder; it has no documents, and is there at once.
    ///
    /// # Errors
    /// If there is an index already, the folder has other files, another process writes it, or it
    /// cannot be written.
    pub fn create(
        dir: &Path,
        options: IndexOptions,
        how: WriterOptions,
    ) -> Result<Self, IndexError> {
        let folder = OutputFolder::open(dir, HEAD)?;
        if folder.is_marked() {
            return Err(IndexError::Exists { path: dir.to_path_buf() });
        }
        let head = Head::new(options.weights, options.settings);
        if let Err(error) = head.write(dir) {
            // An empty folder is no trouble.
            _ = folder.discard();
            return Err(error);
        }
        // What a process has left that was killed before the index was there.
        folder.remove_temporaries(|_| false)?;
        let mut this = Self::new(folder, head, Vec::new(), how);
        this.is_new = true;
        Ok(this)
    }

    /// Opens an index for changes.
    ///
    /// # Errors
    /// If there is none, it is damaged, or another process writes it.
    pub fn open(dir: &Path, how: WriterOptions) -> Result<Self, IndexError> {
        // Before the lock, so that a folder without an index is left as it is; after it, so that
        // the head is the last writer's.
        Head::read(dir)?;
        let folder = OutputFolder::open(dir, HEAD)?;
        let head = Head::read(dir)?;
        folder.remove_temporaries(is_file_of_index)?;
        let open = |entry: &SegmentEntry| {
            let deleted = entry.read_deleted(dir)?;
            OpenSegment::open(&dir.join(&entry.file), entry.clone(), deleted)
        };
        let segments = head.segments.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self::new(folder, head, segments, how))
    }

    fn new(
        folder: OutputFolder,
        head: Head,
        segments: Vec<OpenSegment>,
        how: WriterOptions,
    ) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = how.threads.unwrap_or_else(cores).max(1);
        // One range is collected while each thread encodes one, and one waits.
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

    /// Adds a document, or replaces that of the same id. It is found after the next
    /// [`commit`](Self::commit).
    ///
    /// # Errors
    /// If the id is longer than 65,535 bytes, a term not below 16,777,216, or a segment cannot be
    /// written. Documents that were to be replaced by documents of that segment stay as they are.
    pub fn put(&mut self, id: &str, vector: &SparseVector) -> Result<(), IndexError> {
        self.check_is_sound()?;
        let refuse = |message: String| {
            let id = id.chars().take(40).collect();
            IndexError::Document { path: self.dir.clone(), id, message }
        };
        if id.len() > MAX_ID {
            return Err(refuse(format!("has {} bytes; at most {MAX_ID}", id.len())));
        }
        if let Some(term) = vector.terms().last().filter(|term| term.0 >= MAX_TERM) {
            return Err(refuse(format!("has the term {term}; terms are below {MAX_TERM}")));
        }
        // Nothing is changed before the segment is there.
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

    /// Deletes a document, with the next [`commit`](Self::commit); whether it was there.
    pub fn delete(&mut self, id: &str) -> bool {
        let grown = self.growing.as_mut().is_some_and(|growing| growing.remove(id).is_some());
        grown || self.delete_old(id).is_some()
    }

    /// Deletes a document that another is to replace: the one that is live again if the other
    /// cannot be written.
    fn remove(&mut self, id: &str) -> Option<OldDocument> {
        match self.growing.as_mut().and_then(|growing| growing.remove(id)) {
            Some(placed) => placed.replaced,
            None => self.delete_old(id),
        }
    }

    /// Deletes a document of the segments that are complete.
    fn delete_old(&mut self, id: &str) -> Option<OldDocument> {
        self.segments.iter_mut().enumerate().rev().find_map(|(segment, open)| {
            let doc = open.delete(id)?;
            Some(OldDocument { segment, doc })
        })
    }

    /// Takes deletions back.
    fn restore(&mut self, documents: Vec<OldDocument>) {
        for OldDocument { segment, doc } in documents {
            self.segments[segment].deleted.remove(doc);
        }
    }

    fn check_is_sound(&self) -> Result<(), IndexError> {
        match self.is_broken {
            true => Err(IndexError::Broken { path: self.dir.clone() }),
            false => Ok(()),
        }
    }

    /// Makes all changes lasting and visible to whoever opens the index from now on.
    ///
    /// # Errors
    /// If a file cannot be written; the index is then what it was.
    pub fn commit(&mut self) -> Result<IndexInfo, IndexError> {
        self.check_is_sound()?;
        self.end_segment()?;
        for segment in &mut self.segments {
            if let Some(file) = segment.unnamed.take() {
                // Of a segment that is lost no later commit may know.
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

    /// Gives up all changes since the last commit. Of an index that this writer made and that has
    /// no commit nothing is left, and its folder is removed if the writer made it and it is empty.
    /// Dropping the writer does the same.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn abandon(mut self) -> Result<(), IndexError> {
        self.give_up()
    }

    fn give_up(&mut self) -> Result<(), IndexError> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        self.growing = None;
        // A file that is mapped cannot be removed on every system.
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
            // With new checksums, damage would not be found any more.
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

    /// Ends the segment that is being written, if any.
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

    /// Removes what the commit before needed and the last one does not: readers that have it open
    /// keep it. That it fails harms nothing.
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
    fn open(path: &Path, entry: SegmentEntry, deleted: Bits) -> Result<Self, IndexError> {
        let segment = Segment::open(path)?;
        let documents: usize = segment.docs().sum();
        if documents as u64 != entry.documents {
            return Err(IndexError::damaged(path, "it has not the documents of index.json"));
        }
        let ids = segment.iter().flat_map(|range| (0..range.docs()).map(move |doc| range.id(doc)));
        let ids = Bloom::of(ids, documents);
        Ok(Self { entry, segment, ids, deleted, changed: false, unnamed: None })
    }

    /// Deletes a document; its place if it was there.
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

    /// Deletes a document; where it was, if it was there.
    fn remove(&mut self, id: &str) -> Option<Placed> {
        let placed = self.ids.remove(id)?;
        self.deleted.set(placed.doc as usize);
        Some(placed)
    }

    /// The documents of other segments that documents of this one replace.
    fn replaced(&self) -> Vec<OldDocument> {
        self.ids.values().filter_map(|placed| placed.replaced).collect()
    }

    /// The segment, under its temporary name; none if it has no documents.
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

/// One more than the largest number of a segment.
fn next_number(segments: &[OpenSegment]) -> u32 {
    let number = |segment: &OpenSegment| {
        let file = segment.entry.file.strip_prefix("segment-")?.strip_suffix(".spl")?;
        file.parse::<u32>().ok()
    };
    segments.iter().filter_map(number).max().map_or(1, |number| number + 1)
}

/// The name of a segment that no file of the folder has, from a number on, which is raised.
fn free_name(dir: &Path, number: &mut u32) -> String {
    loop {
        let name = format!("segment-{number:06}.spl");
        *number += 1;
        if !dir.join(&name).exists() {
            return name;
        }
    }
}

/// Whether a name is one that a writer gives to segments or deleted documents.
fn is_file_of_index(name: &str) -> bool {
    let stem = name.strip_prefix("segment-");
    let stem = stem.and_then(|s| s.strip_suffix(".spl").or_else(|| s.strip_suffix(".deleted")));
    stem.is_some_and(|stem| stem.split('-').all(|number| number.parse::<u64>().is_ok()))
}
