//! Who may do what.

use axum::http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use super::options::Keys;

impl Keys {
    /// Whether there are no keys, so that everybody may do everything.
    pub(crate) fn is_open(&self) -> bool {
        self.read.is_empty() && self.write.is_empty()
    }

    /// Whether a request may read. A key that may write may read, too.
    pub(crate) fn may_read(&self, headers: &HeaderMap) -> bool {
        self.read.is_empty() || is_one_of(self.read.iter().chain(&self.write), bearer(headers))
    }

    /// Whether a request may read that sends its key elsewhere than in its headers.
    pub(crate) fn may_read_with(&self, key: &str) -> bool {
        self.read.is_empty() || is_one_of(self.read.iter().chain(&self.write), key.as_bytes())
    }

    /// Whether a request may change indexes.
    pub(crate) fn may_write(&self, headers: &HeaderMap) -> bool {
        match self.write.is_empty() {
            true => self.may_read(headers),
            false => is_one_of(&self.write, bearer(headers)),
        }
    }

    /// The error of a request that may read but not write.
    pub(crate) fn refuse_write() -> ApiError {
        ApiError::validation("this key may not change indexes").with_status(StatusCode::FORBIDDEN)
    }
}

/// The key in the headers of a request; nothing if there is none.
fn bearer(headers: &HeaderMap) -> &[u8] {
    let sent = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    sent.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default()
}

/// Whether what was sent is one of the keys. The time depends neither on the keys nor on which of
/// them was sent, only on lengths.
fn is_one_of<'a>(keys: impl IntoIterator<Item = &'a String>, sent: &[u8]) -> bool {
    let mut found = subtle::Choice::from(0);
    for key in keys {
        found |= key.as_bytes().ct_eq(sent);
    }
    bool::from(found) && !sent.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_do_what_it_is_for() {
        let keys = |read: &[&str], write: &[&str]| Keys {
            read: read.iter().map(|key| (*key).to_owned()).collect(),
            write: write.iter().map(|key| (*key).to_owned()).collect(),
        };
        for (keys, sent, read, write) in [
            (keys(&[], &[]), None, true, true),
            (keys(&["a"], &[]), None, false, false),
            (keys(&["a"], &[]), Some("Bearer a"), true, true),
            (keys(&["a"], &[]), Some("Bearer b"), false, false),
            (keys(&["a"], &[]), Some("a"), false, false),
            (keys(&["a"], &[]), Some("Bearer "), false, false),
            (keys(&["a"], &[]), Some("bearer a"), false, false),
            (keys(&["a"], &["w"]), Some("Bearer a"), true, false),
            (keys(&["a"], &["w"]), Some("Bearer w"), true, true),
            (keys(&[], &["w"]), None, true, false),
            (keys(&[], &["w"]), Some("Bearer w"), true, true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(header::AUTHORIZATION, sent.parse().expect("a header"));
            }
            let may = (keys.may_read(&headers), keys.may_write(&headers));
            assert_eq!(may, (read, write), "{keys:?} {sent:?}");
        }
    }
}
