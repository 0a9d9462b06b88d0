//! Numbers that dropout is drawn by.

/// The number of a text: by the seed, the step, the batch in the step and the text's ordinal in
/// the batch, and by nothing else, so that neither threads nor chunks change what is dropped.
pub(super) fn noise(seed: u64, step: u64, batch: usize, ordinal: usize) -> u64 {
    let mut hash = mix(seed);
    for value in [step, batch as u64, ordinal as u64] {
        hash = mix(hash ^ value);
    }
    hash
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): an increment, then a bijection that mixes.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of SplitMix64 seeded with 1234567, from its reference program.
    #[test]
    fn mixes_as_splitmix64() {
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let outputs: Vec<u64> =
            (0..3).map(|i: u64| mix(1_234_567_u64.wrapping_add(golden.wrapping_mul(i)))).collect();
        let want =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(outputs, want);
    }

    #[test]
    fn every_text_has_its_own() {
        let mut seen = std::collections::HashSet::new();
        for step in 0..20 {
            for batch in 0..4 {
                for ordinal in 0..30 {
                    assert!(seen.insert(noise(7, step, batch, ordinal)));
                }
            }
        }
        assert_ne!(noise(7, 0, 0, 0), noise(8, 0, 0, 0));
    }
}
