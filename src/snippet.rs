//! The passage of a text that fits a query best, with the words that match it.
//!
//! A word matches if one of its tokens is a term of the query's vector: as a word of the query, or as
//! one that the model added to the query. Terms that a model adds to the document are not looked at,
//! because they are nowhere in its text.

use std::collections::HashMap;
use std::ops::Range;

use splade_model::Side;
use splade_text::Tokenizer;

use crate::error::Error;
use crate::searcher::Searcher;

/// The bytes of a text in which a passage is looked for.
const SEARCHED: usize = 1 << 18;

/// Why a word is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// The query has the word.
    Word,
    /// The model added the word to the query.
    Expansion,
}

/// A word of a text that matches a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The bytes of the text.
    pub range: Range<usize>,
    /// Why the word is marked.
    pub kind: MarkKind,
    /// The weight of the word's term in the query as a share of the largest one, above 0 and at
    /// most 1.
    pub weight: f32,
}

/// A passage of a text, and the words in it that match a query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snippet {
    /// The bytes of the passage in the text. It begins and ends with whole characters, and not with a
    /// blank.
    pub range: Range<usize>,
    /// The matching words of the passage, in their order. Their ranges are those of the whole text.
    pub marks: Vec<Mark>,
}

/// The terms of a query whose words are marked in texts; made by [`Searcher::query_terms`].
#[derive(Debug, Clone)]
pub struct QueryTerms {
    terms: HashMap<u32, Term>,
}

/// A term of a query.
#[derive(Debug, Clone, Copy)]
struct Term {
    /// The share of the largest weight.
    weight: f32,
    kind: MarkKind,
}

/// The share of the largest weight below which a term marks nothing: what a model adds to every query
/// would else mark every text.
const LEAST_SHARE: f32 = 0.1;

impl Searcher {
    /// The terms of a query that mark words in texts: those of its vector, and, if the index has BM25,
    /// its own tokens. Terms with less than a tenth of the largest weight are left out, and those
    /// without a letter or a digit.
    ///
    /// # Errors
    /// If there is no encoder or the text cannot be tokenized.
    pub fn query_terms(&self, query: &str) -> Result<QueryTerms, Error> {
        let encoder = self.encoder()?;
        let vector = encoder.encode_query(query)?;
        let tokenizer = encoder.tower(Side::Query)?.tokenizer();
        let own = tokenizer.encode_plain(query)?;
        let bm25 = self.index().bm25().map(|bm25| bm25.query(&own)).unwrap_or_default();
        let mut terms = HashMap::new();
        for weights in [&vector, &bm25] {
            let largest = weights.weights().iter().copied().fold(0.0, f32::max);
            for (term, weight) in weights.iter() {
                let token = tokenizer.token(term.0).unwrap_or_default();
                let weight = weight / largest;
                if weight < LEAST_SHARE || !token.chars().any(char::is_alphanumeric) {
                    continue;
                }
                let kind = match own.contains(&term.0) {
                    true => MarkKind::Word,
                    false => MarkKind::Expansion,
                };
                let known = terms.entry(term.0).or_insert(Term { weight, kind });
                known.weight = known.weight.max(weight);
            }
        }
        Ok(QueryTerms { terms })
    }

    /// All words of a text that match a query, in their order: for a title.
    ///
    /// # Errors
    /// If there is no encoder or the text cannot be tokenized.
    pub fn marks(&self, terms: &QueryTerms, text: &str) -> Result<Vec<Mark>, Error> {
        let tokenizer = self.encoder()?.tower(Side::Query)?.tokenizer();
        let words = terms.words(tokenizer, text)?;
        Ok(words.into_iter().map(|word| word.mark).collect())
    }

    /// The passage of a text, of at most so many characters, in which the words that match a query
    /// weigh most together, each counted once; the beginning of the text if no word matches. It is
    /// looked for in the first 256 KiB of the text.
    ///
    /// ```
    /// use light_splade::search::MarkKind;
    /// use light_splade::{Index, IndexOptions, Searcher, SparseEncoder, SparseEncoderOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    /// let text = "昨日は雨でした。日本の首都は東京です。明日は晴れるでしょう。";
    /// let options = IndexOptions { store: true, ..IndexOptions::default() };
    /// let mut index = Index::create(folder.path().join("index"), &encoder, &options)?;
    /// index.upsert(&encoder, [("1", text)], &mut ())?;
    /// index.commit()?;
    ///
    /// let searcher = Searcher::open(index.path(), Some(encoder))?;
    /// let terms = searcher.query_terms("首都はどこ")?;
    /// let text = searcher.document("1")?.expect("a stored text").text;
    /// let snippet = searcher.snippet(&terms, &text, 12)?;
    /// assert_eq!(&text[snippet.range], "日本の首都は東京です。");
    /// let word = snippet.marks.iter().find(|mark| mark.kind == MarkKind::Word).expect("a word");
    /// assert_eq!(&text[word.range.clone()], "首都");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no encoder or the text cannot be tokenized.
    pub fn snippet(
        &self,
        terms: &QueryTerms,
        text: &str,
        max_chars: usize,
    ) -> Result<Snippet, Error> {
        let tokenizer = self.encoder()?.tower(Side::Query)?.tokenizer();
        let words = terms.words(tokenizer, text)?;
        let best = best_window(&words, text, max_chars);
        let range = passage(text, &words[best], max_chars);
        let within = |mark: &Mark| range.start <= mark.range.start && mark.range.end <= range.end;
        let marks = words.into_iter().map(|word| word.mark).filter(within).collect();
        Ok(Snippet { range, marks })
    }
}

/// A word of a text that matches a query, with its best term.
#[derive(Debug, Clone)]
struct Word {
    mark: Mark,
    term: u32,
}

impl QueryTerms {
    /// The matching words of the searched part of a text, in their order.
    fn words(&self, tokenizer: &Tokenizer, text: &str) -> Result<Vec<Word>, Error> {
        let text = &text[..text.floor_char_boundary(SEARCHED)];
        let mut words = Vec::new();
        let mut word = OpenWord::default();
        for token in tokenizer.encode_places(text)? {
            let Some(range) = token.range else { continue };
            // Tokens that are pieces of one word, such as `play` and `##ing`, are marked together.
            if !word.goes_on_with(text, &range) {
                words.extend(std::mem::take(&mut word).finish());
                word.range = range.clone();
            }
            word.range.end = word.range.end.max(range.end);
            if let Some(term) = self.terms.get(&token.id) {
                word.matched += range.len();
                if word.best.is_none_or(|(_, best)| term.weight > best.weight) {
                    word.best = Some((token.id, *term));
                }
            }
        }
        words.extend(word.finish());
        Ok(words)
    }
}

/// A word whose tokens are being read.
#[derive(Debug, Default)]
struct OpenWord {
    range: Range<usize>,
    /// The bytes of its tokens that match.
    matched: usize,
    /// The matching token with the largest weight.
    best: Option<(u32, Term)>,
}

impl OpenWord {
    fn goes_on_with(&self, text: &str, next: &Range<usize>) -> bool {
        // Two tokens may share a character, such as `㍿`.
        next.start < self.range.end
            || next.start == self.range.end
                && text[..next.start]
                    .chars()
                    .next_back()
                    .zip(text[next.start..].chars().next())
                    .is_some_and(|(a, b)| is_within_word(a, b))
    }

    /// The word, if at least half of it matches: `##s` alone is no match for `cats`.
    fn finish(self) -> Option<Word> {
        let (term, Term { weight, kind }) = self.best?;
        let mark = Mark { range: self.range, kind, weight };
        (2 * self.matched >= mark.range.len()).then_some(Word { mark, term })
    }
}

/// Whether a word goes on from one character to the next. Chinese and Japanese words are not
/// separated by blanks, so there the tokens are the words.
fn is_within_word(a: char, b: char) -> bool {
    let is_letter = |c: char| {
        let is_cjk = matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x9fff | 0xf900..=0xfaff | 0xff66..=0xff9f | 0x20000..=0x3ffff);
        c.is_alphanumeric() && !is_cjk
    };
    is_letter(a) && is_letter(b)
}

/// The words of the window with the largest sum of the weights of different terms; of equal ones the
/// first.
fn best_window(words: &[Word], text: &str, max_chars: usize) -> Range<usize> {
    let chars = |range: Range<usize>| text[range].chars().count();
    let (mut best, mut best_sum) = (0..0, 0.0);
    let (mut counts, mut sum): (HashMap<u32, usize>, f32) = (HashMap::new(), 0.0);
    // The characters from the start of the first word of the window to the end of its last one.
    let (mut first, mut length) = (0, 0);
    for (at, word) in words.iter().enumerate() {
        let from = if at > first { words[at - 1].mark.range.end } else { word.mark.range.start };
        length += chars(from.min(word.mark.range.end)..word.mark.range.end);
        let count = counts.entry(word.term).or_default();
        *count += 1;
        sum += if *count == 1 { word.mark.weight } else { 0.0 };
        while length > max_chars && first <= at {
            let dropped = &words[first];
            let to =
                if first < at { words[first + 1].mark.range.start } else { dropped.mark.range.end };
            length -= chars(dropped.mark.range.start..to);
            let count = counts.entry(dropped.term).or_default();
            *count -= 1;
            sum -= if *count == 0 { dropped.mark.weight } else { 0.0 };
            first += 1;
        }
        // Sums of the same weights in another order differ a little.
        if sum > best_sum + 1e-4 {
            (best, best_sum) = (first..at + 1, sum);
        }
    }
    best
}

/// The passage of at most so many characters around words: from the beginning of their sentence if
/// that fits, and else from a little before them.
fn passage(text: &str, words: &[Word], max_chars: usize) -> Range<usize> {
    if text.chars().nth(max_chars).is_none() {
        let start = blanks(text);
        return start..start + text[start..].trim_end().len();
    }
    let inner = match words {
        [] => 0..0,
        [first, ..] => first.mark.range.start..words[words.len() - 1].mark.range.end,
    };
    let spare = max_chars.saturating_sub(text[inner.clone()].chars().count());
    let before = || text[..inner.start].char_indices().rev().take(spare);
    let ends_sentence = |c: char| matches!(c, '。' | '！' | '？' | '!' | '?' | '\n');
    let sentence = before().find(|(at, c)| {
        ends_sentence(*c) || *c == '.' && text[at + 1..].starts_with(char::is_whitespace)
    });
    let reaches_start = text[..inner.start].chars().count() <= spare;
    let start = match sentence {
        Some((at, c)) => at + c.len_utf8(),
        None if reaches_start => 0,
        None => {
            // A third of the room is before the words, or more where the text ends soon after them.
            let after = text[inner.end..].chars().take(spare).count();
            let lead = (spare / 3).max(spare - after);
            let at = text[..inner.start].char_indices().rev().take(lead).last();
            let at = at.map_or(inner.start, |(at, _)| at);
            next_word(text, at, inner.start)
        }
    };
    let start = start + blanks(&text[start..inner.start.max(start)]);
    let start = match words {
        [] => blanks(text),
        _ => start,
    };
    let mut rest = text[start..].char_indices().skip(max_chars);
    let end = rest
        .next()
        .map_or(text.len(), |(at, _)| previous_word(text, start + at, inner.end.max(start)));
    start..start + text[start..end].trim_end().len()
}

/// The number of bytes of the blanks at the start of a text.
fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// The first place from `at` to `limit` where no word is cut.
fn next_word(text: &str, at: usize, limit: usize) -> usize {
    let places = text[at..limit].char_indices().map(|(i, _)| at + i);
    places.chain([limit]).find(|place| !cuts_word(text, *place)).unwrap_or(limit)
}

/// The last place from `limit` to `at` where no word is cut; `at` if there is none.
fn previous_word(text: &str, at: usize, limit: usize) -> usize {
    let places = text[limit..at].char_indices().rev().map(|(i, _)| limit + i);
    std::iter::once(at).chain(places).find(|place| !cuts_word(text, *place)).unwrap_or(at)
}

fn cuts_word(text: &str, at: usize) -> bool {
    let (before, after) = (text[..at].chars().next_back(), text[at..].chars().next());
    before.zip(after).is_some_and(|(a, b)| is_within_word(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of a text by their first occurrence, each with its term and its weight.
    fn words(text: &str, all: &[(&str, u32, f32)]) -> Vec<Word> {
        let mut from = 0;
        let word = |(word, term, weight): &(&str, u32, f32)| {
            let start = from + text[from..].find(word).expect("the text has it");
            from = start + word.len();
            let mark = Mark { range: start..from, kind: MarkKind::Word, weight: *weight };
            Word { mark, term: *term }
        };
        all.iter().map(word).collect()
    }

    /// The best window by trying all of them.
    fn slow(words: &[Word], text: &str, max_chars: usize) -> f32 {
        let mut best = 0f32;
        for first in 0..words.len() {
            for last in first..words.len() {
                let range = words[first].mark.range.start..words[last].mark.range.end;
                if text[range].chars().count() > max_chars {
                    continue;
                }
                let terms: HashMap<u32, f32> =
                    words[first..=last].iter().map(|word| (word.term, word.mark.weight)).collect();
                best = best.max(terms.values().sum());
            }
        }
        best
    }

    #[test]
    fn the_window_is_the_best_of_all() {
        let mut state = 7u64;
        let mut random = |limit: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % limit
        };
        for _ in 0..200 {
            let (mut text, mut words) = (String::new(), Vec::new());
            for _ in 0..30 {
                let term = random(12) as u32;
                let start = text.len();
                text.push_str(["ab", "東京", "abcdefg"][term as usize % 3]);
                if term < 6 {
                    let mark = Mark {
                        range: start..text.len(),
                        kind: MarkKind::Word,
                        weight: 0.1 + 0.15 * term as f32,
                    };
                    words.push(Word { mark, term });
                }
                text.push(' ');
            }
            for max_chars in [0, 3, 8, 20, 1000] {
                let best = best_window(&words, &text, max_chars);
                let want = slow(&words, &text, max_chars);
                let got: HashMap<u32, f32> =
                    words[best.clone()].iter().map(|word| (word.term, word.mark.weight)).collect();
                assert!((got.values().sum::<f32>() - want).abs() < 1e-3, "{max_chars} {text}");
                if let (Some(first), Some(last)) = (words[best.clone()].first(), words[best].last())
                {
                    let range = first.mark.range.start..last.mark.range.end;
                    assert!(text[range].chars().count() <= max_chars);
                }
            }
        }
    }

    #[test]
    fn passages_begin_with_sentences_and_cut_no_words() {
        let english = "It rained all day. The night train to the coast was late, and nobody knew why it had stopped.";
        let japanese = "昨日は雨でした。日本の首都は東京です。明日は晴れるでしょう。";
        for (text, all, max_chars, want) in [
            (english, &[("train", 1, 1.0)][..], 30, "The night train to the coast"),
            (english, &[("train", 1, 1.0)], 200, english),
            (english, &[("stopped", 1, 1.0)], 20, "why it had stopped."),
            (english, &[], 20, "It rained all day."),
            (english, &[("rained", 1, 1.0)], 3, "It"),
            ("  \n It rained.  ", &[], 100, "It rained."),
            (japanese, &[("首都", 1, 1.0)], 12, "日本の首都は東京です。"),
            (japanese, &[("明日", 1, 1.0), ("晴れる", 2, 1.0)], 7, "明日は晴れるで"),
            ("", &[], 10, ""),
        ] {
            let words = words(text, all);
            let range = passage(text, &words[best_window(&words, text, max_chars)], max_chars);
            assert_eq!(&text[range.clone()], want, "{text} {max_chars}");
            assert!(text[range].chars().count() <= max_chars);
        }
    }
}
