//! What an index stores of a document: its title and its text.

use serde::{Deserialize, Serialize};

use crate::record::{Record, titled};

/// The title and the text of a document that an index stores.
///
/// ```
/// use light_splade::search::StoredDocument;
///
/// let document = StoredDocument { title: "Tokyo".into(), text: "The capital of Japan.".into() };
/// assert_eq!(document.full_text(), "Tokyo The capital of Japan.");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDocument {
    /// The title; empty if the document has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The text without the title.
    pub text: String,
}

impl StoredDocument {
    /// The text that was encoded: the title, a blank and the text.
    pub fn full_text(&self) -> String {
        titled(&self.title, self.text.clone())
    }

    /// The bytes that an index stores: JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings are JSON: this is a bug")
    }

    /// Reads the bytes that an index stores; no bytes are no document.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        match bytes {
            [] => Ok(None),
            _ => serde_json::from_slice(bytes).map(Some),
        }
    }
}

impl From<&Record> for StoredDocument {
    fn from(record: &Record) -> Self {
        let rest = record.text.strip_prefix(&record.title).filter(|_| !record.title.is_empty());
        match rest {
            None => Self { title: String::new(), text: record.text.clone() },
            // `titled` puts one blank after the title.
            Some(rest) => {
                let text = rest.strip_prefix(' ').unwrap_or(rest).to_owned();
                Self { title: record.title.clone(), text }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_with_the_text_that_was_encoded() {
        for (title, text, want_title, want_text) in [
            ("", "x", "", "x"),
            ("", " x ", "", " x "),
            ("T", "x ", "T", "x"),
            ("T", "", "T", ""),
            ("T", "  x", "T", "  x"),
            // The blank of the title is before the text then.
            (" T ", "x", "T", " x"),
            ("  ", "x", "", "x"),
            ("東京", "日本の首都\n", "東京", "日本の首都"),
        ] {
            let record = Record::titled("1", title, text);
            let document = StoredDocument::from(&record);
            assert_eq!((&*document.title, &*document.text), (want_title, want_text), "{title:?}");
            assert_eq!(document.full_text(), record.text, "{title:?} {text:?}");
            let back = StoredDocument::from_bytes(&document.to_bytes()).expect("JSON");
            assert_eq!(back, Some(document));
        }
        assert_eq!(StoredDocument::from_bytes(b"").expect("nothing"), None);
        assert!(StoredDocument::from_bytes(b"\x00").is_err());
    }
}
