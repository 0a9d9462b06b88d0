//! Texts from files, folders, standard input or the command line, one after another.
//!
//! | input | read as |
//! |---|---|
//! | a file, a pipe or standard input | the form that its first bytes and its name tell: NDJSON, JSON, CSV, TSV, Parquet or plain text, packed with gzip or zstd or not ([`TextReader`]) |
//! | a folder | its files of texts in the order of their names |
//! | `-`, or nothing | standard input |
//!
//! Of a record the text is `text`, after `title` and a blank where there is one that is not empty
//! (BEIR); the id is `_id`, `doc_id`, `qid` or `id`. Plain text has one text a line, whose ids count
//! from 0 over all inputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use splade_io::{FileError, ReadingStopped, counted};
use splade_sparse::files::{TextFields, TextForm, TextReader, TextRow, text_files};

use crate::error::Error;
use crate::ids::Ids;
use crate::record::{Position, Record, Remark};

/// The number of names that a note lists.
const NAMES: usize = 5;

/// How inputs are read.
///
/// ```
/// use light_splade::input::{TextOptions, Texts};
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("products.csv");
/// std::fs::write(&file, "sku,name\n42,green tea\n")?;
/// let options = TextOptions {
///     text_field: Some("name".to_owned()),
///     id_field: Some("sku".to_owned()),
///     ..TextOptions::default()
/// };
/// let first = Texts::open(&[file], options)?.next().expect("a row")?;
/// assert_eq!((first.id.as_str(), first.text.as_str()), ("42", "green tea"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TextOptions {
    /// The field, or column of a table, with the text; `title` and `text` if none is named.
    pub text_field: Option<String>,
    /// The field, or column of a table, with the id; `_id`, `doc_id`, `qid` or `id` if none is
    /// named.
    pub id_field: Option<String>,
    /// Records need no id.
    pub no_ids: bool,
    /// The form of all inputs; by their first bytes and names if none is given.
    pub format: Option<TextForm>,
}

/// The texts of several files, folders or standard input, one [`Record`] after another.
///
/// What there is to say about the inputs, such as files of a folder that are left out, or ids that are
/// there twice, is kept in [`position`](Self::position), which tells it to an observer.
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
    fields: TextFields,
    format: Option<TextForm>,
    /// The inputs that are not open yet, each with its form if it has been looked at.
    waiting: std::vec::IntoIter<(PathBuf, Option<TextForm>)>,
    open: Option<(PathBuf, TextReader)>,
    /// Lines of plain text so far.
    texts: u64,
    ids: Ids,
    repaired: Repaired,
    position: Position,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Texts").field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl Texts {
    /// Opens inputs. `-`, or no path, is standard input. Every file is looked at, so that one that
    /// cannot be read is known before any work; pipes are opened when they are read.
    ///
    /// # Errors
    /// If a path cannot be opened, a folder has no file of texts, or a file is in no form that is
    /// read or lacks the columns.
    pub fn open(paths: &[PathBuf], options: TextOptions) -> Result<Self, Error> {
        let TextOptions { text_field, id_field, no_ids, format } = options;
        let fields = TextFields { id: id_field, text: text_field, no_ids };
        let mut position = Position::of(0);
        let mut waiting = Vec::new();
        for path in paths {
            if !path.is_dir() {
                waiting.push(position.look_at(path, &fields, format)?);
                continue;
            }
            let (files, left_out) = text_files(path, format.is_some())?;
            if !left_out.is_empty() {
                let (count, names) = (left_out.len(), names(&left_out));
                let note = format!("{}: {count} not read: {names}", path.display());
                position.remark(Remark::Note(note));
            }
            let mut forms: BTreeMap<TextForm, u64> = BTreeMap::new();
            for file in files {
                let (file, form) = position.look_at(&file, &fields, format)?;
                form.into_iter().for_each(|form| *forms.entry(form).or_default() += 1);
                waiting.push((file, form));
            }
            if forms.len() > 1 {
                let counts = forms.iter().map(|(form, count)| format!("{count} of {form}"));
                let counts = counts.collect::<Vec<_>>().join("; ");
                let note = format!("{}: files of several forms: {counts}", path.display());
                position.remark(Remark::Note(note));
            }
        }
        if paths.is_empty() {
            waiting.push(position.look_at(Path::new("-"), &fields, format)?);
        }
        Ok(Self {
            fields,
            format,
            waiting: waiting.into_iter(),
            open: None,
            texts: 0,
            ids: Ids::default(),
            repaired: Repaired::default(),
            position,
        })
    }

    /// How far the inputs have been read, and what there is to say about them.
    pub fn position(&self) -> Position {
        self.position.clone()
    }

    fn next_record(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let Some((path, reader)) = &mut self.open else {
                match self.waiting.next() {
                    None => {
                        if let Some(warning) = self.ids.warning("text") {
                            self.position.remark(Remark::Warning(warning));
                        }
                        self.repaired.tell(&self.position);
                        return Ok(None);
                    }
                    Some((path, form)) => {
                        let read = Some(Arc::clone(&self.position.read));
                        let known = form.or(self.format);
                        let reader = TextReader::open(&path, &self.fields, known, read)?;
                        // A file has been looked at before.
                        if form.is_none() {
                            self.position.note(&reader);
                        }
                        self.open = Some((path, reader));
                    }
                }
                continue;
            };
            let before = reader.repaired();
            let Some(TextRow { id, title, text }) = reader.next_row()? else {
                self.open = None;
                continue;
            };
            if reader.form() == TextForm::Plain {
                let id = self.texts.to_string();
                self.texts += 1;
                if self.ids.has(&id) {
                    self.ids.count(&id, Some(path));
                }
                return Ok(Some(Record::new(id, text)));
            }
            self.repaired.count(reader.repaired() - before, &id, path);
            if !self.fields.no_ids && (!self.ids.add(&id) || is_number_below(&id, self.texts)) {
                self.ids.count(&id, Some(path));
            }
            return Ok(Some(Record::titled(id, &title, text)));
        }
    }
}

impl Position {
    /// Looks at an input before it is read; returns it with its form unless it is a pipe.
    fn look_at(
        &mut self,
        path: &Path,
        fields: &TextFields,
        format: Option<TextForm>,
    ) -> Result<(PathBuf, Option<TextForm>), Error> {
        let path = path.to_path_buf();
        if path == Path::new("-") {
            self.total = None;
            return Ok((path, None));
        }
        let found = std::fs::metadata(&path).map_err(Error::io("open", &path))?;
        if !found.is_file() {
            self.total = None;
            return Ok((path, None));
        }
        self.total = self.total.map(|total| total + found.len());
        let reader = TextReader::open(&path, fields, format, None)?;
        self.note(&reader);
        Ok((path, Some(reader.form())))
    }

    /// Keeps what a reader has to say about the form of its input.
    fn note(&self, reader: &TextReader) {
        if let Some(note) = reader.note() {
            self.remark(Remark::Note(note.to_owned()));
        }
    }
}

/// Whether an id is what a line of plain text before a number of them is called.
fn is_number_below(id: &str, texts: u64) -> bool {
    texts > 0 && id.parse().is_ok_and(|number: u64| number < texts && number.to_string() == id)
}

/// Halves of surrogate pairs that were read as U+FFFD.
#[derive(Default)]
struct Repaired {
    halves: u64,
    texts: u64,
    /// The first id with one, and its file.
    first: Option<(String, PathBuf)>,
}

impl Repaired {
    fn count(&mut self, halves: u64, id: &str, path: &Path) {
        if halves > 0 {
            self.halves += halves;
            self.texts += 1;
            self.first.get_or_insert_with(|| (id.to_owned(), path.to_path_buf()));
        }
    }

    fn tell(&mut self, position: &Position) {
        let Some((id, path)) = self.first.take() else { return };
        let (halves, texts) = (std::mem::take(&mut self.halves), std::mem::take(&mut self.texts));
        let path = shown(&path);
        position.remark(Remark::Warning(format!(
            "read {} as U+FFFD, in {}, the first is {id:?} in {path}",
            counted(halves, "halved surrogate pairs"),
            counted(texts, "texts")
        )));
    }
}

/// The name of an input in messages.
fn shown(path: &Path) -> std::borrow::Cow<'_, str> {
    match path == Path::new("-") {
        true => "standard input".into(),
        false => path.to_string_lossy(),
    }
}

/// The first names of a list.
fn names(all: &[String]) -> String {
    let more = if all.len() > NAMES { ", …" } else { "" };
    all.iter().take(NAMES).map(String::as_str).collect::<Vec<_>>().join(", ") + more
}

impl Iterator for Texts {
    type Item = Result<Record, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().map_err(unless_stopped).transpose()
    }
}

/// Turns the error of a pipe whose waiting was stopped into the request to stop.
fn unless_stopped(error: Error) -> Error {
    match &error {
        Error::File(FileError::Io { source, .. }) if ReadingStopped::caused(source) => {
            Error::stopped()
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use splade_io::{Event, Observer};

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
            no_ids: false,
            format: Some(TextForm::Ndjson),
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
        let cases: [(&str, &[u8], &str); 8] = [
            ("a.tsv", b"1\ta\n2 b", "line 2: expected an id, a tab and a text, got 1 fields"),
            ("a.txt", b"a\nb\xff", "line 2: byte 2 of the line is not UTF-8"),
            ("a.ndjson", b"{\"id\":1,\"text\":\"x\"}\n{", "line 2: not valid JSON"),
            ("a.ndjson", b"[1]", "line 1: invalid type: sequence, expected a JSON object"),
            ("a.json", b"[{\"id\":1,\"text\":\"x\"},\n1]", "line 2: invalid type: integer"),
            (
                "a.ndjson",
                b"{\"id\":1,\"body\":\"x\"}",
                "line 1: no field named \"text\"; the fields are: id, body",
            ),
            (
                "a.ndjson",
                b"{\"text\":\"x\"}",
                "line 1: no field for the id (_id, doc_id, qid, id); the fields are: text",
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

    /// What an observer is told.
    #[derive(Default)]
    struct Told(Vec<String>);

    impl Observer for Told {
        fn event(&mut self, event: Event<'_>) {
            match event {
                Event::Note(text) => self.0.push(format!("note: {text}")),
                Event::Warning(text) => self.0.push(format!("warning: {text}")),
                _ => {}
            }
        }
    }

    /// The ids of a folder of files, and what is told about them, without the folder's name.
    fn ids_of(files: &[(&str, &str)]) -> Result<(Vec<String>, Vec<String>), String> {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            std::fs::write(path, text).expect("written");
        }
        let own = |text: String| text.replace(&dir.path().display().to_string(), "DIR");
        let texts = Texts::open(&[dir.path().to_path_buf()], TextOptions::default());
        let mut texts = texts.map_err(|error| own(error.to_string()))?;
        let position = texts.position();
        let ids = texts.by_ref().map(|record| record.map(|record| record.id));
        let ids = ids.collect::<Result<_, _>>().map_err(|error| own(error.to_string()))?;
        let mut told = Told::default();
        position.tell(&mut told);
        Ok((ids, told.0.into_iter().map(own).collect()))
    }

    #[test]
    fn folders_are_read_as_single_files_are() {
        let row = |id: &str| format!("{{\"id\":\"{id}\",\"text\":\"x\"}}\n");
        let (one, two, three) = (row("d1"), row("d2"), row("d3"));
        let pretty = format!("[{},\n{}]", one.trim(), two.trim());
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);
        let columns =
            "note: DIR/b.csv: read as CSV: ids from column \"id\", texts from column \"text\"";
        let cases: [Case<'_>; 6] = [
            (&[("b.jsonl", &two), ("a.jsonl", &one)], &["d1", "d2"], &[]),
            (
                &[
                    ("a.jsonl", &one),
                    ("b.csv", "id,text\nd2,x\n"),
                    ("c.tsv", "d3\tx\n"),
                    ("d.txt", "y\n"),
                ],
                &["d1", "d2", "d3", "0"],
                &[
                    columns,
                    "note: DIR: files of several forms: 1 of plain text, one text a line; 1 of \
                     NDJSON; 1 of CSV; 1 of TSV",
                ],
            ),
            (&[("a.json", &pretty), ("b.json", "[]")], &["d1", "d2"], &[]),
            (
                &[
                    ("a.ndjson", &one),
                    ("README.md", "x"),
                    ("_SUCCESS", ""),
                    ("dataset_info.json", "{}"),
                    ("old/b.ndjson", &two),
                ],
                &["d1"],
                &["note: DIR: 4 not read: README.md, _SUCCESS, dataset_info.json, old/"],
            ),
            (
                &[("a.ndjson", &one), ("b.ndjson", &one), ("c.ndjson", &format!("{three}{three}"))],
                &["d1", "d1", "d3", "d3"],
                &["warning: 2 texts have the id of an earlier text, the first is \"d1\" in \
                   DIR/b.ndjson"],
            ),
            (
                &[("a.txt", "x\ny\n"), ("b.tsv", "1\tx\n2\tx\n"), ("c.txt", "z")],
                &["0", "1", "1", "2", "2"],
                &[
                    "note: DIR: files of several forms: 2 of plain text, one text a line; 1 of TSV",
                    "warning: 2 texts have the id of an earlier text, the first is \"1\" in DIR/b.tsv",
                ],
            ),
        ];
        for (files, ids, told) in cases {
            let (got, said) = ids_of(files).expect("read");
            assert_eq!(got, ids, "{files:?}");
            assert_eq!(said, told, "{files:?}");
        }
        for (files, want) in [
            (&[("corpus.jsonl", &*one), ("queries.jsonl", &two)][..], "DIR: this is a data set"),
            (&[("doc_master.ndjson", &one), ("query_master/a.ndjson", &two)], "this is a data set"),
            (&[("a.dat", "x")], "DIR: there is no file of texts"),
            (
                &[("a.jsonl", &one), ("b.csv", "\u{0}\u{0}\u{0}\u{1}")],
                "DIR/b.csv: this is a binary",
            ),
        ] {
            let error = ids_of(files).expect_err(want);
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn halves_of_surrogate_pairs_are_counted() {
        let lines = "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\"text\":\"\\ud83d \\ude00\"}\n";
        let (ids, told) = ids_of(&[("a.jsonl", lines)]).expect("read");
        assert_eq!(ids, ["a", "b"]);
        let want = "warning: read 2 halved surrogate pairs as U+FFFD, in 1 text, the \
                    first is \"b\" in DIR/a.jsonl";
        assert_eq!(told, [want]);
    }

    /// Parquet is read from its end, which a packed file has to be unpacked for.
    #[test]
    fn packed_parquet_is_read() {
        let file = "crates/splade-sparse/tests/fixtures/texts_types.parquet";
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("read");
        let packed = zstd::encode_all(&bytes[..], 1).expect("packed");
        let options = TextOptions { id_field: Some("uint32".into()), ..TextOptions::default() };
        let want = pairs(&[("1", "x"), ("4294967295", "y")]);
        assert_eq!(read("a.parquet", &bytes, &options).expect("read"), want);
        assert_eq!(read("a.parquet.zst", &packed, &options).expect("read"), want);
        assert_eq!(read("no-name", &packed, &options).expect("read"), want);
    }

    /// A pipe is opened once, when it is read.
    #[cfg(unix)]
    #[test]
    fn pipes_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let pipe = dir.path().join("pipe");
        let name = std::ffi::CString::new(pipe.to_str().expect("UTF-8")).expect("a name");
        // SAFETY: the name ends in a null byte and lives as long as the call.
        #[allow(unsafe_code, reason = "the standard library makes no pipes")]
        let made = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
        assert_eq!(made, 0);
        let texts =
            Texts::open(std::slice::from_ref(&pipe), TextOptions::default()).expect("opened");
        assert_eq!(texts.position().share(), None);
        let writer =
            std::thread::spawn(move || std::fs::write(pipe, "{\"id\":7,\"text\":\"x\"}\n"));
        let ids: Vec<String> = texts.map(|record| record.expect("a record").id).collect();
        writer.join().expect("no panic").expect("written");
        assert_eq!(ids, ["7"]);
    }
}
