//! Pairs of texts: the special tokens around them, their token types, and their truncation.

/// The ids of two texts with the special tokens around them.
///
/// ```
/// use splade_text::{Tokenizer, TokenizerOptions};
///
/// # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-uncased");
/// let tokenizer = Tokenizer::from_dir(&folder, &TokenizerOptions::default())?;
/// let pair = tokenizer.encode_pair(("night", "the night train"), None)?;
/// assert_eq!(tokenizer.decode(&pair.ids, false), "[CLS] night [SEP] the night train [SEP]");
/// assert_eq!(pair.types, [0, 0, 0, 1, 1, 1, 1]);
/// # Ok::<(), splade_text::TextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEncoding {
    /// The ids, including those of special tokens.
    pub ids: Vec<u32>,
    /// The token type of each id, which tells models with token types which text it belongs to.
    pub types: Vec<u8>,
    /// Whether tokens were cut off.
    pub truncated: bool,
}

/// The template `prefix A infix B suffix`, in which each special token has a type.
#[derive(Debug, Clone)]
pub(crate) struct PairTemplate {
    pub(crate) prefix: Vec<(u32, u8)>,
    pub(crate) infix: Vec<(u32, u8)>,
    pub(crate) suffix: Vec<(u32, u8)>,
    /// The types of the tokens of the two texts.
    pub(crate) types: (u8, u8),
}

impl PairTemplate {
    /// Returns BERT's template `[CLS] A [SEP] B [SEP]`, given the ids around a single text.
    pub(crate) fn bert((before, after): &(Vec<u32>, Vec<u32>)) -> Self {
        let typed = |ids: &[u32], kind: u8| ids.iter().map(|id| (*id, kind)).collect();
        let (prefix, infix, suffix) = (typed(before, 0), typed(after, 0), typed(after, 1));
        Self { prefix, infix, suffix, types: (0, 1) }
    }

    /// Sets the types of all tokens to 0.
    pub(crate) fn clear_types(&mut self) {
        self.types = (0, 0);
        for (_, kind) in [&mut self.prefix, &mut self.infix, &mut self.suffix].into_iter().flatten()
        {
            *kind = 0;
        }
    }

    /// Returns the number of special tokens.
    pub(crate) fn special(&self) -> usize {
        self.prefix.len() + self.infix.len() + self.suffix.len()
    }

    /// Returns the ids of the special tokens.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs().map(|(id, _)| *id)
    }

    /// Returns the largest token type.
    pub(crate) fn max_type(&self) -> u8 {
        let special = self.runs().map(|(_, kind)| *kind).max().unwrap_or(0);
        special.max(self.types.0).max(self.types.1)
    }

    fn runs(&self) -> impl Iterator<Item = &(u32, u8)> {
        [&self.prefix, &self.infix, &self.suffix].into_iter().flatten()
    }

    /// Joins the ids of two texts by the template.
    pub(crate) fn apply(&self, a: &[u32], b: &[u32], truncated: bool) -> PairEncoding {
        let typed = |ids: &[u32], kind: u8| -> Vec<(u32, u8)> {
            ids.iter().map(|id| (*id, kind)).collect()
        };
        let (a, b) = (typed(a, self.types.0), typed(b, self.types.1));
        let all = [&self.prefix[..], &a, &self.infix, &b, &self.suffix].concat();
        let (ids, types) = all.into_iter().unzip();
        PairEncoding { ids, types, truncated }
    }
}

/// The rule for the odd token if both texts are cut to half of the room. The fast and the slow
/// tokenizers of transformers differ in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shares {
    /// The text that was longer keeps it, or the second if both were equally long (fast).
    LongerHasMore,
    /// The first text keeps it (slow).
    FirstHasMore,
}

impl Shares {
    /// Returns the number of tokens that two texts of the given lengths keep in `room`.
    pub(crate) fn of(self, (a, b): (usize, usize), room: usize) -> (usize, usize) {
        if a.saturating_add(b) <= room {
            return (a, b);
        }
        let (less, more) = (room / 2, room - room / 2);
        let first_has_more = self == Self::FirstHasMore || a > b;
        match (a.min(b) <= less, a > b) {
            (true, true) => (room - b, b),
            (true, false) => (a, room - a),
            (false, _) if first_has_more => (more, less),
            (false, _) => (less, more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Truncates one token at a time, as transformers' slow tokenizers do.
    fn slow((mut a, mut b): (usize, usize), room: usize) -> (usize, usize) {
        while a + b > room {
            if a > b { a -= 1 } else { b -= 1 }
        }
        (a, b)
    }

    #[test]
    fn the_longer_text_is_shortened() {
        for a in 0..14 {
            for b in 0..14 {
                for room in 0..30 {
                    let case = ((a, b), room);
                    let first = Shares::FirstHasMore.of(case.0, room);
                    assert_eq!(first, slow(case.0, room), "{case:?}");
                    // The other rule differs in the odd token only.
                    let longer = Shares::LongerHasMore.of(case.0, room);
                    assert_eq!(first.0 + first.1, longer.0 + longer.1, "{case:?}");
                    assert!(longer.0 <= a && longer.1 <= b && longer.0.abs_diff(first.0) <= 1);
                    if longer != first {
                        assert!(a <= b && longer.0 + 1 == longer.1, "{case:?}");
                    }
                }
            }
        }
    }
}
