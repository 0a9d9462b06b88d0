//! Decoders of Elias-Fano lists. Two of them decode one word of upper bits at a time, together with
//! the low bits: a portable one and one with AVX-512 VBMI2. The one with AVX2 decodes the upper
//! bits of a whole list and then adds the low bits.

use super::bytes::u32_at;

/// A word of upper bits with the low bits of its numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) upper: u64,
    /// The high part that a one in bit 0 would have: the number of bits before the word minus the
    /// number of ones before it.
    pub(super) base: u16,
    /// The low bits, beginning with the byte that holds those of the first number; at least
    /// [`WINDOW`] bytes.
    pub(super) lows: &'a [u8],
    /// The bit of `lows` at which the low bits of the first number begin, below 8.
    pub(super) phase: u32,
    /// The number of low bits per number.
    pub(super) low_bits: u32,
}

/// The number of bytes that are loaded for the low bits of 32 numbers.
pub(super) const WINDOW: usize = 64;
/// The number of elements that decoding a word may write, including those after its numbers.
pub(super) const WRITTEN: usize = 64;

/// Writes the numbers of a word to `out`, one for each one of the word. The elements after them may
/// be overwritten too.
#[inline(always)]
pub(super) fn plain(word: Word<'_>, out: &mut [u16; WRITTEN]) {
    let mask = (1u32 << word.low_bits) - 1;
    let mut upper = word.upper;
    let mut bit = word.phase as usize;
    for (i, out) in out.iter_mut().enumerate().take(upper.count_ones() as usize) {
        let high = word.base.wrapping_add(upper.trailing_zeros() as u16).wrapping_sub(i as u16);
        let at = bit / 8;
        // The low bits from the 33rd number on may lie after the window; `lows` is padded for them.
        let low = u32_at(word.lows, at).unwrap_or(0) >> (bit % 8) & mask;
        *out = (u32::from(high) << word.low_bits) as u16 | low as u16;
        bit += word.low_bits as usize;
        upper &= upper - 1;
    }
}

/// For each byte, the positions of its ones.
pub(super) static ONES: [[u8; 8]; 256] = {
    let mut positions = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut ones) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                positions[byte][ones] = bit as u8;
                ones += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    positions
};

/// For each byte of upper bits, the position of each of its ones minus the number of ones before it:
/// the high part of a number relative to that of a number whose one is bit 0 of the byte.
#[cfg(target_arch = "x86_64")]
static HIGHS: [[u8; 8]; 256] = {
    let mut highs = ONES;
    let mut at = 0;
    while at < 256 * 8 {
        let (byte, ones) = (at / 8, at % 8);
        // What follows the last one of a byte is not read.
        highs[byte][ones] = highs[byte][ones].wrapping_sub(ones as u8);
        at += 1;
    }
    highs
};

/// Writes the high parts of the numbers of a word, already moved to their places above the low bits,
/// with AVX2. The low bits are zero; [`add_lows`] adds them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
#[inline]
pub(super) fn highs(upper: u64, base: u16, low_bits: u32, out: &mut [u16; WRITTEN]) {
    use std::arch::x86_64::{
        _mm_add_epi16, _mm_cvtepu8_epi16, _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm_set1_epi16,
        _mm_sll_epi16,
    };
    let shift = _mm_cvtsi32_si128(low_bits as i32);
    let mut ones = 0;
    for (at, byte) in upper.to_le_bytes().into_iter().enumerate() {
        let highs = u64::from_le_bytes(HIGHS[usize::from(byte)]);
        let highs = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(highs as i64));
        let base = base.wrapping_add(8 * at as u16).wrapping_sub(ones as u16);
        let numbers = _mm_sll_epi16(_mm_add_epi16(highs, _mm_set1_epi16(base as i16)), shift);
        // SAFETY: the bytes before this one have at most eight ones each, so that `ones` is at most
        // `8 * at`, which is at most 56. The eight numbers end within the 64 of `out`. The store may
        // be unaligned.
        #[allow(unsafe_code, reason = "an unaligned store of 16 bytes")]
        unsafe {
            std::ptr::write_unaligned(out.as_mut_ptr().add(ones).cast(), numbers);
        }
        ones += byte.count_ones() as usize;
    }
}

/// Adds the low bits to numbers that [`highs`] has written, with AVX2. `lows` holds the low bits of
/// the first number first. A last group of fewer than eight numbers is taken as eight.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn add_lows(low_bits: u32, lows: &[u8], numbers: &mut [u16]) {
    use std::arch::x86_64::{
        __m128i, _mm_or_si128, _mm_packus_epi32, _mm256_add_epi32, _mm256_and_si256,
        _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_extracti128_si256,
        _mm256_mullo_epi32, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_shuffle_epi8,
        _mm256_srli_epi32, _mm256_srlv_epi32,
    };
    // Eight numbers have `low_bits` bytes of low bits, so that every group of eight has the same form:
    // the low bits of a number begin in a byte of the group, at a bit of that byte. Numbers have at
    // most 15 low bits, which lie in three bytes; the fourth one may be any.
    let bits = _mm256_mullo_epi32(
        _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
        _mm256_set1_epi32(low_bits as i32),
    );
    let bytes = _mm256_add_epi32(
        _mm256_mullo_epi32(_mm256_srli_epi32::<3>(bits), _mm256_set1_epi32(0x0101_0101)),
        _mm256_set1_epi32(0x0302_0100),
    );
    let shifts = _mm256_and_si256(bits, _mm256_set1_epi32(7));
    let mask = _mm256_set1_epi32((1 << low_bits) - 1);
    for (group, numbers) in numbers.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let at = group * low_bits as usize;
        let Some(window) = lows.get(at..).and_then(<[u8]>::first_chunk::<16>) else { return };
        // SAFETY: `window` has 16 bytes and `numbers` has eight of 16 bits. Loads and stores may be
        // unaligned, and every bit pattern is a valid `__m128i`.
        #[allow(unsafe_code, reason = "unaligned loads and stores of 16 bytes")]
        unsafe {
            let window: __m128i = std::ptr::read_unaligned(window.as_ptr().cast());
            let parts = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(window), bytes);
            let parts = _mm256_and_si256(_mm256_srlv_epi32(parts, shifts), mask);
            let (first, last) =
                (_mm256_castsi256_si128(parts), _mm256_extracti128_si256::<1>(parts));
            let to: *mut __m128i = numbers.as_mut_ptr().cast();
            let high = std::ptr::read_unaligned(to);
            std::ptr::write_unaligned(to, _mm_or_si128(high, _mm_packus_epi32(first, last)));
        }
    }
}

/// Does the same as [`plain`] with AVX-512 VBMI2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2")]
#[inline]
pub(super) fn vbmi2(word: Word<'_>, out: &mut [u16; WRITTEN]) {
    use std::arch::x86_64::{
        __m512i, _mm_cvtsi32_si128, _mm512_add_epi16, _mm512_add_epi32, _mm512_and_si512,
        _mm512_castsi256_si512, _mm512_castsi512_si128, _mm512_castsi512_si256,
        _mm512_cvtepi32_epi16, _mm512_cvtepu8_epi16, _mm512_cvtepu8_epi32,
        _mm512_extracti32x4_epi32, _mm512_extracti64x4_epi64, _mm512_inserti64x4,
        _mm512_maskz_compress_epi8, _mm512_mullo_epi32, _mm512_or_si512, _mm512_permutexvar_epi8,
        _mm512_set1_epi16, _mm512_set1_epi32, _mm512_sll_epi16, _mm512_srli_epi32,
        _mm512_srlv_epi32, _mm512_sub_epi16,
    };
    const COUNT: [u8; 64] = {
        let mut count = [0; 64];
        let mut i = 0;
        while i < 64 {
            count[i] = i as u8;
            i += 1;
        }
        count
    };
    fn load(from: &[u8]) -> __m512i {
        assert!(from.len() >= 64);
        // SAFETY: `from` has at least 64 bytes, as asserted above, and the load may be unaligned.
        // Every bit pattern is a valid `__m512i`.
        #[allow(unsafe_code, reason = "an unaligned load of 64 bytes")]
        unsafe {
            std::ptr::read_unaligned(from.as_ptr().cast())
        }
    }
    let (l, mask) = (word.low_bits, _mm512_set1_epi32((1 << word.low_bits) - 1));
    let shift = _mm_cvtsi32_si128(l as i32);
    // The numbers 0, 1, 2, … in lanes of 8 bits, of 16 bits, and of 32 bits from 0 and from 16 on.
    let bytes = load(&COUNT);
    let words = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(bytes));
    let lanes = [
        _mm512_cvtepu8_epi32(_mm512_castsi512_si128(bytes)),
        _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32::<1>(bytes)),
    ];
    let positions = _mm512_maskz_compress_epi8(word.upper, bytes);
    let count = word.upper.count_ones() as usize;
    let halves = [_mm512_castsi512_si256(positions), _mm512_extracti64x4_epi64::<1>(positions)];
    for (half, positions) in halves.into_iter().enumerate().take(count.div_ceil(32)) {
        let first = half * 32;
        let bit = word.phase as usize + first * l as usize;
        let Some(window) = word.lows.get(bit / 8..bit / 8 + WINDOW) else { return };
        let window = load(window);
        let low16 = |numbers: __m512i| {
            // The position of each number's low bits in the window, as a byte and a shift.
            let lanes = _mm512_add_epi32(
                _mm512_mullo_epi32(numbers, _mm512_set1_epi32(l as i32)),
                _mm512_set1_epi32((bit % 8) as i32),
            );
            let bytes = _mm512_srli_epi32::<3>(lanes);
            let bytes = _mm512_add_epi32(
                _mm512_mullo_epi32(bytes, _mm512_set1_epi32(0x0101_0101)),
                _mm512_set1_epi32(0x0302_0100),
            );
            let parts = _mm512_permutexvar_epi8(bytes, window);
            let parts = _mm512_srlv_epi32(parts, _mm512_and_si512(lanes, _mm512_set1_epi32(7)));
            _mm512_cvtepi32_epi16(_mm512_and_si512(parts, mask))
        };
        let lows =
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low16(lanes[0])), low16(lanes[1]));
        let high = _mm512_sub_epi16(_mm512_cvtepu8_epi16(positions), words);
        let base = word.base.wrapping_sub(first as u16);
        let high = _mm512_add_epi16(high, _mm512_set1_epi16(base as i16));
        let docs = _mm512_or_si512(_mm512_sll_epi16(high, shift), lows);
        // SAFETY: `first` is 0 or 32, and `out` has 64 elements, so the 32 elements that are
        // written from `first` on lie inside it. The store may be unaligned.
        #[allow(unsafe_code, reason = "an unaligned store of 64 bytes")]
        unsafe {
            std::ptr::write_unaligned(out.as_mut_ptr().add(first).cast(), docs);
        }
    }
}
