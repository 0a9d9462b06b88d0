//! The documents of a postings list: ascending numbers below 65,535 in Elias-Fano form.
//!
//! The high part of a number is written in unary into the *upper* bits, and its `low_bits` low bits
//! are stored unchanged (Elias 1974, Fano 1971; for an inverted index: Vigna, "Quasi-succinct
//! indices", WSDM 2013). A number takes `low_bits + 1 + universe / (count · 2^low_bits)` bits,
//! about two more than the logarithm of the mean gap. The list is decoded in order by counting
//! trailing zeros. One number can be found without decoding the others, because the upper bits are
//! preceded by samples: for every 256th zero, the number of ones before it.

use super::bytes::{u16_at, u32_at, u64_at};
use super::decode::{self, ONES, WRITTEN, Word};

/// The exclusive upper limit of the numbers of documents in a range.
pub(super) const MAX_DOCS: usize = u16::MAX as usize;
/// The number of zeros from one sample to the next.
const SAMPLE: usize = 256;
/// The number of bytes that must follow a list. Decoding reads them but does not use their values.
pub(super) const PADDING: usize = decode::WINDOW;

/// The sizes of the parts of a list, which follow from its length and the universe.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// The number of low bits per number.
    low_bits: u32,
    /// The number of samples, of two bytes each.
    samples: usize,
    upper_bytes: usize,
    low_bytes: usize,
}

impl Shape {
    /// Computes the sizes of a list of `count` numbers below `universe`.
    fn of(count: usize, universe: usize) -> Self {
        let low_bits = (universe / count.max(1)).max(1).ilog2();
        let zeros = universe >> low_bits;
        let upper_bytes = (count + zeros + 1).div_ceil(8);
        let low_bytes = (count * low_bits as usize).div_ceil(8);
        Self { low_bits, samples: zeros / SAMPLE, upper_bytes, low_bytes }
    }

    /// Returns the length of the whole list in bytes.
    fn bytes(self) -> usize {
        self.samples * 2 + self.upper_bytes + self.low_bytes
    }
}

/// Returns the length in bytes of a list of `count` numbers below `universe`.
pub(super) fn bytes(count: usize, universe: usize) -> usize {
    Shape::of(count, universe).bytes()
}

/// Appends a list of ascending numbers below `universe`, which is at most [`MAX_DOCS`].
pub(super) fn encode(docs: &[u16], universe: usize, out: &mut Vec<u8>) {
    let shape = Shape::of(docs.len(), universe);
    let start = out.len();
    out.resize(start + shape.bytes(), 0);
    let (samples, rest) = out[start..].split_at_mut(shape.samples * 2);
    let (upper, lows) = rest.split_at_mut(shape.upper_bytes);
    let mut zeros = 0;
    for (i, doc) in docs.iter().enumerate() {
        let high = usize::from(*doc) >> shape.low_bits;
        while zeros < high {
            zeros += 1;
            sample(samples, zeros, i);
        }
        let at = high + i;
        upper[at / 8] |= 1 << (at % 8);
        let low = u32::from(*doc) & ((1 << shape.low_bits) - 1);
        let bit = i * shape.low_bits as usize;
        for (byte, part) in lows[bit / 8..].iter_mut().zip((low << (bit % 8)).to_le_bytes()) {
            *byte |= part;
        }
    }
    while zeros < universe >> shape.low_bits {
        zeros += 1;
        sample(samples, zeros, docs.len());
    }
}

/// Stores that `ones` ones precede the `zeros`-th zero, if this zero is sampled.
fn sample(samples: &mut [u8], zeros: usize, ones: usize) {
    if zeros.is_multiple_of(SAMPLE) {
        let at = (zeros / SAMPLE - 1) * 2;
        samples[at..at + 2].copy_from_slice(&(ones as u16).to_le_bytes());
    }
}

/// The encoded documents of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Docs<'a> {
    count: usize,
    /// The share of the universe that is in the list, in units of 2^-16.
    density: usize,
    low_bits: u32,
    samples: &'a [u8],
    /// The upper bits, followed by at least [`PADDING`] bytes.
    upper: &'a [u8],
    upper_bytes: usize,
    /// The low bits, followed by at least [`PADDING`] bytes.
    lows: &'a [u8],
}

impl<'a> Docs<'a> {
    /// Opens the list at the start of `bytes`, and returns it with the bytes that follow it.
    /// Returns `None` if the list is cut off or is followed by fewer than [`PADDING`] bytes.
    pub(super) fn open(bytes: &'a [u8], count: usize, universe: usize) -> Option<(Self, &'a [u8])> {
        let shape = Shape::of(count, universe);
        if bytes.len() < shape.bytes() + PADDING {
            return None;
        }
        let (samples, upper) = bytes.split_at(shape.samples * 2);
        let lows = &upper[shape.upper_bytes..];
        let rest = &lows[shape.low_bytes..];
        let Shape { low_bits, upper_bytes, .. } = shape;
        let density = (count << 16) / universe.max(1);
        Some((Self { count, density, low_bits, samples, upper, upper_bytes, lows }, rest))
    }

    /// Returns the number of documents in the list.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns the low bits of the `i`-th number.
    #[inline(always)]
    fn low(&self, i: usize) -> usize {
        let bit = i * self.low_bits as usize;
        let word = u32_at(self.lows, bit / 8).unwrap_or(0);
        (word >> (bit % 8)) as usize & ((1 << self.low_bits) - 1)
    }

    /// Writes all numbers to the start of a buffer, which grows if necessary. `word` decodes the numbers of
    /// one word of upper bits. Damaged bits lead to other numbers but never to a panic.
    #[inline(always)]
    fn decode(&self, buffer: &mut Vec<u16>, word: impl Fn(Word<'_>, &mut [u16; WRITTEN])) {
        if buffer.len() < self.count + WRITTEN {
            buffer.resize(self.count + WRITTEN, 0);
        }
        let mut i = 0;
        for at in (0..self.upper_bytes).step_by(8) {
            let upper = self.upper_word(at);
            let bit = i * self.low_bits as usize;
            let (Some(out), Some(lows)) = (
                buffer.get_mut(i..).and_then(|out| out.first_chunk_mut()),
                self.lows.get(bit / 8..),
            ) else {
                break;
            };
            let base = (at * 8).wrapping_sub(i) as u16;
            let phase = (bit % 8) as u32;
            word(Word { upper, base, lows, phase, low_bits: self.low_bits }, out);
            i += upper.count_ones() as usize;
        }
    }

    /// Writes all numbers to the start of a buffer, which grows if necessary, on any CPU.
    pub(super) fn decode_plain(&self, buffer: &mut Vec<u16>) {
        self.decode(buffer, decode::plain)
    }

    /// Does the same as [`decode_plain`](Self::decode_plain) with AVX-512 VBMI2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(
        enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt,lzcnt"
    )]
    #[inline]
    pub(super) fn decode_vbmi2(&self, buffer: &mut Vec<u16>) {
        self.decode(buffer, |word, out| decode::vbmi2(word, out))
    }

    /// Does the same as [`decode_plain`](Self::decode_plain) with AVX2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    #[inline]
    pub(super) fn decode_avx2(&self, buffer: &mut Vec<u16>) {
        // The low bits are added once all high parts are there: a load that follows right after several
        // smaller stores to the same place would wait for them.
        let word = |word: Word<'_>, out: &mut [u16; WRITTEN]| {
            decode::highs(word.upper, word.base, word.low_bits, out);
        };
        self.decode(buffer, word);
        if self.low_bits > 0 {
            let groups = self.count.next_multiple_of(8);
            decode::add_lows(self.low_bits, self.lows, &mut buffer[..groups]);
        }
    }

    /// Decodes all numbers in ascending order.
    pub(super) fn to_vec(self) -> Vec<u16> {
        let mut docs = Vec::new();
        self.decode_plain(&mut docs);
        docs.truncate(self.count);
        docs
    }

    /// Prefetches the first bytes of the list into the cache.
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        for bytes in [self.upper, self.lows] {
            prefetch(bytes, 0);
            prefetch(bytes, LINE);
        }
    }

    /// Prefetches the bytes that [`find`](Self::find) would read if the numbers were spread evenly
    /// over the universe. Returns the place at which the number would then be.
    #[inline(always)]
    pub(super) fn prefetch_find(&self, doc: usize) -> usize {
        let at = (doc * self.density) >> 16;
        prefetch(self.upper, ((doc >> self.low_bits) + at) / 8);
        prefetch(self.lows, at * self.low_bits as usize / 8);
        at
    }

    /// Returns the place of a number in the list, or `None` if the list does not contain it.
    #[inline(always)]
    pub(super) fn find(&self, doc: usize) -> Option<usize> {
        let high = doc >> self.low_bits;
        let low = doc & ((1 << self.low_bits) - 1);
        let start = self.after_zero(high)?;
        // The following ones are the numbers with this high part, in the order of their low parts.
        let mut i = start.checked_sub(high)?;
        let mut at = start;
        loop {
            let byte = at / 8;
            if byte >= self.upper_bytes {
                return None;
            }
            let ones =
                (!(u64_at(self.upper, byte).unwrap_or(0) >> (at % 8))).trailing_zeros() as usize;
            let ones = ones.min(64 - at % 8);
            for _ in 0..ones {
                if i >= self.count {
                    return None;
                }
                match self.low(i).cmp(&low) {
                    std::cmp::Ordering::Less => i += 1,
                    std::cmp::Ordering::Equal => return Some(i),
                    std::cmp::Ordering::Greater => return None,
                }
            }
            if ones < 64 - at % 8 {
                return None;
            }
            at += ones;
        }
    }

    /// Returns the position of the bit after the `zeros`-th zero of the upper bits. For no zeros,
    /// this is 0.
    #[inline(always)]
    fn after_zero(&self, zeros: usize) -> Option<usize> {
        if zeros == 0 {
            return Some(0);
        }
        let sample = zeros / SAMPLE;
        // The search is for the last of the next `left` zeros from bit `at` on.
        let (mut at, mut left) = match sample {
            0 => (0, zeros),
            _ => {
                let ones = usize::from(u16_at(self.samples, sample * 2 - 2)?);
                // The search begins at the sampled zero itself, so this zero is counted again.
                (ones + sample * SAMPLE - 1, zeros % SAMPLE + 1)
            }
        };
        loop {
            let byte = at / 8;
            if byte >= self.upper_bytes {
                return None;
            }
            let bits = 64 - at % 8;
            // The ones of the complement are the zeros. The shift removes the bits before `at`.
            let word = !u64_at(self.upper, byte).unwrap_or(0) >> (at % 8);
            let count = word.count_ones() as usize;
            if count >= left {
                return Some(at + select(word, left as u32 - 1) as usize + 1);
            }
            left -= count;
            at += bits;
        }
    }

    /// Returns 64 upper bits from byte `at` on, which must be a multiple of eight. Bits beyond the
    /// end of the upper bits are 0.
    #[inline(always)]
    fn upper_word(&self, at: usize) -> u64 {
        let word = u64_at(self.upper, at).unwrap_or(0);
        match self.upper_bytes - at {
            rest @ ..8 => word & ((1 << (rest * 8)) - 1),
            _ => word,
        }
    }
}

/// Returns the position of the one of `word` that `before` ones precede. The word must have it.
///
/// The ones are counted in all bytes at once (Vigna, "Broadword implementation of rank/select
/// queries", WEA 2008), and a table has the positions within a byte.
#[inline(always)]
fn select(word: u64, before: u32) -> u32 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let pairs = word - (word >> 1 & (0x55 * EACH));
    let nibbles = (pairs & (0x33 * EACH)) + (pairs >> 2 & (0x33 * EACH));
    let bytes = (nibbles + (nibbles >> 4)) & (0x0f * EACH);
    // Byte i has the number of ones of the bytes 0 to i, which is at most 64.
    let ones = bytes.wrapping_mul(EACH);
    let not_more = (((u64::from(before) * EACH) | (0x80 * EACH)) - ones) & (0x80 * EACH);
    // The byte with the one comes after those with no more than `before` ones up to their end.
    let byte = not_more.count_ones().min(7);
    let earlier = (ones << 8) >> (8 * byte) & 0xff;
    let within = (u64::from(before) - earlier) as usize & 7;
    8 * byte + u32::from(ONES[(word >> (8 * byte) & 0xff) as usize][within])
}

/// The size of a cache line in bytes.
const LINE: usize = 64;

/// Prefetches the cache line at a place of `bytes`. Does nothing if the place is out of bounds or
/// the CPU is not an x86-64.
#[inline(always)]
pub(super) fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(byte) = bytes.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE, which has this instruction, is part of x86-64. The pointer comes from a
        // reference, and a prefetch changes nothing but the cache.
        #[allow(unsafe_code, reason = "a hint to the CPU")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_arch = "x86_64")]
    use std::arch::is_x86_feature_detected as has;

    fn lists() -> impl Strategy<Value = (Vec<u16>, usize)> {
        (1..=MAX_DOCS).prop_flat_map(|universe| {
            let docs = proptest::collection::btree_set(0..universe as u16, 0..300.min(universe));
            (docs.prop_map(|docs| docs.into_iter().collect()), Just(universe))
        })
    }

    fn check(docs: &[u16], universe: usize) {
        let mut bytes = vec![];
        encode(docs, universe, &mut bytes);
        let len = bytes.len();
        assert!(Docs::open(&bytes, docs.len(), universe).is_none(), "no padding");
        bytes.extend([0xff; PADDING]);
        let (list, rest) = Docs::open(&bytes, docs.len(), universe).expect("a list");
        assert_eq!(rest.len(), bytes.len() - len);
        assert_eq!(list.to_vec(), docs);
        #[cfg(target_arch = "x86_64")]
        if has!("avx2") && has!("bmi1") && has!("bmi2") && has!("popcnt") && has!("lzcnt") {
            let mut buffer = Vec::new();
            // SAFETY: The CPU has the features that the function requires, as was detected above.
            #[allow(unsafe_code, reason = "a function with target features is called")]
            unsafe {
                list.decode_avx2(&mut buffer);
            }
            assert_eq!(&buffer[..docs.len()], docs);
        }
        #[cfg(target_arch = "x86_64")]
        if has!("avx512vbmi2") {
            let mut buffer = Vec::new();
            // SAFETY: The CPU has AVX-512 VBMI2, as was detected above, and every CPU with it also
            // has AVX-512 F, BW, VL and VBMI, which are older.
            #[allow(unsafe_code, reason = "a function with target features is called")]
            unsafe {
                list.decode_vbmi2(&mut buffer);
            }
            assert_eq!(&buffer[..docs.len()], docs);
        }
        for (i, doc) in docs.iter().enumerate() {
            assert_eq!(list.find(usize::from(*doc)), Some(i), "{doc}");
            for near in [doc.wrapping_sub(1), doc + 1] {
                let at = docs.binary_search(&near).ok();
                assert_eq!(list.find(usize::from(near)), at, "{near}");
            }
        }
    }

    proptest! {
        #[test]
        fn ones_are_found(word in any::<u64>(), mask in any::<u64>()) {
            for word in [word, word & mask, word | mask, u64::MAX, 1, 1 << 63] {
                let ones = (0..64).filter(|bit| word >> bit & 1 == 1);
                for (before, bit) in ones.enumerate() {
                    prop_assert_eq!(select(word, before as u32), bit);
                }
            }
        }
    }

    #[test]
    fn dense_and_sparse_lists_come_back() {
        let all: Vec<u16> = (0..MAX_DOCS as u16).collect();
        check(&all, MAX_DOCS);
        check(&all[..1], 1);
        check(&[], 5);
        for step in [2, 3, 5, 64, 1000, 65_534] {
            check(&all.iter().copied().step_by(step).collect::<Vec<_>>(), MAX_DOCS);
        }
        // All numbers are at one end, so that there are runs of ones longer than a word.
        check(&all[60_000..], MAX_DOCS);
        check(&all[..5_000], MAX_DOCS);
    }

    proptest! {
        #[test]
        fn lists_come_back((docs, universe) in lists()) {
            check(&docs, universe);
        }

        #[test]
        fn damaged_lists_stay_in_bounds(
            (docs, universe) in lists(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = vec![];
            encode(&docs, universe, &mut bytes);
            bytes.extend([0; PADDING]);
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let (list, _) = Docs::open(&bytes, docs.len(), universe).expect("a list");
            assert_eq!(list.to_vec().len(), docs.len());
            for doc in 0..universe.min(1000) {
                assert!(list.find(doc).is_none_or(|i| i < docs.len()));
            }
        }
    }
}
