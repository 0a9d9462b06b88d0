//! Reads files whose rows have a query, a document and a number: what qrels and runs have in
//! common.
//!
//! The fields of a row are separated by tabs, blanks or commas, as the first row has them; fields
//! between tabs or commas may be quoted. A row may also be a JSON object on a line of its own, an
//! element of a JSON list, or a row of a Parquet file, and `{"q1": {"d1": 1}}` holds many rows.
//! The columns are found by the names of a header, or else by their number. A first line without a
//! number where rows have one is a header, whatever its names are. Lines that begin with `#` and
//! are not rows are comments.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};
use splade_io::counted;
use splade_sparse::files::parquet_table;

use super::lines::{self, Lines, shown};
use crate::EvalError;

/// The names of the column of queries, in the order of preference and without `-` and `_`.
const QUERIES: &[&str] = &["queryid", "qid", "query", "topicid", "topic", "queryno", "qno", "q"];
/// The names of the column of documents. `docno` goes first: where PyTerrier writes both, `docid`
/// is a number of its index.
const DOCUMENTS: &[&str] = &[
    "corpusid",
    "docno",
    "docid",
    "documentid",
    "document",
    "doc",
    "did",
    "passageid",
    "passage",
    "pid",
    "paragraphid",
    "d",
];

/// A kind of table.
pub(super) struct Layout {
    /// The names of the column of numbers, in the order of preference and without `-` and `_`.
    pub(super) numbers: &'static [&'static str],
    /// The places of query, document and number in rows without known names, by the number of
    /// fields of a row.
    pub(super) places: &'static [(usize, [usize; 3])],
    /// What the file was expected to hold, for messages.
    pub(super) expected: &'static str,
}

/// A part of a table.
pub(super) enum Item<'a> {
    /// A query, a document and a number.
    Row([Cow<'a, str>; 3]),
    /// A JSON object that is not a row.
    Object(&'a Map<String, Value>),
}

impl Item<'static> {
    fn row(cells: [String; 3]) -> Self {
        Self::Row(cells.map(Cow::Owned))
    }
}

/// What was passed over in a table.
#[derive(Debug, Default)]
struct Passed {
    comments: u64,
    /// A header without known names.
    header: Option<(u64, String)>,
}

/// Reads a table and passes its parts to `add` with their line numbers. Returns notes about what
/// was passed over.
///
/// # Errors
/// Returns an error if the file cannot be read, if a row has another form than the rows before it,
/// or if `add` returns a message.
pub(super) fn read(
    reader: impl BufRead,
    name: &str,
    layout: &Layout,
    mut add: impl FnMut(u64, Item<'_>) -> Result<(), String>,
) -> Result<Vec<String>, EvalError> {
    let mut lines = Lines::new(reader, name);
    let mut passed = Passed::default();
    let mut form: Option<Form> = None;
    while let Some((number, line)) = lines.next_line()? {
        let is_json = matches!(form, Some(Form::Json));
        if is_json || (form.is_none() && line.trim_start().starts_with(['{', '['])) {
            form = Some(Form::Json);
            let value = match serde_json::from_str::<Value>(line) {
                Ok(value) => value,
                // Only a file that is one JSON value has values over several lines.
                Err(error) if is_json || !error.is_eof() => {
                    return Err(lines.error(format!("not valid JSON: {error}")));
                }
                Err(_) => {
                    let text = lines.rest()?;
                    serde_json::from_str(&text).map_err(|error| {
                        let at = number + error.line() as u64 - 1;
                        lines.error_at(at, format!("not valid JSON: {error}"))
                    })?
                }
            };
            add_json(&value, layout, &mut |item| add(number, item))
                .map_err(|message| lines.error_at(number, message))?;
            continue;
        }
        let result = match &form {
            Some(Form::Columns(columns)) => match columns.cells(line) {
                Ok(cells) => add(number, Item::Row(cells)),
                Err(_) if line.starts_with('#') => {
                    passed.comments += 1;
                    Ok(())
                }
                Err(message) => Err(message),
            },
            _ => match begin(line, layout, passed.header.is_none()) {
                Begin::Rows(columns) => {
                    let added = columns.cells(line).and_then(|cells| add(number, Item::Row(cells)));
                    form = Some(Form::Columns(columns));
                    added
                }
                Begin::Header(columns) => {
                    form = Some(Form::Columns(columns));
                    Ok(())
                }
                Begin::UnknownHeader => {
                    passed.header = Some((number, line.to_owned()));
                    Ok(())
                }
                Begin::Comment => {
                    passed.comments += 1;
                    Ok(())
                }
                Begin::Neither => Err(layout.expected.to_owned()),
            },
        };
        result.map_err(|message| lines.error_at(number, message))?;
    }
    Ok(passed.notes(name))
}

/// Reads a table from a Parquet file. Its columns are found by their names.
///
/// # Errors
/// Returns an error for the same reasons as [`read`].
pub(super) fn read_parquet(
    path: &Path,
    layout: &Layout,
    mut add: impl FnMut(u64, Item<'_>) -> Result<(), String>,
) -> Result<(), EvalError> {
    let choose = |names: &[&str]| {
        named(names, layout).ok_or_else(|| {
            format!(
                "there are no columns for a query, a document and a number, such as query-id, \
                 corpus-id and score; the columns are: {}",
                names.join(", ")
            )
        })
    };
    Ok(parquet_table(path, choose, |row, cells| add(row, Item::row(cells)))?)
}

/// The form of all rows after the first.
enum Form {
    Json,
    Columns(Columns),
}

/// Where the cells of a row are.
struct Columns {
    separator: Separator,
    /// The number of fields.
    fields: usize,
    /// The places of query, document and number.
    places: [usize; 3],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Tab,
    Blanks,
    Comma,
}

/// What the first line of a table, or the first after a header or comments, is.
enum Begin {
    Rows(Columns),
    Header(Columns),
    /// A line without a number, which is a header unless one was there before.
    UnknownHeader,
    Comment,
    Neither,
}

fn begin(line: &str, layout: &Layout, may_be_header: bool) -> Begin {
    // Blanks come last, because a row of the other two may have blanks in its fields. A row of
    // blanks with commas in its ids has no number behind its last comma.
    let rows: Vec<(Separator, Vec<Cow<'_, str>>)> =
        [Separator::Tab, Separator::Comma, Separator::Blanks]
            .into_iter()
            .filter_map(|separator| Some((separator, split(line, separator).ok()?)))
            .collect();
    for (separator, fields) in &rows {
        let places = layout.places.iter().find(|(count, _)| *count == fields.len());
        if let Some((count, places)) = places
            && is_number(&fields[places[2]])
        {
            let columns = Columns { separator: *separator, fields: *count, places: *places };
            return Begin::Rows(columns);
        }
    }
    for (separator, fields) in &rows {
        let names: Vec<&str> = fields.iter().map(AsRef::as_ref).collect();
        if let Some(places) = named(&names, layout).filter(|_| may_be_header) {
            let columns = Columns { separator: *separator, fields: fields.len(), places };
            return Begin::Header(columns);
        }
    }
    let fits = |fields: &[Cow<'_, str>]| layout.places.iter().any(|(n, _)| *n == fields.len());
    match () {
        () if line.starts_with('#') => Begin::Comment,
        () if may_be_header && rows.iter().any(|(_, fields)| fits(fields)) => Begin::UnknownHeader,
        () => Begin::Neither,
    }
}

/// Returns the places of query, document and number among names of columns.
fn named(names: &[&str], layout: &Layout) -> Option<[usize; 3]> {
    let plain = |name: &&str| -> String {
        let kept = name.trim().chars().filter(|c| !matches!(c, '-' | '_' | ' ' | '#'));
        kept.flat_map(char::to_lowercase).collect()
    };
    let names: Vec<String> = names.iter().map(plain).collect();
    let place =
        |known: &[&str]| known.iter().find_map(|known| names.iter().position(|name| name == known));
    Some([place(QUERIES)?, place(DOCUMENTS)?, place(layout.numbers)?])
}

impl Columns {
    /// Returns the query, the document and the number of a row.
    fn cells<'a>(&self, line: &'a str) -> Result<[Cow<'a, str>; 3], String> {
        let mut fields = split(line, self.separator)?;
        if fields.len() != self.fields && self.separator == Separator::Tab {
            // TREC's files may have tabs in some lines and blanks in others.
            let blanks = split(line, Separator::Blanks)?;
            fields = if blanks.len() == self.fields { blanks } else { fields };
        }
        if fields.len() != self.fields {
            return Err(format!(
                "expected {} as in the lines before, got {}",
                counted(self.fields, "fields"),
                fields.len()
            ));
        }
        if line.starts_with('#') && !is_number(&fields[self.places[2]]) {
            return Err("a comment".to_owned());
        }
        let cells = self.places.map(|place| std::mem::take(&mut fields[place]));
        match cells[..2].iter().any(|id| id.is_empty()) {
            true => Err("an id is empty".to_owned()),
            false => Ok(cells),
        }
    }
}

/// Splits a line into fields and removes their quotes.
fn split(line: &str, separator: Separator) -> Result<Vec<Cow<'_, str>>, String> {
    let delimiter = match separator {
        Separator::Blanks => return Ok(line.split_ascii_whitespace().map(Cow::from).collect()),
        Separator::Tab => '\t',
        Separator::Comma => ',',
    };
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match quoted(rest, delimiter) {
            Some(found) => found,
            // A lone quote between tabs belongs to an id.
            None if delimiter == ',' && rest.trim_start().starts_with('"') => {
                return Err(format!("the quote in {} is not closed before a comma", shown(rest)));
            }
            None => match rest.split_once(delimiter) {
                Some((field, after)) => (Cow::from(field.trim()), Some(after)),
                None => (Cow::from(rest.trim()), None),
            },
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// Reads a field in double quotes, in which a quote is written twice. Returns the field and what
/// follows the delimiter behind it; `None` if there is no such field.
fn quoted(text: &str, delimiter: char) -> Option<(Cow<'_, str>, Option<&str>)> {
    let body = text.trim_start_matches(' ').strip_prefix('"')?;
    let mut field = String::new();
    let mut rest = body;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => {
                let after = after.trim_start_matches(' ');
                return match after.strip_prefix(delimiter) {
                    Some(after) => Some((Cow::Owned(field), Some(after))),
                    None if after.is_empty() => Some((Cow::Owned(field), None)),
                    None => None,
                };
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// Passes the rows of a JSON value to `add`, and objects that are not rows as they are.
fn add_json(
    value: &Value,
    layout: &Layout,
    add: &mut dyn FnMut(Item<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let object = match value {
        Value::Array(list) => {
            return list.iter().try_for_each(|value| match value {
                Value::Object(_) => add_json(value, layout, add),
                _ => Err("an element of the list is not a JSON object".to_owned()),
            });
        }
        Value::Object(object) => object,
        _ => return Err("not a JSON object".to_owned()),
    };
    let names: Vec<&str> = object.keys().map(String::as_str).collect();
    if let Some(places) = named(&names, layout) {
        let [query, document, number] = places.map(|place| &object[names[place]]);
        // A list is not a number: the object has a form of its own.
        if !number.is_array() && !number.is_object() {
            let (query, document) = (lines::id(query)?, lines::id(document)?);
            return add(Item::row([query, document, number_text(number)?]));
        }
    }
    // {"q1": {"d1": 1, "d2": 0}, "q2": …}
    if !object.is_empty() && object.values().all(Value::is_object) {
        for (query, documents) in object {
            for (document, number) in documents.as_object().into_iter().flatten() {
                add(Item::row([query.clone(), document.clone(), number_text(number)?]))?;
            }
        }
        return Ok(());
    }
    add(Item::Object(object))
}

fn number_text(value: &Value) -> Result<String, String> {
    match value {
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("{other} is not a number")),
    }
}

impl Passed {
    fn notes(self, name: &str) -> Vec<String> {
        let header = self.header.map(|(number, line)| {
            format!("{name}, line {number}: {} is passed over as a header", shown(&line))
        });
        let comments = (self.comments > 0).then(|| {
            format!(
                "{name}: passed over {} with # at the start",
                counted(self.comments, "comments")
            )
        });
        header.into_iter().chain(comments).collect()
    }
}
