//! Splits a text into sentences, Japanese and English alike.
//!
//! The default rules of Unicode (UAX #29, section 5) know neither abbreviations nor Japanese quotations,
//! so this splitter has rules of its own, and it looks at nothing but characters:
//!
//! - Japanese ends a sentence with `。`, `！`, `？` or `．`. A pair of brackets is passed over as a whole, so that
//!   `「行く。」と言った。` is one sentence; after a quotation that is a sentence of its own, a sentence ends unless
//!   a particle follows.
//! - English ends a sentence with `.`, `!`, `?` or `…`, closing quotes included, if white space follows and then
//!   anything but a small letter. Titles and other abbreviations, initials and numbers of lists do not end one.
//! - A blank line always ends a sentence; a single line break is white space.
//!
//! Where a rule cannot know, the sentences stay together: what is made of sentences suffers less from one that is
//! too long than from a fragment.

use std::ops::Range;

/// Abbreviations before names and other capitalized words, in lower case.
#[rustfmt::skip]
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "drs", "prof", "st", "rev", "gen", "col", "lt", "sgt", "capt", "cmdr", "gov", "sen",
    "rep", "hon", "pres", "mt", "ft", "vs", "cf", "viz", "approx", "ca", "e.g", "i.e", "resp", "fig", "figs", "eq",
    "eqs", "ref", "refs", "eds", "trans", "dept", "univ", "ave", "blvd", "jan", "feb", "mar", "apr", "jun", "jul",
    "aug", "sept", "sep", "oct", "nov", "dec", "spp", "subsp", "var",
];

/// Abbreviations before numbers. Elsewhere they are words, such as the answer "No."
#[rustfmt::skip]
const BEFORE_NUMBERS: &[&str] = &[
    "no", "nos", "art", "sec", "sect", "ch", "chap", "vol", "vols", "pp", "p", "pt", "tab", "app", "ed", "v", "n",
];

/// Words that begin sentences and hardly ever names: after an initial or an abbreviation such as "U.S.", they tell
/// that a new sentence begins.
#[rustfmt::skip]
const STARTERS: &[&str] = &[
    "The", "A", "An", "In", "On", "At", "By", "For", "From", "With", "Without", "It", "Its", "This", "That", "These",
    "Those", "There", "Here", "We", "Our", "He", "His", "She", "Her", "They", "Their", "I", "You", "As", "If", "When",
    "While", "Where", "After", "Before", "Since", "Because", "Although", "Though", "However", "Moreover",
    "Furthermore", "Therefore", "Thus", "Then", "But", "And", "Or", "So", "To", "Such", "Some", "Many", "Most", "All",
    "Both", "Each", "Other", "Another", "One", "Two", "No", "Not", "Only", "Also", "Here", "What", "Which", "Who",
    "How", "Why", "During", "Under", "Over", "Between", "Among", "Using", "Finally", "Results", "Conclusions",
];

/// The characters within which the end of a pair of brackets is looked for; one that ends later, or never, is none.
const BRACKET_REACH: usize = 400;

/// Returns the byte ranges of the sentences of a text in their order, without the white space around them. Together
/// they hold every character that is not white space.
///
/// ```
/// let text = "Dr. Smith arrived at 3.5 p.m. today. 「もう行く。」と言った。彼は笑った。";
/// let sentences: Vec<&str> = splade_text::sentences(text).into_iter().map(|range| &text[range]).collect();
/// assert_eq!(
///     sentences,
///     ["Dr. Smith arrived at 3.5 p.m. today.", "「もう行く。」と言った。", "彼は笑った。"]
/// );
/// ```
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let splitter = Splitter { text, characters: &characters };
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < characters.len() {
        let (next, ends) = splitter.step(at, start);
        at = next;
        if ends {
            splitter.take(start, at, &mut found);
            start = at;
        }
    }
    splitter.take(start, at, &mut found);
    found
}

struct Splitter<'a> {
    text: &'a str,
    characters: &'a [(usize, char)],
}

impl Splitter<'_> {
    fn get(&self, at: usize) -> Option<char> {
        self.characters.get(at).map(|(_, c)| *c)
    }

    fn offset(&self, at: usize) -> usize {
        self.characters.get(at).map_or(self.text.len(), |(offset, _)| *offset)
    }

    /// Adds the sentence of some characters if there is more in it than white space.
    fn take(&self, start: usize, end: usize, found: &mut Vec<Range<usize>>) {
        let (start, end) = (self.offset(start), self.offset(end));
        let all = &self.text[start..end];
        let (trimmed, before) = (all.trim(), all.len() - all.trim_start().len());
        if !trimmed.is_empty() {
            found.push(start + before..start + before + trimmed.len());
        }
    }

    /// Returns the place after the character at `at`, or after several that belong together, and whether a sentence
    /// that began at `start` ends there.
    fn step(&self, at: usize, start: usize) -> (usize, bool) {
        let Some((_, c)) = self.characters.get(at).copied() else { return (at + 1, false) };
        match c {
            '\n' => (at + 1, self.is_blank_line(at + 1)),
            '「' | '『' | '（' | '【' | '〈' | '《' | '〔' => {
                let Some(close) = self.matching(at) else { return (at + 1, false) };
                let is_quotation = matches!(c, '「' | '『');
                let is_sentence = is_quotation && self.get(close - 1).is_some_and(ends_japanese);
                let ends = is_sentence && !self.goes_on_in_japanese(close + 1);
                (close + 1, ends && !self.get(close + 1).is_some_and(ends_japanese))
            }
            _ if self.is_japanese_end(at) => {
                let end = self.after_ends(at);
                let is_word =
                    matches!(c, '！' | '？' | '!' | '?') && self.is_within_a_word(at, end);
                (end, !is_word && (c == '。' || !self.goes_on_in_japanese(end)))
            }
            '.' | '!' | '?' | '…' => {
                let end = self.after_ends(at);
                (end, self.is_english_end(at, end, start))
            }
            _ => (at + 1, false),
        }
    }

    /// Whether only white space is left of the line at `at`, and this line is not the last one.
    fn is_blank_line(&self, at: usize) -> bool {
        let mut rest = self.characters[at..].iter().map(|(_, c)| *c);
        rest.find(|c| !c.is_whitespace() || *c == '\n') == Some('\n')
    }

    /// The place of the bracket that closes the one at `at`.
    fn matching(&self, at: usize) -> Option<usize> {
        let open = self.get(at)?;
        let close = match open {
            '「' => '」',
            '『' => '』',
            '（' => '）',
            '【' => '】',
            '〈' => '〉',
            '《' => '》',
            _ => '〕',
        };
        let mut depth = 0;
        for (place, (_, c)) in self.characters.iter().enumerate().skip(at).take(BRACKET_REACH) {
            if *c == open {
                depth += 1;
            } else if *c == close {
                depth -= 1;
                if depth == 0 {
                    return Some(place);
                }
            }
        }
        None
    }

    /// Whether the character at `at` ends sentences as Japanese does: its own marks, and ASCII's `!` and `?` behind
    /// Japanese. A full stop of full width ends none before a digit.
    fn is_japanese_end(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.get(before));
        match self.get(at) {
            Some('．') => !self.get(at + 1).is_some_and(char::is_numeric),
            Some('!' | '?') => before.is_some_and(is_japanese),
            c => c.is_some_and(ends_japanese),
        }
    }

    /// Whether a mark stands inside of a name, as in `Yahoo！ニュース`.
    fn is_within_a_word(&self, at: usize, end: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.get(before));
        let is_joined = self.get(end).is_some_and(|c| !c.is_whitespace());
        before.is_some_and(|c| c.is_ascii_alphanumeric()) && is_joined
    }

    /// Whether a particle or a comma follows, so that a quotation or an exclamation is a part of a sentence.
    fn goes_on_in_japanese(&self, at: usize) -> bool {
        const PARTICLES: &str = "とっなのはをがにでもへやかだ、，,。";
        self.get(at).is_some_and(|c| PARTICLES.contains(c))
    }

    /// The place after all marks that end a sentence together, and after the closing quotes and brackets behind them.
    fn after_ends(&self, mut at: usize) -> usize {
        let ends = |c: char| ends_japanese(c) || matches!(c, '.' | '!' | '?' | '…' | '．');
        while self.get(at).is_some_and(ends) {
            at += 1;
        }
        while self.get(at).is_some_and(closes) {
            at += 1;
        }
        at
    }

    /// Whether the marks from `at` to `end` end an English sentence that began at `start`.
    fn is_english_end(&self, at: usize, end: usize, start: usize) -> bool {
        let Some(next) = self.get(end) else { return true };
        if !next.is_whitespace() {
            return is_japanese(next) && self.get(at) != Some('.');
        }
        let rest = self.text[self.offset(end)..].trim_start();
        let Some(first) = rest.trim_start_matches(opens).chars().next() else { return true };
        if first.is_lowercase() {
            return false;
        }
        let is_one_full_stop = self.get(at) == Some('.') && self.get(at + 1) != Some('.');
        !(is_one_full_stop && self.is_abbreviation(at, start, rest))
    }

    /// Whether the full stop at `at` belongs to the word before it. `rest` is the text behind it.
    fn is_abbreviation(&self, at: usize, start: usize, rest: &str) -> bool {
        let sentence = &self.text[self.offset(start)..self.offset(at)];
        let word = sentence.rsplit(char::is_whitespace).next().unwrap_or_default();
        let is_first = sentence.trim_start().len() == word.len();
        let word = word.trim_start_matches(opens);
        // The number of a list: "2. Methods".
        if is_first && !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) {
            return true;
        }
        let lower = word.to_lowercase();
        if ABBREVIATIONS.contains(&lower.as_str()) {
            return true;
        }
        if BEFORE_NUMBERS.contains(&lower.as_str()) {
            return rest.starts_with(|c: char| c.is_ascii_digit());
        }
        // "J. Smith", "the U.S. Senate", "Smith et al. 2019": a word that begins sentences tells them apart.
        let letters = word.split('.').all(|part| part.chars().count() == 1);
        let is_initial = letters && word.chars().any(char::is_uppercase);
        let next = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        (is_initial || lower == "al") && !STARTERS.contains(&next)
    }
}

fn ends_japanese(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡')
}

/// Whether a character closes a quotation or a pair of brackets behind the end of a sentence.
fn closes(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '」' | '』' | '）' | '】' | '〉' | '》' | '〕'
    )
}

/// Whether a character may stand before the first letter of a sentence.
fn opens(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '‘' | '«' | '(' | '[' | '「' | '『' | '（')
}

/// Whether a character is of the Japanese scripts.
fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ff66}'..='\u{ff9f}' | '々')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    /// Each case is one text; `|` marks where a sentence ends.
    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        for marked in [
            "One. |Two? |Three! |Four",
            "Mr. Smith met Dr. Jones in St. Louis. |They talked.",
            "It cost 3.5 million. |The U.S. Senate refused.",
            "He lives in the U.S. |The war was over.",
            "Books by J. R. R. Tolkien are long. |I read them.",
            "They took vitamin C. |The results were good.",
            "As shown by Smith et al. (2019), it works. |See Fig. 3 and Eq. 2.",
            "No. |It is not true. |See No. 5 and pp. 3-7.",
            "1. Introduction. |We begin here.",
            "\"Stop!\" he said. |\"Why?\" |She left.",
            "Yahoo! was founded in 1994. |It grew.",
            "We used e.g. Python, i.e. a language. |Version 3.11 is new... |It works.",
            "He said (see below.) |Then he left. |[It is so.] |Good.",
            "p53 is a gene (Fig. 2A). |In mice, it is not.",
            "これは本です。|それはペンです。",
            "「もう行く。」と彼は言った。|そして帰った。",
            "「行きます。」|彼は立った。|『待て！』と叫んだ。",
            "本当か？|いや、違う！？|そうだ。",
            "彼は（本人の弁によれば。）否定した。|次に進む。",
            "Yahoo！ニュースを読む。|えっ！と驚いた。",
            "長さは３．５メートルである．|次の文．",
            "OKです!|次は何ですか?|終わり。",
            "Tokyo is big. |東京は大きい。|Really?",
            "見出し\n\n|本文です。",
            "A heading\n \n|a text that goes\non. |The end.",
            "閉じない「括弧です。|次の文です。",
            "モーニングが来た…。|そうか。",
        ] {
            let text = marked.replace('|', "");
            let want: Vec<&str> = marked.split('|').map(str::trim).collect();
            assert_eq!(of(&text), want);
        }
        assert!(of("").is_empty() && of(" \n\n ").is_empty());
    }

    proptest! {
        /// No character is lost, and no sentence is empty or overlaps another.
        #[test]
        fn nothing_is_lost(text in "[a-cA-C .!?\n\"()「」（）。！？．あア亜0-2\u{3000}]{0,60}") {
            let ranges = sentences(&text);
            let mut end = 0;
            for range in &ranges {
                prop_assert!(range.start >= end && range.start < range.end);
                prop_assert!(text[end..range.start].trim().is_empty());
                prop_assert_eq!(text[range.clone()].trim(), &text[range.clone()]);
                end = range.end;
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
