//! Rust source cut into the words and signs that imports are made of.
//!
//! Comments, strings, characters, lifetimes and numbers are left out: none of them names a file.

/// A word or a sign, with its line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

impl Token<'_> {
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(is_word_start)
    }
}

pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, is_token) = match first {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (block_comment(rest), false),
            '"' => (string(rest), false),
            'r' | 'b' | 'c' if prefix(rest).is_some() => (prefix(rest).unwrap_or(1), false),
            '\'' => (character_or_lifetime(rest), false),
            '0'..='9' => (word(rest), false),
            _ if is_word_start(first) => (word(rest), true),
            _ if rest.starts_with("::") => (2, true),
            _ => (first.len_utf8(), !first.is_whitespace()),
        };
        let (text, after) = rest.split_at(length);
        if is_token {
            // A raw identifier is the word without its mark.
            tokens.push(Token { text: text.strip_prefix("r#").unwrap_or(text), line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

fn is_word_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn word(rest: &str) -> usize {
    let start = if rest.starts_with("r#") { 2 } else { 0 };
    let end = rest[start..].find(|c: char| c != '_' && !c.is_alphanumeric());
    end.map_or(rest.len(), |end| start + end)
}

fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string that begins with its quotation mark.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `b"…"`, `c"…"`, `r#"…"#`, `br"…"`, `b'…'` and their like, or `None` for a word.
fn prefix(rest: &str) -> Option<usize> {
    let marks = rest.find(|c: char| !matches!(c, 'r' | 'b' | 'c')).filter(|marks| *marks <= 2)?;
    let body = &rest[marks..];
    if !rest[..marks].contains('r') {
        return match body.as_bytes().first()? {
            b'"' => Some(marks + string(body)),
            b'\'' => Some(marks + character_or_lifetime(body)),
            _ => None,
        };
    }
    let hashes = body.find(|c: char| c != '#')?;
    let text = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", &body[..hashes]);
    let length = text.find(&end).map_or(text.len(), |at| at + end.len());
    Some(marks + hashes + 1 + length)
}

/// `'a'`, `'\''` and `'a` are told apart by where the next mark is.
fn character_or_lifetime(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let end = rest[3.min(rest.len())..].find('\'');
            end.map_or(rest.len(), |end| 3 + end + 1)
        }
        Some((at, c)) => match chars.next() {
            Some((end, '\'')) => end + 1,
            _ => at + word(&rest[at..]).max(c.len_utf8()),
        },
        None => rest.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_signs_alone_are_left() {
        let cases = [
            ("use a::b;", "use a :: b ;"),
            ("a /* b /* c */ d */ e // f\ng", "a e g"),
            (r#"a("b \" c", 'd', '\'', '\u{1F600}', b'e', b"f", c"g") h"#, "a ( , , , , , , ) h"),
            (r###"a r"b\" c br#"d " e"# f r##"g"# h"## i"###, "a c f i"),
            ("fn f<'a>(x: &'a T<'static>) -> 'b'", "fn f < > ( x : & T < > ) - >"),
            ("r#type::x 1.5e3 0x_ff 1..2", "type :: x . . ."),
            ("bar rb cb brr 日本", "bar rb cb brr 日本"),
        ];
        for (source, want) in cases {
            let texts: Vec<_> = tokens(source).iter().map(|token| token.text).collect();
            assert_eq!(texts.join(" "), want, "{source}");
        }
    }

    #[test]
    fn lines_are_counted_in_what_is_left_out_too() {
        let lines: Vec<_> = tokens("a\n/*\n*/ b \"\n\n\" c\n\nd").iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 3, 5, 7]);
    }
}
