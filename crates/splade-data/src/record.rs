//! Parses a line of a data file into a record, and explains why a line cannot be parsed.
//!
//! | file | format of a line |
//! |---|---|
//! | query master | `{"qid": 1, "text": "…"}` |
//! | document master | `{"doc_id": 1, "text": "…"}` |
//! | positive lists | `{"qid": 1, "positive_doc_ids": [1, 2]}` |
//! | triplets | `{"qid": 1, "pos_doc_id": 1, "neg_doc_id": 9}` |
//! | hard-negative scores | `{"qid": 1, "scores": {"1": 7.5, "9": -3}}` |
//!
//! A record has exactly these fields, in any order. Ids are 64-bit integers, but keys of JSON
//! objects are strings.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use splade_io::repair_surrogates;

/// The kind of record that a file contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    Query,
    Document,
    Positives,
    Triplet,
    Scores,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryLine<'a> {
    pub(super) qid: i64,
    #[serde(borrow)]
    pub(super) text: Cow<'a, str>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentLine<'a> {
    pub(super) doc_id: i64,
    #[serde(borrow)]
    pub(super) text: Cow<'a, str>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PositivesLine {
    pub(crate) qid: i64,
    pub(crate) positive_doc_ids: Vec<i64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TripletLine {
    pub(super) qid: i64,
    pub(super) pos_doc_id: i64,
    pub(super) neg_doc_id: i64,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScoresLine {
    pub(crate) qid: i64,
    pub(crate) scores: Scores,
}

/// The scores of documents by id, in ascending order without repetition.
pub(crate) struct Scores(pub(crate) Vec<(i64, f32)>);

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(i64, f32)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from document ids to scores")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(serde::Deserialize)]
                struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut pairs = Vec::new();
                while let Some((Key(key), score)) = map.next_entry::<Key<'_>, f64>()? {
                    let Ok(doc) = key.trim().parse() else {
                        let shown = shown(&key);
                        return Err(Error::custom(format!("the key {shown} is not a document id")));
                    };
                    if !(score as f32).is_finite() {
                        return Err(Error::custom(format!("the score {score} is too large")));
                    }
                    pairs.push((doc, score as f32));
                }
                Ok(pairs)
            }
        }
        let mut pairs = deserializer.deserialize_map(Pairs)?;
        pairs.sort_by_key(|(doc, _)| *doc);
        match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Error::custom(format!("doc_id {} has two scores", pair[0].0))),
            None => Ok(Self(pairs)),
        }
    }
}

/// Parses a line; the error message says what is wrong with it.
pub(crate) fn read<'a, T: Deserialize<'a>>(schema: Schema, line: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| schema.diagnose(line, &error))
}

/// The type of a field.
#[derive(Clone, Copy)]
enum Kind {
    Id,
    Ids,
    Text,
    Scores,
}

impl Schema {
    /// Returns the name of the file kind.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Query => "query master",
            Self::Document => "document master",
            Self::Positives => "positive list",
            Self::Triplet => "triplets",
            Self::Scores => "hard-negative scores",
        }
    }

    fn fields(self) -> &'static [(&'static str, Kind)] {
        match self {
            Self::Query => &[("qid", Kind::Id), ("text", Kind::Text)],
            Self::Document => &[("doc_id", Kind::Id), ("text", Kind::Text)],
            Self::Positives => &[("qid", Kind::Id), ("positive_doc_ids", Kind::Ids)],
            Self::Triplet => {
                &[("qid", Kind::Id), ("pos_doc_id", Kind::Id), ("neg_doc_id", Kind::Id)]
            }
            Self::Scores => &[("qid", Kind::Id), ("scores", Kind::Scores)],
        }
    }

    /// Returns the reason why a line cannot be parsed.
    fn diagnose(self, line: &[u8], error: &serde_json::Error) -> String {
        if line.trim_ascii().is_empty() {
            return "the line is blank".to_owned();
        }
        if let Err(error) = std::str::from_utf8(line) {
            return format!("byte {} of the line is not UTF-8", error.valid_up_to() + 1);
        }
        // Half of a surrogate pair is read as U+FFFD where there are texts; it does not hide what
        // else is wrong.
        let repaired = repair_surrogates(line);
        let line = repaired.as_ref().map_or(line, |(line, _)| line);
        let object = match serde_json::from_slice(line) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return "the line is not a JSON object".to_owned(),
            Err(error) => {
                let (text, column) = bare(&error);
                return format!("the line is not valid JSON: {text} at column {column}");
            }
        };
        let fields = self.fields();
        let layout = || {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            format!("a line of the {} has {}", self.name(), names.join(", "))
        };
        for (name, kind) in fields {
            match object.get(*name) {
                None => return format!("there is no \"{name}\"; {}", layout()),
                Some(value) => {
                    if let Some(wrong) = kind.wrong(value) {
                        return format!("\"{name}\" is {wrong}");
                    }
                }
            }
        }
        let known = |key: &str| fields.iter().any(|(name, _)| *name == key);
        match object.keys().find(|key| !known(key)) {
            Some(key) => format!("unexpected {}; {}", shown(key), layout()),
            // The remaining errors are a repeated field or an error inside a value.
            None => {
                let (text, column) = bare(error);
                match error.is_data() {
                    true => text,
                    false => format!("the line is not valid JSON: {text} at column {column}"),
                }
            }
        }
    }
}

impl Kind {
    /// Returns what the value is if it does not have the type of the field; `None` if it does.
    fn wrong(self, value: &Value) -> Option<String> {
        let wanted = match (self, value) {
            (Self::Id, Value::Number(number)) if number.is_i64() => return None,
            (Self::Id, Value::String(text)) if text.trim().parse::<i64>().is_ok() => {
                return Some(format!("the text {value}; ids are integers, without quotes"));
            }
            (Self::Id, _) => "an integer of 64 bits",
            (Self::Ids, Value::Array(ids)) => {
                let wrong = ids.iter().find_map(|id| Self::Id.wrong(id))?;
                return Some(format!("a list with {wrong}"));
            }
            (Self::Ids, _) => "a list of integers",
            (Self::Text, Value::String(_)) | (Self::Scores, Value::Object(_)) => return None,
            (Self::Text, _) => "a text",
            (Self::Scores, _) => "an object from document ids to scores",
        };
        Some(format!("{}, not {wanted}", clip(&value.to_string())))
    }
}

/// Returns the text of a JSON error and its column. The line number of the JSON parser is removed
/// because it does not count the lines of the file.
fn bare(error: &serde_json::Error) -> (String, usize) {
    let text = error.to_string();
    let bare = text.rsplit_once(" at line ").map_or(&*text, |(bare, _)| bare);
    (bare.to_owned(), error.column())
}

fn shown(text: &str) -> String {
    format!("\"{}\"", clip(text))
}

/// Returns the first 60 characters of a text.
fn clip(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(60) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(schema: Schema, line: &[u8]) -> String {
        match schema {
            Schema::Query => read::<QueryLine<'_>>(schema, line).err(),
            Schema::Document => read::<DocumentLine<'_>>(schema, line).err(),
            Schema::Positives => read::<PositivesLine>(schema, line).err(),
            Schema::Triplet => read::<TripletLine>(schema, line).err(),
            Schema::Scores => read::<ScoresLine>(schema, line).err(),
        }
        .unwrap_or_default()
    }

    #[test]
    fn reads_sound_lines() {
        let line = " { \"text\" : \"a\\n\\u3042\\ud83d\\ude00\" , \"qid\" : -7 } \r\n";
        let query: QueryLine<'_> = read(Schema::Query, line.as_bytes()).expect("a query");
        assert_eq!((query.qid, &*query.text), (-7, "a\nあ😀"));
        let line = br#"{"doc_id": 9223372036854775807, "text": "plain"}"#;
        let document: DocumentLine<'_> = read(Schema::Document, line).expect("a document");
        assert_eq!(document.doc_id, i64::MAX);
        assert!(matches!(document.text, Cow::Borrowed("plain")), "texts are not copied");
        let line = br#"{"qid": 1, "scores": {"9": 1, "-2": -0.1, "10": 1e-3}}"#;
        let scores: ScoresLine = read(Schema::Scores, line).expect("scores");
        assert_eq!(scores.scores.0, [(-2, -0.1), (9, 1.0), (10, 1e-3)]);
    }

    #[test]
    fn says_what_is_wrong() {
        use Schema::{Document, Positives, Query, Scores, Triplet};
        let long = format!("{{\"qid\":1,\"text\":[\"{}\"]}}", "あ".repeat(90));
        let cases: &[(Schema, &[u8], &str)] = &[
            (Query, b" \r\n", "the line is blank"),
            (Query, b"{\"qid\": \"\xff\"}", "byte 10 of the line is not UTF-8"),
            (Query, b"[1]", "the line is not a JSON object"),
            (
                Query,
                b"{\"qid\": 1,",
                "the line is not valid JSON: EOF while parsing a value at column 10",
            ),
            (Query, b"{} {}", "the line is not valid JSON: trailing characters at column 4"),
            (
                Query,
                b"{\"text\": \"x\"}",
                "there is no \"qid\"; a line of the query master has qid, text",
            ),
            (
                Query,
                b"{\"qid\": \"12\", \"text\": \"\"}",
                "\"qid\" is the text \"12\"; ids are integers, without quotes",
            ),
            (
                Query,
                b"{\"qid\": \"a\", \"text\": \"\"}",
                "\"qid\" is \"a\", not an integer of 64 bits",
            ),
            (Query, b"{\"qid\": 1.0, \"text\": \"\"}", "\"qid\" is 1.0, not an integer of 64 bits"),
            (
                Query,
                b"{\"qid\": true, \"text\": \"\"}",
                "\"qid\" is true, not an integer of 64 bits",
            ),
            (
                Query,
                b"{\"qid\": 9223372036854775808, \"text\": \"\"}",
                "\"qid\" is 9223372036854775808, not an integer of 64 bits",
            ),
            (Query, b"{\"qid\": 1, \"text\": null}", "\"text\" is null, not a text"),
            (
                Query,
                b"{\"qid\": 1, \"text\": \"\\ud800\"}",
                "the line is not valid JSON: unexpected end of hex escape at column 27",
            ),
            (
                Triplet,
                b"{\"qid\": 1, \"pos_doc_id\": 2, \"neg_doc_id\": 3, \"note\": \"\\ud83d\"}",
                "unexpected \"note\"; a line of the triplets has qid, pos_doc_id, neg_doc_id",
            ),
            (
                Document,
                b"{\"doc_id\": 1, \"text\": \"\", \"title\": \"\"}",
                "unexpected \"title\"; a line of the document master has doc_id, text",
            ),
            (
                Document,
                b"{\"doc_id\": 1, \"doc_id\": 1, \"text\": \"\"}",
                "duplicate field `doc_id`",
            ),
            (
                Positives,
                b"{\"qid\": 1, \"positive_doc_ids\": 2}",
                "\"positive_doc_ids\" is 2, not a list of integers",
            ),
            (
                Positives,
                b"{\"qid\": 1, \"positive_doc_ids\": [2, \"3\"]}",
                "\"positive_doc_ids\" is a list with the text \"3\"; ids are integers, without quotes",
            ),
            (
                Triplet,
                b"{\"qid\": 1, \"pos_doc_id\": 2}",
                "there is no \"neg_doc_id\"; a line of the triplets has qid, pos_doc_id, neg_doc_id",
            ),
            (
                Scores,
                b"{\"qid\": 1, \"scores\": [1]}",
                "\"scores\" is [1], not an object from document ids to scores",
            ),
            (Scores, b"{\"qid\": 1, \"scores\": {\"x\": 1}}", "the key \"x\" is not a document id"),
            (
                Scores,
                b"{\"qid\": 1, \"scores\": {\"2\": \"x\"}}",
                "invalid type: string \"x\", expected f64",
            ),
            (
                Scores,
                b"{\"qid\": 1, \"scores\": {\"2\": NaN}}",
                "the line is not valid JSON: expected value at column 28",
            ),
            (
                Scores,
                b"{\"qid\": 1, \"scores\": {\"2\": 1e40}}",
                "the score 10000000000000000000000000000000000000000 is too large",
            ),
            (Scores, b"{\"qid\": 1, \"scores\": {\"2\": 1, \"02\": 1}}", "doc_id 2 has two scores"),
        ];
        let wrong: Vec<_> =
            cases.iter().filter(|c| error(c.0, c.1) != c.2).map(|c| error(c.0, c.1)).collect();
        assert_eq!(wrong, [""; 0]);
        assert!(error(Query, long.as_bytes()).len() < 250);
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_a_record(
            line in prop::sample::select(vec![
                r#"{"qid": 12, "text": "x あ\n"}"#,
                r#"{"doc_id": 12, "text": ""}"#,
                r#"{"qid": 12, "positive_doc_ids": [1, 22, 333]}"#,
                r#"{"qid": 12, "pos_doc_id": 1, "neg_doc_id": 2}"#,
                r#"{"qid": 12, "scores": {"1": 0.5, "22": -1e3}}"#,
            ]),
            at: prop::sample::Index,
            bytes in prop::collection::vec(any::<u8>(), 0..4),
            removed in 0usize..8,
        ) {
            let mut line = line.as_bytes().to_vec();
            let at = at.index(line.len());
            let end = line.len().min(at + removed);
            line.splice(at..end, bytes);
            for schema in
                [Schema::Query, Schema::Document, Schema::Positives, Schema::Triplet, Schema::Scores]
            {
                _ = error(schema, &line);
            }
        }
    }
}
