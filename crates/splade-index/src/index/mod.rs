//! An exact, compressed index of sparse vectors on disk.
//!
//! A folder with `index.json` (`head.rs`), which names the segments of the last commit: files that
//! are mapped and never change (`segment.rs`), made of ranges of at most 65,535 documents
//! (`range.rs`). A range has a postings list for each term: documents in Elias-Fano form (`docs.rs`,
//! `decode.rs`) and weights of 8, 16 or 32 bits (`weights.rs`), which are searched as they lie
//! (`search.rs`, `scan.rs`). Deleted documents are bits beside a segment (`bits.rs`). `writer.rs`
//! changes all this; the version of every file is 1, and readers of later versions go on reading it.
//! Every file has a checksum: segments one a range, `index.json` one of its text since it has a field
//! for it, and the bits of deleted documents one in `index.json`.

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

/// What is in an index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexInfo {
    /// Documents that can be found.
    pub documents: u64,
    /// Documents that were deleted or replaced but take room until a merge.
    pub deleted: u64,
    /// Postings of all documents, deleted ones included.
    pub postings: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// How weights are kept.
    pub weights: WeightFormat,
    /// Counts commits.
    pub generation: u64,
    /// Files of documents.
    pub segments: usize,
}

/// An index that is searched, by many threads at once. Later commits do not change it: open it anew.
#[derive(Debug)]
pub struct Index {
    head: Head,
    segments: Vec<Segment>,
    ranges: Vec<RangeEntry>,
    scratches: Mutex<Vec<Scratch>>,
}

/// Where a range is, and which documents of it count.
#[derive(Debug)]
struct RangeEntry {
    segment: usize,
    range: usize,
    /// The number of its first document.
    first: u64,
    docs: usize,
    /// None if no document was deleted.
    live: Option<Bits>,
}

/// How to search.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// At most so many hits.
    pub k: usize,
    /// Hits of at least this score only.
    pub threshold: Option<f32>,
    /// Documents of this set only ([`Index::filter`]).
    pub filter: Option<Filter>,
    /// Exact, or faster.
    pub mode: SearchMode,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { k: 10, threshold: None, filter: None, mode: SearchMode::Exact }
    }
}

/// Whether all of the best documents are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum SearchMode {
    /// What scoring every document gives, to the bit.
    #[default]
    Exact,
    /// Faster: documents that are unlikely to be among the best are given up earlier. Scores of the
    /// hits are exact.
    Approximate {
        /// The share of the true hits that is to be found at least, on average over queries.
        recall: f32,
    },
}

/// A set of documents of an index as it was opened.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// One a range.
    ranges: Vec<Bits>,
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// The dot product of the query and the weights as they are kept, added up in f64.
    pub score: f32,
}

/// What a term gives to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The term.
    pub term: TermId,
    /// Its weight in the query.
    pub query_weight: f32,
    /// Its weight in the document, as it is kept.
    pub document_weight: f32,
    /// Their product. The shares of a document add up to its score but for the rounding of f32.
    pub score: f32,
}

/// What [`verify`] has found whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Their documents, deleted ones included.
    pub documents: u64,
}

impl Index {
    /// Opens the last commit. Reads the ends of files only: it takes milliseconds at any size.
    ///
    /// # Errors
    /// If there is no index or it is damaged.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        let mut head = Head::read(dir)?;
        loop {
            match Self::open_head(dir, &head) {
                Ok(index) => return Ok(index),
                // A commit may have removed files since the head was read: then there is another.
                Err(error) => match Head::read(dir)? {
                    newer if newer.generation != head.generation => head = newer,
                    _ => return Err(error),
                },
            }
        }
    }

    /// Opens an index whose files are in memory, each with its name in the folder: `index.json` and
    /// what it names. `name` stands for the folder in messages.
    ///
    /// # Errors
    /// If a file is missing or damaged.
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
        Self::open_by(&dir, &head, |entry, path| {
            let deleted = entry.deleted_by(&dir, |path| Ok(take(path)?.into_owned()))?;
            Ok((Segment::from_bytes(path, take(path)?)?, deleted))
        })
    }

    fn open_head(dir: &Path, head: &Head) -> Result<Self, IndexError> {
        Self::open_by(dir, head, |entry, path| Ok((Segment::open(path)?, entry.read_deleted(dir)?)))
    }

    /// Opens the segments of a head by what opens one and its deleted documents.
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
                return Err(IndexError::damaged(&path, "it has not the documents of index.json"));
            }
            segments.push(segment);
        }
        Ok(Self { head: head.clone(), segments, ranges, scratches: Mutex::default() })
    }

    /// What is in it.
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

    /// What [`IndexOptions::settings`] was.
    pub fn settings(&self) -> &Value {
        &self.head.settings
    }

    /// The documents of some ids, and how many ids have none.
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

    /// The best documents of a query, best first, equal scores in the order in which the documents
    /// were added. Documents without a term of the query are not among them.
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
            // A filter has live documents only.
            let allowed = filter.or(entry.live.as_ref());
            let search = RangeSearch { range: &range, first: entry.first, allowed, belief };
            search.run(query, &mut top, &mut scratch);
        }
        if let Ok(mut scratches) = self.scratches.lock() {
            scratches.push(scratch);
        }
        top.into_sorted().into_iter().map(|scored| self.hit(scored)).collect()
    }

    /// [`search`](Self::search) for many queries on threads, all cores if none are given.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn search_all(
        &self,
        queries: &[SparseVector],
        options: &SearchOptions,
        threads: Option<usize>,
    ) -> Result<Vec<Vec<Hit>>, IndexError> {
        if cfg!(target_family = "wasm") {
            // There are no threads to start.
            return Ok(queries.iter().map(|query| self.search(query, options)).collect());
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        let pool = pool.map_err(|source| IndexError::Threads { source })?;
        Ok(pool.install(|| queries.par_iter().map(|query| self.search(query, options)).collect()))
    }

    /// The score of a document, 0 without a term of the query. None if there is no such document.
    pub fn score(&self, query: &SparseVector, id: &str) -> Option<f32> {
        // From 0, as an empty sum of floats is -0.
        Some(self.explain(query, id)?.iter().fold(0.0, |sum, share| sum + share.score))
    }

    /// What each term gives to the score of a document, the largest share first, equal ones by
    /// term. None if there is no such document.
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

    /// The vector of a document as it is kept.
    pub fn vector(&self, id: &str) -> Option<SparseVector> {
        let (at, doc) = self.find(id)?;
        Some(self.range(&self.ranges[at])?.vector(doc))
    }

    fn range(&self, entry: &RangeEntry) -> Option<Range<'_>> {
        self.segments[entry.segment].range(entry.range)
    }

    /// The range and the document of an id.
    fn find(&self, id: &str) -> Option<(usize, usize)> {
        self.ranges.iter().enumerate().rev().find_map(|(at, entry)| {
            let doc = self.range(entry)?.find(id)?;
            let is_live = entry.live.as_ref().is_none_or(|live| live.get(doc));
            is_live.then_some((at, doc))
        })
    }

    fn hit(&self, Scored { score, doc }: Scored) -> Hit {
        let at = self.ranges.partition_point(|range| range.first <= doc) - 1;
        let entry = &self.ranges[at];
        let id = self.range(entry).map_or("", |range| range.id((doc - entry.first) as usize));
        Hit { id: id.to_owned(), score }
    }
}

/// Reads every byte of an index and checks it.
///
/// # Errors
/// The first damage that is found.
pub fn verify(dir: &Path) -> Result<Verified, IndexError> {
    let index = Index::open(dir)?;
    index.segments.iter().try_for_each(Segment::verify)?;
    let info = index.info();
    let documents = info.documents + info.deleted;
    Ok(Verified { segments: info.segments, bytes: info.bytes, documents })
}
