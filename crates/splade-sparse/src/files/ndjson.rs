//! NDJSON rows `{"id": …, "vector": {key: weight…}}`, written in descending order of weights.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{RowWriter, VectorRow};
use crate::{SparseVector, TermId};
use splade_io::{FileError, Problem};

/// The format of the keys and weights of rows.
///
/// ```
/// use splade_sparse::files::{NdjsonWriter, RowFormat, RowWriter};
/// use splade_sparse::{SparseVector, TermId};
///
/// let format = RowFormat::tokens(["train", "night"].map(str::to_owned).into_iter(), 1);
/// let mut lines = Vec::new();
/// NdjsonWriter::new("stdout".into(), &mut lines, &format)
///     .write("d1", &SparseVector::new(vec![TermId(0), TermId(1)], vec![0.25, 1.5])?)?;
/// assert_eq!(lines, b"{\"id\":\"d1\",\"vector\":{\"night\":1.5,\"train\":0.2}}\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RowFormat {
    /// The keys of the terms as JSON strings with quotes. A term beyond the end has its id as key.
    keys: Vec<String>,
    /// The number of decimals of weights. A weight that rounds to zero is omitted.
    decimals: u8,
}

impl fmt::Debug for RowFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.len();
        f.debug_struct("RowFormat").field("keys", &keys).field("decimals", &self.decimals).finish()
    }
}

impl RowFormat {
    /// Returns the format of rows whose keys are tokens, given in the order of their ids.
    pub fn tokens(tokens: impl Iterator<Item = String>, decimals: u8) -> Self {
        Self { keys: tokens.map(|token| Value::from(token).to_string()).collect(), decimals }
    }

    /// Returns the format of rows whose keys are the ids of terms.
    pub fn ids(decimals: u8) -> Self {
        Self { keys: Vec::new(), decimals }
    }

    /// Appends the key of a term as a JSON string.
    fn push_key(&self, term: TermId, out: &mut Vec<u8>) {
        match self.keys.get(term.0 as usize) {
            Some(key) => out.extend_from_slice(key.as_bytes()),
            None => out.extend_from_slice(format!("\"{term}\"").as_bytes()),
        }
    }
}

/// Appends a row and a line end. Weights are in descending order, and equal weights in ascending
/// order of terms.
pub(super) fn push_row(out: &mut Vec<u8>, id: &str, vector: &SparseVector, format: &RowFormat) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(Value::from(id).to_string().as_bytes());
    out.extend_from_slice(b",\"vector\":{");
    let mut first = true;
    for (term, weight) in vector.by_weight() {
        let number = format!("{:.*}", usize::from(format.decimals), weight);
        let number = number.trim_end_matches('0');
        if number == "0." {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        format.push_key(term, out);
        out.push(b':');
        out.extend_from_slice(number.as_bytes());
        if number.ends_with('.') {
            out.push(b'0');
        }
    }
    out.extend_from_slice(b"}}\n");
}

/// Parses a row. `term` maps a key to its term.
///
/// # Errors
/// Returns a message if the line is not a row, if `term` does not know a key, if two keys are the
/// same term, or if the weights do not form a vector.
pub(super) fn parse_row(
    line: &str,
    term: &dyn Fn(&str) -> Option<TermId>,
) -> Result<VectorRow, Problem> {
    let row: Row =
        serde_json::from_str(line).map_err(|error| {
            match splade_io::repair_surrogates(line.as_bytes()) {
                Some(_) => Problem::new(
                    "the line has half of a surrogate pair (\\ud83d), which is no character",
                )
                .with_remedy("leave it out where the vectors are written"),
                None => Problem::new(error.to_string()),
            }
        })?;
    let id = match row.id {
        Some(Value::String(id)) => id,
        Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
        Some(Value::Number(_)) => {
            return Err(Problem::new(
                "\"id\" is a number with a point or of more than 64 bits, which loses digits as an \
                 id",
            )
            .with_remedy("write it as a string"));
        }
        _ => return Err("there is no \"id\"".into()),
    };
    let Some(Weights(weights)) = row.vector else {
        return Err("there is no object \"vector\"".into());
    };
    let mut terms = Vec::with_capacity(weights.len());
    for (at, (key, weight)) in weights.iter().enumerate() {
        let term = term(key).ok_or_else(|| format!("{key:?} is no term"))?;
        let weight = weight.as_f64().ok_or_else(|| format!("the weight of {key:?} is {weight}"))?;
        terms.push((term, at, weight as f32));
    }
    terms.sort_unstable_by_key(|(term, at, _)| (*term, *at));
    if let Some(twice) = terms.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let [first, second] = [twice[0].1, twice[1].1].map(|at| &weights[at].0);
        return Err(match first == second {
            true => format!("the term {first:?} is there twice").into(),
            false => {
                let term = twice[0].0;
                format!("the term {term} is there twice, as {first:?} and {second:?}").into()
            }
        });
    }
    let pairs = terms.into_iter().map(|(term, _, weight)| (term, weight)).collect();
    let vector = SparseVector::from_pairs(pairs).map_err(|error| error.to_string())?;
    Ok(VectorRow { id, vector })
}

/// A row as it stands in a file; a field that is there twice is an error.
#[derive(serde::Deserialize)]
#[serde(expecting = "a JSON object")]
struct Row {
    id: Option<Value>,
    vector: Option<Weights>,
}

/// The keys and weights of a vector in their order, with those that are there twice.
struct Weights(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, Value)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of weights")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

/// A writer of NDJSON rows to a file or a stream.
///
/// ```
/// use splade_sparse::files::{NdjsonWriter, RowFormat, RowWriter};
/// use splade_sparse::{SparseVector, TermId};
///
/// let (mut lines, format) = (Vec::new(), RowFormat::ids(4));
/// let mut writer = Box::new(NdjsonWriter::new("stdout".into(), &mut lines, &format));
/// writer.write("d1", &SparseVector::new(vec![TermId(7)], vec![1.5])?)?;
/// writer.finish()?;
/// assert_eq!(lines, b"{\"id\":\"d1\",\"vector\":{\"7\":1.5}}\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NdjsonWriter<'a, W: Write> {
    path: PathBuf,
    writer: W,
    format: &'a RowFormat,
    /// The buffer for one row.
    row: Vec<u8>,
}

impl<W: Write> fmt::Debug for NdjsonWriter<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NdjsonWriter").field("path", &self.path).finish()
    }
}

impl<'a, W: Write> NdjsonWriter<'a, W> {
    /// Makes a writer of rows to `writer`, which should be buffered. `path` names it in messages.
    pub fn new(path: PathBuf, writer: W, format: &'a RowFormat) -> Self {
        Self { path, writer, format, row: Vec::new() }
    }
}

impl<W: Write> RowWriter for NdjsonWriter<'_, W> {
    fn write(&mut self, id: &str, vector: &SparseVector) -> Result<(), FileError> {
        self.row.clear();
        push_row(&mut self.row, id, vector, self.format);
        self.writer.write_all(&self.row).map_err(FileError::io("write", &self.path))
    }

    fn finish(mut self: Box<Self>) -> Result<(), FileError> {
        self.writer.flush().map_err(FileError::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_are_json_in_descending_weight() {
        let pairs =
            vec![(TermId(3), 0.5), (TermId(1), 2.33336), (TermId(2), 2.0), (TermId(9), 0.00004)];
        let vector = SparseVector::from_pairs(pairs).expect("a vector");
        let row = |format: &RowFormat| {
            let mut out = Vec::new();
            push_row(&mut out, "a\"\n", &vector, format);
            String::from_utf8(out).expect("UTF-8")
        };
        let want = "{\"id\":\"a\\\"\\n\",\"vector\":{\"1\":2.3334,\"2\":2.0,\"3\":0.5}}\n";
        assert_eq!(row(&RowFormat::ids(4)), want);
        let tokens = ["a", "\"", "東", "京"].map(str::to_owned);
        let want = "{\"id\":\"a\\\"\\n\",\"vector\":{\"\\\"\":2.3,\"東\":2.0,\"京\":0.5}}\n";
        assert_eq!(row(&RowFormat::tokens(tokens.into_iter(), 1)), want);
    }

    #[test]
    fn says_what_is_no_row() {
        let term = |key: &str| key.trim_matches(['[', ']']).parse().ok().map(TermId);
        let cases = [
            ("{", "EOF"),
            ("[1]", "expected a JSON object"),
            ("{\"id\":1,\"vector\":{\"3\":1,\"1\":1,\"3\":2}}", "the term \"3\" is there twice"),
            (
                "{\"id\":1,\"vector\":{\"3\":1,\"[3]\":1}}",
                "the term 3 is there twice, as \"3\" and \"[3]\"",
            ),
            ("{\"id\":1,\"id\":2,\"vector\":{}}", "duplicate field `id`"),
            ("{\"id\":1,\"vector\":{},\"vector\":{}}", "duplicate field `vector`"),
            ("{\"id\":18446744073709551616,\"vector\":{}}", "more than 64 bits"),
            ("{\"id\":\"\\ud83d\",\"vector\":{}}", "half of a surrogate pair"),
            ("{\"id\":1,\"vector\":[1]}", "an object of weights"),
            ("{\"vector\":{}}", "there is no \"id\""),
            ("{\"id\":1}", "there is no object \"vector\""),
            ("{\"id\":1,\"vector\":{\"x\":1}}", "\"x\" is no term"),
            ("{\"id\":1,\"vector\":{\"1\":\"1\"}}", "the weight of \"1\" is \"1\""),
            ("{\"id\":1,\"vector\":{\"1\":-1}}", "finite and above zero"),
        ];
        for (line, want) in cases {
            let message = parse_row(line, &term).expect_err(line);
            assert!(message.to_string().contains(want), "{line}: {message}");
        }
    }

    proptest! {
        #[test]
        fn rows_come_back(
            id in any::<String>(),
            weights in proptest::collection::btree_map(any::<u32>(), 1e-4f32..100.0, 0..20),
        ) {
            let (terms, weights) = weights.into_iter().map(|(t, w)| (TermId(t), w)).unzip();
            let vector = SparseVector::new(terms, weights).expect("a vector");
            let mut out = Vec::new();
            push_row(&mut out, &id, &vector, &RowFormat::ids(9));
            let line = String::from_utf8(out).expect("UTF-8");
            let row = parse_row(&line, &|key| key.parse().ok().map(TermId)).expect("a row");
            prop_assert_eq!(row.id, id);
            prop_assert_eq!(row.vector.terms(), vector.terms());
            for (got, want) in row.vector.weights().iter().zip(vector.weights()) {
                // The error is that of nine decimals and that of the rounding to f32.
                prop_assert!((got - want).abs() <= 1e-9 + want * 6e-8);
            }
        }

        #[test]
        fn any_line_is_a_row_or_an_error(line in any::<String>()) {
            let _ = parse_row(&line, &|_| None);
        }
    }
}
