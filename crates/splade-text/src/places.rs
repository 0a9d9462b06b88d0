//! The places of tokens in their text, found by comparing the token strings with the text.
//!
//! Tokenizers change a text before they split it: they lower-case it, drop accents and control
//! characters, or decompose characters. Here, both the text and the tokens are reduced to what is
//! left after all of that, and compared from left to right. A token that is not found there, such as
//! an unknown one, has no place, and the next ones are looked for a little further on. So a place is
//! always one where the text reads as the token does.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What the strings of tokens consist of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// Characters; a piece within a word may have this prefix, such as `##`.
    Characters {
        /// The prefix, or an empty string.
        prefix: String,
    },
    /// Bytes of UTF-8, each written as a character (GPT-2's byte-level alphabet).
    Bytes,
}

/// The units of the text that are passed over to find the next token: those that a tokenizer drops.
const DROPPED: usize = 8;
/// The same after a token without a place, which may be a long unknown word.
const UNKNOWN: usize = 256;

/// A unit of a text, such as a character without its accents, and the bytes that it is from.
struct Unit {
    value: u32,
    start: usize,
    end: usize,
}

impl Pieces {
    /// Returns the byte ranges of tokens in their text; `None` for a token that is not found.
    pub(crate) fn places<'a>(
        &self,
        text: &str,
        tokens: impl Iterator<Item = &'a str>,
    ) -> Vec<Option<Range<usize>>> {
        let units = self.units(text);
        let (mut next, mut room) = (0, DROPPED);
        let place = |token: &str| {
            let values = self.values(token);
            let found = values.first().and_then(|_| {
                let starts = next..=units.len().checked_sub(values.len())?;
                starts.take(room + 1).find(|start| {
                    units[*start..].iter().zip(&values).all(|(unit, value)| unit.value == *value)
                })
            });
            let Some(first) = found else {
                // Nothing is to be seen of a token for a blank, and nothing is unknown then.
                room = if values.is_empty() { room } else { UNKNOWN };
                return None;
            };
            (next, room) = (first + values.len(), DROPPED);
            Some(units[first].start..units[next - 1].end)
        };
        tokens.map(place).collect()
    }

    fn units(&self, text: &str) -> Vec<Unit> {
        let chars = text.char_indices().map(|(start, c)| (c, start, start + c.len_utf8()));
        match self {
            Self::Characters { .. } => {
                let units = chars.flat_map(|(c, start, end)| {
                    reduced(c).map(move |value| Unit { value, start, end })
                });
                units.collect()
            }
            Self::Bytes => {
                let bytes = chars.flat_map(|(_, start, end)| {
                    let value = move |byte: &u8| Unit { value: u32::from(*byte), start, end };
                    text.as_bytes()[start..end].iter().map(value)
                });
                bytes.filter(|unit| !is_blank_byte(unit.value)).collect()
            }
        }
    }

    /// Returns the values of a token's units.
    fn values(&self, token: &str) -> Vec<u32> {
        match self {
            Self::Characters { prefix } => {
                let rest = token.strip_prefix(prefix.as_str()).filter(|rest| !rest.is_empty());
                // SentencePiece writes blanks as this.
                rest.unwrap_or(token).chars().filter(|c| *c != '▁').flat_map(reduced).collect()
            }
            Self::Bytes => {
                let bytes = token.chars().filter_map(byte_of).map(u32::from);
                bytes.filter(|byte| !is_blank_byte(*byte)).collect()
            }
        }
    }
}

/// Returns what is left of a character after everything that tokenizers do to it.
fn reduced(c: char) -> impl Iterator<Item = u32> {
    let left = std::iter::once(c).nfkd().filter(|c| !is_combining_mark(*c));
    let left = left.flat_map(char::to_lowercase).filter(|c| !is_combining_mark(*c));
    left.filter(|c| !c.is_whitespace() && !c.is_control()).map(u32::from)
}

fn is_blank_byte(byte: u32) -> bool {
    matches!(byte, 0x09..=0x0d | 0x20)
}

/// Returns the byte that a character of the byte-level alphabet represents. Printable bytes represent
/// themselves; the others follow from U+0100 on.
fn byte_of(c: char) -> Option<u8> {
    let own = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(c) {
        byte if own(byte) => u8::try_from(byte).ok(),
        other => {
            let at = other.checked_sub(0x100)?;
            let byte = (0..=0xffu32).filter(|byte| !own(*byte)).nth(at as usize)?;
            u8::try_from(byte).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places<'a>(prefix: &str, text: &'a str, tokens: &[&str]) -> Vec<Option<&'a str>> {
        let pieces = Pieces::Characters { prefix: prefix.to_owned() };
        let places = pieces.places(text, tokens.iter().copied());
        places.into_iter().map(|place| place.map(|range| &text[range])).collect()
    }

    #[test]
    fn tokens_are_found_in_what_the_text_was() {
        type Case<'a> = (&'a str, &'a [&'a str], &'a [Option<&'a str>]);
        let cases: [Case<'_>; 7] = [
            (
                "The naïve Café",
                &["the", "nai", "##ve", "cafe"],
                &[Some("The"), Some("naï"), Some("ve"), Some("Café")],
            ),
            ("ＴＲＡＩＮ　１２", &["train", "12"], &[Some("ＴＲＡＩＮ"), Some("１２")]),
            (
                "ﾊﾟﾝ屋㍿",
                &["パン", "##屋", "株式", "会社"],
                &[Some("ﾊﾟﾝ"), Some("屋"), Some("㍿"), Some("㍿")],
            ),
            // The unknown token stands for a word of any length.
            ("a zzzzzzzzzzzzzzzzzzzz b", &["a", "[UNK]", "b"], &[Some("a"), None, Some("b")]),
            // Control characters were dropped.
            ("be\u{7}ll \u{200b}tab", &["bell", "tab"], &[Some("be\u{7}ll"), Some("tab")]),
            ("a b", &["[CLS]", "a", "b", "c"], &[None, Some("a"), Some("b"), None]),
            ("", &["a"], &[None]),
        ];
        for (text, tokens, want) in cases {
            assert_eq!(places("##", text, tokens), want, "{text}");
        }
        assert_eq!(places("", "# a", &["▁#", "▁a"]), [Some("#"), Some("a")]);
    }

    #[test]
    fn bytes_are_found_with_their_characters() {
        let text = "été 夜";
        let places = Pieces::Bytes.places(text, ["Ã", "©t", "Ã©", "Ġå¤", "ľ"].into_iter());
        let shown: Vec<Option<&str>> =
            places.into_iter().map(|place| place.map(|range| &text[range])).collect();
        assert_eq!(shown, [Some("é"), Some("ét"), Some("é"), Some("夜"), Some("夜")]);
    }
}
