//! The neutral form of a dictionary, with only what segmentation needs.
//!
//! The features of words (readings and lemmas, 158 of unidic-lite's 188 MB) are dropped. Words of
//! one surface that share both context classes are reduced to the cheapest one, and context classes
//! whose rows or columns of the connection matrix are equal are merged. Neither can change a path.

/// The number of code points in the character table.
pub(crate) const CHARS: usize = 1 << 16;

/// The limit of the length of all surfaces in bytes. NEologd, the largest dictionary, has about 100
/// MB.
pub(crate) const MAX_SURFACES: usize = 1 << 28;

/// One reading of a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The class towards the previous word, which is a row of the matrix.
    pub(crate) left: u16,
    /// The class towards the next word, which is a column of the matrix.
    pub(crate) right: u16,
    /// The cost of the word itself.
    pub(crate) cost: i16,
}

/// The character class of a code point in MeCab's bit layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CharInfo(pub(crate) u32);

impl CharInfo {
    /// Returns the bit set of the categories.
    fn categories(self) -> u32 {
        self.0 & 0x3_ffff
    }

    /// Returns the category whose unknown words a character may start.
    pub(crate) fn default_category(self) -> usize {
        ((self.0 >> 18) & 0xff) as usize
    }

    /// Returns the number of characters up to which unknown words are made.
    pub(crate) fn max_len(self) -> usize {
        ((self.0 >> 26) & 15) as usize
    }

    /// Returns whether a whole run of the category is an unknown word.
    pub(crate) fn groups(self) -> bool {
        (self.0 >> 30) & 1 != 0
    }

    /// Returns whether unknown words are made even if a known word starts at the same position.
    pub(crate) fn always(self) -> bool {
        (self.0 >> 31) & 1 != 0
    }

    /// Returns whether two classes share a category.
    pub(crate) fn shares(self, other: CharInfo) -> bool {
        self.categories() & other.categories() != 0
    }
}

/// Everything that segmentation needs of a dictionary.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The connection costs, `(left classes, right classes)`: the cost of two neighbours by the
    /// left class of the second and the right class of the first.
    pub(crate) matrix: Vec<i16>,
    pub(crate) right_classes: usize,
    /// The right class of the start of a text.
    pub(crate) start_right: u16,
    /// The left class of the end of a text.
    pub(crate) end_left: u16,
    /// All surfaces in byte order, concatenated.
    pub(crate) surfaces: Vec<u8>,
    /// The end offset of each surface.
    pub(crate) surface_ends: Vec<u32>,
    /// The number of tokens of each surface, followed by that of the unknown words of each
    /// category.
    pub(crate) counts: Vec<u8>,
    pub(crate) tokens: Vec<Token>,
    /// The character class of each of the first [`CHARS`] code points.
    pub(crate) chars: Vec<u32>,
}

impl Parts {
    /// Returns the number of left classes.
    pub(crate) fn left_classes(&self) -> usize {
        self.matrix.len() / self.right_classes.max(1)
    }

    /// Returns the number of character categories.
    pub(crate) fn categories(&self) -> usize {
        self.counts.len() - self.surface_ends.len()
    }

    /// Returns the surfaces in byte order.
    pub(crate) fn surfaces(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.surface_ends.iter().copied());
        starts
            .zip(&self.surface_ends)
            .map(|(start, end)| &self.surfaces[start as usize..*end as usize])
    }

    /// Checks every index that the search relies on.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (left, right) = (self.left_classes(), self.right_classes);
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        ensure(right > 0 && self.matrix.len() == left * right, "the matrix is not rectangular")?;
        ensure(left <= 1 << 16 && right <= 1 << 16, "too many context classes")?;
        ensure(
            usize::from(self.start_right) < right,
            "the class of the start of a text is out of range",
        )?;
        ensure(
            usize::from(self.end_left) < left,
            "the class of the end of a text is out of range",
        )?;
        ensure(self.chars.len() == CHARS, "the character table has the wrong length")?;
        ensure(self.counts.len() >= self.surface_ends.len(), "there are surfaces without tokens")?;
        let total: usize = self.counts.iter().map(|count| usize::from(*count)).sum();
        ensure(
            total == self.tokens.len() && total < 1 << 24,
            "the tokens do not match their counts",
        )?;
        let known = |t: &Token| usize::from(t.left) < left && usize::from(t.right) < right;
        ensure(self.tokens.iter().all(known), "a token has an unknown class")?;
        let category = |c: &u32| CharInfo(*c).default_category() < self.categories();
        ensure(self.chars.iter().all(category), "a character has an unknown category")?;
        let unknown = &self.counts[self.surface_ends.len()..];
        ensure(unknown.iter().all(|count| *count > 0), "a category has no unknown words")?;
        let ascend = self.surface_ends.is_sorted_by(|a, b| a < b)
            && self.surface_ends.first().is_none_or(|end| *end > 0)
            && self.surface_ends.last().copied().unwrap_or(0) as usize == self.surfaces.len();
        ensure(ascend, "the surfaces have wrong ends")?;
        ensure(self.surfaces().is_sorted_by(|a, b| a < b), "the surfaces are out of order")?;
        let text = self.surfaces().all(|surface| std::str::from_utf8(surface).is_ok());
        ensure(text, "a surface is not UTF-8")
    }
}

#[cfg(test)]
impl Parts {
    /// Returns a dictionary of three words and one category, in which `ab` is cheaper as one word
    /// than as two.
    pub(crate) fn sample() -> Self {
        let token = |left, right, cost| Token { left, right, cost };
        // The blank is the only character of its category. Every other character is of category 0
        // and starts unknown words of one character.
        let class = 1 | 1 << 26;
        Self {
            matrix: vec![0, 5, 10, 20, -3, 7],
            right_classes: 3,
            start_right: 0,
            end_left: 1,
            surfaces: "aabb雨".into(),
            surface_ends: vec![1, 3, 4, 7],
            counts: vec![1, 2, 1, 1, 1],
            tokens: vec![
                token(0, 1, 100),
                token(1, 2, 150),
                token(0, 2, 90),
                token(1, 1, 100),
                token(0, 0, 50),
                token(1, 0, 3000),
            ],
            chars: (0..CHARS).map(|c| if c == 0x20 { 2 } else { class }).collect(),
        }
    }
}
