//! The postings of BM25 of a segment, which are made of its stored documents.
//!
//! They are a segment of their own with the same documents in the same ranges, so that deleted
//! documents and filters are those of the vectors. It has no ids, and weights of 32 bits.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use splade_io::NewFile;
use splade_sparse::SparseVector;

use super::bits::Bits;
use super::head::{Bm25Entry, MeanLength};
use super::range::RangeBuilder;
use super::segment::{Segment, SegmentWriter};
use super::stored::Stored;
use super::weights::WeightFormat;
use crate::IndexError;
use crate::bm25::{Bm25Options, token_counts};

/// The error of a [`TokenCounter`].
type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// The bytes of documents whose tokens are counted together on all threads.
const WINDOW: usize = 4 << 20;

/// Turns the bytes of a stored document into the ids of its tokens, for BM25. It is called from
/// many threads at once, and not for documents without bytes.
#[derive(Clone)]
pub struct TokenCounter(Arc<Tokens>);

/// The function of a [`TokenCounter`].
type Tokens = dyn Fn(&[u8]) -> Result<Vec<u32>, BoxedError> + Send + Sync;

impl TokenCounter {
    /// Makes a counter of a function.
    pub fn new(
        tokens: impl Fn(&[u8]) -> Result<Vec<u32>, BoxedError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(tokens))
    }

    fn counts(&self, document: &[u8]) -> Result<SparseVector, BoxedError> {
        match document {
            [] => Ok(SparseVector::default()),
            _ => Ok(token_counts(&(self.0)(document)?)),
        }
    }
}

impl fmt::Debug for TokenCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCounter")
    }
}

/// What the postings of a segment are made of.
pub(super) struct Source<'a> {
    /// The folder of the index, for messages.
    pub(super) dir: &'a Path,
    pub(super) segment: &'a Segment,
    pub(super) stored: &'a Stored,
    pub(super) deleted: &'a Bits,
    pub(super) counter: &'a TokenCounter,
    pub(super) pool: &'a rayon::ThreadPool,
}

impl Source<'_> {
    /// Adds the lengths of the live documents to a mean length. Documents without bytes have none.
    pub(super) fn add_to(&self, mean: &mut MeanLength) -> Result<(), IndexError> {
        self.each(|has_bytes, counts| {
            mean.documents += u64::from(has_bytes);
            mean.tokens += counts.weights().iter().map(|count| *count as u64).sum::<u64>();
            Ok(())
        })
    }

    /// Writes the postings under a temporary name; `path` is the final one.
    pub(super) fn write(&self, path: &Path, bm25: &Bm25Entry) -> Result<NewFile, IndexError> {
        let options = Bm25Options { k1: bm25.k1, b: bm25.b };
        let mean = bm25.mean.map_or(0.0, |mean| mean.get());
        let mut writer = SegmentWriter::create(path, WeightFormat::F32)?;
        let mut sizes = self.segment.docs();
        let mut size = sizes.next();
        let mut builder = RangeBuilder::default();
        self.each(|_, counts| {
            builder.push("", &options.saturated(&counts, mean));
            if Some(builder.len()) == size {
                let docs = builder.len();
                writer.push(&std::mem::take(&mut builder).build(WeightFormat::F32), docs)?;
                size = sizes.next();
            }
            Ok(())
        })?;
        writer.finish()
    }

    /// Hands over whether a document has bytes and its token counts, one document after another.
    /// Deleted documents have none.
    fn each(
        &self,
        mut take: impl FnMut(bool, SparseVector) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let documents: usize = self.segment.docs().sum();
        let mut reader = self.stored.reader();
        let (mut first, mut next) = (0, 0);
        while first < documents {
            let (mut window, mut bytes) = (Vec::new(), 0);
            while next < documents && bytes < WINDOW {
                let document = match self.deleted.get(next) {
                    true => Vec::new(),
                    false => reader.get(next)?.to_vec(),
                };
                // A document takes memory even without bytes.
                bytes += document.len() + 64;
                window.push(document);
                next += 1;
            }
            let counts = |document: &Vec<u8>| self.counter.counts(document);
            let counted: Vec<_> = self.pool.install(|| window.par_iter().map(counts).collect());
            for (doc, (document, counts)) in (first..).zip(window.iter().zip(counted)) {
                let counts = counts.map_err(|source| IndexError::Tokens {
                    path: self.dir.to_path_buf(),
                    id: self.segment.id(doc).to_owned(),
                    source,
                })?;
                take(!document.is_empty(), counts)?;
            }
            first = next;
        }
        Ok(())
    }
}
