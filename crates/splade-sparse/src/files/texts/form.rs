//! Decides the form of a file of texts by its first bytes and its name.
//!
//! Content counts more than the name where it is beyond doubt: Parquet has magic bytes, and lines that
//! are all JSON objects are NDJSON. What is certainly not texts, such as a ZIP archive or an HTML page,
//! is refused with what to do about it.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use splade_io::Problem;

use super::json::is_object;
use super::row::TextFields;
use super::table::is_header;

/// The form of a file of texts.
///
/// ```
/// use splade_sparse::files::TextForm;
///
/// let form: TextForm = "tsv".parse()?;
/// assert_eq!((form, form.name()), (TextForm::Tsv, "tsv"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextForm {
    /// One text a line, without an id.
    Plain,
    /// One JSON object a line.
    Ndjson,
    /// JSON objects over any number of lines, in one array or one after another.
    Json,
    /// CSV with a header.
    Csv,
    /// An id, a tab and a text a line, or columns with a header.
    Tsv,
    /// Parquet.
    Parquet,
}

impl TextForm {
    /// All forms.
    pub const ALL: [Self; 6] =
        [Self::Plain, Self::Ndjson, Self::Json, Self::Csv, Self::Tsv, Self::Parquet];

    /// The name of the form as an argument.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "text",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Parquet => "parquet",
        }
    }

    /// Returns the form that the name of a file promises; `None` if it promises none. A suffix `.gz`
    /// or `.zst` does not count.
    pub fn of_name(path: &Path) -> Option<Self> {
        Some(match extension(path)?.as_str() {
            "ndjson" | "jsonl" => Self::Ndjson,
            "json" => Self::Json,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "parquet" | "pq" => Self::Parquet,
            "txt" | "text" => Self::Plain,
            _ => return None,
        })
    }
}

impl fmt::Display for TextForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain text, one text a line",
            Self::Ndjson => "NDJSON",
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Parquet => "Parquet",
        })
    }
}

impl FromStr for TextForm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|form| form.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown form \"{name}\"; the forms are: {names}")
        })
    }
}

/// The extension of a name in lower case, without that of packing; `None` if it has none.
fn extension(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty()).then(|| extension.to_owned())
}

/// Decides the form of a file with this name. `ahead` are its first bytes after unpacking, without a
/// byte order mark, and `is_whole` says whether they are all. Returns a note, too, if the form is not
/// what the name promises.
///
/// # Errors
/// Returns a message if the file certainly holds no texts in a form that is read.
pub(super) fn decide(
    path: &Path,
    ahead: &[u8],
    is_whole: bool,
    fields: &TextFields,
) -> Result<(TextForm, Option<String>), Problem> {
    let named = TextForm::of_name(path);
    let content = Content::of(ahead, is_whole);
    if content != Content::Parquet
        && let Some((what, remedy)) = refused(ahead)
    {
        return Err(Problem::new(format!("this is {what}, which is not read")).with_remedy(remedy));
    }
    let form = match (named, content) {
        (_, Content::Parquet) => TextForm::Parquet,
        (Some(TextForm::Parquet), _) => {
            return Err(Problem::new(
                "the name says Parquet, but the file does not begin as Parquet does (PAR1), so it \
                 is damaged or has another form",
            )
            .with_remedy("name the form with --input-format, if it is another"));
        }
        (_, Content::Objects) => TextForm::Ndjson,
        // A cut line of NDJSON looks like the beginning of an object over several lines.
        (Some(TextForm::Ndjson), Content::Values) if !begins(ahead, b"[") => TextForm::Ndjson,
        (_, Content::Values) => TextForm::Json,
        (Some(TextForm::Csv), _) => TextForm::Csv,
        (Some(form), _) if form != TextForm::Plain => form,
        _ => header(ahead, fields).unwrap_or(TextForm::Plain),
    };
    let is_input = path == Path::new("-");
    let expected = match named {
        // JSON on any number of lines, a table of any separator.
        Some(TextForm::Json) if form == TextForm::Ndjson => form,
        Some(named) => named,
        None if is_input || extension(path).is_none() => match form {
            // Lines that a header turns into a table may have been meant as lines.
            TextForm::Csv | TextForm::Tsv => TextForm::Plain,
            form => form,
        },
        None => match form {
            // The name says nothing that is known.
            TextForm::Plain => {
                let note = format!("read as {form}, because its name says nothing else");
                return Ok((form, Some(note)));
            }
            form => form,
        },
    };
    let note = match form {
        form if form != expected => Some(format!("read as {form}, because it looks like {form}")),
        TextForm::Plain if has_a_tab_in_every_line(ahead, is_whole) => Some(format!(
            "read as {form}, though every line has a tab; if these are ids and texts, give \
             --input-format tsv"
        )),
        _ => None,
    };
    Ok((form, note))
}

/// What the first bytes of a file look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Parquet,
    /// Every line is a JSON object.
    Objects,
    /// A JSON array of objects, or an object over several lines.
    Values,
    Other,
}

impl Content {
    fn of(ahead: &[u8], is_whole: bool) -> Self {
        if ahead.starts_with(b"PAR1") {
            return Self::Parquet;
        }
        let text = ahead.trim_ascii_start();
        if let Some(array) = text.strip_prefix(b"[") {
            let array = array.trim_ascii_start();
            let has_field = || array[1..].trim_ascii_start().first();
            let is_array = match array.first() {
                Some(b'{') => matches!(has_field(), Some(b'"' | b'}')),
                Some(b']') => is_whole && array.trim_ascii_end() == b"]",
                _ => false,
            };
            return if is_array { Self::Values } else { Self::Other };
        }
        if !text.starts_with(b"{") {
            return Self::Other;
        }
        // The last line may go on behind what is known, if it is the only one or not.
        let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
        let mut all = true;
        while let Some(line) = lines.next() {
            let is_cut = lines.peek().is_none() && !line.ends_with(b"\n") && !is_whole;
            all &= line.trim_ascii().is_empty() || is_object(line, !is_cut);
        }
        match all {
            true => Self::Objects,
            false if is_object_over_lines(text, is_whole) => Self::Values,
            false => Self::Other,
        }
    }
}

/// Returns whether the bytes begin with a JSON object that has more than one line.
fn is_object_over_lines(text: &[u8], is_whole: bool) -> bool {
    let mut values =
        serde_json::Deserializer::from_slice(text).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => text[..values.byte_offset()].contains(&b'\n'),
        Some(Err(error)) => !is_whole && error.is_eof() && text.contains(&b'\n'),
        None => false,
    }
}

/// Returns the form of a table if the first line has the names of the columns that are read.
fn header(ahead: &[u8], fields: &TextFields) -> Option<TextForm> {
    let first = ahead.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    let first = std::str::from_utf8(first).ok()?;
    // A header of one column could be any line.
    if fields.no_ids {
        return None;
    }
    [(',', TextForm::Csv), (';', TextForm::Csv), ('\t', TextForm::Tsv)]
        .into_iter()
        .find(|(separator, _)| is_header(first, *separator, fields))
        .map(|(_, form)| form)
}

/// Returns whether there are two lines or more, and all have one tab, as lines of an id and a text.
fn has_a_tab_in_every_line(ahead: &[u8], is_whole: bool) -> bool {
    let mut lines: Vec<&[u8]> = ahead.split_inclusive(|byte| *byte == b'\n').collect();
    if !is_whole && lines.last().is_some_and(|line| !line.ends_with(b"\n")) {
        lines.pop();
    }
    let tabs = |line: &&[u8]| line.iter().filter(|byte| **byte == b'\t').count();
    lines.len() > 1 && lines.iter().all(|line| tabs(line) == 1)
}

fn begins(ahead: &[u8], with: &[u8]) -> bool {
    ahead.trim_ascii_start().starts_with(with)
}

/// Files that are known by their first bytes and not read: the bytes, what they are, what to do.
const FOREIGN: [(&[u8], &str, &str); 21] = [
    (b"PK\x03\x04", "a ZIP archive, or a spreadsheet", UNPACK_OR_SAVE),
    (b"%PDF-", "a PDF document", EXTRACT),
    (b"\x80\x02", "a Python pickle", FROM_PYTHON),
    (b"\x80\x03", "a Python pickle", FROM_PYTHON),
    (b"\x80\x04", "a Python pickle", FROM_PYTHON),
    (b"\x80\x05", "a Python pickle", FROM_PYTHON),
    (b"\x93NUMPY", "an array of NumPy", FROM_PYTHON),
    (b"ARROW1", "a file of Arrow", "write it as Parquet"),
    (b"FEA1", "a file of Feather", "write it as Parquet"),
    (b"Obj\x01", "a file of Avro", "write it as Parquet or NDJSON"),
    (b"SQLite format 3\0", "an SQLite database", "write the texts as CSV or NDJSON"),
    (b"\x89HDF", "a file of HDF5", "write it as Parquet or NDJSON"),
    (b"\x1f\x8b", "packed twice", "unpack it once"),
    (b"\x28\xb5\x2f\xfd", "packed twice", "unpack it once"),
    (b"\xfd7zXZ\0", "packed with xz", PACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", PACK),
    (b"Rar!\x1a\x07", "a RAR archive", PACK),
    (b"\xff\xfe", "text in UTF-16", UTF_16),
    (b"\xfe\xff", "text in UTF-16", UTF_16),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of an old Office", UNPACK_OR_SAVE),
    (
        b"version https://git-lfs.github.com/spec/v1",
        "a pointer of Git LFS in place of the file",
        "fetch the file with: git lfs pull",
    ),
];

const UNPACK_OR_SAVE: &str = "unpack it, or save the sheet as CSV in UTF-8";
const EXTRACT: &str = "extract its text first";
const FROM_PYTHON: &str = "write it as Parquet or NDJSON with Python";
const PACK: &str = "unpack it, or pack it as .gz or .zst";
const UTF_16: &str = "convert it with: iconv -f UTF-16 -t UTF-8";

/// Returns what a file is that is certainly not read, and what to do about it.
fn refused(ahead: &[u8]) -> Option<(&'static str, &'static str)> {
    let foreign = FOREIGN.iter().find(|(magic, ..)| ahead.starts_with(magic));
    if let Some((_, what, remedy)) = foreign {
        return Some((what, remedy));
    }
    if ahead.starts_with(b"BZh") && ahead.get(4..10) == Some(b"1AY&SY") {
        return Some(("packed with bzip2", PACK));
    }
    let start = &ahead.trim_ascii_start()[..ahead.trim_ascii_start().len().min(64)];
    let start = start.to_ascii_lowercase();
    if [&b"<!doctype html"[..], b"<html"].iter().any(|tag| start.starts_with(tag)) {
        return Some((
            "an HTML page",
            "extract its text first; if a download should have been here, its address answered \
             with a page",
        ));
    }
    if start.starts_with(b"<?xml") {
        return Some(("XML", "write the texts as NDJSON or CSV"));
    }
    let nulls = |parity: usize| {
        let bytes = ahead.iter().skip(parity).step_by(2);
        (bytes.clone().filter(|byte| **byte == 0).count(), bytes.len())
    };
    for parity in [0, 1] {
        let ((zeros, bytes), (others, _)) = (nulls(parity), nulls(1 - parity));
        if zeros > bytes / 4 && others <= zeros / 8 {
            return Some(("text in UTF-16", UTF_16));
        }
    }
    // Texts have the one or other control character.
    let is_control = |byte: &&u8| matches!(byte, 0..=8 | 14..=26 | 28..=31);
    let controls = ahead.iter().filter(is_control).count();
    let limit = if ahead.contains(&0) { 50 } else { 5 };
    (controls > 0 && controls * limit > ahead.len())
        .then_some(("a binary file", "write the texts as NDJSON, CSV, Parquet or plain text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(name: &str, bytes: &[u8]) -> Result<String, String> {
        let form = decide(Path::new(name), bytes, true, &TextFields::default());
        let (form, note) = form.map_err(|problem| problem.to_string())?;
        Ok(form.name().to_owned() + if note.is_some() { " with a note" } else { "" })
    }

    #[test]
    fn forms_follow_content_and_name() {
        let object = b"{\"id\":1,\"text\":\"x\"}\n";
        let two = [&object[..], b"\n", object].concat();
        let pretty = b"{\n  \"id\": 1,\n  \"text\": \"x\"\n}\n";
        let cases: Vec<(&str, &[u8], &str)> = vec![
            ("a.ndjson", object, "ndjson"),
            ("a.jsonl.gz", object, "ndjson"),
            ("A.JSONL", b"nothing", "ndjson"),
            ("a.jsonl", b"{\"id\":1,\n", "ndjson"),
            ("a.jsonl", b"[{\"id\":1}]", "json with a note"),
            ("a.json", &two, "ndjson"),
            ("a.json", b"[{\"id\":1}]", "json"),
            ("a.json", b" [ \n {} ]", "json"),
            ("a.json", b"[]\n", "json"),
            ("a.json", pretty, "json"),
            ("a.json", b"[1]", "json"),
            ("a.json", b"", "json"),
            ("a.csv", b"id,text\n", "csv"),
            ("a.csv", b"a b c\n", "csv"),
            ("a.csv", object, "ndjson with a note"),
            ("a.tsv", b"1\tx\n", "tsv"),
            ("a.tsv.zst", b"id\ttext\n", "tsv"),
            ("a.parquet", b"PAR1", "parquet"),
            ("a.parquet", b"PAR1\x15\x04\x15\0\0\x01\x02\0\0\0", "parquet"),
            ("a.csv", b"PAR1", "parquet with a note"),
            ("a", b"PAR1", "parquet"),
            ("a.txt", b"hello\n", "text"),
            ("a.txt", object, "ndjson with a note"),
            ("a.txt", b"{curly} text\n{}\n", "text"),
            ("a.txt", b"{\n", "text"),
            ("a.txt", b"{}{}\n", "text"),
            ("a.txt", b"[CLS] text\n", "text"),
            ("a.txt", b"[1] {a}\n", "text"),
            ("a.txt", b"[{\"id\":1}]", "json with a note"),
            ("a.txt", b"id,text\nd1,x\n", "csv with a note"),
            ("a.txt", b"the text, id, and more\n", "text"),
            ("a.txt", b"q1\tx\nq2\ty\n", "text with a note"),
            ("a.txt", b"q1\tx\nq2 y\n", "text"),
            ("a.txt", b"", "text"),
            ("a.txt", b"a\0b and some more text of this line\nand another line of text\n", "text"),
            ("corpus", b"hello\n", "text"),
            ("corpus", object, "ndjson"),
            ("a.md", b"hello\n", "text with a note"),
            ("a.data", object, "ndjson"),
            (".hidden", b"x\n", "text"),
            ("-", object, "ndjson"),
            ("-", b"hello\n", "text"),
            ("-", pretty, "json"),
            ("-", b"_id\ttitle\ttext\nd1\tT\tx\n", "tsv with a note"),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|(name, bytes, want)| decided(name, bytes).as_deref() != Ok(want))
            .map(|(name, bytes, want)| (name, decided(name, bytes), want))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_long_line_is_an_object_as_far_as_it_is_known() {
        let of = |bytes: &[u8]| {
            decide(Path::new("-"), bytes, false, &TextFields::default()).map(|(form, _)| form)
        };
        assert_eq!(of(b"{\"id\":1,\"text\":\"xx"), Ok(TextForm::Ndjson));
        assert_eq!(of(b"{\"id\":1}\n{\"id"), Ok(TextForm::Ndjson));
        assert_eq!(of(b"{\n \"id\""), Ok(TextForm::Json));
        assert_eq!(of(b"{braces} at the begin"), Ok(TextForm::Plain));
    }

    #[test]
    fn what_is_no_text_is_refused_by_name() {
        let utf_16: Vec<u8> = "hello world".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let tar = [&b"a.txt"[..], &[0; 95], b"0000644"].concat();
        let cases: Vec<(&[u8], &str)> = vec![
            (b"PK\x03\x04....", "ZIP"),
            (b"\x80\x04\x95", "pickle"),
            (b"%PDF-1.7\n", "PDF"),
            (b"\n<!DOCTYPE html><html>", "HTML"),
            (b"<HTML lang=en>", "HTML"),
            (b"<?xml version='1.0'?>", "XML"),
            (b"\xff\xfeh\0i\0", "UTF-16"),
            (&utf_16, "UTF-16"),
            (b"BZh91AY&SY", "bzip2"),
            (b"\xfd7zXZ\0", "xz"),
            (b"\x1f\x8b\x08", "twice"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
            (&tar, "binary"),
        ];
        for (bytes, want) in cases {
            for name in ["a.txt", "a.jsonl", "a.csv", "a", "-"] {
                let error = decided(name, bytes).expect_err(want);
                assert!(error.contains(want), "{name}: {error}");
            }
        }
        let error = decided("a.parquet", b"hello").expect_err("not Parquet");
        assert!(error.contains("PAR1"), "{error}");
    }
}
