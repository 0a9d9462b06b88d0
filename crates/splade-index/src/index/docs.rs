//! The documents of a postings list: ascending numbers below 65,535 in Elias-Fano form.
//!
//! A number's high part is written in unary into the *upper* bits, its `low_bits` low bits as they
//! are (Elias 1974, Fano 1971; as an inverted index: Vigna, "Quasi-succinct indices", WSDM 2013). It
//! takes `low_bits + 1 + universe / (count · 2^low_bits)` bits a number, about two more than the
//! logarithm of the mean gap, is decoded in order by counting trailing zeros, and finds one number
//! without decoding the others: before the upper bits stand samples, for every 256th zero the
//! ones before it.

use super::bytes::{u16_at, u32_at, u64_at};
use super::decode::{self, WRITTEN, Word};

/// Documents of a range are numbered below this.
pub(super) const MAX_DOCS: usize = u16::MAX as usize;
/// Zeros between two samples.
const SAMPLE: usize = 256;
/// Bytes that must follow a list: they are read, not used.
pub(super) const PADDING: usize = decode::WINDOW;

/// The sizes of a list of `count` numbers below `universe`.
#[derive(Debug, Clone, Copy)]
struct Shape {
    low_bits: u32,
    samples: usize,
    upper_bytes: usize,
    low_bytes: usize,
}

impl Shape {
    fn of(count: usize, universe: usize) -> Self {
        let low_bits = (universe / count.max(1)).max(1).ilog2();
        let zeros = universe >> low_bits;
        let upper_bytes = (count + zeros + 1).div_ceil(8);
        let low_bytes = (count * low_bits as usize).div_ceil(8);
        Self { low_bits, samples: zeros / SAMPLE, upper_bytes, low_bytes }
    }

    fn bytes(self) -> usize {
        self.samples * 2 + self.upper_bytes + self.low_bytes
    }
}

/// Appends ascending numbers below `universe`, which is at most [`MAX_DOCS`].
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

/// Notes that `ones` ones stand before the `zeros`-th zero, if it is one that is sampled.
fn sample(samples: &mut [u8], zeros: usize, ones: usize) {
    if zeros.is_multiple_of(SAMPLE) {
        let at = (zeros / SAMPLE - 1) * 2;
        samples[at..at + 2].copy_from_slice(&(ones as u16).to_le_bytes());
    }
}

/// The numbers of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Docs<'a> {
    count: usize,
    low_bits: u32,
    samples: &'a [u8],
    /// The upper bits, and at least [`PADDING`] bytes more.
    upper: &'a [u8],
    upper_bytes: usize,
    /// The low bits, and at least [`PADDING`] bytes more.
    lows: &'a [u8],
}

impl<'a> Docs<'a> {
    /// The list at the start of `bytes`, and what follows it. None if it is cut off, or does not
    /// have [`PADDING`] bytes after it.
    pub(super) fn open(bytes: &'a [u8], count: usize, universe: usize) -> Option<(Self, &'a [u8])> {
        let shape = Shape::of(count, universe);
        if bytes.len() < shape.bytes() + PADDING {
            return None;
        }
        let (samples, upper) = bytes.split_at(shape.samples * 2);
        let lows = &upper[shape.upper_bytes..];
        let rest = &lows[shape.low_bytes..];
        let Shape { low_bits, upper_bytes, .. } = shape;
        Some((Self { count, low_bits, samples, upper, upper_bytes, lows }, rest))
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The low bits of the `i`-th number.
    #[inline(always)]
    fn low(&self, i: usize) -> usize {
        let bit = i * self.low_bits as usize;
        let word = u32_at(self.lows, bit / 8).unwrap_or(0);
        (word >> (bit % 8)) as usize & ((1 << self.low_bits) - 1)
    }

    /// All numbers, in a buffer that grows as it must. `word` writes the numbers of a word. Damaged
    /// bits give other numbers.
    #[inline(always)]
    pub(super) fn decode<'b>(
        &self,
        buffer: &'b mut Vec<u16>,
        word: impl Fn(Word<'_>, &mut [u16; WRITTEN]),
    ) -> &'b [u16] {
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
        &buffer[..self.count]
    }

    /// All numbers, in order.
    pub(super) fn to_vec(self) -> Vec<u16> {
        self.decode(&mut Vec::new(), decode::plain).to_vec()
    }

    /// Fetches the bytes where the list starts.
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        for bytes in [self.upper, self.lows] {
            prefetch(bytes, 0);
            prefetch(bytes, LINE);
        }
    }

    /// Fetches the bytes by which [`find`](Self::find) may come, were numbers spread evenly; gives
    /// the place at which the number were then.
    #[inline(always)]
    pub(super) fn prefetch_find(&self, doc: usize, universe: usize) -> usize {
        let at = doc * self.count / universe.max(1);
        prefetch(self.upper, ((doc >> self.low_bits) + at) / 8);
        prefetch(self.lows, at * self.low_bits as usize / 8);
        at
    }

    /// The place of a number among the others, if it is there.
    #[inline]
    pub(super) fn find(&self, doc: usize) -> Option<usize> {
        let high = doc >> self.low_bits;
        let low = doc & ((1 << self.low_bits) - 1);
        let start = self.after_zero(high)?;
        // Numbers of this high part are the ones that follow, in the order of their low parts.
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

    /// The bit after the `zeros`-th zero of the upper bits; 0 after none.
    #[inline]
    fn after_zero(&self, zeros: usize) -> Option<usize> {
        if zeros == 0 {
            return Some(0);
        }
        let sample = zeros / SAMPLE;
        // `left` zeros, the last of them wanted, from bit `at` on.
        let (mut at, mut left) = match sample {
            0 => (0, zeros),
            _ => {
                let ones = usize::from(u16_at(self.samples, sample * 2 - 2)?);
                // The bit of the sampled zero itself, which counts again.
                (ones + sample * SAMPLE - 1, zeros % SAMPLE + 1)
            }
        };
        loop {
            let byte = at / 8;
            if byte >= self.upper_bytes {
                return None;
            }
            let bits = 64 - at % 8;
            // Ones of the complement are zeros; those beyond the word are cut off.
            let mut word = !u64_at(self.upper, byte).unwrap_or(0) >> (at % 8);
            let count = word.count_ones() as usize;
            if count >= left {
                for _ in 1..left {
                    word &= word - 1;
                }
                return Some(at + word.trailing_zeros() as usize + 1);
            }
            left -= count;
            at += bits;
        }
    }

    /// 64 upper bits from a byte that is a multiple of eight; none beyond their end.
    #[inline(always)]
    fn upper_word(&self, at: usize) -> u64 {
        let word = u64_at(self.upper, at).unwrap_or(0);
        match self.upper_bytes - at {
            rest @ ..8 => word & ((1 << (rest * 8)) - 1),
            _ => word,
        }
    }
}

/// Bytes that are fetched together.
const LINE: usize = 64;

/// Fetches the bytes at a place into the cache, if they are there and the CPU can.
#[inline(always)]
pub(super) fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(byte) = bytes.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint about a byte that is there.
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
        if std::arch::is_x86_feature_detected!("avx512vbmi2") {
            let mut buffer = Vec::new();
            // SAFETY: the CPU has the instructions.
            #[allow(unsafe_code, reason = "a function with target features is called")]
            let got = list.decode(&mut buffer, |word, out| unsafe { decode::vbmi2(word, out) });
            assert_eq!(got, docs);
        }
        for (i, doc) in docs.iter().enumerate() {
            assert_eq!(list.find(usize::from(*doc)), Some(i), "{doc}");
            for near in [doc.wrapping_sub(1), doc + 1] {
                let at = docs.binary_search(&near).ok();
                assert_eq!(list.find(usize::from(near)), at, "{near}");
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
        // All at one end: runs of ones longer than a word.
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
