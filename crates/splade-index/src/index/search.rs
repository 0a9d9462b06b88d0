//! The best documents of a range: term at a time with upper bounds, then document at a time.
//!
//! Lists are taken in the order of what they can give at most (query weight x largest weight). Each
//! adds its part to an accumulator of every document it has, in fixed point, rounded down: 16 bits,
//! so that a range's accumulators fit the second-level cache and are compared 32 at a time. Now and
//! then the documents are counted that could still reach the k-th best score if they had the most
//! of every remaining list. Once looking these up in the remaining lists costs less than going
//! through the lists, that is done instead (MaxScore: Turtle & Flood 1995; the switch by the number
//! of survivors is ours). At the end every survivor whose bound reaches the k-th best is scored anew,
//! over its terms in ascending order in f64, as [`splade_sparse::SparseVector::dot`] does: so the
//! result is that of scoring every document, to the bit.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use half::f16;
use splade_sparse::{SparseVector, TermId};

use super::bits::Bits;
use super::decode::{self, WRITTEN, Word};
use super::range::{List, Range};
use super::scan::{self, CHUNK};
use super::weights::Weights;

/// Accumulators of a range: as many as 16 bits can name, so that no document is out of bounds.
const ACCUMULATORS: usize = 1 << 16;
/// The fixed-point value of all upper bounds together. What is left of 16 bits takes the rounding.
const FULL: f64 = 60_000.0;
/// Postings whose addition takes as long as to look a document up in a list, early ends included.
const LOOKUP: usize = 25;
/// Documents that are compared in the time of adding one posting.
const COMPARED: usize = 16;

/// A document and its score. The better one is greater: by score, then the one added first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    pub(super) score: f32,
    /// Counted over all ranges in the order in which they were added.
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

/// The best documents so far.
#[derive(Debug)]
pub(super) struct Top {
    k: usize,
    /// Scores below this are not wanted.
    least: f32,
    heap: BinaryHeap<std::cmp::Reverse<Scored>>,
}

impl Top {
    pub(super) fn new(k: usize, least: Option<f32>) -> Self {
        Self { k, least: least.unwrap_or(0.0).max(0.0), heap: BinaryHeap::new() }
    }

    fn is_full(&self) -> bool {
        self.heap.len() >= self.k
    }

    /// A score below this cannot enter.
    fn threshold(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.is_full() => worst.0.score.max(self.least),
            _ => self.least,
        }
    }

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

    /// Best first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|scored| scored.0).collect()
    }
}

/// What is kept between ranges and queries, to be used again.
#[derive(Debug)]
pub(super) struct Scratch {
    accumulators: Box<[u16; ACCUMULATORS]>,
    candidates: Vec<Candidate>,
    /// The documents of one list.
    docs: Vec<u16>,
    /// What its postings give.
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
    doc: u16,
    /// Its score so far, in fixed point, rounded down.
    sum: u16,
}

/// A term of the query that the range has.
struct QueryTerm<'a> {
    term: TermId,
    query_weight: f32,
    list: List<'a>,
    /// The most it gives to a score.
    bound: f64,
    /// Fixed-point value of a weight of 1.
    factor: f32,
    /// 256 times the fixed-point value of code 1, of weights of 8 bits.
    code_factor: u16,
}

impl QueryTerm<'_> {
    /// Writes what every posting gives to the sum of its document, in fixed point, rounded down.
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

    /// Fetches what looking a document up will read.
    #[inline(always)]
    fn prefetch_find(&self, doc: usize, universe: usize) {
        self.list.weights.prefetch(self.list.docs.prefetch_find(doc, universe));
    }

    /// The same of the `i`-th posting.
    #[inline(always)]
    fn give(&self, i: usize) -> u16 {
        match &self.list.weights {
            Weights::U8(codes, _) => by_code(codes[i], self.code_factor),
            weights => (weights.get(i) * self.factor) as u16,
        }
    }
}

/// A code times a factor of 8 binary places: the upper half of a product of 16 bits each.
#[inline(always)]
fn by_code(code: u8, factor: u16) -> u16 {
    (((u32::from(code) << 8) * u32::from(factor)) >> 16) as u16
}

/// Decodes a word of a list (`decode.rs`).
trait Decode: Fn(Word<'_>, &mut [u16; WRITTEN]) + Copy {}
impl<F: Fn(Word<'_>, &mut [u16; WRITTEN]) + Copy> Decode for F {}

/// Compares a chunk of sums (`scan.rs`).
trait Mask: Fn(&[u16; CHUNK], u16) -> u32 + Copy {}
impl<F: Fn(&[u16; CHUNK], u16) -> u32 + Copy> Mask for F {}

/// The parts of a search that are written for instructions of their own.
#[derive(Clone, Copy)]
struct Kernel<D, M> {
    decode: D,
    mask: M,
}

/// A query in a range, and which documents count.
pub(super) struct RangeSearch<'a> {
    pub(super) range: &'a Range<'a>,
    /// The number of the range's first document.
    pub(super) first: u64,
    /// Documents that may be found; all if none.
    pub(super) allowed: Option<&'a Bits>,
    /// The share of the remaining lists' bounds that is believed: 1 is exact.
    pub(super) belief: f64,
}

impl RangeSearch<'_> {
    /// Puts the range's best documents among `top`, compiled for the instructions of this CPU.
    pub(super) fn run(&self, query: &SparseVector, top: &mut Top, scratch: &mut Scratch) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
            fn avx2(this: &RangeSearch<'_>, query: &SparseVector, top: &mut Top, s: &mut Scratch) {
                this.run_inlined(
                    query,
                    top,
                    s,
                    Kernel { decode: decode::plain, mask: scan::plain },
                );
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
                let decode = |word: Word<'_>, out: &mut [u16; WRITTEN]| decode::vbmi2(word, out);
                let mask = |chunk: &[u16; CHUNK], least| scan::avx512(chunk, least);
                this.run_inlined(query, top, s, Kernel { decode, mask });
            }
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("bmi1") && has!("bmi2") && has!("popcnt") && has!("lzcnt") {
                let wide = has!("avx512bw") && has!("avx512vl") && has!("avx512vbmi");
                // SAFETY: the CPU has the features, as was just asked.
                #[allow(unsafe_code, reason = "functions with target features are called")]
                return match wide && has!("avx512vbmi2") {
                    true => unsafe { avx512(self, query, top, scratch) },
                    false => unsafe { avx2(self, query, top, scratch) },
                };
            }
        }
        self.run_inlined(query, top, scratch, Kernel { decode: decode::plain, mask: scan::plain });
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
            // Less by what the rounding of the product may add.
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

    /// The lists of the query's terms, those that can give most first.
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

    /// Finds the documents that can be among the best, with their sums over all lists.
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
        // rest[i]: the most that the lists from i on give, in fixed point, rounded up.
        let mut rest = vec![0; terms.len() + 1];
        let mut sum = 0.0;
        for (i, term) in terms.iter().enumerate().rev() {
            sum += term.bound * self.belief;
            rest[i] = (sum * scale).ceil() as u32;
        }
        let mut reach = fixed(top.threshold(), scale);
        let (mut left, mut unseen, mut done) = (postings, 0, terms.len());
        for (i, term) in terms.iter().enumerate() {
            let docs = term.list.docs.decode(docs_buffer, kernel.decode);
            for (doc, gives) in docs.iter().zip(term.gives(gives_buffer)) {
                let sum = &mut accumulators[usize::from(*doc)];
                *sum = sum.wrapping_add(*gives);
            }
            left -= term.list.docs.len();
            unseen += term.list.docs.len();
            // Comparing all documents is worth it now and then only.
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
                        first.prefetch_find(doc, all);
                    }
                }
            }),
            // Fewer documents than wanted have a sum at all: every one counts that has a term.
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
                // The next list's bytes come while this one is searched.
                if let Some(next) = terms.get(i + 1) {
                    next.prefetch_find(usize::from(candidate.doc), all);
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

    /// The largest sum that `k` documents have reached already, if it is above `reach`.
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
            // Twice as many as wanted: the better half stays.
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

    /// The score of a document; terms are in the order of terms.
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

/// By how much a sum of `lists` terms may be too small: each is rounded down, its factor too.
fn slack(lists: usize) -> u32 {
    2 * lists as u32 + 2
}

/// A score in fixed point, rounded down, and by the rounding of scores to f32.
fn fixed(score: f32, scale: f64) -> u32 {
    (f64::from(score) * scale * (1.0 - 1e-6)) as u32
}

/// The least sum with which `reach` can be reached if `rest` may be added. None if that is any.
fn least(reach: u32, rest: u32) -> Option<u16> {
    let least = reach.checked_sub(rest).filter(|least| *least > 0)?;
    Some(u16::try_from(least).unwrap_or(u16::MAX))
}

/// The share of the remaining lists' bounds that is to be believed for a recall. As measured by
/// `benches/search.rs`, top 10 of three sets of vectors (38,901 real ones; 100,000 and 1,000,000
/// synthetic): .32 finds .96 to .998 of the best; .6 finds all but one in a thousand there, and .99
/// of documents of random terms.
pub(super) fn belief(recall: f32) -> f64 {
    match recall {
        ..=0.95 => 0.32,
        ..=0.99 => 0.6,
        _ => 1.0,
    }
}
