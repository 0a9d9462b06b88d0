//! A Bloom filter (Bloom 1970) over the ids of a segment. With it, adding a document need not
//! search every segment for an older document with the same id.

use std::hash::{BuildHasher, RandomState};

/// Bits per id. With three probes, one in 60 of the absent ids is reported as present.
const BITS: usize = 10;
/// Bits that are tested for an id.
const PROBES: u64 = 3;

/// The set of the ids of a segment, with some false positives and no false negatives.
#[derive(Debug)]
pub(super) struct Bloom {
    words: Vec<u64>,
    hasher: RandomState,
}

impl Bloom {
    /// Builds the filter of `count` ids.
    pub(super) fn of<'a>(ids: impl Iterator<Item = &'a str>, count: usize) -> Self {
        let words = vec![0; (count * BITS).div_ceil(64).max(1)];
        let mut bloom = Self { words, hasher: RandomState::new() };
        for id in ids {
            for (word, bit) in bloom.places(id) {
                bloom.words[word] |= bit;
            }
        }
        bloom
    }

    /// Returns false only if the id is not in the segment.
    pub(super) fn may_have(&self, id: &str) -> bool {
        self.places(id).into_iter().all(|(word, bit)| self.words[word] & bit != 0)
    }

    /// Returns the bits of an id, each as the index of its word and a mask.
    fn places(&self, id: &str) -> [(usize, u64); PROBES as usize] {
        let hash = self.hasher.hash_one(id);
        let bits = self.words.len() as u64 * 64;
        // All probes are derived from the two halves of one hash (Kirsch & Mitzenmacher 2006).
        let step = (hash >> 32) | 1;
        [0, 1, 2].map(|probe: u64| {
            let bit = hash.wrapping_add(probe.wrapping_mul(step)) % bits;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
}
