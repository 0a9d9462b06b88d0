//! The limits at which the texts of a pair are truncated: settings that training and prediction
//! share.

use hydra_compose::settings;
use hydra_compose::settings::{Fields, Kind, SettingError, Written, count, number};
use serde_json::{Value, json};

settings! {
    /// The settings of the limits at which the texts of a pair are truncated.
    pub struct PairSettings {
        /// The maximum number of tokens in a pair, special tokens included.
        pub max_token_len: usize = count(1).or(512);
        /// The assumed number of characters of a token; it gives the maximum number of characters
        /// in a pair.
        pub char_per_token_ratio: f64 = number(1e-6.., "a number above 0").or(1.8);
        /// The maximum length of the query of a pair in characters. A float is a share of the
        /// characters of a pair, and an integer is a number; 0 means no limit.
        pub max_query_len: QueryLimit = QueryLimitKind;
    }
}

/// The maximum length of the query of a pair (`max_query_len`). A length of 0 does not limit
/// queries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QueryLimit {
    /// A float: a share of the characters of a pair, from 0 to below 1.
    Share(f64),
    /// An integer: a number of characters.
    Characters(usize),
}

/// The kind of the setting `max_query_len`.
struct QueryLimitKind;

impl Kind<QueryLimit> for QueryLimitKind {
    fn unset(&self) -> QueryLimit {
        QueryLimit::Share(0.33)
    }

    fn read(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<QueryLimit, SettingError> {
        let Some(value) = fields.value(name) else { return Ok(self.unset()) };
        if let Some(characters) = value.as_u64().filter(|_| !value.is_f64()) {
            return Ok(QueryLimit::Characters(characters as usize));
        }
        let share = value.as_f64().filter(|share| (0.0..1.0).contains(share));
        let message = "If float, max_query_len must be in the range 0.0 ~ 1.0!";
        share.map(QueryLimit::Share).ok_or_else(|| fields.error(name, message))
    }

    fn write(&self, name: &'static str, value: &QueryLimit, written: &mut Written) {
        let value: Value = match value {
            QueryLimit::Share(share) => json!(share),
            QueryLimit::Characters(characters) => json!(characters),
        };
        written.set(name, value);
    }
}

impl PairSettings {
    /// Returns the limits that follow from the settings, as the Python library computes them.
    pub fn limits(&self) -> PairLimits {
        let max_len = (self.max_token_len as f64 * self.char_per_token_ratio) as usize;
        let max_query_len = match self.max_query_len {
            QueryLimit::Share(share) => (share * max_len as f64) as usize,
            QueryLimit::Characters(characters) => characters,
        };
        let max_query_len = match max_query_len {
            0 => max_len,
            length => length.min(max_len),
        };
        PairLimits { max_token_len: self.max_token_len, max_len, max_query_len }
    }
}

/// The limits at which the texts of a pair are truncated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairLimits {
    /// The maximum number of tokens in a pair, special tokens included.
    pub max_token_len: usize,
    /// The maximum number of characters in a pair.
    pub max_len: usize,
    /// The maximum number of characters in the query of a pair.
    pub max_query_len: usize,
}

/// The warning for queries that may be as long as a pair.
pub(super) const QUERIES_MAY_FILL_PAIRS: &str =
    "max_query_len does not limit queries: a long query may leave no room for its document";

impl PairLimits {
    /// Returns the used parts of a query and a document. Characters are counted as in Python.
    pub fn cut<'a>(&self, query: &'a str, document: &'a str) -> (&'a str, &'a str) {
        let query = first_characters(query, self.max_query_len);
        let left = self.max_len - query.chars().count();
        (query, first_characters(document, left))
    }

    /// Returns whether a query may leave no room for its document.
    pub fn queries_may_fill_pairs(&self) -> bool {
        self.max_query_len == self.max_len
    }
}

fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use hydra_compose::settings::Settings;

    use super::*;

    fn limits(values: &Value) -> Result<PairLimits, String> {
        let settings = PairSettings::from_value(values).map_err(|error| error.to_string())?;
        Ok(settings.limits())
    }

    /// The expected values are `int(max_token_len * char_per_token_ratio)` and so on, as the Python
    /// class computes them.
    #[test]
    fn lengths_are_those_of_python() {
        for (values, max_len, max_query_len) in [
            (json!({}), 921, 303),
            (json!({"max_token_len": 256}), 460, 151),
            (json!({"max_token_len": 256, "max_query_len": 100}), 460, 100),
            (json!({"max_token_len": 256, "max_query_len": 0}), 460, 460),
            (json!({"max_token_len": 256, "max_query_len": 0.0}), 460, 460),
            (json!({"max_token_len": 256, "max_query_len": 9999}), 460, 460),
            (
                json!({"max_token_len": 10, "char_per_token_ratio": 4.35, "max_query_len": 0.5}),
                43,
                21,
            ),
        ] {
            let limits = limits(&values).expect("sound");
            assert_eq!(
                (limits.max_len, limits.max_query_len),
                (max_len, max_query_len),
                "{values}"
            );
        }
        for wrong in [1.0, -0.1, 1.5] {
            let error = limits(&json!({"max_query_len": wrong})).expect_err("refused");
            assert_eq!(
                error,
                "max_query_len: If float, max_query_len must be in the range 0.0 ~ 1.0!"
            );
        }
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let limits = PairLimits { max_token_len: 9, max_len: 6, max_query_len: 4 };
        assert_eq!(limits.cut("夜明け前に", "橋を渡る"), ("夜明け前", "橋を"));
        assert_eq!(limits.cut("夜", "橋を渡る列車"), ("夜", "橋を渡る列"));
        assert_eq!(limits.cut("", ""), ("", ""));
        let limits = PairLimits { max_query_len: 6, ..limits };
        assert_eq!(limits.cut("abcdefgh", "x"), ("abcdef", ""));
    }
}
