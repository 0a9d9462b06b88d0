//! NDJSON rows `{"id": …, "vector": {key: weight…}}`, written in descending order of weights.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use super::{RowWriter, VectorRow};
use crate::{SparseVector, TermId};
use splade_io::FileError;

/// The format of the keys and weights of rows.
pub struct RowFormat {
    /// The keys of the terms as JSON strings with quotes. A term beyond the end has its id as key.
    keys: Vec<String>,
    /// The number of decimals of weights. A weight that rounds to zero is omitted.
    decimals: u8,
}

impl std::fmt::Debug for RowFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
pub fn push_row(out: &mut Vec<u8>, id: &str, vector: &SparseVector, format: &RowFormat) {
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
/// Returns a message if the line is not a row, if `term` does not know a key, or if the weights do
/// not form a vector.
pub fn parse_row(line: &str, term: &dyn Fn(&str) -> Option<TermId>) -> Result<VectorRow, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let id = match &value["id"] {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return Err("there is no \"id\"".to_owned()),
    };
    let weights = value["vector"].as_object().ok_or("there is no object \"vector\"")?;
    let pairs = weights.iter().map(|(key, weight)| {
        let term = term(key).ok_or_else(|| format!("{key:?} is no term"))?;
        let weight = weight.as_f64().ok_or_else(|| format!("the weight of {key:?} is {weight}"))?;
        Ok((term, weight as f32))
    });
    let pairs = pairs.collect::<Result<_, String>>()?;
    let vector = SparseVector::from_pairs(pairs).map_err(|error| error.to_string())?;
    Ok(VectorRow { id, vector })
}

/// A writer of NDJSON rows to a file or a stream.
pub struct NdjsonWriter<'a, W: Write> {
    path: PathBuf,
    writer: W,
    format: &'a RowFormat,
    /// The buffer for one row.
    row: Vec<u8>,
}

impl<W: Write> std::fmt::Debug for NdjsonWriter<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        let term = |key: &str| key.parse().ok().map(TermId);
        let cases = [
            ("{", "EOF"),
            ("{\"vector\":{}}", "there is no \"id\""),
            ("{\"id\":1}", "there is no object \"vector\""),
            ("{\"id\":1,\"vector\":{\"x\":1}}", "\"x\" is no term"),
            ("{\"id\":1,\"vector\":{\"1\":\"1\"}}", "the weight of \"1\" is \"1\""),
            ("{\"id\":1,\"vector\":{\"1\":-1}}", "finite and above zero"),
        ];
        for (line, want) in cases {
            let message = parse_row(line, &term).expect_err(line);
            assert!(message.contains(want), "{line}: {message}");
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
