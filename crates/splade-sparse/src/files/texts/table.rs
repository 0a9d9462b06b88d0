//! Texts from tables of characters: CSV (RFC 4180) and TSV.
//!
//! The first row of CSV has the names of the columns. In TSV it may have them; otherwise each row is
//! an id and a text. In CSV a field may be in quotation marks, and then contain commas, line ends and
//! doubled quotation marks. In TSV quotation marks are ordinary characters, as in the collections of
//! MS MARCO.
//!
//! The `csv` crate is not used because it reads a field whose quotation marks have no end, or whose
//! end is followed by more, without an error.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use splade_io::{FileError, Problem, read_line};

use super::row::{TextFields, TextRow};

/// The characters that may separate the fields of CSV; spreadsheets write semicolons where the comma
/// is the decimal point.
const SEPARATORS: [char; 4] = [',', ';', '\t', '|'];

/// A reader of the rows of a table.
pub(super) struct Table {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    layout: Layout,
    /// The number of lines so far.
    lines: u64,
    /// The line where the row that was read last begins, counted from 1.
    line: u64,
}

/// How rows become texts.
struct Layout {
    separator: char,
    is_quoted: bool,
    /// The names of the columns, if the table has them.
    columns: Option<Columns>,
}

/// The columns of a table, and those that are read.
struct Columns {
    names: Vec<String>,
    id: Option<usize>,
    title: Option<usize>,
    text: usize,
}

impl Table {
    /// Reads the names of the columns of CSV.
    pub(super) fn csv(
        path: &Path,
        reader: Box<dyn BufRead + Send>,
        fields: &TextFields,
    ) -> Result<Self, FileError> {
        let layout = Layout { separator: ',', is_quoted: true, columns: None };
        let mut table = Self { path: path.to_path_buf(), reader, layout, lines: 0, line: 0 };
        let Some(header) = table.next_record()? else {
            return Err(FileError::form(
                path,
                Problem::new("the file is empty").with_remedy("begin CSV with a header"),
            ));
        };
        let names = |separator| split(&header, separator, true);
        let fits = |separator: &char| names(*separator).is_ok_and(|names| fields.are_in(&names));
        if let Some(separator) = SEPARATORS.into_iter().find(fits) {
            table.layout.separator = separator;
        }
        let names = names(table.layout.separator).map_err(|message| table.error(message))?;
        table.layout.columns = Some(columns(&names, fields).map_err(|message| {
            table.error(Problem::new(message).with_remedy(
                "the first row of CSV has the names of the columns: choose them with --text-field \
                 and --id-field",
            ))
        })?);
        Ok(table)
    }

    /// Opens TSV. `first` is its first line, which names the columns if it has the names of those
    /// that are read; it must if `fields` asks for other names than the usual ones.
    pub(super) fn tsv(
        path: &Path,
        reader: Box<dyn BufRead + Send>,
        first: &str,
        fields: &TextFields,
    ) -> Result<Self, FileError> {
        let layout = Layout { separator: '\t', is_quoted: false, columns: None };
        let mut table = Self { path: path.to_path_buf(), reader, layout, lines: 0, line: 0 };
        if is_header(first, '\t', fields) || fields.text.is_some() || fields.id.is_some() {
            let header = table.next_record()?.unwrap_or_default();
            let names = split(&header, '\t', false).map_err(|message| table.error(message))?;
            let columns = columns(&names, fields).map_err(|message| table.error(message))?;
            table.layout.columns = Some(columns);
        }
        Ok(table)
    }

    /// Returns which columns are read, if the table has names of columns.
    pub(super) fn columns(&self) -> Option<String> {
        let Layout { separator, columns, is_quoted } = &self.layout;
        let columns = columns.as_ref()?;
        let parts = [("ids", columns.id), ("titles", columns.title), ("texts", Some(columns.text))];
        let parts = parts.into_iter().filter_map(|(what, at)| {
            Some(format!("{what} from column \"{}\"", columns.names[at?]))
        });
        let separated = match separator {
            _ if !is_quoted => String::new(),
            ',' => String::new(),
            '\t' => ", separated by tabs".to_owned(),
            separator => format!(", separated by \"{separator}\""),
        };
        Some(parts.collect::<Vec<_>>().join(", ") + &separated)
    }

    /// Creates an error at the row that was read last.
    pub(super) fn error(&self, problem: impl Into<Problem>) -> FileError {
        FileError::Line { path: self.path.clone(), line: self.line, problem: problem.into() }
    }

    /// Reads the next row.
    pub(super) fn next_row(&mut self) -> Result<Option<TextRow>, FileError> {
        let Some(record) = self.next_record()? else { return Ok(None) };
        let Layout { separator, is_quoted, columns } = &self.layout;
        let fields = split(&record, *separator, *is_quoted);
        let fields = fields.map_err(|message| self.error(message))?;
        let row = match columns {
            None => match <[String; 2]>::try_from(fields) {
                Ok([id, text]) => Ok(TextRow { id, title: String::new(), text }),
                Err(fields) => {
                    Err(format!("expected an id, a tab and a text, got {} fields", fields.len()))
                }
            },
            Some(columns) => columns.row(fields),
        };
        row.map(Some).map_err(|message| self.error(message))
    }

    /// Reads the next line that is not blank, and in CSV the lines that a quoted field goes on for.
    fn next_record(&mut self) -> Result<Option<String>, FileError> {
        let (mut record, mut marks) = (Vec::new(), 0);
        loop {
            let begins = record.len();
            let count = read_line(&mut *self.reader, &mut record);
            let at_end = match count {
                Ok(count) => count == 0,
                Err(error) => {
                    self.line = self.lines + 1;
                    return Err(match error.get_ref() {
                        Some(inner) if inner.is::<splade_io::LongLine>() => {
                            self.error(inner.to_string())
                        }
                        _ => FileError::io("read", &self.path)(error),
                    });
                }
            };
            if begins == 0 {
                self.line = self.lines + 1;
            }
            self.lines += u64::from(!at_end);
            // An odd number of quotation marks leaves one open.
            marks += record[begins..].iter().filter(|byte| **byte == b'"').count();
            let is_open = self.layout.is_quoted && marks % 2 == 1;
            if at_end && record.is_empty() {
                return Ok(None);
            }
            if is_open && !at_end {
                continue;
            }
            if record.trim_ascii().is_empty() {
                record.clear();
                continue;
            }
            while matches!(record.last(), Some(b'\n' | b'\r')) {
                record.pop();
            }
            return String::from_utf8(record)
                .map(Some)
                .map_err(|error| FileError::not_utf8(&self.path, self.line, &error));
        }
    }
}

impl Columns {
    fn row(&self, mut fields: Vec<String>) -> Result<TextRow, String> {
        if fields.len() != self.names.len() {
            return Err(format!(
                "expected {} fields, as in the first row, got {}",
                self.names.len(),
                fields.len()
            ));
        }
        let mut take =
            |at: Option<usize>| at.map_or_else(String::new, |at| std::mem::take(&mut fields[at]));
        let (id, title, text) = (take(self.id), take(self.title), take(Some(self.text)));
        match self.id.is_some() && id.is_empty() {
            true => Err("the id is empty".to_owned()),
            false => Ok(TextRow { id, title, text }),
        }
    }
}

/// Returns whether a line has the names of the columns that are read.
pub(super) fn is_header(line: &str, separator: char, fields: &TextFields) -> bool {
    let names = split(line.trim_end_matches(['\r', '\n']), separator, separator != '\t');
    names.is_ok_and(|names| fields.are_in(&names))
}

/// Finds the columns that are read.
fn columns(names: &[String], fields: &TextFields) -> Result<Columns, String> {
    let place = |name: &str| names.iter().position(|column| column == name);
    let all = || names.iter().map(String::as_str).collect::<Vec<_>>();
    let text = place(fields.text()).ok_or_else(|| fields.no_text(&all()))?;
    let title = fields.title().and_then(place);
    let id = fields.ids().into_iter().find_map(place);
    if id.is_none() && !fields.no_ids {
        return Err(fields.no_id(&all()));
    }
    Ok(Columns { names: names.to_vec(), id, title, text })
}

/// Splits a record into its fields.
fn split(record: &str, separator: char, is_quoted: bool) -> Result<Vec<String>, Problem> {
    if !is_quoted {
        return Ok(record.split(separator).map(str::to_owned).collect());
    }
    let (mut fields, mut rest) = (Vec::new(), record);
    loop {
        let field = match rest.strip_prefix('"') {
            None => {
                let (field, _) = rest.split_once(separator).unwrap_or((rest, ""));
                if field.contains('"') {
                    return Err(Problem::new("a quotation mark inside of a field").with_remedy(
                        "put the whole field in quotation marks, and double those inside",
                    ));
                }
                rest = &rest[field.len()..];
                field.to_owned()
            }
            Some(quoted) => {
                let (field, after) = unquote(quoted)?;
                rest = after;
                field
            }
        };
        fields.push(field);
        match rest.strip_prefix(separator) {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(fields),
            None => {
                return Err(Problem::new("text after the closing quotation mark of a field")
                    .with_remedy("double the quotation marks inside of a field"));
            }
        }
    }
}

/// Reads a field after its opening quotation mark; returns it and what follows the closing one.
fn unquote(quoted: &str) -> Result<(String, &str), Problem> {
    let (mut field, mut rest) = (String::new(), quoted);
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return Err("the quotation mark of a field has no end".into());
        };
        field.push_str(part);
        match after.strip_prefix('"') {
            None => return Ok((field, after)),
            Some(after) => {
                field.push('"');
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(name: &str, text: &str, fields: &TextFields) -> Result<Vec<String>, String> {
        let reader = || Box::new(std::io::Cursor::new(text.to_owned()));
        let path = Path::new(name);
        let table = match name.ends_with("csv") {
            true => Table::csv(path, reader(), fields),
            false => Table::tsv(path, reader(), text.lines().next().unwrap_or(""), fields),
        };
        let mut table = table.map_err(|error| error.to_string())?;
        let mut rows = Vec::new();
        while let Some(row) = table.next_row().map_err(|error| error.to_string())? {
            rows.push(format!("{}|{}|{}", row.id, row.title, row.text));
        }
        Ok(rows)
    }

    #[test]
    fn rows_of_tables() {
        let usual = TextFields::default();
        let named = TextFields { id: Some("key".into()), text: Some("body".into()), no_ids: false };
        let no_ids = TextFields { no_ids: true, ..TextFields::default() };
        type Case<'a> = (&'a str, &'a str, &'a TextFields, Result<&'a [&'a str], &'a str>);
        let cases: Vec<Case<'_>> = vec![
            ("a.csv", "id,text\nd1,x y\r\n\nd2,\n", &usual, Ok(&["d1||x y", "d2||"])),
            (
                "a.csv",
                "title,\"text\",_id,id\nT,\"a, \"\"b\"\"\nc\",d1,7\n",
                &usual,
                Ok(&["d1|T|a, \"b\"\nc"]),
            ),
            ("a.csv", "id;text\nd1;a,b\n", &usual, Ok(&["d1||a,b"])),
            ("a.csv", "id\ttext\nd1\ta,b", &usual, Ok(&["d1||a,b"])),
            ("a.csv", "key,body,text\nd1,a,b\n", &named, Ok(&["d1||a"])),
            ("a.csv", "text\na\n", &no_ids, Ok(&["||a"])),
            ("a.csv", "id,text\n", &usual, Ok(&[])),
            ("a.csv", "", &usual, Err("a.csv: the file is empty")),
            (
                "a.csv",
                "d1,cats\nd2,dogs\n",
                &usual,
                Err("a.csv, line 1: no field named \"text\"; the fields are: d1, cats"),
            ),
            (
                "a.csv",
                "id,text\n\nd1,a,b\n",
                &usual,
                Err("a.csv, line 3: expected 2 fields, as in the first row, got 3"),
            ),
            ("a.csv", "id,text\n,b\n", &usual, Err("a.csv, line 2: the id is empty")),
            (
                "a.csv",
                "id,text\nd1,\"a\nb\nc",
                &usual,
                Err("a.csv, line 2: the quotation mark of a field has no end"),
            ),
            (
                "a.csv",
                "id,text\nd1,\"a\"b\n",
                &usual,
                Err("a.csv, line 2: text after the closing quotation mark of a field"),
            ),
            (
                "a.csv",
                "id,text\nd1,5\"\" x\n",
                &usual,
                Err("a.csv, line 2: a quotation mark inside of a field"),
            ),
            ("a.tsv", "q1\ta \"b\nq2\tc\n", &usual, Ok(&["q1||a \"b", "q2||c"])),
            ("a.tsv", "id\ttitle\ttext\nd1\tT\tx\n", &usual, Ok(&["d1|T|x"])),
            ("a.tsv", "key\tbody\nd1\tx\n", &named, Ok(&["d1||x"])),
            (
                "a.tsv",
                "1\tx\n",
                &named,
                Err("a.tsv, line 1: no field named \"body\"; the fields are: 1, x"),
            ),
            (
                "a.tsv",
                "1\ta\n2 b",
                &usual,
                Err("a.tsv, line 2: expected an id, a tab and a text, got 1 fields"),
            ),
        ];
        for (name, text, fields, want) in cases {
            match (rows(name, text, fields), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}"),
                (Err(got), Err(want)) => assert!(got.starts_with(want), "{text}: {got}"),
                (got, want) => panic!("{text}: {got:?}, not {want:?}"),
            }
        }
    }

    /// A quoted field of many lines takes no more time than its length.
    #[test]
    fn a_long_quoted_field_is_read() {
        let text = format!("id,text\nd1,\"{}\"\n", "line\n".repeat(20_000));
        let got = rows("a.csv", &text, &TextFields::default()).expect("read");
        assert_eq!(got.len(), 1);
    }
}
