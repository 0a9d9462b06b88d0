//! The names of terms in a search engine, and the escaping of characters that it reserves.

use std::borrow::Cow;
use std::collections::HashMap;

use splade_io::Problem;
use splade_sparse::TermId;

/// The names of the terms in a target: the tokens of the vocabulary, or the ids.
///
/// ```
/// use splade_export::TermNames;
///
/// let tokens = |tokens: [&str; 2]| TermNames::tokens(tokens.map(str::to_owned).into());
/// assert!(tokens(["night", "train"]).is_ok());
/// assert!(tokens(["night", "night"]).is_err(), "a search engine could not tell the terms apart");
/// ```
#[derive(Debug, Clone, Default)]
pub struct TermNames {
    /// The names in the order of the ids. A term beyond the end is named by its id.
    names: Vec<String>,
}

impl TermNames {
    /// Names all terms by their ids.
    pub fn ids() -> Self {
        Self::default()
    }

    /// Names terms by their tokens, which are given in the order of the ids.
    ///
    /// # Errors
    /// Returns a message if two terms have the same token.
    pub fn tokens(tokens: Vec<String>) -> Result<Self, Problem> {
        let mut seen = HashMap::new();
        for (term, token) in tokens.iter().enumerate() {
            if let Some(first) = seen.insert(token.as_str(), term) {
                let what = format!("terms {first} and {term} are both called {token:?}");
                return Err(Problem::new(what).with_remedy("name terms by their ids"));
            }
        }
        Ok(Self { names: tokens })
    }

    /// Returns the names with the reserved characters of a target escaped. Each byte of such a
    /// character becomes `%` and two hexadecimal digits. A `%` before two such digits is escaped
    /// too, so that different names stay different.
    #[must_use]
    pub(crate) fn without(mut self, reserved: impl Fn(char) -> bool) -> Self {
        for name in &mut self.names {
            if let Cow::Owned(escaped) = escape(name, &reserved) {
                *name = escaped;
            }
        }
        self
    }

    /// Returns the name of a term, which is its id if it has no other name.
    pub(crate) fn name(&self, term: TermId) -> Cow<'_, str> {
        match self.names.get(term.0 as usize) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(term.to_string()),
        }
    }
}

/// Returns whether a character is white space or a control character, which would end a token or a
/// line in a text file.
pub(crate) fn is_blank(mark: char) -> bool {
    mark.is_whitespace() || mark.is_control()
}

/// Escapes the reserved characters of a name; see [`TermNames::without`].
fn escape<'a>(name: &'a str, reserved: &impl Fn(char) -> bool) -> Cow<'a, str> {
    let hex = |at: usize| name.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let looks_escaped = |at: usize| hex(at + 1) && hex(at + 2);
    let marked = |(at, mark): (usize, char)| reserved(mark) || mark == '%' && looks_escaped(at);
    if !name.char_indices().any(marked) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::new();
    for (at, mark) in name.char_indices() {
        match marked((at, mark)) {
            true => {
                for byte in mark.encode_utf8(&mut [0; 4]).bytes() {
                    escaped.push_str(&format!("%{byte:02X}"));
                }
            }
            false => escaped.push(mark),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reverses [`escape`]: `%` and two hexadecimal digits become a byte.
    fn unescape(name: &str) -> String {
        let (bytes, mut out, mut at) = (name.as_bytes(), Vec::new(), 0);
        while at < bytes.len() {
            let byte = name.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
            match byte.and_then(|byte| u8::from_str_radix(byte, 16).ok()) {
                Some(byte) => out.push(byte),
                None => out.push(bytes[at]),
            }
            at +=
                if byte.is_some_and(|b| b.bytes().all(|b| b.is_ascii_hexdigit())) { 3 } else { 1 };
        }
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn reserved_marks_are_escaped() {
        let cases = [
            ("tokyo", "tokyo"),
            (".", "%2E"),
            ("a.b", "a%2Eb"),
            ("%", "%"),
            ("50%", "50%"),
            ("%2E", "%252E"),
            ("%.", "%%2E"),
            ("京.都", "京%2E都"),
        ];
        for (name, want) in cases {
            assert_eq!(escape(name, &|mark| mark == '.'), want);
        }
        assert_eq!(escape("a\u{3000}b", &is_blank), "a%E3%80%80b");
    }

    #[test]
    fn two_terms_of_one_name_are_refused() {
        let error = TermNames::tokens(vec!["a".into(), "b".into(), "a".into()]).expect_err("twice");
        assert!(error.to_string().contains("terms 0 and 2 are both called \"a\""), "{error}");
    }

    proptest! {
        #[test]
        fn names_stay_different(name in "[%.2eEF京 a]{0,8}") {
            prop_assert_eq!(unescape(&escape(&name, &|mark| mark == '.' || is_blank(mark))), name);
        }
    }
}
