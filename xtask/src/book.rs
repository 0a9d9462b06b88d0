//! `cargo xtask book`: the site of the documentation, with its links checked.
//!
//! mdBook makes the pages. This file finishes them: Japanese pages say so, pages in two languages link to each other, and
//! links to files that are not in the book lead to the repository. Skipped, with a line that says so, where mdBook is
//! missing, unless `REQUIRE_MDBOOK` is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::files::{Failure, read};

/// Where links to other files of the repository lead.
const REPOSITORY: &str = "https://github.com/light-splade/light-splade/blob/main";
/// The folder of the Japanese pages.
const JAPANESE: &str = "ja";

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    if !is_there() {
        let missing = "mdBook is not installed: cargo install --locked mdbook";
        if std::env::var("REQUIRE_MDBOOK").is_ok_and(|value| value == "true") {
            return Err(format!("book: {missing}"));
        }
        println!("book: skipped, since {missing}");
        return Ok(());
    }
    let status = Command::new("mdbook")
        .args(["build", "docs"])
        .current_dir(root)
        .status()
        .map_err(|error| format!("cannot start mdbook: {error}"))?;
    if !status.success() {
        return Err("book: mdbook failed".to_owned());
    }
    let site = Site { root, folder: root.join("target/book") };
    let pages = site.pages()?;
    let mut finished = BTreeMap::new();
    let mut broken = Vec::new();
    for page in &pages {
        let text = read(&site.folder.join(page))?;
        let text = site.in_its_language(page, &with_plain_languages(&text), &pages);
        let text = site.with_repository(page, &text, &mut broken);
        finished.insert(page.clone(), text);
    }
    for (page, text) in &finished {
        site.check_anchors(page, text, &finished, &mut broken);
        fs::write(site.folder.join(page), text)
            .map_err(|error| format!("cannot write {}: {error}", page.display()))?;
    }
    if broken.is_empty() {
        println!("book: {} pages in target/book, all links lead somewhere", pages.len());
        return Ok(());
    }
    Err(format!("book: these links lead nowhere:\n{}", broken.join("\n")))
}

fn is_there() -> bool {
    Command::new("mdbook").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The folder that mdBook wrote.
struct Site<'a> {
    root: &'a Path,
    folder: PathBuf,
}

impl Site<'_> {
    /// Returns the pages, relative to the folder of the site.
    fn pages(&self) -> Result<BTreeSet<PathBuf>, Failure> {
        let mut pages = BTreeSet::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder)
                .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
            for path in entries.flatten().map(|entry| entry.path()) {
                let is_page = path.extension().is_some_and(|end| end == "html");
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(page) = path.strip_prefix(&self.folder).ok().filter(|_| is_page)
                {
                    // Parts of the frame around pages, and a page for missing addresses, whose links are absolute.
                    if !["toc.html", "404.html"].iter().any(|part| page == Path::new(part)) {
                        pages.insert(page.to_path_buf());
                    }
                }
            }
        }
        Ok(pages)
    }

    /// Sets the language of a page, and links it to the same page in the other language.
    fn in_its_language(&self, page: &Path, text: &str, pages: &BTreeSet<PathBuf>) -> String {
        let japanese = page.strip_prefix(JAPANESE).ok();
        let other = match japanese {
            Some(english) => english.to_path_buf(),
            None => Path::new(JAPANESE).join(page),
        };
        let mut text = text.to_owned();
        if japanese.is_some() {
            text = text.replacen("<html lang=\"en\"", "<html lang=\"ja\"", 1);
        }
        if pages.contains(&other) && page != Path::new("print.html") {
            let up = "../".repeat(page.components().count() - 1);
            let (code, name) =
                if japanese.is_some() { ("en", "English") } else { ("ja", "日本語") };
            let link = format!("{up}{}", other.display());
            text = text.replacen(
                "</head>",
                &format!("<link rel=\"alternate\" hreflang=\"{code}\" href=\"{link}\">\n</head>"),
                1,
            );
            text = text.replacen(
                "<div class=\"right-buttons\">",
                &format!(
                    "<div class=\"right-buttons\">\n<a class=\"language-switch\" lang=\"{code}\" hreflang=\"{code}\" \
                     href=\"{link}\">{name}</a>"
                ),
                1,
            );
        }
        text
    }

    /// Replaces links to files that are in the repository and not on the site. Others that lead nowhere are listed.
    fn with_repository(&self, page: &Path, text: &str, broken: &mut Vec<String>) -> String {
        let mut finished = String::new();
        let mut rest = text;
        while let Some((before, target, after)) = next_link(rest) {
            finished.push_str(before);
            let path = target.split(['#', '?']).next().unwrap_or_default();
            let anchor = &target[path.len()..];
            let there = plain(&page.parent().unwrap_or(Path::new("")).join(path));
            let on_site = there.as_ref().is_some_and(|there| self.folder.join(there).is_file());
            if is_external(target) || path.is_empty() || on_site {
                finished.push_str(target);
            } else if let Some(file) = self.in_repository(page, path) {
                finished.push_str(&format!("{REPOSITORY}/{}{anchor}", file.display()));
            } else {
                broken.push(format!("{}: {target}", page.display()));
                finished.push_str(target);
            }
            rest = after;
        }
        finished.push_str(rest);
        finished
    }

    /// Finds the file that a link means, as the page's source stands in the repository.
    fn in_repository(&self, page: &Path, path: &str) -> Option<PathBuf> {
        let folder = Path::new("docs").join(page.parent()?);
        // mdBook has made the ending of a page of it.
        let names = [path.to_owned(), path.replace(".html", ".md")];
        let files = names.iter().filter_map(|name| plain(&folder.join(name)));
        files.into_iter().find(|file| self.root.join(file).exists())
    }

    /// Lists the links to places in pages that no heading or other element has.
    fn check_anchors(
        &self,
        page: &Path,
        text: &str,
        pages: &BTreeMap<PathBuf, String>,
        broken: &mut Vec<String>,
    ) {
        let mut rest = text;
        while let Some((_, target, after)) = next_link(rest) {
            rest = after;
            let Some((path, anchor)) = target.split_once('#') else { continue };
            if is_external(target) || anchor.is_empty() {
                continue;
            }
            let there = match path {
                "" => Some(page.to_path_buf()),
                path => plain(&page.parent().unwrap_or(Path::new("")).join(path)),
            };
            let has_anchor = |text: &String| {
                let anchor = decoded(anchor);
                text.contains(&format!("id=\"{anchor}\""))
                    || text.contains(&format!("name=\"{anchor}\""))
            };
            if let Some(text) = there.and_then(|there| pages.get(&there))
                && !has_anchor(text)
            {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
}

/// Leaves of the words behind a fence only the language, for the colours of code.
fn with_plain_languages(text: &str) -> String {
    let start = "<code class=\"language-";
    let mut parts = text.split(start);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find('"').unwrap_or(0);
        let language = part[..end].split(' ').next().unwrap_or_default();
        plain.push_str(start);
        plain.push_str(language);
        plain.push_str(&part[end..]);
    }
    plain
}

/// Splits a page at the next target of a link, a picture or a style: before it, it, and after it. The text begins
/// outside of tags or behind an earlier target; what looks like a link in shown code is none.
fn next_link(text: &str) -> Option<(&str, &str, &str)> {
    let starts = ["href=\"", "src=\""];
    let ends = starts.iter().flat_map(|start| {
        text.match_indices(start)
            .map(|(at, found)| at + found.len())
            .find(|end| is_in_tag(&text[..*end]))
    });
    let start = ends.min()?;
    let length = text[start..].find('"')?;
    Some((&text[..start], &text[start..start + length], &text[start + length..]))
}

/// Whether a text ends within a tag.
fn is_in_tag(text: &str) -> bool {
    text.rfind(['<', '>']).is_none_or(|at| text[at..].starts_with('<'))
}

fn is_external(target: &str) -> bool {
    target.contains(':') || target.starts_with("//")
}

/// Removes `.` and `..`; `None` for a path that leaves the folder in which it begins.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// Decodes `%E3` and its like, with which mdBook writes anchors that are not ASCII.
fn decoded(anchor: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = anchor.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn links_are_found_and_paths_are_made_plain() {
    let (before, target, after) = next_link("<a href=\"x.html#y\">z</a>").expect("a link");
    assert_eq!((before, target, after), ("<a href=\"", "x.html#y", "\">z</a>"));
    let shown = "<code>&lt;script src=\"x.js\"&gt;</code><img src=\"y.svg\" href=\"z\">";
    let (_, target, after) = next_link(shown).expect("the picture");
    assert_eq!((target, next_link(after).map(|link| link.1)), ("y.svg", Some("z")));
    assert_eq!(plain(Path::new("a/../b/./c")), Some(PathBuf::from("b/c")));
    assert_eq!(plain(Path::new("a/../../b")), None);
    let code = "<code class=\"language-sh skip=&quot;x y&quot;\">a</code>";
    assert_eq!(with_plain_languages(code), "<code class=\"language-sh\">a</code>");
    assert_eq!(decoded("%E6%B5%B7-a%"), "海-a%");
}
