//! Whether a segment may have an id: a Bloom filter (Bloom 1970), so that adding a document does not
//! search every segment for an older one.

use std::hash::{BuildHasher, RandomState};

/// Bits an id; with three probes one in 60 of the ids that are not there is taken to be there.
const BITS: usize = 10;
const PROBES: u64 = 3;

/// The ids of a segment, by and large.
#[derive(Debug)]
pub(super) struct Bloom {
    words: Vec<u64>,
    hasher: RandomState,
}

impl Bloom {
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

    /// False only if the id is not there.
    pub(super) fn may_have(&self, id: &str) -> bool {
        self.places(id).into_iter().all(|(word, bit)| self.words[word] & bit != 0)
    }

    fn places(&self, id: &str) -> [(usize, u64); PROBES as usize] {
        let hash = self.hasher.hash_one(id);
        let bits = self.words.len() as u64 * 64;
        // Two halves of the hash give all probes (Kirsch & Mitzenmacher 2006).
        let step = (hash >> 32) | 1;
        [0, 1, 2].map(|probe: u64| {
            let bit = hash.wrapping_add(probe.wrapping_mul(step)) % bits;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
}
