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
//! The version of every file is 1, and later versions of the program go on reading it. Every file
//! has a checksum: a segment has one per range, `index.json` has one of its text (unless an early
//! version wrote it), and the checksums of the files of deleted documents are in `index.json`.

mod bits;
mod bloom;
mod bytes;

mod decode;
mod docs;
mod weights;

mod range;
mod segment;

mod head;
mod writer;

mod scan;
mod search;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rayon::prelude::*;
use serde_json::Value;
use splade_sparse::{SparseVector, TermId};

use self::bits::Bits;
use self::head::{Head, SegmentEntry};
use self::range::Range;
use self::search::{RangeSearch, Scored, Scratch, Top};
use self::segment::Segment;
use crate::IndexError;

pub use weights::WeightFormat;
pub use writer::{IndexOptions, IndexWriter, WriterOptions};

/// The size and state of an index.
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
}

/// An index that is open for searches, also from many threads at once. It keeps the state of the
/// commit that it opened; to see later commits, open the index again.
#[derive(Debug)]
pub struct Index {
    head: Head,
    segments: Vec<Segment>,
    ranges: Vec<RangeEntry>,
    /// The buffers of earlier searches, for reuse.
    scratches: Mutex<Vec<Scratch>>,
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
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The number of segments.
    pub segments: usize,
    /// The size of all segments in bytes.
    pub bytes: u64,
    /// The number of documents, deleted ones included.
    pub documents: u64,
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
            Ok((Segment::from_bytes(path, take(path)?)?, deleted))
        })
    }

    /// Opens the index that a head describes.
    fn open_head(dir: &Path, head: &Head) -> Result<Self, IndexError> {
        Self::open_by(dir, head, |entry, path| Ok((Segment::open(path)?, entry.read_deleted(dir)?)))
    }

    /// Opens the index that a head describes. `open` opens a segment and its deleted documents.
    fn open_by(
        dir: &Path,
        head: &Head,
        mut open: impl FnMut(&SegmentEntry, &Path) -> Result<(Segment, Bits), IndexError>,
    ) -> Result<Self, IndexError> {
        let (mut segments, mut ranges, mut first) = (Vec::new(), Vec::new(), 0);
        for entry in &head.segments {
            let path: PathBuf = dir.join(&entry.file);
            let (segment, deleted) = open(entry, &path)?;
            let mut before = 0;
            for (range, docs) in segment.docs().enumerate() {
                let live = (deleted.count() > 0).then(|| {
                    let mut live = Bits::new(docs);
                    let is_live = |doc: &usize| !deleted.get(before + doc);
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
            segments.push(segment);
        }
        Ok(Self { head: head.clone(), segments, ranges, scratches: Mutex::default() })
    }

    /// Returns the size and state of the index.
    pub fn info(&self) -> IndexInfo {
        let all: u64 = self.head.segments.iter().map(|segment| segment.documents).sum();
        let deleted = self.head.segments.iter().filter_map(|segment| segment.deleted.as_ref());
        let deleted = deleted.map(|deleted| deleted.documents).sum();
        IndexInfo {
            documents: all - deleted,
            deleted,
            postings: self.segments.iter().flat_map(Segment::iter).map(|r| r.postings()).sum(),
            bytes: self.segments.iter().map(Segment::bytes).sum(),
            weights: self.head.weights,
            generation: self.head.generation,
            segments: self.segments.len(),
        }
    }

    /// Compares all segments with their checksums, on all cores, which reads the whole index. A
    /// search itself does not compare them: a damaged segment gives wrong hits, but no other harm.
    ///
    /// # Errors
    /// Returns an error that names the first damaged segment.
    pub fn check_sums(&self) -> Result<(), IndexError> {
        let check = |range: &RangeEntry| self.segments[range.segment].check_sum(range.range);
        self.ranges.par_iter().try_for_each(check)
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
        let mut scratch =
            self.scratches.lock().ok().and_then(|mut all| all.pop()).unwrap_or_default();
        let mut top = Top::new(options.k, options.threshold);
        let belief = match options.mode {
            SearchMode::Exact => 1.0,
            SearchMode::Approximate { recall } => search::belief(recall),
        };
        for (at, entry) in self.ranges.iter().enumerate() {
            let Some(range) = self.range(entry) else { continue };
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
        top.into_sorted().into_iter().map(|scored| self.hit(scored)).collect()
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
        let (at, doc) = self.find(id)?;
        let range = self.range(&self.ranges[at])?;
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
        Some(self.range(&self.ranges[at])?.vector(doc))
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
            let range = self.range(entry);
            let docs = (0..entry.docs).filter(is_live);
            docs.filter_map(move |doc| Some(range.as_ref()?.id(doc)))
        })
    }

    /// Returns the range of an entry.
    fn range(&self, entry: &RangeEntry) -> Option<Range<'_>> {
        self.segments[entry.segment].range(entry.range)
    }

    /// Returns the live document with an id, as the place of its range and its number in the range.
    fn find(&self, id: &str) -> Option<(usize, usize)> {
        self.ranges.iter().enumerate().rev().find_map(|(at, entry)| {
            let doc = self.range(entry)?.find(id)?;
            let is_live = entry.live.as_ref().is_none_or(|live| live.get(doc));
            is_live.then_some((at, doc))
        })
    }

    /// Makes a hit of a document by looking up its id.
    fn hit(&self, Scored { score, doc }: Scored) -> Hit {
        let at = self.ranges.partition_point(|range| range.first <= doc) - 1;
        let entry = &self.ranges[at];
        let id = self.range(entry).map_or("", |range| range.id((doc - entry.first) as usize));
        Hit { id: id.to_owned(), score }
    }
}

/// Reads and checks every byte of an index.
///
/// # Errors
/// Returns an error if the index cannot be opened, and otherwise for the first damage found.
pub fn verify(dir: &Path) -> Result<Verified, IndexError> {
    let index = Index::open(dir)?;
    index.segments.iter().try_for_each(Segment::verify)?;
    let info = index.info();
    let documents = info.documents + info.deleted;
    Ok(Verified { segments: info.segments, bytes: info.bytes, documents })
}
