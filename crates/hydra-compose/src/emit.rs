//! Writes a config exactly as `OmegaConf.to_yaml` does, so that the outputs of the two can be
//! compared byte by byte: PyYAML's block style, plain strings where they read back as strings, and
//! lines folded after column 80.

use crate::node::{Map, Node, python_float};
use crate::scalar;

/// The column after which lines are folded, PyYAML's `best_width`.
const WIDTH: usize = 80;

/// Returns a mapping as YAML with a line break at the end.
pub(crate) fn to_yaml(map: &Map) -> String {
    let mut out = Emitter::default();
    if map.0.is_empty() {
        return "{}\n".to_owned();
    }
    out.map(map, 0);
    out.text
}

/// Returns a list as YAML with a line break at the end.
pub(crate) fn list_to_yaml(list: Vec<Node>) -> String {
    let mut out = Emitter::default();
    if list.is_empty() {
        return "[]\n".to_owned();
    }
    out.list(&list, 0);
    out.text
}

#[derive(Default)]
struct Emitter {
    text: String,
    /// The number of characters in the current line.
    column: usize,
}

impl Emitter {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    fn line_break(&mut self) {
        self.text.push('\n');
        self.column = 0;
    }

    fn indent(&mut self, indent: usize) {
        self.line_break();
        self.push(&" ".repeat(indent));
    }

    /// Writes a mapping at column `indent`, on a line that is empty or ends with `- `.
    fn map(&mut self, map: &Map, indent: usize) {
        for (i, (key, value)) in map.0.iter().enumerate() {
            if i > 0 {
                self.push(&" ".repeat(indent));
            }
            self.key(key, indent);
            match value {
                Node::Map(inner) if !inner.0.is_empty() => {
                    self.indent(indent + 2);
                    self.map(inner, indent + 2);
                }
                // PyYAML does not indent a list below its key.
                Node::List(inner) if !inner.is_empty() => {
                    self.indent(indent);
                    self.list(inner, indent);
                }
                scalar => {
                    self.push(" ");
                    self.scalar(scalar, indent + 2);
                    self.line_break();
                }
            }
        }
    }

    fn list(&mut self, list: &[Node], indent: usize) {
        for (i, value) in list.iter().enumerate() {
            if i > 0 {
                self.push(&" ".repeat(indent));
            }
            self.push("- ");
            match value {
                Node::Map(inner) if !inner.0.is_empty() => self.map(inner, indent + 2),
                Node::List(inner) if !inner.is_empty() => self.list(inner, indent + 2),
                scalar => {
                    self.scalar(scalar, indent + 2);
                    self.line_break();
                }
            }
        }
    }

    /// Writes a key with its colon. A key that is long, empty or has several lines takes the `? `
    /// form.
    fn key(&mut self, key: &str, indent: usize) {
        let simple = key.chars().count() < 123 && !key.is_empty() && !has_break(key);
        if simple {
            self.string(key, indent, false);
            self.push(":");
            return;
        }
        self.push("? ");
        self.string(key, indent + 2, true);
        self.indent(indent);
        self.push(":");
    }

    fn scalar(&mut self, node: &Node, indent: usize) {
        match node {
            Node::Null => self.push("null"),
            Node::Bool(b) => self.push(if *b { "true" } else { "false" }),
            Node::Int(i) => self.push(&i.to_string()),
            Node::Float(f) => self.push(&yaml_float(*f)),
            Node::Str(s) => self.string(s, indent, true),
            Node::List(_) => self.push("[]"),
            Node::Map(_) => self.push("{}"),
        }
    }

    /// Writes a string in the first style that can hold it. If `fold` is set, long lines are broken
    /// and continue at column `indent`.
    fn string(&mut self, text: &str, indent: usize, fold: bool) {
        let allowed = Allowed::of(text);
        if allowed.plain && scalar::is_plain_string(text) && !reads_as_number_or_bool(text) {
            self.plain(text, indent, fold);
        } else if allowed.single_quoted {
            self.single_quoted(text, indent, fold);
        } else {
            self.double_quoted(text, indent, fold);
        }
    }

    fn plain(&mut self, text: &str, indent: usize, fold: bool) {
        for run in runs(text) {
            if fold && run == " " && self.column > WIDTH {
                self.indent(indent);
            } else {
                self.push(run);
            }
        }
    }

    fn single_quoted(&mut self, text: &str, indent: usize, fold: bool) {
        self.push("'");
        let mut at = 0;
        for run in runs(text) {
            let inner = at > 0 && at + run.len() < text.len();
            at += run.len();
            if run.starts_with(is_break) {
                if run.starts_with('\n') {
                    self.line_break();
                }
                for c in run.chars() {
                    if c == '\n' {
                        self.line_break();
                    } else {
                        self.text.push(c);
                        self.column = 0;
                    }
                }
                self.push(&" ".repeat(indent));
            } else if fold && inner && run == " " && self.column > WIDTH {
                self.indent(indent);
            } else {
                self.push(&run.replace('\'', "''"));
            }
        }
        self.push("'");
    }

    fn double_quoted(&mut self, text: &str, indent: usize, fold: bool) {
        self.push("\"");
        let chars: Vec<char> = text.chars().collect();
        // The characters that are not escaped and not written yet.
        let mut pending = String::new();
        for (end, &c) in chars.iter().enumerate() {
            let escaped = escape(c);
            if escaped.is_some() {
                self.push(&std::mem::take(&mut pending));
            }
            if let Some(escaped) = &escaped {
                self.push(escaped);
            }
            let inner = end > 0 && end + 1 < chars.len();
            let may_fold = c == ' ' || escaped.is_some() || pending.is_empty();
            // PyYAML counts an escape that it has just written as one character less.
            let here = self.column + pending.chars().count() - usize::from(escaped.is_some());
            if fold && inner && may_fold && here > WIDTH {
                // An unescaped character is held back and comes first on the next line.
                self.push(&std::mem::take(&mut pending));
                self.push("\\");
                self.indent(indent);
                let next = if escaped.is_some() { chars[end + 1] } else { c };
                if next == ' ' {
                    self.push("\\");
                }
            }
            if escaped.is_none() {
                pending.push(c);
            }
        }
        self.push(&pending);
        self.push("\"");
    }
}

/// Formats a number as PyYAML does: as Python, but with a decimal point before the exponent.
fn yaml_float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = python_float(value);
    if text.contains('.') { text } else { text.replacen('e', ".0e", 1) }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn has_break(text: &str) -> bool {
    text.contains(is_break)
}

/// Splits a text into runs of spaces, of line breaks and of other characters.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let class = |c: char| match c {
        ' ' => 0,
        c if is_break(c) => 1,
        _ => 2,
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = class(rest.chars().next()?);
        let end = rest.find(|c| class(c) != first).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some(run)
    })
}

/// The scalar styles that can represent a string.
struct Allowed {
    plain: bool,
    single_quoted: bool,
}

impl Allowed {
    fn of(text: &str) -> Allowed {
        if text.is_empty() {
            // A plain empty scalar would be null.
            return Allowed { plain: false, single_quoted: true };
        }
        let special = text.chars().any(is_special);
        let break_then_space = has_pair(text, |a, b| is_break(a) && b == ' ');
        let space_then_break = has_pair(text, |a, b| a == ' ' && is_break(b));
        let single_quoted = !special && !break_then_space && !space_then_break;
        let edge = |c: char| c == ' ' || is_break(c);
        let plain = single_quoted
            && !has_break(text)
            && !text.starts_with(edge)
            && !text.ends_with(edge)
            && !has_indicator(text);
        Allowed { plain, single_quoted }
    }
}

fn has_pair(text: &str, test: impl Fn(char, char) -> bool) -> bool {
    text.chars().zip(text.chars().skip(1)).any(|(a, b)| test(a, b))
}

/// Returns whether a character needs an escape.
fn is_special(c: char) -> bool {
    !matches!(c,
        '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'
        | '\u{10000}'..='\u{10fffe}')
        || c == '\u{feff}'
}

/// Returns whether a plain string would be read as something else in block context.
fn has_indicator(text: &str) -> bool {
    let white = |c: char| matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(c);
    let chars: Vec<char> = text.chars().collect();
    let followed_by_white = |i: usize| chars.get(i + 1).is_none_or(|&c| white(c));
    let first = match chars[0] {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => true,
        '?' | ':' | '-' => followed_by_white(0),
        _ => text.starts_with("---") || text.starts_with("..."),
    };
    first
        || text.starts_with("---")
        || (1..chars.len()).any(|i| match chars[i] {
            ':' => followed_by_white(i),
            '#' => white(chars[i - 1]),
            _ => false,
        })
}

/// Returns whether OmegaConf quotes a string although YAML does not require it: everything that
/// Python's `int` or `float` accepts, and `y` and `n`.
fn reads_as_number_or_bool(text: &str) -> bool {
    if matches!(text, "y" | "Y" | "n" | "N") {
        return true;
    }
    let trimmed = text.trim();
    let body = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if ["inf", "infinity", "nan"].contains(&body.to_ascii_lowercase().as_str()) {
        return true;
    }
    // Python accepts one underscore between two digits.
    let grouped = body.bytes().enumerate().all(|(i, b)| {
        b != b'_'
            || (i > 0
                && body.as_bytes()[i - 1].is_ascii_digit()
                && body.as_bytes().get(i + 1).is_some_and(u8::is_ascii_digit))
    });
    body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && grouped
        && body.replace('_', "").parse::<f64>().is_ok()
}

/// Returns the escape of a character in a double-quoted string, or `None` if it needs no escape.
fn escape(c: char) -> Option<String> {
    let letter = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' if c != '\u{feff}' => {
            return None;
        }
        _ => {
            let code = u32::from(c);
            return Some(match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            });
        }
    };
    Some(format!("\\{letter}"))
}
