//! Texts from JSON: an object on each line, or objects over any number of lines, alone or in one
//! array. Only the object that is being read is in memory.

use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use splade_io::{FileError, LongLine, Problem, repair_surrogates};

use super::row::{TextFields, TextRow};

/// Parses a JSON object. Returns the row, and the number of halves of surrogate pairs that were read
/// as U+FFFD.
///
/// # Errors
/// Returns a message if the object is not valid JSON, has a field twice, or lacks the fields.
pub(super) fn parse(json: &[u8], fields: &TextFields) -> Result<(TextRow, u64), Problem> {
    let invalid = |error: &serde_json::Error| {
        let text = error.to_string();
        // The parser counts the lines of the object, not those of the file.
        let bare = text.rsplit_once(" at line ").map_or(&*text, |(bare, _)| bare);
        match error.classify() {
            serde_json::error::Category::Data => bare.to_owned(),
            _ if error.line() > 1 => format!("not valid JSON: {bare}"),
            _ => format!("not valid JSON: {bare} at column {}", error.column()),
        }
    };
    match serde_json::from_slice::<Object<'_>>(json) {
        Ok(object) => Ok((object.row(fields)?, 0)),
        Err(error) => match repair_surrogates(json) {
            None => Err(invalid(&error).into()),
            Some((json, count)) => {
                let object = serde_json::from_slice::<Object<'_>>(&json);
                Ok((object.map_err(|error| invalid(&error))?.row(fields)?, count))
            }
        },
    }
}

/// Returns whether some bytes are a JSON object, or can become one if more bytes follow.
pub(super) fn is_object(json: &[u8], is_whole: bool) -> bool {
    json.trim_ascii_start().starts_with(b"{")
        && match serde_json::from_slice::<IgnoredAny>(json) {
            Ok(_) => true,
            Err(error) => !is_whole && error.is_eof(),
        }
}

/// The fields of an object in their order.
struct Object<'a>(Vec<(Cow<'a, str>, Cell<'a>)>);

/// A value of a field, as far as it matters.
enum Cell<'a> {
    Text(Cow<'a, str>),
    Integer(String),
    /// A number with a point or an exponent, or an integer beyond 64 bits, whose digits are lost.
    Number,
    Null,
    Other,
}

impl Object<'_> {
    fn get(&self, name: &str) -> Option<&Cell<'_>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, cell)| cell)
    }

    fn row(&self, fields: &TextFields) -> Result<TextRow, Problem> {
        let names = || self.0.iter().take(20).map(|(key, _)| &**key).collect::<Vec<_>>();
        let text = match self.get(fields.text()) {
            Some(Cell::Text(text)) => text.to_string(),
            Some(_) => return Err(format!("field \"{}\" is not a text", fields.text()).into()),
            None => return Err(fields.no_text(&names()).into()),
        };
        let title = match fields.title().and_then(|title| self.get(title)) {
            Some(Cell::Text(title)) => title.to_string(),
            None | Some(Cell::Null) => String::new(),
            Some(_) => return Err("field \"title\" is not a text".into()),
        };
        if fields.no_ids {
            return Ok(TextRow { id: String::new(), title, text });
        }
        let found = fields.ids().into_iter().find_map(|name| Some((name, self.get(name)?)));
        let id = match found {
            Some((_, Cell::Text(id))) => id.to_string(),
            Some((_, Cell::Integer(id))) => id.clone(),
            Some((name, Cell::Number)) => {
                return Err(Problem::new(format!(
                    "field \"{name}\" is a number with a point or of more than 64 bits, which \
                     loses digits as an id"
                ))
                .with_remedy("write it as a string"));
            }
            Some((name, _)) => {
                return Err(format!("field \"{name}\" is neither a text nor an integer").into());
            }
            None => return Err(fields.no_id(&names()).into()),
        };
        Ok(TextRow { id, title, text })
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(serde::Deserialize)]
                struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut fields: Vec<(Cow<'de, str>, Cell<'de>)> = Vec::new();
                while let Some((Key(key), cell)) = map.next_entry::<Key<'de>, Cell<'de>>()? {
                    if fields.iter().any(|(earlier, _)| *earlier == key) {
                        let message = format!("field \"{key}\" is there twice");
                        return Err(serde::de::Error::custom(message));
                    }
                    fields.push((key, cell));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for Cell<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Cell<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cell::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cell::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Cell::Integer(number.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Cell::Integer(number.to_string()))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Cell::Number)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Cell::Other)
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Cell::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Cell::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Cell::Other)
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// A reader of the values of a file: those of one array, or values one after another.
pub(super) struct Values {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    /// The number of line ends so far.
    lines: u64,
    /// The line where the value that was read last begins, counted from 1.
    line: u64,
    place: Place,
}

/// Where a [`Values`] stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    /// In an array that began in a line, after `[`.
    First(u64),
    /// In an array that began in a line, after a value.
    Later(u64),
    /// Between values that are in no array.
    Between,
    /// After an array.
    After,
}

impl Values {
    /// Makes a reader; `path` names it in messages.
    pub(super) fn new(path: &Path, reader: Box<dyn BufRead + Send>) -> Self {
        Self { path: path.to_path_buf(), reader, lines: 0, line: 1, place: Place::Start }
    }

    /// Creates an error at the value that was read last.
    pub(super) fn error(&self, problem: impl Into<Problem>) -> FileError {
        FileError::Line { path: self.path.clone(), line: self.line, problem: problem.into() }
    }

    /// Creates the error of an array that began in a line and has no end.
    fn no_end(&mut self, line: u64) -> FileError {
        self.line = line;
        self.error("the array that begins here has no end, so the file is cut off")
    }

    /// Returns the bytes of the next value, which may be invalid JSON; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        let mut first = self.next_mark()?;
        if self.place == Place::Start {
            self.place = match first {
                Some(b'[') => {
                    let line = self.line;
                    self.pass();
                    first = self.next_mark()?;
                    Place::First(line)
                }
                _ => Place::Between,
            };
        }
        match (self.place, first) {
            (Place::First(line) | Place::Later(line), None) => Err(self.no_end(line)),
            (Place::First(_) | Place::Later(_), Some(b']')) => {
                self.pass();
                self.place = Place::After;
                match self.next_mark()? {
                    None => Ok(None),
                    Some(_) => Err(self.error("something follows the end of the array")),
                }
            }
            (Place::Later(line), Some(mark)) => {
                if mark != b',' {
                    return Err(self.error("not valid JSON: expected a comma or the array's end"));
                }
                self.pass();
                match self.next_mark()? {
                    Some(_) => self.value().map(Some),
                    None => Err(self.no_end(line)),
                }
            }
            (Place::First(line), Some(_)) => {
                self.place = Place::Later(line);
                self.value().map(Some)
            }
            (_, Some(_)) => self.value().map(Some),
            (_, None) => Ok(None),
        }
    }

    /// Passes over blanks and returns the byte that follows, which stays.
    fn next_mark(&mut self) -> Result<Option<u8>, FileError> {
        loop {
            let bytes = self.reader.fill_buf().map_err(FileError::io("read", &self.path))?;
            let blanks = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.lines += bytes[..blanks].iter().filter(|byte| **byte == b'\n').count() as u64;
            let (mark, at_end) = (bytes.get(blanks).copied(), bytes.is_empty());
            self.reader.consume(blanks);
            if mark.is_some() || at_end {
                self.line = self.lines + 1;
                return Ok(mark);
            }
        }
    }

    /// Passes over the byte that [`next_mark`](Self::next_mark) returned.
    fn pass(&mut self) {
        self.reader.consume(1);
    }

    /// Reads a value up to the end of its brackets or quotation marks, or, of another value, up to
    /// a blank, a comma or a bracket.
    fn value(&mut self) -> Result<Vec<u8>, FileError> {
        let (mut value, mut depth, mut in_string, mut escaped) = (Vec::new(), 0u64, false, false);
        loop {
            let bytes = self.reader.fill_buf().map_err(FileError::io("read", &self.path))?;
            if bytes.is_empty() {
                // The end of the file; the parser says what is missing.
                return Ok(value);
            }
            let (mut length, mut is_whole) = (0, false);
            for byte in bytes {
                let is_scalar = depth == 0 && !in_string;
                let has_begun = !value.is_empty() || length > 0;
                if is_scalar && has_begun && matches!(byte, b',' | b']' | b'}' | b'{' | b'[') {
                    is_whole = true;
                    break;
                }
                if is_scalar && has_begun && byte.is_ascii_whitespace() {
                    is_whole = true;
                    break;
                }
                length += 1;
                self.lines += u64::from(*byte == b'\n');
                if in_string {
                    in_string = escaped || *byte != b'"';
                    escaped = !escaped && *byte == b'\\';
                    is_whole = !in_string && depth == 0;
                } else {
                    match byte {
                        b'"' => in_string = true,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => {
                            depth = depth.saturating_sub(1);
                            is_whole = depth == 0;
                        }
                        _ => {}
                    }
                }
                if is_whole {
                    break;
                }
            }
            value.extend_from_slice(&bytes[..length]);
            self.reader.consume(length);
            if is_whole {
                return Ok(value);
            }
            if value.len() > LongLine::LIMIT {
                let most = LongLine::LIMIT >> 20;
                return Err(self.error(format!("the value has more than {most} MiB")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Result<(String, String, String, u64), String> {
        let parsed = parse(json.as_bytes(), &TextFields::default());
        let (row, repaired) = parsed.map_err(|problem| match problem.hint() {
            Some(hint) => format!("{problem}; {hint}"),
            None => problem.to_string(),
        })?;
        Ok((row.id, row.title, row.text, repaired))
    }

    #[test]
    fn objects_become_rows() {
        let row_of = |id: &str, title: &str, text: &str, repaired| {
            Ok((id.to_owned(), title.to_owned(), text.to_owned(), repaired))
        };
        let cases = [
            (r#"{"id":"a","text":"x"}"#, row_of("a", "", "x", 0)),
            (r#"{"text":"x","id":1,"_id":"b","title":"T"}"#, row_of("b", "T", "x", 0)),
            (
                r#"{"id":18446744073709551615,"text":"","title":null}"#,
                row_of("18446744073709551615", "", "", 0),
            ),
            (
                r#"{"id":-1,"text":"a\u3042\ud83d","x":[1,{"y":2}]}"#,
                row_of("-1", "", "aあ\u{fffd}", 1),
            ),
            (
                r#"{"id":18446744073709551616,"text":""}"#,
                Err("field \"id\" is a number with a point or of more than 64 bits, which loses \
                     digits as an id; write it as a string"
                    .to_owned()),
            ),
            (
                r#"{"id":1.0,"text":""}"#,
                Err("field \"id\" is a number with a point or of more than 64 bits, which loses \
                     digits as an id; write it as a string"
                    .to_owned()),
            ),
            (
                r#"{"id":[1],"text":""}"#,
                Err("field \"id\" is neither a text nor an integer".into()),
            ),
            (r#"{"id":1,"text":null}"#, Err("field \"text\" is not a text".into())),
            (r#"{"id":1,"title":2,"text":""}"#, Err("field \"title\" is not a text".into())),
            (r#"{"id":1,"text":"a","text":"b"}"#, Err("field \"text\" is there twice".into())),
            (
                r#"{"id":1,"body":"x"}"#,
                Err("no field named \"text\"; the fields are: id, body".into()),
            ),
            (
                r#"{"text":"x"}"#,
                Err("no field for the id (_id, doc_id, qid, id); the fields are: text".into()),
            ),
            (r#"{"id":1"#, Err("not valid JSON: EOF while parsing an object at column 7".into())),
        ];
        for (json, want) in cases {
            assert_eq!(row(json), want, "{json}");
        }
    }

    fn values(json: &str) -> Result<Vec<String>, String> {
        // A buffer of three bytes, so that values go over its end.
        let reader = std::io::BufReader::with_capacity(3, std::io::Cursor::new(json.to_owned()));
        let mut values = Values::new(Path::new("x"), Box::new(reader));
        let mut all = Vec::new();
        while let Some(value) = values.next().map_err(|error| error.to_string())? {
            all.push(format!("{} {}", values.line, String::from_utf8_lossy(&value)));
        }
        Ok(all)
    }

    #[test]
    fn values_come_one_after_another() {
        let cases: [(&str, Result<&[&str], &str>); 13] = [
            ("", Ok(&[])),
            (" [ ] \n", Ok(&[])),
            (
                "[{\"a\":\"]}\\\"\"},\n {\"b\":[{}]}]",
                Ok(&["1 {\"a\":\"]}\\\"\"}", "2 {\"b\":[{}]}"]),
            ),
            ("{\n \"a\":1\n}\n{}", Ok(&["1 {\n \"a\":1\n}", "4 {}"])),
            ("{}{}", Ok(&["1 {}", "1 {}"])),
            ("[1, \"x\" ,null]", Ok(&["1 1", "1 \"x\"", "1 null"])),
            ("hello world", Ok(&["1 hello", "1 world"])),
            (
                "[{}",
                Err("x, line 1: the array that begins here has no end, so the file is cut off"),
            ),
            (
                "\n[{},",
                Err("x, line 2: the array that begins here has no end, so the file is cut off"),
            ),
            ("[{} {}]", Err("x, line 1: not valid JSON: expected a comma or the array's end")),
            ("[{}]\n{}", Err("x, line 2: something follows the end of the array")),
            ("{\"a\":", Ok(&["1 {\"a\":"])),
            ("}", Ok(&["1 }"])),
        ];
        for (json, want) in cases {
            let want = want.map(|all| all.iter().map(|text| (*text).to_owned()).collect());
            assert_eq!(values(json), want.map_err(str::to_owned), "{json}");
        }
    }
}
