//! Functions that compare many accumulated sums with a threshold at once. They are plain loops that
//! the compiler vectorizes where they are inlined into code with vector instructions.

/// The number of sums that one comparison takes; each gives one bit of a mask.
pub(super) const CHUNK: usize = 32;

/// Returns a mask with a bit for each sum that is at least `least`.
#[inline(always)]
pub(super) fn plain(chunk: &[u16; CHUNK], least: u16) -> u32 {
    // Most chunks have no such sum, and the maximum of a chunk takes few vector instructions.
    if chunk.iter().fold(0, |max: u16, sum| max.max(*sum)) < least {
        return 0;
    }
    chunk.iter().enumerate().fold(0, |mask, (i, sum)| mask | u32::from(*sum >= least) << i)
}

/// Does the same as [`plain`] with AVX-512 BW.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn avx512(chunk: &[u16; CHUNK], least: u16) -> u32 {
    use std::arch::x86_64::{__m512i, _mm512_cmpge_epu16_mask, _mm512_set1_epi16};
    // SAFETY: The chunk is an array of 64 bytes, and the load may be unaligned. Every bit pattern
    // is a valid `__m512i`.
    #[allow(unsafe_code, reason = "an unaligned load of 64 bytes")]
    let sums: __m512i = unsafe { std::ptr::read_unaligned(chunk.as_ptr().cast()) };
    _mm512_cmpge_epu16_mask(sums, _mm512_set1_epi16(least as i16))
}

/// Does the same as [`plain`] with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn avx2(chunk: &[u16; CHUNK], least: u16) -> u32 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi16, _mm256_max_epu16, _mm256_movemask_epi8, _mm256_packs_epi16,
        _mm256_permute4x64_epi64, _mm256_set1_epi16,
    };
    // SAFETY: The chunk is an array of 64 bytes, which are two registers, and the load may be
    // unaligned. Every bit pattern is a valid `__m256i`.
    #[allow(unsafe_code, reason = "an unaligned load of 64 bytes")]
    let [low, high]: [__m256i; 2] = unsafe { std::ptr::read_unaligned(chunk.as_ptr().cast()) };
    let least = _mm256_set1_epi16(least as i16);
    // A sum is at least `least` if it is the larger of both.
    let reaches = |sums| _mm256_cmpeq_epi16(_mm256_max_epu16(sums, least), sums);
    // Packing works on halves of registers, so the four halves are put in order afterwards.
    let bytes = _mm256_packs_epi16(reaches(low), reaches(high));
    _mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(bytes)) as u32
}

/// Counts the sums that are at least `least`.
#[inline(always)]
pub(super) fn count_at_least(
    sums: &[u16],
    least: u16,
    mask: impl Fn(&[u16; CHUNK], u16) -> u32,
) -> usize {
    let (chunks, rest) = sums.as_chunks();
    let whole: u32 = chunks.iter().map(|chunk| mask(chunk, least).count_ones()).sum();
    whole as usize + rest.iter().filter(|sum| **sum >= least).count()
}

/// Calls `visit(place, sum)` for each sum that is at least `least`, in the order of places.
#[inline(always)]
pub(super) fn at_least(
    sums: &[u16],
    mut least: u16,
    mask: impl Fn(&[u16; CHUNK], u16) -> u32,
    mut visit: impl FnMut(usize, u16),
) {
    at_least_rising(sums, &mut least, mask, |at, sum, _| visit(at, sum));
}

/// Does the same as [`at_least`], but `visit` may raise `least` for the following sums.
#[inline(always)]
pub(super) fn at_least_rising(
    sums: &[u16],
    least: &mut u16,
    mask: impl Fn(&[u16; CHUNK], u16) -> u32,
    mut visit: impl FnMut(usize, u16, &mut u16),
) {
    let (chunks, rest) = sums.as_chunks();
    for (at, chunk) in chunks.iter().enumerate() {
        let mut mask = mask(chunk, *least);
        while mask != 0 {
            let i = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            if chunk[i] >= *least {
                visit(at * CHUNK + i, chunk[i], least);
            }
        }
    }
    for (i, sum) in rest.iter().enumerate() {
        if *sum >= *least {
            visit(chunks.len() * CHUNK + i, *sum, least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn scans_find_what_is_there(sums in proptest::collection::vec(0u16..500, 0..9000), least in 0u16..600) {
            let want: Vec<(usize, u16)> =
                sums.iter().copied().enumerate().filter(|(_, sum)| *sum >= least).collect();
            let mut got = Vec::new();
            at_least(&sums, least, plain, |at, sum| got.push((at, sum)));
            prop_assert_eq!(count_at_least(&sums, least, plain), want.len());
            prop_assert_eq!(got, want);
            #[cfg(target_arch = "x86_64")]
            for chunk in sums.as_chunks().0 {
                use std::arch::is_x86_feature_detected as has;
                if has!("avx2") {
                    // SAFETY: The CPU has AVX2, as was detected above.
                    #[allow(unsafe_code, reason = "a function with target features is called")]
                    let mask = unsafe { avx2(chunk, least) };
                    prop_assert_eq!(mask, plain(chunk, least));
                }
                if has!("avx512bw") {
                    // SAFETY: The CPU has AVX-512 BW, as was detected above, and so AVX-512 F.
                    #[allow(unsafe_code, reason = "a function with target features is called")]
                    let mask = unsafe { avx512(chunk, least) };
                    prop_assert_eq!(mask, plain(chunk, least));
                }
            }
        }
    }
}
