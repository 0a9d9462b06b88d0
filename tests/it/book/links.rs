//! Links of all Markdown files lead to files and headings that exist, and so do the pages that code
//! and messages name.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::root;

/// Folders without sources of this project.
const NOT_OURS: [&str; 5] = [".git", "target", "fixtures", "outputs", "multirun"];

/// Returns the Markdown files below a folder, relative to the root of the repository.
pub(super) fn markdown_files(folder: &Path) -> Vec<PathBuf> {
    files(folder, &["md"])
}

fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if !NOT_OURS.contains(&name.as_str()) {
                found.extend(files(&path, endings));
            }
        } else if path.extension().is_some_and(|end| endings.iter().any(|ours| end == *ours)) {
            found.push(path.strip_prefix(root()).expect("below the root").to_path_buf());
        }
    }
    found.sort();
    found
}

/// Removes `.` and `..` from a path.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Returns the text of a page without its fenced blocks and its code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let parts = line.split('`').enumerate().filter(|(at, _)| at % 2 == 0);
            parts.for_each(|(_, part)| prose.push_str(part));
        }
        prose.push('\n');
    }
    prose
}

/// Returns the anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if is_code || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        });
        let anchor: String = kept.collect();
        let before = anchors.iter().filter(|other| **other == anchor).count();
        anchors.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    anchors
}

/// Returns the targets of the links and pictures of a page: `](target)`, `href="…"`, `src="…"`.
fn targets(prose: &str) -> Vec<&str> {
    let between = |start: &'static str, end: &'static [char]| {
        prose.split(start).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
    };
    let targets = between("](", &[')', ' ']);
    let targets = targets.chain(between("href=\"", &['"'])).chain(between("src=\"", &['"']));
    targets.filter(|target| !target.contains(':') && !target.starts_with("//")).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut pages = HashMap::new();
    let mut broken = Vec::new();
    let read = |path: &Path| fs::read_to_string(root().join(path)).expect("a page");
    let all = markdown_files(root());
    assert!(all.len() > 60, "{}", all.len());
    for page in &all {
        let text = prose(&read(page));
        for target in targets(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => page.clone(),
                path => plain(&page.parent().unwrap_or(Path::new("")).join(path)),
            };
            let exists = root().join(&file).exists();
            let is_page = file.extension().is_some_and(|end| end == "md");
            let mut has_anchor = || {
                let known = pages.entry(file.clone()).or_insert_with(|| anchors(&read(&file)));
                known.iter().any(|known| known == anchor)
            };
            if !exists || (is_page && !anchor.is_empty() && !has_anchor()) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn pages_that_code_names_exist() {
    let endings = ["rs", "toml", "py", "pyi", "yaml", "yml", "ipynb", "css", "html", "js", "mjs"];
    let mut missing = Vec::new();
    let mut named = 0;
    for file in files(root(), &endings) {
        let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
        for rest in text.split("docs/").skip(1) {
            let is_path = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
            let end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
            let Some((path, _)) = rest[..end].split_once(".md") else { continue };
            named += 1;
            if !root().join(format!("docs/{path}.md")).is_file() {
                missing.push(format!("{}: docs/{path}.md", file.display()));
            }
        }
    }
    assert!(named > 5 && missing.is_empty(), "{named} pages named; missing: {missing:#?}");
}

#[test]
fn anchors_are_those_of_the_site() {
    let text = "# A `b` c!\n```\n# no\n```\n## ベクトル, 2 つ\n## A b c\n";
    assert_eq!(anchors(text), ["a-b-c", "ベクトル-2-つ", "a-b-c-1"]);
    assert_eq!(targets("[a](b.md#c) ![x](y.svg \"t\") [d](https://e)"), ["b.md#c", "y.svg"]);
}
