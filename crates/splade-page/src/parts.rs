//! The parts of pages: facts, texts of users, banners, tables, tabs and charts.

use maud::{Markup, html};
use serde_json::{Value, json};
use splade_io::printable;

use crate::language::language_of;

/// Returns a list of names and values. An empty list gives nothing.
///
/// ```
/// let facts = [("model".to_owned(), "<mini>".to_owned())];
/// let html = splade_page::facts(&facts).into_string();
/// assert!(html.contains("model") && html.contains("&lt;mini&gt;"));
/// assert_eq!(splade_page::facts(&[]).into_string(), "");
/// ```
pub fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl class="facts" {
                @for (name, value) in facts {
                    div { dt { (name) } dd { (quoted(value)) } }
                }
            }
        }
    }
}

/// Returns a text of a user: in its language, and isolated, so that it cannot change the direction of
/// what surrounds it.
///
/// ```
/// let html = splade_page::quoted("日本の首都").into_string();
/// assert_eq!(html, "<bdi lang=\"ja\">日本の首都</bdi>");
/// ```
pub fn quoted(text: &str) -> Markup {
    html! { bdi lang=(language_of(text)) { (text) } }
}

/// Returns a token or an id, whose control characters are shown escaped.
///
/// ```
/// let html = splade_page::token("a\u{202e}b").into_string();
/// assert!(!html.contains('\u{202e}'), "{html}");
/// ```
pub fn token(text: &str) -> Markup {
    quoted(&printable(text))
}

/// Returns the first `most` characters of a text, and the whole text behind a button if it is longer.
pub fn excerpt(text: &str, most: usize) -> Markup {
    let language = language_of(text);
    html! {
        @match text.char_indices().nth(most) {
            None => p class="text" lang=(language) dir="auto" { (text) },
            Some((end, _)) => {
                p class="text" lang=(language) dir="auto" { (text[..end].trim_end()) "…" }
                details {
                    summary { "The whole text (" (text.chars().count()) " characters)" }
                    p class="text" lang=(language) dir="auto" { (text) }
                }
            }
        }
    }
}

/// What a banner tells.
///
/// ```
/// use maud::html;
/// use splade_page::{Tone, banner};
///
/// let good = banner(Tone::Good, &html! { "Complete." }).into_string();
/// let bad = banner(Tone::Bad, &html! { "Complete." }).into_string();
/// assert_ne!(good, bad, "they look different");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something was done without an error.
    Good,
    /// Something goes on, or is neither good nor bad.
    Plain,
    /// Something should be looked at.
    Warning,
    /// Something failed and needs a person.
    Bad,
}

impl Tone {
    /// Returns the class of the stylesheet.
    fn class(self) -> &'static str {
        match self {
            Self::Good => "banner good",
            Self::Plain => "banner",
            Self::Warning => "banner warn",
            Self::Bad => "banner bad",
        }
    }
}

/// Returns a message that stands out.
///
/// ```
/// use maud::html;
/// use splade_page::{Tone, banner};
///
/// let html = banner(Tone::Warning, &html! { "3 texts are " b { "empty" } "." }).into_string();
/// assert!(html.contains("<b>empty</b>"));
/// ```
pub fn banner(tone: Tone, content: &Markup) -> Markup {
    html! { div class=(tone.class()) { (content) } }
}

/// Returns content that scrolls sideways where it is wider than the screen, such as a table. The label
/// names it to those who do not see it.
///
/// ```
/// use maud::html;
/// use splade_page::scrolling;
///
/// let html = scrolling("Metrics", &html! { table { tr { td { "nDCG@10" } } } }).into_string();
/// assert!(html.contains("aria-label=\"Metrics\""));
/// ```
pub fn scrolling(label: &str, content: &Markup) -> Markup {
    html! { div class="scroll" role="region" tabindex="0" aria-label=(label) { (content) } }
}

/// A panel of a page, one of which is visible at a time.
///
/// ```
/// use maud::html;
/// use splade_page::{Tab, tabs};
///
/// let tab = |id: &str, label: &str| Tab {
///     id: id.to_owned(),
///     label: label.to_owned(),
///     content: html! { p { (label) " …" } },
/// };
/// let html = tabs("Results", &[tab("better", "Better"), tab("worse", "Worse")]).into_string();
/// assert!(html.contains("Worse …"));
/// ```
#[derive(Debug)]
pub struct Tab {
    /// The id of the panel, unique on the page.
    pub id: String,
    /// The label of the tab.
    pub label: String,
    /// The content of the panel.
    pub content: Markup,
}

/// Returns tabs with their panels. Without JavaScript all panels are visible.
///
/// ```
/// use maud::html;
/// use splade_page::{Page, Tab, tabs};
///
/// let panel = Tab { id: "all".to_owned(), label: "All".to_owned(), content: html! { p { "…" } } };
/// let page = Page { title: "Queries", ..Page::default() };
/// assert!(page.to_html(&tabs("Queries", &[panel])).contains("id=\"all\""));
/// ```
pub fn tabs(label: &str, tabs: &[Tab]) -> Markup {
    html! {
        div class="tabs" role="tablist" aria-label=(label) {
            @for (index, tab) in tabs.iter().enumerate() {
                button type="button" role="tab" id={ "tab-" (tab.id) } aria-controls=(tab.id)
                    aria-selected=(if index == 0 { "true" } else { "false" })
                    tabindex=(if index == 0 { "0" } else { "-1" }) { (tab.label) }
            }
        }
        @for tab in tabs {
            section role="tabpanel" id=(tab.id) aria-labelledby={ "tab-" (tab.id) } { (tab.content) }
        }
    }
}

/// A line of a chart.
///
/// ```
/// use splade_page::{Chart, Line, chart};
///
/// let line = |name: &str, dashed| Line {
///     name: name.to_owned(),
///     points: vec![(1.0, 0.4), (10.0, 0.6), (100.0, 0.9)],
///     colour: 0,
///     dashed,
/// };
/// let recall = Chart::Lines {
///     title: "Recall".to_owned(),
///     x: "documents".to_owned(),
///     ticks: vec![1.0, 10.0, 100.0],
///     range: (0.0, 1.0),
///     lines: vec![line("model", false), line("BM25", true)],
/// };
/// assert!(chart(&recall).into_string().contains("BM25"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// The points `(x, y)` from left to right; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// The number of the colour; lines of one thing in two runs have the same.
    pub colour: usize,
    /// Whether the line is dashed, as those of a second run are.
    pub dashed: bool,
}

/// A bar of a chart.
///
/// ```
/// use splade_page::{Bar, Chart, chart};
///
/// let bars = [("q1", 0.5), ("q2", -0.25)];
/// let changes = Chart::Bars {
///     title: "Changes".to_owned(),
///     x: "queries".to_owned(),
///     y: "change of nDCG@10".to_owned(),
///     counts: false,
///     ends: None,
///     bars: bars.map(|(label, value)| Bar { label: label.to_owned(), value }).into(),
/// };
/// assert!(chart(&changes).into_string().contains("-0.25"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What the bar stands for, which is shown under the pointer.
    pub label: String,
    /// The height, which may be negative.
    pub value: f64,
}

/// A chart, drawn by the script of the page.
///
/// ```
/// use splade_page::{Bar, Chart, Page, chart};
///
/// let lengths = Chart::Bars {
///     title: "Terms in a document".to_owned(),
///     x: "terms".to_owned(),
///     y: "documents".to_owned(),
///     counts: true,
///     ends: Some(["0".to_owned(), "200".to_owned()]),
///     bars: vec![Bar { label: "0 to 100".to_owned(), value: 12.0 }],
/// };
/// let page = Page { title: "Vectors", has_charts: true, ..Page::default() };
/// assert!(page.to_html(&chart(&lengths)).contains("Terms in a document"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// Lines over an axis of numbers.
    Lines {
        /// The title above the chart.
        title: String,
        /// What the horizontal axis shows.
        x: String,
        /// The values that the horizontal axis names, on a logarithmic scale.
        ticks: Vec<f64>,
        /// The lowest and the highest value of the vertical axis.
        range: (f64, f64),
        /// The lines, in the order of the legend.
        lines: Vec<Line>,
    },
    /// Bars beside each other.
    Bars {
        /// The title above the chart.
        title: String,
        /// What the bars are.
        x: String,
        /// What their heights are.
        y: String,
        /// Whether all heights are counts.
        counts: bool,
        /// The labels under the first bar, the one in the middle, and the last.
        ends: Option<[String; 2]>,
        /// The bars from left to right.
        bars: Vec<Bar>,
    },
}

impl Chart {
    fn to_json(&self) -> Value {
        match self {
            Self::Lines { title, x, ticks, range, lines } => json!({
                "kind": "lines",
                "title": title,
                "x": { "label": x, "logarithmic": true, "ticks": ticks },
                "y": { "range": [range.0, range.1] },
                "series": lines.iter().map(|line| json!({
                    "name": line.name,
                    "points": line.points,
                    "colour": line.colour,
                    "dashed": line.dashed,
                })).collect::<Vec<_>>(),
            }),
            Self::Bars { title, x, y, counts, ends, bars } => json!({
                "kind": "bars",
                "title": title,
                "x": { "label": x, "ends": ends },
                "y": { "label": y, "integer": counts },
                "bars": bars.iter().map(|bar| json!([bar.label, bar.value])).collect::<Vec<_>>(),
            }),
        }
    }
}

/// Returns the place of a chart.
///
/// ```
/// use splade_page::{Chart, chart};
///
/// let empty = Chart::Lines {
///     title: "Loss".to_owned(),
///     x: "step".to_owned(),
///     ticks: vec![1.0, 1000.0],
///     range: (0.0, 5.0),
///     lines: Vec::new(),
/// };
/// assert!(chart(&empty).into_string().contains("Loss"));
/// ```
pub fn chart(chart: &Chart) -> Markup {
    html! { div data-chart=(chart.to_json().to_string()) {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_language_and_are_isolated() {
        let right_to_left = "\u{202e}abc";
        let html = quoted(right_to_left).into_string();
        assert_eq!(html, format!("<bdi lang=\"en\">{right_to_left}</bdi>"));
        assert_eq!(token("a\u{1b}<").into_string(), "<bdi lang=\"en\">a\\u{1b}&lt;</bdi>");
        assert!(quoted("שלום").into_string().contains("lang=\"he\""));
    }

    #[test]
    fn long_texts_are_cut_and_there_as_a_whole() {
        let text = "東京 ".repeat(50);
        let html = excerpt(&text, 30).into_string();
        assert!(html.contains("東京…</p>") && html.contains("The whole text (150 characters)"));
        assert_eq!(html.matches("lang=\"ja\"").count(), 2);
        assert!(!excerpt(&text, 150).into_string().contains("<details>"));
    }

    #[test]
    fn numbers_that_are_not_finite_are_null() {
        let bars = vec![Bar { label: "\"<a>".to_owned(), value: f64::NAN }];
        let made = Chart::Bars {
            title: "t".to_owned(),
            x: String::new(),
            y: String::new(),
            counts: true,
            ends: None,
            bars,
        };
        let html = chart(&made).into_string();
        assert!(html.contains("[[&quot;\\&quot;&lt;a&gt;&quot;,null]]"), "{html}");
    }
}
