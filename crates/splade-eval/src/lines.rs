//! Reads the lines of a text file with their numbers, and the fields of NDJSON objects.

use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};
use splade_io::{open_text, read_line};

use crate::EvalError;

/// Opens a file, decompressed if its name ends in `.gz` or `.zst`.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, EvalError> {
    Ok(open_text(path)?)
}

/// A reader of the lines that are not blank, without line ends and without a byte order mark.
pub(super) struct Lines<R> {
    reader: R,
    name: String,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, name: &str) -> Self {
        Self { reader, name: name.to_owned(), line: 0, buffer: Vec::new() }
    }

    /// Returns the next line that is not blank, with its number counted from 1.
    pub(super) fn next_line(&mut self) -> Result<Option<(u64, &str)>, EvalError> {
        loop {
            self.buffer.clear();
            let read = read_line(&mut self.reader, &mut self.buffer);
            if read.map_err(|source| EvalError::io("read", self.name.as_ref())(source))? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            if !self.buffer.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(line) => Ok(Some((self.line, line.trim_end_matches(['\n', '\r'])))),
            Err(error) => {
                let at = error.valid_up_to() + 1;
                Err(self.error(format!("byte {at} of the line is not UTF-8")))
            }
        }
    }

    /// Returns the line that was returned last and everything after it.
    pub(super) fn rest(&mut self) -> Result<String, EvalError> {
        let read = self.reader.read_to_end(&mut self.buffer);
        read.map_err(|source| EvalError::io("read", self.name.as_ref())(source))?;
        String::from_utf8(std::mem::take(&mut self.buffer)).map_err(|error| {
            let bytes = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = self.line + bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.error_at(line, "the line is not UTF-8".to_owned())
        })
    }

    /// Creates an error in the line that was returned last.
    pub(super) fn error(&self, message: String) -> EvalError {
        self.error_at(self.line, message)
    }

    /// Creates an error in an earlier line.
    pub(super) fn error_at(&self, line: u64, message: String) -> EvalError {
        EvalError::Line { name: self.name.clone(), line, message }
    }
}

/// Returns the field of an object with the first of the names that exists.
pub(super) fn field<'a>(
    object: &'a Map<String, Value>,
    names: &[&str],
) -> Result<&'a Value, String> {
    names.iter().find_map(|name| object.get(*name)).ok_or_else(|| {
        let has: Vec<_> = object.keys().take(20).map(String::as_str).collect();
        format!("no field named {}; the fields are: {}", names.join(" or "), has.join(", "))
    })
}

/// Returns an id as a string; it must be a string or an integer, because other numbers may have
/// lost digits.
pub(super) fn id(value: &Value) -> Result<String, String> {
    match value {
        Value::String(id) => Ok(id.clone()),
        Value::Number(id) if !id.is_f64() => Ok(id.to_string()),
        other => Err(format!("the id {other} is neither a text nor an integer of 64 bits")),
    }
}

/// Returns a text as messages show it: in quotes and cut after 60 characters.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
