//! An exact, compressed index of sparse vectors on disk.
//!
//! An index is a folder with the file `index.json` (`head.rs`), which lists the segments of the
//! last commit. A segment is an immutable file that is mapped into memory (`segment.rs`) and
//! consists of ranges of at most 65,535 documents (`range.rs`). A range has a postings list for
//! each term, with documents in Elias-Fano form (`docs.rs`, `decode.rs`) and weights of 8, 16 or 32
//! bits (`weights.rs`); they are searched without decoding a whole range first (`search.rs`,
//! `scan.rs`). The deleted documents of a segment are bits in a separate file (`bits.rs`).
//! `writer.rs` makes all changes.
//!
//! Beside a segment there may be a file of stored documents (`stored.rs`), and one of postings for
//! BM25 (`bm25_segment.rs`), which is searched as the segment is (`bm25_search.rs`). A commit lists
//! all files of a segment at once, so a document, its bytes and its postings appear together.
//!
//! The version of every file is 1, but 2 for `index.json` if the index stores documents; later
//! versions of the program go on reading them. Every file has a checksum: a segment has one per
//! range, stored documents have one per block, `index.json` has one of its text (unless an early
//! version wrote it), and the checksums of the files of deleted documents are in `index.json`.

mod bits;
mod bloom;
mod bytes;
mod frame;
mod mapped;

mod decode;
mod docs;
mod weights;

mod range;
mod segment;
mod stored;

mod head;

mod bm25_segment;

mod writer;

mod scan;
mod search;

mod bm25_search;

mod parts;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde_json::Value;
use splade_sparse::{SparseVector, TermId};

use self::bits::Bits;
use self::head::{Head, SegmentEntry};
use self::range::Range;
use self::search::{RangeSearch, Scored, Scratch, Top};
use self::segment::Segment;
use self::stored::{Stored, StoredReader};
use crate::IndexError;
use crate::bm25::Bm25Options;

pub use bm25_search::Bm25Search;
pub use bm25_segment::TokenCounter;
pub use parts::{IndexParts, Missing};
pub use weights::WeightFormat;
pub use writer::{IndexOptions, IndexWriter, WriterOptions};

/// The size and state of an index.
///
/// ```
/// use splade_index::{IndexOptions, IndexWriter, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// let vector = SparseVector::new(vec![TermId(7), TermId(9)], vec![2.0, 1.0])?;
/// for id in ["a", "b"] {
///     writer.put(id, &vector)?;
/// }
/// writer.commit()?;
/// writer.delete("a");
/// let info = writer.commit()?;
/// assert_eq!((info.documents, info.deleted, info.postings), (1, 1, 4));
/// // A merge frees the space of documents that were deleted.
/// assert_eq!(writer.merge()?.deleted, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IndexInfo {
    /// The number of live documents, which searches can return.
    pub documents: u64,
    /// The number of documents that were deleted or replaced but take space until a merge.
    pub deleted: u64,
    /// The number of postings of all documents, deleted ones included.
    pub postings: u64,
    /// The size of all segments in bytes.
    pub bytes: u64,
    /// The precision of the stored weights.
    pub weights: WeightFormat,
    /// The number of commits.
    pub generation: u64,
    /// The number of segments.
    pub segments: usize,
    /// The size of the stored documents in bytes as they are packed, those of deleted documents
    /// included; `None` if the index does not store documents.
    pub stored_bytes: Option<u64>,
    /// The settings and size of BM25, if the index has its postings.
    pub bm25: Option<Bm25Info>,
}

impl IndexInfo {
    /// Returns the size in bytes of all segments, stored documents and postings of BM25.
    pub fn all_bytes(&self) -> u64 {
        self.bytes + self.stored_bytes.unwrap_or(0) + self.bm25.map_or(0, |bm25| bm25.bytes)
    }
}

/// The settings and the size of the postings of BM25 in an index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25Info {
    /// The parameters.
    pub options: Bm25Options,
    /// The mean number of tokens of a document, to which lengths are compared, as of the first commit
    /// or the last merge; `None` if no document has been stored.
    pub mean_length: Option<f64>,
    /// The number of postings of all documents, deleted ones included.
    pub postings: u64,
    /// The size of the postings in bytes.
    pub bytes: u64,
}

/// An index that is open for searches, also from many threads at once. It keeps the state of the
/// commit that it opened; to see later commits, open the index again.
#[derive(Debug)]
pub struct Index {
    head: Head,
    segments: Vec<Opened>,
    ranges: Vec<RangeEntry>,
    /// The number of live documents with a term in the postings of BM25, for terms that were asked
    /// for.
    frequencies: Mutex<FxHashMap<TermId, u64>>,
    /// The buffers of earlier searches, for reuse.
    scratches: Mutex<Vec<Scratch>>,
}

/// A segment with the files beside it.
#[derive(Debug)]
struct Opened {
    vectors: Segment,
    stored: Option<Stored>,
    bm25: Option<Segment>,
    deleted: Bits,
}

/// The postings of an index that a search reads.
#[derive(Debug, Clone, Copy)]
enum Field {
    Vectors,
    Bm25,
}

/// The place of a range and its live documents.
#[derive(Debug)]
struct RangeEntry {
    /// The place of the segment in `Index::segments`.
    segment: usize,
    /// The place of the range in its segment.
    range: usize,
    /// The number of the range's first document, counted over all ranges.
    first: u64,
    /// The number of documents, deleted ones included.
    docs: usize,
    /// The live documents, or `None` if no document of the segment was deleted.
    live: Option<Bits>,
}

/// Options of a search.
///
/// ```
/// use splade_index::{Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// let vector = |term| SparseVector::new(vec![TermId(term), TermId(9)], vec![2.0, 1.0]);
/// writer.put("a", &vector(7)?)?;
/// writer.put("b", &vector(8)?)?;
/// writer.commit()?;
/// let index = Index::open(&path)?;
/// let options = SearchOptions { k: 1, ..SearchOptions::default() };
/// let hits = index.search(&vector(7)?, &options);
/// assert_eq!((hits.len(), hits[0].id.as_str()), (1, "a"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// The maximum number of hits; 10 by default.
    pub k: usize,
    /// The minimum score of a hit; no minimum by default.
    pub threshold: Option<f32>,
    /// The documents that may be returned, made by [`Index::filter`]; all by default.
    pub filter: Option<Filter>,
    /// Whether the search is exact, which is the default, or approximate.
    pub mode: SearchMode,
}

impl Default for SearchOptions {
    /// Returns the options of an exact search for 10 hits without a threshold or a filter.
    fn default() -> Self {
        Self { k: 10, threshold: None, filter: None, mode: SearchMode::Exact }
    }
}

/// The choice between an exact and an approximate search.
///
/// ```
/// use splade_index::{Index, IndexOptions, IndexWriter, SearchMode, SearchOptions, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// let vector = |term| SparseVector::new(vec![TermId(term), TermId(9)], vec![2.0, 1.0]);
/// writer.put("a", &vector(7)?)?;
/// writer.put("b", &vector(8)?)?;
/// writer.commit()?;
/// let index = Index::open(&path)?;
/// let options = SearchOptions { mode: SearchMode::Exact, ..SearchOptions::default() };
/// assert_eq!(index.search(&vector(7)?, &options).len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum SearchMode {
    /// Returns exactly the hits, in bits and order, that scoring every document would give.
    #[default]
    Exact,
    /// Discards documents earlier if they are unlikely to be among the best, and is faster for it.
    /// The scores of the returned hits are exact.
    Approximate {
        /// The target for the share of the true hits that is found, on average over queries, from
        /// 0 to 1. Targets up to 0.95 and up to 0.99 each select a measured setting; a larger
        /// target makes the search exact.
        recall: f32,
    },
}

/// A set of documents of one opened index.
///
/// ```
/// use splade_index::{Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// let vector = |term| SparseVector::new(vec![TermId(term), TermId(9)], vec![2.0, 1.0]);
/// writer.put("a", &vector(7)?)?;
/// writer.put("b", &vector(8)?)?;
/// writer.commit()?;
/// let index = Index::open(&path)?;
/// let (filter, missing) = index.filter(["b", "c"]);
/// assert_eq!(missing, 1);
/// let options = SearchOptions { filter: Some(filter), ..SearchOptions::default() };
/// assert_eq!(index.search(&vector(7)?, &options)[0].id, "b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The documents of each range, in the order of the ranges.
    ranges: Vec<Bits>,
}

/// A document that a search returned.
///
/// ```
/// use splade_index::{Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// let vector = |term| SparseVector::new(vec![TermId(term), TermId(9)], vec![2.0, 1.0]);
/// writer.put("a", &vector(7)?)?;
/// writer.put("b", &vector(8)?)?;
/// writer.commit()?;
/// let index = Index::open(&path)?;
/// let hits = index.search(&vector(8)?, &SearchOptions::default());
/// assert_eq!((hits[0].id.as_str(), hits[0].score), ("b", 5.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The id of the document.
    pub id: String,
    /// The dot product of the query and the stored weights, summed in f64 and rounded once.
    pub score: f32,
}

/// The contribution of one term to the score of a document.
///
/// ```
/// use splade_index::{Index, IndexOptions, IndexWriter, SearchOptions, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// let vector = |term| SparseVector::new(vec![TermId(term), TermId(9)], vec![2.0, 1.0]);
/// writer.put("a", &vector(7)?)?;
/// writer.put("b", &vector(8)?)?;
/// writer.commit()?;
/// let index = Index::open(&path)?;
/// let shares = index.explain(&vector(7)?, "a").expect("a document");
/// assert_eq!((shares[0].term, shares[0].score), (TermId(7), 4.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The id of the term.
    pub term: TermId,
    /// The weight of the term in the query.
    pub query_weight: f32,
    /// The stored weight of the term in the document.
    pub document_weight: f32,
    /// The product of both weights. The shares of a document add up to its score, except for the
    /// rounding to f32.
    pub score: f32,
}

/// The amount of data that [`verify`] checked without finding damage.
///
/// ```
/// use splade_index::{IndexOptions, IndexWriter, WriterOptions, verify};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// writer.put("a", &SparseVector::new(vec![TermId(7)], vec![1.0])?)?;
/// writer.commit()?;
/// let verified = verify(&path)?;
/// assert_eq!((verified.segments, verified.documents), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The number of segments.
    pub segments: usize,
    /// The size of all segments in bytes, with stored documents and postings of BM25.
    pub bytes: u64,
    /// The number of documents, deleted ones included.
    pub documents: u64,
}

/// The live documents of an index with their stored bytes, in the order in which they were added.
#[derive(Debug)]
pub struct StoredDocuments<'a> {
    index: &'a Index,
    /// The place of the next document: its range and its number in the range.
    next: (usize, usize),
    /// The place of the last segment, and its stored documents.
    reader: Option<(usize, StoredReader<'a>)>,
}

impl Iterator for StoredDocuments<'_> {
    type Item = Result<(String, Vec<u8>), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, doc) = self.next;
            let entry = self.index.ranges.get(at)?;
            if doc >= entry.docs {
                self.next = (at + 1, 0);
                continue;
            }
            self.next = (at, doc + 1);
            if entry.live.as_ref().is_some_and(|live| !live.get(doc)) {
                continue;
            }
            let id = self.index.range(entry, Field::Vectors)?.id(doc).to_owned();
            let Some(stored) = &self.index.segments[entry.segment].stored else {
                return Some(Ok((id, Vec::new())));
            };
            let reader = match &mut self.reader {
                Some((segment, reader)) if *segment == entry.segment => reader,
                last => &mut last.insert((entry.segment, stored.reader())).1,
            };
            let number = self.index.number_in_segment(at, doc);
            return Some(reader.get(number).map(|bytes| (id, bytes.to_vec())));
        }
    }
}

impl Index {
    /// Opens the index in a folder in the state of its last commit. The postings are not read, so
    /// opening takes milliseconds for any size of the index.
    ///
    /// # Errors
    /// Returns an error if the folder contains no index, or if the index is damaged.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        let mut head = Head::read_committed(dir)?;
        loop {
            match Self::open_head(dir, &head) {
                Ok(index) => return Ok(index),
                // A commit may have removed files since the head was read. Then there is a newer
                // head, which is tried next.
                Err(error) => match Head::read(dir)? {
                    newer if newer.generation != head.generation => head = newer,
                    _ => return Err(error),
                },
            }
        }
    }

    /// Opens an index whose files are in memory. `files` are `index.json` and the files that it
    /// lists, each with its file name. `name` takes the place of the folder in messages.
    ///
    /// # Errors
    /// Returns an error if a file is missing or damaged.
    pub fn from_memory<B: Into<Cow<'static, [u8]>>>(
        name: impl Into<PathBuf>,
        files: impl IntoIterator<Item = (String, B)>,
    ) -> Result<Self, IndexError> {
        let dir = name.into();
        let files = files.into_iter().map(|(file, bytes)| (dir.join(file), bytes.into()));
        let mut files: BTreeMap<PathBuf, Cow<'static, [u8]>> = files.collect();
        let mut take = |path: &Path| {
            files.remove(path).ok_or_else(|| IndexError::damaged(path, "there is no such file"))
        };
        let path = dir.join(head::HEAD);
        let text = String::from_utf8_lossy(&take(&path)?).into_owned();
        let head = Head::parse(&text, &path)?;
        if !head.is_committed() {
            return Err(IndexError::Unfinished { path: dir });
        }
        Self::open_by(&dir, &head, |entry, path| {
            let deleted = entry.deleted_by(&dir, |path| Ok(take(path)?.into_owned()))?;
            let beside = |file: &Option<String>| file.as_ref().map(|file| dir.join(file));
            let stored = beside(&entry.stored).map(|path| Stored::from_bytes(&path, take(&path)?));
            let stored = stored.transpose()?;
            let bm25 = beside(&entry.bm25).map(|path| Segment::from_bytes(&path, take(&path)?));
            let bm25 = bm25.transpose()?;
            Ok(Opened { vectors: Segment::from_bytes(path, take(path)?)?, stored, bm25, deleted })
        })
    }

    /// Opens the index that a head describes.
    fn open_head(dir: &Path, head: &Head) -> Result<Self, IndexError> {
        Self::open_by(dir, head, |entry, path| {
            let stored = entry.stored.as_ref().map(|file| Stored::open(&dir.join(file)));
            let bm25 = entry.bm25.as_ref().map(|file| Segment::open(&dir.join(file)));
            Ok(Opened {
                vectors: Segment::open(path)?,
                stored: stored.transpose()?,
                bm25: bm25.transpose()?,
                deleted: entry.read_deleted(dir)?,
            })
        })
    }

    /// Opens the index that a head describes. `open` opens a segment and the files beside it.
    fn open_by(
        dir: &Path,
        head: &Head,
        mut open: impl FnMut(&SegmentEntry, &Path) -> Result<Opened, IndexError>,
    ) -> Result<Self, IndexError> {
        let (mut segments, mut ranges, mut first) = (Vec::new(), Vec::new(), 0);
        for entry in &head.segments {
            let path: PathBuf = dir.join(&entry.file);
            let opened = open(entry, &path)?;
            let mut before = 0;
            for (range, docs) in opened.vectors.docs().enumerate() {
                let live = (opened.deleted.count() > 0).then(|| {
                    let mut live = Bits::new(docs);
                    let is_live = |doc: &usize| !opened.deleted.get(before + doc);
                    (0..docs).filter(is_live).for_each(|doc| live.set(doc));
                    live
                });
                ranges.push(RangeEntry { segment: segments.len(), range, first, docs, live });
                before += docs;
                first += docs as u64;
            }
            if before as u64 != entry.documents {
                return Err(IndexError::damaged(&path, "document count differs from index.json"));
            }
            let Opened { vectors, stored, bm25, .. } = &opened;
            if head.stores && stored.as_ref().map(Stored::documents) != Some(before) {
                let message = "the stored documents are not those of the segment";
                return Err(IndexError::damaged(&path, message));
            }
            if head.bm25.is_some() && !bm25.as_ref().is_some_and(|b| b.docs().eq(vectors.docs())) {
                let message = "the postings of BM25 are not those of the segment's documents";
                return Err(IndexError::damaged(&path, message));
            }
            segments.push(opened);
        }
        let (head, frequencies, scratches) = (head.clone(), Mutex::default(), Mutex::default());
        Ok(Self { head, segments, ranges, frequencies, scratches })
    }

    /// Returns the size and state of the index.
    pub fn info(&self) -> IndexInfo {
        let all: u64 = self.head.segments.iter().map(|segment| segment.documents).sum();
        let deleted = self.head.segments.iter().filter_map(|segment| segment.deleted.as_ref());
        let deleted = deleted.map(|deleted| deleted.documents).sum();
        IndexInfo {
            documents: all - deleted,
            deleted,
            postings: self.segments.iter().map(|segment| postings(&segment.vectors)).sum(),
            bytes: self.segments.iter().map(|segment| segment.vectors.bytes()).sum(),
            weights: self.head.weights,
            generation: self.head.generation,
            segments: self.segments.len(),
            stored_bytes: self.head.stores.then(|| {
                self.segments.iter().filter_map(|s| s.stored.as_ref()).map(Stored::bytes).sum()
            }),
            bm25: self.bm25().map(|bm25| bm25.info()),
        }
    }

    /// Returns the postings of BM25 for searching, if the index has them.
    pub fn bm25(&self) -> Option<Bm25Search<'_>> {
        self.head.bm25.as_ref().map(|entry| Bm25Search::new(self, entry))
    }

    /// Returns whether the index stores documents.
    pub fn stores(&self) -> bool {
        self.head.stores
    }

    /// Returns the bytes that were stored with a document; empty ones if none were. The result is
    /// `None` if there is no document with this id.
    ///
    /// # Errors
    /// Returns an error if the stored bytes are damaged, or if they cannot be unpacked because the
    /// crate was built without the feature `zstd`.
    pub fn stored(&self, id: &str) -> Result<Option<Vec<u8>>, IndexError> {
        let Some((at, doc)) = self.find(id) else { return Ok(None) };
        match &self.segments[self.ranges[at].segment].stored {
            None => Ok(Some(Vec::new())),
            Some(stored) => {
                let bytes = stored.reader().get(self.number_in_segment(at, doc))?.to_vec();
                Ok(Some(bytes))
            }
        }
    }

    /// Returns all live documents, each with its id and its stored bytes.
    pub fn stored_documents(&self) -> StoredDocuments<'_> {
        StoredDocuments { index: self, next: (0, 0), reader: None }
    }

    /// Returns the number in its segment of a document of a range.
    fn number_in_segment(&self, at: usize, doc: usize) -> usize {
        let entry = &self.ranges[at];
        // The ranges of a segment follow one another.
        (entry.first - self.ranges[at - entry.range].first) as usize + doc
    }

    /// Compares all segments with their checksums, on all cores, which reads the whole index. A
    /// search itself does not compare them: a damaged segment gives wrong hits, but no other harm.
    ///
    /// # Errors
    /// Returns an error that names the first damaged segment.
    pub fn check_sums(&self) -> Result<(), IndexError> {
        let check = |range: &RangeEntry| {
            let Opened { vectors, bm25, .. } = &self.segments[range.segment];
            vectors.check_sum(range.range)?;
            bm25.as_ref().map_or(Ok(()), |bm25| bm25.check_sum(range.range))
        };
        self.ranges.par_iter().try_for_each(check)?;
        let stored = self.segments.par_iter().filter_map(|segment| segment.stored.as_ref());
        stored.try_for_each(Stored::check_sums)
    }

    /// Returns the settings that were stored as [`IndexOptions::settings`].
    pub fn settings(&self) -> &Value {
        &self.head.settings
    }

    /// Makes a filter of the documents with these ids. Also returns how many of the ids have no
    /// live document.
    pub fn filter<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> (Filter, usize) {
        let mut ranges: Vec<Bits> = self.ranges.iter().map(|range| Bits::new(range.docs)).collect();
        let mut missing = 0;
        for id in ids {
            match self.find(id) {
                Some((at, doc)) => ranges[at].set(doc),
                None => missing += 1,
            }
        }
        (Filter { ranges }, missing)
    }

    /// Returns the best documents for a query, the best first. Documents with equal scores are in
    /// the order in which they were added. Documents without a term of the query are never
    /// returned.
    pub fn search(&self, query: &SparseVector, options: &SearchOptions) -> Vec<Hit> {
        self.search_in(Field::Vectors, query, options)
    }

    /// Searches the postings of a field.
    fn search_in(&self, field: Field, query: &SparseVector, options: &SearchOptions) -> Vec<Hit> {
        self.best(field, query, options).into_iter().map(|scored| self.hit(scored)).collect()
    }

    /// Returns the numbers of the best documents by the postings of a field.
    fn best(&self, field: Field, query: &SparseVector, options: &SearchOptions) -> Vec<Scored> {
        let mut scratch =
            self.scratches.lock().ok().and_then(|mut all| all.pop()).unwrap_or_default();
        let mut top = Top::new(options.k, options.threshold);
        let belief = match options.mode {
            SearchMode::Exact => 1.0,
            SearchMode::Approximate { recall } => search::belief(recall),
        };
        for (at, entry) in self.ranges.iter().enumerate() {
            let Some(range) = self.range(entry, field) else { continue };
            let filter = options.filter.as_ref().map(|filter| &filter.ranges[at]);
            if filter.is_some_and(|filter| filter.count() == 0) {
                continue;
            }
            // A filter contains only live documents, so it replaces the live ones.
            let allowed = filter.or(entry.live.as_ref());
            let search = RangeSearch { range: &range, first: entry.first, allowed, belief };
            search.run(query, &mut top, &mut scratch);
        }
        if let Ok(mut scratches) = self.scratches.lock() {
            scratches.push(scratch);
        }
        top.into_sorted()
    }

    /// Runs [`search`](Self::search) for many queries on `threads` threads, by default one per
    /// core. The result has the hits of each query in the order of the queries.
    ///
    /// # Errors
    /// Returns an error if the threads cannot be started.
    pub fn search_all(
        &self,
        queries: &[SparseVector],
        options: &SearchOptions,
        threads: Option<usize>,
    ) -> Result<Vec<Vec<Hit>>, IndexError> {
        if cfg!(target_family = "wasm") {
            // WebAssembly has no threads here, so the queries run one after another.
            return Ok(queries.iter().map(|query| self.search(query, options)).collect());
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        let pool = pool.map_err(|source| IndexError::Threads { source })?;
        Ok(pool.install(|| queries.par_iter().map(|query| self.search(query, options)).collect()))
    }

    /// Returns the score of a document, or `None` if there is no document with this id. The score
    /// of a document without a term of the query is 0.
    pub fn score(&self, query: &SparseVector, id: &str) -> Option<f32> {
        // The fold starts at 0.0, because the empty sum of floats is -0.0.
        Some(self.explain(query, id)?.iter().fold(0.0, |sum, share| sum + share.score))
    }

    /// Returns the contribution of each term to the score of a document, or `None` if there is no
    /// document with this id. The largest share comes first; equal shares are in the order of
    /// terms.
    pub fn explain(&self, query: &SparseVector, id: &str) -> Option<Vec<Share>> {
        self.explain_in(Field::Vectors, query, id)
    }

    /// Explains a score by the postings of a field.
    fn explain_in(&self, field: Field, query: &SparseVector, id: &str) -> Option<Vec<Share>> {
        let (at, doc) = self.find(id)?;
        let range = self.range(&self.ranges[at], field)?;
        let share = |(term, query_weight): (TermId, f32)| {
            let list = range.list(term)?;
            let document_weight = list.weights.get(list.docs.find(doc)?);
            let score = query_weight * document_weight;
            Some(Share { term, query_weight, document_weight, score })
        };
        let mut shares: Vec<Share> = query.iter().filter_map(share).collect();
        shares.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.term.cmp(&b.term)));
        Some(shares)
    }

    /// Returns the vector of a document with its stored weights, or `None` if there is no document
    /// with this id.
    pub fn vector(&self, id: &str) -> Option<SparseVector> {
        let (at, doc) = self.find(id)?;
        Some(self.range(&self.ranges[at], Field::Vectors)?.vector(doc))
    }

    /// Returns the ids of all documents, in the order in which the documents are stored. The lists of
    /// postings are not read.
    ///
    /// ```
    /// use splade_index::{Index, IndexOptions, IndexWriter, WriterOptions};
    /// use splade_sparse::SparseVector;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("index");
    /// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
    /// writer.put("d1", &SparseVector::default())?;
    /// writer.commit()?;
    /// assert_eq!(Index::open(&path)?.ids().collect::<Vec<_>>(), ["d1"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ranges.iter().flat_map(|entry| {
            let is_live = |doc: &usize| entry.live.as_ref().is_none_or(|live| live.get(*doc));
            let range = self.range(entry, Field::Vectors);
            let docs = (0..entry.docs).filter(is_live);
            docs.filter_map(move |doc| Some(range.as_ref()?.id(doc)))
        })
    }

    /// Returns the range of an entry in the postings of a field.
    fn range(&self, entry: &RangeEntry, field: Field) -> Option<Range<'_>> {
        let Opened { vectors, bm25, .. } = &self.segments[entry.segment];
        match field {
            Field::Vectors => vectors.range(entry.range),
            Field::Bm25 => bm25.as_ref()?.range(entry.range),
        }
    }

    /// Returns the live document with an id, as the place of its range and its number in the range.
    fn find(&self, id: &str) -> Option<(usize, usize)> {
        self.ranges.iter().enumerate().rev().find_map(|(at, entry)| {
            let doc = self.range(entry, Field::Vectors)?.find(id)?;
            let is_live = entry.live.as_ref().is_none_or(|live| live.get(doc));
            is_live.then_some((at, doc))
        })
    }

    /// Makes a hit of a document by looking up its id.
    fn hit(&self, Scored { score, doc }: Scored) -> Hit {
        let (entry, doc) = self.place(doc);
        let range = self.range(entry, Field::Vectors);
        let id = range.map_or("", |range| range.id(doc));
        Hit { id: id.to_owned(), score }
    }

    /// Returns the range of a document by its number over all ranges, and its number in the range.
    fn place(&self, doc: u64) -> (&RangeEntry, usize) {
        let at = self.ranges.partition_point(|range| range.first <= doc) - 1;
        let entry = &self.ranges[at];
        (entry, (doc - entry.first) as usize)
    }
}

/// Returns whether a folder holds an index, complete or not.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// assert!(!splade_index::is_index(folder.path()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn is_index(dir: &Path) -> bool {
    dir.join(head::HEAD).is_file()
}

/// Reads and checks every byte of an index.
///
/// ```
/// use splade_index::{IndexOptions, IndexWriter, WriterOptions, verify};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index");
/// let mut writer = IndexWriter::create(&path, IndexOptions::default(), WriterOptions::default())?;
/// writer.put("a", &SparseVector::new(vec![TermId(7)], vec![1.0])?)?;
/// writer.commit()?;
/// assert_eq!(verify(&path)?.documents, 1);
///
/// std::fs::write(path.join("index.json"), "{}")?;
/// assert!(verify(&path).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the index cannot be opened, and otherwise for the first damage found.
pub fn verify(dir: &Path) -> Result<Verified, IndexError> {
    let index = Index::open(dir)?;
    for Opened { vectors, stored, bm25, .. } in &index.segments {
        vectors.verify()?;
        stored.as_ref().map_or(Ok(()), Stored::verify)?;
        bm25.as_ref().map_or(Ok(()), Segment::verify)?;
    }
    let info = index.info();
    let documents = info.documents + info.deleted;
    Ok(Verified { segments: info.segments, bytes: info.all_bytes(), documents })
}

/// Returns the number of postings of a segment.
fn postings(segment: &Segment) -> u64 {
    segment.iter().map(|range| range.postings()).sum()
}
