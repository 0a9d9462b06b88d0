//! Stateless dropout (Srivastava et al. 2014). Whether a number is dropped is a function of a key
//! and of its place in its text, so that a backward pass, or a second forward pass over a part of
//! the batch, drops the same numbers.
#![allow(unsafe_code, reason = "kernels are compiled for every instruction set")]

use crate::parallel::{Shared, for_each};
use crate::simd::{Isa, Simd, simd_function};

/// Dropout with a fixed rate. Numbers that are kept are divided by the probability of keeping them.
///
/// ```
/// use splade_nn::{Dropout, Isa, KeyedTexts};
///
/// let dropout = Dropout::new(0.5).expect("a rate above zero");
/// let texts = KeyedTexts { offsets: &[0, 1], keys: &[42] };
/// let mut numbers = [1.0; 64];
/// dropout.apply(Isa::detect(), &texts, 0, &mut numbers);
/// // What is kept is doubled, and the same numbers are dropped every time.
/// assert!(numbers.iter().all(|number| [0.0, 2.0].contains(number)));
/// let mut again = [1.0; 64];
/// dropout.apply(Isa::detect(), &texts, 0, &mut again);
/// assert_eq!(numbers, again);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// The bound of the hash below which a number is dropped.
    threshold: u32,
    /// The factor of the numbers that are kept: `1 / (1 - rate)`.
    pub(crate) scale: f32,
}

/// Texts packed one after another, each with the key of its dropout.
///
/// ```
/// use splade_nn::{Attention, Isa, KeyedTexts};
///
/// // Two texts, of one token and of two. Nothing is dropped, so they need no keys.
/// let texts = KeyedTexts { offsets: &[0, 1, 3], keys: &[] };
/// let attention = Attention { heads: 1, head_dim: 1, scale: 1.0, window: None };
/// let qkv = [0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 4.0];
/// let mut context = [0.0; 3];
/// attention.forward_dropped(Isa::detect(), &qkv, &texts, None, 0, &mut context);
/// assert_eq!(context, [1.0, 3.0, 3.0]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct KeyedTexts<'a> {
    /// The index of each text's first token, followed by the number of tokens.
    pub offsets: &'a [usize],
    /// The key of each text; may be empty if nothing is dropped.
    pub keys: &'a [u64],
}

impl KeyedTexts<'_> {
    /// Returns the key of a text for one place of the model, counted from 0.
    pub(crate) fn key(&self, text: usize, place: u32) -> u64 {
        mix(self.keys[text] ^ (u64::from(place) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

impl Dropout {
    /// Returns the dropout with the given rate, or `None` if the rate is 0.
    ///
    /// # Panics
    ///
    /// Panics if `rate` is not in `0.0..1.0`.
    pub fn new(rate: f64) -> Option<Self> {
        assert!((0.0..1.0).contains(&rate), "the dropout rate {rate} is not in 0..1");
        let threshold = (rate * 4_294_967_296.0) as u32;
        (rate > 0.0).then(|| Self { threshold, scale: (1.0 / (1.0 - rate)) as f32 })
    }

    /// Drops numbers of `x`, `(tokens, width)`, in place. Applying it to gradients with the same
    /// arguments is the backward pass. `place` is a number that distinguishes the places of a model
    /// that drop.
    ///
    /// # Panics
    ///
    /// Panics if `offsets` does not ascend, if a text has no key, or if `x` is not a whole number of
    /// token rows.
    pub fn apply(self, isa: Isa, texts: &KeyedTexts<'_>, place: u32, x: &mut [f32]) {
        let tokens = *texts.offsets.last().expect("offsets have at least one entry");
        assert!(texts.offsets.is_sorted(), "offsets must ascend");
        assert!(texts.keys.len() + 1 == texts.offsets.len(), "every text needs a key");
        let width = x.len().checked_div(tokens).unwrap_or(0);
        assert!(x.len() == width * tokens, "x must consist of whole rows");
        let to = Shared(x.as_mut_ptr());
        for_each(true, texts.keys.len(), |text| {
            let (first, end) = (texts.offsets[text], texts.offsets[text + 1]);
            // SAFETY: `x` has `tokens * width` floats. The offsets ascend and end at `tokens`, so each
            // call accesses only the rows of its own text, which exist.
            let row = unsafe {
                let start = to.pointer().add(first * width);
                std::slice::from_raw_parts_mut(start, (end - first) * width)
            };
            self.run(isa, texts.key(text, place), 0, row);
        });
    }

    /// Drops numbers of `x`; the first one is number `first` of those under the key.
    pub(crate) fn run(self, isa: Isa, key: u64, first: u32, x: &mut [f32]) {
        // SAFETY: the kernel has no precondition beyond the CPU's support, which `isa` guarantees.
        unsafe { drop_some(isa, self, key, first, x) }
    }
}

simd_function! {
    /// # Safety
    ///
    /// There is no precondition; the function is unsafe only because [`simd_function!`] makes it
    /// so.
    fn drop_some(dropout: Dropout, key: u64, first: u32, x: &mut [f32]) = drop_some_kernel;
}

/// # Safety
///
/// The CPU must support `S`.
#[inline(always)]
unsafe fn drop_some_kernel<S: Simd>(dropout: Dropout, key: u64, first: u32, x: &mut [f32]) {
    let (low, high) = (key as u32, (key >> 32) as u32);
    for (i, x) in x.iter_mut().enumerate() {
        // The hash is two rounds of MurmurHash3's finalizer with one half of the key in each.
        let mut h = first.wrapping_add(i as u32).wrapping_mul(0x9E37_79B9) ^ low;
        h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
        h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35) ^ high;
        h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
        h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        h ^= h >> 16;
        *x *= if h < dropout.threshold { 0.0 } else { dropout.scale };
    }
}

/// Mixes the bits of a number with SplitMix64's finalizer.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_dropped_and_the_rest_scaled_up() {
        let dropout = Dropout::new(0.1).expect("above 0");
        let keys = [1, 2, 1];
        let texts = KeyedTexts { offsets: &[0, 100, 250, 350], keys: &keys };
        for isa in Isa::supported() {
            let mut x = vec![1.0f32; 350 * 64];
            dropout.apply(isa, &texts, 3, &mut x);
            let dropped = x.iter().filter(|x| **x == 0.0).count() as f64 / x.len() as f64;
            // There are 22,400 draws, so the standard deviation is .002.
            assert!((dropped - 0.1).abs() < 0.008, "{isa}: {dropped}");
            assert!(x.iter().all(|x| *x == 0.0 || *x == dropout.scale), "{isa}");
            // The same key and place drop the same numbers; another place drops others.
            assert_eq!(x[..6400], x[250 * 64..], "{isa}");
            let mut other = vec![1.0f32; 350 * 64];
            dropout.apply(isa, &texts, 4, &mut other);
            let both = x.iter().zip(&other).filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
            // A tenth of a tenth is expected if they are independent: 224, with a standard
            // deviation of 15.
            assert!((150..300).contains(&both), "{isa}: {both}");
        }
    }
}
