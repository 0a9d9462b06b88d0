//! An entropy coder for bytes: rANS with one static table of frequencies a block.
//!
//! J. Duda, "Asymmetric numeral systems", 2013 (<https://arxiv.org/abs/1311.2540>), section 3, in the form of
//! F. Giesen's `ryg_rans` with 16 bits at a time. A block takes as many bits as the entropy of its bytes says,
//! plus the table. The state is one number; a symbol of frequency `f` out of 4,096 multiplies it by `4096 / f`, and
//! the decoder undoes that in the opposite order, which is why the encoder begins with the last byte.
//!
//! # Format of a block
//!
//! | bytes | what |
//! |---|---|
//! | 1 | number of different bytes, less one |
//! | each: 1, 2 | the byte, its frequency less one |
//! | 4 | the state that the decoder starts with |
//! | 4 | number of 16-bit words that follow |
//! | 2 each | the words in the order in which the decoder takes them |

/// Frequencies of a block sum up to `1 << SCALE`.
const SCALE: u32 = 12;
const TOTAL: u32 = 1 << SCALE;
/// The state is kept at or above this: below it, 16 more bits are taken in. The encoder starts with it, so the
/// decoder must end with it.
const LOWEST: u32 = 1 << 16;

/// Appends the coded `block`, which must not be empty.
pub(crate) fn encode(block: &[u8], out: &mut Vec<u8>) {
    let frequencies = frequencies(block);
    let present = || (0..=255u8).filter(|byte| frequencies[usize::from(*byte)] > 0);
    out.push((present().count() - 1) as u8);
    let mut starts = [0; 256];
    let mut start = 0;
    for byte in present() {
        let frequency = frequencies[usize::from(byte)];
        out.push(byte);
        out.extend_from_slice(&((frequency - 1) as u16).to_le_bytes());
        starts[usize::from(byte)] = start;
        start += frequency;
    }
    let mut state = LOWEST;
    let mut words = Vec::new();
    for byte in block.iter().rev().map(|byte| usize::from(*byte)) {
        let frequency = frequencies[byte];
        // The largest state that stays within 32 bits when this byte is put in.
        if u64::from(state) >= u64::from(frequency) << (32 - SCALE) {
            words.push(state as u16);
            state >>= 16;
        }
        state = ((state / frequency) << SCALE) + state % frequency + starts[byte];
    }
    out.extend_from_slice(&state.to_le_bytes());
    out.extend_from_slice(&(words.len() as u32).to_le_bytes());
    out.extend(words.iter().rev().flat_map(|word| word.to_le_bytes()));
}

/// Fills `block` from the front of `coded` and moves `coded` behind it; `None` if the bytes are not a block of that
/// length.
pub(crate) fn decode(coded: &mut &[u8], block: &mut [u8]) -> Option<()> {
    let (&count, mut rest) = coded.split_first()?;
    /// A byte, its frequency, and how far into its range this slot is.
    #[derive(Clone, Copy, Default)]
    struct Slot {
        byte: u8,
        frequency: u16,
        offset: u16,
    }
    let mut slots = [Slot::default(); TOTAL as usize];
    let mut start = 0;
    for _ in 0..=count {
        let (&[byte, low, high], after) = rest.split_first_chunk()?;
        rest = after;
        let frequency = u16::from_le_bytes([low, high]).checked_add(1)?;
        let range = slots.get_mut(start..start + usize::from(frequency))?;
        for (offset, slot) in (0..).zip(range) {
            *slot = Slot { byte, frequency, offset };
        }
        start += usize::from(frequency);
    }
    let (state, after) = rest.split_first_chunk()?;
    let (words, after) = after.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*words)).ok()?.checked_mul(2)?;
    let (words, after) = after.split_at_checked(length)?;
    let mut state = u32::from_le_bytes(*state);
    let mut words = words.chunks_exact(2).map(|word| u16::from_le_bytes([word[0], word[1]]));
    if start != slots.len() || state < LOWEST {
        return None;
    }
    for byte in block {
        let slot = slots[(state % TOTAL) as usize];
        *byte = slot.byte;
        state = u32::from(slot.frequency) * (state >> SCALE) + u32::from(slot.offset);
        if state < LOWEST {
            state = state << 16 | u32::from(words.next()?);
        }
    }
    *coded = after;
    (state == LOWEST && words.next().is_none()).then_some(())
}

/// Counts scaled to a sum of `TOTAL`, at least one for each byte that occurs.
fn frequencies(block: &[u8]) -> [u32; 256] {
    let mut counts = [0u64; 256];
    for byte in block {
        counts[usize::from(*byte)] += 1;
    }
    let all = block.len() as u64;
    let mut scaled = counts.map(|count| match count {
        0 => 0,
        _ => ((count * u64::from(TOTAL) + all / 2) / all).max(1) as u32,
    });
    // Rounding has to be made up for: each unit where it costs, or saves, the most bits for its share.
    loop {
        let sum: u32 = scaled.iter().sum();
        let step: i32 = match sum.cmp(&TOTAL) {
            std::cmp::Ordering::Equal => return scaled,
            std::cmp::Ordering::Less => 1,
            std::cmp::Ordering::Greater => -1,
        };
        let bits = |byte: usize| {
            let frequency = f64::from(scaled[byte]);
            counts[byte] as f64 * ((frequency + f64::from(step)) / frequency).log2()
        };
        let best = (0..256)
            .filter(|byte| scaled[*byte] > u32::from(step < 0))
            .max_by(|a, b| bits(*a).total_cmp(&bits(*b)));
        let best = best.expect("256 bytes have a sum of at most 4,096 as ones");
        scaled[best] = scaled[best].checked_add_signed(step).expect("it was above one");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(block: &[u8]) -> Vec<u8> {
        let mut coded = Vec::new();
        encode(block, &mut coded);
        coded
    }

    fn decoded(coded: &[u8], length: usize) -> Option<Vec<u8>> {
        let mut rest = coded;
        let mut block = vec![0; length];
        decode(&mut rest, &mut block)?;
        rest.is_empty().then_some(block)
    }

    /// A linear congruential generator; each byte is the smallest of `skew` draws.
    fn drawn(length: usize, skew: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..length).map(|_| (0..skew).map(|_| draw()).min().unwrap_or(7)).collect()
    }

    #[test]
    fn blocks_come_back_at_their_entropy() {
        for (length, skew) in
            [(1, 1), (2, 0), (300, 0), (5_000, 1), (65_536, 1), (65_536, 4), (65_536, 40)]
        {
            let block = drawn(length, skew);
            let coded = coded(&block);
            assert!(decoded(&coded, length).as_ref() == Some(&block), "{length} of {skew}");
            let mut counts = [0f64; 256];
            block.iter().for_each(|byte| counts[usize::from(*byte)] += 1.0);
            let present = counts.iter().filter(|count| **count > 0.0);
            let bits: f64 = present.clone().map(|n| n * (length as f64 / n).log2()).sum();
            let table = 9.0 + 3.0 * present.count() as f64;
            // Frequencies in 4,096ths cost a little; the state and its last word some bytes.
            assert!((coded.len() as f64) < bits / 8.0 * 1.005 + table + 4.0, "{length} of {skew}");
        }
    }

    #[test]
    fn all_bytes_with_one_much_the_most() {
        let mut block: Vec<u8> = (0..=255).collect();
        block.extend(vec![9; 100_000]);
        assert!(decoded(&coded(&block), block.len()) == Some(block));
    }

    #[test]
    fn damaged_blocks_are_refused() {
        let block = drawn(500, 6);
        let coded = coded(&block);
        for length in 0..coded.len() {
            assert_eq!(decoded(&coded[..length], block.len()), None, "{length} bytes");
        }
        assert_eq!(decoded(&coded, block.len() - 1), None);
        assert_eq!(decoded(&coded, block.len() + 1), None);
        for at in 0..coded.len() {
            let mut damaged = coded.clone();
            damaged[at] = damaged[at].wrapping_add(97);
            // Another block or none, but no panic.
            assert_ne!(decoded(&damaged, block.len()), Some(block.clone()), "byte {at}");
        }
    }
}
