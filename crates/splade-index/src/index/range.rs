//! A range of at most 65,535 documents: their postings lists and their ids, in one block of bytes
//! that is searched without decoding it first. A segment is a file of ranges.
//!
//! | bytes | per | content |
//! |---|---|---|
//! | 28 | | header, see below |
//! | 12 | word | bits u64 and number of earlier lists u32, see below |
//! | 8 | list, by term | offset of its bytes u32, postings u16, largest weight u16 |
//! | | | the lists: documents (`docs.rs`), then weights (`weights.rs`) |
//! | 64 | | padding |
//! | 4 | document, and one more | offset of its id |
//! | | | the ids in UTF-8 |
//! | 2 | document | the documents in the order of their ids |
//!
//! The header holds the numbers of documents u32, lists u32 and postings u64, the bytes of all
//! lists u32, the bytes of all ids u32, and the number of words u32. Bit b of word w is set if term
//! 64 w + b has a list; the u32 after it is the number of lists of the terms before this word. The
//! largest weight of a list is the upper half of an f32, rounded up.
//!
//! All numbers are little-endian.

use rustc_hash::FxHashMap;
use splade_sparse::{SparseVector, TermId};

use super::bytes::{u16_at, u32_at, u64_at};
use super::docs::{self, Docs, MAX_DOCS, PADDING};
use super::weights::{WeightFormat, Weights, from_upper_bits, upper_bits};

/// The length of the header in bytes.
pub(super) const HEADER: usize = 28;
/// The exclusive upper limit of term ids. It keeps the bits of a range's terms below 2 MB.
pub(super) const MAX_TERM: u32 = 1 << 24;

/// The number of postings at which a range ends. It keeps the offsets of the lists within 32 bits.
const MAX_POSTINGS: usize = 1 << 28;

/// The documents that are collected for a range.
#[derive(Debug, Default)]
pub(super) struct RangeBuilder {
    ids: Vec<String>,
    /// The end of each document's postings in `terms` and `weights`.
    ends: Vec<u32>,
    /// The terms of all documents, one document after another.
    terms: Vec<TermId>,
    /// The weights of all documents, in the order of `terms`.
    weights: Vec<f32>,
}

impl RangeBuilder {
    /// Adds a document, which gets the next number in the range.
    pub(super) fn push(&mut self, id: &str, vector: &SparseVector) {
        self.ids.push(id.to_owned());
        self.terms.extend_from_slice(vector.terms());
        self.weights.extend_from_slice(vector.weights());
        self.ends.push(self.terms.len() as u32);
    }

    /// Returns the number of documents.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether the range must end: either no more documents or postings fit, or the builder
    /// and [`build`](Self::build) together need `memory` bytes. A posting takes 8 bytes in the
    /// builder, 6 while the lists are made, and up to 7 in the lists.
    pub(super) fn is_full(&self, memory: usize) -> bool {
        self.len() == MAX_DOCS
            || self.terms.len() >= MAX_POSTINGS
            || self.terms.len() * 21 + self.len() * 64 >= memory
    }

    /// Encodes the range.
    pub(super) fn build(self, format: WeightFormat) -> Vec<u8> {
        let mut counts: FxHashMap<TermId, u32> = FxHashMap::default();
        for term in &self.terms {
            *counts.entry(*term).or_default() += 1;
        }
        let mut lists_of: Vec<(TermId, u32)> = counts.iter().map(|(t, n)| (*t, *n)).collect();
        lists_of.sort_unstable();
        // The map's values change from counts to the place of each term's next posting.
        let mut next = counts;
        let mut start = 0;
        for (term, count) in &lists_of {
            next.insert(*term, start);
            start += count;
        }
        let mut docs = vec![0u16; self.terms.len()];
        let mut weights = vec![0f32; self.terms.len()];
        let mut posting = 0;
        for (doc, end) in self.ends.iter().enumerate() {
            for at in posting..*end as usize {
                let place = next.get_mut(&self.terms[at]).expect("it was counted: this is a bug");
                docs[*place as usize] = doc as u16;
                weights[*place as usize] = self.weights[at];
                *place += 1;
            }
            posting = *end as usize;
        }
        let words = lists_of.last().map_or(0, |(term, _)| term.0 as usize / 64 + 1);
        let mut bits = vec![0u64; words];
        let mut records = Vec::with_capacity(8 * lists_of.len());
        let mut lists = Vec::with_capacity(docs.len() * (1 + format.bytes()));
        let mut start = 0;
        for (term, count) in &lists_of {
            let list = start..start + *count as usize;
            start = list.end;
            let max = format.largest(&weights[list.clone()]);
            bits[term.0 as usize / 64] |= 1 << (term.0 % 64);
            records.extend((lists.len() as u32).to_le_bytes());
            records.extend((*count as u16).to_le_bytes());
            records.extend(upper_bits(max).to_le_bytes());
            docs::encode(&docs[list.clone()], self.ids.len(), &mut lists);
            format.encode(&weights[list], max, &mut lists);
        }
        lists.extend([0; PADDING]);
        let id_bytes: usize = self.ids.iter().map(String::len).sum();
        let mut order: Vec<u16> = (0..self.ids.len() as u16).collect();
        order.sort_by_key(|doc| &self.ids[usize::from(*doc)]);

        let mut out = Vec::with_capacity(
            HEADER
                + 12 * words
                + 8 * lists_of.len()
                + lists.len()
                + id_bytes
                + 6 * self.ids.len()
                + 4,
        );
        out.extend((self.ids.len() as u32).to_le_bytes());
        out.extend((lists_of.len() as u32).to_le_bytes());
        out.extend((self.terms.len() as u64).to_le_bytes());
        out.extend((lists.len() as u32).to_le_bytes());
        out.extend((id_bytes as u32).to_le_bytes());
        out.extend((words as u32).to_le_bytes());
        let mut before = 0u32;
        for word in &bits {
            out.extend(word.to_le_bytes());
            out.extend(before.to_le_bytes());
            before += word.count_ones();
        }
        for part in [records, lists] {
            out.extend(part);
        }
        let mut start = 0u32;
        out.extend(start.to_le_bytes());
        for id in &self.ids {
            start += id.len() as u32;
            out.extend(start.to_le_bytes());
        }
        for id in &self.ids {
            out.extend(id.as_bytes());
        }
        out.extend(order.iter().flat_map(|doc| doc.to_le_bytes()));
        out
    }
}

/// A range that is open for reading. The sizes of its parts fit its bytes. Other damage leads to
/// wrong results but never to a panic; the checksums reveal it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<'a> {
    bytes: &'a [u8],
    docs: usize,
    postings: u64,
    format: WeightFormat,
    /// The bits of the terms that have a list, in entries of 12 bytes.
    words: &'a [u8],
    /// The offset, length and largest weight of each list, in entries of 8 bytes.
    records: &'a [u8],
    lists: &'a [u8],
    id_starts: &'a [u8],
    ids: &'a [u8],
    order: &'a [u8],
}

/// A place in the bytes of a range.
pub(super) type Place = std::ops::Range<usize>;

/// The postings list of a term in a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a> {
    pub(super) docs: Docs<'a>,
    pub(super) weights: Weights<'a>,
    /// An upper bound of the weights.
    pub(super) max: f32,
}

impl<'a> Range<'a> {
    /// Opens the bytes of a range. Returns `None` if the sizes in the header do not fit the bytes.
    pub(super) fn open(bytes: &'a [u8], format: WeightFormat) -> Option<Self> {
        let number = |at: usize| u32_at(bytes, at).map(|number| number as usize);
        let (docs, lists, words) = (number(0)?, number(4)?, number(24)?);
        let postings = u64_at(bytes, 8)?;
        if docs > MAX_DOCS {
            return None;
        }
        let mut rest = bytes.get(HEADER..)?;
        let mut take = |len: usize| {
            let (part, after) = rest.split_at_checked(len)?;
            rest = after;
            Some(part)
        };
        let range = Self {
            bytes,
            docs,
            postings,
            format,
            words: take(words.checked_mul(12)?)?,
            records: take(lists.checked_mul(8)?)?,
            lists: take(number(16)?)?,
            id_starts: take(docs * 4 + 4)?,
            ids: take(number(20)?)?,
            order: take(docs * 2)?,
        };
        rest.is_empty().then_some(range)
    }

    /// Returns the bytes that were passed to [`open`](Self::open).
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the number of documents.
    pub(super) fn docs(&self) -> usize {
        self.docs
    }

    /// Returns the number of postings of all lists.
    pub(super) fn postings(&self) -> u64 {
        self.postings
    }

    /// Returns the terms that have a postings list, in ascending order.
    pub(super) fn terms(&self) -> impl Iterator<Item = TermId> + '_ {
        let bits = |word: &[u8]| u64_at(word, 0).unwrap_or(0);
        let words = self.words.chunks_exact(12).map(bits);
        (0..).zip(words).flat_map(|(at, mut word)| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros())?;
                word &= word - 1;
                Some(TermId(at * 64 + bit))
            })
        })
    }

    /// Returns the postings list of a term, or `None` if no document has the term.
    #[inline]
    pub(super) fn list(&self, term: TermId) -> Option<List<'a>> {
        let record = self.bytes.get(self.record_at(term)?)?;
        let bytes = self.lists.get(u32_at(record, 0)? as usize..)?;
        let count = usize::from(u16_at(record, 4)?);
        let max = from_upper_bits(u16_at(record, 6)?);
        let (docs, rest) = Docs::open(bytes, count, self.docs)?;
        let weights = Weights::open(self.format, rest, count, max)?;
        Some(List { docs, weights, max })
    }

    /// Returns the place of the bits of the terms in the bytes of the range.
    pub(super) fn words_at(&self) -> Place {
        HEADER..HEADER + self.words.len()
    }

    /// Returns the place of the record of a term's list, or `None` if no document has the term. The
    /// bits of the terms are read.
    #[inline]
    pub(super) fn record_at(&self, term: TermId) -> Option<Place> {
        let (word, bit) = (term.0 as usize / 64, term.0 % 64);
        let word = self.words.get(word * 12..)?;
        let bits = u64_at(word, 0)?;
        let lower = (bits & ((1 << bit) - 1)).count_ones() as usize;
        let at = self.words_at().end + (u32_at(word, 8)? as usize + lower) * 8;
        (bits >> bit & 1 == 1).then_some(at..at + 8)
    }

    /// Returns the place of a term's list, or `None` if no document has the term. The record of the
    /// list is read.
    pub(super) fn list_at(&self, term: TermId) -> Option<Place> {
        let record = self.bytes.get(self.record_at(term)?)?;
        let start = self.words_at().end + self.records.len() + u32_at(record, 0)? as usize;
        let count = usize::from(u16_at(record, 4)?);
        let bytes = docs::bytes(count, self.docs) + count * self.format.bytes();
        Some(start..start + bytes)
    }

    /// Returns the place of the offsets of a document's id.
    pub(super) fn id_offsets_at(&self, doc: usize) -> Place {
        let start = self.words_at().end + self.records.len() + self.lists.len() + doc * 4;
        start..start + 8
    }

    /// Returns the place of a document's id. The offsets of the id are read.
    pub(super) fn id_at(&self, doc: usize) -> Place {
        let offset = |doc: usize| u32_at(self.id_starts, doc * 4).unwrap_or(0) as usize;
        let ids = self.id_offsets_at(self.docs).start + 4;
        ids + offset(doc)..ids + offset(doc + 1)
    }

    /// Returns the id of a document; empty if the bytes are damaged.
    pub(super) fn id(&self, doc: usize) -> &'a str {
        let start = u32_at(self.id_starts, doc * 4).unwrap_or(0) as usize;
        let end = u32_at(self.id_starts, doc * 4 + 4).unwrap_or(0) as usize;
        self.ids.get(start..end).and_then(|id| std::str::from_utf8(id).ok()).unwrap_or_default()
    }

    /// Returns the document with an id. If several documents have it, this is the last one, which
    /// replaced the others.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        let doc = |at: usize| u16_at(self.order, at * 2).map_or(0, usize::from);
        let (mut low, mut high) = (0, self.docs);
        while low < high {
            let middle = (low + high) / 2;
            match self.id(doc(middle)) <= id {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low.checked_sub(1).map(doc).filter(|doc| self.id(*doc) == id)
    }

    /// Returns the vector of a document with its stored weights.
    pub(super) fn vector(&self, doc: usize) -> SparseVector {
        let pair = |term| {
            let list = self.list(term)?;
            Some((term, list.weights.get(list.docs.find(doc)?)))
        };
        to_vector(self.terms().filter_map(pair).collect())
    }

    /// Returns the vectors of all documents with their stored weights.
    pub(super) fn vectors(&self) -> impl Iterator<Item = SparseVector> {
        let mut vectors = vec![Vec::new(); self.docs];
        for term in self.terms() {
            let Some(list) = self.list(term) else { continue };
            for (i, doc) in list.docs.to_vec().into_iter().enumerate() {
                if let Some(vector) = vectors.get_mut(usize::from(doc)) {
                    vector.push((term, list.weights.get(i)));
                }
            }
        }
        vectors.into_iter().map(to_vector)
    }

    /// Returns whether every list is complete, with ascending documents and weights above zero, and
    /// whether the documents are in the order of their ids.
    pub(super) fn is_sound(&self) -> bool {
        let mut postings = 0;
        let lists = self.terms().all(|term| {
            let Some(list) = self.list(term) else { return false };
            let docs = list.docs.to_vec();
            postings += docs.len() as u64;
            let weight = |i| (list.weights.get(i), list.max * 1.000_001);
            docs.windows(2).all(|pair| pair[0] < pair[1])
                && docs.last().is_some_and(|last| usize::from(*last) < self.docs)
                && (0..docs.len()).map(weight).all(|(weight, max)| weight > 0.0 && weight <= max)
        });
        let id = |at: usize| u16_at(self.order, at * 2).map(|doc| self.id(usize::from(doc)));
        lists && postings == self.postings && (1..self.docs).all(|at| id(at - 1) <= id(at))
    }
}

/// Makes a vector of pairs with ascending terms. Pairs without a valid weight, which only damage
/// can cause, are dropped.
fn to_vector(mut pairs: Vec<(TermId, f32)>) -> SparseVector {
    pairs.retain(|(_, weight)| weight.is_finite() && *weight > 0.0);
    SparseVector::from_pairs(pairs).unwrap_or_default()
}
