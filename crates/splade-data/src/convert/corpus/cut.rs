//! Cuts queries out of one document.
//!
//! A query that stands in its document word for word teaches a model nothing but words, so the document loses what
//! becomes a query: its title, its first sentence, or a sentence of its middle (the inverse cloze task; Lee, Chang and
//! Toutanova, arXiv 1906.00300, section 4, who keep the sentence in a tenth of the documents). Keywords are taken from
//! what is left, so that nothing is cut out for them.

use std::ops::{Range, RangeInclusive};

use splade_text::sentences;

use super::keywords::Keywords;
use crate::error::DataError;
use crate::random::Random;

/// Where a query comes from.
///
/// ```
/// use splade_data::convert::{Conversion, CorpusPairs, PairKind, convert};
/// use serde_json::json;
///
/// let folder = tempfile::tempdir()?;
/// let texts = folder.path().join("texts.jsonl");
/// std::fs::write(&texts, concat!(
///     r#"{"id": 1, "title": "Night trains", "text": "They leave at ten. They arrive at dawn."}"#, "\n",
///     r#"{"id": 2, "title": "Gardens", "text": "Rain is good for them. Water them at night."}"#, "\n",
/// ))?;
/// let pairs = CorpusPairs {
///     inputs: vec![texts],
///     text_field: None,
///     format: None,
///     kinds: vec![PairKind::Title],
///     queries_per_document: 1,
///     whole_share: 0.0,
///     seed: 42,
/// };
/// let out = folder.path().join("pairs");
/// convert(&Conversion::Corpus(pairs), &out, &json!({}), false, &mut ())?;
/// let queries = std::fs::read_to_string(out.join("train/query_master.ndjson"))?;
/// assert!(queries.contains("Night trains"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PairKind {
    /// The title, of which the document keeps its body.
    Title,
    /// The first sentence, of which the document keeps the rest.
    FirstSentence,
    /// A sentence from behind the first one, cut out of its document: the inverse cloze task.
    Cloze,
    /// The words of the document that are most frequent in it and rarest elsewhere.
    Keywords,
}

impl PairKind {
    /// All kinds by their names.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("title", Self::Title),
        ("first-sentence", Self::FirstSentence),
        ("cloze", Self::Cloze),
        ("keywords", Self::Keywords),
    ];

    /// Returns the name of the kind, as `--queries` takes it.
    pub fn name(self) -> &'static str {
        let own = Self::NAMED.iter().find(|(_, kind)| *kind == self);
        own.map_or("", |(name, _)| name)
    }
}

/// The characters of a title that is a query. Longer ones are paragraphs by mistake.
const TITLE_CHARACTERS: RangeInclusive<usize> = 2..=300;
/// The characters of a sentence that is a query. Shorter ones say too little ("See below."), longer ones are lists and
/// tables.
const SENTENCE_CHARACTERS: RangeInclusive<usize> = 10..=300;
/// The characters that the body of a document must keep.
const REST_CHARACTERS: usize = 20;

/// What becomes of one document.
#[derive(Debug, PartialEq)]
pub(super) struct Cut {
    /// The text of the document without what was cut out.
    pub(super) text: String,
    /// The queries that it answers.
    pub(super) queries: Vec<(PairKind, String)>,
}

/// How documents are cut.
#[derive(Debug)]
pub(super) struct Cutter<'a> {
    pub(super) kinds: &'a [PairKind],
    /// The largest number of queries of a document, each of another kind.
    pub(super) most: usize,
    /// The share of documents that stay whole.
    pub(super) whole_share: f64,
    /// The frequencies of words, if keywords are among the kinds.
    pub(super) keywords: Option<&'a Keywords>,
}

impl Cutter<'_> {
    /// Cuts a document. Which kinds are taken, and which sentence, is drawn from `random`.
    pub(super) fn cut(
        &self,
        title: &str,
        body: &str,
        random: &mut Random,
    ) -> Result<Cut, DataError> {
        let is_whole = random.share() < self.whole_share;
        let order = random.choose(self.kinds.len(), self.kinds.len());
        let mut parts = Parts::of(title, body);
        let mut queries = Vec::new();
        let mut wants_keywords = false;
        for kind in order.into_iter().map(|place| self.kinds[place]) {
            if queries.len() + usize::from(wants_keywords) == self.most {
                break;
            }
            let query = match kind {
                PairKind::Title => parts.take_title(),
                PairKind::FirstSentence => parts.take_first(),
                PairKind::Cloze => parts.take_any(random),
                PairKind::Keywords => {
                    wants_keywords = true;
                    None
                }
            };
            queries.extend(query.map(|query| (kind, one_line(query))));
        }
        let rest = parts.rest();
        if wants_keywords && let Some(keywords) = self.keywords {
            let words = keywords.of(&rest, random)?;
            queries.extend(words.map(|words| (PairKind::Keywords, words)));
        }
        let text = if is_whole { joined(title, body) } else { rest };
        Ok(Cut { text, queries })
    }
}

/// A document in parts, some of which have been taken.
struct Parts<'a> {
    title: &'a str,
    has_title: bool,
    body: &'a str,
    sentences: Vec<Range<usize>>,
    /// For each sentence, whether the document still has it.
    has: Vec<bool>,
}

impl<'a> Parts<'a> {
    fn of(title: &'a str, body: &'a str) -> Self {
        let sentences = sentences(body);
        let has = vec![true; sentences.len()];
        Self { title: title.trim(), has_title: true, body, sentences, has }
    }

    fn take_title(&mut self) -> Option<&'a str> {
        let fits = TITLE_CHARACTERS.contains(&self.title.chars().count());
        let has_body = self.left_without(None) >= REST_CHARACTERS;
        (fits && has_body).then(|| {
            self.has_title = false;
            self.title
        })
    }

    fn take_first(&mut self) -> Option<&'a str> {
        self.fits(0).then(|| self.take(0))
    }

    fn take_any(&mut self, random: &mut Random) -> Option<&'a str> {
        let fitting: Vec<usize> = (1..self.sentences.len()).filter(|at| self.fits(*at)).collect();
        let chosen = (!fitting.is_empty()).then(|| fitting[random.below(fitting.len())]);
        chosen.map(|at| self.take(at))
    }

    /// Whether a sentence is there, can be a query, and leaves enough of its document.
    fn fits(&self, at: usize) -> bool {
        self.has.get(at) == Some(&true)
            && SENTENCE_CHARACTERS.contains(&self.sentence(at).chars().count())
            && self.left_without(Some(at)) >= REST_CHARACTERS
    }

    fn take(&mut self, at: usize) -> &'a str {
        self.has[at] = false;
        self.sentence(at)
    }

    fn sentence(&self, at: usize) -> &'a str {
        &self.body[self.sentences[at].clone()]
    }

    /// The characters of the body without one more sentence.
    fn left_without(&self, taken: Option<usize>) -> usize {
        let left = (0..self.sentences.len()).filter(|at| self.has[*at] && Some(*at) != taken);
        left.map(|at| self.sentence(at).chars().count()).sum()
    }

    /// The document without what was taken. The white space behind a sentence is taken with it.
    fn rest(&self) -> String {
        let mut body = String::new();
        for (at, sentence) in self.sentences.iter().enumerate().filter(|(at, _)| self.has[*at]) {
            let end = self.sentences.get(at + 1).map_or(self.body.len(), |next| next.start);
            body += &self.body[sentence.start..end];
        }
        joined(if self.has_title { self.title } else { "" }, &body)
    }
}

/// The text of a document: its title, a blank and its body.
fn joined(title: &str, body: &str) -> String {
    format!("{} {}", title.trim(), body.trim()).trim().to_owned()
}

/// A query as people type it: without line breaks.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "Night trains are back. They connect Vienna\nwith Paris. Tickets sell out early. \
                        Booking opens half a year ahead.";

    fn cut(kinds: &[PairKind], most: usize, whole_share: f64, seed: u64) -> Cut {
        let cutter = Cutter { kinds, most, whole_share, keywords: None };
        cutter.cut("Sleepers", BODY, &mut Random::new(&[seed])).expect("cut")
    }

    #[test]
    fn a_document_loses_what_becomes_a_query() {
        let title = cut(&[PairKind::Title], 1, 0.0, 1);
        assert_eq!(title.queries, [(PairKind::Title, "Sleepers".to_owned())]);
        assert_eq!(title.text, BODY);
        let first = cut(&[PairKind::FirstSentence], 1, 0.0, 1);
        assert_eq!(first.queries, [(PairKind::FirstSentence, "Night trains are back.".to_owned())]);
        let rest = BODY.split_once("back. ").expect("a second sentence").1;
        assert_eq!(first.text, format!("Sleepers {rest}"));
        let drawn: Vec<Cut> = (0..30).map(|seed| cut(&[PairKind::Cloze], 1, 0.0, seed)).collect();
        let wanted = [
            "They connect Vienna with Paris.",
            "Tickets sell out early.",
            "Booking opens half a year ahead.",
        ];
        for query in wanted {
            let with = drawn.iter().find(|cut| cut.queries[0].1 == query).expect("drawn");
            let lost = query.split_whitespace().next().expect("a word");
            assert!(
                !with.text.contains(lost) && with.text.starts_with("Sleepers Night"),
                "{with:?}"
            );
        }
        assert!(drawn.iter().all(|cut| wanted.contains(&&*cut.queries[0].1)));
    }

    #[test]
    fn kinds_are_drawn_and_cut_together() {
        let kinds = [PairKind::Title, PairKind::FirstSentence, PairKind::Cloze];
        let both = cut(&kinds, 3, 0.0, 7);
        assert_eq!(both.queries.len(), 3);
        let left = [BODY, "Sleepers"].join(" ");
        assert!(both.queries.iter().all(|(_, query)| !both.text.contains(&**query)), "{both:?}");
        assert!(both.text.split_whitespace().all(|word| left.contains(word)));
        let counts = (0..60).map(|seed| cut(&kinds, 1, 0.0, seed).queries[0].0);
        let seen: std::collections::BTreeSet<_> = counts.collect();
        assert_eq!(seen.len(), 3, "every kind is drawn");
        assert_eq!(cut(&kinds, 2, 0.0, 3), cut(&kinds, 2, 0.0, 3));
    }

    #[test]
    fn some_documents_stay_whole() {
        let whole = cut(&[PairKind::FirstSentence], 1, 1.0, 1);
        assert_eq!(whole.queries.len(), 1);
        assert_eq!(whole.text, format!("Sleepers {BODY}"));
        let count = (0..2000)
            .filter(|seed| cut(&[PairKind::Title], 1, 0.1, *seed).text.starts_with("Sleepers"));
        // The standard deviation of the count is 13.
        assert!((140..260).contains(&count.count()));
    }

    #[test]
    fn documents_that_are_too_short_give_no_query() {
        let cutter = |title: &str, body: &str| {
            let kinds = [PairKind::Title, PairKind::FirstSentence, PairKind::Cloze];
            let cutter = Cutter { kinds: &kinds, most: 3, whole_share: 0.0, keywords: None };
            cutter.cut(title, body, &mut Random::new(&[1])).expect("cut")
        };
        let same = |text: &str| Cut { text: text.to_owned(), queries: Vec::new() };
        assert_eq!(
            cutter("", "One sentence that stands alone."),
            same("One sentence that stands alone.")
        );
        assert_eq!(cutter("A title", "Too short."), same("A title Too short."));
        assert_eq!(cutter("", ""), same(""));
        let long = "長い文です。".repeat(60).replace('。', "、") + "。";
        let long = format!("{long}次の文はこの文書に残ります。さらにもう一つの文があります。");
        let cut = cutter("", &long);
        assert!(cut.queries.iter().all(|(_, query)| query.chars().count() <= 300), "{cut:?}");
    }
}
