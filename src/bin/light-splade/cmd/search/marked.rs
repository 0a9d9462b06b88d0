//! Titles and passages of hits with the words that match the query, for a terminal or a file.

use std::ops::Range;

use anyhow::Result;
use light_splade::Searcher;
use light_splade::search::{Mark, MarkKind, QueryTerms};
use splade_io::printable;

/// The characters of a passage, about two lines of a terminal. Those of Chinese and Japanese take twice
/// the width of others.
const PASSAGE: usize = 160;

/// What is printed before and after a marked word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marking {
    word: [&'static str; 2],
    expansion: [&'static str; 2],
}

impl Marking {
    /// Bold words, and green ones where the model added them to the query.
    pub(super) const COLOUR: Self =
        Self { word: ["\x1b[1m", "\x1b[0m"], expansion: ["\x1b[32m", "\x1b[0m"] };
    /// `*word*` and `+word+`.
    pub(super) const PLAIN: Self = Self { word: ["*", "*"], expansion: ["+", "+"] };

    /// A part of a text on one line, with its marks.
    fn line(self, text: &str, range: Range<usize>, marks: &[Mark]) -> String {
        let (mut line, mut start) = (String::new(), range.start);
        let push = |line: &mut String, part: &str| {
            let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
            let part: String = part.chars().map(blank).collect();
            line.push_str(&printable(&part));
        };
        for mark in marks {
            let [before, after] = match mark.kind {
                MarkKind::Word => self.word,
                MarkKind::Expansion => self.expansion,
            };
            push(&mut line, &text[start..mark.range.start]);
            line.push_str(before);
            push(&mut line, &text[mark.range.clone()]);
            line.push_str(after);
            start = mark.range.end;
        }
        push(&mut line, &text[start..range.end]);
        line
    }
}

/// The title of a document and a passage of its text, each on a line; nothing if the index stores no
/// text of it.
pub(super) fn title_and_passage(
    searcher: &Searcher,
    terms: &QueryTerms,
    id: &str,
    marking: Marking,
) -> Result<(Option<String>, Option<String>)> {
    let Some(document) = searcher.document(id)? else { return Ok((None, None)) };
    let (title, text) = (document.title, document.text);
    let marks = searcher.marks(terms, &title)?;
    let shown_title = marking.line(&title, 0..title.len(), &marks);
    let is_wide = |c: char| matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60);
    let (wide, all) = text
        .chars()
        .take(PASSAGE)
        .fold((0, 0), |(wide, all), c| (wide + usize::from(is_wide(c)), all + 1));
    let snippet =
        searcher.snippet(terms, &text, PASSAGE * (2 * all - wide).max(1) / (2 * all).max(1))?;
    let more = |there: bool| if there { "…" } else { "" };
    let passage = format!(
        "{}{}{}",
        more(!text[..snippet.range.start].trim().is_empty()),
        marking.line(&text, snippet.range.clone(), &snippet.marks),
        more(!text[snippet.range.end..].trim().is_empty()),
    );
    let full = |line: String| (!line.trim().is_empty()).then_some(line);
    Ok((full(shown_title), full(passage)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_in_the_line() {
        let text = "The train\nto\u{1b}the coast";
        let mark = |range, kind| Mark { range, kind, weight: 1.0 };
        let marks = [mark(4..9, MarkKind::Word), mark(17..22, MarkKind::Expansion)];
        let plain = Marking::PLAIN.line(text, 0..text.len(), &marks);
        assert_eq!(plain, "The *train* to\\u{1b}the +coast+");
        let colour = Marking::COLOUR.line(text, 4..12, &marks[..1]);
        assert_eq!(colour, "\x1b[1mtrain\x1b[0m to");
    }
}
