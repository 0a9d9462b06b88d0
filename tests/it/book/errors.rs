//! The page of all error messages, made from the sources of the crates' error types.
//!
//! An error type is written with thiserror, formatted by rustfmt, and documented; that makes its
//! messages, their meanings and their hints readable line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::{is_generated, root};

/// The files with error types, in the order of the page, and what each is about.
const FILES: [(&str, &str); 13] = [
    ("src/error.rs", "The library"),
    ("crates/hydra-compose/src/error.rs", "Composing a config"),
    ("crates/hydra-compose/src/settings/error.rs", "Settings"),
    ("crates/splade-sparse/src/vector.rs", "Vectors"),
    ("crates/splade-text/src/error.rs", "Tokenizers and texts"),
    ("crates/splade-model/src/error.rs", "Models and the hub"),
    ("crates/splade-index/src/error.rs", "Indexes"),
    ("crates/splade-data/src/error.rs", "Training data"),
    ("crates/splade-train/src/error.rs", "Training"),
    ("crates/splade-eval/src/error.rs", "Evaluation"),
    ("crates/splade-logs/src/error.rs", "Logs and the live page"),
    ("crates/splade-export/src/push/error.rs", "Sending documents to a search engine"),
    ("crates/splade-http/src/error.rs", "The network"),
];

const INTRODUCTION: &str = "\
<!-- Made from the error types by `UPDATE_SNAPSHOTS=1 cargo test --test it book`; changes by hand are lost. -->

# Error messages

This page lists the messages of errors, so that you find what a message means and what to do about it; it is for people who
have such a message before them. The command prints `error: ` with the message and its causes, and below it `hint: ` with
what to do. The exit code is 1, or 2 for a wrong call. Words in braces stand for what was found: names, numbers, paths.
Messages that only pass on what another program or the operating system says are left out.
";

/// An error of an enum.
#[derive(Debug, Default)]
struct Message {
    name: String,
    text: String,
    meaning: String,
}

#[test]
fn the_page_of_errors_is_what_the_code_says() {
    let mut page = INTRODUCTION.to_owned();
    let mut count = 0;
    for (file, about) in FILES {
        let source = fs::read_to_string(root().join(file)).expect("a source");
        let hints = hints(&source);
        let messages = messages(&source);
        let _ = write!(page, "\n## {about}\n\n| message | meaning | what to do |\n|---|---|---|\n");
        // A message that a function makes has no form that could be looked up.
        for Message { name, text, meaning } in messages.iter().filter(|one| !one.text.is_empty()) {
            let hint = hints.get(name).map_or("", String::as_str);
            let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
            let _ = writeln!(page, "| `{}` | {} | {} |", cell(text), cell(meaning), cell(hint));
        }
        assert!(!messages.is_empty(), "{file} has no messages");
        count += messages.len();
    }
    assert!(count > 100, "{count}");
    is_generated("docs/reference/errors.md", &page);
}

/// Returns the messages of a source: for each variant, its documentation and its `#[error("…")]`.
fn messages(source: &str) -> Vec<Message> {
    let mut found = Vec::new();
    let mut docs = String::new();
    let mut error: Option<String> = None;
    let mut lines = source.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(doc) = line.strip_prefix("///") {
            let gap = if docs.is_empty() { "" } else { " " };
            docs = format!("{docs}{gap}{}", doc.trim());
        } else if let Some(start) = line.strip_prefix("#[error(") {
            let mut attribute = start.to_owned();
            while !attribute.ends_with(")]") {
                attribute.push('\n');
                attribute.push_str(lines.next().unwrap_or(")]"));
            }
            error = Some(attribute.trim_end_matches(")]").trim().to_owned());
        } else if !line.starts_with("#[") {
            let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
            let is_variant = line.starts_with(|c: char| c.is_ascii_uppercase()) && end > 0;
            if let Some(text) =
                error.take().and_then(|error| message(&error)).filter(|_| is_variant)
            {
                let name = line[..end].to_owned();
                found.push(Message { name, text, meaning: without_links(&docs) });
            }
            docs.clear();
        }
    }
    found
}

/// Returns the text of an `error` attribute with the names of its arguments, or `None` if it only
/// passes another error on. It is empty if a function makes the message.
fn message(attribute: &str) -> Option<String> {
    if attribute == "transparent" {
        return None;
    }
    let (text, arguments) = literal(attribute)?;
    let mut arguments = arguments.trim_start_matches(',').split(',').map(str::trim);
    let mut parts = text.split("{}");
    let mut message = parts.next()?.to_owned();
    for part in parts {
        let argument = arguments.next().unwrap_or_default();
        let name = argument.split(['.', '(']).next().unwrap_or_default().trim_start_matches('*');
        let _ = write!(message, "{{{name}}}{part}");
    }
    let is_made = message.starts_with('{') && message.ends_with('}') && !message.contains(' ');
    Some(if is_made { String::new() } else { message.replace("{0}", "{reason}") })
}

/// Splits a source that begins with a string literal behind it.
fn literal(source: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = source.strip_prefix('"')?.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &source[at + 2..])),
            '\\' => match chars.next()?.1 {
                // A line that goes on, without the spaces before the next one.
                '\n' => while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                'n' => text.push(' '),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
    None
}

/// Returns the hints of a source by the names of the variants, as its function `hint` has them.
fn hints(source: &str) -> BTreeMap<String, String> {
    let mut hints = BTreeMap::new();
    let Some((_, body)) = source.split_once("pub fn hint(&self)") else { return hints };
    let body = body.split_once("\n    }\n").map_or(body, |(body, _)| body);
    // rustfmt puts each arm at this depth.
    for arm in body.split("\n            Self::").skip(1) {
        let Some((patterns, result)) = arm.split_once("=>") else { continue };
        let result = result.split("\n            _ =>").next().unwrap_or_default();
        let Some(hint) = first_text(result, source) else { continue };
        for name in patterns.split("Self::") {
            let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
            hints.insert(name[..end].to_owned(), hint.clone());
        }
    }
    hints
}

/// Returns the first string in an expression, written out or as a constant of the source.
fn first_text(expression: &str, source: &str) -> Option<String> {
    if let Some(at) = expression.find('"') {
        return literal(&expression[at..]).map(|(text, _)| text);
    }
    let mut words = expression.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let constant = words.find(|word| word.len() > 2)?;
    let (_, value) = source.split_once(&format!("const {constant}: &str ="))?;
    literal(value.trim_start()).map(|(text, _)| text)
}

/// Takes the brackets of rustdoc's links away.
fn without_links(docs: &str) -> String {
    let mut text = String::new();
    let mut rest = docs;
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((name, after)) = after.split_once("`]") else { break };
        let after = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').map_or("", |(_, after)| after),
            None => after,
        };
        let _ = write!(text, "{before}`{name}`");
        rest = after;
    }
    text.push_str(rest);
    text
}

#[test]
fn messages_and_hints_are_read() {
    let source = "\
/// The remedy.\nconst GONE: &str = \"build it \\\n    again\";\npub enum E {\n    /// It is gone; see [`E`].\n    \
        #[error(\"{}: there is no \\\"{name}\\\"\", path.display())]\n    Gone {\n        path: PathBuf,\n    },\n    \
        /// Passed on.\n    #[error(transparent)]\n    Other(#[from] Io),\n}\n    pub fn hint(&self) -> X {\n        \
        match self {\n            Self::Gone { .. } => Some(GONE),\n            _ => None,\n        }\n    }\n";
    let found = messages(source);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, "{path}: there is no \"{name}\"");
    assert_eq!(found[0].meaning, "It is gone; see `E`.");
    assert_eq!(hints(source).get("Gone").map(String::as_str), Some("build it again"));
}
