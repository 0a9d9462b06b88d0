//! Search in the postings of BM25 that an index keeps beside its vectors.

use std::sync::PoisonError;

use splade_sparse::{SparseVector, TermId};

use super::head::Bm25Entry;
use super::segment::Segment;
use super::{Bm25Info, Field, Hit, Index, SearchOptions, Share, postings};
use crate::bm25::{self, Bm25Options, token_counts};

/// The postings of BM25 of an opened index.
///
/// The stored weight of a term in a document is `tf / (tf + k1 · (1 - b + b · |d| / avgdl))`, with the
/// mean length `avgdl` as of the first commit or the last merge. The weight of a term in a query is
/// its `idf`, from the live documents of the opened commit, times its number of occurrences. So the
/// scores are those of [`bm25::Bm25`] for the same documents, as long as the mean length is theirs.
#[derive(Debug, Clone, Copy)]
pub struct Bm25Search<'a> {
    index: &'a Index,
    entry: &'a Bm25Entry,
}

impl<'a> Bm25Search<'a> {
    pub(super) fn new(index: &'a Index, entry: &'a Bm25Entry) -> Self {
        Self { index, entry }
    }

    /// Returns the settings and the size of the postings.
    pub fn info(&self) -> Bm25Info {
        let segments = || self.index.segments.iter().filter_map(|segment| segment.bm25.as_ref());
        Bm25Info {
            options: Bm25Options { k1: self.entry.k1, b: self.entry.b },
            mean_length: self.entry.mean.map(|mean| mean.get()),
            postings: segments().map(postings).sum(),
            bytes: segments().map(Segment::bytes).sum(),
        }
    }

    /// Returns the vector of a query from the ids of its tokens. Terms that no document has are left
    /// out.
    pub fn query(&self, tokens: &[u32]) -> SparseVector {
        let documents = self.index.ranges.iter().map(|range| match &range.live {
            Some(live) => live.count() as u64,
            None => range.docs as u64,
        });
        bm25::query(&token_counts(tokens), documents.sum(), |term| self.document_frequency(term))
    }

    /// Returns the number of live documents that contain a term. The number is counted once for an
    /// opened index, which takes longer if documents were deleted.
    pub fn document_frequency(&self, term: TermId) -> u64 {
        let lock = || self.index.frequencies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&term) {
            return *known;
        }
        let count = self.index.ranges.iter().map(|entry| {
            let range = self.index.range(entry, Field::Bm25);
            let Some(list) = range.and_then(|range| range.list(term)) else { return 0 };
            match &entry.live {
                None => list.docs.len() as u64,
                Some(live) => {
                    let docs = list.docs.to_vec();
                    docs.iter().filter(|doc| live.get(usize::from(**doc))).count() as u64
                }
            }
        });
        let count = count.sum();
        lock().insert(term, count);
        count
    }

    /// Returns the best documents for a vector of [`query`](Self::query), as [`Index::search`] does
    /// for vectors of a model.
    pub fn search(&self, query: &SparseVector, options: &SearchOptions) -> Vec<Hit> {
        self.index.search_in(Field::Bm25, query, options)
    }

    /// Returns the contribution of each term to the score of a document, as [`Index::explain`] does.
    pub fn explain(&self, query: &SparseVector, id: &str) -> Option<Vec<Share>> {
        self.index.explain_in(Field::Bm25, query, id)
    }
}
