//! The shell of a page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::parts::facts;
use crate::time::Date;

/// The stylesheet of all pages, the service's among them.
///
/// ```
/// use splade_page::{Page, STYLE};
///
/// // A page has the stylesheet in itself. A page of another kind can take it over.
/// let html = Page { title: "Texts", ..Page::default() }.to_html(&maud::html! {});
/// assert!(STYLE.lines().filter(|line| line.len() > 40).all(|line| html.contains(line)));
/// ```
pub const STYLE: &str = include_str!("assets/style.css");

/// What scripts of several pages use: elements, tabs, and the language of texts.
///
/// ```
/// use splade_page::COMMON_SCRIPT;
///
/// // A page that is no `Page` runs it before its own script.
/// let script = format!("{COMMON_SCRIPT}\nshowTabs();");
/// assert!(!script.contains("</script"));
/// ```
pub const COMMON_SCRIPT: &str = include_str!("assets/common.js");

const CHART_SCRIPT: &str = include_str!("assets/chart.js");

/// The content security policy: a page may ask the host that it came from, and nobody else.
///
/// ```
/// use splade_page::POLICY;
///
/// let header = format!("content-security-policy: {POLICY}\r\n");
/// assert!(header.contains("default-src 'none'") && !header.trim_end().contains('\n'));
/// ```
pub const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                          connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";

/// A page besides its content. The default has no facts, no scripts and no date.
///
/// ```
/// use maud::html;
/// use splade_page::Page;
///
/// let facts = [("model".to_owned(), "mini-ja-en".to_owned())];
/// let page = Page { title: "Terms of a text", facts: &facts, made: Some(1_767_225_600), ..Page::default() };
/// let html = page.to_html(&html! { p { "東京" } });
/// assert!(html.contains("mini-ja-en") && html.contains("2026-01-01"));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Page<'a> {
    /// The title, which says what was run.
    pub title: &'a str,
    /// The headline, where it is not the title as it is: with texts in their language, for example.
    pub heading: Option<&'a Markup>,
    /// What was run, with which settings: pairs of a name and a value.
    pub facts: &'a [(String, String)],
    /// Whether the content uses the whole width of a large screen.
    pub wide: bool,
    /// Whether the content has [`charts`](crate::chart).
    pub has_charts: bool,
    /// Scripts that run after those of this crate.
    pub scripts: &'a [&'a str],
    /// The time at which the page was made, in seconds since 1970.
    pub made: Option<u64>,
}

impl Page<'_> {
    /// Returns the whole page around its content.
    pub fn to_html(&self, content: &Markup) -> String {
        let made = self.made.map(|seconds| format!(" on {}", Date::of(seconds)));
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    link rel="icon" href="data:,";
                    title { (without_directions(self.title)) }
                    style { (PreEscaped(STYLE)) }
                }
                body class=[self.wide.then_some("wide")] {
                    header {
                        h1 { @if let Some(heading) = self.heading { (heading) } @else { (self.title) } }
                    }
                    main {
                        (facts(self.facts))
                        @if self.has_charts {
                            noscript { p { "The charts of this page need JavaScript. The numbers below do not." } }
                        }
                        (content)
                    }
                    footer {
                        "Made by light-splade " (env!("CARGO_PKG_VERSION")) (made.unwrap_or_default())
                        ". This page is one file and loads nothing from the network."
                    }
                    script { (PreEscaped(COMMON_SCRIPT)) }
                    @if self.has_charts { script { (PreEscaped(CHART_SCRIPT)) } }
                    @for script in self.scripts { script { (PreEscaped(script)) } }
                }
            }
        };
        page.into_string()
    }
}

/// Returns a text without the characters that change its direction. A title has no elements that would
/// isolate it, and would turn over the words of the browser beside it.
fn without_directions(text: &str) -> String {
    let is_control = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !is_control(c)).collect()
}

/// Returns a block of JSON that a script of the page reads by its id. `json` is JSON already.
///
/// ```
/// // A text cannot end the block.
/// let block = splade_page::json_block("runs", r#"["</script>"]"#).into_string();
/// assert_eq!(block.matches("</script>").count(), 1);
/// ```
pub fn json_block(id: &str, json: &str) -> Markup {
    // In JSON, `<` occurs only in strings. As an escape it cannot end the script element.
    let json = json.replace('<', "\\u003c");
    html! { script type="application/json" id=(id) { (PreEscaped(json)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "</title></script><script>alert(1)</script>\"'<img src=x onerror=alert(1)>&amp;";

    #[test]
    fn hostile_texts_stay_texts() {
        let facts = [(HOSTILE.to_owned(), HOSTILE.to_owned())];
        let page = Page { title: HOSTILE, facts: &facts, has_charts: true, ..Page::default() };
        let html = page.to_html(&html! { p title=(HOSTILE) { (crate::quoted(HOSTILE)) } (json_block("data", "[\"</script>\"]")) });
        assert!(!html.contains("<img") && !html.contains("<script>alert"), "{html}");
        // The common script, that of the charts, and the block of JSON.
        assert_eq!(html.matches("</script>").count(), 3);
        assert!(html.contains("[\"\\u003c/script>\"]"));
        assert!(html.contains("&lt;/title&gt;"));
    }

    #[test]
    fn pages_load_nothing() {
        let page = Page { has_charts: true, wide: true, made: Some(0), ..Page::default() };
        let html = page.to_html(&html! {});
        for word in ["src=", "@import", "url(", "https:"] {
            assert!(!html.contains(word), "{word}");
        }
        assert_eq!(html.matches("href=").count(), 1);
        assert!(html.contains("default-src 'none'") && html.contains("1970-01-01 00:00 UTC"));
        assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    }
}
