//! A bit set, used for the deleted, live and filtered documents of an index.

/// A set of numbers below a limit, stored as one bit per number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    /// The number of bits that are set in `words`.
    count: usize,
}

impl Bits {
    /// Makes an empty set of numbers below `len`.
    pub(super) fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], count: 0 }
    }

    /// Returns whether a number is in the set; false for a number beyond the limit.
    #[inline(always)]
    pub(super) fn get(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Adds a number, which must be below the limit.
    #[inline(always)]
    pub(super) fn set(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / 64) {
            self.count += usize::from(*word >> (at % 64) & 1 == 0);
            *word |= 1 << (at % 64);
        }
    }

    /// Removes a number, if it is in the set.
    pub(super) fn remove(&mut self, at: usize) {
        if self.get(at) {
            self.count -= 1;
            self.words[at / 64] ^= 1 << (at % 64);
        }
    }

    /// Returns the number of members.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns the members in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// Encodes the set with eight numbers per byte, the smallest of them in the lowest bit.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Decodes the bytes that [`to_bytes`](Self::to_bytes) returned.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        let words: Vec<u64> = bytes.chunks(8).map(word).collect();
        let count = words.iter().map(|word| word.count_ones() as usize).sum();
        Self { words, count }
    }
}
