//! The page that shows which token of a text gave each term of its vector.

use std::collections::HashSet;

use maud::{Markup, html};
use splade_io::{counted, printable, printable_lines};
use splade_model::{Encoder, Explanation, Side};
use splade_page::{Page, Tone, banner, excerpt, quoted, token};
use splade_sparse::TermId;

use crate::encoder::SparseEncoder;
use crate::error::Error;

/// The characters of a text in the title, and on the page before the rest is folded.
const TITLE: usize = 40;
const SHOWN: usize = 400;

/// Returns a page about the vectors of texts: their tokens, coloured by the weight that each gave, and
/// their `top_k` heaviest terms, linked with the tokens that gave them. `made` is the time of the
/// page in seconds since 1970.
///
/// The page is one HTML file that loads nothing from elsewhere.
///
/// ```
/// use light_splade::encode::Side;
/// use light_splade::pages::explain_page;
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let page = explain_page(&encoder, Side::Document, &["日本の首都"], 30, 1_700_000_000)?;
/// assert!(page.contains("<bdi lang=\"ja\">首都</bdi>"));
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the model has no encoder for the side, or gives numbers for a text that are not finite.
pub fn explain_page<T: AsRef<str>>(
    encoder: &SparseEncoder,
    side: Side,
    texts: &[T],
    top_k: usize,
    made: u64,
) -> Result<String, Error> {
    let tower = encoder.tower(side)?;
    let explained = texts
        .iter()
        .map(|text| Explained::of(tower, text.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let (title, heading) = match &explained[..] {
        [one] => (format!("Terms of {}", one.name()), html! { "Terms of " (one.heading()) }),
        several => {
            let title = format!("Terms of {} texts", several.len());
            (title.clone(), html! { (title) })
        }
    };
    let side_name = match side {
        Side::Query => "query",
        Side::Document => "document",
    };
    let model = encoder.name().display().to_string();
    let mut facts = vec![
        ("Model", model.clone()),
        ("Read as", side_name.to_owned()),
        ("Longest text", format!("{} tokens", tower.max_length())),
        ("Vocabulary", format!("{} terms", tower.vocab())),
        ("Precision", encoder.options().precision.to_string()),
    ];
    if !tower.prompt().is_empty() {
        facts.push(("Put before each text", tower.prompt().to_owned()));
    }
    let facts: Vec<_> = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let content = html! {
        @for (number, one) in explained.iter().enumerate() {
            (one.section(number, top_k, explained.len() > 1))
        }
    };
    let page = Page {
        title: &format!("{title} ({model}, {side_name})"),
        heading: Some(&heading),
        facts: &facts,
        made: Some(made),
        ..Page::default()
    };
    Ok(page.to_html(&content))
}

/// A text with what the model made of it.
struct Explained<'a> {
    tower: &'a Encoder,
    text: &'a str,
    explanation: Explanation,
    /// The number of tokens of the whole text.
    whole: usize,
    /// The weight that each token gave, all its terms together.
    given: Vec<f32>,
}

impl<'a> Explained<'a> {
    fn of(tower: &'a Encoder, text: &'a str) -> Result<Self, Error> {
        let explanation = tower.explain(text)?;
        let mut given = vec![0.0; explanation.tokens.len()];
        for term in &explanation.terms {
            given[term.position] += term.weight;
        }
        let whole = tower.token_ids(text)?.len();
        Ok(Self { tower, text, explanation, whole, given })
    }

    /// Returns the beginning of the text for titles.
    fn name(&self) -> String {
        match self.beginning() {
            beginning if beginning.is_empty() => "an empty text".to_owned(),
            beginning => format!("“{beginning}”"),
        }
    }

    fn heading(&self) -> Markup {
        match self.beginning() {
            beginning if beginning.is_empty() => html! { "an empty text" },
            beginning => html! { "“" (quoted(&beginning)) "”" },
        }
    }

    fn beginning(&self) -> String {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        match text.char_indices().nth(TITLE) {
            None => printable(&text).into_owned(),
            Some((end, _)) => format!("{}…", printable(text[..end].trim_end())),
        }
    }

    /// Returns whether a token is one that the tokenizer puts around every text.
    fn is_around(&self, position: usize) -> bool {
        let (before, after) = self.tower.tokenizer().around();
        let count = self.explanation.tokens.len();
        let is = |ids: &[u32], at: usize| {
            ids.get(at).is_some_and(|id| {
                self.tower.token(TermId(*id)) == self.explanation.tokens[position]
            })
        };
        is(before, position)
            || (position + after.len()).checked_sub(count).is_some_and(|at| is(after, at))
    }

    /// Returns everything about the text. `number` tells its ids from those of other texts.
    fn section(&self, number: usize, top_k: usize, has_heading: bool) -> Markup {
        let Explanation { tokens, terms } = &self.explanation;
        let (around, own): (Vec<usize>, Vec<usize>) =
            (0..tokens.len()).partition(|position| self.is_around(*position));
        html! {
            section {
                @if has_heading { h2 { (self.heading()) } }
                (self.notices(own.len()))
                @if !own.is_empty() {
                    h2 { "Text" }
                    (excerpt(&printable_lines(self.text), SHOWN))
                    h2 { (counted(own.len() as u64, "tokens")) " of the text" }
                    p class="soft" {
                        "The stronger the colour, the more weight a token gave. A token that is struck out gave \
                         none. Point at a token, or move to it with the Tab key, to see its terms below."
                    }
                    (self.tokens(number, &own, top_k, ""))
                }
                @if !around.is_empty() {
                    h2 { "Special tokens" }
                    p class="soft" { "The tokenizer puts them around every text. They can give terms, too." }
                    (self.tokens(number, &around, top_k, "special"))
                }
                @if !terms.is_empty() { (self.terms(number, &own, top_k)) }
            }
        }
    }

    /// Returns what is unusual about the text.
    fn notices(&self, own: usize) -> Markup {
        let Explanation { tokens, terms } = &self.explanation;
        let has_text = !self.text.trim().is_empty();
        html! {
            @if !has_text {
                (banner(Tone::Plain, &html! { p {
                    "The text is empty. "
                    @if terms.is_empty() { "Its vector has no terms: it matches nothing." }
                    @else { "The terms below come from special tokens alone." }
                } }))
            } @else if own == 0 {
                (banner(Tone::Warning, &html! { p { "The tokenizer found no tokens in the text." } }))
            } @else if terms.is_empty() {
                (banner(Tone::Warning, &html! { p {
                    "No token gave a weight above zero: the vector has no terms and matches nothing."
                } }))
            }
            @if self.whole > tokens.len() {
                (banner(Tone::Warning, &html! { p {
                    "The text has " (self.whole) " tokens, and the model reads " (tokens.len())
                    " of them. The rest was cut off."
                } }))
            }
        }
    }

    fn tokens(&self, number: usize, positions: &[usize], top_k: usize, class: &str) -> Markup {
        let most = self.given.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        // Only terms that are listed can be pointed at.
        let listed = self.explanation.terms.iter().take(top_k).map(|term| term.position);
        let listed: HashSet<usize> = listed.collect();
        html! {
            ul class="tokens" {
                @for &position in positions {
                    @let given = self.given[position];
                    @let name = &self.explanation.tokens[position];
                    @let id = format!("token-{number}-{position}");
                    @let share = format!("--share:{:.3}", given / most);
                    @if listed.contains(&position) {
                        li class=(class) data-token={ (number) "-" (position) } {
                            a id=(id) href={ "#term-" (number) "-" (position) } style=(share)
                                title={ "gave " (format!("{given:.3}")) } { (token(name)) }
                        }
                    } @else if given > 0.0 {
                        li class=(class) {
                            span class="token" id=(id) style=(share)
                                title={ "gave " (format!("{given:.3}")) ", to terms that are not listed" } { (token(name)) }
                        }
                    } @else {
                        li class={ (class) " dropped" } {
                            span class="token" id=(id) title="gave no term" { (token(name)) }
                        }
                    }
                }
            }
        }
    }

    fn terms(&self, number: usize, own: &[usize], top_k: usize) -> Markup {
        let Explanation { tokens, terms } = &self.explanation;
        let own: HashSet<&str> = own.iter().map(|position| tokens[*position].as_str()).collect();
        let most = terms.first().map_or(1.0, |term| term.weight);
        let mut seen = HashSet::new();
        html! {
            h2 { (counted(terms.len() as u64, "terms")) " of the vector" }
            table {
                caption {
                    @if terms.len() > top_k { "The " (top_k) " heaviest terms. " }
                    span class="badge own" { "in the text" } " the term is a token of the text. "
                    span class="badge added" { "+ added" } " the model added it."
                }
                thead { tr {
                    th scope="col" { "Term" }
                    th scope="col" class="number" { "Weight" }
                    td {}
                    th scope="col" { "From token, place" }
                } }
                tbody {
                    @for term in terms.iter().take(top_k) {
                        @let name = self.tower.token(term.term);
                        @let is_own = own.contains(name.as_str());
                        @let id = format!("{number}-{}", term.position);
                        @let is_first = seen.insert(term.position);
                        tr data-token=(id) id=[is_first.then(|| format!("term-{id}"))] {
                            td class="term" {
                                (token(&name)) " "
                                @if is_own { span class="badge own" { "in the text" } }
                                @else if tokens.contains(&name) { span class="badge" { "special" } }
                                @else { span class="badge added" { "+ added" } }
                            }
                            td class="number" { (format!("{:.3}", term.weight)) }
                            td class="track" {
                                div class=(if is_own { "bar own" } else { "bar" })
                                    style=(format!("width:{:.1}%", 100.0 * term.weight / most)) {}
                            }
                            td class="term" {
                                a href={ "#token-" (id) } { (token(&tokens[term.position])) }
                                " " span class="soft" { (term.position) }
                            }
                        }
                    }
                }
            }
        }
    }
}
