//! Overrides that error messages suggest, written as they are typed in a shell.

use crate::value::quote_again;

/// Returns an override as it is typed in a shell, in single quotes if it needs them.
pub(crate) fn shell(line: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    match !line.is_empty() && line.chars().all(is_plain) {
        true => line.to_owned(),
        false => format!("'{}'", line.replace('\'', "'\\''")),
    }
}

/// Returns a text in double quotes for Hydra's grammar. A backslash before a character that
/// quotes protect is left out: it was an attempt to escape the character.
pub(crate) fn quoted(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let escapes = |next: &char| next.is_ascii_punctuation() || *next == ' ';
        if c != '\\' || !characters.peek().is_some_and(escapes) {
            plain.push(c);
        } else if let Some(escaped) = characters.next() {
            plain.push(escaped);
        }
    }
    quote_again(&plain, '"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shell_would_change_is_quoted() {
        for (line, want) in [
            ("training.seed=1", "training.seed=1"),
            ("+a/b@c=x_%r", "+a/b@c=x_%r"),
            ("a=[1]", "'a=[1]'"),
            ("~a", "'~a'"),
            ("a=\"it's\"", "'a=\"it'\\''s\"'"),
            ("", "''"),
        ] {
            assert_eq!(shell(line), want);
        }
        for (text, want) in [
            ("a#b", "\"a#b\""),
            ("a\\#b", "\"a#b\""),
            ("a\"b", "\"a\\\"b\""),
            ("C:\\x", "\"C:\\x\""),
            ("a b", "\"a b\""),
        ] {
            assert_eq!(quoted(text), want);
        }
    }
}
