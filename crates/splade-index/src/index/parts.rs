//! An index whose files are elsewhere, such as at a web server, and are read in parts: those that a
//! query needs.
//!
//! The files are as long in memory as they are elsewhere, but the parts that were not read yet are
//! zeros, which take no memory until something is written there. A search first lists the places
//! that it would read and that are missing. The caller reads them, hands them over and asks again,
//! until nothing is missing; so all waiting is up to the caller. One search reads, in this order,
//! the records of the query's terms, their lists, the offsets of the ids of the best documents, and
//! these ids. What was read stays.
//!
//! The result has the same bits as that of [`Index::search`] of the whole files. Checksums of ranges
//! are not compared, since no range is ever complete.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use splade_sparse::SparseVector;

use super::head::{DeletedEntry, HEAD, Head, SegmentEntry};
use super::range::HEADER;
use super::segment::Segment;
use super::{Field, Hit, Index, Opened, SearchOptions};
use crate::IndexError;

/// A part of a file that is missing.
///
/// ```
/// use splade_index::{IndexOptions, IndexParts, IndexWriter, SearchOptions, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// let vector = SparseVector::new(vec![TermId(7)], vec![2.0])?;
/// writer.put("a", &vector)?;
/// writer.commit()?;
///
/// let mut parts = IndexParts::new("index", &std::fs::read_to_string(path.join("index.json"))?)?;
/// let name = parts.segments().remove(0);
/// let file = std::fs::read(path.join(&name))?;
/// parts.add_end(&name, file.len(), &file[file.len() - 100..])?;
/// // A program on a web page asks its server for these bytes, and searches again.
/// let missing = parts.search(&vector, &SearchOptions::default())?.expect_err("nothing is there");
/// assert!(missing.iter().all(|part| part.file == name && part.bytes.end <= file.len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The name of the file in the folder of the index.
    pub file: String,
    /// The bytes of the file.
    pub bytes: Range<usize>,
}

/// An index that is read in parts.
///
/// ```
/// use splade_index::{Index, IndexOptions, IndexParts, IndexWriter, SearchOptions, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// let vector = SparseVector::new(vec![TermId(7), TermId(9)], vec![2.0, 1.0])?;
/// writer.put("a", &vector)?;
/// writer.commit()?;
///
/// let read = |name: &str| std::fs::read(path.join(name));
/// let mut parts = IndexParts::new("index", &String::from_utf8(read("index.json")?)?)?;
/// for name in parts.whole_files() {
///     parts.add_whole(&name, read(&name)?);
/// }
/// for name in parts.segments() {
///     let file = read(&name)?;
///     parts.add_end(&name, file.len(), &file[file.len().saturating_sub(100)..])?;
/// }
/// let hits = loop {
///     match parts.search(&vector, &SearchOptions::default())? {
///         Ok(hits) => break hits,
///         Err(missing) => {
///             for part in missing {
///                 let bytes = &read(&part.file)?[part.bytes.clone()];
///                 parts.add(&part, bytes)?;
///             }
///         }
///     }
/// };
/// assert_eq!(hits, Index::open(&path)?.search(&vector, &SearchOptions::default()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IndexParts {
    dir: PathBuf,
    head: Head,
    /// The files that are read as a whole.
    whole: BTreeMap<String, Vec<u8>>,
    /// The segments, in the order of the head.
    files: Vec<File>,
    /// The index; none until all bytes that opening it reads are there.
    index: Option<Index>,
}

/// A file of a segment, whose parts come in any order.
#[derive(Debug, Default)]
struct File {
    /// The bytes; empty before the first part is there and after the index was opened.
    bytes: Vec<u8>,
    /// The length of the file.
    size: usize,
    /// The parts that are there, as the end of each by its start. They neither overlap nor touch.
    present: BTreeMap<usize, usize>,
}

impl File {
    /// Notes that a part is there.
    fn add(&mut self, mut part: Range<usize>) {
        let touching: Vec<usize> = self
            .present
            .range(..=part.end)
            .filter(|(_, end)| **end >= part.start)
            .map(|(start, _)| *start)
            .collect();
        for start in touching {
            let end = self.present.remove(&start).unwrap_or(start);
            part = part.start.min(start)..part.end.max(end);
        }
        self.present.insert(part.start, part.end);
    }

    /// Returns whether a part is there.
    fn has(&self, part: &Range<usize>) -> bool {
        let before = self.present.range(..=part.start).next_back();
        part.is_empty() || before.is_some_and(|(_, end)| *end >= part.end)
    }

    /// Returns the bytes at the end of the file that are there.
    fn tail(&self) -> &[u8] {
        let start = self.present.iter().next_back().filter(|(_, end)| **end == self.size);
        &self.bytes[start.map_or(self.size, |(start, _)| *start)..]
    }
}

impl IndexParts {
    /// Begins with the text of `index.json`. `name` takes the place of the folder in messages.
    ///
    /// # Errors
    /// Returns an error if the text is damaged, or if the index was never committed.
    pub fn new(name: impl Into<PathBuf>, head: &str) -> Result<Self, IndexError> {
        let dir = name.into();
        let mut head = Head::parse(head, &dir.join(HEAD))?;
        if !head.is_committed() {
            return Err(IndexError::Unfinished { path: dir });
        }
        // Neither stored documents nor BM25 are read.
        (head.stores, head.bm25) = (false, None);
        let files = head.segments.iter().map(|_| File::default()).collect();
        Ok(Self { dir, head, whole: BTreeMap::new(), files, index: None })
    }

    /// Returns the names of the files that are read as a whole: the deleted documents.
    pub fn whole_files(&self) -> Vec<String> {
        let deleted = self.head.segments.iter().filter_map(|segment| segment.deleted.as_ref());
        deleted.map(|deleted| deleted.file.clone()).collect()
    }

    /// Returns the names of the segments, of which the end is read first.
    pub fn segments(&self) -> Vec<String> {
        self.head.segments.iter().map(|segment| segment.file.clone()).collect()
    }

    /// Adds a file of [`whole_files`](Self::whole_files).
    pub fn add_whole(&mut self, file: &str, bytes: Vec<u8>) {
        self.whole.insert(file.to_owned(), bytes);
    }

    /// Adds the end of a segment of `size` bytes.
    ///
    /// # Errors
    /// Returns an error if the index has no such segment, or if `end` is longer than the segment.
    pub fn add_end(&mut self, file: &str, size: usize, end: &[u8]) -> Result<(), IndexError> {
        let at = self.segment(file)?;
        let start = size.checked_sub(end.len());
        let start = start.ok_or_else(|| self.damaged(file, "its end is longer than the file"))?;
        if self.files[at].size == 0 {
            self.files[at] = File { bytes: vec![0; size], size, present: BTreeMap::new() };
        }
        self.add(&Missing { file: file.to_owned(), bytes: start..size }, end)
    }

    /// Adds a part of a segment.
    ///
    /// # Errors
    /// Returns an error if the index has no such segment, or if `bytes` are not those of the part.
    pub fn add(&mut self, part: &Missing, bytes: &[u8]) -> Result<(), IndexError> {
        let at = self.segment(&part.file)?;
        let place = part.bytes.clone();
        let file = &mut self.files[at];
        if bytes.len() != place.len() || place.end > file.size {
            return Err(self.damaged(&part.file, "a part of it has another length than asked for"));
        }
        match &mut self.index {
            Some(index) => index.segments[at].vectors.fill(place.start, bytes),
            None => file.bytes[place.clone()].copy_from_slice(bytes),
        }
        file.add(place);
        Ok(())
    }

    /// Searches as [`Index::search`] does, or returns the parts that are missing for it.
    ///
    /// # Errors
    /// Returns an error if the index is damaged, or if the end of a segment was never added.
    pub fn search(
        &mut self,
        query: &SparseVector,
        options: &SearchOptions,
    ) -> Result<Result<Vec<Hit>, Vec<Missing>>, IndexError> {
        let missing = self.open()?;
        let Some(index) = &self.index else { return Ok(Err(missing)) };
        let mut records = Vec::new();
        let mut lists = Vec::new();
        for entry in &index.ranges {
            let Some(range) = index.range(entry, Field::Vectors) else { continue };
            let start = index.segments[entry.segment].vectors.start(entry.range);
            let want = |list: &mut Vec<Missing>, place: Option<Range<usize>>| {
                let Some(place) = place else { return };
                let place = start + place.start..start + place.end;
                if !self.files[entry.segment].has(&place) {
                    list.push(self.missing(entry.segment, place));
                }
            };
            for term in query.terms() {
                let before = records.len();
                want(&mut records, range.record_at(*term));
                if records.len() == before {
                    want(&mut lists, range.list_at(*term));
                }
            }
        }
        // Where a record is missing, its list is not known yet. The others may come along.
        if !records.is_empty() || !lists.is_empty() {
            records.append(&mut lists);
            return Ok(Err(records));
        }
        let best = index.best(Field::Vectors, query, options);
        let mut ids = Vec::new();
        for scored in &best {
            let (entry, doc) = index.place(scored.doc);
            let Some(range) = index.range(entry, Field::Vectors) else { continue };
            let start = index.segments[entry.segment].vectors.start(entry.range);
            let file = &self.files[entry.segment];
            let here = |place: Range<usize>| start + place.start..start + place.end;
            let offsets = here(range.id_offsets_at(doc));
            let place = match file.has(&offsets) {
                true => here(range.id_at(doc)),
                false => offsets,
            };
            if !file.has(&place) {
                ids.push(self.missing(entry.segment, place));
            }
        }
        match ids.is_empty() {
            true => Ok(Ok(best.into_iter().map(|scored| index.hit(scored)).collect())),
            false => Ok(Err(ids)),
        }
    }

    /// Opens the index if everything is there for it, and returns what is missing otherwise.
    ///
    /// # Errors
    /// Returns an error if the index is damaged, or if the end of a segment was never added.
    pub fn open(&mut self) -> Result<Vec<Missing>, IndexError> {
        if self.index.is_some() {
            return Ok(Vec::new());
        }
        let mut missing = Vec::new();
        for (at, file) in self.files.iter().enumerate() {
            if file.size == 0 {
                let name = &self.head.segments[at].file;
                return Err(self.damaged(name, "its end was not read"));
            }
            let places = Segment::opening(file.size, file.tail());
            // The bits of the terms follow the header of a range; a search reads all of them.
            let words = places.iter().skip(2).filter(|place| file.has(place)).map(|place| {
                let word = |at| file.bytes.get(at..at + 4)?.first_chunk().copied();
                let count = word(place.start + HEADER - 4).map_or(0, u32::from_le_bytes);
                let end = place.end.saturating_add((count as usize).saturating_mul(12));
                place.end..end.min(file.size)
            });
            let places = places.iter().cloned().chain(words).filter(|place| !file.has(place));
            missing.extend(places.map(|place| self.missing(at, place)));
        }
        if missing.is_empty() {
            let (dir, whole, files) = (&self.dir, &mut self.whole, &mut self.files);
            let mut at = 0;
            self.index = Some(Index::open_by(dir, &self.head, |entry, path| {
                let bytes = std::mem::take(&mut files[at].bytes);
                at += 1;
                let deleted = entry.deleted_by(dir, |path| {
                    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    whole
                        .remove(name)
                        .ok_or_else(|| IndexError::damaged(path, "there is no such file"))
                })?;
                let vectors = Segment::from_bytes(path, bytes.into())?;
                Ok(Opened { vectors, stored: None, bm25: None, deleted })
            })?);
        }
        Ok(missing)
    }

    /// Returns the settings that were stored with the index.
    pub fn settings(&self) -> &serde_json::Value {
        &self.head.settings
    }

    /// Returns the number of live documents.
    pub fn documents(&self) -> u64 {
        let deleted = |deleted: &DeletedEntry| deleted.documents;
        let live = |s: &SegmentEntry| s.documents - s.deleted.as_ref().map_or(0, deleted);
        self.head.segments.iter().map(live).sum()
    }

    /// Returns the place of a segment by its file name.
    fn segment(&self, file: &str) -> Result<usize, IndexError> {
        let at = self.head.segments.iter().position(|segment| segment.file == file);
        at.ok_or_else(|| self.damaged(file, "the index has no such segment"))
    }

    fn missing(&self, segment: usize, bytes: Range<usize>) -> Missing {
        Missing { file: self.head.segments[segment].file.clone(), bytes }
    }

    fn damaged(&self, file: &str, message: &str) -> IndexError {
        IndexError::damaged(&self.dir.join(file), message)
    }
}
