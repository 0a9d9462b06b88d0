//! The design that all pages of the program share: one shell, one stylesheet with a light and a dark
//! theme, and one set of charts.
//!
//! A page is a single file of HTML that loads nothing: style, scripts and data are in it, and its
//! content security policy forbids every request to another host. Templates are written with
//! [`maud`], which escapes every text. Texts of users go through [`quoted`], which also sets their
//! language and isolates their direction.
//!
//! | module | what it holds |
//! |---|---|
//! | `language` | the language of a text, by its script |
//! | `time` | dates and durations as people read them |
//! | `parts` | facts, tables, tabs, banners, charts |
//! | `page` | the shell around them |
//!
//! Charts are drawn in the browser by `assets/chart.js` from the JSON of a [`Chart`], as SVG whose
//! colours follow the theme.
//!
//! ```
//! use maud::html;
//! use splade_page::{Page, quoted};
//!
//! let page = Page { title: "Terms of a text", ..Page::default() };
//! let html = page.to_html(&html! { p { (quoted("日本の首都 <script>")) } });
//! assert!(html.contains("<bdi lang=\"ja\">日本の首都 &lt;script&gt;</bdi>"));
//! ```

mod language;
mod time;

mod parts;

mod page;

pub use language::language_of;
pub use page::{COMMON_SCRIPT, POLICY, Page, STYLE, json_block};
pub use parts::{
    Bar, Chart, Line, Tab, Tone, banner, chart, excerpt, facts, quoted, scrolling, tabs, token,
};
pub use time::{Date, duration, now};
