//! Dropout (Srivastava et al. 2014) without state: whether a number is kept is a function of a key
//! and of its place in its text, so that a backward pass, or a second forward pass of a part of the
//! batch, finds the same numbers dropped.
#![allow(unsafe_code, reason = "kernels are compiled for every instruction set")]

use crate::parallel::{Shared, for_each};
use crate::simd::{Isa, Simd, simd_function};

/// Drops numbers with a probability and divides the others by that of keeping them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// A number whose hash is below is dropped.
    threshold: u32,
    /// What the others are multiplied with.
    pub(crate) scale: f32,
}

/// Texts, packed one after another, each with the key of its dropout.
#[derive(Debug, Clone, Copy)]
pub struct KeyedTexts<'a> {
    /// The first token of each text and, last, the number of tokens.
    pub offsets: &'a [usize],
    /// One a text; none where nothing is dropped.
    pub keys: &'a [u64],
}

impl KeyedTexts<'_> {
    /// The key of a text in one place of the model, counted from 0.
    pub(crate) fn key(&self, text: usize, place: u32) -> u64 {
        mix(self.keys[text] ^ (u64::from(place) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

impl Dropout {
    /// Drops with this probability; none if it is 0.
    ///
    /// # Panics
    /// If `rate` is not in `0.0..1.0`.
    pub fn new(rate: f64) -> Option<Self> {
        assert!((0.0..1.0).contains(&rate), "a dropout of {rate}");
        let threshold = (rate * 4_294_967_296.0) as u32;
        (rate > 0.0).then(|| Self { threshold, scale: (1.0 / (1.0 - rate)) as f32 })
    }

    /// Drops numbers of `x`, `(tokens, width)`, in place; the same call on gradients is the
    /// backward pass. `place` tells apart the places of a model that drop.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn apply(self, isa: Isa, texts: &KeyedTexts<'_>, place: u32, x: &mut [f32]) {
        let tokens = *texts.offsets.last().expect("offsets have at least one entry");
        assert!(texts.keys.len() + 1 == texts.offsets.len(), "a text without a key");
        let width = x.len().checked_div(tokens).unwrap_or(0);
        assert!(x.len() == width * tokens, "token rows are cut off");
        let to = Shared(x.as_mut_ptr());
        for_each(true, texts.keys.len(), |text| {
            let (first, end) = (texts.offsets[text], texts.offsets[text + 1]);
            // SAFETY: each call has the rows of its own text.
            let row = unsafe {
                let start = to.pointer().add(first * width);
                std::slice::from_raw_parts_mut(start, (end - first) * width)
            };
            self.run(isa, texts.key(text, place), 0, row);
        });
    }

    /// Drops numbers of `x`, of which the first is number `first` of those under the key.
    pub(crate) fn run(self, isa: Isa, key: u64, first: u32, x: &mut [f32]) {
        // SAFETY: a slice is what it says.
        unsafe { drop_some(isa, self, key, first, x) }
    }
}

simd_function! {
    /// # Safety
    /// None: it is compiled for each instruction set, no more.
    fn drop_some(dropout: Dropout, key: u64, first: u32, x: &mut [f32]) = drop_some_kernel;
}

#[inline(always)]
unsafe fn drop_some_kernel<S: Simd>(dropout: Dropout, key: u64, first: u32, x: &mut [f32]) {
    let (low, high) = (key as u32, (key >> 32) as u32);
    for (i, x) in x.iter_mut().enumerate() {
        // Two rounds of MurmurHash3's finalizer, one half of the key in each.
        let mut h = first.wrapping_add(i as u32).wrapping_mul(0x9E37_79B9) ^ low;
        h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
        h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35) ^ high;
        h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
        h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        h ^= h >> 16;
        *x *= if h < dropout.threshold { 0.0 } else { dropout.scale };
    }
}

/// SplitMix64's finalizer.
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
            // 22,400 draws: a deviation of .002.
            assert!((dropped - 0.1).abs() < 0.008, "{isa}: {dropped}");
            assert!(x.iter().all(|x| *x == 0.0 || *x == dropout.scale), "{isa}");
            // The same key and places: the same dropped; another place: others.
            assert_eq!(x[..6400], x[250 * 64..], "{isa}");
            let mut other = vec![1.0f32; 350 * 64];
            dropout.apply(isa, &texts, 4, &mut other);
            let both = x.iter().zip(&other).filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
            // A tenth of a tenth if they are independent: 224, deviation 15.
            assert!((150..300).contains(&both), "{isa}: {both}");
        }
    }
}
