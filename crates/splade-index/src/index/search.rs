//! Search in one range: first term at a time with upper bounds, then document at a time.
//!
//! The lists of the query's terms are processed in descending order of their largest contribution
//! (query weight × largest weight) relative to the square root of their length. Each list adds its
//! contributions to the accumulators of its documents. An accumulator has 16 bits in fixed point,
//! rounded down, so that the accumulators of a range fit the second-level cache and 32 of them are
//! compared at a time.
//!
//! From time to time the search counts the survivors: the documents that could still reach the k-th
//! best score if they had the largest weight in every remaining list. As soon as it is cheaper to
//! look the survivors up in the remaining lists than to process these lists, it does so (MaxScore:
//! Turtle & Flood 1995; the switch by the number of survivors is ours).
//!
//! At the end, every survivor whose bound reaches the k-th best score is scored again, over its
//! terms in ascending order and in f64, as [`splade_sparse::SparseVector::dot`] does. The result is
//! therefore identical to the bit with that of scoring every document.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use half::f16;
use splade_sparse::{SparseVector, TermId};

use super::bits::Bits;
use super::docs::Docs;
use super::range::{List, Range};
use super::scan::{self, CHUNK};
use super::weights::Weights;

/// The number of accumulators: one for every 16-bit number, so that no index is out of bounds.
const ACCUMULATORS: usize = 1 << 16;
/// The fixed-point value of the sum of all upper bounds. The rest of the 16 bits absorbs rounding.
const FULL: f64 = 60_000.0;
/// The cost of looking up one document in a list, measured in additions of a posting.
const LOOKUP: usize = 25;
/// The number of accumulators that are compared in the time in which one posting is added.
const COMPARED: usize = 16;

/// A document and its score. The greater value is the one with the higher score or, for equal
/// scores, the document that was added first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    pub(super) score: f32,
    /// The number of the document over all ranges, in the order of addition.
    pub(super) doc: u64,
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.doc.cmp(&self.doc))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The best `k` documents so far.
#[derive(Debug)]
pub(super) struct Top {
    k: usize,
    /// The minimum score of a hit.
    least: f32,
    heap: BinaryHeap<std::cmp::Reverse<Scored>>,
}

impl Top {
    /// Makes an empty list of at most `k` documents with scores of at least `least`.
    pub(super) fn new(k: usize, least: Option<f32>) -> Self {
        Self { k, least: least.unwrap_or(0.0).max(0.0), heap: BinaryHeap::new() }
    }

    /// Returns whether there are `k` documents already.
    fn is_full(&self) -> bool {
        self.heap.len() >= self.k
    }

    /// Returns the score below which a document cannot enter the list.
    fn threshold(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.is_full() => worst.0.score.max(self.least),
            _ => self.least,
        }
    }

    /// Adds a document if it is among the best `k`.
    fn push(&mut self, scored: Scored) {
        if scored.score < self.least || scored.score <= 0.0 || self.k == 0 {
            return;
        }
        if !self.is_full() {
            self.heap.push(std::cmp::Reverse(scored));
        } else if self.heap.peek().is_some_and(|worst| scored > worst.0) {
            self.heap.pop();
            self.heap.push(std::cmp::Reverse(scored));
        }
    }

    /// Returns the documents, the best first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|scored| scored.0).collect()
    }
}

/// The buffers of a search, which are reused for other ranges and queries.
#[derive(Debug)]
pub(super) struct Scratch {
    accumulators: Box<[u16; ACCUMULATORS]>,
    candidates: Vec<Candidate>,
    /// The decoded documents of one list.
    docs: Vec<u16>,
    /// The contributions of the postings of the same list.
    gives: Vec<u16>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            accumulators: Box::new([0; ACCUMULATORS]),
            candidates: Vec::new(),
            docs: Vec::new(),
            gives: Vec::new(),
        }
    }
}

/// A document that may be among the best.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// The number of the document in the range.
    doc: u16,
    /// The score from the lists processed so far, in fixed point, rounded down.
    sum: u16,
}

/// A term of the query that has a list in the range.
struct QueryTerm<'a> {
    term: TermId,
    query_weight: f32,
    list: List<'a>,
    /// The upper bound of the term's contribution to a score.
    bound: f64,
    /// The fixed-point contribution of a weight of 1, rounded down.
    factor: f32,
    /// 256 times the fixed-point contribution of code 1, for weights of 8 bits.
    code_factor: u16,
}

impl QueryTerm<'_> {
    /// Computes the contribution of every posting to its document, in fixed point, rounded down.
    #[inline(always)]
    fn gives<'b>(&self, buffer: &'b mut Vec<u16>) -> &'b [u16] {
        let count = self.list.docs.len();
        if buffer.len() < count {
            buffer.resize(count, 0);
        }
        let out = &mut buffer[..count];
        match &self.list.weights {
            Weights::U8(codes, _) => {
                for (out, code) in out.iter_mut().zip(*codes) {
                    *out = by_code(*code, self.code_factor);
                }
            }
            Weights::F16(bytes) => {
                for (out, half) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *out = (f16::from_le_bytes(*half).to_f32() * self.factor) as u16;
                }
            }
            Weights::F32(bytes) => {
                for (out, float) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *out = (f32::from_le_bytes(*float) * self.factor) as u16;
                }
            }
        }
        out
    }

    /// Prefetches the bytes that looking up a document is likely to read.
    #[inline(always)]
    fn prefetch_find(&self, doc: usize) {
        self.list.weights.prefetch(self.list.docs.prefetch_find(doc));
    }

    /// Computes the contribution of the `i`-th posting, in fixed point, rounded down.
    #[inline(always)]
    fn give(&self, i: usize) -> u16 {
        match &self.list.weights {
            Weights::U8(codes, _) => by_code(codes[i], self.code_factor),
            weights => (weights.get(i) * self.factor) as u16,
        }
    }
}

/// Multiplies a code by a factor with 8 binary places and rounds down. Written as the upper half of
/// a product of two 16-bit numbers, it vectorizes well.
#[inline(always)]
fn by_code(code: u8, factor: u16) -> u16 {
    (((u32::from(code) << 8) * u32::from(factor)) >> 16) as u16
}

/// A function that writes the documents of a list to the start of a buffer; see `docs.rs`.
trait Decode: Fn(&Docs<'_>, &mut Vec<u16>) + Copy {}
impl<F: Fn(&Docs<'_>, &mut Vec<u16>) + Copy> Decode for F {}

/// A function that compares a chunk of sums with a threshold; see `scan.rs`.
trait Mask: Fn(&[u16; CHUNK], u16) -> u32 + Copy {}
impl<F: Fn(&[u16; CHUNK], u16) -> u32 + Copy> Mask for F {}

/// The parts of a search that have implementations for AVX2 and AVX-512.
#[derive(Clone, Copy)]
struct Kernel<D, M> {
    decode: D,
    mask: M,
}

/// A search in one range.
pub(super) struct RangeSearch<'a> {
    pub(super) range: &'a Range<'a>,
    /// The number of the range's first document, counted over all ranges.
    pub(super) first: u64,
    /// The documents that may be returned, or `None` for all documents.
    pub(super) allowed: Option<&'a Bits>,
    /// The factor of the upper bounds of the remaining lists; 1 makes the search exact.
    pub(super) belief: f64,
}

impl RangeSearch<'_> {
    /// Adds the range's best documents to `top`. The code is compiled for several instruction sets,
    /// and the best one that this CPU supports is used.
    pub(super) fn run(&self, query: &SparseVector, top: &mut Top, scratch: &mut Scratch) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
            fn avx2(this: &RangeSearch<'_>, query: &SparseVector, top: &mut Top, s: &mut Scratch) {
                let decode = |docs: &Docs<'_>, buffer: &mut Vec<u16>| docs.decode_avx2(buffer);
                let mask = |chunk: &[u16; CHUNK], least| scan::avx2(chunk, least);
                this.run_inlined(query, top, s, Kernel { decode, mask });
            }
            #[target_feature(
                enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt,lzcnt"
            )]
            fn avx512(
                this: &RangeSearch<'_>,
                query: &SparseVector,
                top: &mut Top,
                s: &mut Scratch,
            ) {
                let decode = |docs: &Docs<'_>, buffer: &mut Vec<u16>| docs.decode_vbmi2(buffer);
                let mask = |chunk: &[u16; CHUNK], least| scan::avx512(chunk, least);
                this.run_inlined(query, top, s, Kernel { decode, mask });
            }
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("bmi1") && has!("bmi2") && has!("popcnt") && has!("lzcnt") {
                let wide = has!("avx512bw") && has!("avx512vl") && has!("avx512vbmi");
                #[allow(unsafe_code, reason = "functions with target features are called")]
                return match wide && has!("avx512vbmi2") {
                    // SAFETY: The CPU has every feature that `avx512` requires, as was detected
                    // above; `avx512bw` implies `avx512f`.
                    true => unsafe { avx512(self, query, top, scratch) },
                    // SAFETY: The CPU has every feature that `avx2` requires, as was detected
                    // above.
                    false => unsafe { avx2(self, query, top, scratch) },
                };
            }
        }
        let decode = |docs: &Docs<'_>, buffer: &mut Vec<u16>| docs.decode_plain(buffer);
        self.run_inlined(query, top, scratch, Kernel { decode, mask: scan::plain });
    }

    #[inline(always)]
    fn run_inlined(
        &self,
        query: &SparseVector,
        top: &mut Top,
        scratch: &mut Scratch,
        kernel: Kernel<impl Decode, impl Mask>,
    ) {
        let mut terms = self.terms(query);
        let total: f64 = terms.iter().map(|term| term.bound).sum();
        if terms.is_empty() || total * (1.0 + 1e-6) < f64::from(top.threshold()) {
            return;
        }
        let postings: usize = terms.iter().map(|term| term.list.docs.len()).sum();
        if let Some(allowed) = self.allowed
            && allowed.count() * terms.len() * LOOKUP * 2 < postings
        {
            terms.sort_by_key(|term| term.term);
            for doc in allowed.iter().take_while(|doc| *doc < self.range.docs()) {
                top.push(self.scored(&terms, doc));
            }
            return;
        }
        let scale = FULL / total;
        for term in &mut terms {
            // The factor is reduced by as much as the rounding of the product may add.
            term.factor = (f64::from(term.query_weight) * scale * (1.0 - 1e-6)) as f32;
            if let Weights::U8(_, step) = term.list.weights {
                let factor = f64::from(term.query_weight) * f64::from(step) * scale;
                term.code_factor = (factor * 256.0) as u16;
            }
        }
        self.collect(&terms, scale, postings, top, scratch, kernel);
        terms.sort_by_key(|term| term.term);
        let slack = slack(terms.len());
        scratch.candidates.sort_unstable_by_key(|candidate| std::cmp::Reverse(candidate.sum));
        for candidate in &scratch.candidates {
            if u32::from(candidate.sum) + slack < fixed(top.threshold(), scale) {
                break;
            }
            top.push(self.scored(&terms, usize::from(candidate.doc)));
        }
    }

    /// Returns the query's terms that have a list in the range, in the order of processing: the
    /// largest ratio of upper bound to the square root of the length first.
    #[inline(always)]
    fn terms(&self, query: &SparseVector) -> Vec<QueryTerm<'_>> {
        let of = |(term, query_weight): (TermId, f32)| {
            let list = self.range.list(term)?;
            list.docs.prefetch();
            list.weights.prefetch(0);
            let bound = f64::from(query_weight) * f64::from(list.max);
            Some(QueryTerm { term, query_weight, list, bound, factor: 0.0, code_factor: 0 })
        };
        let mut terms: Vec<QueryTerm<'_>> = query.iter().filter_map(of).collect();
        let worth = |term: &QueryTerm<'_>| term.bound / ((term.list.docs.len() + 64) as f64).sqrt();
        terms.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.term.cmp(&b.term)));
        terms
    }

    /// Writes to `scratch.candidates` the documents that can be among the best, with their sums
    /// over all lists.
    #[inline(always)]
    fn collect(
        &self,
        terms: &[QueryTerm<'_>],
        scale: f64,
        postings: usize,
        top: &Top,
        scratch: &mut Scratch,
        kernel: Kernel<impl Decode, impl Mask>,
    ) {
        let Scratch { accumulators, candidates, docs: docs_buffer, gives: gives_buffer } = scratch;
        let accumulators = &mut **accumulators;
        let all = self.range.docs();
        accumulators[..all].fill(0);
        candidates.clear();
        let slack = slack(terms.len());
        // `rest[i]` is the upper bound of the contributions of the lists from `i` on, in fixed
        // point, rounded up.
        let mut rest = vec![0; terms.len() + 1];
        let mut sum = 0.0;
        for (i, term) in terms.iter().enumerate().rev() {
            sum += term.bound * self.belief;
            rest[i] = (sum * scale).ceil() as u32;
        }
        let mut reach = fixed(top.threshold(), scale);
        let (mut left, mut unseen, mut done) = (postings, 0, terms.len());
        for (i, term) in terms.iter().enumerate() {
            (kernel.decode)(&term.list.docs, docs_buffer);
            for (doc, gives) in docs_buffer.iter().zip(term.gives(gives_buffer)) {
                let sum = &mut accumulators[usize::from(*doc)];
                *sum = sum.wrapping_add(*gives);
            }
            left -= term.list.docs.len();
            unseen += term.list.docs.len();
            // Comparing all accumulators pays off only after enough new postings.
            if unseen * COMPARED < all || left * COMPARED < all {
                continue;
            }
            unseen = 0;
            if !top.is_full() {
                reach = self.kth_best(&accumulators[..all], top.k, reach, candidates, kernel.mask);
            }
            let Some(least) = least(reach, rest[i + 1] + slack) else { continue };
            let survivors = scan::count_at_least(&accumulators[..all], least, kernel.mask);
            if survivors * (terms.len() - i - 1) * LOOKUP < left {
                done = i + 1;
                break;
            }
        }
        if !top.is_full() {
            reach = self.kth_best(&accumulators[..all], top.k, reach, candidates, kernel.mask);
        }
        candidates.clear();
        let first = terms.get(done);
        let allowed = |doc: usize| self.allowed.is_none_or(|allowed| allowed.get(doc));
        match least(reach, rest[done] + slack) {
            Some(least) => scan::at_least(&accumulators[..all], least, kernel.mask, |doc, sum| {
                if allowed(doc) {
                    candidates.push(Candidate { doc: doc as u16, sum });
                    if let Some(first) = first {
                        first.prefetch_find(doc);
                    }
                }
            }),
            // Fewer than `k` documents have a sum above zero, so every document with a term of the
            // query is a candidate.
            None => {
                let mut met = Bits::new(ACCUMULATORS);
                for term in terms {
                    term.list.docs.to_vec().into_iter().for_each(|doc| met.set(usize::from(doc)));
                }
                candidates.extend(
                    met.iter()
                        .filter(|doc| *doc < all && allowed(*doc))
                        .map(|doc| Candidate { doc: doc as u16, sum: accumulators[doc] }),
                );
            }
        }
        for (i, term) in terms.iter().enumerate().skip(done) {
            for candidate in &mut *candidates {
                // The bytes of the next list are prefetched while this list is searched.
                if let Some(next) = terms.get(i + 1) {
                    next.prefetch_find(usize::from(candidate.doc));
                }
                if let Some(at) = term.list.docs.find(usize::from(candidate.doc)) {
                    candidate.sum = candidate.sum.wrapping_add(term.give(at));
                }
            }
            if let Some(least) = least(reach, rest[i + 1] + slack) {
                candidates.retain(|candidate| candidate.sum >= least);
            }
        }
    }

    /// Returns the largest sum that `k` documents have reached already, or `reach` if that is
    /// larger.
    #[inline(always)]
    fn kth_best(
        &self,
        sums: &[u16],
        k: usize,
        reach: u32,
        buffer: &mut Vec<Candidate>,
        mask: impl Mask,
    ) -> u32 {
        buffer.clear();
        let Some(mut least) = least(reach.max(1), 0).filter(|_| k > 0) else { return reach };
        scan::at_least_rising(sums, &mut least, mask, |doc, sum, least| {
            if self.allowed.is_some_and(|allowed| !allowed.get(doc)) {
                return;
            }
            buffer.push(Candidate { doc: doc as u16, sum });
            // The buffer has at least twice `k` entries, so it is cut down to the best `k`.
            if buffer.len() >= 2 * k.max(8) {
                buffer.select_nth_unstable_by_key(k - 1, |c| std::cmp::Reverse(c.sum));
                buffer.truncate(k);
                *least = buffer[k - 1].sum;
            }
        });
        match buffer.len() < k {
            true => reach,
            false => {
                let kth = buffer.select_nth_unstable_by_key(k - 1, |c| std::cmp::Reverse(c.sum)).1;
                reach.max(u32::from(kth.sum))
            }
        }
    }

    /// Computes the exact score of a document. `terms` must be in ascending order of terms.
    #[inline(always)]
    fn scored(&self, terms: &[QueryTerm<'_>], doc: usize) -> Scored {
        let mut score = 0.0;
        for term in terms {
            if let Some(at) = term.list.docs.find(doc) {
                score += f64::from(term.query_weight) * f64::from(term.list.weights.get(at));
            }
        }
        Scored { score: score as f32, doc: self.first + doc as u64 }
    }
}

/// Returns by how much the sum of `lists` contributions may be too small, because each contribution
/// and its factor are rounded down.
fn slack(lists: usize) -> u32 {
    2 * lists as u32 + 2
}

/// Converts a score to fixed point. The result is rounded down, and reduced by as much as the
/// rounding of scores to f32 may have added.
fn fixed(score: f32, scale: f64) -> u32 {
    (f64::from(score) * scale * (1.0 - 1e-6)) as u32
}

/// Returns the smallest sum from which `reach` can still be reached by adding at most `rest`, or
/// `None` if every sum is large enough.
fn least(reach: u32, rest: u32) -> Option<u16> {
    let least = reach.checked_sub(rest).filter(|least| *least > 0)?;
    Some(u16::try_from(least).unwrap_or(u16::MAX))
}

/// Returns the factor of the remaining lists' upper bounds for a target recall. The values were
/// measured by `benches/search.rs` for the top 10 on three sets of vectors (38,901 real ones;
/// 100,000 and 1,000,000 synthetic ones). The factor .32 finds .96 to .998 of the best documents;
/// .6 finds all but one in a thousand on these sets, and .99 for documents of random terms.
pub(super) fn belief(recall: f32) -> f64 {
    match recall {
        ..=0.95 => 0.32,
        ..=0.99 => 0.6,
        _ => 1.0,
    }
}
