//! Changes to an index: adding, replacing and deleting documents, commits and merges.
//!
//! Documents are collected into ranges, which are encoded on threads and appended to a segment. A
//! segment ends after a million documents or with a commit. A file that a reader may have opened is
//! never changed: deletions are written to new files of bits.
//!
//! The bytes of documents that the index stores go into a file beside their segment. The postings of
//! BM25 are made of these files, by the commit that makes a segment permanent.
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
use super::bm25_segment::{Source, TokenCounter};
use super::docs::MAX_DOCS;
use super::head::{Bm25Entry, HEAD, Head, MeanLength, SegmentEntry};
use super::range::{MAX_TERM, RangeBuilder};
use super::segment::{Segment, SegmentWriter};
use super::stored::{MAX_STORED, Stored, StoredWriter};
use super::weights::WeightFormat;
use super::{Index, IndexInfo};
use crate::IndexError;
use crate::bm25::Bm25Options;

/// The number of documents at which a segment ends. It limits memory, because the ids of a segment
/// are held in memory while it grows.
const SEGMENT_DOCS: u64 = 16 * MAX_DOCS as u64;
/// The number of small segments that are joined.
const MANY_SEGMENTS: usize = 8;
/// The maximum length of an id in bytes. It keeps the offsets of a range's ids within 32 bits.
const LONGEST_ID: usize = u16::MAX as usize;

/// Settings of a new index.
#[derive(Debug, Clone, Default)]
pub struct IndexOptions {
    /// The precision of the stored weights; 8 bits by default.
    pub weights: WeightFormat,
    /// The settings on which the vectors depend, null by default. They are stored with the index
    /// and returned by [`Index::settings`].
    pub settings: Value,
    /// Whether the index stores some bytes of each document ([`IndexWriter::put_stored`]); false by
    /// default. This needs the crate's feature `zstd`.
    pub store: bool,
    /// The parameters of BM25 if the index has its postings too, made of the stored documents, which
    /// it must have then; none by default. See [`IndexWriter::set_token_counter`].
    pub bm25: Option<Bm25Options>,
}

/// Options of a writer.
///
/// ```
/// use splade_index::{IndexOptions, IndexWriter, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index");
/// // A small machine: 64 MiB and one thread.
/// let small = WriterOptions { memory: 64 << 20, threads: Some(1) };
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), small)?;
/// writer.put("a", &SparseVector::new(vec![TermId(7)], vec![1.0])?)?;
/// assert_eq!(writer.commit()?.documents, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use splade_index::{Index, IndexOptions, IndexWriter, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index");
/// let vector = SparseVector::new(vec![TermId(7)], vec![1.0])?;
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// writer.put("a", &vector)?;
/// writer.commit()?;
/// drop(writer);
///
/// let mut writer = IndexWriter::open(&path, WriterOptions::default())?;
/// writer.put("b", &vector)?;
/// assert!(writer.delete("a"));
/// assert_eq!(Index::open(&path)?.info().documents, 1, "nothing has changed for readers yet");
/// writer.commit()?;
/// assert_eq!(Index::open(&path)?.ids().collect::<Vec<_>>(), ["b"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// The settings of BM25 for the next commit.
    bm25: Option<Bm25Entry>,
    token_counter: Option<TokenCounter>,
}

/// A complete segment, with the deletions since the last commit.
#[derive(Debug)]
struct OpenSegment {
    entry: SegmentEntry,
    segment: Segment,
    stored: Option<Stored>,
    ids: Bloom,
    deleted: Bits,
    /// Whether `deleted` differs from its file.
    changed: bool,
    /// The files under their temporary names, until a commit renames them.
    unnamed: Vec<NewFile>,
}

/// A segment that is being written.
#[derive(Debug)]
struct Growing {
    /// The final file name.
    file: String,
    writer: SegmentWriter,
    /// The documents that are stored, if the index stores them.
    stored: Option<StoredWriter>,
    /// The bytes of the stored documents of the next range.
    stored_bytes: usize,
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
    /// The maximum length of an id in bytes.
    pub const LONGEST_ID: usize = LONGEST_ID;

    /// Begins an index in a new or empty folder, or in one where an earlier writer began an index
    /// and was killed before its first commit. Readers can open it after the first commit.
    ///
    /// # Errors
    /// Returns an error if the folder contains an index or other files, if it is locked by another
    /// writer, or if it cannot be written, and if the index is to have BM25 without stored documents
    /// or to store documents without the feature `zstd`.
    pub fn create(
        dir: &Path,
        options: IndexOptions,
        how: WriterOptions,
    ) -> Result<Self, IndexError> {
        let path = || dir.to_path_buf();
        let IndexOptions { weights, settings, store, bm25 } = options;
        if bm25.is_some() && !store {
            return Err(IndexError::NothingForBm25 { path: path() });
        }
        check_can_store(store, dir)?;
        let folder = OutputFolder::open(dir, HEAD)?;
        if folder.is_marked() && Head::read(dir)?.is_committed() {
            return Err(IndexError::Exists { path: path() });
        }
        let bm25 = bm25.map(|Bm25Options { k1, b }| Bm25Entry { k1, b, mean: None });
        let head = Head::new(weights, settings, store, bm25);
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
    /// index is damaged or locked by another writer, or if it stores documents and the crate was built
    /// without the feature `zstd`.
    pub fn open(dir: &Path, how: WriterOptions) -> Result<Self, IndexError> {
        // The head is read before the lock is taken, so that a folder without an index stays
        // unchanged. It is read again afterwards, because another writer may have committed.
        Head::read(dir)?;
        let folder = OutputFolder::open(dir, HEAD)?;
        let head = Head::read_committed(dir)?;
        check_can_store(head.stores, dir)?;
        folder.remove_temporaries(is_file_of_index)?;
        let open = |entry: &SegmentEntry| {
            let deleted = entry.read_deleted(dir)?;
            let stored = entry.stored.as_ref().map(|file| dir.join(file));
            let paths = (&*dir.join(&entry.file), stored.as_deref());
            OpenSegment::open(paths, entry.clone(), deleted)
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
            bm25: head.bm25,
            head,
            segments,
            unlisted: Vec::new(),
            threads,
            range_memory,
            growing: None,
            token_counter: None,
        }
    }

    /// Returns whether the index stores documents.
    pub fn stores(&self) -> bool {
        self.head.stores
    }

    /// Returns whether the index has postings of BM25.
    pub fn has_bm25(&self) -> bool {
        self.head.bm25.is_some()
    }

    /// Sets what turns stored documents into tokens for BM25. A [`commit`](Self::commit) with new
    /// documents and a [`merge`](Self::merge) need it if the index has BM25.
    pub fn set_token_counter(&mut self, counter: TokenCounter) {
        self.token_counter = Some(counter);
    }

    /// Adds a document, or replaces the document with the same id. Searches return it after the
    /// next [`commit`](Self::commit).
    ///
    /// # Errors
    /// Returns an error if the id is longer than 65,535 bytes, if a term is not below 16,777,216,
    /// or if a segment cannot be written. In the last case all documents of this segment are lost,
    /// and the older documents that they would have replaced stay in the index.
    pub fn put(&mut self, id: &str, vector: &SparseVector) -> Result<(), IndexError> {
        self.put_stored(id, vector, &[])
    }

    /// Adds or replaces a document as [`put`](Self::put) does, and stores its bytes, which
    /// [`Index::stored`] returns.
    ///
    /// # Errors
    /// Returns the errors of `put`, and an error if there are bytes but the index does not store
    /// documents, or if there are more than 1 GiB.
    pub fn put_stored(
        &mut self,
        id: &str,
        vector: &SparseVector,
        document: &[u8],
    ) -> Result<(), IndexError> {
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
        if !self.head.stores && !document.is_empty() {
            return Err(refuse(
                "has bytes to store; the index does not store documents".to_owned(),
            ));
        }
        if document.len() > MAX_STORED {
            let len = document.len();
            return Err(refuse(format!("has {len} bytes to store; at most {MAX_STORED} fit")));
        }
        // The segment is created before anything changes, so that an error leaves no change.
        if self.growing.is_none() {
            let mut number = next_number(&self.segments);
            self.growing = Some(self.new_segment(&mut number)?);
        }
        let replaced = self.remove(id);
        let Some(growing) = &mut self.growing else { return Ok(()) };
        growing.ids.insert(id.to_owned(), Placed { doc: growing.documents as u32, replaced });
        let pushed = growing.push(id, vector, document);
        let is_full = growing.documents >= SEGMENT_DOCS;
        let ended = pushed.and_then(|()| match growing.is_full(self.range_memory) {
            true => growing.end_range(self.head.weights, self.threads),
            false => Ok(()),
        });
        if let Err(error) = ended {
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

    /// Makes all changes since the last commit permanent at once, with stored documents and postings
    /// of BM25. Every [`Index::open`] after it sees them.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written, or if the tokens of new documents are to be
    /// counted for BM25 and cannot be. The index then stays in the state of the last commit.
    pub fn commit(&mut self) -> Result<IndexInfo, IndexError> {
        self.check_is_sound()?;
        self.end_segment()?;
        self.complete_bm25()?;
        for segment in &mut self.segments {
            for file in std::mem::take(&mut segment.unnamed) {
                let name = file.path().file_name().unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                // If the rename fails, the segment is lost, and no later commit may list it.
                file.commit().inspect_err(|_| self.is_broken = true)?;
                self.unlisted.push(name);
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
        let head = self.head.next(segments, self.bm25);
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
    /// again; with weights of 8 bits this may add another error of half a step. The postings of BM25
    /// are made anew of the stored documents, with the mean length that these have now.
    ///
    /// # Errors
    /// Returns an error if a segment is damaged, a file cannot be written, or the index has BM25 and
    /// the writer has no token counter. The index then stays in the state of the last commit.
    pub fn merge(&mut self) -> Result<IndexInfo, IndexError> {
        self.check_is_sound()?;
        if self.bm25.is_some() && self.token_counter.is_none() {
            return Err(IndexError::NoTokenCounter { path: self.dir.clone() });
        }
        self.end_segment()?;
        let number = next_number(&self.segments);
        let old = std::mem::take(&mut self.segments);
        match self.merged(&old, number) {
            Ok(segments) => {
                self.segments = segments;
                if let Some(bm25) = &mut self.bm25 {
                    bm25.mean = None;
                }
            }
            Err(error) => {
                self.segments = old;
                return Err(error);
            }
        }
        self.commit()
    }

    /// Joins the newest segments where many of them are small, and commits; returns `None` where
    /// there is nothing to join. An index with many small commits so has few segments, and a document
    /// is rewritten only a number of times that grows with the logarithm of the number of documents.
    ///
    /// The newest segments are joined as soon as there are eight, each with at most twice the
    /// documents of all newer ones together. What [`merge`](Self::merge) says of weights of 8 bits
    /// is true here, too.
    ///
    /// # Errors
    /// Returns the same errors as [`merge`](Self::merge).
    pub fn join_recent(&mut self) -> Result<Option<IndexInfo>, IndexError> {
        self.check_is_sound()?;
        self.end_segment()?;
        let Some(first) = self.first_to_join() else { return Ok(None) };
        if self.bm25.is_some() && self.token_counter.is_none() {
            return Err(IndexError::NoTokenCounter { path: self.dir.clone() });
        }
        let number = next_number(&self.segments);
        let recent = self.segments.split_off(first);
        match self.merged(&recent, number) {
            Ok(joined) => self.segments.extend(joined),
            Err(error) => {
                self.segments.extend(recent);
                return Err(error);
            }
        }
        self.commit().map(Some)
    }

    /// Returns the place of the oldest of the newest segments that are to be joined.
    fn first_to_join(&self) -> Option<usize> {
        let (mut newer, mut first) = (0, self.segments.len());
        for (at, open) in self.segments.iter().enumerate().rev() {
            let documents = open.segment.docs().sum::<usize>() - open.deleted.count();
            if newer > 0 && documents > 2 * newer {
                break;
            }
            newer += documents;
            first = at;
        }
        (self.segments.len() - first >= MANY_SEGMENTS).then_some(first)
    }

    /// Writes the live documents of old segments to new segments, numbered from `number` on.
    fn merged(&self, old: &[OpenSegment], mut number: u32) -> Result<Vec<OpenSegment>, IndexError> {
        let mut segments = Vec::new();
        let mut growing: Option<Growing> = None;
        for OpenSegment { segment, stored, deleted, .. } in old {
            let mut stored = stored.as_ref().map(Stored::reader);
            let mut first = 0;
            for (at, range) in segment.iter().enumerate() {
                // The merged segment gets new checksums, so damage must be found now.
                segment.check_sum(at)?;
                let into = match &mut growing {
                    Some(growing) => growing,
                    none => none.insert(self.new_segment(&mut number)?),
                };
                let live: Vec<bool> =
                    (0..range.docs()).map(|doc| !deleted.get(first + doc)).collect();
                let mut bytes = |doc: usize| match &mut stored {
                    Some(stored) => stored.get(first + doc).map(<[u8]>::to_vec),
                    None => Ok(Vec::new()),
                };
                if range.docs() >= MAX_DOCS / 2 && live.iter().all(|live| *live) {
                    into.end_range(self.head.weights, self.threads)?;
                    into.finish_ranges(0)?;
                    into.writer.push(range.bytes(), range.docs())?;
                    for doc in 0..range.docs() {
                        into.store(&bytes(doc)?)?;
                    }
                    into.stored_bytes = 0;
                } else {
                    for (doc, vector) in range.vectors().enumerate().filter(|(doc, _)| live[*doc]) {
                        into.push(range.id(doc), &vector, &bytes(doc)?)?;
                        if into.is_full(self.range_memory) {
                            into.end_range(self.head.weights, self.threads)?;
                        }
                    }
                }
                first += range.docs();
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

    /// Begins a segment with the next free number from `number` on.
    fn new_segment(&self, number: &mut u32) -> Result<Growing, IndexError> {
        let file = free_name(&self.dir, number);
        Growing::create(&self.dir, file, self.head.weights, self.head.stores)
    }

    /// Makes the postings of BM25 of all segments that have none yet. If there is no mean length yet,
    /// it becomes that of all live documents.
    fn complete_bm25(&mut self) -> Result<(), IndexError> {
        let Some(bm25) = &mut self.bm25 else { return Ok(()) };
        if self.segments.iter().all(|segment| segment.entry.bm25.is_some()) {
            return Ok(());
        }
        let no_counter = || IndexError::NoTokenCounter { path: self.dir.clone() };
        let counter = self.token_counter.as_ref().ok_or_else(no_counter)?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        let pool = pool.map_err(|source| IndexError::Threads { source })?;
        if bm25.mean.is_none() {
            let mut mean = MeanLength { tokens: 0, documents: 0 };
            for open in &self.segments {
                if let Some(source) = open.source(&self.dir, counter, &pool) {
                    source.add_to(&mut mean)?;
                }
            }
            bm25.mean = (mean.documents > 0).then_some(mean);
        }
        for open in self.segments.iter_mut().filter(|open| open.entry.bm25.is_none()) {
            let file = bm25_name(&open.entry.file);
            if let Some(source) = open.source(&self.dir, counter, &pool) {
                let written = source.write(&self.dir.join(&file), bm25)?;
                open.unnamed.push(written);
                open.entry.bm25 = Some(file);
            }
        }
        Ok(())
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
    /// Opens a segment and its stored documents, and builds the Bloom filter of its ids.
    fn open(
        (path, stored): (&Path, Option<&Path>),
        entry: SegmentEntry,
        deleted: Bits,
    ) -> Result<Self, IndexError> {
        let segment = Segment::open(path)?;
        let stored = stored.map(Stored::open).transpose()?;
        let documents: usize = segment.docs().sum();
        let has_all = stored.as_ref().is_none_or(|stored| stored.documents() == documents);
        if documents as u64 != entry.documents || !has_all {
            return Err(IndexError::damaged(path, "document count differs from index.json"));
        }
        let ids = segment.iter().flat_map(|range| (0..range.docs()).map(move |doc| range.id(doc)));
        let ids = Bloom::of(ids, documents);
        Ok(Self { entry, segment, stored, ids, deleted, changed: false, unnamed: Vec::new() })
    }

    /// Returns what postings of BM25 are made of; none if the segment has no stored documents.
    fn source<'a>(
        &'a self,
        dir: &'a Path,
        counter: &'a TokenCounter,
        pool: &'a rayon::ThreadPool,
    ) -> Option<Source<'a>> {
        let Self { segment, stored, deleted, .. } = self;
        Some(Source { dir, segment, stored: stored.as_ref()?, deleted, counter, pool })
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
    /// Creates the temporary files of a new segment.
    fn create(
        dir: &Path,
        file: String,
        format: WeightFormat,
        stores: bool,
    ) -> Result<Self, IndexError> {
        let stored = || StoredWriter::create(&dir.join(stored_name(&file)));
        Ok(Self {
            writer: SegmentWriter::create(&dir.join(&file), format)?,
            stored: stores.then(stored).transpose()?,
            stored_bytes: 0,
            file,
            encoding: VecDeque::new(),
            builder: RangeBuilder::default(),
            ids: HashMap::new(),
            documents: 0,
            deleted: Bits::new(SEGMENT_DOCS as usize + MAX_DOCS),
        })
    }

    /// Adds a document.
    fn push(&mut self, id: &str, vector: &SparseVector, bytes: &[u8]) -> Result<(), IndexError> {
        self.builder.push(id, vector);
        self.store(bytes)
    }

    /// Counts a document whose id and vector are in a range, and stores its bytes.
    fn store(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        self.documents += 1;
        self.stored_bytes += bytes.len();
        self.stored.as_mut().map_or(Ok(()), |stored| stored.push(bytes))
    }

    /// Returns whether the current range must end. The number of the stored bytes bounds that of
    /// their tokens, and with it the memory for making the range's postings of BM25.
    fn is_full(&self, memory: usize) -> bool {
        self.builder.is_full(memory) || self.stored_bytes >= memory
    }

    /// Ends the current range and encodes it on a thread of its own.
    fn end_range(&mut self, format: WeightFormat, threads: usize) -> Result<(), IndexError> {
        self.stored_bytes = 0;
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
        let stored = self.stored.map(StoredWriter::finish).transpose()?;
        let entry = SegmentEntry {
            stored: stored.is_some().then(|| stored_name(&self.file)),
            file: self.file,
            documents: self.documents,
            bm25: None,
            deleted: None,
        };
        let deleted = Bits::new(self.documents as usize);
        let paths = (file.temporary_path(), stored.as_ref().map(NewFile::temporary_path));
        let mut segment = OpenSegment::open(paths, entry, deleted)?;
        segment.unnamed = std::iter::once(file).chain(stored).collect();
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
        if ![&name, &stored_name(&name), &bm25_name(&name)]
            .iter()
            .any(|name| dir.join(name).exists())
        {
            return name;
        }
    }
}

/// Returns the name of the file with the stored documents of a segment.
fn stored_name(segment: &str) -> String {
    segment.replace(".spl", ".docs")
}

/// Returns the name of the file with the postings of BM25 of a segment.
fn bm25_name(segment: &str) -> String {
    segment.replace(".spl", ".bm25")
}

/// Refuses to store documents if the crate was built without zstd.
fn check_can_store(store: bool, dir: &Path) -> Result<(), IndexError> {
    match store && cfg!(not(feature = "zstd")) {
        true => Err(IndexError::NoZstd { path: dir.to_path_buf() }),
        false => Ok(()),
    }
}

/// Returns whether a file name is one that a writer gives to a segment, to a file beside it or to
/// deleted documents.
fn is_file_of_index(name: &str) -> bool {
    let endings = [".spl", ".docs", ".bm25", ".deleted"];
    let stem = name.strip_prefix("segment-");
    let stem = stem.and_then(|stem| endings.iter().find_map(|end| stem.strip_suffix(end)));
    stem.is_some_and(|stem| stem.split('-').all(|number| number.parse::<u64>().is_ok()))
}
