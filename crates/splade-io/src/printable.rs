//! Texts as they are shown to people. An id or a file name may contain control characters, which
//! would move the cursor of a terminal, change its colours, or pretend to be lines of this program.

use std::borrow::Cow;

/// Returns a text in which control characters, ends of lines and marks that change the direction of
/// writing are escaped: `\n`, `\u{1b}`. For a name or an id in the middle of a line.
///
/// ```
/// assert_eq!(splade_io::printable("a\u{1b}[31m\n東京"), "a\\u{1b}[31m\\n東京");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe)
}

/// Does the same for a text of several lines, whose line ends and tabs stay.
///
/// ```
/// let text = "night\ttrain\nbridge\u{1b}[31m";
/// assert_eq!(splade_io::printable_lines(text), "night\ttrain\nbridge\\u{1b}[31m");
/// ```
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_unsafe(c) && !matches!(c, '\n' | '\t'))
}

fn escape(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unsafe(c) {
            true => escaped.extend(c.escape_default()),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let cases = [
            ("d1 東京 😀", "d1 東京 😀", "d1 東京 😀"),
            ("a\tb\nc\r", "a\\tb\\nc\\r", "a\tb\nc\\r"),
            ("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}", "\\u{1b}]0;x\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("a\u{202e}b", "a\\u{202e}b", "a\\u{202e}b"),
        ];
        for (text, one_line, lines) in cases {
            assert_eq!(printable(text), one_line);
            assert_eq!(printable_lines(text), lines);
        }
    }
}
