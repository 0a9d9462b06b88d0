//! Texts from files, standard input or the command line, one after another.
//!
//! | input | read as |
//! |---|---|
//! | `*.ndjson`, `*.jsonl` | one JSON object a line |
//! | `*.tsv` | an id, a tab and a text a line |
//! | `*.parquet` | columns with the names of the fields of NDJSON |
//! | anything else | one text a line; ids count from 0 over all inputs |
//! | the same with `.gz` or `.zst` | unpacked first |
//! | a folder | its `*.ndjson` files by name, then its `*.ndjson.gz`, then its `*.parquet` |
//! | `-`, or nothing | standard input: NDJSON with `--ndjson`, else lines |
//!
//! Of an object the text is `text`, after `title` and a blank where there is one that is not empty
//! (BEIR); the id is `_id`, `doc_id`, `qid` or `id`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use splade_io::Lines;
use splade_sparse::files::{ParquetTexts, TextRow};

use crate::error::{Error, invalid};

const ID_FIELDS: [&str; 4] = ["_id", "doc_id", "qid", "id"];

/// A text and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The id of the text; unique in a collection.
    pub id: String,
    /// The text, after its title where the record has one.
    pub text: String,
}

/// Something that is a text with an id: a [`Record`], a pair, or the result of reading one.
pub trait IntoRecord {
    /// Returns the record, or why it could not be read.
    ///
    /// # Errors
    /// If it could not be read.
    fn into_record(self) -> Result<Record, Error>;
}

impl IntoRecord for Record {
    fn into_record(self) -> Result<Record, Error> {
        Ok(self)
    }
}

impl IntoRecord for Result<Record, Error> {
    fn into_record(self) -> Result<Record, Error> {
        self
    }
}

impl<I: Into<String>, T: Into<String>> IntoRecord for (I, T) {
    fn into_record(self) -> Result<Record, Error> {
        Ok(Record { id: self.0.into(), text: self.1.into() })
    }
}

/// How inputs are read.
#[derive(Debug, Clone, Default)]
pub struct TextOptions {
    /// The field, or column of Parquet, with the text; `title` and `text` if none is named.
    pub text_field: Option<String>,
    /// The field, or column of Parquet, with the id; `_id`, `doc_id`, `qid` or `id` if none is
    /// named.
    pub id_field: Option<String>,
    /// Objects need no id.
    pub no_ids: bool,
    /// Standard input and files of any name are NDJSON.
    pub ndjson: bool,
}

/// The texts of several files, folders or standard input, one [`Record`] after another.
///
/// ```
/// use light_splade::input::{TextOptions, Texts};
///
/// let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl");
/// let mut texts = Texts::open(&[corpus.into()], TextOptions::default())?;
/// let first = texts.next().expect("a document")?;
/// assert!(!first.text.is_empty());
/// # Ok::<(), light_splade::Error>(())
/// ```
pub struct Texts {
    options: TextOptions,
    waiting: std::vec::IntoIter<PathBuf>,
    open: Option<Input>,
    /// Lines of plain text so far.
    texts: u64,
    position: Position,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Texts").field("options", &self.options).finish_non_exhaustive()
    }
}

/// How far inputs have been read, in bytes of their files or by another count.
#[derive(Debug, Clone, Default)]
pub struct Position {
    read: Arc<AtomicU64>,
    /// None where standard input is among them.
    total: Option<u64>,
}

impl Position {
    /// Of inputs that are counted by [`Position::read`].
    pub fn of(total: u64) -> Self {
        Self { read: Arc::default(), total: Some(total) }
    }

    /// Counts what has been read.
    pub fn read(&self, count: u64) {
        self.read.fetch_add(count, Ordering::Relaxed);
    }

    /// The share that has been read, where it is known.
    pub fn share(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.read.load(Ordering::Relaxed) as f64 / total as f64).min(1.0))
    }
}

/// One input.
enum Input {
    Lines(Lines, Form),
    /// A file, and its rows that have been read.
    Parquet(Box<ParquetTexts>, std::vec::IntoIter<TextRow>),
}

#[derive(Clone, Copy)]
enum Form {
    Ndjson,
    Tsv,
    Plain,
}

impl Texts {
    /// Checks that every path can be opened; nothing is read yet. `-`, or no path, is standard input.
    ///
    /// # Errors
    /// If a path cannot be opened, or a folder has no file of texts.
    pub fn open(paths: &[PathBuf], options: TextOptions) -> Result<Self, Error> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(folder(path)?);
            } else {
                if path != Path::new("-") {
                    File::open(path).map_err(Error::io("open", path))?;
                }
                files.push(path.clone());
            }
        }
        if paths.is_empty() {
            files.push(PathBuf::from("-"));
        }
        let size = |path: &PathBuf| std::fs::metadata(path).ok().map(|file| file.len());
        let total = files.iter().map(size).sum();
        let position = Position { read: Arc::default(), total };
        Ok(Self { options, waiting: files.into_iter(), open: None, texts: 0, position })
    }

    /// How far the inputs have been read.
    pub fn position(&self) -> Position {
        self.position.clone()
    }

    fn next_record(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let Some(input) = &mut self.open else {
                match self.waiting.next() {
                    None => return Ok(None),
                    Some(path) => self.open = Some(self.open_input(&path)?),
                }
                continue;
            };
            let (lines, form) = match input {
                Input::Lines(lines, form) => (lines, *form),
                Input::Parquet(file, rows) => {
                    if let Some(TextRow { id, title, text }) = rows.next() {
                        return Ok(Some(Record { id, text: titled(&title, text) }));
                    }
                    let next = file.next_rows()?;
                    self.position.read(file.bytes(next.len()));
                    match next.is_empty() {
                        true => self.open = None,
                        false => *rows = next.into_iter(),
                    }
                    continue;
                }
            };
            let Some(line) = lines.next_line()? else {
                self.open = None;
                continue;
            };
            let record = match form {
                Form::Plain => {
                    self.texts += 1;
                    return Ok(Some(Record { id: (self.texts - 1).to_string(), text: line }));
                }
                _ if line.trim().is_empty() => continue,
                Form::Tsv => parse_tsv(&line),
                Form::Ndjson => parse(&line, &self.options),
            };
            return record.map(Some).map_err(|error| lines.error(error).into());
        }
    }

    fn open_input(&self, path: &Path) -> Result<Input, Error> {
        if is_parquet(path) && !self.options.ndjson {
            let (id, text) = (self.options.id_field.as_deref(), self.options.text_field.as_deref());
            let ids = id.as_ref().map_or(&ID_FIELDS[..], std::slice::from_ref);
            let title = text.is_none().then_some("title");
            let file = ParquetTexts::open(path, ids, title, text.unwrap_or("text"))?;
            return Ok(Input::Parquet(Box::new(file), Vec::new().into_iter()));
        }
        let source: Box<dyn Read + Send> = match path == Path::new("-") {
            true => Box::new(std::io::stdin()),
            false => Box::new(File::open(path).map_err(Error::io("open", path))?),
        };
        let source = Box::new(Counted { source, position: self.position.clone() });
        let name = match path == Path::new("-") {
            true => Path::new("standard input"),
            false => path,
        };
        let lower = path.to_string_lossy().to_lowercase();
        let stem = [".gz", ".zst"].iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
        let ends_with = |endings: &[&str]| endings.iter().any(|ending| stem.ends_with(ending));
        let form = match () {
            () if self.options.ndjson || ends_with(&[".ndjson", ".jsonl"]) => Form::Ndjson,
            () if ends_with(&[".tsv"]) => Form::Tsv,
            () => Form::Plain,
        };
        Ok(Input::Lines(Lines::of(name, source)?, form))
    }
}

/// Counts the bytes that are read.
struct Counted {
    source: Box<dyn Read + Send>,
    position: Position,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.position.read(count as u64);
        Ok(count)
    }
}

impl Iterator for Texts {
    type Item = Result<Record, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}

/// A text after its title, if it has one.
fn titled(title: &str, text: String) -> String {
    match title {
        "" => text,
        title => format!("{title} {text}").trim().to_owned(),
    }
}

/// The NDJSON files of a folder, plain ones first, then Parquet, each kind by name.
fn folder(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>());
    let mut files: Vec<PathBuf> = entries.map_err(Error::io("list", dir))?;
    let suffix = |path: &PathBuf| {
        let name = path.to_string_lossy();
        [".ndjson", ".ndjson.gz", ".parquet"].iter().position(|suffix| name.ends_with(suffix))
    };
    files.retain(|path| path.is_file() && suffix(path).is_some());
    files.sort_by_key(|path| (suffix(path), path.clone()));
    if files.is_empty() {
        return Err(invalid(format!(
            "{} has no .ndjson, .ndjson.gz or .parquet file",
            dir.display()
        )));
    }
    Ok(files)
}

/// One line of an id, a tab and a text.
fn parse_tsv(line: &str) -> Result<Record, String> {
    match line.split('\t').collect::<Vec<_>>()[..] {
        [id, text] => Ok(Record { id: id.to_owned(), text: text.to_owned() }),
        ref fields => Err(format!("expected an id, a tab and a text, got {} fields", fields.len())),
    }
}

/// One line of NDJSON.
fn parse(line: &str, options: &TextOptions) -> Result<Record, String> {
    let value: Value =
        serde_json::from_str(line).map_err(|error| format!("not valid JSON: {error}"))?;
    let object = value.as_object().ok_or("not a JSON object")?;
    let has = || object.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let text_of = |field: &str| match object.get(field) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(format!("field \"{field}\" is not a text")),
        None => Err(format!("there is no field \"{field}\"; the fields are: {}", has())),
    };
    let text = match &options.text_field {
        Some(field) => text_of(field)?.to_owned(),
        None => {
            let title = object.get("title").and_then(Value::as_str).unwrap_or_default();
            titled(title, text_of("text")?.to_owned())
        }
    };
    if options.no_ids {
        return Ok(Record { id: String::new(), text });
    }
    let id = id_of(object, options.id_field.as_deref())?.ok_or_else(|| {
        let wanted = options.id_field.as_deref().map_or(ID_FIELDS.join(", "), str::to_owned);
        format!("there is no id ({wanted}); the fields are: {}", has())
    })?;
    Ok(Record { id, text })
}

fn id_of(object: &Map<String, Value>, field: Option<&str>) -> Result<Option<String>, String> {
    let found = match field {
        Some(field) => object.get_key_value(field),
        None => ID_FIELDS.iter().find_map(|field| object.get_key_value(*field)),
    };
    match found {
        None => Ok(None),
        Some((_, Value::String(id))) => Ok(Some(id.clone())),
        Some((_, Value::Number(id))) => Ok(Some(id.to_string())),
        Some((field, _)) => Err(format!("field \"{field}\" is neither a text nor a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(
        name: &str,
        bytes: &[u8],
        options: &TextOptions,
    ) -> Result<Vec<(String, String)>, Error> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let records = Texts::open(&[path], options.clone())?;
        records.map(|record| record.map(|r| (r.id, r.text))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn reads_all_forms() {
        let plain = TextOptions::default();
        let field = TextOptions {
            text_field: Some("body".into()),
            id_field: Some("key".into()),
            ndjson: true,
            no_ids: false,
        };
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(b"a\nb").expect("packed");
        let gz = gz.finish().expect("packed");
        let zst = zstd::encode_all(&b"{\"id\":7,\"text\":\"x\"}\n"[..], 1).expect("packed");
        let long = "あ".repeat(3_500_000);
        type Case<'a> = (&'a str, Vec<u8>, &'a TextOptions, Vec<(String, String)>);
        let cases: Vec<Case<'_>> = vec![
            ("a.txt", b"a\r\n\nc".to_vec(), &plain, pairs(&[("0", "a"), ("1", ""), ("2", "c")])),
            ("a.txt", b"\xef\xbb\xbfa\n".to_vec(), &plain, pairs(&[("0", "a")])),
            ("a.txt", b"".to_vec(), &plain, vec![]),
            ("a.tsv", b"q1\ta b\n\nq2\tc\n".to_vec(), &plain, pairs(&[("q1", "a b"), ("q2", "c")])),
            ("a.txt", long.clone().into_bytes(), &plain, pairs(&[("0", &long)])),
            (
                "a.txt.gz",
                [gz.clone(), gz].concat(),
                &plain,
                pairs(&[("0", "a"), ("1", "ba"), ("2", "b")]),
            ),
            ("a.jsonl.zst", zst, &plain, pairs(&[("7", "x")])),
            (
                "c.jsonl",
                br#"{"_id":"d1","title":"T","text":"x "}"#.to_vec(),
                &plain,
                pairs(&[("d1", "T x")]),
            ),
            (
                "c.jsonl",
                br#"{"_id":"d1","title":"","text":"x"}"#.to_vec(),
                &plain,
                pairs(&[("d1", "x")]),
            ),
            (
                "m.ndjson",
                b"{\"doc_id\":1,\"text\":\"x\"}\n\n{\"qid\":2,\"text\":\"y\"}".to_vec(),
                &plain,
                pairs(&[("1", "x"), ("2", "y")]),
            ),
            (
                "m.data",
                br#"{"key":"k","body":"b","text":"x"}"#.to_vec(),
                &field,
                pairs(&[("k", "b")]),
            ),
        ];
        for (name, bytes, options, want) in cases {
            assert_eq!(read(name, &bytes, options).expect(name), want, "{name}");
        }
    }

    #[test]
    fn names_the_place_of_errors() {
        let cases: [(&str, &[u8], &str); 7] = [
            ("a.tsv", b"1\ta\n2 b", "line 2: expected an id, a tab and a text, got 1 fields"),
            ("a.txt", b"a\nb\xff", "line 2: byte 2 of the line is not UTF-8"),
            ("a.ndjson", b"{\"id\":1,\"text\":\"x\"}\n{", "line 2: not valid JSON"),
            ("a.ndjson", b"[1]", "line 1: not a JSON object"),
            (
                "a.ndjson",
                b"{\"id\":1,\"body\":\"x\"}",
                "line 1: there is no field \"text\"; the fields are: id, body",
            ),
            (
                "a.ndjson",
                b"{\"text\":\"x\"}",
                "line 1: there is no id (_id, doc_id, qid, id); the fields are: text",
            ),
            ("a.ndjson", b"{\"id\":1,\"text\":2}", "line 1: field \"text\" is not a text"),
        ];
        for (name, bytes, want) in cases {
            let error = read(name, bytes, &TextOptions::default()).expect_err(name);
            let message = error.to_string();
            assert!(message.contains(want), "{message}");
        }
        let missing = Texts::open(&["no/such/file".into()], TextOptions::default());
        assert!(missing.is_err_and(|error| error.to_string() == "cannot open no/such/file"));
    }
}
