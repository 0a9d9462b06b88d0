//! Sums compared many at a time: plain loops that are inlined into code with vector instructions.

/// Sums that are compared together.
const CHUNK: usize = 64;

/// How many sums are at least `least`.
#[inline(always)]
pub(super) fn count_at_least(sums: &[u16], least: u16) -> usize {
    let count = |chunk: &[u16]| {
        chunk.iter().map(|sum| u16::from(*sum >= least)).fold(0u16, u16::wrapping_add)
    };
    // A count of a chunk fits 16 bits.
    sums.chunks(1 << 12).map(|chunk| usize::from(count(chunk))).sum()
}

/// Calls `visit(place, sum)` for the sums that are at least `least`, in order.
#[inline(always)]
pub(super) fn at_least(sums: &[u16], mut least: u16, mut visit: impl FnMut(usize, u16)) {
    at_least_rising(sums, &mut least, |at, sum, _| visit(at, sum));
}

/// The same, where `visit` may raise `least` for the sums to come.
#[inline(always)]
pub(super) fn at_least_rising(
    sums: &[u16],
    least: &mut u16,
    mut visit: impl FnMut(usize, u16, &mut u16),
) {
    for (at, chunk) in sums.chunks(CHUNK).enumerate() {
        if chunk.iter().fold(0, |max: u16, sum| max.max(*sum)) < *least {
            continue;
        }
        for (i, sum) in chunk.iter().enumerate() {
            if *sum >= *least {
                visit(at * CHUNK + i, *sum, least);
            }
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
            at_least(&sums, least, |at, sum| got.push((at, sum)));
            prop_assert_eq!(count_at_least(&sums, least), want.len());
            prop_assert_eq!(got, want);
        }
    }
}
