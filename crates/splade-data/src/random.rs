//! Random numbers without state: every draw is a function of a key, such as (seed, epoch, query).
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014). Number `i` is a mix of `key + i * gamma`, so resuming needs no saved
//! state. A permutation is a Feistel network whose rounds use the same mix; it is applied
//! repeatedly until the result falls into the range (Black and Rogaway, "Ciphers with arbitrary
//! finite domains", CT-RSA 2002). Neither is suitable for cryptography.
//!
//! ```
//! use splade_data::random::{Random, Stream};
//!
//! let draw = |query| Random::new(&[42, Stream::SPLIT, query]).below(1000);
//! // The same key gives the same number, whatever was drawn before.
//! assert_eq!(draw(7), draw(7));
//! assert_ne!(draw(7), draw(8));
//! ```

/// The step of SplitMix64: the golden ratio as a fraction of 2^64, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64, a bijection in which every input bit affects every output bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The purposes of random numbers. The second word of a key names one, so that each purpose has its
/// own sequence.
///
/// ```
/// use splade_data::random::{Permutation, Random, Stream};
///
/// let (seed, epoch) = (42, 3);
/// let order = Permutation::new(100, &[seed, Stream::ORDER, epoch]);
/// let draw = Random::new(&[seed, Stream::SPLIT, 7]).share();
/// assert!(order.at(0) < 100 && draw < 1.0);
/// ```
#[derive(Debug)]
pub enum Stream {}

impl Stream {
    /// The purpose of choosing the held-out samples.
    pub const SPLIT: u64 = 1;
    /// The purpose of ordering the samples of an epoch.
    pub const ORDER: u64 = 2;
    /// The purpose of drawing documents for a query.
    pub(crate) const DRAW: u64 = 3;
    /// The purpose of choosing the values that dropout sets to zero.
    pub const DROPOUT: u64 = 4;
    /// The purpose of choosing the first cut of a corpus in an epoch.
    pub const CUT: u64 = 5;
    /// The purpose of choosing the masked tokens and their replacements.
    pub const MASK: u64 = 6;
    /// The purpose of initializing the weights of a new model.
    pub const WEIGHTS: u64 = 7;
    /// The purpose of cutting queries out of the texts of a corpus.
    pub(crate) const CUT_PAIRS: u64 = 8;
}

/// Returns a hash of a list of numbers, which depends on their order and on the length of the list.
///
/// ```
/// use splade_data::random::{hash};
///
/// assert_eq!(hash(&[42, 1]), hash(&[42, 1]));
/// assert_ne!(hash(&[42, 1]), hash(&[1, 42]));
/// ```
pub fn hash(words: &[u64]) -> u64 {
    let start = mix(words.len() as u64 ^ GAMMA);
    words.iter().fold(start, |state, word| mix(state.wrapping_add(GAMMA) ^ mix(*word)))
}

/// A sequence of random numbers that is determined by a key.
///
/// ```
/// use splade_data::random::{Random};
///
/// let mut random = Random::new(&[42]);
/// let dice: Vec<usize> = (0..5).map(|_| 1 + random.below(6)).collect();
/// assert!(dice.iter().all(|number| (1..=6).contains(number)));
/// assert_eq!(random.choose(3, 100).len(), 3);
/// ```
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Creates the sequence of a key.
    pub fn new(key: &[u64]) -> Self {
        Self { state: hash(key) }
    }

    /// Returns the next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Returns a number below `bound`, uniformly distributed (Lemire, "Fast random integer
    /// generation in an interval", 2019).
    ///
    /// # Panics
    /// Panics if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "a bound of 0 allows no number");
        let bound = bound as u64;
        // This many of the 2^64 products would make some results more likely than others.
        let unfair = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= unfair {
                return (product >> 64) as usize;
            }
        }
    }

    /// Returns a number from 0, inclusive, to 1, exclusive.
    pub fn share(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns `count` distinct numbers below `bound` in random order, or all of them if `bound` is
    /// smaller than `count`.
    pub fn choose(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..bound).collect();
        let count = count.min(bound);
        for i in 0..count {
            all.swap(i, i + self.below(bound - i));
        }
        all.truncate(count);
        all
    }
}

/// The number of rounds of the Feistel network. Four rounds are enough for large ranges; small
/// ranges need more to look random.
const ROUNDS: usize = 8;

/// A permutation of `0..len` that is determined by a key. Nothing is stored for its elements.
///
/// ```
/// use splade_data::random::{Permutation};
///
/// let order = Permutation::new(100, &[42]);
/// let mut all: Vec<usize> = (0..100).map(|position| order.at(position)).collect();
/// all.sort();
/// assert!(all.into_iter().eq(0..100));
/// ```
#[derive(Debug, Clone)]
pub struct Permutation {
    len: u64,
    /// The number of bits in one half of the network.
    bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// Creates the permutation of `0..len` for a key.
    pub fn new(len: usize, key: &[u64]) -> Self {
        let len = len as u64;
        // The network permutes 4^bits numbers, at most four times as many as `len`.
        let bits = (64 - len.saturating_sub(1).leading_zeros()).div_ceil(2).max(1);
        let mut random = Random::new(key);
        Self { len, bits, keys: std::array::from_fn(|_| random.next_u64()) }
    }

    /// Returns the number at a position.
    ///
    /// # Panics
    /// Panics if the position is not below the length.
    pub fn at(&self, position: usize) -> usize {
        let mut x = position as u64;
        assert!(x < self.len, "position {position} of {}", self.len);
        loop {
            x = self.encrypt(x);
            if x < self.len {
                return x as usize;
            }
        }
    }

    fn encrypt(&self, x: u64) -> u64 {
        let mask = (1 << self.bits) - 1;
        let (mut left, mut right) = (x >> self.bits, x & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(key ^ right) & mask));
        }
        left << self.bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns Pearson's chi-square statistic of counts that should all be equal.
    fn chi_square(counts: &[u32]) -> f64 {
        let mean = counts.iter().sum::<u32>() as f64 / counts.len() as f64;
        counts.iter().map(|c| (f64::from(*c) - mean).powi(2) / mean).sum()
    }

    /// Returns a value far in the tail of the chi-square distribution: the probability of a larger
    /// one is below one in 10^6 by the normal limit.
    fn limit(degrees: usize) -> f64 {
        degrees as f64 + 5.0 * (2.0 * degrees as f64).sqrt()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The expected numbers are those of the authors' reference program for the seed 1234567.
        let mut random = Random { state: 1_234_567 };
        let got: [u64; 5] = std::array::from_fn(|_| random.next_u64());
        let want = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn draws_are_uniform() {
        for bound in [1, 2, 3, 7, 10, 33] {
            let mut counts = vec![0; bound];
            for query in 0..20_000 {
                counts[Random::new(&[5, 1, query]).below(bound)] += 1;
            }
            let got = chi_square(&counts);
            assert!(got <= limit(bound - 1), "{bound}: {got}");
        }
    }

    #[test]
    fn every_choice_is_as_likely() {
        let mut counts = vec![0; 5 * 5 * 5];
        for query in 0..60_000 {
            let chosen = Random::new(&[9, query]).choose(3, 5);
            counts[chosen.iter().fold(0, |index, c| index * 5 + c)] += 1;
        }
        counts.retain(|count| *count > 0);
        assert_eq!(counts.len(), 5 * 4 * 3, "no number is chosen twice");
        assert!(chi_square(&counts) < limit(counts.len() - 1));
        let mut all = Random::new(&[1]).choose(9, 4);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }

    #[test]
    fn every_position_gets_every_number_as_often() {
        for len in [2, 3, 5, 10, 17] {
            let mut counts = vec![0; len * len];
            // Pairs of consecutive numbers are counted as well, because an order is more than its
            // single positions.
            let mut pairs = vec![0; len * len];
            for epoch in 0..20_000 {
                let order = Permutation::new(len, &[7, epoch]);
                for position in 0..len {
                    counts[position * len + order.at(position)] += 1;
                    if position > 0 {
                        pairs[order.at(position - 1) * len + order.at(position)] += 1;
                    }
                }
            }
            let got = chi_square(&counts);
            assert!(got < limit((len - 1) * (len - 1)), "{len}: {got}");
            pairs.retain(|count| *count > 0);
            assert_eq!(pairs.len(), len * (len - 1));
            let got = chi_square(&pairs);
            assert!(got < limit(pairs.len()), "{len}: {got}");
        }
    }

    #[test]
    fn large_permutations_mix_far_and_near() {
        let len = 1 << 20;
        let order = Permutation::new(len, &[3]);
        let mut counts = vec![0; 256];
        for position in 0..len / 16 {
            counts[order.at(position) * 16 / len * 16 + order.at(position) % 16] += 1;
        }
        assert!(chi_square(&counts) < limit(255));
    }

    #[test]
    fn the_key_decides() {
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[0]), hash(&[0, 0]));
        let order = |key: &[u64]| {
            let order = Permutation::new(100, key);
            (0..100).map(|i| order.at(i)).collect::<Vec<_>>()
        };
        assert_eq!(order(&[1, 2]), order(&[1, 2]));
        assert_ne!(order(&[1, 2]), order(&[1, 3]));
    }

    proptest! {
        #[test]
        fn it_is_a_permutation(len in 0usize..3000, key: u64) {
            let order = Permutation::new(len, &[key]);
            let mut seen = vec![false; len];
            for position in 0..len {
                let value = order.at(position);
                prop_assert!(!seen[value]);
                seen[value] = true;
            }
        }

        #[test]
        fn it_works_at_any_size(len in 1usize.., key: u64, position: prop::sample::Index) {
            prop_assert!(Permutation::new(len, &[key]).at(position.index(len)) < len);
        }
    }
}
