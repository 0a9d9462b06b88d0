//! The reader of texts in every form: plain text, NDJSON, JSON, CSV, TSV and Parquet, packed with
//! gzip or zstd or not, from files, pipes and standard input.
//!
//! `form.rs` decides what an input is, `json.rs`, `table.rs` and `parquet.rs` read it, and `row.rs` is
//! what they give.

mod row;

mod json;
mod parquet;
mod table;

mod form;

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use splade_io::{FileError, Lines, Problem, Source};

pub use form::TextForm;
pub use row::{TextFields, TextRow};

use json::Values;
use parquet::ParquetTexts;
use table::Table;

/// A reader of the texts of one input.
///
/// ```
/// use splade_sparse::files::{TextFields, TextReader};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("corpus.csv");
/// std::fs::write(&path, "id,title,text\nd1,Tokyo,\"The capital, since 1868.\"\n")?;
/// let mut reader = TextReader::open(&path, &TextFields::default(), None, None)?;
/// let row = reader.next_row()?.expect("a row");
/// assert_eq!((row.id.as_str(), row.text.as_str()), ("d1", "The capital, since 1868."));
/// assert!(reader.next_row()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TextReader {
    fields: TextFields,
    form: TextForm,
    note: Option<String>,
    input: Input,
    /// The number of halves of surrogate pairs that were read as U+FFFD.
    repaired: u64,
    /// Where the bytes of a Parquet file are counted.
    read: Option<Arc<AtomicU64>>,
}

/// An input in its form.
enum Input {
    /// Plain text or NDJSON.
    Lines(Lines),
    Values(Values),
    Table(Table),
    /// A file, and its rows that have been read.
    Parquet(Box<ParquetTexts>, std::vec::IntoIter<TextRow>),
}

impl std::fmt::Debug for TextReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextReader").field("form", &self.form).finish_non_exhaustive()
    }
}

impl TextReader {
    /// Opens a file or a pipe; `-` is standard input. If no form is given, the first bytes and the
    /// name decide. The bytes that are read of the file are added to `read`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened, is in no form that is read, or lacks the
    /// columns of `fields`.
    pub fn open(
        path: &Path,
        fields: &TextFields,
        form: Option<TextForm>,
        read: Option<Arc<AtomicU64>>,
    ) -> Result<Self, FileError> {
        let shown = match path == Path::new("-") {
            true => Path::new("standard input"),
            false => path,
        };
        let mut source = Source::open(path, read.clone())?;
        let (ahead, is_whole) = source.look_ahead().map_err(FileError::io("read", shown))?;
        let (mark, ahead) = match ahead.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) => (3, rest),
            None => (0, ahead),
        };
        let (form, note) = match form {
            Some(form) => (form, None),
            None => form::decide(path, ahead, is_whole, fields)
                .map_err(|problem| FileError::form(shown, problem))?,
        };
        let lines = ahead.split(|byte| *byte == b'\n');
        let first = lines.map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
        let first = String::from_utf8_lossy(first.unwrap_or_default()).into_owned();
        let is_plain_file = source.is_file() && !source.is_packed();
        source.skip(mark);
        let text = |source| Box::new(BufReader::with_capacity(1 << 16, source));
        let (input, read) = match form {
            TextForm::Plain | TextForm::Ndjson => {
                (Input::Lines(Lines::new(shown, text(source))), None)
            }
            TextForm::Json => (Input::Values(Values::new(shown, text(source))), None),
            TextForm::Csv => (Input::Table(Table::csv(shown, text(source), fields)?), None),
            TextForm::Tsv => (Input::Table(Table::tsv(shown, text(source), &first, fields)?), None),
            TextForm::Parquet if is_plain_file => {
                let rows = ParquetTexts::open(path, fields)?;
                (Input::Parquet(Box::new(rows), Vec::new().into_iter()), read)
            }
            TextForm::Parquet => {
                let file = to_file(source).map_err(FileError::io("read", shown))?;
                let rows = ParquetTexts::of(shown, file, fields)?;
                (Input::Parquet(Box::new(rows), Vec::new().into_iter()), None)
            }
        };
        let columns = match &input {
            Input::Table(table) => table.columns(),
            _ => None,
        };
        let note = match (note, columns) {
            (note, None) => note,
            (None, Some(columns)) => Some(format!("read as {form}: {columns}")),
            (Some(note), Some(columns)) => Some(format!("{note}: {columns}")),
        };
        let note = note.map(|note| format!("{}: {note}", shown.display()));
        Ok(Self { fields: fields.clone(), form, note, input, repaired: 0, read })
    }

    /// Reads the next text; `None` at the end.
    ///
    /// # Errors
    /// Returns an error if the input cannot be read, or a row is not a text; it names the line.
    pub fn next_row(&mut self) -> Result<Option<TextRow>, FileError> {
        loop {
            let parsed = match &mut self.input {
                Input::Lines(lines) => {
                    let Some(line) = lines.next_line()? else { return Ok(None) };
                    if self.form == TextForm::Plain {
                        let (id, title) = (String::new(), String::new());
                        return Ok(Some(TextRow { id, title, text: line }));
                    }
                    if line.trim().is_empty() {
                        continue;
                    }
                    let parsed = json::parse(line.as_bytes(), &self.fields);
                    parsed.map_err(|message| lines.error(message))
                }
                Input::Values(values) => {
                    let Some(value) = values.next()? else { return Ok(None) };
                    json::parse(&value, &self.fields).map_err(|message| values.error(message))
                }
                Input::Table(table) => return table.next_row(),
                Input::Parquet(file, rows) => {
                    if let Some(row) = rows.next() {
                        return Ok(Some(row));
                    }
                    let next = file.next_rows()?;
                    if next.is_empty() {
                        return Ok(None);
                    }
                    if let Some(read) = &self.read {
                        read.fetch_add(file.bytes(next.len()), Ordering::Relaxed);
                    }
                    *rows = next.into_iter();
                    continue;
                }
            };
            let (row, repaired) = parsed?;
            self.repaired += repaired;
            return Ok(Some(row));
        }
    }

    /// Returns the form of the input.
    pub fn form(&self) -> TextForm {
        self.form
    }

    /// Returns a sentence about the form if it is not what the name of the input promises, or if the
    /// input is a table, whose columns it names.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Returns the number of halves of surrogate pairs that were read as U+FFFD so far.
    pub fn repaired(&self) -> u64 {
        self.repaired
    }
}

/// Copies a source into an unnamed temporary file, because Parquet is read from its end.
fn to_file(mut source: Source) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut source, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// Returns the files of a folder that hold texts, in the order of their names, and the names of those
/// that are left out: of forms that are not known by their names, and files that accompany data sets.
/// With `any_name` only the latter are left out. Folders in the folder are left out, too.
///
/// ```
/// use splade_sparse::files::text_files;
///
/// let folder = tempfile::tempdir()?;
/// for name in ["a.ndjson", "b.csv.gz", "model.bin"] {
///     std::fs::write(folder.path().join(name), "")?;
/// }
/// let (texts, left_out) = text_files(folder.path(), false)?;
/// assert_eq!(texts, ["a.ndjson", "b.csv.gz"].map(|name| folder.path().join(name)));
/// assert_eq!(left_out, ["model.bin"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the folder cannot be listed, has no file of texts, or holds documents and
/// queries side by side.
pub fn text_files(dir: &Path, any_name: bool) -> Result<(Vec<PathBuf>, Vec<String>), FileError> {
    let entries = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let mut entries = entries.map_err(FileError::io("list", dir))?;
    entries.sort();
    let name_of = |path: &Path| {
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let stem_of = |path: &Path| name_of(path).split('.').next().unwrap_or_default().to_owned();
    let has = |stem: &str| entries.iter().any(|path| stem_of(path) == stem);
    for [documents, queries] in [["corpus", "queries"], ["doc_master", "query_master"]] {
        if has(documents) && has(queries) {
            return Err(FileError::form(
                dir,
                Problem::new(format!(
                    "this is a data set with documents ({documents}) and queries ({queries})"
                ))
                .with_remedy("name the one that you mean"),
            ));
        }
    }
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    for path in entries.iter().filter(|path| !path.is_dir()) {
        let is_known = any_name || TextForm::of_name(path).is_some();
        match is_known && !accompanies(&name_of(path)) {
            true => files.push(path.clone()),
            false => left_out.push(name_of(path)),
        }
    }
    let folders = entries.iter().filter(|path| path.is_dir());
    left_out.extend(folders.map(|path| format!("{}/", name_of(path))));
    match files.is_empty() {
        false => Ok((files, left_out)),
        true => Err(FileError::form(
            dir,
            "there is no file of texts (.ndjson, .jsonl, .json, .csv, .tsv, .parquet or .txt, each \
             also as .gz or .zst)",
        )),
    }
}

/// Returns whether a file is one that lies beside data and is none: hidden files and those of Spark,
/// descriptions, and settings of the datasets library.
fn accompanies(name: &str) -> bool {
    let lower = name.to_lowercase();
    let stem = lower.split('.').next().unwrap_or_default();
    name.starts_with(['.', '_'])
        || ["readme", "license", "licence", "notice", "changelog", "citation"].contains(&stem)
        || [
            "manifest.json",
            "metadata.json",
            "dataset_info.json",
            "dataset_infos.json",
            "dataset_dict.json",
            "state.json",
        ]
        .contains(&lower.as_str())
}
